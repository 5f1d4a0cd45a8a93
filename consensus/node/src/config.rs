//! What a node is started with, and why it is not started.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

use certificate::codec::DecodeError;
use certificate::{Cluster, ReplicaId, SeedKey};
use pbft::{Application, Pace, Parameters, RestoreError, Timeouts};
use peer_filter::{FilterError, Mode as FilterMode};
use thiserror::Error;

use crate::log::{FolderError, LogError, SEGMENT_BYTES};
use crate::port::Port;
use crate::rules::rules;
use crate::transport::PeersError;

/// Any application.
pub(crate) type AnyApplication = Arc<dyn Application + Send + Sync>;

/// What a node is started with.
#[derive(Debug)]
pub struct NodeConfig {
    /// The cluster file.
    pub cluster: Arc<Cluster>,
    /// Which of its replicas this is; `identify` finds it by the key.
    pub me: ReplicaId,
    /// The secret from which both keys are derived.
    pub seed: SeedKey,
    /// The state folder: log and evidence.
    pub state: PathBuf,
    /// Where the peer port is bound; `None` for the address in the cluster file.
    pub bind: Option<SocketAddr>,
    /// A socket that is bound already; takes the place of `bind`. The kernel can not filter on it any more: `filter` is then in userspace,
    /// at an interface, or off.
    pub socket: Option<UdpSocket>,
    /// A peer port that is open already, made of this very configuration; takes the place of `bind`, `socket`, `filter` and the two that follow it.
    pub port: Option<Port>,
    /// Where datagrams that are not those of a peer, or too many, are thrown away.
    pub filter: FilterMode,
    /// Whether the detector keeps statistics of the other replicas; when not, it acts on proven faults alone.
    pub detector: bool,
    /// Below this reputation, 0 to 1, a replica stands out.
    pub reputation_threshold: f64,
    /// Whether long messages are sent compressed.
    pub compression: bool,
    /// How fast this replica proposes, within the cluster file's limits; `None` for these limits.
    pub pace: Option<Pace>,
    /// Whether answers are released as soon as a fast quorum voted for them, before their certificate is complete.
    pub fast_path: bool,
    /// How long things wait.
    pub timeouts: Timeouts,
    /// Size of a segment of the log, in bytes.
    pub segment_bytes: u64,
    /// How the replica misbehaves on purpose, if it does.
    #[cfg(feature = "adversary")]
    pub adversary: Option<crate::adversary::Vice>,
}

impl NodeConfig {
    /// The defaults.
    pub fn new(cluster: Arc<Cluster>, me: ReplicaId, seed: SeedKey, state: PathBuf) -> NodeConfig {
        NodeConfig {
            cluster,
            me,
            seed,
            state,
            bind: None,
            socket: None,
            port: None,
            filter: FilterMode::Auto,
            detector: true,
            reputation_threshold: detector::THRESHOLD,
            compression: true,
            pace: None,
            fast_path: true,
            timeouts: Timeouts::default(),
            segment_bytes: SEGMENT_BYTES,
            #[cfg(feature = "adversary")]
            adversary: None,
        }
    }
}

/// What an operator can do about a log that is not to be used.
const FOREIGN_LOG_HINT: &str = "if the other replicas vote under this very cluster file, and this is the right folder, move it away: this replica then learns \
     from them, and votes again later; if the cluster file was changed on all of them, that ends the cluster for good, since nobody is left who votes: put \
     the earlier file back, or make a new cluster with `quorate cluster new --settings`";

/// Why a node does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The key is not that of the replica.
    #[error(
        "the key is not that of replica {me} in the cluster file: expected {expected}, the key gives {found}"
    )]
    OtherKey {
        /// The replica.
        me: ReplicaId,
        /// The public key in the cluster file.
        expected: String,
        /// The public key that belongs to the secret.
        found: String,
    },
    /// The cluster has no such replica.
    #[error("the cluster file has no replica {me}")]
    UnknownReplica {
        /// The replica.
        me: ReplicaId,
    },
    /// A limit of the cluster file, or the pace, is beyond what this version can do.
    #[error("expected `{field}` from 1 to {most}, got {found}")]
    Limit {
        /// Its name in the cluster file.
        field: &'static str,
        /// The bound.
        most: u64,
        /// What was asked for.
        found: u64,
    },
    /// The state folder is in use or cannot be opened.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The log is damaged, or the disk refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A whole record cannot be understood: it was written by another version.
    #[error("log in `{state}`: record {index} cannot be read: {source}; {FOREIGN_LOG_HINT}")]
    Record {
        /// The state folder.
        state: PathBuf,
        /// Its place, from 0.
        index: usize,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// The log is not the memory of this replica.
    #[error("log in `{state}`: {source}; {FOREIGN_LOG_HINT}")]
    Restore {
        /// The state folder.
        state: PathBuf,
        /// Why.
        #[source]
        source: RestoreError,
    },
    /// The peer port cannot be bound.
    #[error("binding peer port {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The filter cannot be had as it is asked for.
    #[error("filter {mode}: {}", source.explanation())]
    Filter {
        /// What was asked for.
        mode: FilterMode,
        /// Why not.
        #[source]
        source: FilterError,
    },
    /// TLS does not take the key, or QUIC does not take the socket.
    #[error("starting the peer port: {0}")]
    Transport(String),
    /// The operating system gives no thread.
    #[error("starting the driver: {0}")]
    Thread(#[source] std::io::Error),
}

/// Finds the replica whose keys the secret gives.
pub fn identify(cluster: &Cluster, seed: &SeedKey) -> Option<ReplicaId> {
    let key = seed.signing_key().public_key();
    cluster.members.iter().find(|member| member.public_key == key).map(|member| member.id)
}

/// Whether the secret is that of the replica in the cluster file.
pub(crate) fn check_key(config: &NodeConfig) -> Result<(), StartError> {
    let me = config.me;
    let member = config.cluster.member(me).ok_or(StartError::UnknownReplica { me })?;
    let signing = (member.public_key, config.seed.signing_key().public_key());
    let transport = (member.transport_key, config.seed.transport_key().public_key());
    for (expected, found) in [signing, transport] {
        if expected != found {
            let (expected, found) = (expected.to_string(), found.to_string());
            return Err(StartError::OtherKey { me, expected, found });
        }
    }
    Ok(())
}

/// The limits of the cluster file and of the configuration, if this version can do them.
pub(crate) fn parameters(config: &NodeConfig) -> Result<Parameters, StartError> {
    let cluster = &config.cluster;
    let rules = rules(cluster, config.me);
    let pace = config.pace.unwrap_or(rules.pace);
    let batch_bytes_most = (pbft::MESSAGE_BYTES_MAX - 4096) as u64;
    for (field, most, found) in [
        ("batch-bytes", batch_bytes_most, rules.batch_bytes as u64),
        ("batch-entries", pbft::BATCH_ENTRIES_MAX as u64, rules.batch_entries as u64),
        ("pipeline", cluster.checkpoint_interval, rules.pipeline),
        ("batch", rules.batch_entries as u64, pace.entries as u64),
        ("pipeline", rules.pipeline, pace.pipeline),
    ] {
        if found == 0 || found > most {
            return Err(StartError::Limit { field, most, found });
        }
    }
    Ok(Parameters { pace, timeouts: config.timeouts, fast_path: config.fast_path, ..rules })
}

impl From<PeersError> for StartError {
    fn from(refused: PeersError) -> StartError {
        StartError::Transport(refused.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Setting;
    use certificate::cluster::{MESSAGE_OVERHEAD_BYTES, MESSAGE_SIZE_MAX, MESSAGE_SIZE_MIN, batch_bytes_min};
    use certificate::codec::Encode;
    use certificate::{OperationKind, Replicas, Sequence, Signature};
    use pbft::{Item, Message, Observation, Operation, SignedObservations};

    /// The longest question: a name of 255 bytes with its length, type, class and flags.
    const QUESTION_BYTES: usize = 1 + 255 + 2 + 2 + 1;

    fn observation(subject: usize, payload: usize) -> Observation {
        let operation = Operation { kind: OperationKind::Resolve, subject: vec![1; subject] };
        Observation { operation, after: Sequence(0), time_ms: 0, payload: vec![2; payload] }
    }

    #[test]
    fn smallest_batch_of_a_cluster_file_holds_a_useful_observation_of_every_replica() {
        let cluster = Setting::new().cluster;
        let least = observation(QUESTION_BYTES, certificate::cluster::PAYLOAD_BYTES_MIN as usize);
        for count in 4..=31 {
            let replicas = Replicas::new(count, 1).unwrap();
            let defaults = Parameters::new(ReplicaId(0), replicas, cluster.domain(), cluster.digest());
            let batch_bytes = batch_bytes_min(count as usize) as usize;
            let most = Parameters { batch_bytes, ..defaults }.observation_bytes_max();
            assert!(
                least.encoded_len() <= most,
                "{} in {most} bytes with {count} replicas",
                least.encoded_len()
            );
        }
    }

    #[test]
    fn smallest_message_of_a_cluster_file_holds_what_is_signed_at_once() {
        let full = pbft::OBSERVE_BYTES_MAX / pbft::OBSERVATIONS_PER_SET_MAX;
        let payload = full - observation(QUESTION_BYTES, 0).encoded_len();
        let items = vec![Item::Full(observation(QUESTION_BYTES, payload)); pbft::OBSERVATIONS_PER_SET_MAX];
        let set = SignedObservations { replica: ReplicaId(0), items, signature: Signature([0; 64]) };
        let message = Message::Observe(set).to_bytes();
        assert!(message.len() > pbft::OBSERVE_BYTES_MAX);
        assert!(message.len() <= MESSAGE_SIZE_MIN as usize, "{}", message.len());
    }

    #[test]
    fn largest_batch_of_a_cluster_file_is_one_that_a_replica_can_do() {
        assert_eq!(MESSAGE_SIZE_MAX as usize, pbft::MESSAGE_BYTES_MAX);
        let setting = Setting::with(|cluster| {
            cluster.message_size = MESSAGE_SIZE_MAX;
            cluster.batch_bytes = MESSAGE_SIZE_MAX - MESSAGE_OVERHEAD_BYTES;
        });
        let config =
            NodeConfig::new(setting.cluster.clone(), ReplicaId(0), setting.seeds[0].clone(), PathBuf::new());
        assert!(parameters(&config).is_ok());
    }
}
