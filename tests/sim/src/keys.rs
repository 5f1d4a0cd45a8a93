//! The keys of the replicas: a mock that only its holder can sign with, and Ed25519 for a few seeds.
//!
//! A mock signature is a fingerprint under a secret. Nobody is given a `Keys` of another replica, so none can be forged.

use std::rc::Rc;

use certificate::{PublicKey, ReplicaId, SeedKey, Signature, SigningKey};
use pbft::Keyring;

use crate::random::{fingerprint, mix};

/// The signing key of one replica and what is needed to verify those of all.
#[derive(Clone)]
pub struct Keys {
    me: ReplicaId,
    scheme: Scheme,
}

#[derive(Clone)]
enum Scheme {
    Mock,
    Ed25519 { own: Rc<SigningKey>, members: Rc<Vec<PublicKey>> },
}

/// The key that a replica's real keys come from.
pub fn seed_key(replica: u8) -> SeedKey {
    SeedKey::new([replica + 1; 32])
}

impl Keys {
    /// The mock keys of a replica.
    pub fn mock(me: ReplicaId) -> Keys {
        Keys { me, scheme: Scheme::Mock }
    }

    /// The Ed25519 keys of all of `count` replicas.
    pub fn ed25519(count: usize) -> Vec<Keys> {
        let ids = || (0..count as u8).map(ReplicaId);
        let own: Vec<Rc<SigningKey>> = ids().map(|id| Rc::new(seed_key(id.0).signing_key())).collect();
        let members = Rc::new(own.iter().map(|key| key.public_key()).collect::<Vec<_>>());
        let of = |(me, own)| Keys { me, scheme: Scheme::Ed25519 { own, members: members.clone() } };
        ids().zip(own).map(of).collect()
    }
}

impl Keys {
    /// Whether they are Ed25519 keys.
    pub fn are_real(&self) -> bool {
        matches!(self.scheme, Scheme::Ed25519 { .. })
    }
}

fn mock_signature(replica: ReplicaId, preimage: &[u8]) -> Signature {
    let mut word = fingerprint(mix(0x5ec2_e7ed ^ u64::from(replica.0)), preimage);
    let mut bytes = [0; 64];
    for part in bytes.chunks_mut(8) {
        part.copy_from_slice(&word.to_le_bytes());
        word = mix(word.wrapping_add(1));
    }
    Signature(bytes)
}

impl Keyring for Keys {
    fn sign(&self, preimage: &[u8]) -> Signature {
        match &self.scheme {
            Scheme::Mock => mock_signature(self.me, preimage),
            Scheme::Ed25519 { own, .. } => own.sign(preimage),
        }
    }

    fn verify(&self, replica: ReplicaId, preimage: &[u8], signature: &Signature) -> bool {
        match &self.scheme {
            Scheme::Mock => mock_signature(replica, preimage) == *signature,
            Scheme::Ed25519 { members, .. } => {
                members.get(usize::from(replica.0)).is_some_and(|key| key.verify(preimage, signature))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_both_schemes_verify_for_their_signer_and_text_alone() {
        let of_both = [vec![Keys::mock(ReplicaId(0)), Keys::mock(ReplicaId(1))], Keys::ed25519(2)];
        for keys in of_both {
            let signature = keys[0].sign(b"text");
            assert!(keys[1].verify(ReplicaId(0), b"text", &signature));
            assert!(!keys[1].verify(ReplicaId(1), b"text", &signature));
            assert!(!keys[1].verify(ReplicaId(0), b"test", &signature));
        }
    }
}
