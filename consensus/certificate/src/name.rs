//! Domain names in the one form that is signed: wire format, uncompressed, lower-case (RFC 1035 §3.1, RFC 4034 §6.2).
//!
//! A name is a byte string here, as it stands in a leaf; this file checks such bytes, reads and prints the presentation form of
//! zone files, and walks from a name to its ancestors. `example.org.` is `7 example 3 org 0`.

use std::fmt;

use thiserror::Error;

use crate::codec::{DecodeError, Reader, Writer};

/// The longest name in wire format, the root label included. RFC 1035 §3.1.
pub const NAME_BYTES_MAX: usize = 255;

/// The longest label. RFC 1035 §3.1.
pub const LABEL_BYTES_MAX: usize = 63;

/// The root, `.`.
pub const ROOT: &[u8] = &[0];

/// Why a text is not a domain name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing stands there.
    #[error("expected a domain name, found nothing; the root is `.`")]
    Empty,
    /// Two dots in a row, or a dot in front.
    #[error("expected a label between two dots, found none")]
    EmptyLabel,
    /// RFC 1035 §3.1.
    #[error("expected labels of at most {LABEL_BYTES_MAX} bytes, found one of {found}")]
    LabelTooLong {
        /// Length of the label in bytes.
        found: usize,
    },
    /// RFC 1035 §3.1.
    #[error("expected a name of at most {NAME_BYTES_MAX} bytes, found {found}")]
    NameTooLong {
        /// Length of the name in wire format.
        found: usize,
    },
    /// A backslash must be followed by three digits up to 255 or by one character that is no digit.
    #[error("expected `\\` followed by one character or by three digits up to 255")]
    Escape,
    /// A character that no name in presentation form has.
    #[error(
        "expected printable ASCII characters, found `{found}`; write an international name as its A-label, `xn--...`"
    )]
    Character {
        /// What stands there.
        found: char,
    },
}

/// Whether `wire` is exactly one uncompressed, lower-case name of at most 255 bytes.
pub fn is_canonical(wire: &[u8]) -> bool {
    if wire.len() > NAME_BYTES_MAX {
        return false;
    }
    let mut rest = wire;
    while let [length, tail @ ..] = rest {
        let length = usize::from(*length);
        if length == 0 {
            return tail.is_empty();
        }
        if length > LABEL_BYTES_MAX || tail.len() < length {
            return false;
        }
        let (label, tail) = tail.split_at(length);
        if label.iter().any(u8::is_ascii_uppercase) {
            return false;
        }
        rest = tail;
    }
    false
}

/// Reads presentation form (RFC 1035 §5.1: `\.` and `\DDD` escapes) into a canonical name. The dot at the end may be missing.
pub fn parse(text: &str) -> Result<Vec<u8>, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text == "." {
        return Ok(ROOT.to_vec());
    }
    let mut wire = Vec::with_capacity(text.len() + 2);
    let mut label = Vec::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '.' => finish_label(&mut wire, &mut label)?,
            '\\' => label.push(escaped(&mut rest)?),
            '!'..='~' => label.push(character.to_ascii_lowercase() as u8),
            found => return Err(NameError::Character { found }),
        }
    }
    if !label.is_empty() {
        finish_label(&mut wire, &mut label)?;
    }
    wire.push(0);
    if wire.len() > NAME_BYTES_MAX {
        return Err(NameError::NameTooLong { found: wire.len() });
    }
    Ok(wire)
}

fn finish_label(wire: &mut Vec<u8>, label: &mut Vec<u8>) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if label.len() > LABEL_BYTES_MAX {
        return Err(NameError::LabelTooLong { found: label.len() });
    }
    wire.push(label.len() as u8);
    wire.append(label);
    Ok(())
}

fn escaped(rest: &mut std::str::Chars<'_>) -> Result<u8, NameError> {
    let first = rest.next().ok_or(NameError::Escape)?;
    let Some(mut value) = first.to_digit(10) else {
        return match first {
            ' '..='~' => Ok(first.to_ascii_lowercase() as u8),
            found => Err(NameError::Character { found }),
        };
    };
    for _ in 0..2 {
        let digit = rest.next().and_then(|character| character.to_digit(10)).ok_or(NameError::Escape)?;
        value = value * 10 + digit;
    }
    u8::try_from(value).map(|byte| byte.to_ascii_lowercase()).map_err(|_| NameError::Escape)
}

/// `wire` and each of its ancestors, the longest first and the root last.
///
/// Bytes that are no name yield what can be read of them.
pub fn ancestors(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(wire), |name| match name {
        [0, ..] | [] => None,
        [length, tail @ ..] => tail.get(usize::from(*length)..),
    })
}

/// Prints a name in wire format in presentation form, with the dot at the end; bytes outside letters, digits, `-`, `_` and `*`
/// as `\DDD`.
pub struct Presentation<'a>(pub &'a [u8]);

impl fmt::Display for Presentation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.first().is_none_or(|length| *length == 0) {
            return f.write_str(".");
        }
        for name in ancestors(self.0) {
            let Some((&length, tail)) = name.split_first() else { break };
            if length == 0 {
                break;
            }
            for &byte in tail.iter().take(usize::from(length)) {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'*' => {
                        write!(f, "{}", byte as char)?;
                    }
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

/// Appends `name` with its length in one byte before it.
pub(crate) fn encode(writer: &mut Writer, name: &[u8]) {
    writer.bytes8(name);
}

/// Reads a name with its length before it; anything but one canonical name is refused.
pub(crate) fn decode(reader: &mut Reader<'_>, field: &'static str) -> Result<Vec<u8>, DecodeError> {
    let offset = reader.offset();
    let name = reader.bytes8()?;
    if !is_canonical(name) {
        let expected = "one uncompressed lower-case name";
        return Err(Reader::invalid(offset, field, expected, name.len() as u64));
    }
    Ok(name.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presentation_form_is_read_in_lower_case_with_or_without_the_last_dot() {
        let wire = b"\x03www\x07example\x03org\x00".to_vec();
        assert_eq!(parse("www.example.org."), Ok(wire.clone()));
        assert_eq!(parse("WWW.Example.ORG"), Ok(wire));
        assert_eq!(parse("."), Ok(vec![0]));
    }

    #[test]
    fn escapes_are_bytes_of_the_label() {
        assert_eq!(parse(r"a\.b.org"), Ok(b"\x03a.b\x03org\x00".to_vec()));
        assert_eq!(parse(r"a\007\065.org"), Ok(b"\x03a\x07a\x03org\x00".to_vec()));
        assert_eq!(Presentation(b"\x03a.b\x03org\x00").to_string(), r"a\046b.org.");
        assert_eq!(
            parse(&Presentation(b"\x04a\x00\xffb\x00").to_string()),
            Ok(b"\x04a\x00\xffb\x00".to_vec())
        );
    }

    #[test]
    fn texts_that_are_no_names_are_refused() {
        let long_label = "a".repeat(64);
        let long_name = "abc.".repeat(64);
        for (text, error) in [
            ("", NameError::Empty),
            ("..", NameError::EmptyLabel),
            (".org", NameError::EmptyLabel),
            ("a..org", NameError::EmptyLabel),
            (r"a\25.org", NameError::Escape),
            (r"a\256.org", NameError::Escape),
            ("a\\", NameError::Escape),
            ("ex ample.org", NameError::Character { found: ' ' }),
            ("bücher.example.org", NameError::Character { found: 'ü' }),
            (&long_label, NameError::LabelTooLong { found: 64 }),
            (&long_name, NameError::NameTooLong { found: 257 }),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert_eq!(parse(&long_name[8..]).map(|wire| wire.len()), Ok(249));
    }

    #[test]
    fn only_one_whole_lower_case_name_is_canonical() {
        assert!(is_canonical(b"\x00"));
        assert!(is_canonical(b"\x03org\x00"));
        for wire in [
            &b""[..],
            b"\x03org",
            b"\x03or",
            b"\x03Org\x00",
            b"\x03org\x00\x00",
            b"\x03org\xc0\x00",
            b"\x40aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00",
        ] {
            assert!(!is_canonical(wire), "{wire:?}");
        }
    }

    #[test]
    fn ancestors_end_with_the_root() {
        let names: Vec<_> = ancestors(b"\x01a\x03org\x00").collect();
        assert_eq!(names, [&b"\x01a\x03org\x00"[..], b"\x03org\x00", b"\x00"]);
    }
}
