//! Accepts TCP connections, for DNS over TCP itself and for what runs on top: DoT and DoH.

use std::net::SocketAddr;
use std::sync::Arc;

use plugins::{Client, Transport};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::limits::{ACCEPT_PAUSE, Connections};
use super::stream::Streams;

/// A connection that was accepted.
pub struct Accepted {
    /// The connection.
    pub stream: TcpStream,
    /// Its two addresses.
    pub client: Client,
}

/// Accepts connections until `stop`, and runs `serve` for each in a task of its own.
///
/// A connection beyond the bounds of `connections` is closed at once.
pub async fn accept<F, S>(
    listener: TcpListener,
    transport: Transport,
    connections: Arc<Connections>,
    (tasks, stop): (TaskTracker, CancellationToken),
    serve: S,
) where
    F: Future<Output = ()> + Send + 'static,
    S: Fn(Accepted) -> F,
{
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!(%error, "accepting failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(client) = client_of(&stream, peer, transport) else { continue };
        let Some(admission) = connections.admit(client.address.ip()) else {
            debug!(%client.address, "too many connections");
            continue;
        };
        let serving = serve(Accepted { stream, client });
        tasks.spawn(async move {
            serving.await;
            drop(admission);
        });
    }
}

/// Serves DNS over TCP.
pub async fn serve(listener: TcpListener, connections: Arc<Connections>, streams: Streams) {
    let ends = (streams.tasks.clone(), streams.stop.clone());
    accept(listener, Transport::Tcp, connections, ends, move |accepted| {
        let streams = streams.clone();
        async move { streams.serve(accepted.stream, accepted.client).await }
    })
    .await;
}

/// The addresses of a connection; `None` when it is gone already.
fn client_of(stream: &TcpStream, peer: SocketAddr, transport: Transport) -> Option<Client> {
    // Replies are written whole, so waiting for more to send would only delay them.
    stream.set_nodelay(true).ok()?;
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    Some(Client { address: canonical(peer), local: canonical(stream.local_addr().ok()?), transport })
}
