//! What a leaf is about: a DNS question, or the subject of another kind of operation.

use std::fmt;

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::header::OperationKind;
use crate::name::{self, Presentation};

/// The longest subject of an operation.
pub const SUBJECT_BYTES_MAX: usize = 1024;

/// A DNS question as it is agreed on. Two questions that differ only in letter case are one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Question {
    /// The name in wire format: uncompressed, lower-case, at most 255 bytes.
    pub name: Vec<u8>,
    /// The type asked for.
    pub qtype: u16,
    /// The class asked for; 1 is IN.
    pub qclass: u16,
    /// `Question::DNSSEC_OK` and `Question::CHECKING_DISABLED`; no other bit.
    pub flags: u8,
}

impl Question {
    /// Bit of `flags`: the DO bit of the query (RFC 3225 §3).
    pub const DNSSEC_OK: u8 = 1;
    /// Bit of `flags`: the CD bit of the query (RFC 4035 §3.2.2).
    pub const CHECKING_DISABLED: u8 = 2;

    /// A question of class IN without flags, the name in presentation form.
    pub fn parse(name: &str, qtype: u16) -> Result<Question, name::NameError> {
        Ok(Question { name: name::parse(name)?, qtype, qclass: 1, flags: 0 })
    }
}

/// `www.example.org. IN AAAA`, then `DO` and `CD` where set.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", Presentation(&self.name))?;
        match self.qclass {
            1 => f.write_str("IN")?,
            class => write!(f, "CLASS{class}")?,
        }
        write!(f, " {}", TypeName(self.qtype))?;
        if self.flags & Question::DNSSEC_OK != 0 {
            f.write_str(" DO")?;
        }
        if self.flags & Question::CHECKING_DISABLED != 0 {
            f.write_str(" CD")?;
        }
        Ok(())
    }
}

/// Prints the mnemonic of a common record type, `TYPE65280` for others (RFC 3597 §5).
pub struct TypeName(pub u16);

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TYPE_NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

const TYPE_NAMES: [(u16, &str); 26] = [
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (12, "PTR"),
    (13, "HINFO"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (33, "SRV"),
    (35, "NAPTR"),
    (37, "CERT"),
    (39, "DNAME"),
    (43, "DS"),
    (44, "SSHFP"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (50, "NSEC3"),
    (52, "TLSA"),
    (53, "SMIMEA"),
    (61, "OPENPGPKEY"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (255, "ANY"),
    (257, "CAA"),
];

impl Encode for Question {
    fn encode(&self, writer: &mut Writer) {
        name::encode(writer, &self.name);
        writer.u16(self.qtype);
        writer.u16(self.qclass);
        writer.u8(self.flags);
    }
}

impl Decode for Question {
    fn decode(reader: &mut Reader<'_>) -> Result<Question, DecodeError> {
        let name = name::decode(reader, "question name")?;
        let qtype = reader.u16()?;
        let qclass = reader.u16()?;
        let offset = reader.offset();
        let flags = reader.u8()?;
        if flags & !(Question::DNSSEC_OK | Question::CHECKING_DISABLED) != 0 {
            return Err(Reader::invalid(offset, "question flags", "0 to 3", u64::from(flags)));
        }
        Ok(Question { name, qtype, qclass, flags })
    }
}

/// What an operation is about. A null operation has no leaf and so no subject.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// The answer to a question.
    Resolve(Question),
    /// A certificate chain; at most `SUBJECT_BYTES_MAX` bytes that only the validating plugin reads.
    Validate(Vec<u8>),
    /// New versions of pinned inputs, likewise.
    UpdateInputs(Vec<u8>),
    /// A new epoch, likewise.
    NewEpoch(Vec<u8>),
}

impl Subject {
    /// The kind of the operation.
    pub fn kind(&self) -> OperationKind {
        match self {
            Subject::Resolve(_) => OperationKind::Resolve,
            Subject::Validate(_) => OperationKind::Validate,
            Subject::UpdateInputs(_) => OperationKind::UpdateInputs,
            Subject::NewEpoch(_) => OperationKind::NewEpoch,
        }
    }

    /// The question of a `Resolve`.
    pub fn question(&self) -> Option<&Question> {
        match self {
            Subject::Resolve(question) => Some(question),
            _ => None,
        }
    }

    /// The subject bytes of an operation: an encoded question, or the opaque bytes as they are.
    pub fn operation_bytes(&self) -> Vec<u8> {
        match self {
            Subject::Resolve(question) => question.to_bytes(),
            Subject::Validate(bytes) | Subject::UpdateInputs(bytes) | Subject::NewEpoch(bytes) => {
                bytes.clone()
            }
        }
    }
}

/// `kind (1) || length (2) || subject bytes`.
impl Encode for Subject {
    fn encode(&self, writer: &mut Writer) {
        self.kind().encode(writer);
        writer.bytes16(&self.operation_bytes());
    }
}

impl Decode for Subject {
    fn decode(reader: &mut Reader<'_>) -> Result<Subject, DecodeError> {
        let kind_offset = reader.offset();
        let kind = OperationKind::decode(reader)?;
        let offset = reader.offset();
        let bytes = reader.bytes16()?;
        if bytes.len() > SUBJECT_BYTES_MAX {
            return Err(Reader::invalid(offset, "subject length", "at most 1024", bytes.len() as u64));
        }
        match kind {
            OperationKind::Null => Err(Reader::invalid(kind_offset, "leaf kind", "1 to 4", 0)),
            OperationKind::Resolve => Ok(Subject::Resolve(Question::from_bytes(bytes)?)),
            OperationKind::Validate => Ok(Subject::Validate(bytes.to_vec())),
            OperationKind::UpdateInputs => Ok(Subject::UpdateInputs(bytes.to_vec())),
            OperationKind::NewEpoch => Ok(Subject::NewEpoch(bytes.to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_reads_as_in_dig() {
        let mut question = Question::parse("WWW.example.org", 28).unwrap();
        assert_eq!(question.to_string(), "www.example.org. IN AAAA");
        question.qtype = 65280;
        question.qclass = 3;
        question.flags = 3;
        assert_eq!(question.to_string(), "www.example.org. CLASS3 TYPE65280 DO CD");
    }

    #[test]
    fn question_with_unknown_flags_or_upper_case_is_refused() {
        let question = Question::parse("a.org", 1).unwrap();
        let bytes = question.to_bytes();
        assert_eq!(Question::from_bytes(&bytes), Ok(question));
        for bit in 2..8 {
            let mut changed = bytes.clone();
            *changed.last_mut().unwrap() |= 1 << bit;
            assert!(Question::from_bytes(&changed).is_err(), "bit {bit}");
        }
        let mut upper = bytes;
        upper[2] = b'A';
        assert!(Question::from_bytes(&upper).is_err());
    }

    #[test]
    fn subject_longer_than_the_bound_is_refused() {
        for (length, accepted) in [(SUBJECT_BYTES_MAX, true), (SUBJECT_BYTES_MAX + 1, false)] {
            let bytes = Subject::Validate(vec![7; length]).to_bytes();
            assert_eq!(Subject::from_bytes(&bytes).is_ok(), accepted, "{length}");
        }
    }

    #[test]
    fn null_operation_has_no_subject() {
        assert!(Subject::from_bytes(&[0, 0, 0]).is_err());
        assert!(Subject::from_bytes(&[5, 0, 0]).is_err());
    }
}
