//! Writes evidence while the replica runs, by a thread of its own: nobody's misbehaviour makes votes wait for the disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use certificate::Domain;
use pbft::Fault;
use tracing::warn;

use super::file::EvidenceFile;
use super::shelf::{Place, Shelf, Topic};
use crate::counters::LiveCounters;

/// Hands faults to the thread that writes them.
pub(crate) struct Evidence {
    domain: Domain,
    shelf: Arc<Mutex<Shelf>>,
    /// Bounded by what the shelf lets wait.
    waiting: Option<Sender<Piece>>,
    writer: Option<JoinHandle<()>>,
    counters: Arc<LiveCounters>,
}

/// What is to be written.
struct Piece {
    topic: Topic,
    number: u64,
    file: EvidenceFile,
}

impl Evidence {
    /// Keeps evidence in `folder`, which is made when the first fault comes. What cannot be written is counted.
    pub(crate) fn start(folder: PathBuf, domain: Domain, counters: Arc<LiveCounters>) -> Evidence {
        let shelf = match Shelf::open(&folder, &domain) {
            Ok(shelf) => Arc::new(Mutex::new(shelf)),
            Err(reason) => {
                // A new file could take the place of an earlier one.
                warn!(folder = %folder.display(), %reason, "no evidence is written: what is there cannot be listed");
                return Evidence { domain, shelf: Arc::default(), waiting: None, writer: None, counters };
            }
        };
        let (sender, receiver) = channel();
        let (kept, failed) = (shelf.clone(), counters.clone());
        let writer = std::thread::Builder::new()
            .name("evidence".to_owned())
            .spawn(move || write_all(&folder, &receiver, &kept, &failed))
            .ok();
        Evidence { domain, shelf, waiting: Some(sender), writer, counters }
    }

    /// Keeps a fault if it has signed evidence of which there is not enough; says whether it will be written.
    pub(crate) fn keep(&self, fault: &Fault, wall_ms: u64) -> bool {
        let file = EvidenceFile::of(fault, &self.domain, wall_ms);
        let Some((topic, file)) = Topic::of(fault).zip(file) else { return false };
        let number = match lock(&self.shelf).place(topic, || file.exhibit.digest()) {
            Place::Take(number) => number,
            Place::Enough => return false,
            Place::Busy => {
                self.counters.evidence_lost.add(1);
                return false;
            }
        };
        let piece = Piece { topic, number, file };
        let sent = self.waiting.as_ref().is_some_and(|waiting| waiting.send(piece).is_ok());
        if !sent {
            lock(&self.shelf).failed(topic, number);
            self.counters.evidence_lost.add(1);
        }
        sent
    }
}

impl Drop for Evidence {
    fn drop(&mut self) {
        self.waiting = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().expect("nothing panics while it holds the shelf")
}

fn write_all(folder: &Path, waiting: &Receiver<Piece>, shelf: &Mutex<Shelf>, counters: &LiveCounters) {
    for piece in waiting {
        if let Err(reason) = write(folder, &piece, shelf) {
            counters.evidence_lost.add(1);
            warn!(folder = %folder.display(), %reason, "evidence of a fault was not written");
        }
    }
}

/// Writes a file, and removes the one that it replaces.
fn write(folder: &Path, piece: &Piece, shelf: &Mutex<Shelf>) -> io::Result<()> {
    let Piece { topic, number, file } = piece;
    if let Err(reason) = write_file(folder, &topic.file_name(*number), &file.to_text()) {
        lock(shelf).failed(*topic, *number);
        return Err(reason);
    }
    let replaced = lock(shelf).written(*topic, *number);
    replaced.map_or(Ok(()), |number| fs::remove_file(folder.join(topic.file_name(number))))
}

/// A file with its name is whole, also after a crash: it may be the only proof.
fn write_file(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let unfinished = folder.join("unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(name))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use certificate::codec::Encode;
    use certificate::{Digest, Epoch, MessageType, ReplicaId, Sequence, Signature, View};
    use pbft::{Refusal, SignedVote, ViewChange, Vote};

    use super::super::shelf::{PROOFS_PER_KIND_MAX, REFUSALS_PER_REPLICA_MAX};

    fn domain() -> Domain {
        Domain { cluster_id: Digest([1; 32]), epoch: Epoch(1) }
    }

    fn equivocation(sequence: u64) -> Fault {
        let signed = |digest| SignedVote {
            phase: MessageType::Prepare,
            vote: Vote {
                view: View(0),
                sequence: Sequence(sequence),
                digest: Digest([digest; 32]),
                replica: ReplicaId(2),
                signature: Signature([digest; 64]),
            },
        };
        Fault::Equivocation { first: signed(3), second: signed(4) }
    }

    #[test]
    fn file_holds_both_signed_votes_and_what_they_prove() {
        let folder = tempfile::tempdir().unwrap();
        let counters = Arc::new(LiveCounters::default());
        let evidence = Evidence::start(folder.path().join("evidence"), domain(), counters.clone());
        evidence.keep(&equivocation(9), 1234);
        evidence.keep(&Fault::OverQuota { from: ReplicaId(1) }, 1234);
        drop(evidence);
        let text = fs::read_to_string(folder.path().join("evidence/0000000001-equivocation-2.txt")).unwrap();
        assert!(
            text.contains("fault: replica 2 signed two digests for slot 9 in view 0\nproof: yes\nprepare: ")
        );
        assert_eq!(text.matches("\nprepare: ").count(), 2);
        assert_eq!(fs::read_dir(folder.path().join("evidence")).unwrap().count(), 1);
        assert_eq!(counters.evidence_lost.value(), 0);
    }

    fn refusal(from: u8, sequence: u64) -> Fault {
        let Fault::Equivocation { first, .. } = equivocation(sequence) else { unreachable!() };
        let proposal = SignedVote { phase: MessageType::PrePrepare, ..first };
        Fault::RefusedProposal {
            from: ReplicaId(from),
            proposal,
            sequence: Sequence(sequence),
            refusal: Refusal::Kinds,
        }
    }

    /// Everything that a run is told, all of it written.
    fn run(folder: &Path, faults: &[Fault]) -> Arc<LiveCounters> {
        let counters = Arc::new(LiveCounters::default());
        for faults in faults.chunks(4) {
            let evidence = Evidence::start(folder.join("evidence"), domain(), counters.clone());
            for fault in faults {
                evidence.keep(fault, 0);
            }
        }
        counters
    }

    fn texts(folder: &Path) -> Vec<String> {
        let files = fs::read_dir(folder.join("evidence")).unwrap();
        let mut paths: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    #[test]
    fn proof_outlives_a_flood_of_refused_proposals() {
        let folder = tempfile::tempdir().unwrap();
        let flood: Vec<Fault> = (0..300).map(|sequence| refusal(2, sequence)).collect();
        run(folder.path(), &[equivocation(9)]);
        run(folder.path(), &flood);
        assert!(texts(folder.path())[0].contains("fault: replica 2 signed two digests for slot 9"));
    }

    #[test]
    fn two_view_changes_to_one_view_are_kept_as_a_proof_that_anyone_can_read() {
        let signed = |signature| ViewChange {
            view: View(3),
            replica: ReplicaId(2),
            stable: None,
            decided: None,
            slots: Vec::new(),
            signature: Signature([signature; 64]),
        };
        let (first, second) = (signed(5), signed(6));
        let fault = Fault::ViewChangeEquivocation {
            first: Arc::new(first.clone()),
            second: Arc::new(second.clone()),
        };
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &[fault]);
        let path = folder.path().join("evidence/0000000001-view-change-equivocation-2.txt");
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains("fault: replica 2 signed two view changes to view 3\nproof: yes\n"), "{text}");
        for kept in [first, second] {
            let bytes: String = kept.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            let line = format!("view-change: {bytes}\n");
            assert!(text.contains(&line), "{text}");
        }
    }

    #[test]
    fn first_proofs_of_each_replica_and_kind_stay_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let early: Vec<Fault> = (1..=PROOFS_PER_KIND_MAX as u64).map(equivocation).collect();
        run(folder.path(), &early);
        let kept = texts(folder.path());
        let late: Vec<Fault> = (100..150).map(equivocation).collect();
        let counters = run(folder.path(), &late);
        assert_eq!(texts(folder.path()), kept);
        assert_eq!(counters.evidence_lost.value(), 0, "enough of a kind is no loss");
        let Fault::Equivocation { mut first, mut second } = equivocation(7) else { unreachable!() };
        (first.vote.replica, second.vote.replica) = (ReplicaId(1), ReplicaId(1));
        run(folder.path(), &[Fault::Equivocation { first, second }]);
        assert_eq!(texts(folder.path()).len(), kept.len() + 1, "another replica has room of its own");
    }

    #[test]
    fn proofs_of_an_earlier_epoch_take_no_place_of_those_against_the_replica_that_has_the_number_now() {
        let folder = tempfile::tempdir().unwrap();
        let early: Vec<Fault> = (1..=PROOFS_PER_KIND_MAX as u64).map(equivocation).collect();
        run(folder.path(), &early);
        let next = Domain { epoch: Epoch(2), ..domain() };
        let counters = Arc::new(LiveCounters::default());
        drop({
            let evidence = Evidence::start(folder.path().join("evidence"), next, counters);
            evidence.keep(&equivocation(1), 0);
            evidence
        });
        let texts = texts(folder.path());
        assert_eq!(texts.len(), early.len() + 1, "the earlier ones stay");
        assert!(texts.last().unwrap().contains("\nepoch: 2\n"), "{texts:?}");
    }

    #[test]
    fn same_proof_is_written_once_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let Fault::Equivocation { first, second } = equivocation(9) else { unreachable!() };
        let turned = Fault::Equivocation { first: second, second: first };
        for _ in 0..2 {
            let counters = run(folder.path(), &[equivocation(9), turned.clone(), equivocation(9)]);
            assert_eq!(counters.evidence_lost.value(), 0);
        }
        run(folder.path(), &[equivocation(10)]);
        assert_eq!(texts(folder.path()).len(), 2);
    }

    #[test]
    fn proof_is_news_once() {
        let folder = tempfile::tempdir().unwrap();
        let counters = Arc::new(LiveCounters::default());
        let evidence = Evidence::start(folder.path().join("evidence"), domain(), counters);
        let told = [9, 9, 10, 9, 11, 12, 13, 14].map(|sequence| evidence.keep(&equivocation(sequence), 0));
        assert_eq!(told, [true, false, true, false, true, true, false, false]);
        assert!(!evidence.keep(&Fault::OverQuota { from: ReplicaId(1) }, 0));
    }

    #[test]
    fn last_refused_proposals_of_each_replica_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &[refusal(1, 5)]);
        let flood: Vec<Fault> = (0..50).map(|sequence| refusal(2, sequence)).collect();
        run(folder.path(), &flood);
        let texts = texts(folder.path());
        assert_eq!(texts.len(), 1 + REFUSALS_PER_REPLICA_MAX);
        assert!(texts[0].contains("replica 1: proposal for slot 5 refused"));
        assert!(texts[1].contains(&format!("proposal for slot {} refused", 50 - REFUSALS_PER_REPLICA_MAX)));
        assert!(texts.last().unwrap().contains("proposal for slot 49 refused"));
    }

    #[test]
    fn disk_that_refuses_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("evidence"), "a file, not a folder").unwrap();
        let counters = Arc::new(LiveCounters::default());
        let evidence = Evidence::start(folder.path().join("evidence"), domain(), counters.clone());
        evidence.keep(&equivocation(1), 0);
        drop(evidence);
        assert_eq!(counters.evidence_lost.value(), 1);
    }
}
