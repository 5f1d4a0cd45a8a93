//! Votes and what a quorum of them makes: commit certificates and checkpoint certificates.

use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::{Digest, Domain, MessageType, ReplicaId, ReplicaSet, Replicas, Sequence, Signature, View};

use crate::{Keyring, lists};

/// One replica's signature for one digest in one slot of one view. The phase stands outside: in the message or record around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vote {
    /// The view in which it counts; votes of different views are never summed.
    pub view: View,
    /// The slot.
    pub sequence: Sequence,
    /// The digest of the slot's header.
    pub digest: Digest,
    /// Who votes.
    pub replica: ReplicaId,
    /// Over phase, view, sequence number and digest.
    pub signature: Signature,
}

impl Vote {
    /// Whether the signature is that of `replica` for this phase.
    pub fn verify(&self, phase: MessageType, domain: &Domain, keyring: &impl Keyring) -> bool {
        let preimage = domain.vote_preimage(phase, self.view, self.sequence, self.digest);
        keyring.verify(self.replica, &preimage, &self.signature)
    }
}

impl Encode for Vote {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.view.0);
        writer.u64(self.sequence.0);
        self.digest.encode(writer);
        writer.u8(self.replica.0);
        self.signature.encode(writer);
    }
}

impl Decode for Vote {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Vote {
            view: View(reader.u64()?),
            sequence: Sequence(reader.u64()?),
            digest: Digest::decode(reader)?,
            replica: ReplicaId(reader.u8()?),
            signature: Signature::decode(reader)?,
        })
    }
}

/// One replica's signature for its state after a slot. Castro & Liskov 1999 §4.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckpointVote {
    /// The last slot in the state.
    pub sequence: Sequence,
    /// Digest of the encoded state.
    pub digest: Digest,
    /// Who votes.
    pub replica: ReplicaId,
    /// Over sequence number and digest.
    pub signature: Signature,
}

impl CheckpointVote {
    /// Whether the signature is that of `replica`.
    pub fn verify(&self, domain: &Domain, keyring: &impl Keyring) -> bool {
        let preimage = checkpoint_preimage(domain, self.sequence, self.digest);
        keyring.verify(self.replica, &preimage, &self.signature)
    }
}

/// The bytes that a checkpoint signs: body is `sequence number || state digest`.
pub(crate) fn checkpoint_preimage(domain: &Domain, sequence: Sequence, digest: Digest) -> Vec<u8> {
    let mut body = Writer::new();
    body.u64(sequence.0);
    digest.encode(&mut body);
    domain.preimage(MessageType::Checkpoint, &body.finish())
}

impl Encode for CheckpointVote {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.sequence.0);
        self.digest.encode(writer);
        writer.u8(self.replica.0);
        self.signature.encode(writer);
    }
}

impl Decode for CheckpointVote {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(CheckpointVote {
            sequence: Sequence(reader.u64()?),
            digest: Digest::decode(reader)?,
            replica: ReplicaId(reader.u8()?),
            signature: Signature::decode(reader)?,
        })
    }
}

/// The commits of exactly q replicas for one digest in one view: the slot is decided, whoever shows this.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitCertificate {
    /// The view of the commits.
    pub view: View,
    /// The slot.
    pub sequence: Sequence,
    /// The digest of its header.
    pub digest: Digest,
    /// Who signed.
    pub signers: ReplicaSet,
    /// Their signatures, lowest id first.
    pub signatures: Vec<Signature>,
}

impl CommitCertificate {
    /// Whether exactly a quorum signed.
    pub fn verify(&self, replicas: Replicas, domain: &Domain, keyring: &impl Keyring) -> bool {
        let preimage = domain.vote_preimage(MessageType::Commit, self.view, self.sequence, self.digest);
        let count = replicas.quorum();
        quorum_signed((replicas, count), (self.signers, &self.signatures), &preimage, keyring)
    }
}

impl Encode for CommitCertificate {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.view.0);
        writer.u64(self.sequence.0);
        self.digest.encode(writer);
        write_signatures(writer, self.signers, &self.signatures);
    }
}

impl Decode for CommitCertificate {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let view = View(reader.u64()?);
        let sequence = Sequence(reader.u64()?);
        let digest = Digest::decode(reader)?;
        let (signers, signatures) = read_signatures(reader)?;
        Ok(CommitCertificate { view, sequence, digest, signers, signatures })
    }
}

/// The checkpoint votes of exactly q replicas for one state: the checkpoint is stable. Castro & Liskov 1999 §4.3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointCertificate {
    /// The last slot in the state.
    pub sequence: Sequence,
    /// Digest of the encoded state.
    pub digest: Digest,
    /// Who signed.
    pub signers: ReplicaSet,
    /// Their signatures, lowest id first.
    pub signatures: Vec<Signature>,
}

impl CheckpointCertificate {
    /// Whether exactly a quorum signed.
    pub fn verify(&self, replicas: Replicas, domain: &Domain, keyring: &impl Keyring) -> bool {
        let preimage = checkpoint_preimage(domain, self.sequence, self.digest);
        let count = replicas.quorum();
        quorum_signed((replicas, count), (self.signers, &self.signatures), &preimage, keyring)
    }
}

impl Encode for CheckpointCertificate {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.sequence.0);
        self.digest.encode(writer);
        write_signatures(writer, self.signers, &self.signatures);
    }
}

impl Decode for CheckpointCertificate {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let sequence = Sequence(reader.u64()?);
        let digest = Digest::decode(reader)?;
        let (signers, signatures) = read_signatures(reader)?;
        Ok(CheckpointCertificate { sequence, digest, signers, signatures })
    }
}

/// Whether exactly `count` members signed.
pub(crate) fn quorum_signed(
    (replicas, count): (Replicas, usize),
    (signers, signatures): (ReplicaSet, &[Signature]),
    preimage: &[u8],
    keyring: &impl Keyring,
) -> bool {
    signers.len() == count
        && signatures.len() == count
        && signers.iter().zip(signatures).all(|(replica, signature)| {
            replicas.contains(replica) && keyring.verify(replica, preimage, signature)
        })
}

pub(crate) fn write_signatures(writer: &mut Writer, signers: ReplicaSet, signatures: &[Signature]) {
    assert_eq!(signers.len(), signatures.len(), "a certificate is built with one signature a signer");
    lists::write_set(writer, signers);
    signatures.iter().for_each(|signature| signature.encode(writer));
}

pub(crate) fn read_signatures(reader: &mut Reader<'_>) -> Result<(ReplicaSet, Vec<Signature>), DecodeError> {
    let signers = lists::read_set(reader)?;
    let signatures = (0..signers.len()).map(|_| Signature::decode(reader)).collect::<Result<_, _>>()?;
    Ok((signers, signatures))
}
