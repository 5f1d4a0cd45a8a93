//! QUIC connection ids that the filter recognises as ours without keeping any state.
//!
//! An id is 8 bytes: a nonce of 32 bits, then 32 bits of SipHash-2-4 over it under a key that only this node knows.
//! A stranger guesses one with probability 2^-32; who has seen one on the wire can repeat it, which is why the filter
//! gives it a looser bucket and nothing more.

use siphasher::sip::SipHasher24;

/// Bytes of a connection id that [`ConnectionIds`] makes.
pub const CONNECTION_ID_BYTES: usize = 8;

/// Makes and checks connection ids. Cheap to copy.
#[derive(Clone, Copy)]
pub struct ConnectionIds {
    hasher: SipHasher24,
}

impl ConnectionIds {
    /// Takes the node's secret `key`. Ids made under another key are not ours.
    pub fn new(key: [u8; 16]) -> ConnectionIds {
        ConnectionIds { hasher: SipHasher24::new_with_key(&key) }
    }

    /// Returns the id of `nonce`, which the caller draws at random for each id.
    pub fn id(&self, nonce: u32) -> [u8; CONNECTION_ID_BYTES] {
        let nonce = nonce.to_le_bytes();
        let tag = self.tag(nonce);
        [nonce[0], nonce[1], nonce[2], nonce[3], tag[0], tag[1], tag[2], tag[3]]
    }

    /// Whether `id` was made with this key.
    pub fn is_ours(&self, id: &[u8]) -> bool {
        let Ok([n0, n1, n2, n3, tag @ ..]) = <[u8; CONNECTION_ID_BYTES]>::try_from(id) else {
            return false;
        };
        tag == self.tag([n0, n1, n2, n3])
    }

    fn tag(&self, nonce: [u8; 4]) -> [u8; 4] {
        let [t0, t1, t2, t3, ..] = self.hasher.hash(&nonce).to_le_bytes();
        [t0, t1, t2, t3]
    }
}

impl std::fmt::Debug for ConnectionIds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ConnectionIds(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_the_nonce_and_half_of_its_siphash() {
        // The reference vector of SipHash-2-4 for the message 00 01 02 03: cf2794e0277187b7.
        let ids = ConnectionIds::new(std::array::from_fn(|i| i as u8));
        let id = ids.id(u32::from_le_bytes([0, 1, 2, 3]));
        assert_eq!(id, [0x00, 0x01, 0x02, 0x03, 0xb7, 0x87, 0x71, 0x27]);
        assert!(ids.is_ours(&id));
    }

    #[test]
    fn id_with_any_bit_flipped_is_not_ours() {
        let ids = ConnectionIds::new([7; 16]);
        let id = ids.id(0x1234_5678);
        for bit in 0..64 {
            let mut forged = id;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!ids.is_ours(&forged), "bit {bit}");
        }
    }

    #[test]
    fn id_of_another_key_or_length_is_not_ours() {
        let ids = ConnectionIds::new([7; 16]);
        let id = ids.id(1);
        assert!(!ConnectionIds::new([8; 16]).is_ours(&id));
        assert!(!ids.is_ours(&id[..7]));
        assert!(!ids.is_ours(&[]));
    }

    #[test]
    fn key_is_not_printed() {
        assert_eq!(format!("{:?}", ConnectionIds::new([7; 16])), "ConnectionIds(secret)");
    }
}
