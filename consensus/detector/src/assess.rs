//! From figures to a judgement: indicators, the label, how sure it is, what pattern it is, what to do.
//!
//! The label needs a proof, or two indicators of which at least one is about what the replica said: to be late, silent or away is what
//! partitions and slow machines do to honest replicas. The label is an alarm. It takes no vote from anybody.

use std::fmt;

use certificate::ReplicaId;

use crate::decaying::Decaying;
use crate::peer::{OFFENCES_HALF_LIFE_MS, Peer, Statistics};
use crate::reputation::Reputation;
use crate::{Quarantined, Settings};

/// Of so many messages signatures are judged as a rate.
pub const MESSAGES_MIN: u64 = 20;

/// More invalid signatures than this part of all messages are an indicator.
pub const SIGNATURE_FAILURES_MAX: f64 = 0.1;

/// So many invalid signatures lately are an indicator at any rate: an honest replica makes none.
pub const BAD_SIGNATURES_MIN: u32 = 3;

/// So many broken rules lately are an indicator.
pub const VIOLATIONS_MIN: u32 = 3;

/// Less accuracy is an indicator, ...
pub const ACCURACY_MIN: f64 = 0.8;

/// ... of at least so many judged observations.
pub const JUDGED_MIN: u32 = 20;

/// Less participation is an indicator, ...
pub const PARTICIPATION_MIN: f64 = 0.7;

/// ... of at least so many slots.
pub const SLOTS_MIN: u32 = 20;

/// Less uptime is an indicator, ...
pub const UPTIME_MIN: f64 = 0.7;

/// ... of at least so long, in milliseconds.
pub const WATCHED_MS_MIN: u64 = 10 * 60_000;

/// After so long under the label the advice is to replace the replica, in milliseconds.
pub const REPLACE_AFTER_MS: u64 = 3_600_000;

/// What an indicator is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Bearing {
    /// What the replica said. Only this can make the label.
    Conduct,
    /// When, or how much.
    Timing,
    /// Whether it was there.
    Absence,
    /// All of these together.
    Derived,
}

/// What stands out about a replica.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Indicator {
    /// There is a proof against it, not older than a day.
    Proven,
    /// Its signatures fail.
    InvalidSignatures,
    /// It breaks rules.
    Violations,
    /// It sees what nobody sees.
    LowAccuracy,
    /// Its reputation is below the threshold.
    LowReputation,
    /// Its votes come later than the others'.
    LateVotes,
    /// It sends many times what the others send.
    Flood,
    /// It is connected and misses votes.
    LowParticipation,
    /// It is often not connected.
    LowUptime,
}

impl Indicator {
    /// Every indicator.
    pub const ALL: [Indicator; 9] = [
        Indicator::Proven,
        Indicator::InvalidSignatures,
        Indicator::Violations,
        Indicator::LowAccuracy,
        Indicator::LowReputation,
        Indicator::LateVotes,
        Indicator::Flood,
        Indicator::LowParticipation,
        Indicator::LowUptime,
    ];

    /// What it is about.
    pub fn bearing(self) -> Bearing {
        match self {
            Indicator::Proven
            | Indicator::InvalidSignatures
            | Indicator::Violations
            | Indicator::LowAccuracy => Bearing::Conduct,
            Indicator::LowReputation => Bearing::Derived,
            Indicator::LateVotes | Indicator::Flood => Bearing::Timing,
            Indicator::LowParticipation | Indicator::LowUptime => Bearing::Absence,
        }
    }

    /// The word for metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Indicator::Proven => "proven",
            Indicator::InvalidSignatures => "invalid-signatures",
            Indicator::Violations => "violations",
            Indicator::LowAccuracy => "low-accuracy",
            Indicator::LowReputation => "low-reputation",
            Indicator::LateVotes => "late-votes",
            Indicator::Flood => "flood",
            Indicator::LowParticipation => "low-participation",
            Indicator::LowUptime => "low-uptime",
        }
    }

    /// How sure this indicator alone makes of the label.
    fn certainty(self) -> f64 {
        match self {
            Indicator::Proven => 1.0,
            Indicator::InvalidSignatures => 0.9,
            Indicator::Violations => 0.8,
            Indicator::LowAccuracy => 0.6,
            Indicator::LowReputation => 0.3,
            Indicator::LateVotes | Indicator::Flood | Indicator::LowParticipation | Indicator::LowUptime => {
                0.1
            }
        }
    }
}

impl fmt::Display for Indicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// In a word, how the replica behaves. The first that fits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Pattern {
    /// It contradicted itself, with proof.
    Contradictory,
    /// Its signatures fail.
    Forging,
    /// It breaks rules.
    Unruly,
    /// It sees what nobody sees.
    Lying,
    /// It sends far too much.
    Flooding,
    /// It is not connected.
    Absent,
    /// It is connected and does not vote.
    Silent,
    /// It is later than the others.
    Slow,
    /// Nothing stands out.
    Steady,
    /// Too little is known.
    Unknown,
}

impl Pattern {
    /// Every pattern.
    pub const ALL: [Pattern; 10] = [
        Pattern::Contradictory,
        Pattern::Forging,
        Pattern::Unruly,
        Pattern::Lying,
        Pattern::Flooding,
        Pattern::Absent,
        Pattern::Silent,
        Pattern::Slow,
        Pattern::Steady,
        Pattern::Unknown,
    ];

    /// The word for metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Pattern::Contradictory => "contradictory",
            Pattern::Forging => "forging",
            Pattern::Unruly => "unruly",
            Pattern::Lying => "lying",
            Pattern::Flooding => "flooding",
            Pattern::Absent => "absent",
            Pattern::Silent => "silent",
            Pattern::Slow => "slow",
            Pattern::Steady => "steady",
            Pattern::Unknown => "unknown",
        }
    }
}

/// What an operator is advised to do; the detector itself does `Limit` and `Quarantine` where its rules say so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Action {
    /// Nothing.
    None,
    /// Look at it.
    Watch,
    /// Give it less room.
    Limit,
    /// Shut it out for a while.
    Quarantine,
    /// Run another replica in its place.
    Replace,
}

impl Action {
    /// Every action, the mildest first.
    pub const ALL: [Action; 5] =
        [Action::None, Action::Watch, Action::Limit, Action::Quarantine, Action::Replace];

    /// The word for metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Action::None => "none",
            Action::Watch => "watch",
            Action::Limit => "limit",
            Action::Quarantine => "quarantine",
            Action::Replace => "replace",
        }
    }
}

/// The judgement of one replica.
#[derive(Clone, PartialEq, Debug)]
pub struct Assessment {
    /// Who.
    pub replica: ReplicaId,
    /// By which figures.
    pub statistics: Statistics,
    /// What stands out.
    pub indicators: Vec<Indicator>,
    /// Whether it is called Byzantine.
    pub is_byzantine: bool,
    /// How sure that is, either way, 0 to 1.
    pub confidence: f64,
    /// How it behaves.
    pub pattern: Pattern,
    /// What its word is worth.
    pub reputation: Reputation,
    /// How much the others agree with it: the mean of its edges in the trust graph, 0 to 1.
    pub trust: f64,
    /// What is advised.
    pub action: Action,
    /// Whether it is shut out.
    pub quarantined: Option<Quarantined>,
    /// By what the rate of its bucket is divided; 1 when it is not.
    pub tightened: u32,
}

/// What stands out about a replica now.
pub(crate) fn indicators(peer: &Peer, settings: &Settings, now_ms: u64) -> Vec<Indicator> {
    let recent = |count: &Decaying| count.now(now_ms, OFFENCES_HALF_LIFE_MS);
    let proven = now_ms < peer.proven_until_ms;
    // What faded below the bound by less than half a count still counts as having reached it.
    let reached = |count: &Decaying, least: u32| recent(count) > f64::from(least) - 0.5;
    let failures = peer.checked >= MESSAGES_MIN && 1.0 - peer.signature_success() > SIGNATURE_FAILURES_MAX;
    let inaccurate = peer.accuracy.judged() >= JUDGED_MIN && peer.accuracy.rate() < ACCURACY_MIN;
    let silent = peer.participation.counted() >= SLOTS_MIN && peer.participation.rate() < PARTICIPATION_MIN;
    let away = peer.watched_ms >= WATCHED_MS_MIN && peer.uptime() < UPTIME_MIN;
    let holds = |indicator: &Indicator| match indicator {
        Indicator::Proven => proven,
        Indicator::InvalidSignatures => failures || reached(&peer.bad_signatures, BAD_SIGNATURES_MIN),
        Indicator::Violations => reached(&peer.violations, VIOLATIONS_MIN),
        Indicator::LowAccuracy => inaccurate,
        Indicator::LowReputation => peer.ledger.score(settings, now_ms) < settings.threshold,
        Indicator::LateVotes => peer.late,
        Indicator::Flood => peer.floods,
        Indicator::LowParticipation => silent,
        Indicator::LowUptime => away,
    };
    Indicator::ALL.into_iter().filter(holds).collect()
}

/// Whether these make the label.
pub(crate) fn is_byzantine(indicators: &[Indicator]) -> bool {
    let conduct = indicators.iter().any(|indicator| indicator.bearing() == Bearing::Conduct);
    indicators.contains(&Indicator::Proven) || indicators.len() >= 2 && conduct
}

/// How sure the label, or its absence, is: a proof is certain; indicators are taken as independent; without any it grows with what was seen.
pub(crate) fn confidence(indicators: &[Indicator], labelled: bool, peer: &Peer) -> f64 {
    if labelled {
        return 1.0 - indicators.iter().map(|indicator| 1.0 - indicator.certainty()).product::<f64>();
    }
    let seen = f64::from(peer.participation.counted() + peer.accuracy.judged());
    let doubt = indicators.iter().map(|indicator| 1.0 - indicator.certainty()).product::<f64>();
    doubt * seen / (seen + f64::from(SLOTS_MIN))
}

pub(crate) fn pattern(indicators: &[Indicator], peer: &Peer) -> Pattern {
    let has = |indicator| indicators.contains(&indicator);
    match () {
        () if has(Indicator::Proven) => Pattern::Contradictory,
        () if has(Indicator::InvalidSignatures) => Pattern::Forging,
        () if has(Indicator::Violations) => Pattern::Unruly,
        () if has(Indicator::LowAccuracy) => Pattern::Lying,
        () if has(Indicator::Flood) => Pattern::Flooding,
        () if peer.connected_since.is_none() || has(Indicator::LowUptime) => Pattern::Absent,
        () if has(Indicator::LowParticipation) => Pattern::Silent,
        () if has(Indicator::LateVotes) => Pattern::Slow,
        () if peer.participation.counted() < SLOTS_MIN => Pattern::Unknown,
        () => Pattern::Steady,
    }
}

/// What is advised. `labelled_ms` is for how long the replica has been called Byzantine; `strikes` how often its signatures shut it out.
pub(crate) fn action(
    indicators: &[Indicator],
    peer: &Peer,
    labelled_ms: Option<u64>,
    strikes: u32,
) -> Action {
    let has = |indicator| indicators.contains(&indicator);
    let incorrigible = labelled_ms.is_some_and(|ms| ms >= REPLACE_AFTER_MS);
    match () {
        () if has(Indicator::Proven) && peer.proven > 1 || strikes > 3 || incorrigible => Action::Replace,
        () if has(Indicator::Proven) || has(Indicator::InvalidSignatures) => Action::Quarantine,
        () if has(Indicator::Flood) || has(Indicator::LateVotes) || labelled_ms.is_some() => Action::Limit,
        () if indicators.is_empty() => Action::None,
        () => Action::Watch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timing_and_absence_alone_never_make_the_label() {
        for bits in 0u32..1 << Indicator::ALL.len() {
            let some: Vec<Indicator> = Indicator::ALL
                .into_iter()
                .enumerate()
                .filter(|(place, _)| bits >> place & 1 == 1)
                .map(|(_, indicator)| indicator)
                .collect();
            let conduct = some.iter().any(|indicator| indicator.bearing() == Bearing::Conduct);
            let expected = conduct && (some.len() >= 2 || some == [Indicator::Proven]);
            assert_eq!(is_byzantine(&some), expected, "{some:?}");
        }
    }

    #[test]
    fn proof_is_certain_and_a_stranger_is_not() {
        let peer = Peer::new(&Settings::default(), 0);
        assert_eq!(confidence(&[Indicator::Proven], true, &peer), 1.0);
        assert_eq!(confidence(&[], false, &peer), 0.0);
        let two = [Indicator::LowAccuracy, Indicator::LowReputation];
        assert!((confidence(&two, true, &peer) - 0.72).abs() < 1e-9);
    }

    #[test]
    fn advice_grows_with_what_is_known() {
        let mut peer = Peer::new(&Settings::default(), 0);
        assert_eq!(action(&[], &peer, None, 0), Action::None);
        assert_eq!(action(&[Indicator::LowParticipation], &peer, None, 0), Action::Watch);
        assert_eq!(action(&[Indicator::LateVotes], &peer, None, 0), Action::Limit);
        assert_eq!(action(&[Indicator::InvalidSignatures], &peer, None, 1), Action::Quarantine);
        assert_eq!(action(&[Indicator::InvalidSignatures], &peer, None, 4), Action::Replace);
        peer.proven = 1;
        assert_eq!(action(&[Indicator::Proven], &peer, Some(0), 0), Action::Quarantine);
        peer.proven = 2;
        assert_eq!(action(&[Indicator::Proven], &peer, Some(0), 0), Action::Replace);
        let lying = [Indicator::LowAccuracy, Indicator::LowReputation];
        assert_eq!(action(&lying, &peer, Some(REPLACE_AFTER_MS), 0), Action::Replace);
    }
}
