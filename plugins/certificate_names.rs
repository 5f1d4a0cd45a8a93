//! Names that ask for the certificate of an answer, as text: `TXT _certificate.NAME`, `TXT _certificate._TYPE.NAME`.
//!
//! *byzantine-consensus* answers them; whoever judges by types has to know which answer they give away.

use hickory_proto::rr::{Name, RecordType};

use crate::words;

/// The type of the answer that `name`, lower-case, asks about, and how many labels stand before the name that it asks about. Without a type, A is meant.
/// `None` for any other name.
pub fn asked_about(name: &Name) -> Option<(u16, usize)> {
    let mut labels = name.iter();
    (labels.next()? == LABEL).then_some(())?;
    let type_of = |label: &[u8]| {
        let word = std::str::from_utf8(label.strip_prefix(b"_")?).ok()?;
        words::rtype_named(word).filter(|qtype| !is_meta(*qtype))
    };
    // `_certificate._tcp.example.org` asks about the name `_tcp.example.org`.
    Some(match labels.next().and_then(type_of) {
        Some(qtype) => (qtype, 2),
        None => (u16::from(RecordType::A), 1),
    })
}

/// Whether a name in wire form, in any case, begins as such names do.
pub fn is_one(name: &[u8]) -> bool {
    let label = name.strip_prefix(&[LABEL.len() as u8]).and_then(|rest| rest.get(..LABEL.len()));
    label.is_some_and(|label| label.eq_ignore_ascii_case(LABEL))
}

/// Types that ask for no data of a name. RFC 6895 §3.1.
pub fn is_meta(qtype: u16) -> bool {
    qtype == 0 || qtype == 41 || (128..=254).contains(&qtype)
}

/// The first label of such names.
const LABEL: &[u8] = b"_certificate";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_stands_behind_the_first_label_or_is_a() {
        for (text, expected) in [
            ("_certificate.www.example.org.", Some((1, 1))),
            ("_certificate._aaaa.www.example.org.", Some((28, 2))),
            ("_certificate._type65280.example.org.", Some((65_280, 2))),
            ("_certificate._tcp.example.org.", Some((1, 1))),
            ("_certificate._axfr.example.org.", Some((1, 1))),
            ("_certificate.", Some((1, 1))),
            ("x._certificate.example.org.", None),
            ("certificate.example.org.", None),
            (".", None),
        ] {
            let name = Name::from_ascii(text).unwrap();
            assert_eq!(asked_about(&name), expected, "{text}");
            let wire = agreement::name::to_wire(&name);
            assert_eq!(
                (is_one(&wire), is_one(&wire.to_ascii_uppercase())),
                (expected.is_some(), expected.is_some()),
                "{text}"
            );
        }
    }
}
