//! What a replica stores before it speaks. The stream of records, read back in order, is its memory across crashes.

use std::sync::Arc;

use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::{Digest, ReplicaId, SlotHeader};

use crate::{
    Batch, CheckpointCertificate, CheckpointVote, CommitCertificate, PrePrepare, STATE_BYTES_MAX, Vote,
};

/// What a replica stores before it speaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// The first record of a log; `quorate cluster new` writes it, nobody else.
    Genesis {
        /// Digest of the cluster file.
        cluster_digest: Digest,
        /// Whose log it is.
        me: ReplicaId,
    },
    /// A proposal that this replica made (then there is no PREPARE) or accepted.
    Accepted {
        /// The proposal, its batch included.
        proposal: PrePrepare,
        /// The own PREPARE for it.
        prepare: Option<Vote>,
    },
    /// An own COMMIT.
    Committed(Vote),
    /// A slot is decided. The body stands here only when no `Accepted` record holds it.
    Decided {
        /// The commits of a quorum.
        certificate: CommitCertificate,
        /// Header and batch of a slot that was fetched.
        body: Option<(SlotHeader, Arc<Batch>)>,
    },
    /// An own CHECKPOINT.
    OwnCheckpoint(CheckpointVote),
    /// A stable checkpoint with its state. Stands for everything before it; what is still needed of that follows it again.
    Stable {
        /// Digest of the cluster file.
        cluster_digest: Digest,
        /// Whose log it is.
        me: ReplicaId,
        /// That the checkpoint is stable.
        certificate: CheckpointCertificate,
        /// The encoded state.
        state: Arc<Vec<u8>>,
    },
}

impl Record {
    /// Whether a message of the same turn vouches for the record: then it must be on disk, not just written, before that leaves.
    ///
    /// A lost `Decided` is fetched again. Everything else is a signature of ours, or replaces older records.
    pub fn needs_sync(&self) -> bool {
        !matches!(self, Record::Decided { .. })
    }
}

impl Encode for Record {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Record::Genesis { cluster_digest, me } => {
                writer.u8(1);
                cluster_digest.encode(writer);
                writer.u8(me.0);
            }
            Record::Accepted { proposal, prepare } => {
                writer.u8(2);
                proposal.encode(writer);
                writer.u8(u8::from(prepare.is_some()));
                if let Some(vote) = prepare {
                    vote.encode(writer);
                }
            }
            Record::Committed(vote) => {
                writer.u8(3);
                vote.encode(writer);
            }
            Record::Decided { certificate, body } => {
                writer.u8(4);
                certificate.encode(writer);
                writer.u8(u8::from(body.is_some()));
                if let Some((header, batch)) = body {
                    header.encode(writer);
                    batch.encode(writer);
                }
            }
            Record::OwnCheckpoint(vote) => {
                writer.u8(5);
                vote.encode(writer);
            }
            Record::Stable { cluster_digest, me, certificate, state } => {
                writer.u8(6);
                cluster_digest.encode(writer);
                writer.u8(me.0);
                certificate.encode(writer);
                writer.bytes32(state);
            }
        }
    }
}

impl Decode for Record {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        Ok(match reader.u8()? {
            1 => Record::Genesis { cluster_digest: Digest::decode(reader)?, me: ReplicaId(reader.u8()?) },
            2 => {
                let proposal = PrePrepare::decode(reader)?;
                let prepare = if flag(reader)? { Some(Vote::decode(reader)?) } else { None };
                Record::Accepted { proposal, prepare }
            }
            3 => Record::Committed(Vote::decode(reader)?),
            4 => {
                let certificate = CommitCertificate::decode(reader)?;
                let body = if flag(reader)? {
                    Some((SlotHeader::decode(reader)?, Arc::new(Batch::decode(reader)?)))
                } else {
                    None
                };
                Record::Decided { certificate, body }
            }
            5 => Record::OwnCheckpoint(CheckpointVote::decode(reader)?),
            6 => decode_stable(reader)?,
            found => return Err(Reader::invalid(offset, "record", "1 to 6", u64::from(found))),
        })
    }
}

fn decode_stable(reader: &mut Reader<'_>) -> Result<Record, DecodeError> {
    let cluster_digest = Digest::decode(reader)?;
    let me = ReplicaId(reader.u8()?);
    let certificate = CheckpointCertificate::decode(reader)?;
    let offset = reader.offset();
    let state = reader.bytes32()?;
    if state.len() > STATE_BYTES_MAX {
        return Err(Reader::invalid(offset, "state", "at most 16 MiB", state.len() as u64));
    }
    Ok(Record::Stable { cluster_digest, me, certificate, state: Arc::new(state.to_vec()) })
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    let offset = reader.offset();
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(Reader::invalid(offset, "flag", "0 or 1", u64::from(found))),
    }
}
