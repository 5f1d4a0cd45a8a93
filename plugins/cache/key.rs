//! What an answer is kept under: lower-case name in wire form, type, class, DO and CD.
//!
//! Lies on the stack, so that a lookup allocates nothing; the store keeps its bytes.

use crate::query::Query;
use crate::view::{NAME_BYTES_MAX, QueryView};
use crate::zones::wire_of;

/// The key of one question.
#[derive(Clone, Debug)]
pub struct Key {
    bytes: [u8; KEY_BYTES_MAX],
    length: usize,
}

impl Key {
    /// The key of a query that was seen at a glance.
    pub fn of_view(query: &QueryView<'_>) -> Key {
        let flags = flags(query.dnssec_ok(), query.checking_disabled());
        Key::build(query.name, query.qtype, query.qclass, flags)
    }

    /// The key of a decoded query.
    pub fn of_query(query: &Query) -> Key {
        let flags = flags(query.dnssec_ok(), query.checking_disabled);
        Key::build(&wire_of(&query.name), query.qtype.into(), query.qclass.into(), flags)
    }

    fn build(name: &[u8], qtype: u16, qclass: u16, flags: u8) -> Key {
        let mut key = Key { bytes: [0; KEY_BYTES_MAX], length: name.len() + TAIL_BYTES };
        key.bytes[..name.len()].copy_from_slice(name);
        // length bytes are at most 63 and so no letters
        key.bytes[..name.len()].make_ascii_lowercase();
        let tail = &mut key.bytes[name.len()..key.length];
        tail[..2].copy_from_slice(&qtype.to_be_bytes());
        tail[2..4].copy_from_slice(&qclass.to_be_bytes());
        tail[4] = flags;
        key
    }

    /// The key as the store keeps it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The name: wire form, lower-case, with the root label.
    pub fn name(&self) -> &[u8] {
        &self.bytes[..self.length - TAIL_BYTES]
    }
}

/// DO and CD in one byte, as they stand in the key.
fn flags(dnssec_ok: bool, checking_disabled: bool) -> u8 {
    u8::from(dnssec_ok) | u8::from(checking_disabled) << 1
}

/// Type, class and flags.
const TAIL_BYTES: usize = 5;
/// Longest key.
const KEY_BYTES_MAX: usize = NAME_BYTES_MAX + TAIL_BYTES;
