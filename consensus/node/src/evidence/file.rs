//! The text of an evidence file. `EVIDENCE.md` says every line.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::str::FromStr;

use certificate::codec::DecodeError;
use certificate::{Digest, Domain, Epoch, ReplicaId};
use pbft::Fault;
use thiserror::Error;

use super::exhibit::{Exhibit, PARTS_MAX, PartsError};
use super::kind::EvidenceKind;

/// The longest evidence file, in bytes: a new view with the view changes of 31 replicas, in hexadecimal.
pub const EVIDENCE_BYTES_MAX: usize = 5 << 20;

/// What is written. Version 1 had neither `kind` nor `replica`, wrote `preprepare`, and is still read.
const VERSION: &str = "2";

/// What an evidence file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EvidenceFile {
    /// The cluster and epoch in whose name it was signed.
    pub domain: Domain,
    /// When the fault was found, in milliseconds since 1970, by the finder's clock. Not signed.
    pub time_ms: u64,
    /// Who is accused.
    pub replica: ReplicaId,
    /// The fault in words. Not signed: `verify` says what holds.
    pub fault: String,
    /// What the accused signed.
    pub exhibit: Exhibit,
}

/// Why a text is no evidence file.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum EvidenceSyntaxError {
    /// Nobody writes such long ones.
    #[error("expected at most {EVIDENCE_BYTES_MAX} bytes, found {0}")]
    TooLong(usize),
    /// A line is missing, out of place, or not of its form.
    #[error("line {line}: expected `{expected}`, found `{found}`")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
        /// The beginning of what stands there.
        found: String,
    },
    /// The last line is cut off.
    #[error("line {line}: expected a line end")]
    CutOff {
        /// Its number, from 1.
        line: usize,
    },
    /// The bytes of a signed part are not what its name says.
    #[error("line {line}: {source}")]
    Part {
        /// Its number, from 1.
        line: usize,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// Other signed parts than the kind has.
    #[error("line {line}: expected {expected} in evidence of kind `{kind}`")]
    Parts {
        /// Where the parts begin, from 1.
        line: usize,
        /// The kind.
        kind: EvidenceKind,
        /// Its parts.
        expected: &'static str,
    },
}

/// Why an evidence file cannot be read from the disk.
#[derive(Debug, Error)]
pub enum EvidenceReadError {
    /// The operating system refuses.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file is none.
    #[error(transparent)]
    Syntax(#[from] EvidenceSyntaxError),
}

impl EvidenceFile {
    /// The evidence of a fault that was found at `wall_ms`; `None` when its culprit signed nothing.
    pub fn of(fault: &Fault, domain: &Domain, wall_ms: u64) -> Option<EvidenceFile> {
        let (exhibit, replica) = Exhibit::of(fault).zip(fault.replica())?;
        Some(EvidenceFile { domain: *domain, time_ms: wall_ms, replica, fault: fault.to_string(), exhibit })
    }

    /// Reads a file, at most `EVIDENCE_BYTES_MAX` bytes of it.
    ///
    /// Errors: as the operating system and `parse` say.
    pub fn read(path: &Path) -> Result<EvidenceFile, EvidenceReadError> {
        let mut bytes = Vec::new();
        File::open(path)?.take(EVIDENCE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "expected text, found other bytes"))?;
        Ok(EvidenceFile::parse(&text)?)
    }

    /// Reads the text of a file. One text is one piece of evidence: whatever is not as `EVIDENCE.md` says is refused. Nothing is
    /// verified yet.
    pub fn parse(text: &str) -> Result<EvidenceFile, EvidenceSyntaxError> {
        if text.len() > EVIDENCE_BYTES_MAX {
            return Err(EvidenceSyntaxError::TooLong(text.len()));
        }
        let mut lines = Lines { rest: text, line: 0 };
        let version: u8 = lines.value("quorate-evidence: VERSION", |version| {
            ["1", VERSION].contains(&version).then(|| version.parse().ok()).flatten()
        })?;
        let cluster_id = lines.value("cluster: DIGEST", lower_case_digest)?;
        let epoch = Epoch(lines.value("epoch: NUMBER", number)?);
        let time_ms = lines.value("time-ms: NUMBER", number)?;
        let named = if version == 1 {
            None
        } else {
            let kind = lines.value("kind: KIND", |name| EvidenceKind::from_str(name).ok())?;
            let replica: u64 = lines.value("replica: NUMBER", number)?;
            Some((kind, ReplicaId(u8::try_from(replica).map_err(|_| lines.refuse("replica: NUMBER"))?)))
        };
        let fault = lines.value("fault: TEXT", |text| Some(text.to_owned()))?;
        let is_proof = lines.value("proof: yes|no", |word| match word {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        })?;
        let proof_line = lines.line;
        let parts = lines.parts()?;
        let parts: Vec<(&str, Vec<u8>)> =
            parts.into_iter().map(|(name, bytes)| (renamed(version, name), bytes)).collect();
        let first = proof_line + 1;
        let kind = match named {
            Some((kind, _)) => kind,
            None => kind_of_version_1(&parts).ok_or_else(|| lines.refuse("signed parts of version 1"))?,
        };
        if is_proof != kind.is_proof() {
            let expected = if kind.is_proof() { "proof: yes" } else { "proof: no" };
            let found = if is_proof { "proof: yes" } else { "proof: no" };
            return Err(EvidenceSyntaxError::Line { line: proof_line, expected, found: found.to_owned() });
        }
        let exhibit = Exhibit::from_parts(kind, &parts).map_err(|wrong| match wrong {
            PartsError::Unreadable(place, source) => {
                EvidenceSyntaxError::Part { line: first + place, source }
            }
            PartsError::Others { expected } => EvidenceSyntaxError::Parts { line: first, kind, expected },
        })?;
        let replica = named.map(|(_, replica)| replica).or_else(|| exhibit.named_signer());
        let replica = replica.expect("what version 1 holds names its signer");
        Ok(EvidenceFile { domain: Domain { cluster_id, epoch }, time_ms, replica, fault, exhibit })
    }

    /// The text of the file. `parse(to_text(e)) == e`.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            writeln!(text, "{name}: {value}").expect("writing to a string does not fail");
        };
        let kind = self.exhibit.kind();
        line("quorate-evidence", &VERSION);
        line("cluster", &self.domain.cluster_id);
        line("epoch", &self.domain.epoch);
        line("time-ms", &self.time_ms);
        line("kind", &kind);
        line("replica", &self.replica);
        line("fault", &self.fault.replace(['\n', '\r'], " "));
        line("proof", &if kind.is_proof() { "yes" } else { "no" });
        for (name, bytes) in self.exhibit.parts() {
            line(name, &hexadecimal(&bytes));
        }
        text
    }
}

/// The lines of a text, each `name: value`.
struct Lines<'a> {
    rest: &'a str,
    /// The number of the last line that was taken.
    line: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<Option<&'a str>, EvidenceSyntaxError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        let (line, rest) =
            self.rest.split_once('\n').ok_or(EvidenceSyntaxError::CutOff { line: self.line })?;
        self.rest = rest;
        Ok(Some(line))
    }

    /// The value of the next line, which is to look like `form`: a name, a colon, and a word for the value.
    fn value<T>(
        &mut self,
        form: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, EvidenceSyntaxError> {
        let line = self.next()?.unwrap_or_default();
        let name = form.split_once(": ").map_or(form, |(name, _)| name);
        let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        let printable = value.filter(|value| !value.chars().any(char::is_control));
        printable.and_then(read).ok_or_else(|| refusal(self.line, form, line))
    }

    /// Everything that is left, as signed parts.
    fn parts(&mut self) -> Result<Vec<(&'a str, Vec<u8>)>, EvidenceSyntaxError> {
        let mut parts = Vec::new();
        while let Some(line) = self.next()? {
            let part = line.split_once(": ").and_then(|(name, value)| Some((name, from_hexadecimal(value)?)));
            let room = parts.len() < PARTS_MAX;
            let part = part.filter(|_| room).ok_or_else(|| refusal(self.line, "PART: HEXADECIMAL", line))?;
            parts.push(part);
        }
        Ok(parts)
    }

    fn refuse(&self, expected: &'static str) -> EvidenceSyntaxError {
        refusal(self.line, expected, "")
    }
}

fn refusal(line: usize, expected: &'static str, found: &str) -> EvidenceSyntaxError {
    const EXCERPT_CHARACTERS: usize = 40;
    let found = found.chars().filter(|character| !character.is_control()).take(EXCERPT_CHARACTERS).collect();
    EvidenceSyntaxError::Line { line, expected, found }
}

/// One number has one form: no sign, no zero before it.
fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn lower_case_digest(text: &str) -> Option<Digest> {
    Digest::from_hex(text).filter(|digest| digest.to_string() == text)
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Lower-case digits only, two a byte.
fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

/// The name of a part as this version writes it.
fn renamed(version: u8, name: &str) -> &str {
    if version == 1 && name == "preprepare" { "pre-prepare" } else { name }
}

/// What a file of version 1 was about follows from its parts.
fn kind_of_version_1(parts: &[(&str, Vec<u8>)]) -> Option<EvidenceKind> {
    let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
    match names.as_slice() {
        ["checkpoint", "checkpoint"] => Some(EvidenceKind::CheckpointEquivocation),
        ["view-change", "view-change"] => Some(EvidenceKind::ViewChangeEquivocation),
        ["observations"] => Some(EvidenceKind::MalformedObservation),
        ["pre-prepare"] => Some(EvidenceKind::RefusedProposal),
        [_, _] => Some(EvidenceKind::Equivocation),
        _ => None,
    }
}
