//! The leaf: what was agreed about one question, as the certificate binds it.
//!
//! The encoded leaf is hashed into the Merkle tree of its slot, so every byte here is part of the format (`FORMAT.md`). Decoding
//! refuses a leaf whose parts contradict each other; what only the cluster file can tell, `verify` checks.

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::{Digest, OperationKind, Remark, ReplicaSet};

pub use crate::policy::{Class, Policy};
pub use crate::question::{Question, Subject};
pub use crate::rrset::RrSet;
use crate::rrset::{self, ANY, CNAME, TTL_SECONDS_MAX};

/// The longest encoded leaf: a DNS answer has at most so many bytes.
pub const LEAF_BYTES_MAX: usize = 65_535;

/// The longest verdict.
pub const VERDICT_BYTES_MAX: usize = 4096;

/// What a negative answer denies. RFC 2308 §2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Denial {
    /// The name does not exist.
    NxDomain,
    /// The name exists, but has no records of this type.
    NoData,
}

/// What was agreed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The CNAME chain in order from the name asked for, then the RRset asked for, if the chain reaches one.
    ///
    /// For the type ANY: the RRsets of the name, by ascending type. DNAMEs are not part of it; the CNAMEs made from them are.
    Answer(Vec<RrSet>),
    /// A denial about the name at the end of the chain.
    Negative {
        /// The CNAMEs that lead from the name asked for to the denied one; often none.
        chain: Vec<RrSet>,
        /// What is denied.
        denial: Denial,
        /// Owner of the SOA record that denies, in wire format, lower-case; the root when there was none.
        zone: Vec<u8>,
        /// MINIMUM of that SOA record, in seconds; 0 when there was none.
        minimum: u32,
    },
    /// The lookup fails with this rcode (SERVFAIL 2, REFUSED 5; a time-out counts as SERVFAIL). Neither 0 nor 3.
    Failure(u8),
    /// No agreement; or, for other kinds than `Resolve`, what was agreed is the verdict.
    None,
}

/// What was agreed about one operation, and by whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// What it is about.
    pub subject: Subject,
    /// How well it is supported.
    pub class: Class,
    /// The policy by which it was judged: that of the longest matching zone in the cluster file.
    pub policy: Policy,
    /// Whether the supporters belong to fewer than `min-groups` upstream groups.
    pub single_path: bool,
    /// What was agreed.
    pub outcome: Outcome,
    /// Digest of the SOA and RRSIG records that are served beside the answer; `Digest::ZERO` when there are none.
    pub extra_digest: Digest,
    /// For how long the answer holds, in seconds: at most the least TTL of the chain, the records and the denial.
    pub ttl: u32,
    /// The lower median of the times of its observations, in milliseconds since 1970.
    pub time_ms: u64,
    /// `time_ms` plus `ttl`, in milliseconds since 1970. Never extended.
    pub not_after_ms: u64,
    /// The replicas whose observations support the outcome.
    pub support: ReplicaSet,
    /// The upstream groups of the supporters: bit `i` for the group with index `i` in the cluster file.
    pub groups: u32,
    /// The replicas whose observations were included.
    pub observers: ReplicaSet,
    /// Of a `Resolve`: nothing, or one encoded [`Remark`] on the answer. Of other kinds: what was agreed. At most `VERDICT_BYTES_MAX` bytes.
    pub verdict: Vec<u8>,
}

impl Leaf {
    /// The kind of the operation.
    pub fn kind(&self) -> OperationKind {
        self.subject.kind()
    }

    /// The question of a `Resolve`.
    pub fn question(&self) -> Option<&Question> {
        self.subject.question()
    }

    /// The remark on the answer to a `Resolve`; `None` without one, and for other kinds.
    pub fn remark(&self) -> Option<Remark> {
        self.question()?;
        Remark::from_bytes(&self.verdict).ok()
    }

    /// When an answer of `time_ms` with `ttl` seconds ends, in milliseconds since 1970; `None` beyond 64 bits.
    pub fn not_after(time_ms: u64, ttl: u32) -> Option<u64> {
        time_ms.checked_add(u64::from(ttl) * 1000)
    }
}

const SINGLE_PATH: u8 = 1;

const NONE: u8 = 0;
const ANSWER: u8 = 1;
const NXDOMAIN: u8 = 2;
const NODATA: u8 = 3;
const FAILURE: u8 = 4;

impl Encode for Outcome {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Outcome::None => writer.u8(NONE),
            Outcome::Answer(sets) => {
                writer.u8(ANSWER);
                rrset::encode_list(writer, sets);
            }
            Outcome::Negative { chain, denial, zone, minimum } => {
                writer.u8(match denial {
                    Denial::NxDomain => NXDOMAIN,
                    Denial::NoData => NODATA,
                });
                rrset::encode_list(writer, chain);
                crate::name::encode(writer, zone);
                writer.u32(*minimum);
            }
            Outcome::Failure(rcode) => {
                writer.u8(FAILURE);
                writer.u8(*rcode);
            }
        }
    }
}

impl Decode for Outcome {
    fn decode(reader: &mut Reader<'_>) -> Result<Outcome, DecodeError> {
        let offset = reader.offset();
        match reader.u8()? {
            NONE => Ok(Outcome::None),
            ANSWER => Ok(Outcome::Answer(rrset::decode_list(reader)?)),
            NXDOMAIN => decode_negative(reader, Denial::NxDomain),
            NODATA => decode_negative(reader, Denial::NoData),
            FAILURE => {
                let offset = reader.offset();
                match reader.u8()? {
                    rcode @ (1 | 2 | 4..=15) => Ok(Outcome::Failure(rcode)),
                    rcode => {
                        Err(Reader::invalid(offset, "failure rcode", "1, 2 or 4 to 15", u64::from(rcode)))
                    }
                }
            }
            tag => Err(Reader::invalid(offset, "outcome", "0 to 4", u64::from(tag))),
        }
    }
}

fn decode_negative(reader: &mut Reader<'_>, denial: Denial) -> Result<Outcome, DecodeError> {
    let chain = rrset::decode_list(reader)?;
    let zone = crate::name::decode(reader, "denying zone")?;
    let minimum = reader.u32()?;
    Ok(Outcome::Negative { chain, denial, zone, minimum })
}

impl Encode for Leaf {
    fn encode(&self, writer: &mut Writer) {
        self.subject.encode(writer);
        self.class.encode(writer);
        self.policy.encode(writer);
        writer.u8(if self.single_path { SINGLE_PATH } else { 0 });
        self.outcome.encode(writer);
        self.extra_digest.encode(writer);
        writer.u32(self.ttl);
        writer.u64(self.time_ms);
        writer.u64(self.not_after_ms);
        writer.u32(self.support.0);
        writer.u32(self.groups);
        writer.u32(self.observers.0);
        writer.bytes16(&self.verdict);
    }
}

impl Decode for Leaf {
    fn decode(reader: &mut Reader<'_>) -> Result<Leaf, DecodeError> {
        let subject = Subject::decode(reader)?;
        let class_offset = reader.offset();
        let class = Class::decode(reader)?;
        let policy = Policy::decode(reader)?;
        let offset = reader.offset();
        let flags = reader.u8()?;
        if flags & !SINGLE_PATH != 0 {
            return Err(Reader::invalid(offset, "leaf flags", "0 or 1", u64::from(flags)));
        }
        let outcome_offset = reader.offset();
        let outcome = Outcome::decode(reader)?;
        let extra_digest = Digest::decode(reader)?;
        let ttl_offset = reader.offset();
        let (ttl, time_ms, not_after_ms) = (reader.u32()?, reader.u64()?, reader.u64()?);
        let (support, groups) = (ReplicaSet(reader.u32()?), reader.u32()?);
        let observers = ReplicaSet(reader.u32()?);
        let verdict_offset = reader.offset();
        let verdict = decode_verdict(reader)?;
        let leaf = Leaf {
            subject,
            class,
            policy,
            single_path: flags & SINGLE_PATH != 0,
            outcome,
            extra_digest,
            ttl,
            time_ms,
            not_after_ms,
            support,
            groups,
            observers,
            verdict,
        };
        leaf.check_class(class_offset)?;
        leaf.check_remark(verdict_offset)?;
        leaf.check_records(outcome_offset)?;
        leaf.check_times(ttl_offset)?;
        Ok(leaf)
    }
}

fn decode_verdict(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let offset = reader.offset();
    let verdict = reader.bytes16()?;
    if verdict.len() > VERDICT_BYTES_MAX {
        return Err(Reader::invalid(offset, "verdict length", "at most 4096", verdict.len() as u64));
    }
    Ok(verdict.to_vec())
}

impl Leaf {
    /// The class, the outcome and the verdict must say the same.
    fn check_class(&self, offset: usize) -> Result<(), DecodeError> {
        let resolves = self.kind() == OperationKind::Resolve;
        let fits = match (self.class, &self.outcome) {
            (Class::NoAgreement, Outcome::None) => self.verdict.is_empty(),
            (Class::Failure, Outcome::Failure(_)) => resolves || self.verdict.is_empty(),
            (Class::NoAgreement | Class::Failure, _) => false,
            (_, Outcome::Answer(_) | Outcome::Negative { .. }) => resolves,
            (_, Outcome::None) => !resolves,
            (_, Outcome::Failure(_)) => false,
        };
        if fits {
            return Ok(());
        }
        let expected = "the class that the outcome and the verdict have";
        Err(Reader::invalid(offset, "class", expected, self.class as u64))
    }

    /// What stands in the verdict beside an answer or a failure of a `Resolve` is one remark, whole and alone.
    fn check_remark(&self, offset: usize) -> Result<(), DecodeError> {
        let resolves = self.kind() == OperationKind::Resolve;
        if !resolves || self.verdict.is_empty() || Remark::from_bytes(&self.verdict).is_ok() {
            return Ok(());
        }
        Err(Reader::invalid(offset, "verdict", "nothing, or one remark", self.verdict.len() as u64))
    }

    /// The records must answer the question: a chain from its name, and at the end the type asked for.
    fn check_records(&self, offset: usize) -> Result<(), DecodeError> {
        let (Some(question), Some(sets)) = (self.question(), self.outcome.rrsets()) else { return Ok(()) };
        let expected = match &self.outcome {
            Outcome::Answer(_) if !answers(question, sets) => {
                "a chain from the name asked for to the type asked for"
            }
            Outcome::Negative { .. } if rrset::follow(&question.name, sets).is_none() => {
                "a chain from the name asked for"
            }
            _ if sets.iter().any(|set| set.rclass != question.qclass) => "records of the class asked for",
            _ => return Ok(()),
        };
        Err(Reader::invalid(offset, "records", expected, sets.len() as u64))
    }

    /// `ttl` must not exceed what it was taken from, and `not_after_ms` must follow from it.
    fn check_times(&self, offset: usize) -> Result<(), DecodeError> {
        let sets = self.outcome.rrsets().unwrap_or_default();
        let least = sets.iter().map(|set| set.ttl).min().unwrap_or(TTL_SECONDS_MAX);
        let bound = match self.outcome {
            Outcome::Negative { minimum, .. } => least.min(minimum),
            _ => least,
        };
        if self.ttl > bound {
            let expected = "at most the least TTL of the records and the denial";
            return Err(Reader::invalid(offset, "ttl", expected, u64::from(self.ttl)));
        }
        if Leaf::not_after(self.time_ms, self.ttl) != Some(self.not_after_ms) {
            return Err(Reader::invalid(offset, "not after", "time plus ttl", self.not_after_ms));
        }
        Ok(())
    }
}

impl Outcome {
    /// The RRsets of an answer or of the chain before a denial.
    pub fn rrsets(&self) -> Option<&[RrSet]> {
        match self {
            Outcome::Answer(sets) | Outcome::Negative { chain: sets, .. } => Some(sets),
            Outcome::Failure(_) | Outcome::None => None,
        }
    }
}

/// Whether `sets` answer `question`; see `Outcome::Answer`.
fn answers(question: &Question, sets: &[RrSet]) -> bool {
    let Some((last, chain)) = sets.split_last() else { return false };
    if question.qtype == ANY {
        return sets.iter().all(|set| set.owner == question.name)
            && sets.windows(2).all(|pair| pair[0].rtype < pair[1].rtype);
    }
    if question.qtype == CNAME && !chain.is_empty() {
        return false;
    }
    match rrset::follow(&question.name, chain) {
        Some(end) if last.owner == end => last.rtype == question.qtype || last.cname_target().is_some(),
        _ => false,
    }
}
