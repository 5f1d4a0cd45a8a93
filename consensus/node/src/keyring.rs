//! The keys of the cluster file as the state machine asks for them.

use certificate::{Cluster, PublicKey, ReplicaId, SeedKey, Signature, SigningKey};

/// The signing key of this replica and the public keys of all.
pub(crate) struct ClusterKeys {
    own: SigningKey,
    members: Vec<PublicKey>,
}

impl ClusterKeys {
    pub(crate) fn new(cluster: &Cluster, seed: &SeedKey) -> ClusterKeys {
        ClusterKeys {
            own: seed.signing_key(),
            members: cluster.members.iter().map(|member| member.public_key).collect(),
        }
    }
}

impl pbft::Keyring for ClusterKeys {
    fn sign(&self, preimage: &[u8]) -> Signature {
        self.own.sign(preimage)
    }

    fn verify(&self, replica: ReplicaId, preimage: &[u8], signature: &Signature) -> bool {
        self.members.get(usize::from(replica.0)).is_some_and(|key| key.verify(preimage, signature))
    }
}
