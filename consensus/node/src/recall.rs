//! From the state folder to the replica: its log read back. Where there is no log, the replica learns.
//!
//! A replica without its log may have signed what it does not remember, so it never begins as one that votes: the genesis record,
//! which says that nothing was signed, is written by `genesis.rs` alone, before the cluster's first start. A log that is there and
//! cannot be read is the operator's to judge: it is refused.

use certificate::codec::{Decode, Encode};
use pbft::{Parameters, Record, Replica, Standing};
use tracing::warn;

use crate::began;
use crate::clock::wall_ms;
use crate::config::{AnyApplication, NodeConfig, StartError};
use crate::keyring::ClusterKeys;
use crate::log::{LogError, Recovered, Storage, Wal};

/// The state machine as the driver runs it.
pub(crate) type AnyReplica = Replica<AnyApplication, ClusterKeys>;

/// Reads the log back. Where no segment has its name yet, a learner's log is begun: its first record is in the segment before that has a name,
/// so a start that is cut off leaves a learner or, again, nothing.
pub(crate) fn open_log(config: &NodeConfig, mut storage: Box<dyn Storage>) -> Result<Recovered, LogError> {
    let state = config.state.display().to_string();
    let listed = storage.segments();
    let segments =
        listed.map_err(|source| LogError::Io { action: "listing", file: state.clone(), source })?;
    if !segments.is_empty() {
        return Wal::open(storage, config.segment_bytes, &state);
    }
    let first = Record::Learner { cluster_digest: config.cluster.digest(), me: config.me }.to_bytes();
    let noted = began::write(&config.state, wall_ms());
    noted.map_err(|source| LogError::Io { action: "beginning", file: state.clone(), source })?;
    let wal = Wal::create(storage, config.segment_bytes, &first)?;
    warn!(
        %state,
        "learns: its log is gone, so it follows the others and does not vote until what it forgot can do no harm; an earlier state folder \
         of this replica must never be used again"
    );
    Ok(Recovered { wal, records: vec![first], discarded: None })
}

/// The replica that wrote these records.
pub(crate) fn restore(
    config: &NodeConfig,
    parameters: Parameters,
    application: AnyApplication,
    stored: &[Vec<u8>],
) -> Result<AnyReplica, StartError> {
    let mut records = Vec::with_capacity(stored.len());
    for (index, bytes) in stored.iter().enumerate() {
        let record = Record::from_bytes(bytes);
        let state = || config.state.clone();
        records.push(record.map_err(|source| StartError::Record { state: state(), index, source })?);
    }
    let keyring = ClusterKeys::new(&config.cluster, &config.seed);
    let replica = Replica::restore(parameters, application, keyring, records.into_iter())
        .map_err(|source| StartError::Restore { state: config.state.clone(), source })?;
    let begins = stored.len() == 1;
    if replica.status().standing == Standing::Learning && !begins {
        warn!(state = %config.state.display(), "learns: it lost an earlier log and does not vote yet");
    }
    Ok(replica)
}
