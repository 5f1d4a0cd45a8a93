//! The QUIC endpoint on the peer port, and the bounds of every connection on it.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use peer_filter::{Kind, PeerFilter};
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, Runtime, TokioRuntime, VarInt};

use super::allowance::FETCH_STREAMS_MAX;
use super::content::CONTENT_PIECE_BYTES;
use super::guarded::Guarded;
use super::ids::TaggedIds;
use super::tls::Identities;

const KEEP_ALIVE: Duration = Duration::from_secs(1);
const IDLE_TIMEOUT_MS: u32 = 5000;

/// What a peer may have in flight to us, on one stream and on all. The connection's has room for each stream's: none can take that of another.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// Consensus, bulk, news.
const STREAMS_MAX: u8 = 3;

const _: () = assert!(
    STREAMS_MAX as usize * STREAM_WINDOW_BYTES as usize + FETCH_STREAMS_MAX as usize * CONTENT_PIECE_BYTES
        <= CONNECTION_WINDOW_BYTES as usize
);

/// The endpoint on the socket, whose datagrams the filter judges here unless the kernel has done so.
pub(crate) fn listen(
    socket: UdpSocket,
    filter: &PeerFilter,
    identities: &Identities,
    server: quinn::ServerConfig,
) -> std::io::Result<Endpoint> {
    let (ids, provider) = (filter.connection_ids(), identities.provider());
    let mut config = EndpointConfig::default();
    config.cid_generator(move || Box::new(TaggedIds::new(ids, provider.clone())));
    let own = socket.try_clone()?;
    let socket = TokioRuntime.wrap_udp_socket(socket)?;
    if filter.kind() != Kind::Off {
        peer_filter::arrive_one_by_one(own)?;
    }
    let socket: Arc<dyn AsyncUdpSocket> = match filter.kind() {
        Kind::Userspace => Arc::new(Guarded::new(socket, filter.clone())),
        Kind::Socket | Kind::Tc | Kind::Xdp | Kind::Off => socket,
    };
    Endpoint::new_with_abstract_socket(config, Some(server), socket, Arc::new(TokioRuntime))
}

/// How connections behave, whoever dials.
pub(crate) fn transport_config() -> quinn::TransportConfig {
    let mut transport = quinn::TransportConfig::default();
    transport
        // Content may be fetched from us once the connection is in use.
        .max_concurrent_bidi_streams(VarInt::from(0_u8))
        .max_concurrent_uni_streams(VarInt::from(STREAMS_MAX))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from(CONNECTION_WINDOW_BYTES))
        .send_window(u64::from(CONNECTION_WINDOW_BYTES))
        .send_fairness(false)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(VarInt::from(IDLE_TIMEOUT_MS).into()));
    transport
}
