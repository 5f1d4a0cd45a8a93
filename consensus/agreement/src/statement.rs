//! What a replica says of an operation that is no DNS question: a certificate to be judged, an input to be put in force.
//!
//! The content is opaque here. Equal bytes are equal values; whoever makes them must make them the same at every replica.

use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::leaf::VERDICT_BYTES_MAX;

/// The longest reason for not judging, in bytes.
pub const WHY_BYTES_MAX: usize = 200;

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A verdict: 1 to [`VERDICT_BYTES_MAX`] bytes.
    Verdict(Vec<u8>),
    /// It could not be judged here; why, for people: printable ASCII, at most [`WHY_BYTES_MAX`] bytes. No value: never compared.
    CannotJudge(String),
}

/// The payload of an observation of a `Validate` or an `UpdateInputs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// For how long it holds, in seconds.
    pub ttl: u32,
    /// What was said.
    pub said: Said,
}

const VERDICT: u8 = 1;
const CANNOT_JUDGE: u8 = 2;

impl Statement {
    /// That it cannot be judged, for a few seconds.
    pub fn cannot_judge(why: &str) -> Statement {
        let printable = why.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' });
        let why = printable.take(WHY_BYTES_MAX).collect();
        Statement { ttl: crate::decide::FAILURE_TTL_SECONDS, said: Said::CannotJudge(why) }
    }
}

impl Encode for Statement {
    fn encode(&self, writer: &mut Writer) {
        writer.u32(self.ttl);
        match &self.said {
            Said::Verdict(verdict) => {
                writer.u8(VERDICT);
                writer.bytes16(verdict);
            }
            Said::CannotJudge(why) => {
                writer.u8(CANNOT_JUDGE);
                writer.bytes16(why.as_bytes());
            }
        }
    }
}

impl Decode for Statement {
    fn decode(reader: &mut Reader<'_>) -> Result<Statement, DecodeError> {
        let ttl = reader.u32()?;
        let offset = reader.offset();
        let tag = reader.u8()?;
        let bytes = reader.bytes16()?;
        let said = match tag {
            VERDICT if (1..=VERDICT_BYTES_MAX).contains(&bytes.len()) => Said::Verdict(bytes.to_vec()),
            CANNOT_JUDGE
                if bytes.len() <= WHY_BYTES_MAX && bytes.iter().all(|b| (b' '..=b'~').contains(b)) =>
            {
                Said::CannotJudge(String::from_utf8_lossy(bytes).into_owned())
            }
            _ => {
                return Err(Reader::invalid(
                    offset,
                    "statement",
                    "a verdict (1) or a reason (2)",
                    u64::from(tag),
                ));
            }
        };
        Ok(Statement { ttl, said })
    }
}
