//! Observations: what one replica saw, when, and its signature over a micro-batch of them.
//!
//! The signature covers the list of the items' digests, so that items which a proposal does not need can be replaced by their digest
//! without breaking it.

use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::{Digest, Domain, MessageType, ReplicaId, Sequence, Signature};

use crate::{Keyring, OBSERVATION_BYTES_MAX, OBSERVATIONS_PER_SET_MAX, Operation};

/// What one replica saw for one operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observation {
    /// What was looked up.
    pub operation: Operation,
    /// The last slot that the observer had executed when it *started* its lookup: an observation from before the slot in which the
    /// operation was decided must not start a new round.
    pub after: Sequence,
    /// When it was seen, in milliseconds since 1970, by the observer's clock.
    pub time_ms: u64,
    /// What was seen; read by the application alone.
    pub payload: Vec<u8>,
}

impl Observation {
    /// The digest under which it is signed and remembered as used. Names the observer, so equal observations of two replicas differ.
    pub fn digest(&self, replica: ReplicaId) -> Digest {
        let mut writer = Writer::with_capacity(self.encoded_len());
        self.encode(&mut writer);
        Digest::of_parts(&[b"quorate observation v1", &[replica.0], &writer.finish()])
    }

    /// Length of the encoding in bytes.
    pub fn encoded_len(&self) -> usize {
        self.operation.encoded_len() + 8 + 8 + 2 + self.payload.len()
    }
}

impl Encode for Observation {
    fn encode(&self, writer: &mut Writer) {
        self.operation.encode(writer);
        writer.u64(self.after.0);
        writer.u64(self.time_ms);
        writer.bytes16(&self.payload);
    }
}

impl Decode for Observation {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let operation = Operation::decode(reader)?;
        let after = Sequence(reader.u64()?);
        let time_ms = reader.u64()?;
        let offset = reader.offset();
        let payload = reader.bytes16()?;
        if payload.len() > OBSERVATION_BYTES_MAX {
            return Err(Reader::invalid(offset, "payload", "at most 8192 bytes", payload.len() as u64));
        }
        Ok(Observation { operation, after, time_ms, payload: payload.to_vec() })
    }
}

/// An element of a signed micro-batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// The observation itself.
    Full(Observation),
    /// Only its digest: whoever passed the set on did not need it.
    Pruned(Digest),
}

impl Item {
    /// The digest that the signature covers.
    pub fn digest(&self, replica: ReplicaId) -> Digest {
        match self {
            Item::Full(observation) => observation.digest(replica),
            Item::Pruned(digest) => *digest,
        }
    }

    /// Length of the encoding in bytes.
    pub fn encoded_len(&self) -> usize {
        match self {
            Item::Full(observation) => 1 + observation.encoded_len(),
            Item::Pruned(_) => 1 + 32,
        }
    }
}

impl Encode for Item {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Item::Pruned(digest) => {
                writer.u8(0);
                digest.encode(writer);
            }
            Item::Full(observation) => {
                writer.u8(1);
                observation.encode(writer);
            }
        }
    }
}

impl Decode for Item {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        match reader.u8()? {
            0 => Ok(Item::Pruned(Digest::decode(reader)?)),
            1 => Ok(Item::Full(Observation::decode(reader)?)),
            found => Err(Reader::invalid(offset, "item", "0 (pruned) or 1 (full)", u64::from(found))),
        }
    }
}

/// A micro-batch of observations with one signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedObservations {
    /// Whose observations they are.
    pub replica: ReplicaId,
    /// 1 to [`OBSERVATIONS_PER_SET_MAX`] items, in the order in which they were signed.
    pub items: Vec<Item>,
    /// Over the replica and the digests of the items.
    pub signature: Signature,
}

impl SignedObservations {
    /// Signs `observations` as `replica`.
    pub fn sign(
        replica: ReplicaId,
        observations: Vec<Observation>,
        domain: &Domain,
        keyring: &impl Keyring,
    ) -> SignedObservations {
        let items: Vec<Item> = observations.into_iter().map(Item::Full).collect();
        let digests: Vec<Digest> = items.iter().map(|item| item.digest(replica)).collect();
        let signature = keyring.sign(&preimage(domain, replica, &digests));
        SignedObservations { replica, items, signature }
    }

    /// The digests of the items, in order.
    pub fn digests(&self) -> Vec<Digest> {
        self.items.iter().map(|item| item.digest(self.replica)).collect()
    }

    /// The bytes that the signature covers.
    pub fn preimage(&self, domain: &Domain) -> Vec<u8> {
        preimage(domain, self.replica, &self.digests())
    }

    /// Length of the encoding in bytes.
    pub fn encoded_len(&self) -> usize {
        SET_OVERHEAD_BYTES + self.items.iter().map(Item::encoded_len).sum::<usize>()
    }
}

/// What a set costs besides its items: replica, count, signature.
pub(crate) const SET_OVERHEAD_BYTES: usize = 1 + 1 + 64;

/// The bytes that the signature over items with these digests covers.
pub(crate) fn preimage(domain: &Domain, replica: ReplicaId, digests: &[Digest]) -> Vec<u8> {
    let mut body = Writer::with_capacity(2 + 32 * digests.len());
    body.u8(replica.0);
    body.u8(u8::try_from(digests.len()).expect("a set holds at most OBSERVATIONS_PER_SET_MAX items"));
    digests.iter().for_each(|digest| digest.encode(&mut body));
    domain.preimage(MessageType::Observation, &body.finish())
}

impl Encode for SignedObservations {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(self.replica.0);
        writer
            .u8(u8::try_from(self.items.len()).expect("a set holds at most OBSERVATIONS_PER_SET_MAX items"));
        self.items.iter().for_each(|item| item.encode(writer));
        self.signature.encode(writer);
    }
}

impl Decode for SignedObservations {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let replica = ReplicaId(reader.u8()?);
        let offset = reader.offset();
        let count = usize::from(reader.u8()?);
        if count == 0 || count > OBSERVATIONS_PER_SET_MAX {
            return Err(Reader::invalid(offset, "items", "1 to 16", count as u64));
        }
        let items = (0..count).map(|_| Item::decode(reader)).collect::<Result<_, _>>()?;
        Ok(SignedObservations { replica, items, signature: Signature::decode(reader)? })
    }
}
