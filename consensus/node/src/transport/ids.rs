//! Connection ids with a tag that the filter recognises as ours, for QUIC.

use std::sync::Arc;
use std::time::Duration;

use peer_filter::{CONNECTION_ID_BYTES, ConnectionIds};
use quinn::{ConnectionId, ConnectionIdGenerator};
use quinn_proto::InvalidCid;
use rustls::crypto::CryptoProvider;

/// Draws a random number for each id.
#[derive(Debug)]
pub(crate) struct TaggedIds {
    ids: ConnectionIds,
    provider: Arc<CryptoProvider>,
}

impl TaggedIds {
    pub(crate) fn new(ids: ConnectionIds, provider: Arc<CryptoProvider>) -> TaggedIds {
        TaggedIds { ids, provider }
    }
}

impl ConnectionIdGenerator for TaggedIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut nonce = [0; 4];
        random(&self.provider, &mut nonce);
        ConnectionId::new(&self.ids.id(u32::from_le_bytes(nonce)))
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        if self.ids.is_ours(id) { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    /// Connections are few and do not migrate: there is nobody to hide from by a new id.
    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Fills `bytes` with what nobody can guess.
pub(crate) fn random(provider: &CryptoProvider, bytes: &mut [u8]) {
    provider.secure_random.fill(bytes).expect("the operating system has randomness");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_new_and_carries_the_tag() {
        let ids = ConnectionIds::new([7; 16]);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut generator = TaggedIds::new(ids, provider);
        let (one, other) = (generator.generate_cid(), generator.generate_cid());
        assert_ne!(one, other);
        for id in [one, other] {
            assert!(ids.is_ours(&id) && id.len() == generator.cid_len());
            assert!(generator.validate(&id).is_ok());
        }
        assert!(generator.validate(&ConnectionId::new(&[1; 8])).is_err());
    }
}
