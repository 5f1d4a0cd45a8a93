//! Datagrams as QUIC would send them, as far as the filter looks.

use super::{Packet, policy};
use crate::ConnectionIds;

pub(super) const INITIAL: u8 = 0xc0;
pub(super) const HANDSHAKE: u8 = 0xe0;

/// An id that the filter knows as ours.
pub(super) fn our_id() -> [u8; 8] {
    ConnectionIds::new(policy().connection_id_key).id(0xdead_beef)
}

/// An id of the right length that is not.
pub(super) const OTHER_ID: [u8; 8] = *b"not ours";

/// A packet with the short header.
pub(super) fn short(id: [u8; 8], bytes: usize) -> Vec<u8> {
    let mut datagram = vec![0x40];
    datagram.extend(id);
    datagram.resize(bytes, 0xaa);
    datagram
}

/// A packet with the long header; `first` holds its type.
pub(super) fn long(first: u8, version: u32, id: &[u8], bytes: usize) -> Vec<u8> {
    let mut datagram = vec![first];
    datagram.extend(version.to_be_bytes());
    datagram.push(id.len() as u8);
    datagram.extend(id);
    datagram.resize(bytes, 0);
    datagram
}

/// One datagram from `from`.
pub(super) fn one(from: &str, datagram: Vec<u8>) -> Packet {
    Packet { from: from.parse().unwrap(), datagrams: datagram, stride: 0 }
}

/// Several from `from` that the kernel joined: all as long as the first but for the last, which may be shorter.
pub(super) fn joined(from: &str, datagrams: &[Vec<u8>]) -> Packet {
    Packet { from: from.parse().unwrap(), datagrams: datagrams.concat(), stride: datagrams[0].len() }
}
