//! Faults with their evidence, kept as files so that they can be shown to others: `evidence/NUMBER.txt` in the state folder.
//!
//! Written by a thread of its own: nobody's misbehaviour makes votes wait for the disk. At most `FILES_MAX` files; the oldest go.
//! A file has one `name: value` a line. Signed parts are in hexadecimal, encoded as in messages, so that anyone with the cluster
//! file can check the signatures.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use certificate::Domain;
use certificate::codec::Encode;
use pbft::{Fault, SignedVote};
use tracing::warn;

use crate::counters::LiveCounters;

/// Files that are kept.
pub const EVIDENCE_FILES_MAX: usize = 256;

/// Faults that may wait to be written.
const WAITING_MAX: usize = 64;

/// Hands faults to the thread that writes them.
pub(crate) struct Evidence {
    domain: Domain,
    waiting: Option<SyncSender<String>>,
    writer: Option<JoinHandle<()>>,
    counters: Arc<LiveCounters>,
}

impl Evidence {
    /// Keeps evidence in `folder`, which is made when the first fault comes.
    pub(crate) fn start(folder: PathBuf, domain: Domain, counters: Arc<LiveCounters>) -> Evidence {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let failed = counters.clone();
        let writer = std::thread::Builder::new()
            .name("evidence".to_owned())
            .spawn(move || write_all(&folder, &receiver, &failed))
            .ok();
        Evidence { domain, waiting: Some(sender), writer, counters }
    }

    /// Keeps a fault if it has signed evidence.
    pub(crate) fn keep(&self, fault: &Fault, wall_ms: u64) {
        let Some(text) = text(fault, &self.domain, wall_ms) else { return };
        let sent = self.waiting.as_ref().is_some_and(|waiting| waiting.try_send(text).is_ok());
        if !sent {
            self.counters.evidence_lost.add(1);
        }
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

fn write_all(folder: &Path, waiting: &Receiver<String>, counters: &LiveCounters) {
    for text in waiting {
        if let Err(reason) = write(folder, &text) {
            counters.evidence_lost.add(1);
            warn!(folder = %folder.display(), %reason, "evidence of a fault was not written");
        }
    }
}

/// Writes the next file and removes the oldest ones beyond the bound.
fn write(folder: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".txt"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    let next = numbers.last().map_or(1, |last| last + 1);
    let unfinished = folder.join("unfinished");
    fs::write(&unfinished, text)?;
    fs::rename(&unfinished, path(folder, next))?;
    let excess = (numbers.len() + 1).saturating_sub(EVIDENCE_FILES_MAX);
    for number in &numbers[..excess] {
        fs::remove_file(path(folder, *number))?;
    }
    Ok(())
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.txt"))
}

/// The text of a fault that holds something signed; `None` for any other.
fn text(fault: &Fault, domain: &Domain, wall_ms: u64) -> Option<String> {
    let signed = match fault {
        Fault::Equivocation { first, second } => vec![vote(first), vote(second)],
        Fault::CheckpointEquivocation { first, second } => {
            vec![("checkpoint".to_owned(), first.to_bytes()), ("checkpoint".to_owned(), second.to_bytes())]
        }
        Fault::MalformedObservation { set, .. } => vec![("observations".to_owned(), set.to_bytes())],
        Fault::RefusedProposal { proposal, .. } => vec![vote(proposal)],
        _ => return None,
    };
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        writeln!(text, "{name}: {value}").expect("writing to a string does not fail");
    };
    line("quorate-evidence", &1);
    line("cluster", &domain.cluster_id);
    line("epoch", &domain.epoch);
    line("time-ms", &wall_ms);
    line("fault", fault);
    line("proof", &if fault.is_proof() { "yes" } else { "no" });
    for (name, bytes) in signed {
        line(&name, &hexadecimal(&bytes));
    }
    Some(text)
}

fn vote(signed: &SignedVote) -> (String, Vec<u8>) {
    (format!("{:?}", signed.phase).to_lowercase(), signed.vote.to_bytes())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use certificate::{Digest, Epoch, MessageType, ReplicaId, Sequence, Signature, View};
    use pbft::Vote;

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
        let text = fs::read_to_string(folder.path().join("evidence/0000000001.txt")).unwrap();
        assert!(
            text.contains("fault: replica 2 signed two digests for slot 9 in view 0\nproof: yes\nprepare: ")
        );
        assert_eq!(text.matches("\nprepare: ").count(), 2);
        assert_eq!(fs::read_dir(folder.path().join("evidence")).unwrap().count(), 1);
        assert_eq!(counters.evidence_lost.value(), 0);
    }

    #[test]
    fn oldest_files_go_when_there_are_too_many() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..EVIDENCE_FILES_MAX + 3 {
            write(folder.path(), &number.to_string()).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), EVIDENCE_FILES_MAX);
        assert!(!path(folder.path(), 3).exists());
        assert_eq!(fs::read_to_string(path(folder.path(), 4)).unwrap(), "3");
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
