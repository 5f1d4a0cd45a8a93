//! What a node asks of the program around it.

use std::sync::{Arc, RwLock};

use bytes::Bytes;
use certificate::{Digest, ReplicaId};

use crate::{NodeHandle, Round};

/// The host in charge, which a reload may replace.
pub(crate) type HostCell = Arc<RwLock<Arc<dyn Host>>>;

/// The program around a node. All methods but `told` and `content` are called on the driver's thread; all but `content` must return at once: work is
/// handed on.
///
/// Work that outlives the call may keep a clone of the handle; a host that keeps one for good keeps the node running until
/// `NodeHandle::shutdown`.
pub trait Host: Send + Sync + 'static {
    /// Look this up on our own path, then call `NodeHandle::observed`; or, when another replica asks for what is certified already,
    /// `NodeHandle::answer`.
    fn lookup(&self, node: &NodeHandle, lookup: pbft::Lookup);

    /// A slot whose answers are certain before its commits are in: a fast quorum voted for it. Comes before `decided` of that slot, which says
    /// the same with the certificate; not for every slot, in no order, at most once for each since the start. Never with the fast path off.
    fn early(&self, early: &pbft::Early);

    /// A slot was decided and executed. Slots come in order; after a restart only those that were not executed before it.
    fn decided(&self, decided: &pbft::Decided);

    /// How long it took to agree on a slot, and how much is in it; after `decided` of that slot. For graphs.
    fn measured(&self, round: &Round) {
        let _ = round;
    }

    /// A peer returned a certified answer to a request of ours. Not verified here.
    fn answered(&self, from: ReplicaId, operation: Digest, bytes: &[u8]);

    /// The replica did not take a request or observation: too many are open, or the payload is malformed or too long.
    fn refused(&self, operation: Digest);

    /// A peer misbehaved, or something looks like it; or this replica found that it must not vote any more.
    fn fault(&self, fault: &pbft::Fault);

    /// A peer tells all others something: at most `NEWS_BYTES_MAX` bytes, of any content. Nothing vouches for it but that `from` sent it. Called on the
    /// threads that move messages: returns at once.
    fn told(&self, from: ReplicaId, bytes: Bytes) {
        let _ = (from, bytes);
    }

    /// What has this digest (SHA-256), for a peer that asks; not given when it is longer than `CONTENT_BYTES_MAX`. Called on threads where it may
    /// read a file, some at once. Best a clone of what is held anyway.
    fn content(&self, digest: &Digest) -> Option<Bytes> {
        let _ = digest;
        None
    }
}
