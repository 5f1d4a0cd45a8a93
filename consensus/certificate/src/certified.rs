//! The certificate: q commits of one slot, and an answer with the proof that it is in that slot.

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::leaf::{LEAF_BYTES_MAX, Leaf};
use crate::{Digest, Domain, Epoch, MessageType, ReplicaSet, Signature, SlotHeader, View, merkle};

/// The first bytes of a certificate: `QRT` and the version.
pub const MAGIC: [u8; 4] = *b"QRT\x01";

/// The scheme of the signatures: a list of Ed25519 signatures.
pub const SCHEME_ED25519_LIST: u8 = 1;

/// The most digests in an inclusion proof: a slot has at most 65 535 leaves.
pub const PROOF_LENGTH_MAX: usize = 16;

/// The first byte of a reference, as of an EDNS option that carries one.
pub const REFERENCE_TAG: u8 = 2;

/// The commits of q replicas for one slot. Castro & Liskov 1999 §4.2.
///
/// Different views can yield different certificates for the same slot; all of them are equally valid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuorumCertificate {
    /// The cluster and the epoch whose keys signed.
    pub domain: Domain,
    /// The view in which the replicas committed.
    pub view: View,
    /// What they committed.
    pub header: SlotHeader,
    /// Who signed: exactly q replicas.
    pub signers: ReplicaSet,
    /// Their signatures, by ascending id.
    pub signatures: Vec<Signature>,
}

impl QuorumCertificate {
    /// The bytes that each signer signed.
    pub fn commit_preimage(&self) -> Vec<u8> {
        self.domain.vote_preimage(MessageType::Commit, self.view, self.header.sequence, self.header.digest())
    }
}

impl Encode for QuorumCertificate {
    fn encode(&self, writer: &mut Writer) {
        self.domain.cluster_id.encode(writer);
        writer.u64(self.domain.epoch.0);
        writer.u64(self.view.0);
        self.header.encode(writer);
        writer.u32(self.signers.0);
        for signature in &self.signatures {
            signature.encode(writer);
        }
    }
}

impl Decode for QuorumCertificate {
    fn decode(reader: &mut Reader<'_>) -> Result<QuorumCertificate, DecodeError> {
        let domain = Domain { cluster_id: Digest::decode(reader)?, epoch: Epoch(reader.u64()?) };
        let view = View(reader.u64()?);
        let header = SlotHeader::decode(reader)?;
        let offset = reader.offset();
        let signers = ReplicaSet(reader.u32()?);
        if signers.0 >> 31 != 0 {
            return Err(Reader::invalid(
                offset,
                "signers",
                "a bitmap of at most 31 replicas",
                u64::from(signers.0),
            ));
        }
        let signatures = (0..signers.len()).map(|_| Signature::decode(reader)).collect::<Result<_, _>>()?;
        Ok(QuorumCertificate { domain, view, header, signers, signatures })
    }
}

/// A leaf, the proof that it is in its slot, and the certificate of the slot. What `FORMAT.md` calls a certificate file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertifiedAnswer {
    /// The certificate of the slot.
    pub certificate: QuorumCertificate,
    /// The place of the leaf in the slot, from 0.
    pub index: u16,
    /// The inclusion proof of the leaf (RFC 9162 §2.1.3).
    pub proof: Vec<Digest>,
    /// What was agreed.
    pub leaf: Leaf,
}

impl CertifiedAnswer {
    /// The certified answers of a whole slot, from its certificate and its encoded leaves in order.
    ///
    /// Errors: a leaf that does not decode. Whether the leaves are those of the header is left to `verify`.
    pub fn of_slot<L: AsRef<[u8]>>(
        certificate: &QuorumCertificate,
        leaves: &[L],
    ) -> Result<Vec<CertifiedAnswer>, DecodeError> {
        let tree = merkle::Tree::new(leaves);
        let answers = leaves.iter().enumerate().map(|(index, leaf)| {
            Ok(CertifiedAnswer {
                certificate: certificate.clone(),
                index: index as u16,
                proof: tree.proof(index),
                leaf: Leaf::from_bytes(leaf.as_ref())?,
            })
        });
        answers.collect()
    }

    /// `0x02 || SHA-256(cluster id || sequence number || leaf)`: the same from every replica, whoever signed its certificate.
    pub fn reference(&self) -> [u8; 33] {
        let sequence = self.certificate.header.sequence.0.to_be_bytes();
        let digest =
            Digest::of_parts(&[&self.certificate.domain.cluster_id.0, &sequence, &self.leaf.to_bytes()]);
        let mut reference = [REFERENCE_TAG; 33];
        reference[1..].copy_from_slice(&digest.0);
        reference
    }
}

impl Encode for CertifiedAnswer {
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&MAGIC);
        writer.u8(SCHEME_ED25519_LIST);
        self.certificate.encode(writer);
        writer.u16(self.index);
        writer.u8(u8::try_from(self.proof.len()).expect("a proof has at most PROOF_LENGTH_MAX digests"));
        for digest in &self.proof {
            digest.encode(writer);
        }
        writer.bytes32(&self.leaf.to_bytes());
    }
}

impl Decode for CertifiedAnswer {
    fn decode(reader: &mut Reader<'_>) -> Result<CertifiedAnswer, DecodeError> {
        let magic = reader.array::<4>()?;
        if magic != MAGIC {
            return Err(Reader::invalid(
                0,
                "magic",
                "`QRT` and version 1",
                u64::from(u32::from_be_bytes(magic)),
            ));
        }
        let offset = reader.offset();
        let scheme = reader.u8()?;
        if scheme != SCHEME_ED25519_LIST {
            return Err(Reader::invalid(offset, "scheme", "1", u64::from(scheme)));
        }
        let certificate = QuorumCertificate::decode(reader)?;
        let index = reader.u16()?;
        let offset = reader.offset();
        let count = reader.u8()?;
        if usize::from(count) > PROOF_LENGTH_MAX {
            return Err(Reader::invalid(offset, "proof length", "at most 16", u64::from(count)));
        }
        let proof = (0..count).map(|_| Digest::decode(reader)).collect::<Result<_, _>>()?;
        let offset = reader.offset();
        let leaf = reader.bytes32()?;
        if leaf.len() > LEAF_BYTES_MAX {
            return Err(Reader::invalid(offset, "leaf length", "at most 65535", leaf.len() as u64));
        }
        Ok(CertifiedAnswer { certificate, index, proof, leaf: Leaf::from_bytes(leaf)? })
    }
}
