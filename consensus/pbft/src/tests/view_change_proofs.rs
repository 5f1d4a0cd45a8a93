//! VIEW-CHANGE: each of its claims without its proof. Castro & Liskov 1999 §4.4.

use std::sync::Arc;

use certificate::{Digest, MessageType, ReplicaId, ReplicaSet, Sequence, Signature, View};

use super::bench::*;
use super::peers::*;
use super::toy::*;
use crate::*;

use MessageType::Prepare;

/// A view change of replica 2 to view 3 that holds, with everything that one can have.
fn full() -> ViewChange {
    let digest = Digest::of(b"a slot");
    let state = Digest::of(b"a state");
    let votes = [0, 2, 3].map(|of| checkpoint(of, 100, state));
    let stable = CheckpointCertificate {
        sequence: Sequence(100),
        digest: state,
        signers: votes.iter().map(|vote| vote.replica).collect(),
        signatures: votes.iter().map(|vote| vote.signature).collect(),
    };
    let by_commits = SlotClaim {
        sequence: Sequence(106),
        prepared: Some(Prepared::of(&commits(1, 106, digest, &[0, 1, 3]))),
        voted: None,
    };
    let slots = vec![claims_prepared(2, 102, digest), claims_voted(1, 103, digest), by_commits];
    let decided = Some(commits(2, 104, digest, &[1, 2, 3]));
    signed(ViewChange { stable: Some(stable), decided, ..claiming(2, 3, slots) })
}

fn check(message: &ViewChange) -> Result<(), ViewChangeError> {
    message.check(&parameters(1, 4, 1), &ToyKeys::of(1))
}

#[test]
fn view_change_whose_claims_are_proven_holds() {
    assert_eq!(check(&full()), Ok(()));
    assert_eq!(full().base(3), Sequence(101));
    assert_eq!(check(&gives_up(2, 1)), Ok(()), "nor has it to claim anything");
}

#[test]
fn stable_checkpoint_that_a_quorum_did_not_sign_is_refused() {
    let broken: [&dyn Fn(&mut CheckpointCertificate); 4] = [
        &|it| it.sequence = Sequence(99),
        &|it| it.digest = Digest::of(b"other"),
        &|it| it.signatures[1].0[7] ^= 1,
        &|it| {
            it.signers = [0, 2].map(ReplicaId).into_iter().collect();
            it.signatures.truncate(2);
        },
    ];
    for change in broken {
        let mut message = full();
        change(message.stable.as_mut().unwrap());
        assert_eq!(check(&message), Err(ViewChangeError::Stable));
    }
    let mut off = full();
    let votes = [0, 2, 3].map(|of| checkpoint(of, 101, Digest::ZERO));
    off.stable = Some(CheckpointCertificate {
        sequence: Sequence(101),
        digest: Digest::ZERO,
        signers: votes.iter().map(|vote| vote.replica).collect(),
        signatures: votes.iter().map(|vote| vote.signature).collect(),
    });
    assert_eq!(check(&off), Err(ViewChangeError::Stable), "signed by all, and off the interval");
}

#[test]
fn decided_slot_that_a_quorum_did_not_commit_is_refused() {
    let broken: [&dyn Fn(&mut CommitCertificate); 5] = [
        &|it| it.sequence = Sequence(110),
        &|it| it.view = View(1),
        &|it| it.signatures[0].0[7] ^= 1,
        &|it| *it = commits(2, 104, it.digest, &[1, 2]),
        &|it| *it = commits(2, 104, it.digest, &[1, 2, 4]),
    ];
    for change in broken {
        let mut message = full();
        change(message.decided.as_mut().unwrap());
        assert_eq!(check(&message), Err(ViewChangeError::Decided));
    }
}

#[test]
fn slots_out_of_order_or_out_of_reach_are_refused() {
    let (base, digest) = (Sequence(101), Digest::of(b"a slot"));
    for (place, sequence) in [(0, 101), (0, 100), (2, 108), (2, u64::MAX), (1, 102), (2, 103), (0, 107)] {
        let mut message = full();
        message.slots[place] = claims_voted(1, sequence, digest);
        let sequence = if (place, sequence) == (0, 107) { Sequence(103) } else { Sequence(sequence) };
        assert_eq!(check(&message), Err(ViewChangeError::Slot { base, sequence }));
    }
    let mut last = full();
    last.slots[2] = claims_voted(1, 107, digest);
    assert_eq!(check(&last), Ok(()), "two pipelines behind the base");
}

#[test]
fn claims_of_the_view_itself_or_a_later_one_are_refused() {
    let digest = Digest::of(b"a slot");
    for view in [3, 4, u64::MAX] {
        let mut message = full();
        message.slots[1] = claims_voted(view, 103, digest);
        assert_eq!(check(&message), Err(ViewChangeError::View(Sequence(103))));
        message.slots[1] = SlotClaim { voted: None, ..claims_prepared(view, 103, digest) };
        assert_eq!(check(&message), Err(ViewChangeError::View(Sequence(103))));
    }
}

#[test]
fn prepared_certificate_that_its_proof_does_not_carry_is_refused() {
    let broken: [&dyn Fn(&mut Prepared); 9] = [
        &|it| it.view = View(1),
        &|it| it.digest = Digest::of(b"other"),
        &|it| with_prepares(it, |primary, _, _| primary.0[7] ^= 1),
        &|it| with_prepares(it, |_, _, signatures| signatures[1].0[7] ^= 1),
        &|it| with_prepares(it, |primary, _, signatures| std::mem::swap(primary, &mut signatures[0])),
        &|it| {
            with_prepares(it, |_, signers, signatures| {
                *signers = [ReplicaId(0)].into_iter().collect();
                signatures.truncate(1);
            });
        },
        &|it| {
            with_prepares(it, |_, signers, signatures| {
                // The PREPARE of the primary beside its PRE-PREPARE: two replicas, not three.
                *signers = [0, 2].map(ReplicaId).into_iter().collect();
                signatures[1] = vote(Prepare, 2, 102, Digest::of(b"a slot"), 2).signature;
            });
        },
        &|it| {
            with_prepares(it, |_, signers, signatures| {
                *signers = [0, 4].map(ReplicaId).into_iter().collect();
                signatures[1] = vote(Prepare, 2, 102, Digest::of(b"a slot"), 4).signature;
            });
        },
        &|it| {
            let all = commits(2, 102, it.digest, &[0, 1]);
            it.proof = Proof::Commits { signers: all.signers, signatures: all.signatures };
        },
    ];
    for (place, change) in broken.into_iter().enumerate() {
        let mut message = full();
        change(message.slots[0].prepared.as_mut().unwrap());
        assert_eq!(check(&message), Err(ViewChangeError::Prepared(Sequence(102))), "{place}");
    }
}

fn with_prepares(it: &mut Prepared, change: impl Fn(&mut Signature, &mut ReplicaSet, &mut Vec<Signature>)) {
    let Proof::Prepares { primary, signers, signatures } = &mut it.proof else { panic!("by prepares") };
    change(primary, signers, signatures);
}

#[test]
fn vote_for_what_no_primary_proposed_is_refused() {
    let digest = Digest::of(b"a slot");
    let voted = |sequence, of| {
        let signature = vote(MessageType::PrePrepare, 1, sequence, digest, of).signature;
        Some(Voted { view: View(1), digest, signature })
    };
    let prepare =
        Some(Voted { signature: vote(Prepare, 1, 103, digest, 1).signature, ..voted(103, 1).unwrap() });
    for lie in [voted(103, 2), voted(104, 1), prepare] {
        let mut message = full();
        message.slots[1].voted = lie;
        assert_eq!(check(&message), Err(ViewChangeError::Voted(Sequence(103))));
    }
}

#[test]
fn view_change_that_does_not_hold_is_a_fault_and_part_of_no_new_view() {
    let mut bench = Bench::new(1);
    let lie = SlotClaim { prepared: None, ..claims_prepared(0, 1, Digest::ZERO) };
    let lie = SlotClaim { sequence: Sequence(2), ..lie };
    let message = claiming(2, 1, vec![lie]);
    bench.hear_view_change(&message);
    let ready = bench.hear_view_change(&gives_up(3, 1));
    let error = ViewChangeError::Voted(Sequence(2));
    let fault = Fault::InvalidViewChange { message: Arc::new(message), error };
    assert!(fault.is_proof() && fault.replica() == Some(ReplicaId(2)));
    assert_eq!(ready.faults, [fault]);
    assert!(began(&ready).is_none());
    let ready = bench.hear_view_change(&gives_up(0, 1));
    let named: Vec<u8> = began(&ready).unwrap().view_changes.iter().map(|(of, _)| of.0).collect();
    assert_eq!(named, [0, 1, 3]);
}
