//! Which evidence is kept, and under which name: `NUMBER-KIND-REPLICA.txt`.
//!
//! Of proofs the first ones of each kind against each replica, for good: nobody can push out what shows its guilt, neither with
//! later proofs nor with what proves nothing. Of refused proposals, which prove nothing, the last ones of each replica.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;

use certificate::replicas::REPLICAS_MAX;
use certificate::{Digest, Domain, ReplicaId};
use pbft::Fault;

use super::file::EvidenceFile;
use super::kind::EvidenceKind;
use super::listing;

/// Proofs of one kind against one replica that are kept.
pub const PROOFS_PER_KIND_MAX: usize = 4;

/// Refused proposals of one replica that are kept.
pub const REFUSALS_PER_REPLICA_MAX: usize = 16;

/// Files that are kept of all replicas, in one epoch of a cluster.
pub const EVIDENCE_FILES_MAX: usize =
    REPLICAS_MAX as usize * (PROOF_KINDS * PROOFS_PER_KIND_MAX + REFUSALS_PER_REPLICA_MAX);

/// Refused proposals of one replica that may wait to be written. Of proofs as many may wait as are kept.
const REFUSALS_WAITING_MAX: usize = 4;

/// All kinds but refused proposals.
const PROOF_KINDS: usize = EvidenceKind::ALL.len() - 1;

/// What a file is about: who did what.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Topic {
    pub(super) culprit: ReplicaId,
    pub(super) kind: EvidenceKind,
}

impl Topic {
    /// What evidence of `fault` is about; `None` when it holds nothing signed.
    pub(super) fn of(fault: &Fault) -> Option<Topic> {
        let kind = EvidenceKind::of(fault)?;
        debug_assert_eq!(kind.is_proof(), fault.is_proof(), "kinds are kept by what they prove");
        Some(Topic { culprit: fault.replica()?, kind })
    }

    /// The name of its file with this number.
    pub(super) fn file_name(self, number: u64) -> String {
        format!("{number:010}-{}-{}.txt", self.kind, self.culprit)
    }

    /// Reads a name back.
    pub(super) fn from_file_name(name: &str) -> Option<(u64, Topic)> {
        let (number, rest) = name.strip_suffix(".txt")?.split_once('-')?;
        let (kind, culprit) = rest.rsplit_once('-')?;
        let kind = kind.parse().ok()?;
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
    /// The files, oldest first.
    kept: VecDeque<Kept>,
    /// What waits to be written, by number.
    waiting: BTreeMap<u64, Digest>,
}

/// One file.
struct Kept {
    number: u64,
    /// What tells it from others; `None` when an earlier run wrote it and it cannot be read.
    digest: Option<Digest>,
}

/// Whether a piece of evidence is to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Under this number.
    Take(u64),
    /// There is enough of its kind, or the very same.
    Enough,
    /// Too much waits.
    Busy,
}

impl Shelf {
    /// Finds what earlier runs have left in `folder`, which may not exist yet. What is of another cluster or epoch stays there and takes nobody's
    /// place: the replica of that number may be another one now.
    pub(super) fn open(folder: &Path, domain: &Domain) -> io::Result<Shelf> {
        let mut shelf = Shelf::default();
        for listed in listing::list(folder)? {
            shelf.last = listed.number;
            let file = EvidenceFile::read(&listed.path).ok();
            if file.as_ref().is_some_and(|file| file.domain != *domain) {
                continue;
            }
            let digest = file.map(|file| file.exhibit.digest());
            let topic = Topic { culprit: listed.replica, kind: listed.kind };
            shelf.rows.entry(topic).or_default().kept.push_back(Kept { number: listed.number, digest });
        }
        Ok(shelf)
    }

    /// Finds a place for a new file; `digest` tells what is in it, and is asked only when there is room.
    pub(super) fn place(&mut self, topic: Topic, digest: impl FnOnce() -> Digest) -> Place {
        let row = self.rows.entry(topic).or_default();
        if topic.kind.is_proof() {
            if row.kept.len() + row.waiting.len() >= PROOFS_PER_KIND_MAX {
                return Place::Enough;
            }
        } else if row.waiting.len() >= REFUSALS_WAITING_MAX {
            return Place::Busy;
        }
        let digest = digest();
        let known = row.kept.iter().any(|kept| kept.digest == Some(digest));
        if known || row.waiting.values().any(|waiting| *waiting == digest) {
            return Place::Enough;
        }
        self.last += 1;
        row.waiting.insert(self.last, digest);
        Place::Take(self.last)
    }

    /// The file is on disk. Returns the number of the one that it replaces, if it does.
    pub(super) fn written(&mut self, topic: Topic, number: u64) -> Option<u64> {
        let row = self.rows.entry(topic).or_default();
        let digest = row.waiting.remove(&number);
        row.kept.push_back(Kept { number, digest });
        let full = !topic.kind.is_proof() && row.kept.len() > REFUSALS_PER_REPLICA_MAX;
        if full { row.kept.pop_front().map(|oldest| oldest.number) } else { None }
    }

    /// The disk refused the file.
    pub(super) fn failed(&mut self, topic: Topic, number: u64) {
        self.rows.entry(topic).or_default().waiting.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_read_back() {
        for kind in EvidenceKind::ALL {
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
        let topic = |id| Topic { culprit: ReplicaId(id), kind: EvidenceKind::RefusedProposal };
        for number in 1..=REFUSALS_WAITING_MAX as u64 {
            assert_eq!(shelf.place(topic(2), piece(number)), Place::Take(number));
        }
        assert_eq!(shelf.place(topic(2), piece(90)), Place::Busy);
        assert!(matches!(shelf.place(topic(1), piece(91)), Place::Take(_)));
        shelf.written(topic(2), 1);
        assert!(matches!(shelf.place(topic(2), piece(92)), Place::Take(_)));
    }

    #[test]
    fn proof_that_the_disk_refused_leaves_room_for_another() {
        let mut shelf = Shelf::default();
        let topic = Topic { culprit: ReplicaId(2), kind: EvidenceKind::Equivocation };
        for number in 1..=PROOFS_PER_KIND_MAX as u64 {
            assert_eq!(shelf.place(topic, piece(number)), Place::Take(number));
        }
        assert_eq!(shelf.place(topic, piece(90)), Place::Enough);
        shelf.failed(topic, 2);
        assert!(matches!(shelf.place(topic, piece(2)), Place::Take(_)));
    }

    #[test]
    fn same_evidence_takes_one_place() {
        let mut shelf = Shelf::default();
        let topic = Topic { culprit: ReplicaId(2), kind: EvidenceKind::InvalidNewView };
        assert_eq!(shelf.place(topic, piece(7)), Place::Take(1));
        assert_eq!(shelf.place(topic, piece(7)), Place::Enough, "while it waits");
        shelf.written(topic, 1);
        assert_eq!(shelf.place(topic, piece(7)), Place::Enough, "when it is written");
        assert_eq!(shelf.place(topic, piece(8)), Place::Take(2));
    }

    fn piece(number: u64) -> impl FnOnce() -> Digest {
        move || Digest::of(&number.to_be_bytes())
    }
}
