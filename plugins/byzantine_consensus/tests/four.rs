//! Four replicas in this process, each with its own chain: the plugin, then its upstream.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use certificate::{Cluster, ReplicaId};
use hickory_proto::rr::RecordType;
use node::{NodeConfig, initialise_sized};
use tempfile::TempDir;

use super::setting::Setting;
use super::upstream::{Says, Upstream};
use crate::byzantine_consensus::consensus::Consensus;
pub use crate::byzantine_consensus::handler::QuerySettings;
use crate::byzantine_consensus::handler::{ByzantineConsensus, OnDisagreement};
use crate::byzantine_consensus::metrics::ConsensusMetrics;
use crate::byzantine_consensus::nodes::{Identity, NodeSettings, Nodes, config};
use crate::chain::Chain;
use crate::error::ServeError;
use crate::metrics::Metrics;
use crate::query::Query;
use crate::rehearsal::query;
use crate::response::{Certified, Response};

/// Nothing here takes so long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);
const SEGMENT_BYTES: u64 = 64 * 1024;

/// What the directive says unless a test changes it.
pub fn settings() -> QuerySettings {
    QuerySettings {
        zones: vec![hickory_proto::rr::Name::root()],
        observe_timeout: PATIENCE,
        on_disagreement: OnDisagreement::ServFail,
        option_code: 65_321,
    }
}

/// A replica that runs.
pub struct Replica {
    pub chain: Chain,
    pub consensus: Arc<Consensus>,
    pub metrics: Arc<Metrics>,
}

impl Replica {
    /// The answer of the chain.
    pub async fn serve(&self, query: &Query) -> Result<Response, ServeError> {
        tokio::time::timeout(PATIENCE, self.chain.serve(query)).await.expect("an answer or an error")
    }

    /// What the metrics show, also when the replica is gone.
    pub fn metrics_text(&self) -> impl Fn() -> String + use<> {
        let metrics = self.metrics.clone();
        move || metrics.encode()
    }

    /// Waits until the counter `read` shows `count`.
    pub async fn counts(&self, what: &str, count: u64, read: impl Fn(&ConsensusMetrics) -> u64) {
        until(what, || read(&self.consensus.metrics) == count).await;
    }
}

/// Four replicas with their state folders; each runs or not.
pub struct Four {
    pub setting: Setting,
    pub upstreams: Vec<Arc<Upstream>>,
    folders: Vec<TempDir>,
    replicas: Vec<Option<Replica>>,
}

impl Four {
    /// Four replicas with first logs, none of them running.
    pub fn new(change: impl FnOnce(&mut Cluster)) -> Four {
        let setting = Setting::with(change);
        let folders: Vec<TempDir> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
        for (id, folder) in folders.iter().enumerate() {
            initialise_sized(folder.path(), &setting.cluster, ReplicaId(id as u8), SEGMENT_BYTES).unwrap();
        }
        let upstreams = (0..4).map(|_| Arc::default()).collect();
        Four { setting, upstreams, folders, replicas: (0..4).map(|_| None).collect() }
    }

    /// Four replicas that reach each other.
    pub async fn running(change: impl FnOnce(&mut Cluster)) -> Four {
        Four::running_with(change, |_| {}).await
    }

    /// Four replicas that reach each other, whose directives are not the usual ones.
    pub async fn running_with(
        change: impl FnOnce(&mut Cluster),
        change_settings: impl Fn(&mut QuerySettings),
    ) -> Four {
        let mut four = Four::new(change);
        let mut settings = settings();
        change_settings(&mut settings);
        for id in 0..4 {
            four.start(id, settings.clone());
        }
        for id in 0..4 {
            four.presence(id, 4).await;
        }
        four
    }

    /// What replica `id` is.
    pub fn identity(&self, id: u8) -> Identity {
        let state = self.folder(id).to_owned();
        Identity { state, ..self.setting.identity(id) }
    }

    /// The state folder of replica `id`.
    pub fn folder(&self, id: u8) -> &Path {
        self.folders[usize::from(id)].path()
    }

    /// Starts replica `id`.
    pub fn start(&mut self, id: u8, settings: QuerySettings) {
        self.start_with(id, settings, |_| {});
    }

    /// Starts replica `id`, whose directive says something else of its node.
    pub fn start_with(&mut self, id: u8, settings: QuerySettings, change: impl FnOnce(&mut NodeSettings)) {
        let metrics = Arc::new(Metrics::new());
        let (nodes, mut identity) = (Arc::<Nodes>::default(), self.identity(id));
        identity.metrics = ConsensusMetrics::new(&metrics, &identity.cluster.name);
        change(&mut identity.settings);
        let socket = self.setting.sockets[usize::from(id)].try_clone().unwrap();
        let node_config =
            || NodeConfig { socket: Some(socket), segment_bytes: SEGMENT_BYTES, ..config(&identity) };
        let consensus = nodes.acquire_with(&identity, node_config).unwrap();
        let plugin = ByzantineConsensus::new(settings, identity, nodes);
        let chain = Chain::new(vec![Arc::new(plugin), self.upstreams[usize::from(id)].clone()]);
        chain.start().unwrap();
        self.replicas[usize::from(id)] = Some(Replica { chain, consensus, metrics });
    }

    /// Replica `id`, which does not run, loses its log.
    pub fn wipe(&mut self, id: u8) {
        self.folders[usize::from(id)] = tempfile::tempdir().unwrap();
    }

    /// Stops replica `id` and waits until it has.
    pub async fn stop(&mut self, id: u8) {
        let replica = self.replicas[usize::from(id)].take().expect("it runs");
        replica.chain.stop();
        replica.consensus.node().stopped().await;
    }

    /// Replica `id`, which runs.
    pub fn replica(&self, id: u8) -> &Replica {
        self.replicas[usize::from(id)].as_ref().expect("it runs")
    }

    /// Waits until replica `id` sees `count` replicas, itself among them.
    pub async fn presence(&self, id: u8, count: usize) {
        let mut status = self.replica(id).consensus.node().watch();
        let wait = status.wait_for(|status| status.present == count);
        let present = tokio::time::timeout(PATIENCE, wait).await;
        assert!(present.is_ok_and(|status| status.is_ok()), "replica {id} does not see {count} replicas");
    }

    /// All upstreams say this about `name`.
    pub fn all_see(&self, name: &str, response: &Response) {
        for upstream in &self.upstreams {
            upstream.say(name, Says::This(response.clone()));
        }
    }

    /// The upstream of replica `id` says this about `name`.
    pub fn one_sees(&self, id: u8, name: &str, says: Says) {
        self.upstreams[usize::from(id)].say(name, says);
    }

    /// What replica `id` answers to a client that waits until there is a decision.
    pub async fn ask(&self, id: u8, name: &str, qtype: RecordType) -> Response {
        self.replica(id).serve(&patient(query(name, qtype))).await.expect("an answer")
    }
}

impl Drop for Four {
    fn drop(&mut self) {
        self.replicas.iter().flatten().for_each(|replica| replica.chain.stop());
    }
}

/// The query with all the time that a busy machine may need.
pub fn patient(query: Query) -> Query {
    within(query, PATIENCE)
}

/// The query with so much time from now.
pub fn within(query: Query, time: Duration) -> Query {
    Query { deadline: Instant::now() + time, ..query }
}

/// Returns when `condition` holds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let look = async {
        let mut looks = tokio::time::interval(Duration::from_millis(2));
        while !condition() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

/// The certificate of an answer, when it is complete.
pub async fn certified(response: &Response) -> Arc<Certified> {
    let certification = response.certificate.clone().expect("an answer with a certificate");
    let complete = tokio::time::timeout(PATIENCE, certification.wait()).await;
    complete.expect("it is complete in time").expect("a certificate")
}

/// The texts of the extended errors.
pub fn reasons(response: &Response) -> Vec<&str> {
    response.extended_errors.iter().map(|error| error.text.as_str()).collect()
}
