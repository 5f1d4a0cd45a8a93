//! What replicas say to each other, and its one encoding.
//!
//! The first byte says which message it is. Those that are signed have the byte of their `certificate::MessageType`. Requests, fetches and
//! their answers are not signed: the channel says who speaks, and whatever they carry proves itself.

use std::sync::Arc;

use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::{Digest, Domain, MessageType, ReplicaId, Sequence, Signature, SlotHeader, View};

use crate::{
    ANSWER_BYTES_MAX, Batch, CheckpointCertificate, CheckpointVote, CommitCertificate, Keyring, NewView,
    Operation, STATE_BYTES_MAX, STATE_CHUNK_BYTES_MAX, SignedObservations, ViewChange, Vote, Voted,
};

/// The primary's proposal for a slot. Castro & Liskov 1999 §4.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrePrepare {
    /// The view whose primary proposes.
    pub view: View,
    /// What is voted on, by its digest. Names the slot.
    pub header: SlotHeader,
    /// The primary's, over phase, view, sequence number and the header's digest.
    pub signature: Signature,
    /// The body that the header's roots bind.
    pub batch: Arc<Batch>,
}

impl PrePrepare {
    /// The signed part as a vote of `primary`, of which it counts as the PREPARE.
    pub fn vote(&self, primary: ReplicaId) -> Vote {
        Vote {
            view: self.view,
            sequence: self.header.sequence,
            digest: self.header.digest(),
            replica: primary,
            signature: self.signature,
        }
    }

    /// What a view change says of a vote for it.
    pub fn voted(&self) -> Voted {
        Voted { view: self.view, digest: self.header.digest(), signature: self.signature }
    }

    /// Whether the signature is that of `primary`.
    pub fn verify(&self, primary: ReplicaId, domain: &Domain, keyring: &impl Keyring) -> bool {
        self.vote(primary).verify(MessageType::PrePrepare, domain, keyring)
    }
}

/// A decided slot with the commits of a quorum. Proves itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecidedSlot {
    /// What was decided, by its digest.
    pub header: SlotHeader,
    /// The body that the header's roots bind.
    pub batch: Arc<Batch>,
    /// That it was decided.
    pub certificate: CommitCertificate,
}

/// How far a replica is. A hint, not a proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PeerStatus {
    /// Its view.
    pub view: View,
    /// The last slot it executed.
    pub executed: Sequence,
    /// Its low water mark: the last stable checkpoint. It serves the slots above.
    pub stable: Sequence,
    /// Whether it has lost its log, and learns until it may vote again.
    pub learner: bool,
}

/// A part of the state of a stable checkpoint. The whole is verified against the digest in the certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateChunk {
    /// That the checkpoint is stable.
    pub certificate: CheckpointCertificate,
    /// Length of the whole state in bytes.
    pub total: u32,
    /// Where this part begins.
    pub offset: u32,
    /// The part.
    pub bytes: Vec<u8>,
}

/// What replicas say to each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Please look this up and say what you see. Opens nothing when the operation was decided in a slot above `after`.
    Resolve {
        /// What.
        operation: Operation,
        /// The last slot that the sender had executed.
        after: Sequence,
    },
    /// Own observations, or those of others when a backup relays them to the primary.
    Observe(SignedObservations),
    /// The primary's proposal.
    PrePrepare(PrePrepare),
    /// A backup accepted the proposal.
    Prepare(Vote),
    /// A replica saw q votes for the digest.
    Commit(Vote),
    /// A replica's state after a slot.
    Checkpoint(CheckpointVote),
    /// A replica gives up a view. Its own, or that of another, passed on.
    ViewChange(Arc<ViewChange>),
    /// A primary begins its view. Its own, or passed on.
    NewView(Arc<NewView>),
    /// How far the sender is.
    Status(PeerStatus),
    /// Please send the decided slots from here on, or the stable checkpoint when they are gone.
    Fetch {
        /// The first slot wanted.
        from: Sequence,
    },
    /// A decided slot.
    Slot(DecidedSlot),
    /// Please send the state of the stable checkpoint from `offset` on.
    FetchState {
        /// The checkpoint; the answer may be of a later one.
        sequence: Sequence,
        /// How many bytes of its state the sender has.
        offset: u32,
    },
    /// A part of a stable checkpoint's state.
    StableCheckpoint(StateChunk),
    /// A certified answer to a `Resolve`, read by the host alone.
    Answer {
        /// Digest of the operation.
        operation: Digest,
        /// At most [`ANSWER_BYTES_MAX`] bytes.
        bytes: Vec<u8>,
    },
    /// Please send the body of what a new view proposes.
    FetchBatch {
        /// The slot.
        sequence: Sequence,
        /// The digest of its header.
        digest: Digest,
    },
    /// Please send a view change that a new view names.
    FetchViewChange {
        /// Its digest.
        digest: Digest,
    },
    /// A header and the body that its roots bind.
    Batch {
        /// The header.
        header: SlotHeader,
        /// The body.
        batch: Arc<Batch>,
    },
}

impl Encode for PrePrepare {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.view.0);
        self.header.encode(writer);
        self.signature.encode(writer);
        self.batch.encode(writer);
    }
}

impl Decode for PrePrepare {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(PrePrepare {
            view: View(reader.u64()?),
            header: SlotHeader::decode(reader)?,
            signature: Signature::decode(reader)?,
            batch: Arc::new(Batch::decode(reader)?),
        })
    }
}

impl Encode for DecidedSlot {
    fn encode(&self, writer: &mut Writer) {
        self.header.encode(writer);
        self.batch.encode(writer);
        self.certificate.encode(writer);
    }
}

impl Decode for DecidedSlot {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(DecidedSlot {
            header: SlotHeader::decode(reader)?,
            batch: Arc::new(Batch::decode(reader)?),
            certificate: CommitCertificate::decode(reader)?,
        })
    }
}

impl Encode for PeerStatus {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.view.0);
        writer.u64(self.executed.0);
        writer.u64(self.stable.0);
        writer.u8(u8::from(self.learner));
    }
}

impl Decode for PeerStatus {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(PeerStatus {
            view: View(reader.u64()?),
            executed: Sequence(reader.u64()?),
            stable: Sequence(reader.u64()?),
            learner: read_flag(reader)?,
        })
    }
}

impl Encode for StateChunk {
    fn encode(&self, writer: &mut Writer) {
        self.certificate.encode(writer);
        writer.u32(self.total);
        writer.u32(self.offset);
        writer.bytes16(&self.bytes);
    }
}

impl Decode for StateChunk {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let certificate = CheckpointCertificate::decode(reader)?;
        let place = reader.offset();
        let (total, offset) = (reader.u32()?, reader.u32()?);
        let bytes = reader.bytes16()?.to_vec();
        if total as usize > STATE_BYTES_MAX {
            return Err(Reader::invalid(place, "total", "at most 16 MiB", u64::from(total)));
        }
        if bytes.len() > STATE_CHUNK_BYTES_MAX || u64::from(offset) + bytes.len() as u64 > u64::from(total) {
            return Err(Reader::invalid(
                place,
                "bytes",
                "at most 48 KiB within the state",
                bytes.len() as u64,
            ));
        }
        Ok(StateChunk { certificate, total, offset, bytes })
    }
}

impl Message {
    fn byte(&self) -> u8 {
        match self {
            Message::Observe(_) => MessageType::Observation as u8,
            Message::PrePrepare(_) => MessageType::PrePrepare as u8,
            Message::Prepare(_) => MessageType::Prepare as u8,
            Message::Commit(_) => MessageType::Commit as u8,
            Message::Checkpoint(_) => MessageType::Checkpoint as u8,
            Message::ViewChange(_) => MessageType::ViewChange as u8,
            Message::NewView(_) => MessageType::NewView as u8,
            Message::Resolve { .. } => 16,
            Message::Answer { .. } => 17,
            Message::Status(_) => 18,
            Message::Fetch { .. } => 19,
            Message::Slot(_) => 20,
            Message::FetchState { .. } => 21,
            Message::StableCheckpoint(_) => 22,
            Message::FetchBatch { .. } => 23,
            Message::FetchViewChange { .. } => 24,
            Message::Batch { .. } => 25,
        }
    }
}

impl Encode for Message {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(self.byte());
        match self {
            Message::Observe(set) => set.encode(writer),
            Message::PrePrepare(proposal) => proposal.encode(writer),
            Message::Prepare(vote) | Message::Commit(vote) => vote.encode(writer),
            Message::Checkpoint(vote) => vote.encode(writer),
            Message::Resolve { operation, after } => {
                operation.encode(writer);
                writer.u64(after.0);
            }
            Message::Answer { operation, bytes } => {
                operation.encode(writer);
                writer.bytes16(bytes);
            }
            Message::Status(status) => status.encode(writer),
            Message::Fetch { from } => writer.u64(from.0),
            Message::Slot(slot) => slot.encode(writer),
            Message::FetchState { sequence, offset } => {
                writer.u64(sequence.0);
                writer.u32(*offset);
            }
            Message::StableCheckpoint(chunk) => chunk.encode(writer),
            Message::ViewChange(view_change) => view_change.encode(writer),
            Message::NewView(new_view) => new_view.encode(writer),
            Message::FetchBatch { sequence, digest } => {
                writer.u64(sequence.0);
                digest.encode(writer);
            }
            Message::FetchViewChange { digest } => digest.encode(writer),
            Message::Batch { header, batch } => {
                header.encode(writer);
                batch.encode(writer);
            }
        }
    }
}

impl Decode for Message {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        match reader.u8()? {
            1 => SignedObservations::decode(reader).map(Message::Observe),
            2 => PrePrepare::decode(reader).map(Message::PrePrepare),
            3 => Vote::decode(reader).map(Message::Prepare),
            4 => Vote::decode(reader).map(Message::Commit),
            5 => CheckpointVote::decode(reader).map(Message::Checkpoint),
            6 => ViewChange::decode(reader).map(|it| Message::ViewChange(Arc::new(it))),
            7 => NewView::decode(reader).map(|it| Message::NewView(Arc::new(it))),
            16 => {
                Ok(Message::Resolve { operation: Operation::decode(reader)?, after: Sequence(reader.u64()?) })
            }
            17 => decode_answer(reader),
            18 => PeerStatus::decode(reader).map(Message::Status),
            19 => Ok(Message::Fetch { from: Sequence(reader.u64()?) }),
            20 => DecidedSlot::decode(reader).map(Message::Slot),
            21 => Ok(Message::FetchState { sequence: Sequence(reader.u64()?), offset: reader.u32()? }),
            22 => StateChunk::decode(reader).map(Message::StableCheckpoint),
            23 => {
                Ok(Message::FetchBatch { sequence: Sequence(reader.u64()?), digest: Digest::decode(reader)? })
            }
            24 => Ok(Message::FetchViewChange { digest: Digest::decode(reader)? }),
            25 => Ok(Message::Batch {
                header: SlotHeader::decode(reader)?,
                batch: Arc::new(Batch::decode(reader)?),
            }),
            found => Err(Reader::invalid(offset, "message", "1 to 7 or 16 to 25", u64::from(found))),
        }
    }
}

/// A byte that is 0 or 1.
pub(crate) fn read_flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    let offset = reader.offset();
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(Reader::invalid(offset, "flag", "0 or 1", u64::from(found))),
    }
}

fn decode_answer(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let operation = Digest::decode(reader)?;
    let offset = reader.offset();
    let bytes = reader.bytes16()?;
    if bytes.len() > ANSWER_BYTES_MAX {
        return Err(Reader::invalid(offset, "answer", "at most 60000 bytes", bytes.len() as u64));
    }
    Ok(Message::Answer { operation, bytes: bytes.to_vec() })
}
