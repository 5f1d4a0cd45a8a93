//! A borrowed view of a query, for the glance: header, one question, OPT, nothing allocated.
//!
//! `parse` takes only what is plain. Whatever is unusual, wrong or of another opcode gets `None`, and the engine decodes it and
//! says what is the matter. So nothing here answers with an error.

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

impl<'a> QueryView<'a> {
    /// Looks at `wire`, or returns `None` for whatever is not plain.
    ///
    /// Plain is: QR, AA, TC, RA, Z and rcode zero, opcode QUERY, one question of a data type (RFC 6895 §3.1: neither 0 nor OPT
    /// nor a type from 128 to 255) and of a data class, its name not compressed; then nothing, or one OPT record of version 0
    /// whose options fill its length exactly; then the end of the message.
    pub fn parse(wire: &'a [u8], client: &'a Client, received: Instant) -> Option<QueryView<'a>> {
        let (header, rest) = wire.split_first_chunk::<HEADER_BYTES>()?;
        let [_, _, flags_high, flags_low, 0, 1, 0, 0, 0, 0, 0, additional] = *header else {
            return None;
        };
        if flags_high & !FLAG_RD != 0 || flags_low & !(FLAG_AD | FLAG_CD) != 0 || additional > 1 {
            return None;
        }
        let (name, rest) = rest.split_at(name_length(rest)?);
        let (&[type_high, type_low, class_high, class_low], rest) = rest.split_first_chunk::<4>()?;
        let qtype = u16::from_be_bytes([type_high, type_low]);
        let qclass = u16::from_be_bytes([class_high, class_low]);
        if !is_data_type(qtype) || !is_data_class(qclass) {
            return None;
        }
        let edns = match additional {
            0 if rest.is_empty() => None,
            0 => return None,
            _ => Some(EdnsView::parse(rest)?),
        };
        Some(QueryView { wire, client, received, name, qtype, qclass, edns })
    }

    /// The message id.
    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.wire[0], self.wire[1]])
    }

    /// RD
    pub fn recursion_desired(&self) -> bool {
        self.wire[2] & FLAG_RD != 0
    }

    /// AD in the query: the client understands AD, RFC 6840 §5.7.
    pub fn authentic_data(&self) -> bool {
        self.wire[3] & FLAG_AD != 0
    }

    /// CD
    pub fn checking_disabled(&self) -> bool {
        self.wire[3] & FLAG_CD != 0
    }

    /// DO: the client wants DNSSEC records. RFC 3225.
    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }
}

impl<'a> EdnsView<'a> {
    /// Looks at an additional section that must be one OPT record and nothing else.
    fn parse(record: &'a [u8]) -> Option<EdnsView<'a>> {
        let (fixed, options) = record.split_first_chunk::<OPT_FIXED_BYTES>()?;
        let [0, 0, OPT_TYPE, size_high, size_low, 0, 0, flags_high, 0, length_high, length_low] = *fixed
        else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        if flags_high & !FLAG_DO != 0 || length != options.len() {
            return None;
        }
        let view = EdnsView {
            payload_size: u16::from_be_bytes([size_high, size_low]),
            dnssec_ok: flags_high & FLAG_DO != 0,
            options,
        };
        let told: usize = view.options().map(|(_, value)| 4 + value.len()).sum();
        (told == options.len()).then_some(view)
    }

    /// The options, code and value, in the order sent. Ends early where they are cut off; in a view that was parsed they are not.
    pub fn options(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut rest = self.options;
        std::iter::from_fn(move || {
            let (&[code_high, code_low, length_high, length_low], after) = rest.split_first_chunk::<4>()?;
            let length = usize::from(u16::from_be_bytes([length_high, length_low]));
            let (value, after) = after.split_at_checked(length)?;
            rest = after;
            Some((u16::from_be_bytes([code_high, code_low]), value))
        })
    }
}

/// The length of the name that `bytes` begin with, its root label included, when it is whole, not compressed, and not too long.
fn name_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let label = usize::from(*bytes.get(at)?);
        if label > LABEL_BYTES_MAX {
            return None;
        }
        at += 1 + label;
        if at > NAME_BYTES_MAX {
            return None;
        }
        if label == 0 {
            return Some(at);
        }
    }
}

/// Whether records of the type can be data. RFC 6895 §3.1.
fn is_data_type(qtype: u16) -> bool {
    qtype != 0 && qtype != u16::from(OPT_TYPE) && !(128..=255).contains(&qtype)
}

/// Whether records can be of the class. RFC 6895 §3.2: 254 and 255 are for questions alone.
fn is_data_class(qclass: u16) -> bool {
    qclass != 0 && qclass != 254 && qclass != 255
}

/// Length of a message's header.
const HEADER_BYTES: usize = 12;
/// Longest label. RFC 1035 §2.3.4
const LABEL_BYTES_MAX: usize = 63;
/// Longest name with its length bytes and the root label. RFC 1035 §2.3.4
pub const NAME_BYTES_MAX: usize = 255;
/// An OPT record up to its options.
const OPT_FIXED_BYTES: usize = 11;
/// The type OPT.
const OPT_TYPE: u8 = 41;
/// RD, in the third byte.
pub(crate) const FLAG_RD: u8 = 0x01;
/// AD, in the fourth byte.
pub(crate) const FLAG_AD: u8 = 0x20;
/// CD, in the fourth byte.
pub(crate) const FLAG_CD: u8 = 0x10;
/// DO, in the first byte of OPT's flags.
pub(crate) const FLAG_DO: u8 = 0x80;

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
