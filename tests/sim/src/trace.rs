//! What happened in a run: a fingerprint of every event, and on request a line for each.

use std::fmt;

use certificate::Digest;
use pbft::{Message, Operation};

use crate::random::fingerprint;

/// The events of a run, in order.
pub struct Trace {
    hash: u64,
    events: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Before the first event; `verbose` keeps a line for each.
    pub fn new(verbose: bool) -> Trace {
        Trace { hash: 0, events: 0, lines: verbose.then(Vec::new) }
    }

    /// Something happened to replica `who`; `what` is only made when lines are kept.
    pub fn note(&mut self, now_ms: u64, who: usize, mark: u64, what: impl FnOnce() -> String) {
        self.events += 1;
        let parts = [self.hash, now_ms, who as u64, mark];
        let mut bytes = [0; 32];
        for (place, part) in bytes.chunks_mut(8).zip(parts) {
            place.copy_from_slice(&part.to_le_bytes());
        }
        self.hash = fingerprint(1, &bytes);
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{now_ms:>7} {who:>2} {}", what()));
        }
    }

    /// A fingerprint of all events so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The lines, if they were kept.
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// A message in a few words.
pub struct Gist<'a>(pub &'a Message);

impl fmt::Display for Gist<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = |operation: &Operation| operation.digest().short();
        match self.0 {
            Message::Resolve { operation: it, after } => write!(f, "resolve {} after {after}", operation(it)),
            Message::Observe(set) => {
                write!(f, "observe of {}:", set.replica)?;
                set.items.iter().try_for_each(|item| match item {
                    pbft::Item::Full(observation) => write!(f, " {}", operation(&observation.operation)),
                    pbft::Item::Pruned(_) => write!(f, " -"),
                })
            }
            Message::PrePrepare(proposal) => {
                let (view, header) = (proposal.view, &proposal.header);
                write!(f, "pre-prepare v{view} s{} {}", header.sequence, header.digest().short())?;
                proposal.batch.operations.iter().try_for_each(|it| write!(f, " {}", operation(it)))
            }
            Message::Prepare(vote) => {
                write!(f, "prepare v{} s{} {}", vote.view, vote.sequence, vote.digest.short())
            }
            Message::Commit(vote) => {
                write!(f, "commit v{} s{} {}", vote.view, vote.sequence, vote.digest.short())
            }
            Message::Checkpoint(vote) => write!(f, "checkpoint s{} {}", vote.sequence, vote.digest.short()),
            Message::Status(status) => {
                write!(f, "status v{} executed {} stable {}", status.view, status.executed, status.stable)
            }
            Message::Fetch { from } => write!(f, "fetch from {from}"),
            Message::Slot(slot) => {
                write!(f, "slot s{} {}", slot.header.sequence, slot.certificate.digest.short())
            }
            Message::FetchState { sequence, offset } => write!(f, "fetch-state s{sequence} at {offset}"),
            Message::StableCheckpoint(chunk) => {
                let certificate = &chunk.certificate;
                write!(f, "state s{} {}", certificate.sequence, certificate.digest.short())?;
                write!(f, " {}+{} of {}", chunk.offset, chunk.bytes.len(), chunk.total)
            }
            Message::Answer { operation, .. } => write!(f, "answer {}", operation.short()),
            Message::ViewChange(change) => {
                let stable = change.stable.as_ref().map_or(0, |stable| stable.sequence.0);
                let decided = change.decided.as_ref().map_or(0, |decided| decided.sequence.0);
                write!(f, "view-change v{} of {} ", change.view, change.replica)?;
                write!(f, "{} stable {stable} decided {decided}:", change.digest().short())?;
                let mut slots = change.slots.iter();
                slots.try_for_each(|slot| {
                    let prepared =
                        slot.prepared.as_ref().map(|it| format!("P v{} {}", it.view, it.digest.short()));
                    let voted = slot.voted.map(|it| format!("Q v{} {}", it.view, it.digest.short()));
                    let (prepared, voted) = (prepared.unwrap_or_default(), voted.unwrap_or_default());
                    write!(f, " [s{} {prepared} {voted}]", slot.sequence)
                })
            }
            Message::NewView(new_view) => {
                write!(f, "new-view v{} of", new_view.view)?;
                let mut changes = new_view.view_changes.iter();
                changes.try_for_each(|(replica, digest)| write!(f, " {replica}:{}", digest.short()))?;
                write!(f, " with")?;
                new_view.proposals.iter().try_for_each(|(digest, _)| write!(f, " {}", digest.short()))
            }
            Message::FetchBatch { sequence, digest } => {
                write!(f, "fetch-batch s{sequence} {}", digest.short())
            }
            Message::FetchViewChange { digest } => write!(f, "fetch-view-change {}", digest.short()),
            Message::Batch { header, .. } => {
                write!(f, "batch s{} {}", header.sequence, header.digest().short())
            }
        }
    }
}

/// What tells a message from others in the fingerprint of a run: its kind, and its signature or numbers.
pub fn mark(message: &Message) -> u64 {
    let of = |kind: u64, bytes: &[u8]| fingerprint(kind, bytes);
    let digest = |kind: u64, digest: &Digest| of(kind, &digest.0[..8]);
    match message {
        Message::Resolve { operation, after } => of(after.0, &operation.subject),
        Message::Observe(set) => of(2, &set.signature.0),
        Message::PrePrepare(proposal) => of(3, &proposal.signature.0),
        Message::Prepare(vote) => of(4, &vote.signature.0),
        Message::Commit(vote) => of(5, &vote.signature.0),
        Message::Checkpoint(vote) => of(6, &vote.signature.0),
        Message::Status(status) => {
            of(7 ^ status.view.0 ^ status.stable.0 << 32, &status.executed.0.to_le_bytes())
        }
        Message::Fetch { from } => of(8, &from.0.to_le_bytes()),
        Message::Slot(slot) => digest(9, &slot.certificate.digest),
        Message::FetchState { sequence, offset } => of(u64::from(*offset), &sequence.0.to_le_bytes()),
        Message::StableCheckpoint(chunk) => digest(u64::from(chunk.offset), &chunk.certificate.digest),
        Message::Answer { operation, .. } => digest(12, operation),
        Message::ViewChange(change) => of(13, &change.signature.0),
        Message::NewView(new_view) => of(14, &new_view.signature.0),
        Message::FetchBatch { sequence, digest: wanted } => digest(15 ^ sequence.0 << 8, wanted),
        Message::FetchViewChange { digest: wanted } => digest(16, wanted),
        Message::Batch { header, .. } => digest(17 ^ header.sequence.0 << 8, &header.leaves_root),
    }
}
