//! A peer for tests that can break every rule.

use std::sync::Arc;

use certificate::{ReplicaId, SeedKey};
use quinn::{Connection, ConnectionError, Endpoint};

use super::connection::{self, Greeted};
use super::hello::Hello;
use super::tls::{Identities, SERVER_NAME};
use crate::testing::{PATIENCE, Setting};

/// Dials replica `target` with the key of `seed`, as replica `me`. The endpoint must live as long as the connection.
pub(crate) async fn dial(
    setting: &Setting,
    target: u8,
    seed: &SeedKey,
    me: u8,
) -> Result<(Endpoint, Connection), ConnectionError> {
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    dial_from(endpoint, setting, target, seed, me).await
}

async fn dial_from(
    endpoint: Endpoint,
    setting: &Setting,
    target: u8,
    seed: &SeedKey,
    me: u8,
) -> Result<(Endpoint, Connection), ConnectionError> {
    let identities = Identities::new(&setting.cluster, ReplicaId(me), &seed.transport_key()).unwrap();
    let target = &setting.cluster.members[usize::from(target)];
    let crypto = identities.client(&target.transport_key).unwrap();
    let config = quinn::ClientConfig::new(crypto);
    let connection = endpoint.connect_with(config, target.address, SERVER_NAME).unwrap().await?;
    Ok((endpoint, connection))
}

/// Replica `me` in the run `instance`: it has said Hello to `target` and then does what the test wants.
pub(crate) async fn greeted(setting: &Setting, target: u8, me: u8, instance: u64) -> (Endpoint, Greeted) {
    let (endpoint, connection) = dial(setting, target, &setting.seeds[usize::from(me)], me).await.unwrap();
    let hello = Hello::new(&setting.cluster, ReplicaId(me), 0, instance);
    let greeted = connection::greet(&connection, ReplicaId(target), &hello).await.unwrap();
    (endpoint, greeted)
}

/// An endpoint at the address that the cluster file has for replica `me`.
pub(crate) fn at_home(setting: &Setting, me: u8) -> Endpoint {
    let runtime = Arc::new(quinn::TokioRuntime);
    Endpoint::new(quinn::EndpointConfig::default(), None, setting.socket(me), runtime).unwrap()
}

/// As `greeted`, from its own address.
pub(crate) async fn greeted_from_home(setting: &Setting, target: u8, me: u8) -> (Endpoint, Greeted) {
    let seed = &setting.seeds[usize::from(me)];
    let (endpoint, connection) = dial_from(at_home(setting, me), setting, target, seed, me).await.unwrap();
    let hello = Hello::new(&setting.cluster, ReplicaId(me), 0, 1);
    let greeted = connection::greet(&connection, ReplicaId(target), &hello).await.unwrap();
    (endpoint, greeted)
}

/// Why the other end closed a connection, which it is to do soon.
pub(crate) async fn close_of(connection: &Connection) -> ConnectionError {
    tokio::time::timeout(PATIENCE, connection.closed()).await.expect("the other end closes the connection")
}

impl Greeted {
    /// Sends a consensus message.
    pub(crate) async fn say(&mut self, rules: crate::frame::FrameRules, message: &pbft::Message) {
        let frame = rules.encode(&certificate::codec::Encode::to_bytes(message)).unwrap();
        self.send.write_chunk(frame).await.unwrap();
    }

    /// The next consensus message of the other end.
    pub(crate) async fn message(&mut self, rules: crate::frame::FrameRules) -> pbft::Message {
        let bytes = connection::read_frame(&mut self.receive, rules).await.unwrap();
        certificate::codec::Decode::from_bytes(&bytes).unwrap()
    }
}
