//! Names of zones: presentation form -> lower-case and absolute, or why not. RFC 1035 §2.3, §5.1.

use std::fmt;

/// Why a text is no name of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneFault {
    /// There is no text.
    Empty,
    /// A label without characters, as in `a..b` or `.a`.
    EmptyLabel,
    /// A label of more than 63 octets; holds their number.
    LabelTooLong(usize),
    /// A name of more than 255 octets on the wire; holds their number.
    TooLong(usize),
    /// A character outside ASCII.
    NotAscii,
    /// A blank or control character.
    Blank,
    /// A backslash with neither three digits up to 255 nor another character behind it.
    Escape,
}

impl ZoneFault {
    /// Returns what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "the root zone is written `.`",
            Self::EmptyLabel => "two dots must not stand together, nor a dot in front",
            Self::LabelTooLong(_) => "a label has at most 63 octets (RFC 1035 §2.3.4)",
            Self::TooLong(_) => "a name has at most 255 octets (RFC 1035 §2.3.4)",
            Self::NotAscii => {
                "write internationalised names in their ASCII form, `xn--...` (RFC 5890 §2.3.2.1)"
            }
            Self::Blank => "a name holds no blanks; several zones are several words",
            Self::Escape => "write `\\.` or `\\DDD` with three decimal digits (RFC 1035 §5.1)",
        }
    }
}

impl fmt::Display for ZoneFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::EmptyLabel => f.write_str("a label is empty"),
            Self::LabelTooLong(octets) => write!(f, "a label has {octets} octets"),
            Self::TooLong(octets) => write!(f, "the name has {octets} octets"),
            Self::NotAscii => f.write_str("it is not ASCII"),
            Self::Blank => f.write_str("it holds a blank"),
            Self::Escape => f.write_str("a backslash escapes nothing"),
        }
    }
}

/// Returns `text` as the name of a zone: lower-case, absolute, with a dot at the end. Escapes stay as
/// written.
///
/// Errors: the first fault. `text` may be relative; the limit of 255 octets is that of the absolute name.
pub fn zone_name(text: &str) -> Result<String, ZoneFault> {
    match text {
        "" => return Err(ZoneFault::Empty),
        "." => return Ok(".".to_owned()),
        _ if !text.is_ascii() => return Err(ZoneFault::NotAscii),
        _ if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) => return Err(ZoneFault::Blank),
        _ => {}
    }
    let mut octets = 1;
    let mut label = 0;
    let mut bytes = text.as_bytes();
    let mut absolute = false;
    while let Some((&first, rest)) = bytes.split_first() {
        absolute = first == b'.';
        if absolute {
            octets += label_octets(label)?;
            label = 0;
            bytes = rest;
        } else {
            label += 1;
            bytes = &bytes[character_length(bytes)?..];
        }
    }
    if !absolute {
        octets += label_octets(label)?;
    }
    if octets > NAME_OCTETS_MAX {
        return Err(ZoneFault::TooLong(octets));
    }
    let mut zone = text.to_ascii_lowercase();
    if !absolute {
        zone.push('.');
    }
    Ok(zone)
}

/// Returns the octets of a label on the wire, length octet included.
fn label_octets(length: usize) -> Result<usize, ZoneFault> {
    match length {
        0 => Err(ZoneFault::EmptyLabel),
        1..=LABEL_OCTETS_MAX => Ok(length + 1),
        _ => Err(ZoneFault::LabelTooLong(length)),
    }
}

/// Returns how many bytes of text make the first octet of a label.
fn character_length(bytes: &[u8]) -> Result<usize, ZoneFault> {
    match bytes {
        [b'\\', a @ b'0'..=b'9', rest @ ..] => match rest {
            [b @ b'0'..=b'9', c @ b'0'..=b'9', ..] if [*a, *b, *c] <= *b"255" => Ok(4),
            _ => Err(ZoneFault::Escape),
        },
        [b'\\', _, ..] => Ok(2),
        [b'\\'] => Err(ZoneFault::Escape),
        _ => Ok(1),
    }
}

/// Returns whether all labels of an absolute `zone` are letters, digits, hyphens and underscores.
///
/// The root and reverse zones pass: RFC 2317 puts a slash into the latter.
pub(crate) fn is_host_style(zone: &str) -> bool {
    let reverse = zone.ends_with(".in-addr.arpa.") || zone.ends_with(".ip6.arpa.");
    reverse || zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

const LABEL_OCTETS_MAX: usize = 63;
const NAME_OCTETS_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_lower_case_and_absolute() {
        assert_eq!(zone_name("."), Ok(".".to_owned()));
        assert_eq!(zone_name("Example.ORG"), Ok("example.org.".to_owned()));
        assert_eq!(zone_name("example.org."), Ok("example.org.".to_owned()));
        assert_eq!(zone_name(r"a\.b\032.org"), Ok(r"a\.b\032.org.".to_owned()));
        assert_eq!(zone_name(r"a\."), Ok(r"a\..".to_owned()));
    }

    #[test]
    fn limits_are_those_of_the_absolute_name() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert!(zone_name(&longest).is_ok());
        assert!(zone_name(&format!("{longest}.")).is_ok());
        assert_eq!(zone_name(&format!("{longest}a")), Err(ZoneFault::TooLong(256)));
        assert_eq!(zone_name(&"a".repeat(64)), Err(ZoneFault::LabelTooLong(64)));
        assert!(zone_name(&r"\001".repeat(63)).is_ok());
    }

    #[test]
    fn faults_are_named() {
        for (text, fault) in [
            ("", ZoneFault::Empty),
            ("a..b", ZoneFault::EmptyLabel),
            (".a", ZoneFault::EmptyLabel),
            ("..", ZoneFault::EmptyLabel),
            ("bücher.example", ZoneFault::NotAscii),
            ("a b", ZoneFault::Blank),
            (r"a\", ZoneFault::Escape),
            (r"a\25", ZoneFault::Escape),
            (r"a\256", ZoneFault::Escape),
        ] {
            assert_eq!(zone_name(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn style_exempts_the_root_and_reverse_zones() {
        assert!(is_host_style(".") && is_host_style("_tcp.example.org."));
        assert!(is_host_style("32/27.2.0.192.in-addr.arpa."));
        assert!(!is_host_style("a/b.example.org.") && !is_host_style("*.example.org."));
    }
}
