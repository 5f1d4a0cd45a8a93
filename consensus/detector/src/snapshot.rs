//! What survives a restart, as a text: one fact a line, words with one space between, numbers in decimal.
//!
//! ```text
//! quorate-detector 1                                   the version; a later one is refused
//! cluster ME N F                                       whose opinion, of how many, how many of them may be faulty
//! saved WALL_MS
//! reputation ID SCORE AVERAGE RECENT INTERACTIONS SUCCESSFUL EARNS_IN_MS
//! counts ID MESSAGES CHECKED FAILED UP_MS WATCHED_MS RIGHT WRONG LAST_SEEN_MS|-
//! offence ID NAME COUNT                                those that happened
//! proof ID FINGERPRINT                                 proofs that are known, oldest first, in hexadecimal
//! proven ID COUNT HELD_FOR_MS
//! change ID WALL_MS EVENT DELTA SCORE                  the history of the score, oldest first
//! strikes ID proven|signatures COUNT FORGOTTEN_IN_MS
//! quarantine ID UNTIL_WALL_MS LEFT_MS proven|signatures NAME|COUNT STRIKE     what is left counts; the time is for people
//! trust LOW HIGH EDGE
//! end                                                  so that a part of it is not taken for the whole
//! ```
//!
//! Latencies, lateness and participation are not kept: they are of a network and of processes that may have changed. Spans count from `saved`; the time between
//! is taken off when it is read, by the wall clock, and never counts as less than nothing.

use std::fmt::Write;

use certificate::ReplicaId;
use pbft::Now;

use crate::peer::Peer;
use crate::quarantine::{Held, Strikes};
use crate::{Detector, Offence, Reason};

/// The version that is written, and the latest that is read.
pub(crate) const VERSION: u32 = 1;

impl Detector {
    /// What is to survive a restart, at most [`SNAPSHOT_BYTES_MAX`](crate::SNAPSHOT_BYTES_MAX) long; [`Detector::restore`] reads it. For the form see `snapshot.rs`.
    pub fn snapshot(&self, now: Now) -> String {
        let mut text = String::new();
        self.write(&mut text, now).expect("a string takes whatever is written");
        text
    }

    fn write(&self, text: &mut String, now: Now) -> std::fmt::Result {
        let (count, faults) = (self.replicas.count(), self.replicas.faults());
        writeln!(text, "quorate-detector {VERSION}")?;
        writeln!(text, "cluster {} {count} {faults}", self.me)?;
        writeln!(text, "saved {}", now.wall_ms)?;
        for (replica, peer) in &self.peers {
            self.write_peer(text, *replica, peer, now.monotonic_ms)?;
        }
        for (kind, strikes) in
            [("proven", &self.quarantine.proven), ("signatures", &self.quarantine.signatures)]
        {
            for (replica, mut strikes) in strikes.iter().map(|(replica, strikes)| (replica, *strikes)) {
                strikes.forget(now.monotonic_ms);
                let Strikes { count, forgotten_ms } = strikes;
                if count == 0 {
                    continue;
                }
                let left = forgotten_ms.saturating_sub(now.monotonic_ms);
                writeln!(text, "strikes {replica} {kind} {count} {left}")?;
            }
        }
        for (replica, Held { until_monotonic_ms, shown }) in &self.quarantine.held {
            let left = until_monotonic_ms.saturating_sub(now.monotonic_ms);
            if left == 0 {
                continue;
            }
            let reason = match shown.reason {
                Reason::Proven(offence) => format!("proven {offence}"),
                Reason::InvalidSignatures(count) => format!("signatures {count}"),
            };
            let until_ms = now.wall_ms.saturating_add(left);
            writeln!(text, "quarantine {replica} {until_ms} {left} {reason} {}", shown.strike)?;
        }
        for (low, high, edge) in self.trust.edges() {
            writeln!(text, "trust {low} {high} {}", edge as f32)?;
        }
        writeln!(text, "end")
    }

    fn write_peer(&self, text: &mut String, id: ReplicaId, peer: &Peer, now_ms: u64) -> std::fmt::Result {
        let ledger = &peer.ledger;
        let score = ledger.score(&self.settings, now_ms);
        let (average, recent) = (ledger.historical_average, ledger.recent);
        let (interactions, successful) = (ledger.interactions, ledger.successful);
        let earns_in = ledger.earns_from_ms.saturating_sub(now_ms);
        writeln!(text, "reputation {id} {score} {average} {recent} {interactions} {successful} {earns_in}")?;
        let Peer { messages, checked, failed, up_ms, watched_ms, accuracy, .. } = peer;
        let seen = peer.last_seen_ms.map_or("-".to_owned(), |wall_ms| wall_ms.to_string());
        let (right, wrong) = (accuracy.right, accuracy.wrong);
        writeln!(
            text,
            "counts {id} {messages} {checked} {failed} {up_ms} {watched_ms} {right} {wrong} {seen}"
        )?;
        for (offence, count) in Offence::ALL.into_iter().zip(peer.offences).filter(|(_, count)| *count > 0) {
            writeln!(text, "offence {id} {offence} {count}")?;
        }
        for fingerprint in &peer.proofs {
            writeln!(text, "proof {id} {fingerprint:016x}")?;
        }
        if peer.proven > 0 {
            let held = peer.proven_until_ms.saturating_sub(now_ms);
            writeln!(text, "proven {id} {} {held}", peer.proven)?;
        }
        for change in &ledger.history {
            let (wall_ms, event) = (change.wall_ms, change.event.name());
            writeln!(text, "change {id} {wall_ms} {event} {} {}", change.delta, change.score)?;
        }
        Ok(())
    }
}
