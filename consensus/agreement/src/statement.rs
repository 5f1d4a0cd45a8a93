//! What a replica says of an operation that is no DNS question, a certificate to be judged or an input to be put in force, and what is decided from that.
//!
//! The content is opaque here. Equal bytes are equal values; whoever makes them must make them the same at every replica. Rules, first match wins: fewer
//! than a quorum count: no agreement; a verdict with enough equal supporters; enough that cannot judge: failure; no agreement. At least f+1 must say a
//! verdict, so at most f liars can never get one that no honest replica said, only withhold one.
//!
//! ```text
//! statement  format 1 (1) | TTL in seconds (4) | verdict 1 or reason 2 (1) | verdict or reason (2 + ..)
//! ```

use std::collections::BTreeMap;

use certificate::cluster::Cluster;
use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::leaf::{Leaf, Outcome, Policy, Subject, VERDICT_BYTES_MAX};
use certificate::{OperationKind, ReplicaId, ReplicaSet};

use crate::canonical::SERVFAIL;
use crate::check::{CheckError, check_outside};
use crate::counted::{Observation, counted};
use crate::decide::FAILURE_TTL_SECONDS;
use crate::round::{Finding, Round};

/// The longest reason for not judging, in bytes.
pub const WHY_BYTES_MAX: usize = 200;

/// The format byte of a statement.
pub const FORMAT: u8 = 1;

/// The bytes of a statement beside its verdict.
pub const STATEMENT_REST_BYTES: usize = 1 + 4 + 1 + 2;

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
        let printable = why.chars().map(|c| if is_printable(c) { c } else { '?' });
        let why = printable.take(WHY_BYTES_MAX).collect();
        Statement { ttl: FAILURE_TTL_SECONDS, said: Said::CannotJudge(why) }
    }

    /// The statement as it can be sent in `cluster`: itself, or that it cannot be judged when there is no verdict in it or no room for it.
    ///
    /// To sign another is a provable fault, so what a validator says goes through here.
    pub fn within(self, cluster: &Cluster) -> Statement {
        let room = crate::observation::payload_bytes_max(cluster) - STATEMENT_REST_BYTES;
        match &self.said {
            Said::Verdict(verdict) if verdict.is_empty() => Statement::cannot_judge("the verdict is empty"),
            Said::Verdict(verdict) if verdict.len() > room.min(VERDICT_BYTES_MAX) => {
                let length = verdict.len();
                Statement::cannot_judge(&format!(
                    "the verdict has {length} bytes, an observation room for {room}"
                ))
            }
            Said::Verdict(_) => self,
            Said::CannotJudge(why) => Statement { ttl: self.ttl, ..Statement::cannot_judge(why) },
        }
    }

    /// The verdict, or `None` where there is none.
    pub fn verdict(&self) -> Option<&[u8]> {
        match &self.said {
            Said::Verdict(verdict) => Some(verdict),
            Said::CannotJudge(_) => None,
        }
    }
}

fn is_printable(c: char) -> bool {
    (' '..='~').contains(&c)
}

impl Encode for Statement {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(FORMAT);
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
        let offset = reader.offset();
        let format = reader.u8()?;
        if format != FORMAT {
            return Err(Reader::invalid(offset, "format", "1", u64::from(format)));
        }
        let ttl = reader.u32()?;
        let offset = reader.offset();
        let tag = reader.u8()?;
        let bytes = reader.bytes16()?;
        let said = match tag {
            VERDICT if (1..=VERDICT_BYTES_MAX).contains(&bytes.len()) => Said::Verdict(bytes.to_vec()),
            CANNOT_JUDGE
                if bytes.len() <= WHY_BYTES_MAX && bytes.iter().all(|b| is_printable(char::from(*b))) =>
            {
                Said::CannotJudge(String::from_utf8_lossy(bytes).into_owned())
            }
            _ => {
                let expected = "a verdict (1) or a reason (2)";
                return Err(Reader::invalid(offset, "statement", expected, u64::from(tag)));
            }
        };
        Ok(Statement { ttl, said })
    }
}

/// Decodes and judges the payload that `replica` signed as its statement, whatever the operation.
///
/// Errors: everything that an honest replica never sends.
pub fn check(cluster: &Cluster, replica: ReplicaId, payload: &[u8]) -> Result<Statement, CheckError> {
    check_outside(cluster, replica, payload, |format| format == FORMAT)?;
    Ok(Statement::from_bytes(payload)?)
}

/// Says whether waiting for more statements is useless: a quorum agrees already, on a verdict or on not judging.
pub fn settled(cluster: &Cluster, kind: OperationKind, statements: &[(ReplicaId, u64, Statement)]) -> bool {
    if Policy::of_statements(kind).is_none() {
        return false;
    }
    let counted = counted(cluster, &observations(statements));
    let quorum = cluster.replicas.quorum();
    let tally = Tally::of(&counted);
    tally.unjudged.len() >= quorum || tally.verdicts.values().any(|held| held.support.len() >= quorum)
}

/// Decides an operation of `kind` about `subject`, by the policy of the kind.
///
/// `statements` are those that the batch includes, with who made each and when, in milliseconds since 1970; each has passed [`check`]. Their order does
/// not matter. TTL: the least that a counted supporter signed, at most the cluster's `ttl-max`. The verdict stands in the leaf.
///
/// Panics: when no statements are made about operations of `kind` ([`Policy::of_statements`]); none of these reaches a batch.
pub fn decide(
    cluster: &Cluster,
    kind: OperationKind,
    subject: &[u8],
    statements: &[(ReplicaId, u64, Statement)],
) -> Leaf {
    let policy = Policy::of_statements(kind).expect("the caller decides other kinds by other rules");
    let round = Round::new(cluster, policy, &observations(statements));
    let finding = if round.has_quorum() { find(&round) } else { None };
    let subject = match kind {
        OperationKind::UpdateInputs => Subject::UpdateInputs(subject.to_vec()),
        _ => Subject::Validate(subject.to_vec()),
    };
    round.leaf(subject, finding.unwrap_or_else(Finding::nothing))
}

fn observations(statements: &[(ReplicaId, u64, Statement)]) -> Vec<Observation<'_, Statement>> {
    let all = statements.iter();
    all.map(|(replica, time_ms, observed)| Observation { replica: *replica, time_ms: *time_ms, observed })
        .collect()
}

/// Who holds one verdict.
#[derive(Clone, Copy)]
struct Held {
    support: ReplicaSet,
    /// The least TTL that any of them signed.
    ttl: u32,
}

/// Which verdicts the counted statements hold.
#[derive(Default)]
struct Tally<'a> {
    verdicts: BTreeMap<&'a [u8], Held>,
    /// Who cannot judge.
    unjudged: ReplicaSet,
}

impl<'a> Tally<'a> {
    fn of(counted: &[Observation<'a, Statement>]) -> Tally<'a> {
        let mut tally = Tally::default();
        for Observation { replica, observed, .. } in counted {
            let Some(verdict) = observed.verdict() else {
                tally.unjudged.insert(*replica);
                continue;
            };
            let nobody = Held { support: ReplicaSet::EMPTY, ttl: observed.ttl };
            let held = tally.verdicts.entry(verdict).or_insert(nobody);
            held.support.insert(*replica);
            held.ttl = held.ttl.min(observed.ttl);
        }
        tally
    }
}

/// The verdict that enough hold, or that enough cannot judge. A majority is asked for, so at most one of all these is found.
fn find(round: &Round<'_, Statement>) -> Option<Finding> {
    let tally = Tally::of(&round.counted);
    let enough = |support: ReplicaSet| support.len() >= round.threshold();
    if let Some((verdict, held)) = tally.verdicts.iter().find(|(_, held)| enough(held.support)) {
        return Some(Finding {
            class: round.class_of(held.support.len()),
            outcome: Outcome::None,
            ttl: held.ttl,
            support: held.support,
            verdict: verdict.to_vec(),
            ..Finding::nothing()
        });
    }
    enough(tally.unjudged).then(|| Finding::failure(SERVFAIL, tally.unjudged))
}
