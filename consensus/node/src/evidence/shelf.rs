//! Which evidence is kept, and under which name: `NUMBER-KIND-REPLICA.txt`.
//!
//! Of proofs the first ones of each kind against each replica, for good: nobody can push out what shows its guilt, neither with
//! later proofs nor with what proves nothing. Of refused proposals, which prove nothing, the last ones of each replica.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::Path;

use certificate::ReplicaId;
use certificate::replicas::REPLICAS_MAX;
use pbft::Fault;

/// Proofs of one kind against one replica that are kept.
pub const PROOFS_PER_KIND_MAX: usize = 4;

/// Refused proposals of one replica that are kept.
pub const REFUSALS_PER_REPLICA_MAX: usize = 16;

/// Files that are kept of all replicas.
pub const EVIDENCE_FILES_MAX: usize =
    REPLICAS_MAX as usize * (PROOF_KINDS * PROOFS_PER_KIND_MAX + REFUSALS_PER_REPLICA_MAX);

/// Refused proposals of one replica that may wait to be written. Of proofs as many may wait as are kept.
const REFUSALS_WAITING_MAX: usize = 4;

const PROOF_KINDS: usize = 4;

/// The faults that hold something signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Equivocation,
    CheckpointEquivocation,
    ViewChangeEquivocation,
    MalformedObservation,
    RefusedProposal,
}

impl Kind {
    const ALL: [Kind; PROOF_KINDS + 1] = [
        Kind::Equivocation,
        Kind::CheckpointEquivocation,
        Kind::ViewChangeEquivocation,
        Kind::MalformedObservation,
        Kind::RefusedProposal,
    ];

    fn name(self) -> &'static str {
        match self {
            Kind::Equivocation => "equivocation",
            Kind::CheckpointEquivocation => "checkpoint-equivocation",
            Kind::ViewChangeEquivocation => "view-change-equivocation",
            Kind::MalformedObservation => "malformed-observation",
            Kind::RefusedProposal => "refused-proposal",
        }
    }

    fn is_proof(self) -> bool {
        self != Kind::RefusedProposal
    }
}

/// What a file is about: who did what.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Topic {
    culprit: ReplicaId,
    kind: Kind,
}

impl Topic {
    /// What evidence of `fault` is about; `None` when it holds nothing signed.
    pub(super) fn of(fault: &Fault) -> Option<Topic> {
        let kind = match fault {
            Fault::Equivocation { .. } => Kind::Equivocation,
            Fault::CheckpointEquivocation { .. } => Kind::CheckpointEquivocation,
            Fault::ViewChangeEquivocation { .. } => Kind::ViewChangeEquivocation,
            Fault::MalformedObservation { .. } => Kind::MalformedObservation,
            Fault::RefusedProposal { .. } => Kind::RefusedProposal,
            _ => return None,
        };
        debug_assert_eq!(kind.is_proof(), fault.is_proof(), "kinds are kept by what they prove");
        Some(Topic { culprit: fault.replica()?, kind })
    }

    /// The name of its file with this number.
    pub(super) fn file_name(self, number: u64) -> String {
        format!("{number:010}-{}-{}.txt", self.kind.name(), self.culprit)
    }

    /// Reads a name back.
    fn from_file_name(name: &str) -> Option<(u64, Topic)> {
        let (number, rest) = name.strip_suffix(".txt")?.split_once('-')?;
        let (kind, culprit) = rest.rsplit_once('-')?;
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind)?;
        Some((number.parse().ok()?, Topic { culprit: ReplicaId(culprit.parse().ok()?), kind }))
    }
}

/// What is on disk, by name, and what waits to be written.
#[derive(Default)]
pub(super) struct Shelf {
    last: u64,
    rows: BTreeMap<Topic, Row>,
}

#[derive(Default)]
struct Row {
    /// The numbers of the files, oldest first.
    kept: VecDeque<u64>,
    waiting: usize,
}

/// Whether a piece of evidence is to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Under this number.
    Take(u64),
    /// There is enough of its kind.
    Enough,
    /// Too much waits.
    Busy,
}

impl Shelf {
    /// Finds what earlier runs have left in `folder`, which may not exist yet.
    pub(super) fn open(folder: &Path) -> io::Result<Shelf> {
        let mut found = Vec::new();
        match fs::read_dir(folder) {
            Ok(entries) => {
                for entry in entries {
                    found.extend(entry?.file_name().to_str().and_then(Topic::from_file_name));
                }
            }
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => {}
            Err(reason) => return Err(reason),
        }
        found.sort_unstable();
        let mut shelf = Shelf::default();
        for (number, topic) in found {
            shelf.last = number;
            shelf.rows.entry(topic).or_default().kept.push_back(number);
        }
        Ok(shelf)
    }

    /// Finds a place for a new file.
    pub(super) fn place(&mut self, topic: Topic) -> Place {
        let row = self.rows.entry(topic).or_default();
        if topic.kind.is_proof() {
            if row.kept.len() + row.waiting >= PROOFS_PER_KIND_MAX {
                return Place::Enough;
            }
        } else if row.waiting >= REFUSALS_WAITING_MAX {
            return Place::Busy;
        }
        row.waiting += 1;
        self.last += 1;
        Place::Take(self.last)
    }

    /// The file is on disk. Returns the number of the one that it replaces, if it does.
    pub(super) fn written(&mut self, topic: Topic, number: u64) -> Option<u64> {
        let row = self.rows.entry(topic).or_default();
        row.waiting -= 1;
        row.kept.push_back(number);
        let full = !topic.kind.is_proof() && row.kept.len() > REFUSALS_PER_REPLICA_MAX;
        if full { row.kept.pop_front() } else { None }
    }

    /// The disk refused the file.
    pub(super) fn failed(&mut self, topic: Topic) {
        self.rows.entry(topic).or_default().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_read_back() {
        for kind in Kind::ALL {
            let topic = Topic { culprit: ReplicaId(30), kind };
            assert_eq!(Topic::from_file_name(&topic.file_name(77)), Some((77, topic)));
        }
        for other in
            ["unfinished", "0000000001.txt", "1-equivocation.txt", "1-treason-2.txt", "x-equivocation-2.txt"]
        {
            assert_eq!(Topic::from_file_name(other), None, "{other}");
        }
    }

    #[test]
    fn refusals_that_wait_are_bounded_for_each_replica() {
        let mut shelf = Shelf::default();
        let topic = |id| Topic { culprit: ReplicaId(id), kind: Kind::RefusedProposal };
        for number in 1..=REFUSALS_WAITING_MAX as u64 {
            assert_eq!(shelf.place(topic(2)), Place::Take(number));
        }
        assert_eq!(shelf.place(topic(2)), Place::Busy);
        assert!(matches!(shelf.place(topic(1)), Place::Take(_)));
        shelf.written(topic(2), 1);
        assert!(matches!(shelf.place(topic(2)), Place::Take(_)));
    }

    #[test]
    fn proof_that_the_disk_refused_leaves_room_for_another() {
        let mut shelf = Shelf::default();
        let topic = Topic { culprit: ReplicaId(2), kind: Kind::Equivocation };
        for _ in 0..PROOFS_PER_KIND_MAX {
            assert!(matches!(shelf.place(topic), Place::Take(_)));
        }
        assert_eq!(shelf.place(topic), Place::Enough);
        shelf.failed(topic);
        assert!(matches!(shelf.place(topic), Place::Take(_)));
    }
}
