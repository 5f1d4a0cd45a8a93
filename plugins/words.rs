//! Words for numbers of the DNS, as logs and metrics write them.

use std::borrow::Cow;

use hickory_proto::rr::RecordType;

/// The word of an rcode: `NOERROR`, `NXDOMAIN`, or `RCODE` and the number. RFC 6895 §2.3
pub fn rcode(rcode: u16) -> Cow<'static, str> {
    Cow::Borrowed(match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        16 => "BADVERS",
        23 => "BADCOOKIE",
        other => return Cow::Owned(format!("RCODE{other}")),
    })
}

/// The word of a type: `A`, `HTTPS`, or `TYPE` and the number. RFC 3597 §5
pub fn rtype(rtype: u16) -> Cow<'static, str> {
    match RecordType::from(rtype) {
        RecordType::Unknown(number) => Cow::Owned(format!("TYPE{number}")),
        RecordType::ZERO => Cow::Borrowed("TYPE0"),
        known => Cow::Borrowed(known.into()),
    }
}

/// The type that `text` names, in any case: `A`, or `TYPE` and a number. RFC 3597 §5
pub fn rtype_named(text: &str) -> Option<u16> {
    let text = text.to_ascii_uppercase();
    if let Some(number) = text.strip_prefix("TYPE") {
        return number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()));
    }
    match text.parse::<RecordType>() {
        Ok(RecordType::Unknown(_) | RecordType::ZERO) | Err(_) => None,
        Ok(known) => Some(known.into()),
    }
}

/// The word of a class: `IN`, `CH`, or `CLASS` and the number. RFC 3597 §5
pub fn class(class: u16) -> Cow<'static, str> {
    match class {
        1 => Cow::Borrowed("IN"),
        3 => Cow::Borrowed("CH"),
        4 => Cow::Borrowed("HS"),
        254 => Cow::Borrowed("NONE"),
        255 => Cow::Borrowed("ANY"),
        other => Cow::Owned(format!("CLASS{other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_word_and_by_number_in_any_case() {
        assert_eq!(
            ["A", "https", "ANY", "TYPE65280", "type0"].map(rtype_named),
            [Some(1), Some(65), Some(255), Some(65_280), Some(0)]
        );
        assert_eq!(["", "B", "TYPE", "TYPE+1", "TYPE65536", "1"].map(rtype_named), [None; 6]);
    }

    #[test]
    fn unknown_numbers_are_written_as_the_rfc_says() {
        assert_eq!((rcode(3), rcode(12)), ("NXDOMAIN".into(), "RCODE12".into()));
        assert_eq!((rtype(28), rtype(65), rtype(999)), ("AAAA".into(), "HTTPS".into(), "TYPE999".into()));
        assert_eq!((class(1), class(99)), ("IN".into(), "CLASS99".into()));
    }
}
