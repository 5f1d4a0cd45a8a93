//! DNS over QUIC, RFC 9250: one query on each stream.
//!
//! A handshake has a task of its own, so that a half-open one delays nobody, and their number is bounded; when many are half open,
//! clients must first show that they own their address.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugins::{Client, Transport};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, TokioRuntime, TransportConfig,
    VarInt,
};
use rustls::ServerConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::limits::{CONNECTION_QUERIES_MAX, Connections, HANDSHAKE_TIMEOUT, MESSAGE_TIMEOUT, WRITE_TIMEOUT};
use super::stream::Streams;
use crate::edns::KEEPALIVE;
use crate::engine::Glance;
use crate::message::{self, Received};

/// Opens the endpoint on a socket.
pub fn endpoint(socket: UdpSocket, tls: Arc<ServerConfig>, idle_timeout: Duration) -> io::Result<Endpoint> {
    let config = server_config(tls, idle_timeout)?;
    Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))
}

/// The settings of an endpoint; a reload replaces them for the connections to come.
pub fn server_config(tls: Arc<ServerConfig>, idle_timeout: Duration) -> io::Result<quinn::ServerConfig> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(CONNECTION_QUERIES_MAX as u32))
        // RFC 9250 §4.2: queries come on bidirectional streams only.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(FRAME_BYTES_MAX as u32))
        .receive_window(VarInt::from_u32(CONNECTION_BYTES_MAX))
        .send_window(u64::from(CONNECTION_BYTES_MAX))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(idle_timeout.try_into().map_err(io::Error::other)?));
    let crypto = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport)).max_incoming(HANDSHAKES_MAX);
    Ok(config)
}

/// Serves DNS over QUIC until the listener is stopped.
pub async fn serve(endpoint: Endpoint, connections: Arc<Connections>, streams: Streams) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let Ok(local) = endpoint.local_addr() else { return };
    loop {
        let incoming = tokio::select! {
            () = streams.stop.cancelled() => return,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let Ok(permit) = handshakes.clone().try_acquire_owned() else {
            incoming.ignore();
            continue;
        };
        let crowded = HANDSHAKES_MAX - handshakes.available_permits() > HANDSHAKES_UNVALIDATED_MAX;
        if crowded && !incoming.remote_address_validated() && incoming.may_retry() {
            // Fails only where a retry is not possible, which was just asked.
            let _ = incoming.retry();
            continue;
        }
        let client = client_of(&incoming, local);
        let (connections, streams) = (connections.clone(), streams.clone());
        streams.tasks.clone().spawn(async move {
            let Some(connection) = handshake(incoming, permit).await else { return };
            match connections.admit(client.address.ip()) {
                Some(_admission) => serve_connection(&connection, client, &streams).await,
                None => connection.close(EXCESSIVE_LOAD, b"too many connections"),
            }
        });
    }
}

fn client_of(incoming: &Incoming, local: SocketAddr) -> Client {
    let remote = incoming.remote_address();
    let local_ip = incoming.local_ip().unwrap_or_else(|| local.ip()).to_canonical();
    Client {
        address: SocketAddr::new(remote.ip().to_canonical(), remote.port()),
        local: SocketAddr::new(local_ip, local.port()),
        transport: Transport::Quic,
    }
}

async fn handshake(incoming: Incoming, permit: OwnedSemaphorePermit) -> Option<Connection> {
    let connecting = incoming.accept().ok()?;
    let connected = timeout(HANDSHAKE_TIMEOUT, connecting).await;
    drop(permit);
    match connected {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(error)) => {
            debug!(%error, "QUIC handshake failed");
            None
        }
        Err(_) => None,
    }
}

/// Serves a connection until either side ends it. What was asked before is still answered.
async fn serve_connection(connection: &Connection, client: Client, streams: &Streams) {
    let queries = TaskTracker::new();
    loop {
        let Ok(room) = streams.room.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            () = streams.stop.cancelled() => break,
            accepted = connection.accept_bi() => accepted,
        };
        let Ok((send, receive)) = accepted else { break };
        let (connection, streams) = (connection.clone(), streams.clone());
        queries.spawn(async move {
            serve_stream(&connection, send, receive, client, &streams).await;
            drop(room);
        });
    }
    queries.close();
    let _ = timeout(streams.entrance.query_deadline() + WRITE_TIMEOUT, queries.wait()).await;
    connection.close(NO_ERROR, b"");
}

/// Answers the query of one stream.
async fn serve_stream(
    connection: &Connection,
    mut send: SendStream,
    mut receive: RecvStream,
    client: Client,
    streams: &Streams,
) {
    let frame = match timeout(MESSAGE_TIMEOUT, receive.read_to_end(FRAME_BYTES_MAX)).await {
        Ok(Ok(frame)) => frame,
        Ok(Err(quinn::ReadToEndError::TooLong)) => {
            return connection.close(PROTOCOL_ERROR, b"more than one message on a stream");
        }
        // The client gave up, or is too slow.
        Ok(Err(_)) => return,
        Err(_) => {
            let _ = receive.stop(REQUEST_CANCELLED);
            let _ = send.reset(REQUEST_CANCELLED);
            return;
        }
    };
    let received = Instant::now();
    let Some(wire) = message_of(&frame) else {
        return connection.close(PROTOCOL_ERROR, b"not one DNS query with id 0");
    };
    let mut reply = Vec::new();
    let answered = match streams.entrance.glance(wire, &client, received, &mut reply) {
        Glance::Answered => Some(reply),
        Glance::Silent | Glance::Dropped => None,
        Glance::Ask => streams.entrance.serve(wire, client, received).await,
    };
    let Some(reply) = answered.filter(|reply| reply.len() <= usize::from(u16::MAX)) else {
        let _ = send.reset(INTERNAL_ERROR);
        return;
    };
    let mut bytes = Vec::with_capacity(2 + reply.len());
    bytes.extend_from_slice(&(reply.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&reply);
    let _ = timeout(WRITE_TIMEOUT, async {
        send.write_all(&bytes).await?;
        let _ = send.finish();
        // Until all is taken: closing the connection would lose it.
        let _ = send.stopped().await;
        Ok::<(), quinn::WriteError>(())
    })
    .await;
}

/// The message in the bytes of a whole stream, if it is one query as RFC 9250 wants it: one message, id 0 (§4.2.1), not a
/// response, without the keepalive option (§5.5.2).
fn message_of(frame: &[u8]) -> Option<&[u8]> {
    let (length, wire) = frame.split_first_chunk::<2>()?;
    if usize::from(u16::from_be_bytes(*length)) != wire.len() || wire.get(..2)? != [0, 0] {
        return None;
    }
    match message::read(wire) {
        Received::Silent => None,
        Received::Asked(asked) if asked.option(KEEPALIVE).is_some() => None,
        _ => Some(wire),
    }
}

/// Handshakes that are half open.
const HANDSHAKES_MAX: usize = 256;
/// Handshakes that are half open before clients must show that they own their address, RFC 9000 §8.1.2.
const HANDSHAKES_UNVALIDATED_MAX: usize = 64;
/// A message and its length.
const FRAME_BYTES_MAX: usize = 2 + u16::MAX as usize;
/// Bytes that a connection may have on their way, each way.
const CONNECTION_BYTES_MAX: u32 = 1 << 20;
/// RFC 9250 §4.3: DOQ_NO_ERROR
const NO_ERROR: VarInt = VarInt::from_u32(0);
/// DOQ_INTERNAL_ERROR
const INTERNAL_ERROR: VarInt = VarInt::from_u32(1);
/// DOQ_PROTOCOL_ERROR
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
/// DOQ_REQUEST_CANCELLED
const REQUEST_CANCELLED: VarInt = VarInt::from_u32(3);
/// DOQ_EXCESSIVE_LOAD
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);
