//! What exactly is signed: a domain, the cluster, the epoch and the type stand before every body, so that no signature can be
//! taken for another.

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::{Digest, Epoch, Sequence, View};

/// The type byte of a signed message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum MessageType {
    /// A micro-batch of observations.
    Observation = 1,
    /// Castro & Liskov 1999 §4.2.
    PrePrepare = 2,
    /// Castro & Liskov 1999 §4.2.
    Prepare = 3,
    /// Castro & Liskov 1999 §4.2. A quorum of these is a certificate.
    Commit = 4,
    /// Castro & Liskov 1999 §4.3.
    Checkpoint = 5,
    /// Castro & Liskov 1999 §4.4.
    ViewChange = 6,
    /// Castro & Liskov 1999 §4.4.
    NewView = 7,
    /// A cluster file, signed by a quorum of the epoch before.
    ClusterFile = 8,
}

/// The cluster and epoch that every signature names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Domain {
    /// Digest of the cluster file of the first epoch.
    pub cluster_id: Digest,
    /// The epoch whose keys sign.
    pub epoch: Epoch,
}

impl Domain {
    /// The bytes that are signed: `"quorate v1" || cluster id || epoch || type || body`.
    pub fn preimage(&self, message_type: MessageType, body: &[u8]) -> Vec<u8> {
        let mut writer = Writer::with_capacity(10 + 32 + 8 + 1 + body.len());
        writer.raw(b"quorate v1");
        self.cluster_id.encode(&mut writer);
        writer.u64(self.epoch.0);
        writer.u8(message_type as u8);
        writer.raw(body);
        writer.finish()
    }

    /// The bytes that a vote signs: body is `view || sequence number || digest`.
    pub fn vote_preimage(
        &self,
        phase: MessageType,
        view: View,
        sequence: Sequence,
        digest: Digest,
    ) -> Vec<u8> {
        let mut body = Writer::with_capacity(8 + 8 + 32);
        body.u64(view.0);
        body.u64(sequence.0);
        digest.encode(&mut body);
        self.preimage(phase, &body.finish())
    }
}

/// An Ed25519 signature (RFC 8032), not yet known to be valid.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signature({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

impl Encode for Signature {
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.0);
    }
}

impl Decode for Signature {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Signature(reader.array()?))
    }
}
