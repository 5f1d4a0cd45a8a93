//! What can be read of a datagram without keys: the invariant part of QUIC's header, and what version 1 adds to it.
//!
//! Source: RFC 8999 §5, RFC 9000 §17. The fixed bit is not looked at: endpoints may grease it (RFC 9287).
//! `bpf/judge.h` holds the same rules.

use crate::{CONNECTION_ID_BYTES, ConnectionIds, Verdict};

/// How a datagram of a known source is to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// It carries one of our connection ids.
    Established,
    /// It may be QUIC.
    Unproven,
    /// It is not QUIC that we could answer; the verdict says why.
    Refused(Verdict),
}

/// Reads `datagram`, the first of a batch.
pub(crate) fn shape(datagram: &[u8], ids: &ConnectionIds) -> Shape {
    let Some((header, _)) = datagram.split_first_chunk::<DATAGRAM_BYTES_MIN>() else {
        return Shape::Refused(Verdict::Malformed);
    };
    if header[0] & LONG_HEADER == 0 {
        return if ids.is_ours(&header[1..1 + CONNECTION_ID_BYTES]) {
            Shape::Established
        } else {
            Shape::Unproven
        };
    }
    let version = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
    if version != VERSION_NEGOTIATION && version != VERSION_1 {
        return Shape::Refused(Verdict::Version);
    }
    let id_bytes = usize::from(header[5]);
    if id_bytes > ID_BYTES_MAX || datagram.len() < 6 + id_bytes + 1 {
        return Shape::Refused(Verdict::Malformed);
    }
    if id_bytes == CONNECTION_ID_BYTES && ids.is_ours(&header[6..6 + CONNECTION_ID_BYTES]) {
        return Shape::Established;
    }
    let is_initial = version == VERSION_1 && header[0] & LONG_TYPE == TYPE_INITIAL;
    if is_initial && datagram.len() < INITIAL_BYTES_MIN {
        return Shape::Refused(Verdict::SmallInitial);
    }
    Shape::Unproven
}

/// The smallest datagram that can mean anything: a stateless reset (RFC 9000 §10.3).
pub(crate) const DATAGRAM_BYTES_MIN: usize = 21;
/// Datagrams with an Initial packet that opens a connection are padded to this (RFC 9000 §14.1).
pub(crate) const INITIAL_BYTES_MIN: usize = 1200;
/// Longest connection id of version 1 (RFC 9000 §17.2).
const ID_BYTES_MAX: usize = 20;
const LONG_HEADER: u8 = 0x80;
const LONG_TYPE: u8 = 0x30;
const TYPE_INITIAL: u8 = 0x00;
const VERSION_NEGOTIATION: u32 = 0;
const VERSION_1: u32 = 1;
