//! The trust score: one number, and always the parts that it is the sum of. No decision uses it.
//!
//! What is not known gives no points. A certificate that is not valid has none at all; one that fails its policy has at most
//! [`POLICY_FAILED_MAX`].

use serde::{Deserialize, Serialize};

use crate::inclusion::Inclusion;
use crate::reason::{Reason, Severity};
use crate::revocation::RevocationStatus;

/// The score and its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// 0 to 100: the sum of the parts, or less by a cap.
    pub total: u8,
    /// 30 for a chain to a trusted root.
    pub chain: u8,
    /// 30 for a satisfied policy.
    pub policy: u8,
    /// 15 when every log that counts has proved that it holds the certificate.
    pub inclusion: u8,
    /// 10 when a revocation list says that it is good.
    pub revocation: u8,
    /// Up to 15 for other networks that saw the same.
    pub networks: u8,
}

/// From how many networks the certificate was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Networks {
    /// Networks that saw the same, ours among them.
    pub agreeing: u32,
    /// Networks that looked.
    pub looked: u32,
}

/// What the score is made of.
pub(crate) struct Grounds<'a> {
    pub chain_valid: bool,
    /// `None` when the policy does not apply or could not be applied.
    pub policy_met: Option<bool>,
    /// Of every timestamp that counts.
    pub inclusions: &'a [Inclusion],
    pub revocation: RevocationStatus,
    pub networks: Option<Networks>,
    pub reasons: &'a [Reason],
}

pub(crate) fn score(grounds: &Grounds<'_>) -> Score {
    let fatal = |reason: &Reason| reason.severity() == Severity::Invalid && !is_policy(reason);
    if !grounds.chain_valid || grounds.reasons.iter().any(fatal) {
        return Score::default();
    }
    let proved =
        !grounds.inclusions.is_empty() && grounds.inclusions.iter().all(|one| *one == Inclusion::Proved);
    let met = grounds.policy_met == Some(true);
    let parts = Score {
        total: 0,
        chain: CHAIN,
        policy: if met { POLICY } else { 0 },
        inclusion: if met && proved { INCLUSION } else { 0 },
        revocation: if grounds.revocation == RevocationStatus::Good { REVOCATION } else { 0 },
        networks: grounds.networks.map_or(0, network_points),
    };
    let sum = parts.chain + parts.policy + parts.inclusion + parts.revocation + parts.networks;
    let failed = grounds.policy_met == Some(false);
    Score { total: if failed { sum.min(POLICY_FAILED_MAX) } else { sum }, ..parts }
}

/// Whether the reason says that a policy is not satisfied, and not that the certificate is not valid.
fn is_policy(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::TooFewLogs { .. }
            | Reason::TooFewOperators { .. }
            | Reason::TooFewCurrentLogs { .. }
            | Reason::TooFewRfc6962Logs { .. }
            | Reason::MalformedSctList(_)
            | Reason::DuplicateSctExtension
    )
}

fn network_points(networks: Networks) -> u8 {
    let others = u64::from(networks.looked.saturating_sub(1));
    let agreeing = u64::from(networks.agreeing.saturating_sub(1)).min(others);
    (u64::from(NETWORKS) * agreeing).checked_div(others).map_or(0, |points| points as u8)
}

const CHAIN: u8 = 30;
const POLICY: u8 = 30;
const INCLUSION: u8 = 15;
const REVOCATION: u8 = 10;
const NETWORKS: u8 = 15;
/// The most that a certificate gets whose policy is not satisfied.
pub const POLICY_FAILED_MAX: u8 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn best() -> Grounds<'static> {
        Grounds {
            chain_valid: true,
            policy_met: Some(true),
            inclusions: &[Inclusion::Proved, Inclusion::Proved],
            revocation: RevocationStatus::Good,
            networks: Some(Networks { agreeing: 4, looked: 4 }),
            reasons: &[],
        }
    }

    #[test]
    fn everything_known_and_good_is_a_hundred() {
        assert_eq!(score(&best()).total, 100);
    }

    #[test]
    fn what_is_not_known_gives_no_points() {
        let unknown = Grounds {
            inclusions: &[Inclusion::Proved, Inclusion::NotChecked],
            revocation: RevocationStatus::Unknown,
            networks: None,
            ..best()
        };
        assert_eq!(score(&unknown).total, 60);
        assert_eq!(score(&Grounds { policy_met: None, ..unknown }).total, 30);
    }

    #[test]
    fn a_failed_policy_caps_the_sum() {
        let reasons = [Reason::TooFewLogs { counted: 1, needed: 2 }];
        assert_eq!(
            score(&Grounds { policy_met: Some(false), reasons: &reasons, ..best() }).total,
            POLICY_FAILED_MAX
        );
    }

    #[test]
    fn invalid_revoked_and_broken_promises_have_nothing() {
        assert_eq!(score(&Grounds { chain_valid: false, ..best() }), Score::default());
        for reason in [Reason::Revoked, Reason::IssuerRevoked, Reason::BrokenPromise(0)] {
            assert_eq!(score(&Grounds { reasons: &[reason], ..best() }), Score::default());
        }
    }

    #[test]
    fn points_for_networks_count_the_others() {
        let points = |agreeing, looked| network_points(Networks { agreeing, looked });
        assert_eq!([points(1, 1), points(1, 4), points(2, 4), points(4, 4), points(9, 4)], [0, 0, 5, 15, 15]);
    }
}
