//! VIEW-CHANGE: what a replica says when it gives up a view. Castro & Liskov 1999 §4.4.
//!
//! It promises to vote in no view below, and says with proofs what may have been decided: its *base*, up to which everything is, and for each
//! slot behind it what it prepared (P) and what it voted for last (Q).
//!
//! Deviates: the base is not the stable checkpoint alone. A replica sends COMMIT for a slot only when it has executed all that are a pipeline
//! or more before it, so the q commits of a slot prove that those are decided. P and Q then span two pipelines, whatever the checkpoint
//! interval is, and a view change fits one message in the largest cluster.

use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::{Digest, Domain, MessageType, ReplicaId, ReplicaSet, Replicas, Sequence, Signature, View};
use thiserror::Error;

use crate::message::read_flag;
use crate::select::Claim;
use crate::vote::{quorum_signed, read_signatures, write_signatures};
use crate::{CheckpointCertificate, CommitCertificate, Keyring, PIPELINE_MAX, Parameters, Vote, lists};

/// How a digest is known to have been prepared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proof {
    /// The PRE-PREPARE and q-1 PREPAREs.
    Prepares {
        /// The primary's, over the PRE-PREPARE.
        primary: Signature,
        /// Who sent PREPARE: not the primary.
        signers: ReplicaSet,
        /// Their signatures, lowest id first.
        signatures: Vec<Signature>,
    },
    /// q COMMITs: the slot is decided.
    Commits {
        /// Who sent COMMIT.
        signers: ReplicaSet,
        /// Their signatures, lowest id first.
        signatures: Vec<Signature>,
    },
}

/// A prepared certificate, an element of P.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prepared {
    /// In which view.
    pub view: View,
    /// The digest of the header.
    pub digest: Digest,
    /// By whom.
    pub proof: Proof,
}

/// A vote, an element of Q.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Voted {
    /// In which view.
    pub view: View,
    /// The digest of the header.
    pub digest: Digest,
    /// That of the view's primary over its PRE-PREPARE: there was something to vote for.
    pub signature: Signature,
}

/// What a view change says about a slot; at least one of the two.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotClaim {
    /// The slot.
    pub sequence: Sequence,
    /// The prepared certificate of the highest view.
    pub prepared: Option<Prepared>,
    /// The vote of the highest view.
    pub voted: Option<Voted>,
}

/// What a replica says when it gives up a view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewChange {
    /// The view that it moves to.
    pub view: View,
    /// Who.
    pub replica: ReplicaId,
    /// C: its stable checkpoint; none at genesis.
    pub stable: Option<CheckpointCertificate>,
    /// The highest slot that it knows decided; none at genesis and after a state transfer.
    pub decided: Option<CommitCertificate>,
    /// P and Q of the slots behind its base, in order.
    pub slots: Vec<SlotClaim>,
    /// Over all of the above.
    pub signature: Signature,
}

/// Why a view change does not hold, though its replica signed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ViewChangeError {
    /// Not what the key of the replica signed.
    #[error("expected the signature of replica {0}")]
    Signature(ReplicaId),
    /// The checkpoint is none.
    #[error("expected a stable checkpoint, found one that a quorum did not sign")]
    Stable,
    /// The decided slot is not.
    #[error("expected a decided slot, found one that a quorum did not sign")]
    Decided,
    /// A slot out of order, or not within two pipelines behind the base.
    #[error("expected slots in order within two pipelines of base {base}, found {sequence}")]
    Slot {
        /// The last slot that is proven decided.
        base: Sequence,
        /// The slot.
        sequence: Sequence,
    },
    /// A claim of the view itself or a later one.
    #[error("slot {0}: expected claims of earlier views")]
    View(Sequence),
    /// A prepared certificate that its proof does not carry.
    #[error("slot {0}: expected a prepared certificate")]
    Prepared(Sequence),
    /// A vote for what no primary proposed.
    #[error("slot {0}: expected a vote for a proposal of the primary")]
    Voted(Sequence),
}

impl Prepared {
    fn verify(
        &self,
        sequence: Sequence,
        replicas: Replicas,
        domain: &Domain,
        keyring: &impl Keyring,
    ) -> bool {
        let preimage = |phase| domain.vote_preimage(phase, self.view, sequence, self.digest);
        match &self.proof {
            Proof::Prepares { primary, signers, signatures } => {
                let leader = replicas.primary(self.view);
                !signers.contains(leader)
                    && keyring.verify(leader, &preimage(MessageType::PrePrepare), primary)
                    && quorum_signed(
                        (replicas, replicas.quorum() - 1),
                        (*signers, signatures),
                        &preimage(MessageType::Prepare),
                        keyring,
                    )
            }
            Proof::Commits { signers, signatures } => quorum_signed(
                (replicas, replicas.quorum()),
                (*signers, signatures),
                &preimage(MessageType::Commit),
                keyring,
            ),
        }
    }

    /// Of a decided slot.
    pub fn of(certificate: &CommitCertificate) -> Prepared {
        let (signers, signatures) = (certificate.signers, certificate.signatures.clone());
        let proof = Proof::Commits { signers, signatures };
        Prepared { view: certificate.view, digest: certificate.digest, proof }
    }
}

impl ViewChange {
    /// Signs as the replica of the keyring.
    pub fn sign(mut self, domain: &Domain, keyring: &impl Keyring) -> ViewChange {
        self.signature = keyring.sign(&self.preimage(domain));
        self
    }

    fn preimage(&self, domain: &Domain) -> Vec<u8> {
        let mut body = Writer::new();
        self.encode_body(&mut body);
        domain.preimage(MessageType::ViewChange, &body.finish())
    }

    /// The name by which a new view refers to it.
    pub fn digest(&self) -> Digest {
        Digest::of_parts(&[b"quorate view change v1", &self.to_bytes()])
    }

    /// The last slot up to which it proves everything decided: its stable checkpoint, or a pipeline before its decided slot.
    pub fn base(&self, pipeline: u64) -> Sequence {
        let stable = self.stable.as_ref().map_or(0, |stable| stable.sequence.0);
        let decided = self.decided.as_ref().map_or(0, |decided| decided.sequence.0.saturating_sub(pipeline));
        Sequence(stable.max(decided))
    }

    /// Takes over what another one proves decided beyond this.
    pub(crate) fn prove_more(&mut self, other: &ViewChange) {
        let stable = |certificate: &Option<CheckpointCertificate>| certificate.as_ref().map(|it| it.sequence);
        if stable(&other.stable) > stable(&self.stable) {
            self.stable.clone_from(&other.stable);
        }
        let decided = |certificate: &Option<CommitCertificate>| certificate.as_ref().map(|it| it.sequence);
        if decided(&other.decided) > decided(&self.decided) {
            self.decided.clone_from(&other.decided);
        }
    }

    /// What it says about a slot.
    pub fn claim(&self, sequence: Sequence) -> Claim {
        let found = self.slots.binary_search_by_key(&sequence, |slot| slot.sequence);
        let Ok(place) = found else { return Claim::default() };
        let slot = &self.slots[place];
        Claim {
            prepared: slot.prepared.as_ref().map(|prepared| (prepared.view, prepared.digest)),
            voted: slot.voted.map(|voted| (voted.view, voted.digest)),
        }
    }

    /// Whether its replica signed it. Says nothing about what it claims.
    pub fn verify_signature(&self, domain: &Domain, keyring: &impl Keyring) -> bool {
        keyring.verify(self.replica, &self.preimage(domain), &self.signature)
    }

    /// Whether all that it claims is proven. The signature is looked at before.
    pub fn check(&self, parameters: &Parameters, keyring: &impl Keyring) -> Result<(), ViewChangeError> {
        let (replicas, domain) = (parameters.replicas, &parameters.domain);
        let stable_holds = |stable: &CheckpointCertificate| {
            stable.sequence.0.is_multiple_of(parameters.checkpoint_interval)
                && stable.verify(replicas, domain, keyring)
        };
        if !self.stable.as_ref().is_none_or(stable_holds) {
            return Err(ViewChangeError::Stable);
        }
        if !self.decided.as_ref().is_none_or(|decided| decided.verify(replicas, domain, keyring)) {
            return Err(ViewChangeError::Decided);
        }
        let base = self.base(parameters.pipeline);
        let mut before = base;
        for slot in &self.slots {
            let sequence = slot.sequence;
            if sequence <= before || sequence.0 - base.0 > 2 * parameters.pipeline {
                return Err(ViewChangeError::Slot { base, sequence });
            }
            before = sequence;
            self.check_claim(slot, parameters, keyring)?;
        }
        Ok(())
    }

    fn check_claim(
        &self,
        slot: &SlotClaim,
        parameters: &Parameters,
        keyring: &impl Keyring,
    ) -> Result<(), ViewChangeError> {
        let (sequence, replicas, domain) = (slot.sequence, parameters.replicas, &parameters.domain);
        let claim = self.claim(sequence);
        let views = [claim.prepared, claim.voted];
        if views.iter().flatten().any(|(view, _)| *view >= self.view) {
            return Err(ViewChangeError::View(sequence));
        }
        let holds = |prepared: &Prepared| prepared.verify(sequence, replicas, domain, keyring);
        if !slot.prepared.as_ref().is_none_or(holds) {
            return Err(ViewChangeError::Prepared(sequence));
        }
        let proposed = |voted: &Voted| {
            voted.proposal(sequence, replicas).verify(MessageType::PrePrepare, domain, keyring)
        };
        if !slot.voted.as_ref().is_none_or(proposed) {
            return Err(ViewChangeError::Voted(sequence));
        }
        Ok(())
    }

    fn encode_body(&self, writer: &mut Writer) {
        writer.u64(self.view.0);
        writer.u8(self.replica.0);
        encode_option(writer, self.stable.as_ref());
        encode_option(writer, self.decided.as_ref());
        lists::write16(writer, &self.slots);
    }
}

/// Most bytes of a view change in such a cluster, as a message.
pub const fn view_change_bytes_max(quorum: usize, pipeline: u64) -> usize {
    let signers = 4 + 64 * quorum;
    let prepared = 1 + 8 + 32 + 1 + 64 + signers;
    let voted = 1 + 8 + 32 + 64;
    let certificates = 2 * (1 + 8 + 8 + 32 + signers);
    1 + 8 + 1 + certificates + 2 + 2 * pipeline as usize * (8 + prepared + voted) + 64
}

impl Voted {
    /// What the primary signed.
    pub fn proposal(&self, sequence: Sequence, replicas: Replicas) -> Vote {
        let (view, digest, signature) = (self.view, self.digest, self.signature);
        Vote { view, sequence, digest, replica: replicas.primary(view), signature }
    }
}

fn encode_option(writer: &mut Writer, value: Option<&impl Encode>) {
    writer.u8(u8::from(value.is_some()));
    if let Some(value) = value {
        value.encode(writer);
    }
}

fn decode_option<T: Decode>(reader: &mut Reader<'_>) -> Result<Option<T>, DecodeError> {
    if read_flag(reader)? { T::decode(reader).map(Some) } else { Ok(None) }
}

impl Encode for Proof {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Proof::Prepares { primary, signers, signatures } => {
                writer.u8(0);
                primary.encode(writer);
                write_signatures(writer, *signers, signatures);
            }
            Proof::Commits { signers, signatures } => {
                writer.u8(1);
                write_signatures(writer, *signers, signatures);
            }
        }
    }
}

impl Decode for Proof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if read_flag(reader)? {
            let (signers, signatures) = read_signatures(reader)?;
            return Ok(Proof::Commits { signers, signatures });
        }
        let primary = Signature::decode(reader)?;
        let (signers, signatures) = read_signatures(reader)?;
        Ok(Proof::Prepares { primary, signers, signatures })
    }
}

impl Encode for Prepared {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.view.0);
        self.digest.encode(writer);
        self.proof.encode(writer);
    }
}

impl Decode for Prepared {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (view, digest) = (View(reader.u64()?), Digest::decode(reader)?);
        Ok(Prepared { view, digest, proof: Proof::decode(reader)? })
    }
}

impl Encode for Voted {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.view.0);
        self.digest.encode(writer);
        self.signature.encode(writer);
    }
}

impl Decode for Voted {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (view, digest) = (View(reader.u64()?), Digest::decode(reader)?);
        Ok(Voted { view, digest, signature: Signature::decode(reader)? })
    }
}

impl Encode for SlotClaim {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.sequence.0);
        encode_option(writer, self.prepared.as_ref());
        encode_option(writer, self.voted.as_ref());
    }
}

impl Decode for SlotClaim {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        let sequence = Sequence(reader.u64()?);
        let (prepared, voted) = (decode_option(reader)?, decode_option(reader)?);
        if prepared.is_none() && voted.is_none() {
            return Err(Reader::invalid(offset, "claim", "a certificate or a vote", 0));
        }
        Ok(SlotClaim { sequence, prepared, voted })
    }
}

impl Encode for ViewChange {
    fn encode(&self, writer: &mut Writer) {
        self.encode_body(writer);
        self.signature.encode(writer);
    }
}

impl Decode for ViewChange {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(ViewChange {
            view: View(reader.u64()?),
            replica: ReplicaId(reader.u8()?),
            stable: decode_option(reader)?,
            decided: decode_option(reader)?,
            slots: lists::read16(reader, "slots", 2 * PIPELINE_MAX as usize)?,
            signature: Signature::decode(reader)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn view_change_of_the_largest_cluster_fits_into_a_message() {
        let largest = Replicas::new(31, 10).expect("n = 3f+1");
        let bytes = view_change_bytes_max(largest.quorum(), PIPELINE_MAX);
        assert!(bytes <= crate::MESSAGE_BYTES_MAX, "{bytes} bytes");
    }
}
