//! Why this answer? Who saw what, who counted, and whose observations support which record of a leaf.

use std::fmt;

use certificate::leaf::{Denial, Leaf, Question, RrSet};
use certificate::name::Presentation;
use certificate::{Class, Cluster, Policy, Remark, ReplicaId, ReplicaSet};

use crate::counted::{Observation, counted};
use crate::observation::{Dnssec, ObservedOutcome};
use crate::present;
use crate::round;
use crate::tally;

/// A decision, taken apart for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What was asked.
    pub question: Question,
    /// The zone whose policy applied, in presentation form.
    pub zone: String,
    /// The policy.
    pub policy: Policy,
    /// The class that was reached.
    pub class: Class,
    /// Whether the supporters share too few upstream groups.
    pub single_path: bool,
    /// How many replicas a quorum is.
    pub quorum: usize,
    /// How many equal observations the policy asked for.
    pub threshold: usize,
    /// What was agreed on about its content.
    pub remark: Option<Remark>,
    /// Each part of the answer with its supporters. Empty without agreement.
    pub parts: Vec<Part>,
    /// Each included observation, lowest replica first.
    pub views: Vec<View>,
}

/// A record of the agreed answer, or its denial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// In presentation form.
    pub text: String,
    /// The counted replicas that saw it in this observation.
    pub now: ReplicaSet,
    /// Those that saw it only within the history.
    pub history: ReplicaSet,
}

/// What one replica said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Who.
    pub replica: ReplicaId,
    /// Its name in the cluster file.
    pub name: String,
    /// Its upstream group by name.
    pub upstream_group: String,
    /// When it looked, in milliseconds since 1970.
    pub time_ms: u64,
    /// What it saw, record by record in presentation form.
    pub saw: Vec<String>,
    /// What its resolution said about DNSSEC.
    pub dnssec: Dnssec,
    /// What it found out about the content.
    pub remark: Option<Remark>,
    /// Whether the observation counted; not when it was too far from the others in time.
    pub counted: bool,
    /// Whether it supports the answer.
    pub supports: bool,
}

/// Explains `leaf`, which was decided from `observations` by the rules of `cluster`. `None` when the leaf is not about a DNS question.
pub fn explain(cluster: &Cluster, leaf: &Leaf, observations: &[Observation<'_>]) -> Option<Explanation> {
    let question = leaf.question()?;
    let counted = counted(cluster, observations);
    let quorum = cluster.replicas.quorum();
    let threshold = round::threshold(cluster, leaf.policy, counted.len());
    let mut views: Vec<View> =
        observations.iter().filter_map(|observation| view(cluster, leaf, &counted, observation)).collect();
    views.sort_by_key(|view| (view.replica, view.time_ms));
    Some(Explanation {
        question: question.clone(),
        zone: Presentation(cluster.policy_for(&question.name).0).to_string(),
        policy: leaf.policy,
        class: leaf.class,
        single_path: leaf.single_path,
        quorum,
        threshold,
        remark: leaf.remark(),
        parts: parts(leaf, question, &counted),
        views,
    })
}

fn view(
    cluster: &Cluster,
    leaf: &Leaf,
    counted: &[Observation<'_>],
    observation: &Observation<'_>,
) -> Option<View> {
    let member = cluster.member(observation.replica)?;
    let is_counted = counted.iter().any(|other| {
        other.replica == observation.replica
            && other.time_ms == observation.time_ms
            && other.observed == observation.observed
    });
    Some(View {
        replica: observation.replica,
        name: member.name.clone(),
        upstream_group: member.upstream_group.clone(),
        time_ms: observation.time_ms,
        saw: outcome_lines(&observation.observed.outcome),
        dnssec: observation.observed.dnssec,
        remark: observation.observed.remark.clone(),
        counted: is_counted,
        supports: is_counted && leaf.support.contains(observation.replica),
    })
}

fn parts(leaf: &Leaf, question: &Question, counted: &[Observation<'_>]) -> Vec<Part> {
    let mut parts = Vec::new();
    for rrset in leaf.outcome.rrsets().unwrap_or_default() {
        for rdata in &rrset.rdatas {
            let saw = |seen: &[RrSet]| {
                seen.iter().any(|seen| {
                    seen.owner == rrset.owner && seen.rtype == rrset.rtype && seen.rdatas.contains(rdata)
                })
            };
            let now = replicas(counted, |observation| {
                tally::vouches(question, observation.observed) && saw(observation.observed.outcome.rrsets())
            });
            let ever = replicas(counted, |observation| {
                leaf.support.contains(observation.replica) && remembers(observation, rrset, rdata)
            });
            let history = ReplicaSet(ever.0 & !now.0);
            parts.push(Part { text: present::record(rrset, rdata), now, history });
        }
    }
    if let certificate::Outcome::Negative { denial, zone, minimum, .. } = &leaf.outcome {
        let now = replicas(counted, |observation| match &observation.observed.outcome {
            ObservedOutcome::Negative {
                denial: theirs, zone: their_zone, minimum: their_minimum, ..
            } => theirs == denial && their_zone == zone && their_minimum == minimum,
            _ => false,
        });
        let text = denial_line(*denial, zone, *minimum, leaf.ttl);
        parts.push(Part { text, now, history: ReplicaSet::EMPTY });
    }
    parts
}

fn replicas(counted: &[Observation<'_>], holds: impl Fn(&Observation<'_>) -> bool) -> ReplicaSet {
    counted.iter().filter(|observation| holds(observation)).map(|observation| observation.replica).collect()
}

fn remembers(observation: &Observation<'_>, rrset: &RrSet, rdata: &[u8]) -> bool {
    observation.observed.history.iter().any(|set| {
        set.owner == rrset.owner
            && set.rtype == rrset.rtype
            && set.records.iter().any(|record| record.rdata == rdata)
    })
}

fn outcome_lines(outcome: &ObservedOutcome) -> Vec<String> {
    let mut lines: Vec<String> = outcome
        .rrsets()
        .iter()
        .flat_map(|rrset| rrset.rdatas.iter().map(|rdata| present::record(rrset, rdata)))
        .collect();
    match outcome {
        ObservedOutcome::Answer(_) => {}
        ObservedOutcome::Negative { denial, zone, minimum, ttl, .. } => {
            lines.push(denial_line(*denial, zone, *minimum, *ttl));
        }
        ObservedOutcome::Failure(crate::canonical::REFUSED) => lines.push("REFUSED".to_owned()),
        ObservedOutcome::Failure(_) => lines.push("SERVFAIL".to_owned()),
        ObservedOutcome::TimedOut => lines.push("no answer in time".to_owned()),
        ObservedOutcome::TooLarge => lines.push("an answer too large to be observed".to_owned()),
    }
    lines
}

fn denial_line(denial: Denial, zone: &[u8], minimum: u32, ttl: u32) -> String {
    let word = match denial {
        Denial::NxDomain => "NXDOMAIN",
        Denial::NoData => "NODATA",
    };
    format!("{word} by {} minimum {minimum} for {ttl} s", Presentation(zone))
}

fn remark_line(remark: &Remark) -> String {
    format!("{}: {}", remark.judged.word(), remark.text)
}

fn list(replicas: ReplicaSet) -> String {
    let ids: Vec<String> = replicas.iter().map(|replica| replica.to_string()).collect();
    if ids.is_empty() { "none".to_owned() } else { ids.join(" ") }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.single_path { ", single-path" } else { "" };
        writeln!(f, "{}: {}{path}", self.question, self.class)?;
        writeln!(
            f,
            "policy {} of {}: {} equal of a quorum of {}",
            self.policy, self.zone, self.threshold, self.quorum
        )?;
        if let Some(remark) = &self.remark {
            writeln!(f, "remark {}", remark_line(remark))?;
        }
        for part in &self.parts {
            writeln!(f, "  {}", part.text)?;
            write!(f, "      seen now by {}", list(part.now))?;
            match part.history {
                ReplicaSet::EMPTY => writeln!(f)?,
                history => writeln!(f, ", within the history by {}", list(history))?,
            }
        }
        for view in &self.views {
            let role = match (view.counted, view.supports) {
                (false, _) => "did not count",
                (true, true) => "supports",
                (true, false) => "differs",
            };
            writeln!(f, "replica {} {} via {}: {role}", view.replica, view.name, view.upstream_group)?;
            view.saw.iter().try_for_each(|line| writeln!(f, "    {line}"))?;
            if let Some(remark) = &view.remark {
                writeln!(f, "    remark {}", remark_line(remark))?;
            }
        }
        Ok(())
    }
}
