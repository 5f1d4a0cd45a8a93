//! Names between hickory's `Name` and the wire form of `certificate::name`: uncompressed, lower-case, at most 255 bytes with the root.

use certificate::name::{LABEL_BYTES_MAX, NAME_BYTES_MAX, ancestors};
use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// The wire form of `name` in lower case. A relative name is taken as an absolute one.
pub fn to_wire(name: &Name) -> Vec<u8> {
    let mut wire = Vec::with_capacity(NAME_BYTES_MAX);
    for label in name.iter() {
        wire.push(u8::try_from(label.len()).expect("a label of `Name` has at most 63 bytes"));
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    wire.push(0);
    wire
}

/// Reads a wire form back. `None` when it is not exactly one uncompressed name.
pub fn from_wire(wire: &[u8]) -> Option<Name> {
    if length(wire)? != wire.len() {
        return None;
    }
    Name::read(&mut BinDecoder::new(wire)).ok()
}

/// The length of the uncompressed name at the start of `bytes`; `None` when there is none, or a compression pointer stands in it.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        let label = usize::from(*bytes.get(end)?);
        if label > LABEL_BYTES_MAX {
            return None;
        }
        end += 1 + label;
        if end > NAME_BYTES_MAX || end > bytes.len() {
            return None;
        }
        if label == 0 {
            return Some(end);
        }
    }
}

/// Whether `name` is `ancestor` or below it. Both are canonical names.
pub fn is_at_or_below(name: &[u8], ancestor: &[u8]) -> bool {
    ancestors(name).any(|name| name == ancestor)
}

/// What `name`, which is below `owner`, becomes under a DNAME from `owner` to `target`; `None` when it is not below it or the result is too long.
///
/// Source: RFC 6672 §2.2.
pub fn substitute(name: &[u8], owner: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    if name == owner || !is_at_or_below(name, owner) {
        return None;
    }
    let substituted = [&name[..name.len() - owner.len()], target].concat();
    (substituted.len() <= NAME_BYTES_MAX).then_some(substituted)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn wire(text: &str) -> Vec<u8> {
        to_wire(&Name::from_str(text).unwrap())
    }

    #[test]
    fn name_is_lower_case_on_the_wire() {
        assert_eq!(wire("WwW.Example.ORG."), b"\x03www\x07example\x03org\x00");
    }

    #[test]
    fn wire_form_reads_back_to_the_same_name() {
        let names: [&[u8]; 4] =
            [b"\x00", b"\x01*\x07example\x03org\x00", b"\x03a.b\x00", b"\x03\xff\x00 \x03org\x00"];
        for name in names {
            assert_eq!(from_wire(name).map(|name| to_wire(&name)).as_deref(), Some(name), "{name:?}");
        }
    }

    #[test]
    fn pointers_truncation_and_excess_are_not_names() {
        assert_eq!(length(b"\xc0\x0c"), None);
        assert_eq!(length(b"\x03ww"), None);
        assert_eq!(length(b""), None);
        assert_eq!(length(&[b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(4)), None);
        assert_eq!(from_wire(b"\x00\x00").map(|name| to_wire(&name)), None);
    }

    #[test]
    fn label_border_decides_what_is_below() {
        assert!(is_at_or_below(&wire("www.example.org."), &wire("example.org.")));
        assert!(is_at_or_below(&wire("example.org."), &wire("example.org.")));
        assert!(is_at_or_below(&wire("example.org."), &wire(".")));
        assert!(!is_at_or_below(&wire("example.org."), &wire("www.example.org.")));
        assert!(!is_at_or_below(&wire("badexample.org."), &wire("example.org.")));
    }

    #[test]
    fn dname_replaces_the_suffix_and_only_below_its_owner() {
        let (owner, target) = (wire("old.example.org."), wire("new.example.org."));
        assert_eq!(
            substitute(&wire("a.b.old.example.org."), &owner, &target),
            Some(wire("a.b.new.example.org."))
        );
        assert_eq!(substitute(&owner, &owner, &target), None);
        assert_eq!(substitute(&wire("a.example.org."), &owner, &target), None);
    }

    #[test]
    fn dname_result_of_more_than_255_bytes_is_none() {
        let label = "a".repeat(63);
        let name = wire(&format!("{label}.{label}.{label}.b.org."));
        let target = wire(&format!("{}.example.org.", "t".repeat(60)));
        assert_eq!(substitute(&name, &wire("org."), &target), None);
    }
}
