//! What replicas found out about the content of an answer, beside the answer itself: stands in the leaf's verdict, and reaches clients as an
//! extended error (RFC 8914).

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};

/// The longest text of a remark, in bytes.
pub const REMARK_TEXT_BYTES_MAX: usize = 200;

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
