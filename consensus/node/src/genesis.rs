//! The first record of a replica's log. `quorate cluster new` writes it; serving never does, so that a replica whose log was lost
//! cannot forget what it has signed.

use std::path::Path;

use certificate::codec::Encode;
use certificate::{Cluster, ReplicaId};
use thiserror::Error;

use crate::log::{FolderError, LogError, SEGMENT_BYTES, SegmentFolder, StateFolder, Wal};

/// Why a state folder was not initialised.
#[derive(Debug, Error)]
pub enum InitialiseError {
    /// The folder cannot be made or is in use.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is a log already, or the disk refuses.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Makes the state folder of replica `me`, with a log that says it has signed nothing yet.
///
/// Errors: a folder that holds a log already is left as it is.
pub fn initialise(state: &Path, cluster: &Cluster, me: ReplicaId) -> Result<(), InitialiseError> {
    initialise_sized(state, cluster, me, SEGMENT_BYTES)
}

/// As `initialise`, with segments of `segment_bytes` bytes: less disk for demonstrations and tests.
pub fn initialise_sized(
    state: &Path,
    cluster: &Cluster,
    me: ReplicaId,
    segment_bytes: u64,
) -> Result<(), InitialiseError> {
    let folder = StateFolder::create(state)?;
    let genesis = pbft::Record::Genesis { cluster_digest: cluster.digest(), me };
    Wal::create(Box::new(SegmentFolder::new(folder)), segment_bytes, &genesis.to_bytes())?;
    Ok(())
}
