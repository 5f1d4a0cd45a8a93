//! The votes of one phase for one slot, one a replica and view, and their count.
//!
//! Checking a signature is what costs; a vote is checked only when it can complete a quorum or prove a fault.

use std::collections::{BTreeMap, BTreeSet};

use certificate::{Digest, ReplicaId, ReplicaSet, View};

use crate::planted::{Bug, Switch};
use crate::{VOTE_VIEWS_MAX, Vote};

/// The votes of one phase for one slot.
#[derive(Clone, Default)]
pub(crate) struct Ballot {
    votes: BTreeMap<(View, ReplicaId), Cast>,
    /// Whose second digest was seen and reported.
    equivocators: ReplicaSet,
    switch: Switch,
    /// Votes that came twice, counted only by a planted bug.
    twice: usize,
}

#[derive(Clone, Copy)]
struct Cast {
    vote: Vote,
    verified: bool,
}

/// What became of a vote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Insertion {
    /// It may count.
    New,
    /// It was there, or there is no room for it.
    Ignored,
    /// The signature of this vote, the new one or the one before it, does not verify.
    Invalid(Vote),
    /// Both are signed: the first keeps counting, the second never does.
    Equivocation(Vote, Vote),
}

impl Ballot {
    /// Plants a bug.
    pub(crate) fn plant(&mut self, switch: Switch) {
        self.switch = switch;
    }

    /// Takes an own vote, or one whose signature was checked.
    pub(crate) fn insert_verified(&mut self, vote: Vote) {
        self.votes.insert((vote.view, vote.replica), Cast { vote, verified: true });
    }

    /// Takes the vote of a peer.
    pub(crate) fn insert(&mut self, vote: Vote, mut verify: impl FnMut(&Vote) -> bool) -> Insertion {
        let key = (vote.view, vote.replica);
        let Some(cast) = self.votes.get(&key).copied() else {
            return self.insert_new(vote);
        };
        if self.switch.has(Bug::DuplicateVotesCount) && cast.vote == vote {
            self.twice += 1;
            return Insertion::New;
        }
        if cast.vote.digest == vote.digest || self.equivocators.contains(vote.replica) {
            return Insertion::Ignored;
        }
        if !cast.verified && !verify(&cast.vote) {
            self.votes.insert(key, Cast { vote, verified: false });
            return Insertion::Invalid(cast.vote);
        }
        self.votes.insert(key, Cast { verified: true, ..cast });
        if !verify(&vote) {
            return Insertion::Invalid(vote);
        }
        self.equivocators.insert(vote.replica);
        Insertion::Equivocation(cast.vote, vote)
    }

    fn insert_new(&mut self, vote: Vote) -> Insertion {
        let views: Vec<View> = self
            .votes
            .keys()
            .filter(|(_, replica)| *replica == vote.replica)
            .map(|(view, _)| *view)
            .collect();
        if views.len() >= VOTE_VIEWS_MAX {
            let lowest = views[0];
            if vote.view < lowest {
                return Insertion::Ignored;
            }
            self.votes.remove(&(lowest, vote.replica));
        }
        self.votes.insert((vote.view, vote.replica), Cast { vote, verified: false });
        Insertion::New
    }

    /// Forgets the votes of a view and those below.
    pub(crate) fn forget_up_to(&mut self, view: View) {
        self.votes = self.votes.split_off(&(view.next(), ReplicaId(0)));
    }

    /// The views that have votes.
    pub(crate) fn views(&self) -> BTreeSet<View> {
        self.votes.keys().map(|(view, _)| *view).collect()
    }

    fn of_view(&self, view: View) -> impl Iterator<Item = &Cast> {
        let summed = self.switch.has(Bug::CommitsOfViewsSummed);
        let (first, last) = if summed { (View(0), View(u64::MAX)) } else { (view, view) };
        self.votes.range((first, ReplicaId(0))..=(last, ReplicaId(u8::MAX))).map(|(_, cast)| cast)
    }

    /// The votes of `quorum` distinct replicas for `digest` in `view`, lowest id first, if there are so many; and those
    /// that turned out to be invalid on the way, which are gone.
    pub(crate) fn quorum(
        &mut self,
        view: View,
        digest: Digest,
        quorum: usize,
        mut verify: impl FnMut(&Vote) -> bool,
    ) -> (Option<Vec<Vote>>, Vec<Vote>) {
        let quorum = quorum.saturating_sub(self.twice);
        let matching = |cast: &&Cast| cast.vote.digest == digest;
        if self.of_view(view).filter(matching).count() < quorum {
            return (None, Vec::new());
        }
        let mut valid = self.of_view(view).filter(matching).filter(|cast| cast.verified).count();
        let unverified: Vec<Vote> = self
            .of_view(view)
            .filter(|cast| cast.vote.digest == digest && !cast.verified)
            .map(|cast| cast.vote)
            .collect();
        let mut invalid = Vec::new();
        for vote in unverified {
            if valid >= quorum {
                break;
            }
            if verify(&vote) {
                valid += 1;
                self.votes.insert((view, vote.replica), Cast { vote, verified: true });
            } else {
                self.votes.remove(&(view, vote.replica));
                invalid.push(vote);
            }
        }
        if valid < quorum {
            return (None, invalid);
        }
        let votes = self.of_view(view).filter(|cast| cast.vote.digest == digest && cast.verified);
        (Some(votes.take(quorum).map(|cast| cast.vote).collect()), invalid)
    }

    /// How many votes are held.
    pub(crate) fn len(&self) -> usize {
        self.votes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use certificate::{Sequence, Signature};

    /// A signature is valid when its first byte is the replica's id plus one.
    fn vote(view: u64, digest: u8, replica: u8) -> Vote {
        let signature = Signature([replica + 1; 64]);
        Vote {
            view: View(view),
            sequence: Sequence(1),
            digest: Digest([digest; 32]),
            replica: ReplicaId(replica),
            signature,
        }
    }

    fn forged(view: u64, digest: u8, replica: u8) -> Vote {
        Vote { signature: Signature([99; 64]), ..vote(view, digest, replica) }
    }

    fn verify(vote: &Vote) -> bool {
        vote.signature.0[0] == vote.replica.0 + 1
    }

    fn counts(ballot: &mut Ballot, view: u64, digest: u8) -> bool {
        ballot.quorum(View(view), Digest([digest; 32]), 3, verify).0.is_some()
    }

    #[test]
    fn repeated_vote_counts_once() {
        let mut ballot = Ballot::default();
        for replica in [0, 1, 1, 1] {
            ballot.insert(vote(0, 7, replica), verify);
        }
        assert!(!counts(&mut ballot, 0, 7));
        ballot.insert(vote(0, 7, 2), verify);
        assert!(counts(&mut ballot, 0, 7));
    }

    #[test]
    fn votes_of_different_views_are_never_summed() {
        let mut ballot = Ballot::default();
        for (view, replica) in [(0, 0), (0, 1), (1, 2), (1, 3)] {
            ballot.insert(vote(view, 7, replica), verify);
        }
        assert!(!counts(&mut ballot, 0, 7) && !counts(&mut ballot, 1, 7));
    }

    #[test]
    fn votes_for_different_digests_are_never_summed() {
        let mut ballot = Ballot::default();
        for (digest, replica) in [(7, 0), (7, 1), (8, 2), (8, 3)] {
            ballot.insert(vote(0, digest, replica), verify);
        }
        assert!(!counts(&mut ballot, 0, 7) && !counts(&mut ballot, 0, 8));
    }

    #[test]
    fn forged_vote_never_counts_and_makes_room_for_the_real_one() {
        let mut ballot = Ballot::default();
        for forged in [forged(0, 7, 1), vote(0, 7, 0), vote(0, 7, 2)] {
            ballot.insert(forged, verify);
        }
        let (quorum, invalid) = ballot.quorum(View(0), Digest([7; 32]), 3, verify);
        assert_eq!((quorum, invalid), (None, vec![forged(0, 7, 1)]));
        ballot.insert(vote(0, 7, 1), verify);
        assert!(counts(&mut ballot, 0, 7));
    }

    #[test]
    fn second_signed_digest_is_evidence_and_never_counts() {
        let mut ballot = Ballot::default();
        ballot.insert(vote(0, 7, 0), verify);
        let second = ballot.insert(vote(0, 8, 0), verify);
        assert_eq!(second, Insertion::Equivocation(vote(0, 7, 0), vote(0, 8, 0)));
        ballot.insert(vote(0, 8, 1), verify);
        ballot.insert(vote(0, 8, 2), verify);
        assert!(!counts(&mut ballot, 0, 8));
    }

    #[test]
    fn forged_second_digest_is_no_evidence_against_the_first() {
        let mut ballot = Ballot::default();
        ballot.insert(vote(0, 7, 0), verify);
        assert_eq!(ballot.insert(forged(0, 8, 0), verify), Insertion::Invalid(forged(0, 8, 0)));
    }

    #[test]
    fn votes_of_one_replica_are_kept_for_a_bounded_number_of_views() {
        let mut ballot = Ballot::default();
        for view in 0..100 {
            ballot.insert(vote(view, 7, 0), verify);
        }
        assert_eq!(ballot.len(), VOTE_VIEWS_MAX);
    }

    #[test]
    fn signatures_beyond_the_quorum_are_not_checked() {
        let mut ballot = Ballot::default();
        for replica in 0..10 {
            ballot.insert(vote(0, 7, replica), verify);
        }
        let mut checks = 0;
        ballot.quorum(View(0), Digest([7; 32]), 3, |vote| {
            checks += 1;
            verify(vote)
        });
        assert_eq!(checks, 3);
    }
}
