//! The header of a slot: what the q commits of a slot sign, by its digest.

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::{Digest, Sequence};

/// What a request asks the cluster to do. The byte stands in every leaf and every operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum OperationKind {
    /// Decides nothing; fills a slot. Castro & Liskov 1999 §4.4.
    Null = 0,
    /// Agrees on the answer to a DNS question.
    Resolve = 1,
    /// Agrees on the verdict about a certificate chain.
    Validate = 2,
    /// Pins new versions of the inputs that `Validate` judges by.
    UpdateInputs = 3,
    /// Moves the cluster to a new epoch.
    NewEpoch = 4,
}

impl OperationKind {
    /// Reads the byte; unknown kinds are refused.
    pub fn from_byte(byte: u8) -> Option<OperationKind> {
        match byte {
            0 => Some(OperationKind::Null),
            1 => Some(OperationKind::Resolve),
            2 => Some(OperationKind::Validate),
            3 => Some(OperationKind::UpdateInputs),
            4 => Some(OperationKind::NewEpoch),
            _ => None,
        }
    }
}

impl Encode for OperationKind {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(*self as u8);
    }
}

impl Decode for OperationKind {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        let byte = reader.u8()?;
        OperationKind::from_byte(byte)
            .ok_or_else(|| Reader::invalid(offset, "operation kind", "0 to 4", u64::from(byte)))
    }
}

/// The kinds of operation in a slot: bit `k` stands for the kind with byte `k`. Empty in a null slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Kinds(pub u8);

impl Kinds {
    /// Whether an operation of `kind` is in the slot.
    pub fn contains(self, kind: OperationKind) -> bool {
        self.0 & (1 << (kind as u8)) != 0
    }
}

impl Decode for Kinds {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        match reader.u8()? {
            kinds @ 0..=0x1f => Ok(Kinds(kinds)),
            kinds => Err(Reader::invalid(offset, "kinds", "bits 0 to 4", u64::from(kinds))),
        }
    }
}

impl FromIterator<OperationKind> for Kinds {
    fn from_iter<I: IntoIterator<Item = OperationKind>>(kinds: I) -> Kinds {
        Kinds(kinds.into_iter().fold(0, |bits, kind| bits | 1 << (kind as u8)))
    }
}

/// The view-independent data of a slot. Its digest is what votes are about, so a certificate binds all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotHeader {
    /// The slot's place in the total order.
    pub sequence: Sequence,
    /// The kinds of operation in it.
    pub kinds: Kinds,
    /// How many leaves the slot has; 0 in a null slot.
    pub entries: u16,
    /// Root of the Merkle tree over the encoded leaves (RFC 9162 §2.1); `Digest::ZERO` in a null slot.
    pub leaves_root: Digest,
    /// Root of the Merkle tree over the evidence of each entry; `Digest::ZERO` in a null slot.
    pub observations_root: Digest,
    /// Log time in milliseconds since 1970-01-01T00:00:00Z; never less than that of the prefix, which is the genesis for a null slot.
    pub time_ms: u64,
    /// Digest of the cluster file by which the slot was judged.
    pub cluster_digest: Digest,
    /// The last slot that the primary had decided: everything in this slot is judged against the log up to there.
    pub prefix_sequence: Sequence,
    /// History digest of the log up to and including `prefix_sequence`.
    pub prefix_digest: Digest,
}

impl SlotHeader {
    /// Length of the encoding in bytes.
    pub const LENGTH: usize = 8 + 1 + 2 + 32 + 32 + 8 + 32 + 8 + 32;

    /// The header of a null slot, which decides nothing: a new view fills gaps with it. Castro & Liskov 1999 §4.4.
    pub fn null(sequence: Sequence, cluster_digest: Digest) -> SlotHeader {
        SlotHeader {
            sequence,
            kinds: Kinds::default(),
            entries: 0,
            leaves_root: Digest::ZERO,
            observations_root: Digest::ZERO,
            time_ms: 0,
            cluster_digest,
            prefix_sequence: Sequence(0),
            prefix_digest: Digest::ZERO,
        }
    }

    /// The digest that votes carry.
    pub fn digest(&self) -> Digest {
        let mut writer = Writer::with_capacity(SlotHeader::LENGTH);
        self.encode(&mut writer);
        Digest::of_parts(&[b"quorate slot header v1", &writer.finish()])
    }

    /// The history digest of a log that ends with this slot, given that of the log before it.
    ///
    /// Every decided header is bound by it, also those that no later header names as its prefix.
    pub fn extend_history(&self, history: Digest) -> Digest {
        Digest::of_parts(&[b"quorate history v1", &history.0, &self.digest().0])
    }
}

impl Encode for SlotHeader {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.sequence.0);
        writer.u8(self.kinds.0);
        writer.u16(self.entries);
        self.leaves_root.encode(writer);
        self.observations_root.encode(writer);
        writer.u64(self.time_ms);
        self.cluster_digest.encode(writer);
        writer.u64(self.prefix_sequence.0);
        self.prefix_digest.encode(writer);
    }
}

impl Decode for SlotHeader {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(SlotHeader {
            sequence: Sequence(reader.u64()?),
            kinds: Kinds::decode(reader)?,
            entries: reader.u16()?,
            leaves_root: Digest::decode(reader)?,
            observations_root: Digest::decode(reader)?,
            time_ms: reader.u64()?,
            cluster_digest: Digest::decode(reader)?,
            prefix_sequence: Sequence(reader.u64()?),
            prefix_digest: Digest::decode(reader)?,
        })
    }
}
