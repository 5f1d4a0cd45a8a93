//! What the filter can say about a datagram. The numbers are those of `bpf/judge.h`.

use std::fmt;

/// The outcome for one datagram, or for a batch that the kernel joined into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Verdict {
    /// Passes: from a peer, with one of our connection ids.
    PassEstablished = 0,
    /// Passes: from a peer's address, within the tight rate.
    PassUnproven = 1,
    /// Dropped: from nobody we know.
    UnknownSource = 2,
    /// Dropped: the peer is in quarantine.
    Quarantined = 3,
    /// Dropped: too many datagrams with our connection ids.
    FloodEstablished = 4,
    /// Dropped: too many datagrams without.
    FloodUnproven = 5,
    /// Dropped: too short for QUIC, a broken header, or lengths that contradict each other.
    Malformed = 6,
    /// Dropped: a version of QUIC that no replica speaks.
    Version = 7,
    /// Dropped: it would open a connection and is under 1200 bytes.
    SmallInitial = 8,
    /// Dropped: the first fragment of an IP packet (only at an interface; QUIC never fragments, RFC 9000 §14).
    Fragment = 9,
}

impl Verdict {
    /// Every verdict, in the order of its number.
    pub const ALL: [Verdict; 10] = [
        Verdict::PassEstablished,
        Verdict::PassUnproven,
        Verdict::UnknownSource,
        Verdict::Quarantined,
        Verdict::FloodEstablished,
        Verdict::FloodUnproven,
        Verdict::Malformed,
        Verdict::Version,
        Verdict::SmallInitial,
        Verdict::Fragment,
    ];

    /// Whether the datagram goes on to QUIC.
    pub fn passes(self) -> bool {
        matches!(self, Verdict::PassEstablished | Verdict::PassUnproven)
    }

    /// The word for it in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::PassEstablished => "established",
            Verdict::PassUnproven => "unproven",
            Verdict::UnknownSource => "unknown-source",
            Verdict::Quarantined => "quarantined",
            Verdict::FloodEstablished => "flood-established",
            Verdict::FloodUnproven => "flood-unproven",
            Verdict::Malformed => "malformed",
            Verdict::Version => "version",
            Verdict::SmallInitial => "small-initial",
            Verdict::Fragment => "fragment",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
