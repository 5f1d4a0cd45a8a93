//! What a replica stores before it speaks. The stream of records, read back in order, is its memory across crashes.

use std::sync::Arc;

use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::replicas::REPLICAS_MAX;
use certificate::{Digest, ReplicaId, Sequence, SlotHeader};

use crate::message::read_flag;
use crate::{
    Batch, CheckpointCertificate, CheckpointVote, CommitCertificate, NewView, PrePrepare, Proof,
    STATE_BYTES_MAX, ViewChange, Vote, Voted, lists,
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
    /// An own COMMIT, and why it was sent: view changes show it.
    Committed {
        /// The COMMIT.
        vote: Vote,
        /// That the digest was prepared.
        proof: Proof,
    },
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
        /// Whether the replica votes: not while it learns.
        voter: bool,
        /// That the checkpoint is stable.
        certificate: CheckpointCertificate,
        /// The encoded state.
        state: Arc<Vec<u8>>,
    },
    /// An own VIEW-CHANGE: no vote in a view below any more.
    ViewChanging(Arc<ViewChange>),
    /// A view that this replica entered, or as its primary began, with what it follows from.
    Entered {
        /// With what it began.
        new_view: Arc<NewView>,
        /// The view changes that it names, in its order.
        view_changes: Vec<Arc<ViewChange>>,
    },
    /// The first record of a log that begins after an earlier one was lost: the replica learns, and does not vote.
    Learner {
        /// Digest of the cluster file.
        cluster_digest: Digest,
        /// Whose log it is.
        me: ReplicaId,
    },
    /// What the replica lost can do no harm any more: it votes.
    Voter,
    /// An own vote whose proposal no `Accepted` record holds: a primary's, for what it fixed in its new view. Stands behind a checkpoint, when the
    /// record of that view is gone.
    Voted {
        /// The slot.
        sequence: Sequence,
        /// What a view change says of it.
        voted: Voted,
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
            Record::Committed { vote, proof } => {
                writer.u8(3);
                vote.encode(writer);
                proof.encode(writer);
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
            Record::Stable { cluster_digest, me, voter, certificate, state } => {
                writer.u8(6);
                cluster_digest.encode(writer);
                writer.u8(me.0);
                writer.u8(u8::from(*voter));
                certificate.encode(writer);
                writer.bytes32(state);
            }
            Record::ViewChanging(view_change) => {
                writer.u8(7);
                view_change.encode(writer);
            }
            Record::Entered { new_view, view_changes } => {
                writer.u8(8);
                new_view.encode(writer);
                lists::write_bounded(writer, view_changes, |writer, one| one.encode(writer));
            }
            Record::Learner { cluster_digest, me } => {
                writer.u8(9);
                cluster_digest.encode(writer);
                writer.u8(me.0);
            }
            Record::Voter => writer.u8(10),
            Record::Voted { sequence, voted } => {
                writer.u8(11);
                writer.u64(sequence.0);
                voted.encode(writer);
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
                let prepare = if read_flag(reader)? { Some(Vote::decode(reader)?) } else { None };
                Record::Accepted { proposal, prepare }
            }
            3 => Record::Committed { vote: Vote::decode(reader)?, proof: Proof::decode(reader)? },
            4 => {
                let certificate = CommitCertificate::decode(reader)?;
                let body = if read_flag(reader)? {
                    Some((SlotHeader::decode(reader)?, Arc::new(Batch::decode(reader)?)))
                } else {
                    None
                };
                Record::Decided { certificate, body }
            }
            5 => Record::OwnCheckpoint(CheckpointVote::decode(reader)?),
            6 => decode_stable(reader)?,
            7 => Record::ViewChanging(Arc::new(ViewChange::decode(reader)?)),
            8 => {
                let new_view = Arc::new(NewView::decode(reader)?);
                let one = |reader: &mut Reader<'_>| ViewChange::decode(reader).map(Arc::new);
                let view_changes = lists::read_bounded(reader, "view changes", REPLICAS_MAX as usize, one)?;
                Record::Entered { new_view, view_changes }
            }
            9 => Record::Learner { cluster_digest: Digest::decode(reader)?, me: ReplicaId(reader.u8()?) },
            10 => Record::Voter,
            11 => Record::Voted { sequence: Sequence(reader.u64()?), voted: Voted::decode(reader)? },
            found => return Err(Reader::invalid(offset, "record", "1 to 11", u64::from(found))),
        })
    }
}

fn decode_stable(reader: &mut Reader<'_>) -> Result<Record, DecodeError> {
    let cluster_digest = Digest::decode(reader)?;
    let me = ReplicaId(reader.u8()?);
    let voter = read_flag(reader)?;
    let certificate = CheckpointCertificate::decode(reader)?;
    let offset = reader.offset();
    let state = reader.bytes32()?;
    if state.len() > STATE_BYTES_MAX {
        return Err(Reader::invalid(offset, "state", "at most 16 MiB", state.len() as u64));
    }
    Ok(Record::Stable { cluster_digest, me, voter, certificate, state: Arc::new(state.to_vec()) })
}
