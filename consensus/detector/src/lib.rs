//! Who misbehaves: statistics, reputation, assessment and quarantine of the other replicas. Pure: time and events come in, steps come out.
//!
//! A [`Detector`] is one replica's opinion of the others, for its operator and its own doors. It counts no vote and is seen by nothing that does: `pbft` can
//! not name this crate. What always holds:
//!
//! - **Lateness and absence never make the label**, nor a quarantine: partitions and slow machines do that to honest replicas.
//! - **Everybody is compared with the others**, in the same slots: when all are late, nobody is; when this replica slept, what was open is thrown away; when more
//!   than f look Byzantine without proof, none is called that.
//! - **At most f replicas are shut out at once**, each for a time.
//! - **Memory is bounded** by constants whose name ends in `_MAX`, and no event order panics.
//!
//! Where to find what: `detector.rs` takes events, `compare.rs` is its periodic part; `offence.rs` says what is an offence and `proof.rs` which proof is a new one, `peer.rs` what is kept of a replica;
//! `slots.rs`, `participation.rs`, `accuracy.rs`, `sketch.rs`, `anomaly.rs` and `decaying.rs` are the statistics, `reputation.rs` and `trust.rs` what they come to,
//! `assess.rs` and `quarantine.rs` what follows, `snapshot.rs` and `restore.rs` what survives a restart.

mod accuracy;
mod anomaly;
mod assess;
mod compare;
mod decaying;
mod detector;
mod event;
mod offence;
mod participation;
mod peer;
mod proof;
mod quarantine;
mod reputation;
mod restore;
mod settings;
mod sketch;
mod slots;
mod snapshot;
mod trust;

pub use accuracy::{DISSENT_MAX, NAMES_MAX, STABLE_DECISIONS, STABLE_MS, Testimony, Witnesses};
pub use anomaly::OUTLIER_SCORE;
pub use assess::*;
pub use compare::{
    COMPARE_MS, FLOOD_RATE, FLOOD_TIMES, LATE_MS, LATENESS_MIN, OVER_QUOTA_MIN, TIGHT_MAX, TIGHT_MS,
    TIGHTER_AFTER_MS,
};
pub use detector::{Detector, LABEL_HELD_MS, PAUSE_MS, SETTLE_MS};
pub use event::{Event, Phase, Release, Step};
pub use offence::{FaultClass, Notice, Offence};
pub use participation::SLOTS_MAX;
pub use pbft::Now;
pub use peer::{LATENESS_MAX, OFFENCES_HALF_LIFE_MS, PROOFS_MAX, Statistics};
pub use quarantine::{
    PROVEN_SPAN_MS, Quarantined, Reason, SIGNATURES_SPAN_MS, SPAN_MAX_MS, STRIKE_FORGOTTEN_MS,
};
pub use reputation::{Change, HISTORY_MAX, KIND_MAX, PROBATION_MS, PROVEN_MS, Reputation, ReputationEvent};
pub use restore::{RestoreError, SNAPSHOT_BYTES_MAX};
pub use settings::{HALF_LIFE_MS, PRIOR, Settings, THRESHOLD};
pub use sketch::{ACCURACY, LONGEST_MS, Quantiles, SAMPLES_MAX};
pub use slots::{AHEAD_MAX, GRACE_MS, WATCHED_MAX};
pub use trust::{TRUST_PRIOR, TrustGraph};
