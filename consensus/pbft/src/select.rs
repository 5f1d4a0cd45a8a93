//! What a new view proposes again: one function, for the primary that proposes and for every backup that recomputes.
//!
//! For each slot the n-f view changes say what their senders prepared (P) and what they voted for last (Q). Castro & Liskov 1999 §4.4 has P
//! alone. Deviates: with the fast path a slot may be decided by Qf votes of which nobody has a certificate, so T votes that are left of them
//! count like a prepared certificate of their view, and lose to one of the same view (as in SBFT, Gueta et al. 2019 §V-F).
//!
//! Invariant: if any honest replica decided `d` for a slot in a view before this one, by q commits or by Qf prepares, then `d` is chosen.

use std::collections::BTreeMap;

use certificate::{Digest, Sequence, SlotHeader, View};

use crate::planted::{Bug, Switch};
use crate::{Parameters, ViewChange};

/// What one view change says about one slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Claim {
    /// The prepared certificate of the highest view.
    pub prepared: Option<(View, Digest)>,
    /// The vote of the highest view.
    pub voted: Option<(View, Digest)>,
}

/// Two prepared certificates of one view for different digests: more than f replicas are faulty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conflict {
    /// The view.
    pub view: View,
    /// One digest.
    pub first: Digest,
    /// The other.
    pub second: Digest,
}

/// What a new view begins with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The slots up to here are decided.
    pub base: Sequence,
    /// The digests of the slots behind it, gaps filled with null headers.
    pub chosen: Vec<Digest>,
}

impl Plan {
    /// The last slot that the new view fixes.
    pub fn top(&self) -> Sequence {
        Sequence(self.base.0 + self.chosen.len() as u64)
    }
}

/// The digest that a new view must propose for a slot, given the claims of exactly n-f view changes; `None` when nothing can have been
/// decided. `threshold` is [`Replicas::fast_threshold`](certificate::Replicas::fast_threshold).
pub fn choose(threshold: usize, claims: &[Claim], switch: Switch) -> Result<Option<Digest>, Conflict> {
    let slow = highest_prepared(claims)?.filter(|_| !switch.has(Bug::PreparedIgnored));
    let fast = most_supported(threshold, claims, switch);
    Ok(match (slow, fast) {
        (Some((prepared, _)), Some((supported, digest))) if supported > prepared => Some(digest),
        (Some((prepared, _)), Some((supported, digest)))
            if supported == prepared && switch.has(Bug::FastWinsTies) =>
        {
            Some(digest)
        }
        (Some((_, digest)), _) | (None, Some((_, digest))) => Some(digest),
        (None, None) => None,
    })
}

fn highest_prepared(claims: &[Claim]) -> Result<Option<(View, Digest)>, Conflict> {
    let mut highest: Option<(View, Digest)> = None;
    for (view, digest) in claims.iter().filter_map(|claim| claim.prepared) {
        match highest {
            Some((before, first)) if before == view && first != digest => {
                return Err(Conflict { view, first, second: digest });
            }
            Some((before, _)) if before >= view => {}
            _ => highest = Some((view, digest)),
        }
    }
    Ok(highest)
}

/// The digest with `threshold` votes whose least view is highest: the view of its support. None when two digests have the same.
fn most_supported(threshold: usize, claims: &[Claim], switch: Switch) -> Option<(View, Digest)> {
    let mut views: BTreeMap<Digest, Vec<View>> = BTreeMap::new();
    for (view, digest) in claims.iter().filter_map(|claim| claim.voted) {
        views.entry(digest).or_default().push(view);
    }
    let mut best: Option<(View, Digest)> = None;
    let mut tied = false;
    for (digest, mut views) in views {
        views.sort_unstable_by(|one, other| other.cmp(one));
        let support = if switch.has(Bug::FastInOneView) {
            views.chunk_by(|one, other| one == other).find(|same| same.len() >= threshold).map(|same| same[0])
        } else {
            threshold.checked_sub(1).and_then(|last| views.get(last)).copied()
        };
        let Some(view) = support else { continue };
        tied = match best {
            Some((before, _)) if before > view => tied,
            Some((before, _)) if before == view => true,
            _ => {
                best = Some((view, digest));
                false
            }
        };
    }
    best.filter(|_| !tied)
}

/// What the new view of these view changes begins with. They are checked, and exactly n-f.
pub fn plan(parameters: &Parameters, view_changes: &[&ViewChange]) -> Result<Plan, Conflict> {
    let subset = if parameters.switch.has(Bug::BaseOverSubset) {
        parameters.replicas.faults().min(view_changes.len())
    } else {
        view_changes.len()
    };
    let bases = view_changes[..subset].iter().map(|view_change| view_change.base(parameters.pipeline));
    let base = bases.max().unwrap_or_default();
    let slots = view_changes.iter().flat_map(|view_change| &view_change.slots);
    let last = slots.map(|slot| slot.sequence).max().unwrap_or_default();
    let threshold = parameters.replicas.fast_threshold();
    let (mut chosen, mut known) = (Vec::new(), 0);
    for sequence in (base.0 + 1..=last.0).map(Sequence) {
        let claims: Vec<Claim> = view_changes.iter().map(|view_change| view_change.claim(sequence)).collect();
        let choice = choose(threshold, &claims, parameters.switch)?;
        let null = || SlotHeader::null(sequence, parameters.cluster_digest).digest();
        chosen.push(choice.unwrap_or_else(null));
        if choice.is_some() {
            known = chosen.len();
        }
    }
    chosen.truncate(known);
    Ok(Plan { base, chosen })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Digest = Digest([1; 32]);
    const B: Digest = Digest([2; 32]);

    fn claim(prepared: Option<(u64, Digest)>, voted: Option<(u64, Digest)>) -> Claim {
        let view = |(view, digest)| (View(view), digest);
        Claim { prepared: prepared.map(view), voted: voted.map(view) }
    }

    fn chosen(claims: &[Claim]) -> Option<Digest> {
        choose(2, claims, Switch::NONE).unwrap()
    }

    #[test]
    fn prepared_certificate_of_the_highest_view_is_chosen() {
        let claims = [claim(Some((0, A)), None), claim(Some((2, B)), None), claim(Some((1, A)), None)];
        assert_eq!(chosen(&claims), Some(B));
    }

    #[test]
    fn votes_that_are_left_of_a_fast_quorum_are_chosen_without_a_certificate() {
        let claims = [claim(None, Some((0, A))), claim(None, Some((0, A))), claim(None, Some((0, B)))];
        assert_eq!(chosen(&claims), Some(A));
    }

    #[test]
    fn votes_of_the_same_view_lose_to_a_prepared_certificate() {
        let claims = [claim(Some((1, A)), None), claim(None, Some((1, B))), claim(None, Some((1, B)))];
        assert_eq!(chosen(&claims), Some(A));
    }

    #[test]
    fn votes_of_a_higher_view_win_over_a_prepared_certificate() {
        let claims = [claim(Some((0, A)), None), claim(None, Some((1, B))), claim(None, Some((2, B)))];
        assert_eq!(chosen(&claims), Some(B));
    }

    #[test]
    fn support_is_of_the_least_view_among_the_votes_that_it_needs() {
        let claims = [claim(Some((1, A)), None), claim(None, Some((1, B))), claim(None, Some((5, B)))];
        assert_eq!(chosen(&claims), Some(A));
    }

    #[test]
    fn votes_of_different_views_support_a_digest_together() {
        let claims = [claim(None, Some((0, A))), claim(None, Some((1, A))), claim(None, None)];
        assert_eq!(chosen(&claims), Some(A));
    }

    #[test]
    fn two_digests_with_the_same_support_are_neither_chosen() {
        let votes = [(1, A), (1, A), (1, B), (1, B)];
        let claims: Vec<Claim> = votes.iter().map(|vote| claim(None, Some(*vote))).collect();
        assert_eq!(chosen(&claims), None);
    }

    #[test]
    fn too_few_votes_choose_nothing() {
        assert_eq!(chosen(&[claim(None, Some((0, A))), claim(None, None), claim(None, None)]), None);
    }

    #[test]
    fn two_prepared_digests_of_one_view_are_a_conflict() {
        let claims = [claim(Some((3, A)), None), claim(Some((3, B)), None)];
        let conflict = choose(2, &claims, Switch::NONE).unwrap_err();
        assert_eq!((conflict.view, conflict.first, conflict.second), (View(3), A, B));
    }
}
