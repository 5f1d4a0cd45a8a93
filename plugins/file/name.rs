//! Names as keys: wire form, lower-case. What contains what is then a comparison of suffixes, and an ancestor needs no allocation.

use hickory_proto::rr::Name;

use super::lexer::escaped;

/// Longest name on the wire. RFC 1035 §2.3.4.
pub const NAME_BYTES_MAX: usize = 255;

/// Longest label. RFC 1035 §2.3.4.
pub const LABEL_BYTES_MAX: usize = 63;

/// A name in wire form with the root label, in lower case.
pub type Key = Box<[u8]>;

/// The key of `name`.
pub fn key(name: &Name) -> Key {
    let mut wire = Vec::with_capacity(NAME_BYTES_MAX);
    for label in name.iter() {
        wire.push(label.len() as u8);
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    wire.push(0);
    wire.into()
}

/// The offset of each label of `key`, the root label's included, left to right.
pub fn label_offsets(key: &[u8]) -> Vec<usize> {
    let mut offsets = Vec::with_capacity(16);
    let mut offset = 0;
    while let Some(&length) = key.get(offset) {
        offsets.push(offset);
        if length == 0 {
            break;
        }
        offset += 1 + usize::from(length);
    }
    offsets
}

/// The name that `wire` (of any case) spells.
pub fn name_of(wire: &[u8]) -> Name {
    let offsets = label_offsets(wire);
    let labels = offsets.windows(2).map(|pair| &wire[pair[0] + 1..pair[1]]);
    Name::from_labels(labels).expect("keys hold at most 255 bytes in labels of at most 63")
}

/// Whether `name` is `origin` or stands below it. Both are keys.
pub fn is_within(name: &[u8], origin: &[u8]) -> bool {
    let Some(offset) = name.len().checked_sub(origin.len()) else { return false };
    name[offset..] == *origin && label_offsets(name).contains(&offset)
}

/// The key of the wildcard right below `key`, or `None` when that is too long to be a name.
pub fn wildcard_below(key: &[u8]) -> Option<Key> {
    (key.len() + 2 <= NAME_BYTES_MAX).then(|| [b"\x01*", key].concat().into())
}

/// What orders names as DNSSEC does: labels from the right, each as bytes, with a separator below all of them. RFC 4034 §6.1.
pub fn canonical_order(key: &[u8]) -> Vec<u8> {
    let offsets = label_offsets(key);
    let mut order = Vec::with_capacity(key.len() * 2);
    for pair in offsets.windows(2).rev() {
        // A label ends where the next begins; 0 and 1 are escaped so that the end sorts before every byte.
        for &byte in &key[pair[0] + 1..pair[1]] {
            match byte {
                0 | 1 => order.extend([1, byte + 1]),
                _ => order.push(byte),
            }
        }
        order.push(0);
    }
    order
}

/// Reads a name in presentation form to wire form, case kept. A name without a dot at its end is completed with `origin`,
/// which is in wire form; `@` is `origin`.
///
/// Errors: labels of 0 or more than 63 bytes, more than 255 bytes in all, escapes that mean nothing, bytes that are not ASCII.
pub fn parse_name(text: &str, origin: &[u8]) -> Result<Vec<u8>, &'static str> {
    match text {
        "@" => return Ok(origin.to_vec()),
        "." => return Ok(vec![0]),
        "" => return Err("expected a name, got an empty word"),
        _ => {}
    }
    let mut wire = vec![0];
    let mut label = 0;
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'.' => {
                close_label(&mut wire, label)?;
                label = wire.len();
                wire.push(0);
                continue;
            }
            b'\\' => {
                let (meant, behind) = escaped(rest)?;
                wire.push(meant);
                rest = behind;
            }
            0x21..=0x7e => wire.push(byte),
            _ => return Err("names are ASCII: write an international name in its `xn--` form"),
        }
    }
    if label + 1 == wire.len() {
        // It ended with a dot; the zero that opened the next label is the root's.
        return if wire.len() <= NAME_BYTES_MAX { Ok(wire) } else { Err("a name holds at most 255 bytes") };
    }
    close_label(&mut wire, label)?;
    wire.extend_from_slice(origin);
    if wire.len() <= NAME_BYTES_MAX { Ok(wire) } else { Err("a name holds at most 255 bytes") }
}

fn close_label(wire: &mut [u8], label: usize) -> Result<(), &'static str> {
    let length = wire.len() - label - 1;
    match u8::try_from(length) {
        Ok(0) => Err("a label cannot be empty"),
        Ok(short) if length <= LABEL_BYTES_MAX => {
            wire[label] = short;
            Ok(())
        }
        _ => Err("a label holds at most 63 bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &[u8] = b"\x07example\x03org\x00";

    #[test]
    fn relative_names_are_completed_and_absolute_ones_are_not() {
        assert_eq!(parse_name("www", ORIGIN).as_deref(), Ok(&b"\x03www\x07example\x03org\x00"[..]));
        assert_eq!(parse_name("www.", ORIGIN).as_deref(), Ok(&b"\x03www\x00"[..]));
        assert_eq!(parse_name("@", ORIGIN).as_deref(), Ok(ORIGIN));
        assert_eq!(parse_name(r"a\.b.", ORIGIN).as_deref(), Ok(&b"\x03a.b\x00"[..]));
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        assert!(parse_name("a..b", ORIGIN).is_err());
        assert!(parse_name(".a", ORIGIN).is_err());
        assert!(parse_name(&"a".repeat(64), ORIGIN).is_err());
        assert!(parse_name(&"a.".repeat(128), ORIGIN).is_err());
        assert!(parse_name(&"a".repeat(63), ORIGIN).is_ok());
        assert!(parse_name("ü", ORIGIN).is_err());
    }

    #[test]
    fn containment_respects_label_boundaries() {
        assert!(is_within(b"\x01a\x07example\x03org\x00", ORIGIN));
        assert!(is_within(ORIGIN, ORIGIN));
        assert!(is_within(ORIGIN, b"\x00"));
        assert!(!is_within(b"\x09anexample\x03org\x00", ORIGIN));
        // The bytes of `example.org` inside one label are not the name.
        assert!(!is_within(b"\x0d\x01\x07example\x03org\x00", ORIGIN));
    }

    #[test]
    fn canonical_order_is_that_of_rfc_4034() {
        let names = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            r"\001.z.example.",
            "*.z.example.",
            r"\200.z.example.",
        ];
        let keys: Vec<_> = names
            .iter()
            .map(|name| canonical_order(&parse_name(name, b"\0").expect("a name").to_ascii_lowercase()))
            .collect();
        assert!(keys.is_sorted(), "{keys:?}");
    }

    #[test]
    fn keys_and_names_convert_back_and_forth() {
        let name = Name::from_ascii("Www.Example.ORG.").expect("a name");
        assert_eq!(*key(&name), *b"\x03www\x07example\x03org\x00");
        assert_eq!(name_of(&key(&name)), name);
    }
}
