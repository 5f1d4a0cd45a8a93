//! What a log, or the way to it, does wrong on purpose.

/// One lie. A log tells it from when it is told to until it is told to be honest again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lie {
    /// Tree heads whose signature has a wrong bit.
    BadSignature,
    /// A new, well signed head of the tree that the log had when it was so large.
    Shrink(u64),
    /// Heads so many seconds ahead of the clock, well signed.
    Future(u64),
    /// Proofs, and tiles of hashes, with a wrong bit.
    BadProof,
    /// Entries other than those that the tree is over.
    BadEntries,
    /// Checkpoints with another origin line. The signature does not cover it, so it fits.
    Origin(String),
    /// An HTTP status instead of an answer.
    Status(u16),
    /// No answer until the log is told to be honest again.
    Hold,
    /// The beginning of an answer, and nothing more until the log is told to be honest again.
    Stall,
    /// The connection ends in the middle of the answer.
    Cut,
    /// An answer with so many bytes of JSON-like text.
    Oversize(u64),
    /// An answer that never ends, a few bytes each time that somebody reads.
    Endless,
    /// An answer of bytes that mean nothing.
    Garbage,
    /// An answer that is small until it is unpacked: so many zero bytes, by gzip.
    GzipBomb(u64),
    /// Sends whoever asks to another URL.
    Redirect(String),
}

impl Lie {
    /// Whether it is told instead of an answer, whatever was asked.
    pub(crate) fn is_of_transport(&self) -> bool {
        !matches!(
            self,
            Lie::BadSignature
                | Lie::Shrink(_)
                | Lie::Future(_)
                | Lie::BadProof
                | Lie::BadEntries
                | Lie::Origin(_)
        )
    }
}

/// The lies that are told now, each where the path contains a text.
#[derive(Debug, Default)]
pub(crate) struct Lies(Vec<(String, Lie)>);

impl Lies {
    pub(crate) fn tell(&mut self, at: &str, lie: Lie) {
        self.0.push((at.to_owned(), lie));
    }

    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// The lies for this path.
    pub(crate) fn at(&self, path: &str) -> Vec<Lie> {
        self.0.iter().filter(|(at, _)| path.contains(at)).map(|(_, lie)| lie.clone()).collect()
    }
}
