//! How a message stands on a stream between peers.
//!
//! ```text
//! frame: length:u32 (big-endian, of what follows) | kind:u8 | body
//! kind 0: body is the message; kind 1: body is one zstd frame (RFC 8878) that states the size of its content
//! ```
//!
//! Every length is compared with its bound before anything is allocated for it.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Messages of fewer bytes are sent as they are.
pub const COMPRESS_BYTES_MIN: usize = 1024;

/// Length of what stands before a frame's kind.
pub const LENGTH_BYTES: usize = 4;

const KIND_RAW: u8 = 0;
const KIND_ZSTD: u8 = 1;
const ZSTD_LEVEL: i32 = 1;

/// Why a frame was refused. The connection that brought it is closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The frame is longer than the cluster allows.
    #[error("expected a frame of at most {bytes_max} bytes, got a length of {bytes}")]
    TooLong {
        /// Its length.
        bytes: u64,
        /// The bound.
        bytes_max: usize,
    },
    /// The frame has no kind.
    #[error("expected a frame of at least 1 byte, got a length of 0")]
    Empty,
    /// The kind is not one of this version.
    #[error("expected frame kind 0 or 1, got {kind}")]
    UnknownKind {
        /// The byte.
        kind: u8,
    },
    /// The compressed body does not say how long its content is, or claims more than the cluster allows.
    #[error("expected compressed content of at most {bytes_max} bytes, got a claim of {claim:?}")]
    ContentTooLong {
        /// What the body claims; `None` when it does not say.
        claim: Option<u64>,
        /// The bound.
        bytes_max: usize,
    },
    /// The body is not what its kind says.
    #[error("compressed frame cannot be read")]
    Corrupt,
}

/// The bounds and choices of one cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameRules {
    /// The longest message, in bytes, before compression: `message-size` of the cluster file.
    pub message_bytes_max: usize,
    /// Whether messages that we send are compressed. What a peer sends is read either way.
    pub compression: bool,
}

impl FrameRules {
    /// Makes the frame of `message`, length included.
    ///
    /// Errors: `TooLong` when the message is over the bound.
    pub fn encode(&self, message: &[u8]) -> Result<Bytes, FrameError> {
        if message.len() > self.message_bytes_max {
            return Err(FrameError::TooLong {
                bytes: message.len() as u64,
                bytes_max: self.message_bytes_max,
            });
        }
        let compressed = self.compressed(message);
        let (kind, body) = match &compressed {
            Some(body) => (KIND_ZSTD, body.as_slice()),
            None => (KIND_RAW, message),
        };
        let mut frame = BytesMut::with_capacity(LENGTH_BYTES + 1 + body.len());
        frame.put_u32(u32::try_from(1 + body.len()).expect("a message is far below 4 GiB"));
        frame.put_u8(kind);
        frame.put_slice(body);
        Ok(frame.freeze())
    }

    /// Checks a frame's length: how many bytes follow it.
    ///
    /// Errors: `TooLong`, `Empty`.
    pub fn length(&self, length: [u8; LENGTH_BYTES]) -> Result<usize, FrameError> {
        let bytes = u32::from_be_bytes(length) as usize;
        match bytes {
            0 => Err(FrameError::Empty),
            bytes if bytes > 1 + self.message_bytes_max => {
                Err(FrameError::TooLong { bytes: bytes as u64, bytes_max: 1 + self.message_bytes_max })
            }
            bytes => Ok(bytes),
        }
    }

    /// Takes the message out of what follows a frame's length.
    ///
    /// Errors: `Empty`, `UnknownKind`, `ContentTooLong`, `Corrupt`.
    pub fn decode(&self, frame: Bytes) -> Result<Bytes, FrameError> {
        match frame.first() {
            None => Err(FrameError::Empty),
            Some(&KIND_RAW) => Ok(frame.slice(1..)),
            Some(&KIND_ZSTD) => self.decompressed(&frame[1..]).map(Bytes::from),
            Some(&kind) => Err(FrameError::UnknownKind { kind }),
        }
    }

    fn compressed(&self, message: &[u8]) -> Option<Vec<u8>> {
        if !self.compression || message.len() <= COMPRESS_BYTES_MIN {
            return None;
        }
        let body = zstd::bulk::compress(message, ZSTD_LEVEL).ok()?;
        (body.len() < message.len()).then_some(body)
    }

    fn decompressed(&self, body: &[u8]) -> Result<Vec<u8>, FrameError> {
        let bytes_max = self.message_bytes_max;
        let claim = zstd::zstd_safe::get_frame_content_size(body).map_err(|_| FrameError::Corrupt)?;
        let Some(bytes) =
            claim.and_then(|claim| usize::try_from(claim).ok()).filter(|bytes| *bytes <= bytes_max)
        else {
            return Err(FrameError::ContentTooLong { claim, bytes_max });
        };
        zstd::bulk::decompress(body, bytes).map_err(|_| FrameError::Corrupt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: FrameRules = FrameRules { message_bytes_max: 65_536, compression: true };

    fn read(rules: FrameRules, frame: &Bytes) -> Result<Bytes, FrameError> {
        let length = rules.length(frame[..LENGTH_BYTES].try_into().unwrap())?;
        assert_eq!(length, frame.len() - LENGTH_BYTES);
        rules.decode(frame.slice(LENGTH_BYTES..))
    }

    /// Bytes that zstd cannot shorten.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn every_message_within_the_bound_comes_back() {
        for message in [vec![], vec![7], vec![7; 1024], vec![7; 1025], noise(65_536), vec![7; 65_536]] {
            let frame = RULES.encode(&message).unwrap();
            assert_eq!(read(RULES, &frame).unwrap(), message);
        }
    }

    #[test]
    fn short_messages_and_noise_are_not_compressed() {
        assert_eq!(RULES.encode(&[7; 1024]).unwrap()[LENGTH_BYTES], KIND_RAW);
        assert_eq!(RULES.encode(&noise(5000)).unwrap()[LENGTH_BYTES], KIND_RAW);
        assert_eq!(RULES.encode(&[7; 1025]).unwrap()[LENGTH_BYTES], KIND_ZSTD);
    }

    #[test]
    fn compression_switched_off_sends_raw_and_still_reads_compressed() {
        let off = FrameRules { compression: false, ..RULES };
        assert_eq!(off.encode(&[7; 5000]).unwrap()[LENGTH_BYTES], KIND_RAW);
        assert_eq!(read(off, &RULES.encode(&[7; 5000]).unwrap()).unwrap(), vec![7; 5000]);
    }

    #[test]
    fn message_over_the_bound_is_not_sent() {
        let refused = RULES.encode(&[0; 65_537]);
        assert_eq!(refused, Err(FrameError::TooLong { bytes: 65_537, bytes_max: 65_536 }));
    }

    #[test]
    fn length_over_the_bound_is_refused_before_the_body_is_read() {
        assert_eq!(RULES.length(65_537_u32.to_be_bytes()), Ok(65_537));
        for bytes in [65_538, u32::MAX] {
            let refused = FrameError::TooLong { bytes: u64::from(bytes), bytes_max: 65_537 };
            assert_eq!(RULES.length(bytes.to_be_bytes()), Err(refused));
        }
        assert_eq!(RULES.length([0; 4]), Err(FrameError::Empty));
    }

    #[test]
    fn decompression_bomb_is_refused_by_its_claim() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
        let mut frame = vec![KIND_ZSTD];
        frame.extend_from_slice(&bomb);
        let refused = FrameError::ContentTooLong { claim: Some(64 << 20), bytes_max: 65_536 };
        assert_eq!(RULES.decode(frame.into()), Err(refused));
    }

    #[test]
    fn compressed_content_that_hides_its_size_is_refused() {
        let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
        compressor.include_contentsize(false).unwrap();
        let mut frame = vec![KIND_ZSTD];
        frame.extend_from_slice(&compressor.compress(&[0; 5000]).unwrap());
        let refused = FrameError::ContentTooLong { claim: None, bytes_max: 65_536 };
        assert_eq!(RULES.decode(frame.into()), Err(refused));
    }

    #[test]
    fn content_longer_than_its_claim_is_refused() {
        let mut frame = vec![KIND_ZSTD];
        frame.extend_from_slice(&zstd::bulk::compress(&[1; 100], 1).unwrap());
        frame.extend_from_slice(&zstd::bulk::compress(&vec![2; 1 << 20], 1).unwrap());
        assert_eq!(RULES.decode(frame.into()), Err(FrameError::Corrupt));
    }

    #[test]
    fn compressed_frame_cut_anywhere_is_refused() {
        let whole = RULES.encode(&[noise(700), vec![7; 700]].concat()).unwrap().slice(LENGTH_BYTES..);
        assert_eq!(whole[0], KIND_ZSTD);
        for length in 0..whole.len() {
            assert!(RULES.decode(whole.slice(..length)).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn unknown_kind_is_refused() {
        assert_eq!(RULES.decode(Bytes::from_static(&[9, 1])), Err(FrameError::UnknownKind { kind: 9 }));
    }
}
