//! What is kept of one replica: counts and sketches of fixed size, whatever it sends.

use std::collections::VecDeque;

use crate::accuracy::Accuracy;
use crate::anomaly::median;
use crate::decaying::Decaying;
use crate::participation::Participation;
use crate::reputation::Ledger;
use crate::sketch::{Quantiles, Sketch};
use crate::{Indicator, Offence, Settings};

/// So many of the last slots say how late a replica's commits are.
pub const LATENESS_MAX: usize = 64;

/// So many proofs against one replica are remembered, to know an old one when it comes again.
pub const PROOFS_MAX: usize = 64;

/// Counts of what a replica did wrong lately are halved after so long, in milliseconds.
pub const OFFENCES_HALF_LIFE_MS: u64 = 10 * 60_000;

/// Counts of messages and of time are halved when they reach these, so that rates follow what changes.
const MESSAGES_MAX: u64 = 1 << 16;
const WATCHED_MS_MAX: u64 = 24 * 3_600_000;

/// What is known of one replica, in figures.
#[derive(Clone, PartialEq, Debug)]
pub struct Statistics {
    /// How long after f+1 replicas had voted in a slot this one's commit came.
    pub latency: Quantiles,
    /// How long after a question was known here its observation came.
    pub lookup: Quantiles,
    /// How much later its commits come than those of the others, in milliseconds: the median of the last slots. Negative when earlier.
    pub lateness_ms: f64,
    /// Right observations of those that could be judged, 0 to 1.
    pub accuracy: f64,
    /// How many could.
    pub judged: u32,
    /// The part of the time in which there was a channel, 0 to 1.
    pub uptime: f64,
    /// Messages without an invalid signature of all messages, 0 to 1.
    pub signature_success: f64,
    /// Slots in which it voted, of those in which it was connected, 0 to 1.
    pub participation: f64,
    /// How many slots that is of.
    pub slots: u32,
    /// When its last message came, wall clock, milliseconds since 1970.
    pub last_seen_ms: Option<u64>,
    /// Whether there is a channel.
    pub connected: bool,
    /// Messages that could be read.
    pub total_messages: u64,
    /// Messages a second, lately.
    pub message_rate: f64,
    /// How often it did what wrong, of what it did at all.
    pub offences: Vec<(Offence, u64)>,
    /// How often it was called Byzantine since the start of this process, ...
    pub labels: u64,
    /// ... and how many of these labels a proof bears out, whether it was there before or came later. That the others were wrong is not said by that: most of
    /// what a liar does leaves no proof.
    pub labels_confirmed: u64,
}

/// A tightened bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tight {
    pub(crate) factor: u32,
    pub(crate) raised_ms: u64,
    pub(crate) until_ms: u64,
    pub(crate) reason: Indicator,
}

#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) connected_since: Option<u64>,
    /// When its channel went, while it is not yet clear whether it is the peer that is gone.
    pub(crate) gone_since: Option<u64>,
    pub(crate) up_ms: u64,
    pub(crate) watched_ms: u64,
    pub(crate) last_seen_ms: Option<u64>,
    pub(crate) messages: u64,
    pub(crate) checked: u64,
    pub(crate) failed: u64,
    pub(crate) window_messages: u32,
    /// Questions beyond its quota in the window.
    pub(crate) window_over_quota: u32,
    pub(crate) message_rate: f64,
    pub(crate) latency: Sketch,
    pub(crate) lookup: Sketch,
    pub(crate) lateness: VecDeque<f32>,
    pub(crate) participation: Participation,
    pub(crate) accuracy: Accuracy,
    pub(crate) offences: [u64; Offence::ALL.len()],
    pub(crate) violations: Decaying,
    pub(crate) bad_signatures: Decaying,
    /// Since it was shut out for them last.
    pub(crate) fresh_bad_signatures: Decaying,
    pub(crate) proofs: VecDeque<u64>,
    /// How many different proofs there were, and until when the last is held against it, monotonic.
    pub(crate) proven: u32,
    pub(crate) proven_until_ms: u64,
    pub(crate) ledger: Ledger,
    pub(crate) late: bool,
    pub(crate) floods: bool,
    pub(crate) tight: Option<Tight>,
    /// Since when it is called Byzantine, and when that was last seen to hold.
    pub(crate) labelled: Option<(u64, u64)>,
    /// How often it was called that.
    pub(crate) labels: u64,
}

impl Peer {
    pub(crate) fn new(settings: &Settings, now_ms: u64) -> Peer {
        Peer {
            connected_since: None,
            gone_since: None,
            up_ms: 0,
            watched_ms: 0,
            last_seen_ms: None,
            messages: 0,
            checked: 0,
            failed: 0,
            window_messages: 0,
            window_over_quota: 0,
            message_rate: 0.0,
            latency: Sketch::default(),
            lookup: Sketch::default(),
            lateness: VecDeque::new(),
            participation: Participation::default(),
            accuracy: Accuracy::default(),
            offences: [0; Offence::ALL.len()],
            violations: Decaying::default(),
            bad_signatures: Decaying::default(),
            fresh_bad_signatures: Decaying::default(),
            proofs: VecDeque::new(),
            proven: 0,
            proven_until_ms: 0,
            ledger: Ledger::new(settings, now_ms),
            late: false,
            floods: false,
            tight: None,
            labelled: None,
            labels: 0,
        }
    }

    pub(crate) fn message(&mut self, wall_ms: u64) {
        self.last_seen_ms = Some(wall_ms);
        self.messages = self.messages.saturating_add(1);
        self.window_messages = self.window_messages.saturating_add(1);
        self.checked += 1;
        if self.checked >= MESSAGES_MAX {
            (self.checked, self.failed) = (self.checked / 2, self.failed / 2);
        }
    }

    pub(crate) fn bad_signature(&mut self, now_ms: u64) {
        self.failed = self.failed.saturating_add(1);
        self.checked = self.checked.max(self.failed);
        self.bad_signatures.add(1.0, now_ms, OFFENCES_HALF_LIFE_MS);
        self.fresh_bad_signatures.add(1.0, now_ms, OFFENCES_HALF_LIFE_MS);
    }

    pub(crate) fn offence(&mut self, offence: Offence) {
        let count = &mut self.offences[offence as usize];
        *count = count.saturating_add(1);
    }

    /// So much time went by in which this replica watched.
    pub(crate) fn watched(&mut self, elapsed_ms: u64) {
        self.watched_ms = self.watched_ms.saturating_add(elapsed_ms);
        if self.connected_since.is_some() {
            self.up_ms = self.up_ms.saturating_add(elapsed_ms);
        }
        if self.watched_ms >= WATCHED_MS_MAX {
            (self.watched_ms, self.up_ms) = (self.watched_ms / 2, self.up_ms / 2);
        }
    }

    pub(crate) fn lateness(&mut self, ms: f64) {
        self.lateness.push_back(ms as f32);
        if self.lateness.len() > LATENESS_MAX {
            self.lateness.pop_front();
        }
    }

    pub(crate) fn typical_lateness(&self) -> f64 {
        median(&mut self.lateness.iter().map(|ms| f64::from(*ms)).collect::<Vec<f64>>())
    }

    /// Whether this proof is a new one. Remembers it.
    pub(crate) fn is_new_proof(&mut self, fingerprint: u64) -> bool {
        if self.proofs.contains(&fingerprint) {
            return false;
        }
        self.proofs.push_back(fingerprint);
        if self.proofs.len() > PROOFS_MAX {
            self.proofs.pop_front();
        }
        true
    }

    pub(crate) fn uptime(&self) -> f64 {
        if self.watched_ms == 0 { 1.0 } else { self.up_ms as f64 / self.watched_ms as f64 }
    }

    pub(crate) fn signature_success(&self) -> f64 {
        if self.checked == 0 { 1.0 } else { 1.0 - self.failed as f64 / self.checked as f64 }
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let offences = Offence::ALL.into_iter().zip(self.offences).filter(|(_, count)| *count > 0);
        Statistics {
            latency: self.latency.quantiles(),
            lookup: self.lookup.quantiles(),
            lateness_ms: self.typical_lateness(),
            accuracy: self.accuracy.rate(),
            judged: self.accuracy.judged(),
            uptime: self.uptime(),
            signature_success: self.signature_success(),
            participation: self.participation.rate(),
            slots: self.participation.counted(),
            last_seen_ms: self.last_seen_ms,
            connected: self.connected_since.is_some(),
            total_messages: self.messages,
            message_rate: self.message_rate,
            offences: offences.collect(),
            labels: self.labels,
            labels_confirmed: if self.proven > 0 { self.labels } else { 0 },
        }
    }
}
