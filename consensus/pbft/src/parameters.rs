//! What the replica is told at its start, and every bound on what a peer can make it hold.

use certificate::{Digest, Domain, ReplicaId, Replicas};

use crate::planted::Switch;

/// Most bytes of an operation's subject.
pub const SUBJECT_BYTES_MAX: usize = 1024;
/// Most bytes of an observation's encoding in the smallest cluster; [`Parameters::observation_bytes_max`] says the bound of this one.
pub const OBSERVATION_BYTES_MAX: usize = 8192;
/// Most observations under one signature.
pub const OBSERVATIONS_PER_SET_MAX: usize = 16;
/// A micro-batch of own observations is sealed when it has so many bytes.
pub const OBSERVE_BYTES_MAX: usize = 32 * 1024;
/// Most entries that any cluster file can allow in a batch.
pub const BATCH_ENTRIES_MAX: usize = 1024;
/// Most bytes of a message's encoding, uncompressed.
pub const MESSAGE_BYTES_MAX: usize = 65_536;
/// Most bytes of a certified answer in an `Answer` message.
pub const ANSWER_BYTES_MAX: usize = 60_000;
/// Bytes of certified answers that go to one peer within [`ANSWER_WINDOW_MS`]; the rest it finds out itself.
pub const ANSWER_BYTES_PER_WINDOW_MAX: usize = 1024 * 1024;
/// See [`ANSWER_BYTES_PER_WINDOW_MAX`].
pub const ANSWER_WINDOW_MS: u64 = 100;
/// Bytes of state in one `StateChunk`.
pub const STATE_CHUNK_BYTES_MAX: usize = 48 * 1024;
/// Chunks of a state that are asked for ahead of what came.
pub const TRANSFER_CHUNKS_AHEAD_MAX: usize = 8;
/// Most bytes of a checkpoint's state: what [`USED_OBSERVATIONS_MAX`] and one pipeline more need.
pub const STATE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of a record's encoding: a stable checkpoint with the largest state.
pub const RECORD_BYTES_MAX: usize = STATE_BYTES_MAX + MESSAGE_BYTES_MAX;
/// Observations remembered as used by the decided log. When there are more, the oldest are forgotten and no observation that old
/// counts any more, by the same rule on every replica.
pub const USED_OBSERVATIONS_MAX: usize = 100_000;
/// A proposal whose time is further from our clock than this is an alarm; one that is so far ahead gets no vote.
pub const CLOCK_SKEW_MAX_MS: u64 = 60_000;
/// The longest pipeline that a cluster file can allow.
pub const PIPELINE_MAX: u64 = 16;
/// Requests that may be open because one replica asked. The oldest are decided first, whoever asked: so many of a peer that floods may come
/// before everybody else's, half a second's work of a cluster that decides a thousand a second.
pub const OPEN_REQUESTS_PER_ORIGIN_MAX: usize = 512;
/// Requests that may be open because of one replica's observations alone.
pub const OPENED_BY_OBSERVATIONS_MAX: usize = 256;
/// Bytes of observations of one replica that are held; those for what one replica asked have an nth part of it.
pub const HELD_BYTES_PER_REPLICA_MAX: usize = 4 * 1024 * 1024;
/// Signatures of observations remembered as valid.
pub const VERIFIED_SETS_MAX: usize = 8192;
/// Operations whose last slot is remembered, so that late observations of them open nothing.
pub const DECIDED_OPERATIONS_MAX: usize = 65_536;
/// Views for which a vote of one replica is kept for one slot and phase.
pub const VOTE_VIEWS_MAX: usize = 2;
/// Bodies kept for a slot beside the one accepted last: what was accepted in earlier views.
pub const BODIES_PER_SLOT_MAX: usize = 4;
/// Checkpoint votes kept of one replica.
pub const CHECKPOINTS_PER_REPLICA_MAX: usize = 4;
/// Decided slots sent for one `Fetch`.
pub const FETCH_SLOTS_MAX: u64 = 16;
/// Bytes of slots sent for one `Fetch`, unless one slot alone has more.
pub const FETCH_BYTES_MAX: usize = 256 * 1024;
/// Things that one peer asked for and that wait to be sent.
pub const FETCHES_WAITING_MAX: usize = 32;
/// Bytes of slots and state sent to one peer in a millisecond, over time.
pub const FETCH_BYTES_PER_MS: u64 = 8192;

/// How long things wait, in milliseconds. None of them decides what is agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// The primary waits so long for the rest once it has q observations.
    pub grace_ms: u64,
    /// A batch that is not full is sealed after so long.
    pub batch_wait_ms: u64,
    /// Own observations wait so long for others to be signed with.
    pub observe_wait_ms: u64,
    /// A backup with q observations relays them to the primary after so long without a proposal.
    pub relay_ms: u64,
    /// The first consensus timer: proposable work without progress for so long makes the primary suspect.
    pub suspect_ms: u64,
    /// The first wait for a NEW-VIEW once n-f replicas want one; doubles with each view that fails, up to `view_change_most_ms`.
    pub view_change_ms: u64,
    /// The longest such wait, and the longest the primary of a view is waited for.
    pub view_change_most_ms: u64,
    /// Stored messages are sent again after so long without progress; doubles up to `resend_most_ms`.
    pub resend_ms: u64,
    /// The longest wait between two such sends.
    pub resend_most_ms: u64,
    /// A peer that is asked for slots or state has so long to answer; doubles up to `resend_most_ms`.
    pub fetch_ms: u64,
    /// A request without q observations is given up after so long.
    pub request_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            grace_ms: 10,
            batch_wait_ms: 2,
            observe_wait_ms: 2,
            relay_ms: 40,
            suspect_ms: 100,
            view_change_ms: 1000,
            view_change_most_ms: 60_000,
            resend_ms: 200,
            resend_most_ms: 2000,
            fetch_ms: 300,
            request_ms: 5000,
        }
    }
}

/// A wait that doubles each time, up to the longest.
pub(crate) fn doubled(first_ms: u64, times: u32, most_ms: u64) -> u64 {
    first_ms.saturating_mul(1 << times.min(32)).min(most_ms)
}

/// How fast this replica proposes when it is primary: at most what the cluster file allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Entries at which a batch is sealed.
    pub entries: usize,
    /// Slots in flight.
    pub pipeline: u64,
}

/// Who the replica is, the rules of the cluster file, and its waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// This replica.
    pub me: ReplicaId,
    /// n and f.
    pub replicas: Replicas,
    /// What every signature names.
    pub domain: Domain,
    /// Digest of the cluster file.
    pub cluster_digest: Digest,
    /// K: a checkpoint every so many slots.
    pub checkpoint_interval: u64,
    /// L: how far the high water mark is above the low one.
    pub window: u64,
    /// Most entries in a batch.
    pub batch_entries: usize,
    /// Most bytes of a batch's encoding.
    pub batch_bytes: usize,
    /// A header's prefix is at most so many slots back.
    pub pipeline: u64,
    /// Observations count when they are at most so much older than the log.
    pub observation_window_ms: u64,
    /// Own limits as primary.
    pub pace: Pace,
    /// Waits.
    pub timeouts: Timeouts,
    /// Whether answers are released as soon as a fast quorum of PREPAREs is in. What a new view counts does not depend on it.
    pub fast_path: bool,
    /// For tests of the tests.
    pub switch: Switch,
}

impl Parameters {
    /// The defaults of the cluster file for a cluster of `replicas`.
    pub fn new(me: ReplicaId, replicas: Replicas, domain: Domain, cluster_digest: Digest) -> Parameters {
        Parameters {
            me,
            replicas,
            domain,
            cluster_digest,
            checkpoint_interval: 100,
            window: 132,
            batch_entries: 50,
            batch_bytes: 49_152,
            pipeline: 3,
            observation_window_ms: 10_000,
            pace: Pace { entries: 50, pipeline: 3 },
            timeouts: Timeouts::default(),
            fast_path: true,
            switch: Switch::NONE,
        }
    }

    /// Most bytes of an observation's encoding: n of them, each under a signature of its own with 15 pruned neighbours, fit into one
    /// batch. An own observation that is longer is refused (`Ready::refused`), that of a peer is a fault.
    pub fn observation_bytes_max(&self) -> usize {
        let set = 1 + crate::observation::SET_OVERHEAD_BYTES + (OBSERVATIONS_PER_SET_MAX - 1) * (1 + 32);
        let entry = crate::batch::BATCH_OVERHEAD_BYTES + 3 + SUBJECT_BYTES_MAX;
        let share = self.batch_bytes.saturating_sub(entry) / self.replicas.count();
        share.saturating_sub(set).min(OBSERVATION_BYTES_MAX)
    }

    /// Panics when the parameters cannot be those of a checked cluster file.
    pub(crate) fn assert_possible(&self) {
        assert!(self.replicas.contains(self.me), "this replica is a member");
        assert!(self.checkpoint_interval > 0, "the cluster file has a checkpoint interval of at least 1");
        assert!(
            self.pipeline > 0 && self.pipeline <= self.checkpoint_interval.min(PIPELINE_MAX),
            "the pipeline fits an interval"
        );
        assert!(
            self.window >= self.checkpoint_interval + self.pipeline,
            "the window holds a checkpoint in flight"
        );
        assert!(self.batch_entries > 0 && self.batch_entries <= BATCH_ENTRIES_MAX, "a batch has an entry");
        assert!(self.batch_bytes <= MESSAGE_BYTES_MAX - 4096, "a batch fits into a message");
        assert!(self.observation_bytes_max() > 0, "a batch holds an observation of every replica");
        assert!(
            self.pace.pipeline > 0 && self.pace.pipeline <= self.pipeline,
            "the own pace is within the rules"
        );
        assert!(
            self.pace.entries > 0 && self.pace.entries <= self.batch_entries,
            "the own pace is within the rules"
        );
    }
}
