//! Checkpoints of static-ct logs: a tree head as a signed note. C2SP static-ct-api "Checkpoints", signed-note, tlog-checkpoint.
//!
//! The log's signature covers time, size and root, not the origin line; so the origin is compared here, with the log's own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::digest::Sha256;
use crate::log_key::{BadSignature, LogKey};
use crate::moment::Moment;
use crate::sct::parse_digitally_signed;
use crate::tree_head::{FUTURE_TOLERANCE_SECONDS, TreeHead, verify_head};
use crate::wire::Wire;

/// A checkpoint that has been read; nothing in it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint<'a> {
    /// The first line: which log it claims to be of.
    pub origin: &'a str,
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Sha256,
    signatures: Vec<NoteSignature<'a>>,
}

/// One signature line of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NoteSignature<'a> {
    name: &'a str,
    key_id: [u8; 4],
    body: Vec<u8>,
}

/// Why a checkpoint is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// Longer than any.
    #[error("the checkpoint has more than {CHECKPOINT_BYTES_MAX} bytes")]
    TooLong,
    /// Not a note, or not of a tree.
    #[error("{0}: malformed")]
    Malformed(&'static str),
    /// Of another log than asked.
    #[error("the checkpoint is of `{0}`")]
    Origin(String),
    /// The log has not signed it.
    #[error("no signature by the log")]
    Unsigned,
    /// The signature does not fit.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// Dated after now.
    #[error("the checkpoint is of {0}, which is in the future")]
    Future(Moment),
}

impl<'a> Checkpoint<'a> {
    /// Reads a checkpoint: three lines, an empty one, signature lines. Lines between root and signatures are refused.
    ///
    /// # Errors
    /// [`CheckpointError`] when it is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CheckpointError> {
        if bytes.len() > CHECKPOINT_BYTES_MAX {
            return Err(CheckpointError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| CheckpointError::Malformed("text"))?;
        let (body, signatures) = text.split_once("\n\n").ok_or(CheckpointError::Malformed("empty line"))?;
        let mut lines = body.split('\n');
        let origin =
            lines.next().filter(|origin| !origin.is_empty()).ok_or(CheckpointError::Malformed("origin"))?;
        let size = lines.next().and_then(parse_size).ok_or(CheckpointError::Malformed("size"))?;
        let root = lines.next().and_then(Sha256::from_base64).ok_or(CheckpointError::Malformed("root"))?;
        if lines.next().is_some() {
            return Err(CheckpointError::Malformed("extension line"));
        }
        let signatures = signatures.strip_suffix('\n').unwrap_or(signatures);
        let mut parsed = Vec::new();
        for line in signatures.split('\n') {
            if parsed.len() == SIGNATURES_MAX {
                return Err(CheckpointError::Malformed("number of signatures"));
            }
            parsed.push(parse_signature(line).ok_or(CheckpointError::Malformed("signature line"))?);
        }
        Ok(Checkpoint { origin, size, root, signatures: parsed })
    }

    /// Verifies that the log with this key and origin signed it, not after `now` (a tolerance aside).
    ///
    /// Signatures by others, witnesses, are passed over. `origin` is the submission prefix without scheme and closing slash.
    ///
    /// # Errors
    /// [`CheckpointError`] when it is of another origin, or not signed by the key.
    pub fn verify(&self, key: &LogKey, origin: &str, now: Moment) -> Result<TreeHead, CheckpointError> {
        if self.origin != origin {
            return Err(CheckpointError::Origin(self.origin.to_owned()));
        }
        let id = key_id(origin, key);
        let mut ours = self.signatures.iter().filter(|line| line.name == origin && line.key_id == id);
        let line = ours.next().ok_or(CheckpointError::Unsigned)?;
        let mut wire = Wire::new(&line.body);
        let timestamp = wire.number(8).map(Moment::from_milliseconds);
        let timestamp = timestamp.ok_or(CheckpointError::Malformed("signature"))?;
        let signed = parse_digitally_signed(wire.rest()).ok_or(CheckpointError::Malformed("signature"))?;
        let head = TreeHead { size: self.size, timestamp, root: self.root };
        verify_head(&head, &signed, key)?;
        if now.plus_seconds(FUTURE_TOLERANCE_SECONDS) < timestamp {
            return Err(CheckpointError::Future(timestamp));
        }
        Ok(head)
    }
}

/// The first four bytes of SHA-256 over the name, a line feed, the kind of the signature, and the log's identity.
fn key_id(name: &str, key: &LogKey) -> [u8; 4] {
    let Sha256([a, b, c, d, ..]) =
        Sha256::of_pieces(&[name.as_bytes(), b"\n", &[RFC6962_NOTE], &key.id().0.0]);
    [a, b, c, d]
}

/// A decimal number without leading zeros.
fn parse_size(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn parse_signature(line: &str) -> Option<NoteSignature<'_>> {
    let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let bytes = STANDARD.decode(encoded).ok()?;
    let (key_id, body) = bytes.split_first_chunk::<4>()?;
    let named =
        !name.is_empty() && !name.contains(|character: char| character.is_whitespace() || character == '+');
    (named && !body.is_empty()).then(|| NoteSignature { name, key_id: *key_id, body: body.to_vec() })
}

/// How long a checkpoint may be, in bytes.
pub const CHECKPOINT_BYTES_MAX: usize = 64 << 10;
/// How many signature lines a checkpoint may have; C2SP signed-note asks for at least 16.
pub const SIGNATURES_MAX: usize = 64;
/// The kind of signature of a static-ct log.
const RFC6962_NOTE: u8 = 5;
