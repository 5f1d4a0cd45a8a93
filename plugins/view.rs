//! A borrowed view of a query, for the glance: header, one question, OPT, nothing allocated.

use std::time::Instant;

use crate::query::Client;

/// The bytes of a query that is simple enough for a glance: opcode QUERY, one question without compression, at most one OPT
/// of version 0 and nothing else in the message.
#[derive(Clone, Copy, Debug)]
pub struct QueryView<'a> {
    /// The whole message.
    pub wire: &'a [u8],
    /// Who asks.
    pub client: &'a Client,
    /// When it came.
    pub received: Instant,
    /// The name as asked, in wire form with the root label, case kept.
    pub name: &'a [u8],
    /// The type asked for.
    pub qtype: u16,
    /// The class asked for.
    pub qclass: u16,
    /// What the OPT record says, if there is one.
    pub edns: Option<EdnsView<'a>>,
}

/// What the OPT record of a query says. RFC 6891 §6.1.
#[derive(Clone, Copy, Debug)]
pub struct EdnsView<'a> {
    /// The requestor's UDP payload size, as sent.
    pub payload_size: u16,
    /// DO
    pub dnssec_ok: bool,
    /// The options, undecoded.
    pub options: &'a [u8],
}
