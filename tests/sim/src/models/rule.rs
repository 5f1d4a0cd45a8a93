//! The rule by which a new view chooses, a second time and in other words than the product's, and with the mistakes that one can make.
//!
//! The models ask the product (`pbft::select`); this is what they ask for a mistake, and what the product's rule is compared with.

use certificate::Digest;
use pbft::planted::Switch;
use pbft::select::{self, Claim};

/// Who chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// The product, with a bug of its own or none.
    Product(Switch),
    /// The rule of this file.
    Ours(Mistake),
}

/// What one can do wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// Nothing.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests compare it with the product's"))]
    None,
    /// To look at prepared certificates alone.
    VotesIgnored,
    /// To look at votes alone.
    PreparedIgnored,
    /// To let votes win over a prepared certificate of the same view.
    VotesWinTies,
    /// To let votes win over every prepared certificate.
    VotesBeatAll,
    /// To count votes together only when they are of one view.
    VotesInOneView,
}

/// What is chosen; `None` when nothing is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// One digest, or the null digest when there is none.
    Of(Option<Digest>),
    /// Nothing: two prepared certificates contradict each other. A replica stops.
    Conflict,
}

impl Rule {
    /// Chooses for one slot.
    pub fn choose(self, threshold: usize, claims: &[Claim]) -> Choice {
        match self {
            Rule::Product(switch) => match select::choose(threshold, claims, switch) {
                Ok(digest) => Choice::Of(digest),
                Err(_) => Choice::Conflict,
            },
            Rule::Ours(mistake) => choose(mistake, threshold, claims),
        }
    }
}

/// Goes through the views from the highest down, once for prepared certificates and once for votes; what is found in the higher view wins.
fn choose(mistake: Mistake, threshold: usize, claims: &[Claim]) -> Choice {
    let claimed = claims.iter().flat_map(|claim| [claim.prepared, claim.voted]).flatten();
    let last = claimed.map(|(view, _)| view.0).max().unwrap_or(0);
    let downwards = || (0..=last).rev();
    let mut slow = downwards().find_map(|view| prepared(claims, view).map(|found| (view, found)));
    let mut fast =
        downwards().find_map(|view| supported(mistake, threshold, claims, view).map(|found| (view, found)));
    match mistake {
        Mistake::PreparedIgnored => slow = None,
        Mistake::VotesIgnored => fast = None,
        _ => {}
    }
    if let Some((_, Found::Several)) = slow {
        return Choice::Conflict;
    }
    let fast = fast.filter(|(_, found)| *found != Found::Several);
    let votes_win = match (slow, fast) {
        (Some((prepared, _)), Some((supported, _))) => match mistake {
            Mistake::VotesBeatAll => true,
            Mistake::VotesWinTies => supported >= prepared,
            _ => supported > prepared,
        },
        (slow, _) => slow.is_none(),
    };
    Choice::Of(match if votes_win { fast } else { slow } {
        Some((_, Found::One(digest))) => Some(digest),
        _ => None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    One(Digest),
    Several,
}

fn one_or_several(mut digests: impl Iterator<Item = Digest>) -> Option<Found> {
    let first = digests.next()?;
    Some(if digests.all(|digest| digest == first) { Found::One(first) } else { Found::Several })
}

/// What has a prepared certificate of this view.
fn prepared(claims: &[Claim], view: u64) -> Option<Found> {
    let prepared = claims.iter().filter_map(|claim| claim.prepared);
    one_or_several(prepared.filter(|(of, _)| of.0 == view).map(|(_, digest)| digest))
}

/// That of which enough votes are of this view or a later one.
fn supported(mistake: Mistake, threshold: usize, claims: &[Claim], view: u64) -> Option<Found> {
    let counts = |of: u64| if mistake == Mistake::VotesInOneView { of == view } else { of >= view };
    let votes = || claims.iter().filter_map(|claim| claim.voted).filter(|(of, _)| counts(of.0));
    let enough = |digest: &Digest| votes().filter(|(_, other)| other == digest).count() >= threshold;
    one_or_several(votes().map(|(_, digest)| digest).filter(enough))
}

#[cfg(test)]
mod tests {
    use certificate::View;

    use super::*;

    const DIGESTS: [Digest; 2] = [Digest([1; 32]), Digest([2; 32])];

    fn every_claim(views: u64) -> Vec<Claim> {
        let some = (0..views).flat_map(|view| DIGESTS.map(|digest| Some((View(view), digest))));
        let entries: Vec<_> = [None].into_iter().chain(some).collect();
        let pairs = entries.iter().flat_map(|prepared| entries.iter().map(move |voted| (*prepared, *voted)));
        pairs.map(|(prepared, voted)| Claim { prepared, voted }).collect()
    }

    /// How many of all triples of claims the product answers like the rule of this file with a mistake, and how many there are.
    fn agreement_with_the_product(mistake: Mistake, switch: Switch) -> (usize, usize) {
        let claims = every_claim(3);
        let (mut same, mut all) = (0, 0);
        for first in &claims {
            for second in &claims {
                for third in &claims {
                    let claims = [*first, *second, *third];
                    let product = Rule::Product(switch).choose(2, &claims);
                    let ours = Rule::Ours(mistake).choose(2, &claims);
                    // Whether a contradiction below the highest prepared view is seen depends on the order.
                    if product != Choice::Conflict || ours == Choice::Conflict {
                        same += usize::from(product == ours);
                        all += 1;
                    }
                }
            }
        }
        (same, all)
    }

    #[test]
    fn product_chooses_like_the_rule_in_other_words() {
        let (same, all) = agreement_with_the_product(Mistake::None, Switch::NONE);
        assert_eq!(same, all);
        assert!(all > 100_000, "{all}");
    }

    #[test]
    fn every_mistake_makes_a_difference() {
        use Mistake::*;
        for mistake in [VotesIgnored, PreparedIgnored, VotesWinTies, VotesBeatAll, VotesInOneView] {
            let (same, all) = agreement_with_the_product(mistake, Switch::NONE);
            assert!(same < all, "{mistake:?}");
        }
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_the_mistakes_of_their_names() {
        use pbft::planted::Bug;
        let planted =
            [(Bug::PreparedIgnored, Mistake::PreparedIgnored), (Bug::FastWinsTies, Mistake::VotesWinTies)];
        for (bug, mistake) in planted {
            let (same, all) = agreement_with_the_product(mistake, Switch(Some(bug)));
            assert_eq!(same, all, "{bug:?}");
        }
    }
}
