//! The streams of a connection by what they carry, and the bounds of each.

use certificate::Cluster;
use pbft::Message;

use crate::frame::FrameRules;

/// The longest piece of news, in bytes.
pub const NEWS_BYTES_MAX: usize = 16 << 10;

/// How news stands on its stream.
pub(crate) const NEWS_RULES: FrameRules =
    FrameRules { message_bytes_max: NEWS_BYTES_MAX, compression: false };

/// Which stream a message takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Class {
    Consensus = 0,
    Bulk = 1,
    /// What the hosts tell each other; no message of `pbft`.
    News = 2,
}

impl Class {
    /// A `Status` ends the answer to a `Fetch`: it goes behind the slots, so that whoever asked does not take it for an answer
    /// without any. Nothing urgent hangs on it: it says how far a replica is, and is said again.
    pub(crate) fn of(message: &Message) -> Class {
        match message {
            Message::Slot(_)
            | Message::StableCheckpoint(_)
            | Message::Status(_)
            | Message::Answer { .. }
            | Message::Batch { .. } => Class::Bulk,
            Message::Resolve { .. }
            | Message::Observe(_)
            | Message::PrePrepare(_)
            | Message::Prepare(_)
            | Message::Commit(_)
            | Message::Checkpoint(_)
            | Message::ViewChange(_)
            | Message::NewView(_)
            | Message::Fetch { .. }
            | Message::FetchBatch { .. }
            | Message::FetchViewChange { .. }
            | Message::FetchState { .. } => Class::Consensus,
        }
    }
}

/// The bounds of each class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClassRules {
    pub consensus: FrameRules,
    pub bulk: FrameRules,
}

impl ClassRules {
    /// `message-size` of the cluster file bounds consensus, but for the view changes of a large cluster. Parts of a state and decided
    /// slots have bounds of their own.
    pub(crate) fn new(cluster: &Cluster, compression: bool) -> ClassRules {
        let message_size = cluster.message_size as usize;
        let view_change = pbft::view_change_bytes_max(cluster.replicas.quorum(), cluster.pipeline.into());
        let bulk = message_size.max(pbft::MESSAGE_BYTES_MAX);
        ClassRules {
            consensus: FrameRules { message_bytes_max: message_size.max(view_change), compression },
            bulk: FrameRules { message_bytes_max: bulk, compression },
        }
    }

    pub(crate) fn of(&self, class: Class) -> FrameRules {
        match class {
            Class::Consensus => self.consensus,
            Class::Bulk => self.bulk,
            Class::News => NEWS_RULES,
        }
    }
}
