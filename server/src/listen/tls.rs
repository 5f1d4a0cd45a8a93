//! DNS over TLS, RFC 7858: the stream loop inside TLS.

use std::sync::Arc;

use arc_swap::ArcSwap;
use plugins::{Client, Transport};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::limits::{Connections, HANDSHAKE_TIMEOUT};
use super::stream::Streams;
use super::tcp::{self, Accepted};

/// The TLS settings of a listener. A reload replaces them for the connections to come.
pub type Settings = Arc<ArcSwap<ServerConfig>>;

/// Serves DNS over TLS.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    connections: Arc<Connections>,
    streams: Streams,
) {
    let ends = (streams.tasks.clone(), streams.stop.clone());
    tcp::accept(listener, Transport::Tls, connections, ends, move |Accepted { stream, client }| {
        let (settings, streams) = (settings.clone(), streams.clone());
        async move {
            if let Some(stream) = handshake(stream, &settings, &client).await {
                streams.serve(stream, client).await;
            }
        }
    })
    .await;
}

/// The TLS handshake; `None` when it fails or takes too long.
pub async fn handshake(
    stream: TcpStream,
    settings: &Settings,
    client: &Client,
) -> Option<TlsStream<TcpStream>> {
    let acceptor = TlsAcceptor::from(settings.load_full());
    match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            debug!(%client.address, %error, "TLS handshake failed");
            None
        }
        Err(_) => {
            debug!(%client.address, "TLS handshake took too long");
            None
        }
    }
}
