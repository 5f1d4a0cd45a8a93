//! What replicas found out about the content of an answer, beside the answer itself: stands in the leaf's verdict, and reaches clients as an
//! extended error (RFC 8914). Its bytes: `FORMAT.md`, section 6.

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};

/// The longest text of a remark, in bytes.
pub const REMARK_TEXT_BYTES_MAX: usize = 200;

/// The most bytes of an encoded remark: conclusion, INFO-CODE, length and text.
pub const REMARK_BYTES_MAX: usize = 1 + 2 + 1 + REMARK_TEXT_BYTES_MAX;

/// What an answer's content was found to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Judged {
    /// All that was asked of it holds.
    Valid = 1,
    /// Something does not hold.
    Invalid = 2,
    /// Something could not be judged.
    Indeterminate = 3,
}

/// A remark on an answer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Remark {
    /// The conclusion.
    pub judged: Judged,
    /// INFO-CODE of the extended error that clients get; nothing is told to them of what is valid.
    pub info_code: u16,
    /// Why, for people: printable ASCII, at most [`REMARK_TEXT_BYTES_MAX`] bytes. Starts with the name of the plugin that judged.
    pub text: String,
}

impl Judged {
    /// The word in output: `valid`, `invalid`, `indeterminate`.
    pub fn word(self) -> &'static str {
        match self {
            Judged::Valid => "valid",
            Judged::Invalid => "invalid",
            Judged::Indeterminate => "indeterminate",
        }
    }
}

impl Remark {
    /// A remark whose text is cut to what the format allows.
    pub fn new(judged: Judged, info_code: u16, text: &str) -> Remark {
        let printable = text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' });
        Remark { judged, info_code, text: printable.take(REMARK_TEXT_BYTES_MAX).collect() }
    }
}

impl Encode for Remark {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(self.judged as u8);
        writer.u16(self.info_code);
        writer.bytes8(self.text.as_bytes());
    }
}

impl Decode for Remark {
    fn decode(reader: &mut Reader<'_>) -> Result<Remark, DecodeError> {
        let offset = reader.offset();
        let judged = match reader.u8()? {
            1 => Judged::Valid,
            2 => Judged::Invalid,
            3 => Judged::Indeterminate,
            found => return Err(Reader::invalid(offset, "judged", "1 to 3", u64::from(found))),
        };
        let info_code = reader.u16()?;
        let offset = reader.offset();
        let text = reader.bytes8()?;
        let expected = "at most 200 bytes of printable ASCII";
        match text.iter().find(|byte| !(b' '..=b'~').contains(byte)) {
            Some(byte) => return Err(Reader::invalid(offset, "remark", expected, u64::from(*byte))),
            None if text.len() > REMARK_TEXT_BYTES_MAX => {
                return Err(Reader::invalid(offset, "remark", expected, text.len() as u64));
            }
            None => {}
        }
        Ok(Remark { judged, info_code, text: String::from_utf8_lossy(text).into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remark() -> Remark {
        Remark::new(Judged::Invalid, 15, "ct-verify: CERT invalid: not_enough_logs")
    }

    #[test]
    fn remark_of_every_conclusion_reads_back_to_itself() {
        for judged in [Judged::Valid, Judged::Invalid, Judged::Indeterminate] {
            for text in ["", "ct-verify: TLSA valid", &"~".repeat(REMARK_TEXT_BYTES_MAX)] {
                let remark = Remark::new(judged, u16::MAX, text);
                assert_eq!(Remark::from_bytes(&remark.to_bytes()), Ok(remark));
            }
        }
    }

    #[test]
    fn bytes_of_a_remark_are_those_of_the_format() {
        let bytes = Remark::new(Judged::Indeterminate, 0x0102, "ab").to_bytes();
        assert_eq!(bytes, [3, 1, 2, 2, b'a', b'b']);
    }

    #[test]
    fn every_cut_remark_and_trailing_byte_is_refused() {
        let bytes = remark().to_bytes();
        for length in 0..bytes.len() {
            assert!(Remark::from_bytes(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        let trailing = DecodeError::TrailingBytes { offset: bytes.len(), found: 1 };
        assert_eq!(Remark::from_bytes(&longer), Err(trailing));
        assert!(Remark::from_bytes(&[bytes.clone(), bytes].concat()).is_err());
    }

    #[test]
    fn unknown_conclusion_is_refused() {
        for judged in 0..=255 {
            let mut bytes = remark().to_bytes();
            bytes[0] = judged;
            assert_eq!(Remark::from_bytes(&bytes).is_ok(), (1..=3).contains(&judged), "{judged}");
        }
    }

    #[test]
    fn text_is_printable_ascii() {
        for byte in 0..=255 {
            let mut bytes = remark().to_bytes();
            bytes[9] = byte;
            assert_eq!(Remark::from_bytes(&bytes).is_ok(), (b' '..=b'~').contains(&byte), "{byte}");
        }
    }

    #[test]
    fn text_longer_than_the_bound_is_refused() {
        for (length, accepted) in [(REMARK_TEXT_BYTES_MAX, true), (REMARK_TEXT_BYTES_MAX + 1, false)] {
            let bytes = Remark { text: "a".repeat(length), ..remark() }.to_bytes();
            assert_eq!(Remark::from_bytes(&bytes).is_ok(), accepted, "{length}");
        }
        let longest = Remark::new(Judged::Valid, 0, &"a".repeat(1000)).to_bytes();
        assert_eq!(longest.len(), REMARK_BYTES_MAX);
    }

    #[test]
    fn new_remark_is_cut_to_what_the_format_allows() {
        let long = "ä\n".chars().chain(std::iter::repeat('é')).take(500).collect::<String>();
        let remark = Remark::new(Judged::Valid, 0, &long);
        assert_eq!(remark.text, "?".repeat(REMARK_TEXT_BYTES_MAX));
        assert_eq!(Remark::from_bytes(&remark.to_bytes()), Ok(remark));
    }
}
