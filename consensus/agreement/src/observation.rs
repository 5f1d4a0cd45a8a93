//! What one replica saw: the payload of an observation, its bounds, and what happens to an answer that is larger.
//!
//! An answer that does not fit is observed as [`ObservedOutcome::TooLarge`], never trimmed into another answer. What stands beside the answer gives way to it:
//! first the history, oldest first, then the DNSSEC records, all of them, then the remark. The SOA of a denial stays: it says how long the denial holds.

use certificate::cluster::{Cluster, batch_bytes_min};
use certificate::codec::Encode;
use certificate::leaf::{Denial, RrSet};
use certificate::name::ROOT;
use certificate::{Digest, Remark};

use crate::canonical::{Reading, SERVFAIL, Unusable};
use crate::extra;

/// The most bytes of a payload, whatever the cluster.
pub const PAYLOAD_BYTES_MAX: usize = 4096;

/// The bytes that a payload may have in any cluster, however small its batches: the cluster file promises them.
pub const PAYLOAD_BYTES_MIN: usize = certificate::cluster::PAYLOAD_BYTES_MIN as usize;

/// The most RRsets of an outcome: the links of a chain, or what ANY returns.
pub const RRSETS_MAX: usize = 32;

/// The most records of an outcome.
pub const RECORDS_MAX: usize = 256;

/// The most records of the history that an observation carries.
pub const HISTORY_RECORDS_MAX: usize = 64;

/// Returns how many bytes a payload may have in `cluster`, so that one question with an observation of every replica still fits a batch.
///
/// What the least batch has room for, and each replica's share of what `batch-bytes` is above it; at most `PAYLOAD_BYTES_MAX`.
pub fn payload_bytes_max(cluster: &Cluster) -> usize {
    let replicas = cluster.replicas.count();
    let spare = cluster.batch_bytes.saturating_sub(batch_bytes_min(replicas)) as usize;
    (PAYLOAD_BYTES_MIN + spare / replicas).min(PAYLOAD_BYTES_MAX)
}

/// What a replica's own resolution said about DNSSEC. RFC 4033 §5. A claim: only a proof makes an answer `secure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Dnssec {
    /// Nobody validated.
    Indeterminate = 0,
    /// Proven to be unsigned.
    Insecure = 1,
    /// Validated.
    Secure = 2,
    /// Should validate and does not.
    Bogus = 3,
}

/// What a lookup came to. Two are the same value when [`ObservedOutcome::same_value`] says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObservedOutcome {
    /// The chain of aliases in order, then what was asked for. TTLs are what the replica saw, in seconds.
    Answer(Vec<RrSet>),
    /// The name at the end of the chain, or the type there, does not exist.
    Negative {
        /// The chain of aliases, if any.
        chain: Vec<RrSet>,
        /// Which of the two.
        denial: Denial,
        /// Owner of the SOA; the root when the response had none, and then `minimum` and `ttl` are 0.
        zone: Vec<u8>,
        /// The SOA's MINIMUM field.
        minimum: u32,
        /// The lesser of the SOA's TTL and MINIMUM, in seconds. RFC 2308 §5.
        ttl: u32,
    },
    /// An rcode: REFUSED 5, or SERVFAIL 2 for every other.
    Failure(u8),
    /// No answer in time.
    TimedOut,
    /// The answer is larger than a payload may be.
    TooLarge,
}

/// An RRset as a replica saw it within the history, its records each with their own time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Owner in wire form, lower case.
    pub owner: Vec<u8>,
    /// Type.
    pub rtype: u16,
    /// Class.
    pub rclass: u16,
    /// The records, sorted by data.
    pub records: Vec<SeenRecord>,
}

/// A record of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRecord {
    /// Canonical data.
    pub rdata: Vec<u8>,
    /// Seconds, when it was last seen.
    pub ttl: u32,
    /// When it was last seen, in milliseconds since 1970.
    pub last_seen_ms: u64,
}

/// The payload of an observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// What the lookup came to.
    pub outcome: ObservedOutcome,
    /// What the replica's own resolution said about DNSSEC.
    pub dnssec: Dnssec,
    /// The replica's upstream group, by its index in the cluster file.
    pub group: u8,
    /// The records beside the answer, in the form of [`crate::extra`].
    pub extra: Vec<u8>,
    /// What the replica found out about the content; of an answer, a denial or an rcode only. Not part of the value.
    pub remark: Option<Remark>,
    /// What the replica saw for the name before, sorted by owner, type and class.
    pub history: Vec<Seen>,
}

impl Seen {
    /// What puts RRsets in order.
    pub(crate) fn key(&self) -> (&[u8], u16, u16) {
        (&self.owner, self.rtype, self.rclass)
    }
}

impl From<Unusable> for Reading {
    fn from(_: Unusable) -> Reading {
        Reading::bare(ObservedOutcome::Failure(SERVFAIL))
    }
}

impl ObservedOutcome {
    /// The RRsets of the chain and the answer; none of a failure.
    pub fn rrsets(&self) -> &[RrSet] {
        match self {
            ObservedOutcome::Answer(rrsets) | ObservedOutcome::Negative { chain: rrsets, .. } => rrsets,
            ObservedOutcome::Failure(_) | ObservedOutcome::TimedOut | ObservedOutcome::TooLarge => &[],
        }
    }

    /// Whether both are the same answer, TTLs aside. A failure is no value.
    pub fn same_value(&self, other: &ObservedOutcome) -> bool {
        use ObservedOutcome::{Answer, Negative};
        match (self, other) {
            (Answer(ours), Answer(theirs)) => same_rrsets(ours, theirs),
            (
                Negative { chain: ours, denial: our_denial, zone: our_zone, minimum: our_minimum, .. },
                Negative { chain: theirs, denial, zone, minimum, .. },
            ) => {
                our_denial == denial
                    && our_zone == zone
                    && our_minimum == minimum
                    && same_rrsets(ours, theirs)
            }
            _ => false,
        }
    }

    /// Whether a SOA must stand beside it: without one a denial has nothing that says how long it holds.
    pub(crate) fn needs_soa(&self) -> bool {
        match self {
            ObservedOutcome::Negative { zone, minimum, .. } => zone != ROOT || *minimum != 0,
            _ => false,
        }
    }

    /// Whether a response was seen that can be remarked on.
    pub(crate) fn bears_remarks(&self) -> bool {
        match self {
            ObservedOutcome::Answer(_) | ObservedOutcome::Negative { .. } | ObservedOutcome::Failure(_) => {
                true
            }
            ObservedOutcome::TimedOut | ObservedOutcome::TooLarge => false,
        }
    }

    /// A digest of the value, TTLs aside, to put values in one order everywhere.
    pub(crate) fn value_digest(&self) -> Digest {
        let mut timeless = self.clone();
        match &mut timeless {
            ObservedOutcome::Answer(rrsets) => rrsets.iter_mut().for_each(|rrset| rrset.ttl = 0),
            ObservedOutcome::Negative { chain, ttl, .. } => {
                chain.iter_mut().for_each(|rrset| rrset.ttl = 0);
                *ttl = 0;
            }
            ObservedOutcome::Failure(_) | ObservedOutcome::TimedOut | ObservedOutcome::TooLarge => {}
        }
        Digest::of(&timeless.to_bytes())
    }
}

fn same_rrsets(ours: &[RrSet], theirs: &[RrSet]) -> bool {
    let same = |(ours, theirs): (&RrSet, &RrSet)| {
        ours.owner == theirs.owner
            && ours.rtype == theirs.rtype
            && ours.rclass == theirs.rclass
            && ours.rdatas == theirs.rdatas
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
}

impl Observed {
    /// Puts an observation together, within `bytes_max` (see [`payload_bytes_max`]).
    ///
    /// `history` is what the replica saw before this lookup; records that the answer holds again are left out of it.
    pub fn compose(
        reading: Reading,
        dnssec: Dnssec,
        group: u8,
        history: Vec<Seen>,
        bytes_max: usize,
    ) -> Observed {
        let Reading { outcome, extra, remark } = reading;
        let mut observed = Observed { outcome, dnssec, group, extra, remark, history: Vec::new() };
        if !within_counts(observed.outcome.rrsets()) {
            observed.outcome = ObservedOutcome::TooLarge;
        }
        if !observed.fits(bytes_max) {
            observed.extra = extra::soa_only(&observed.extra);
        }
        if !observed.fits(bytes_max) && !observed.outcome.needs_soa() {
            observed.extra = Vec::new();
        }
        if !observed.fits(bytes_max) {
            observed.remark = None;
        }
        if !observed.fits(bytes_max) {
            observed.outcome = ObservedOutcome::TooLarge;
        }
        if observed.outcome == ObservedOutcome::TooLarge {
            observed.extra = Vec::new();
        }
        if !observed.outcome.bears_remarks() {
            observed.remark = None;
        }
        observed.history = newest_that_fit(history, &observed, bytes_max);
        observed
    }

    fn fits(&self, bytes_max: usize) -> bool {
        self.to_bytes().len() <= bytes_max
    }
}

fn within_counts(rrsets: &[RrSet]) -> bool {
    rrsets.len() <= RRSETS_MAX && rrsets.iter().map(|rrset| rrset.rdatas.len()).sum::<usize>() <= RECORDS_MAX
}

/// The part of the history that is new to `observed`, newest first as far as there is room.
fn newest_that_fit(history: Vec<Seen>, observed: &Observed, bytes_max: usize) -> Vec<Seen> {
    let seen_now = |set: &Seen, record: &SeenRecord| {
        observed.outcome.rrsets().iter().any(|rrset| {
            rrset.owner == set.owner
                && rrset.rtype == set.rtype
                && rrset.rclass == set.rclass
                && rrset.rdatas.contains(&record.rdata)
        })
    };
    let mut flat: Vec<(Seen, SeenRecord)> = Vec::new();
    for mut set in history {
        let records = std::mem::take(&mut set.records);
        flat.extend(
            records.into_iter().filter(|record| !seen_now(&set, record)).map(|record| (set.clone(), record)),
        );
    }
    flat.sort_by(|(set, record), (other_set, other)| {
        let identity = |set: &Seen, record: &SeenRecord| {
            (set.owner.clone(), set.rtype, set.rclass, record.rdata.clone())
        };
        other
            .last_seen_ms
            .cmp(&record.last_seen_ms)
            .then_with(|| identity(set, record).cmp(&identity(other_set, other)))
    });
    let mut room = bytes_max.saturating_sub(observed.to_bytes().len());
    let mut kept: Vec<Seen> = Vec::new();
    for (mut set, record) in flat.into_iter().take(HISTORY_RECORDS_MAX) {
        let place = kept.binary_search_by(|other| other.key().cmp(&set.key()));
        let header = if place.is_ok() { 0 } else { set.owner.len() + SEEN_HEADER_BYTES };
        let cost = header + record.rdata.len() + SEEN_RECORD_BYTES;
        if cost > room {
            break;
        }
        room -= cost;
        match place {
            Ok(place) => {
                let records = &mut kept[place].records;
                if let Err(at) = records.binary_search_by(|other| other.rdata.cmp(&record.rdata)) {
                    records.insert(at, record);
                }
            }
            Err(place) => {
                set.records = vec![record];
                kept.insert(place, set);
            }
        }
    }
    kept
}

/// Length of owner, type, class and count.
const SEEN_HEADER_BYTES: usize = 1 + 2 + 2 + 2;
/// Length of data's length, TTL and time.
const SEEN_RECORD_BYTES: usize = 2 + 4 + 8;
