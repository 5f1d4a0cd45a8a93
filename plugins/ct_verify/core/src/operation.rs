//! What replicas of a cluster agree on beside DNS questions, as bytes: a certificate to be judged, a server that was looked at, an input
//! to be put in force. These bytes are the subject of the operation, and stand in the leaf that a quorum signs.
//!
//! One encoding for each value: what decodes encodes to the same bytes. What an operation names by digest, `content.rs` encodes; what
//! replicas say of it is in `agreed.rs`.
//!
//! A server is written as the byte 2, the target (a byte with its length, then its text), the length of a slot in seconds and the number of the
//! slot, each as four bytes, the highest first. So replicas that count time otherwise speak of something else.

use std::ops::RangeInclusive;

use thiserror::Error;

use crate::chain::Purpose;
use crate::digest::Sha256;
use crate::moment::Moment;
use crate::policy::Policy;
use crate::revocation::RevocationMode;
use crate::wire::{Wire, push_vector};

pub use crate::agreed::{Agreed, AgreedError, Answer, Seen};

/// A certificate to be judged, by inputs that are named by their digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSubject {
    /// SHA-256 of the chain as [`crate::content::encode_chain`] writes it.
    pub chain: Sha256,
    /// The DNS name or address that it is to be for; without one, names are not checked. At most [`NAME_BYTES_MAX`] bytes.
    pub name: Option<String>,
    /// What it is to be used for.
    pub purpose: Purpose,
    /// For which time, in minutes since 1970.
    pub at_minutes: u32,
    /// Which timestamps it needs. At most [`POLICY_BYTES_MAX`] bytes as text.
    pub policy: Policy,
    /// What an unknown revocation status does.
    pub revocation: RevocationMode,
    /// SHA-256 of the log list; `None` without one.
    pub log_list: Option<Sha256>,
    /// SHA-256 of roots and intermediates as [`crate::content::encode_trust`] writes them.
    pub trust: Sha256,
    /// SHA-256 of the revocation lists as [`crate::content::encode_lists`] writes them; `None` without any.
    pub lists: Option<Sha256>,
}

/// A server that replicas looked at, each from where it stands. Time is counted in slots of equal length from 1970 on; each looks once a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSubject {
    /// `name:port`, printable ASCII. At most [`NAME_BYTES_MAX`] bytes.
    pub target: String,
    /// How long a slot is, in seconds; one of [`PERIOD_SECONDS`].
    pub period_seconds: u32,
    /// In which slot: seconds since 1970 divided by that length.
    pub slot: u32,
}

/// The subject of a `Validate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValidateSubject {
    /// A certificate.
    Certificate(CertificateSubject),
    /// A server.
    Probe(ProbeSubject),
}

/// What certificates are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InputKind {
    /// The list of CT logs.
    LogList = 1,
    /// Roots, and intermediates that help to build chains.
    Trust = 2,
    /// Revocation lists.
    Lists = 3,
}

/// The subject of an `UpdateInputs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputSubject {
    /// Which input.
    pub kind: InputKind,
    /// SHA-256 of its content.
    pub digest: Sha256,
}

/// The bytes are no subject.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not the subject of an operation: {0}")]
pub struct SubjectError(&'static str);

impl InputKind {
    /// All of them.
    pub const ALL: [InputKind; 3] = [InputKind::LogList, InputKind::Trust, InputKind::Lists];

    /// The word in files, metrics and JSON.
    pub fn word(self) -> &'static str {
        match self {
            InputKind::LogList => "log_list",
            InputKind::Trust => "roots",
            InputKind::Lists => "revocation",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        InputKind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl CertificateSubject {
    /// The time for which it is judged.
    pub fn at(&self) -> Moment {
        Moment::from_seconds(i64::from(self.at_minutes) * 60)
    }

    /// The minute that this moment lies in.
    pub fn minute(moment: Moment) -> u32 {
        u32::try_from(moment.seconds() / 60).unwrap_or(u32::MAX)
    }
}

impl ProbeSubject {
    /// When the slot begins.
    pub fn begin(&self) -> Moment {
        Moment::from_seconds(i64::from(self.slot) * i64::from(self.period_seconds))
    }
}

impl ValidateSubject {
    /// The subject as bytes, at most [`SUBJECT_BYTES_MAX`]; `None` when a text or a slot is longer than it may be.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(256);
        match self {
            ValidateSubject::Certificate(subject) => subject.encode(&mut out)?,
            ValidateSubject::Probe(subject) => {
                out.push(PROBE);
                push_text(&mut out, &subject.target)?;
                PERIOD_SECONDS.contains(&subject.period_seconds).then_some(())?;
                out.extend(subject.period_seconds.to_be_bytes());
                out.extend(subject.slot.to_be_bytes());
            }
        }
        Some(out)
    }

    /// Reads a subject.
    ///
    /// # Errors
    /// [`SubjectError`] when the bytes are none, or not the only ones for their value.
    pub fn decode(bytes: &[u8]) -> Result<Self, SubjectError> {
        if bytes.len() > SUBJECT_BYTES_MAX {
            return Err(SubjectError("too long"));
        }
        let mut wire = Wire::new(bytes);
        let subject = match wire.u8() {
            Some(CERTIFICATE) => ValidateSubject::Certificate(CertificateSubject::decode(&mut wire)?),
            Some(PROBE) => {
                let target = text(&mut wire)?;
                if target.is_empty() {
                    return Err(SubjectError("without a target"));
                }
                let period_seconds = wire.array().map(u32::from_be_bytes).ok_or(ENDS_EARLY)?;
                if !PERIOD_SECONDS.contains(&period_seconds) {
                    return Err(SubjectError("with slots too short or too long"));
                }
                let slot = wire.array().map(u32::from_be_bytes).ok_or(ENDS_EARLY)?;
                ValidateSubject::Probe(ProbeSubject { target, period_seconds, slot })
            }
            _ => return Err(SubjectError("of an unknown kind")),
        };
        if wire.is_empty() { Ok(subject) } else { Err(SubjectError("with bytes behind it")) }
    }
}

impl CertificateSubject {
    fn encode(&self, out: &mut Vec<u8>) -> Option<()> {
        out.push(CERTIFICATE);
        out.extend(self.chain.0);
        push_text(out, self.name.as_deref().unwrap_or_default())?;
        out.push(self.purpose as u8);
        out.extend(self.at_minutes.to_be_bytes());
        let policy = self.policy.to_string();
        if policy.len() > POLICY_BYTES_MAX {
            return None;
        }
        push_text(out, &policy)?;
        out.push(self.revocation as u8);
        out.extend(self.log_list.unwrap_or(NONE).0);
        out.extend(self.trust.0);
        out.extend(self.lists.unwrap_or(NONE).0);
        Some(())
    }

    fn decode(wire: &mut Wire<'_>) -> Result<Self, SubjectError> {
        let digest = |wire: &mut Wire<'_>| wire.array().map(Sha256).ok_or(ENDS_EARLY);
        let chain = digest(wire)?;
        let name = Some(text(wire)?).filter(|name| !name.is_empty());
        let purpose = match wire.u8().ok_or(ENDS_EARLY)? {
            0 => Purpose::Server,
            1 => Purpose::Client,
            2 => Purpose::Email,
            3 => Purpose::Any,
            _ => return Err(SubjectError("for an unknown purpose")),
        };
        let at_minutes = wire.array().map(u32::from_be_bytes).ok_or(ENDS_EARLY)?;
        let policy_text = text(wire)?;
        let policy: Policy = policy_text.parse().map_err(|_| SubjectError("with an unknown policy"))?;
        if policy.to_string() != policy_text {
            return Err(SubjectError("with a policy in other words than its own"));
        }
        let revocation = match wire.u8().ok_or(ENDS_EARLY)? {
            0 => RevocationMode::Off,
            1 => RevocationMode::Soft,
            2 => RevocationMode::Required,
            _ => return Err(SubjectError("with an unknown treatment of revocation")),
        };
        let some = |digest: Sha256| (digest != NONE).then_some(digest);
        let (log_list, trust, lists) = (some(digest(wire)?), digest(wire)?, some(digest(wire)?));
        Ok(CertificateSubject {
            chain,
            name,
            purpose,
            at_minutes,
            policy,
            revocation,
            log_list,
            trust,
            lists,
        })
    }
}

impl InputSubject {
    /// The subject as bytes.
    pub fn encode(&self) -> Vec<u8> {
        [&[self.kind as u8][..], &self.digest.0].concat()
    }

    /// Reads a subject.
    ///
    /// # Errors
    /// [`SubjectError`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, SubjectError> {
        let (kind, digest) = bytes.split_first().ok_or(ENDS_EARLY)?;
        let kind = InputKind::ALL.into_iter().find(|known| *known as u8 == *kind);
        let kind = kind.ok_or(SubjectError("of an unknown kind"))?;
        let digest = Sha256::from_slice(digest).ok_or(SubjectError("without a digest"))?;
        Ok(InputSubject { kind, digest })
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) -> Option<()> {
    let fits = text.len() <= NAME_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { push_vector(out, 1, text.as_bytes()) } else { None }
}

fn text(wire: &mut Wire<'_>) -> Result<String, SubjectError> {
    let bytes = wire.vector(1).ok_or(ENDS_EARLY)?;
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err(SubjectError("with a text that is not printable"));
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

const CERTIFICATE: u8 = 1;
const PROBE: u8 = 2;
/// Stands for no digest.
const NONE: Sha256 = Sha256([0; 32]);
const ENDS_EARLY: SubjectError = SubjectError("ends early");
/// How long a slot may be in which servers are looked at, in seconds: ten seconds to a day.
pub const PERIOD_SECONDS: RangeInclusive<u32> = 10..=86_400;
/// The longest name or target, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// The longest policy, in bytes as text.
pub const POLICY_BYTES_MAX: usize = 255;
/// The longest subject, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 1024;
/// How far the minute of a subject may be from the clock of a replica that judges it, in minutes.
pub const CLOCK_DIFFERENCE_MINUTES_MAX: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> CertificateSubject {
        CertificateSubject {
            chain: Sha256::of(b"chain"),
            name: Some("www.example.org".to_owned()),
            purpose: Purpose::Server,
            at_minutes: 29_000_000,
            policy: Policy::Chrome2026,
            revocation: RevocationMode::Soft,
            log_list: Some(Sha256::of(b"list")),
            trust: Sha256::of(b"roots"),
            lists: None,
        }
    }

    fn probe() -> ProbeSubject {
        ProbeSubject { target: "mail.example.org:25".to_owned(), period_seconds: 600, slot: 2_900_000 }
    }

    #[test]
    fn subjects_come_back_as_they_were() {
        let custom: Policy = "custom:min_logs=4,long_after=90d".parse().unwrap();
        let bare = CertificateSubject {
            name: None,
            purpose: Purpose::Any,
            policy: custom,
            revocation: RevocationMode::Required,
            log_list: None,
            lists: Some(Sha256::of(b"crl")),
            ..certificate()
        };
        for subject in [
            ValidateSubject::Certificate(certificate()),
            ValidateSubject::Certificate(bare),
            ValidateSubject::Probe(probe()),
        ] {
            assert_eq!(ValidateSubject::decode(&subject.encode().unwrap()).unwrap(), subject);
        }
        for kind in InputKind::ALL {
            let subject = InputSubject { kind, digest: Sha256::of(b"content") };
            assert_eq!(InputSubject::decode(&subject.encode()).unwrap(), subject);
            assert_eq!(InputKind::from_word(kind.word()), Some(kind));
        }
    }

    #[test]
    fn every_shorter_and_every_longer_subject_is_refused() {
        for subject in [ValidateSubject::Certificate(certificate()), ValidateSubject::Probe(probe())] {
            let bytes = subject.encode().unwrap();
            for length in 0..bytes.len() {
                assert!(ValidateSubject::decode(&bytes[..length]).is_err(), "{length}");
            }
            assert!(ValidateSubject::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
        let bytes = InputSubject { kind: InputKind::LogList, digest: Sha256::of(b"") }.encode();
        assert!(InputSubject::decode(&bytes[..32]).is_err());
        assert!(InputSubject::decode(&[&bytes[..], &[0]].concat()).is_err());
        assert!(InputSubject::decode(&[&[4], &bytes[1..]].concat()).is_err());
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes() {
        let whole = ValidateSubject::Certificate(certificate()).encode().unwrap();
        let mut read = 0;
        for at in 0..whole.len() {
            for value in 0..=255 {
                let mut changed = whole.clone();
                changed[at] = value;
                if let Ok(subject) = ValidateSubject::decode(&changed) {
                    assert_eq!(subject.encode().unwrap(), changed, "byte {at}, {value}");
                    read += 1;
                }
            }
        }
        assert!(read > 10_000, "{read}");
    }

    #[test]
    fn texts_that_do_not_fit_have_no_encoding() {
        for name in ["a".repeat(256), "two words".to_owned(), "münchen.example".to_owned()] {
            let subject = CertificateSubject { name: Some(name), ..certificate() };
            assert!(ValidateSubject::Certificate(subject).encode().is_none());
        }
        let longest = CertificateSubject { name: Some("a".repeat(255)), ..certificate() };
        assert!(ValidateSubject::Certificate(longest).encode().unwrap().len() <= SUBJECT_BYTES_MAX);
    }

    #[test]
    fn slots_that_are_too_short_or_too_long_have_no_encoding() {
        let bytes = ValidateSubject::Probe(probe()).encode().unwrap();
        let at = bytes.len() - 8;
        assert_eq!(bytes[at..], [0, 0, 2, 88, 0, 44, 64, 32], "length, then number");
        for (period_seconds, is_fine) in [(0, false), (9, false), (10, true), (86_400, true), (86_401, false)]
        {
            let subject = ValidateSubject::Probe(ProbeSubject { period_seconds, ..probe() });
            assert_eq!(subject.encode().is_some(), is_fine, "{period_seconds}");
            let written = [&bytes[..at], &period_seconds.to_be_bytes(), &bytes[at + 4..]].concat();
            assert_eq!(ValidateSubject::decode(&written).is_ok(), is_fine, "{period_seconds}");
        }
    }

    #[test]
    fn a_subject_names_its_minute_and_its_slot() {
        let moment: Moment = "2026-08-01T00:19:59Z".parse().unwrap();
        let subject = CertificateSubject { at_minutes: CertificateSubject::minute(moment), ..certificate() };
        assert_eq!(subject.at().to_string(), "2026-08-01T00:19:00Z");
        assert_eq!(ProbeSubject { slot: 2_976_338, ..probe() }.begin().to_string(), "2026-08-04T00:20:00Z");
        let last = ProbeSubject { period_seconds: 86_400, slot: u32::MAX, ..probe() };
        assert_eq!(last.begin().seconds(), 86_400 * u64::from(u32::MAX));
    }
}
