//! Content by its digest, on one stream: what is asked, what is answered.
//!
//! ```text
//! asks:    frame: raw[32] digest, u32 longest content in bytes | one byte 1 for each piece that it wants now
//! answers: frame: u8 0, nothing here; or u8 1, u32 length      | the piece, 256 KiB or the rest
//! ```
//!
//! The piece that is asked for is all that is under way, so that content never fills what consensus needs of a connection.

use std::time::Duration;

use bytes::Bytes;
use certificate::Digest;
use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use quinn::{Connection, ReadExactError, RecvStream, SendStream};
use thiserror::Error;

use super::connection::read_frame;
use super::link_error::LinkError;
use crate::frame::FrameRules;

/// The longest content that replicas hand one another, in bytes.
pub const CONTENT_BYTES_MAX: usize = 16 << 20;

/// Bytes of content under way on one stream.
pub(super) const CONTENT_PIECE_BYTES: usize = 256 << 10;

/// A peer that says nothing for so long is not waited for.
pub(super) const PIECE_TIMEOUT: Duration = Duration::from_secs(5);

/// Behind consensus, bulk and news.
const PRIORITY: i32 = -2;

/// A question has exactly so many bytes.
const QUESTION_RULES: FrameRules = FrameRules { message_bytes_max: 32 + 4, compression: false };

/// An answer begins with at most so many bytes.
const BEGINNING_RULES: FrameRules = FrameRules { message_bytes_max: 1 + 4, compression: false };

/// What asks for the next piece.
const NEXT: u8 = 1;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Question {
    pub digest: Digest,
    /// Who asks does not want longer content.
    pub bytes_max: u32,
}

/// How an answer begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Beginning {
    Nothing,
    Content { bytes: u32 },
}

impl Encode for Question {
    fn encode(&self, writer: &mut Writer) {
        self.digest.encode(writer);
        writer.u32(self.bytes_max);
    }
}

impl Decode for Question {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Question { digest: Digest::decode(reader)?, bytes_max: reader.u32()? })
    }
}

impl Encode for Beginning {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Beginning::Nothing => writer.u8(0),
            Beginning::Content { bytes } => {
                writer.u8(1);
                writer.u32(*bytes);
            }
        }
    }
}

impl Decode for Beginning {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        match reader.u8()? {
            0 => Ok(Beginning::Nothing),
            1 => Ok(Beginning::Content { bytes: reader.u32()? }),
            other => Err(Reader::invalid(offset, "answer", "0 or 1", other.into())),
        }
    }
}

/// Why a peer's answer is of no use.
#[derive(Debug, Error)]
pub(super) enum ContentError {
    #[error(transparent)]
    Link(LinkError),
    #[error("expected content of at most {bytes_max} bytes, got {bytes}")]
    TooLong { bytes: u32, bytes_max: u32 },
    #[error("expected content with digest {expected}, got {found}")]
    OtherDigest { expected: Digest, found: Digest },
    #[error("nothing came for {} s", PIECE_TIMEOUT.as_secs())]
    Late,
}

impl<E: Into<LinkError>> From<E> for ContentError {
    fn from(reason: E) -> ContentError {
        ContentError::Link(reason.into())
    }
}

/// Asks a peer. `None` when it says that it has no such content.
///
/// Errors: the peer's answer is of no use; content is never given that does not have the digest.
pub(super) async fn ask(connection: &Connection, question: Question) -> Result<Option<Bytes>, ContentError> {
    let (mut send, mut receive) = soon(async { Ok(connection.open_bi().await?) }).await?;
    // Fails only on a closed stream, which the write reports.
    let _ = send.set_priority(PRIORITY);
    let beginning = async {
        send.write_chunk(QUESTION_RULES.encode(&question.to_bytes())?).await?;
        let beginning = read_frame(&mut receive, BEGINNING_RULES).await?;
        Ok(Beginning::from_bytes(&beginning)?)
    };
    let bytes = match soon(beginning).await? {
        Beginning::Nothing => return Ok(None),
        Beginning::Content { bytes } if bytes > question.bytes_max => {
            return Err(ContentError::TooLong { bytes, bytes_max: question.bytes_max });
        }
        Beginning::Content { bytes } => bytes as usize,
    };
    let mut content = Vec::new();
    while content.len() < bytes {
        let begun = content.len();
        // Room is made for one piece, whatever the beginning claims.
        content.resize(bytes.min(begun + CONTENT_PIECE_BYTES), 0);
        let piece = async {
            send.write_all(&[NEXT]).await?;
            Ok(receive.read_exact(&mut content[begun..]).await?)
        };
        soon(piece).await?;
    }
    verify(question.digest, content.into()).await.map(Some)
}

async fn soon<T>(step: impl Future<Output = Result<T, LinkError>>) -> Result<T, ContentError> {
    let stepped = tokio::time::timeout(PIECE_TIMEOUT, step).await.map_err(|_| ContentError::Late)?;
    stepped.map_err(ContentError::Link)
}

/// Megabytes take a while: not on a thread that moves messages.
async fn verify(expected: Digest, content: Bytes) -> Result<Bytes, ContentError> {
    let hashed = tokio::task::spawn_blocking(move || (Digest::of(&content), content));
    let (found, content) = hashed.await.expect("hashing does not panic");
    if found == expected { Ok(content) } else { Err(ContentError::OtherDigest { expected, found }) }
}

/// Reads what a peer asks for.
pub(super) async fn read_question(receive: &mut RecvStream) -> Result<Question, LinkError> {
    Ok(Question::from_bytes(&read_frame(receive, QUESTION_RULES).await?)?)
}

/// Says whether there is content, and how much.
pub(super) async fn begin(send: &mut SendStream, content: Option<&Bytes>) -> Result<(), LinkError> {
    // Fails only on a closed stream, which the write reports.
    let _ = send.set_priority(PRIORITY);
    let beginning = content.map_or(Beginning::Nothing, |content| Beginning::Content {
        bytes: u32::try_from(content.len()).expect("content is not longer than who asks wants it"),
    });
    Ok(send.write_chunk(BEGINNING_RULES.encode(&beginning.to_bytes())?).await?)
}

/// Waits until the peer wants the next piece. `false` when it wants no more.
pub(super) async fn is_wanted(receive: &mut RecvStream) -> Result<bool, LinkError> {
    let mut byte = [0];
    match receive.read_exact(&mut byte).await {
        Ok(()) if byte == [NEXT] => Ok(true),
        Ok(()) => Err(Reader::invalid(0, "asking for a piece", "1", byte[0].into()).into()),
        Err(ReadExactError::FinishedEarly(_)) => Ok(false),
        Err(reason) => Err(reason.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_beginnings_round_trip_and_refuse_every_cut() {
        let question = Question { digest: Digest::of(b"content"), bytes_max: 70_000 };
        let bytes = question.to_bytes();
        assert_eq!(bytes.len(), QUESTION_RULES.message_bytes_max);
        assert_eq!(Question::from_bytes(&bytes).unwrap(), question);
        assert!((0..bytes.len()).all(|cut| Question::from_bytes(&bytes[..cut]).is_err()));
        for beginning in [Beginning::Nothing, Beginning::Content { bytes: 5 }] {
            let bytes = beginning.to_bytes();
            assert!(bytes.len() <= BEGINNING_RULES.message_bytes_max);
            assert_eq!(Beginning::from_bytes(&bytes).unwrap(), beginning);
            assert!((0..bytes.len()).all(|cut| Beginning::from_bytes(&bytes[..cut]).is_err()));
        }
        assert!(Beginning::from_bytes(&[2]).is_err());
    }
}
