//! What must hold after every step of every honest replica, whatever the others do. Each check is a file; with its id: S1 to S12.
//!
//! The checks know the messages, records and reports of a step, never the inside of a replica. They are incremental: a step costs what it did.

mod agreement;
mod bounds;
mod certificates;
mod execution;
mod innocence;
mod marks;
mod new_views;
mod recomputation;
mod signatures;
mod stability;
mod support;

use std::fmt;

use certificate::{Digest, ReplicaId, ReplicaSet, Sequence, merkle};
use pbft::{Message, Parameters, Ready, Record, Status};

use crate::application::{Judge, Sight};
use crate::keys::Keys;
use crate::scenario::Shape;

/// Which check failed: those of every step, and those of the end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Check {
    /// Agreement per slot and of the decided prefix.
    S1,
    /// One digest for a view, slot and phase, stored before it is sent.
    S2,
    /// Decided batches pass recomputation.
    S3,
    /// Certificates verify, and none contradicts another.
    S4,
    /// Executed in order, without gaps; what is decided stays so.
    S5,
    /// Stable checkpoints are equal.
    S6,
    /// Water marks are monotone.
    S7,
    /// Bounds of memory and messages.
    S8,
    /// Nobody honest is accused with proof.
    S9,
    /// Nothing wins that fewer than f+1 support.
    S10,
    /// New views follow from exactly n-f view changes.
    S11,
    /// No detector calls an honest replica Byzantine, or shuts it out: judged in `world/watching.rs`.
    S12,
    /// Requests after the network healed are decided.
    L1,
    /// Views stop changing.
    L2,
    /// Who is behind catches up.
    L3,
    /// The fast path is taken when nothing errs.
    L4,
    /// A replica panicked, or refused its own log.
    Crash,
}

/// A check that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub check: Check,
    /// In virtual milliseconds.
    pub at_ms: u64,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} ms: {}", self.check, self.at_ms, self.found)
    }
}

/// One step of an honest replica.
pub struct Step<'a> {
    /// Who.
    pub replica: ReplicaId,
    /// Virtual milliseconds.
    pub now_ms: u64,
    /// What came out.
    pub ready: &'a Ready,
    /// How it stands after it.
    pub status: &'a Status,
}

/// By what the checks judge.
pub struct Laws {
    /// n and f.
    pub shape: Shape,
    /// The rules, those of any replica.
    pub parameters: Parameters,
    /// To verify signatures with.
    pub keys: Keys,
    /// To read leaves with.
    pub judge: Judge,
    /// Who does not do as he pleases.
    pub honest: ReplicaSet,
    /// Whether messages are encoded, to be measured.
    pub wire: bool,
    /// A check that is not made: a hunt shows what others find.
    pub blind: Option<Check>,
}

impl Laws {
    /// q, computed here and not by the product: ceil((n+f+1)/2).
    pub fn quorum(&self) -> usize {
        (self.shape.count as usize + self.shape.faults as usize + 1).div_ceil(2)
    }
}

/// All checks with what they remember.
pub struct Court {
    /// By what they judge.
    pub laws: Laws,
    agreement: agreement::Agreement,
    signatures: signatures::Signatures,
    recomputation: recomputation::Recomputation,
    certificates: certificates::Certificates,
    execution: execution::Execution,
    stability: stability::Stability,
    marks: marks::Marks,
    support: support::Support,
    new_views: new_views::NewViews,
}

impl Court {
    /// Before the first step.
    pub fn new(laws: Laws) -> Court {
        Court {
            laws,
            agreement: Default::default(),
            signatures: Default::default(),
            recomputation: Default::default(),
            certificates: Default::default(),
            execution: Default::default(),
            stability: Default::default(),
            marks: Default::default(),
            support: Default::default(),
            new_views: Default::default(),
        }
    }

    /// Judges a step of an honest replica.
    pub fn step(&mut self, step: &Step<'_>) -> Result<(), Violation> {
        let laws = &self.laws;
        let verdicts = [
            (Check::S1, self.agreement.check(step)),
            (Check::S2, self.signatures.check(step, laws)),
            (Check::S3, self.recomputation.check(step, laws)),
            (Check::S4, self.certificates.check(step, laws)),
            (Check::S5, self.execution.check(step, laws)),
            (Check::S6, self.stability.check(step)),
            (Check::S7, self.marks.check(step)),
            (Check::S8, bounds::check(step, laws)),
            (Check::S9, innocence::check(step, laws)),
            (Check::S10, self.support.check(step, laws)),
            (Check::S11, self.new_views.check(step, laws)),
        ];
        for (check, verdict) in verdicts.into_iter().filter(|(check, _)| Some(*check) != laws.blind) {
            verdict.map_err(|found| Violation {
                check,
                at_ms: step.now_ms,
                found: format!("replica {}: {found}", step.replica),
            })?;
        }
        Ok(())
    }

    /// A message of anybody, also of liars: certificates in it may not contradict each other.
    pub fn hear(&mut self, now_ms: u64, message: &Message) -> Result<(), Violation> {
        let found = self.certificates.hear(message, &self.laws);
        found.map_err(|found| Violation { check: Check::S4, at_ms: now_ms, found })
    }

    /// An honest replica sent this before the power went, though its records were not stored: what it says later may not contradict it.
    pub fn sent(&mut self, replica: ReplicaId, ready: &Ready) {
        self.signatures.sent(replica, ready, &self.laws);
    }

    /// An honest replica is back, as its log has it.
    pub fn restarted(&mut self, replica: ReplicaId, status: &Status, records: &[Record]) {
        self.execution.restarted(replica, status.executed);
        self.marks.restarted(replica, status);
        self.signatures.restarted(replica, records, &self.laws);
        self.new_views.restarted(records, &self.laws);
    }

    /// An honest replica lost its disk: where it stood is gone, what it signed is not.
    pub fn lost_disk(&mut self, replica: ReplicaId) {
        self.marks.lost_disk(replica);
        self.signatures.lost_disk(replica);
    }

    /// An honest replica saw this for the operation of a number.
    pub fn sighted(&mut self, number: u64, sight: Sight) {
        self.support.sighted(number, sight);
    }

    /// Forgets what was said about slots below this one, and what was seen for requests below that number: of runs that never end.
    pub fn forget(&mut self, slot: u64, number: u64) {
        let slot = Sequence(slot);
        self.agreement.forget(slot);
        self.signatures.forget(slot);
        self.recomputation.forget(slot);
        self.certificates.forget(slot);
        self.execution.forget(slot);
        self.stability.forget(slot);
        self.support.forget(number);
    }

    /// How many slots were decided.
    pub fn decided(&self) -> usize {
        self.agreement.decided()
    }
}

/// The root of leaves as headers carry it.
fn root(leaves: &[Vec<u8>]) -> Digest {
    if leaves.is_empty() { Digest::ZERO } else { merkle::root(leaves) }
}

/// The first record of a step that replaces the log before it, as slot and digest.
fn stable_of(ready: &Ready) -> Option<(Sequence, Digest)> {
    ready.persist.iter().find_map(|record| match record {
        Record::Stable { certificate, .. } => Some((certificate.sequence, certificate.digest)),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
