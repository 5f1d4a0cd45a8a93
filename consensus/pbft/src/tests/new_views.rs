//! NEW-VIEW: what a primary begins with, what every backup recomputes, and what is fetched for it. Castro & Liskov 1999 §4.4.

use std::sync::Arc;

use certificate::codec::{Decode, Encode};
use certificate::{Digest, MessageType, ReplicaId, Sequence, SlotHeader, View};

use super::bench::*;
use super::cluster::*;
use super::peers::*;
use super::toy::*;
use crate::select;
use crate::*;

use MessageType::{Commit, Prepare};

const A: Digest = Digest([0xa; 32]);
const B: Digest = Digest([0xb; 32]);

fn null(sequence: u64) -> Digest {
    SlotHeader::null(Sequence(sequence), Digest::of(b"cluster file")).digest()
}

fn digests(new_view: &NewView) -> Vec<Digest> {
    new_view.proposals.iter().map(|(digest, _)| *digest).collect()
}

/// What the others move to view 2 with: slot 1 prepared, slot 3 voted for by two, nothing of slot 2.
fn three() -> [ViewChange; 3] {
    let slots = || vec![claims_prepared(0, 1, A), claims_voted(0, 3, B)];
    [claiming(0, 2, slots()), claiming(2, 2, slots()), gives_up(3, 2)]
}

fn good(view_changes: &[ViewChange; 3]) -> NewView {
    begins(&parameters(1, 4, 1), 2, &view_changes.each_ref())
}

fn resigned(new_view: NewView) -> NewView {
    let primary = four().primary(new_view.view).0;
    new_view.resign(&domain(), &ToyKeys::of(primary))
}

/// What is said of a new view of replica 2, with the view changes that show what is wrong.
fn refused(message: NewView, shown: &[Arc<ViewChange>], error: NewViewError) -> Fault {
    Fault::InvalidNewView {
        primary: ReplicaId(2),
        message: Arc::new(message),
        view_changes: shown.to_vec(),
        error,
    }
}

/// Whom a step asks for what.
fn asked(ready: &Ready) -> Vec<(Recipients, Digest)> {
    let asked = ready.send.iter().filter_map(|(to, message)| match message {
        Message::FetchViewChange { digest } | Message::FetchBatch { digest, .. } => Some((*to, *digest)),
        _ => None,
    });
    asked.collect()
}

#[test]
fn primary_begins_its_view_with_exactly_n_f_view_changes_and_stores_it_first() {
    let mut bench = Bench::new(1);
    let [one, two] = [2, 3].map(|of| gives_up(of, 1));
    assert!(began(&bench.hear_view_change(&one)).is_none());
    let ready = bench.hear_view_change(&two);
    let new_view = began(&ready).expect("three of four want the view");
    let own = gave_up(&ready).remove(0);
    assert_eq!(
        new_view.view_changes,
        [(ReplicaId(1), own.digest()), (ReplicaId(2), one.digest()), (ReplicaId(3), two.digest())]
    );
    let view_changes = vec![own.clone(), Arc::new(one), Arc::new(two)];
    let entered = Record::Entered { new_view: new_view.clone(), view_changes };
    assert_eq!(ready.persist, [Record::ViewChanging(own), entered]);
    assert_eq!(new_view.check_shape(&bench.replica.parameters, &ToyKeys::of(0)), Ok(()));
    assert!(began(&bench.hear_view_change(&gives_up(0, 1))).is_none(), "once");
}

#[test]
fn view_changes_to_other_views_begin_no_view() {
    let mut bench = Bench::with(parameters(1, 7, 2));
    for (of, view) in [(2, 1), (3, 1), (4, 1), (5, 2), (6, 3)] {
        assert!(began(&bench.hear_view_change(&gives_up(of, view))).is_none(), "four of five");
    }
    assert!(began(&bench.hear_view_change(&gives_up(0, 1))).is_some());
}

#[test]
fn gaps_are_null_and_nothing_stands_behind_the_last_claim_that_counts() {
    let new_view = good(&three());
    assert_eq!(digests(&new_view), [A, null(2), B]);
    let mut few = three();
    few[2] = claiming(3, 2, vec![claims_voted(0, 3, B), claims_voted(0, 5, A)]);
    assert_eq!(digests(&good(&few)), [A, null(2), B], "one vote for slot 5 is too few");
    assert_eq!(digests(&good(&[0, 2, 3].map(|of| gives_up(of, 2)))), []);
}

#[test]
fn base_is_the_highest_of_all_view_changes_whoever_sent_it() {
    let certificate = commits(0, 4, A, &[0, 1, 2]);
    for highest in 0..3 {
        let mut view_changes = three();
        let slots = vec![claims_prepared(0, 2, B), claims_prepared(0, 3, A)];
        let decided = Some(certificate.clone());
        view_changes[highest] = signed(ViewChange { decided, slots, ..view_changes[highest].clone() });
        let refs = view_changes.each_ref();
        let plan = select::plan(&parameters(1, 4, 1), &refs).unwrap();
        assert_eq!((plan.base, plan.chosen[0], plan.top()), (Sequence(1), B, Sequence(3)), "{highest}");
    }
}

#[test]
fn every_change_of_shape_is_refused() {
    let view_changes = three();
    let honest = good(&view_changes);
    let check = |it: &NewView| it.check_shape(&parameters(1, 4, 1), &ToyKeys::of(1));
    assert_eq!(check(&honest), Ok(()));
    let unsigned = NewView { view: View(6), ..honest.clone() };
    assert_eq!(check(&unsigned), Err(NewViewError::Signature));
    let by_another = honest.clone().resign(&domain(), &ToyKeys::of(3));
    assert_eq!(check(&by_another), Err(NewViewError::Signature));
    let with = |named: Vec<(u8, Digest)>| {
        let view_changes = named.into_iter().map(|(of, digest)| (ReplicaId(of), digest)).collect();
        check(&resigned(NewView { view_changes, ..honest.clone() }))
    };
    let expected = 3;
    assert_eq!(with(vec![(0, A), (2, A)]), Err(NewViewError::Count { expected, found: 2 }));
    assert_eq!(with(vec![(0, A), (1, A), (2, A), (3, A)]), Err(NewViewError::Count { expected, found: 4 }));
    assert_eq!(with(vec![(0, A), (3, A), (2, A)]), Err(NewViewError::Order(ReplicaId(2))));
    assert_eq!(
        with(vec![(0, A), (2, A), (2, B)]),
        Err(NewViewError::Order(ReplicaId(2))),
        "one replica twice"
    );
    assert_eq!(with(vec![(0, A), (2, A), (4, A)]), Err(NewViewError::Order(ReplicaId(4))));
}

#[test]
fn every_other_choice_than_the_recomputed_one_is_refused() {
    let view_changes = three();
    let honest = good(&view_changes);
    let check = |it: &NewView| it.check(&view_changes.each_ref(), &parameters(1, 4, 1), &ToyKeys::of(1));
    assert_eq!(check(&honest).map(|plan| plan.chosen), Ok(vec![A, null(2), B]));
    let proposing = |chosen: &[Digest]| {
        let plan = select::Plan { base: Sequence(0), chosen: chosen.to_vec() };
        let refs = view_changes.each_ref();
        check(&NewView::sign(View(2), &refs, &plan, &parameters(1, 4, 1), &ToyKeys::of(2)))
    };
    let others = Err(NewViewFault::Error(NewViewError::Proposals));
    let lies: [&[Digest]; 7] = [
        &[],
        &[A, null(2)],
        &[A, null(2), B, null(4)],
        &[null(1), null(2), B],
        &[A, B, B],
        &[A, null(2), A],
        &[A, null(3), B],
    ];
    for lie in lies {
        assert_eq!(proposing(lie), others, "{lie:?}");
    }
    for place in 0..3 {
        let mut unsigned = honest.clone();
        unsigned.proposals[place].1.0[9] ^= 1;
        let error = NewViewError::Proposal(Sequence(place as u64 + 1));
        assert_eq!(check(&resigned(unsigned)), Err(NewViewFault::Error(error)));
    }
    let mut misplaced = view_changes.clone();
    misplaced[1] = claiming(2, 6, misplaced[1].slots.clone());
    let found = honest.check(&misplaced.each_ref(), &parameters(1, 4, 1), &ToyKeys::of(1));
    assert_eq!(found, Err(NewViewFault::Error(NewViewError::View(ReplicaId(2)))));
}

#[test]
fn two_prepared_digests_of_one_view_stop_the_replica_that_sees_them() {
    let [one, two] =
        [(0, A), (2, B)].map(|(of, digest)| claiming(of, 2, vec![claims_prepared(0, 1, digest)]));
    let mut bench = Bench::new(1);
    let third = gives_up(3, 2);
    let new_view = {
        let plan = select::Plan { base: Sequence(0), chosen: vec![A] };
        NewView::sign(View(2), &[&one, &two, &third], &plan, &parameters(1, 4, 1), &ToyKeys::of(2))
    };
    for message in [&one, &two, &third] {
        bench.hear_view_change(message);
    }
    let ready = bench.hear_new_view(&new_view);
    assert_eq!(ready.faults, [Fault::Contradiction { view: View(0), first: A, second: B }]);
    assert_eq!(bench.replica.status().standing, Standing::Diverged);
}

#[test]
fn backup_stores_the_new_view_and_then_votes_for_what_it_fixes() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let digest = proposal.header.digest();
    bench.hear(0, Message::PrePrepare(proposal));
    let others = [0, 2, 3]
        .map(|of| claiming(of, 2, vec![claims_prepared(0, 1, digest), claims_prepared(0, 3, null(3))]));
    let ready = bench.enter(2, &others);
    assert!(matches!(ready.persist[0], Record::Entered { .. }));
    let prepares = sent(&ready, Prepare);
    let fixed = [(1, digest), (2, null(2)), (3, null(3))];
    let own = fixed.map(|(sequence, digest)| vote(Prepare, 2, sequence, digest, 1));
    assert_eq!(prepares, own);
    let accepted = ready.persist.iter().filter_map(|record| match record {
        Record::Accepted { proposal, prepare } => Some((proposal.header.digest(), *prepare)),
        _ => None,
    });
    let stored: Vec<(Digest, Option<Vote>)> = accepted.collect();
    assert_eq!(stored, own.map(|vote| (vote.digest, Some(vote))), "null slots too");
    assert!(ready.sync());
}

#[test]
fn primary_of_a_new_view_votes_by_its_signature_in_it_alone() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let digest = proposal.header.digest();
    bench.hear(0, Message::PrePrepare(proposal));
    let others = [2, 3].map(|of| claiming(of, 1, vec![claims_prepared(0, 1, digest)]));
    let ready = bench.enter(1, &others);
    assert_eq!(sent(&ready, Prepare), []);
    let accepted = |record: &Record| matches!(record, Record::Accepted { prepare: None, proposal } if proposal.view == View(1));
    assert!(ready.persist.iter().any(accepted));
    assert_eq!(sent(&bench.hear(2, Message::Prepare(vote(Prepare, 1, 1, digest, 2))), Commit), []);
    let ready = bench.hear(3, Message::Prepare(vote(Prepare, 1, 1, digest, 3)));
    assert_eq!(sent(&ready, Commit), [vote(Commit, 1, 1, digest, 1)]);
}

#[test]
fn null_slot_is_decided_by_commits_and_decides_nothing() {
    let mut bench = Bench::new(1);
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 2, null(2))]));
    bench.enter(2, &others);
    let mut decided = Vec::new();
    for sequence in [1, 2] {
        for from in [0, 3] {
            bench.hear(from, Message::Prepare(vote(Prepare, 2, sequence, null(sequence), from)));
        }
        for from in [0, 2, 3] {
            let commit = Message::Commit(vote(Commit, 2, sequence, null(sequence), from));
            decided.extend(bench.hear(from, commit).decided);
        }
    }
    let nothing = |it: &Decided| it.operations.is_empty() && it.leaves.is_empty() && it.view == View(2);
    assert!(decided.len() == 2 && decided.iter().all(nothing));
    assert_eq!(bench.replica.log.last().time_ms, 0, "nor does it move the log's time");
    let back = bench.restarted();
    assert_eq!(back.replica.status().executed, Sequence(2));
}

#[test]
fn missing_view_changes_are_asked_of_the_sender_and_then_of_all() {
    let mut bench = Bench::new(1);
    let view_changes = three();
    let new_view = good(&view_changes);
    let all: Vec<Digest> = view_changes.iter().map(ViewChange::digest).collect();
    bench.hear_view_change(&view_changes[0]);
    let ready = bench.hear(3, Message::NewView(Arc::new(new_view)));
    assert_eq!(asked(&ready), [1, 2].map(|place| (Recipients::One(ReplicaId(3)), all[place])));
    assert_eq!(bench.replica.status().view, View(0), "it is not in the view yet");
    bench.hear(0, Message::ViewChange(Arc::new(gives_up(2, 2))));
    assert_eq!(
        asked(&bench.wait(200)),
        [1, 2].map(|place| (Recipients::All, all[place])),
        "another one is no help"
    );
    bench.hear(0, Message::ViewChange(Arc::new(view_changes[1].clone())));
    assert_eq!(asked(&bench.wait(200)), [(Recipients::All, all[2])]);
    let ready = bench.hear(2, Message::ViewChange(Arc::new(view_changes[2].clone())));
    assert!(ready.persist.iter().any(|record| matches!(record, Record::Entered { .. })));
    assert_eq!((bench.replica.status().view, bench.replica.status().standing), (View(2), Standing::Active));
}

#[test]
fn new_view_whose_view_changes_nobody_has_is_forgotten() {
    let mut bench = Bench::new(1);
    bench.hear_new_view(&good(&three()));
    let rounds = (0..100).filter(|_| !asked(&bench.wait(200)).is_empty());
    assert_eq!(rounds.count(), 10);
    assert_eq!(bench.replica.views.pending.len(), 0);
    bench.hear_new_view(&good(&three()));
    assert_eq!(bench.replica.views.pending.len(), 1, "and taken again when it is sent again");
}

#[test]
fn one_new_view_of_each_primary_waits() {
    let mut bench = Bench::new(1);
    for view in 2..200u64 {
        let view_changes = [0, 2, 3].map(|of| gives_up(of, view));
        let new_view = begins(&parameters(1, 4, 1), view, &view_changes.each_ref());
        bench.hear_new_view(&new_view);
    }
    assert_eq!(bench.replica.views.pending.len(), 3, "all but its own");
    assert!(bench.replica.views.pending.values().all(|pending| pending.message.view > View(190)));
}

#[test]
fn new_view_that_names_a_view_change_which_does_not_hold_moves_on_to_the_next() {
    let mut bench = Bench::new(1);
    let mut view_changes = three();
    let mut slots = vec![claims_prepared(0, 1, A)];
    slots[0].prepared.as_mut().unwrap().view = View(1);
    view_changes[2] = claiming(3, 2, slots);
    for one in &view_changes {
        bench.hear_view_change(one);
    }
    let ready = bench.hear_new_view(&good(&view_changes));
    let culprit = Arc::new(view_changes[2].clone());
    let of_replica =
        Fault::InvalidViewChange { message: culprit.clone(), error: ViewChangeError::Prepared(Sequence(1)) };
    let error = NewViewError::ViewChange(ReplicaId(3));
    assert_eq!(ready.faults, [of_replica, refused(good(&view_changes), &[culprit], error)]);
    assert_eq!(gave_up(&ready)[0].view, View(3));
}

#[test]
fn wrong_choice_of_a_primary_that_n_f_replicas_follow_moves_on_to_the_next() {
    let mut bench = Bench::new(1);
    let view_changes = three();
    for one in &view_changes {
        bench.hear_view_change(one);
    }
    let mut lie = good(&view_changes);
    lie.proposals.pop();
    let lie = resigned(lie);
    let ready = bench.hear_new_view(&lie);
    let fault = refused(lie, &view_changes.map(Arc::new), NewViewError::Proposals);
    assert!(fault.is_proof() && fault.replica() == Some(ReplicaId(2)));
    assert_eq!(ready.faults, [fault]);
    assert_eq!(gave_up(&ready)[0].view, View(3));
}

/// Another new view for view 2, from other view changes of the same replicas.
fn other() -> NewView {
    good(&[claiming(0, 2, vec![claims_prepared(0, 1, B)]), gives_up(2, 2), gives_up(3, 2)])
}

#[test]
fn second_new_view_for_one_view_is_evidence_reported_once_whoever_passes_it_on() {
    let [first, second] = [good(&three()), other()];
    let third = good(&[gives_up(0, 2), gives_up(2, 2), gives_up(3, 2)]);
    let mut waiting = Bench::new(1);
    waiting.hear_new_view(&first);
    assert_eq!(waiting.replica.views.pending.len(), 1, "its view changes are not here");
    let mut entered = Bench::new(1);
    entered.enter(2, &three());
    for mut bench in [waiting, entered] {
        assert_eq!(bench.hear_new_view(&first).faults, [], "the same again is none");
        let forged = NewView { signature: first.signature, ..second.clone() };
        let ready = bench.hear(3, Message::NewView(Arc::new(forged)));
        let [Fault::InvalidSignature { from, message: MessageType::NewView, .. }] = ready.faults[..] else {
            panic!("{:?}", ready.faults);
        };
        assert_eq!(from, ReplicaId(3), "of the one who passed it on");
        let faults = bench.hear(3, Message::NewView(Arc::new(second.clone()))).faults;
        let expected = Fault::NewViewEquivocation {
            primary: ReplicaId(2),
            first: Arc::new(first.clone()),
            second: Arc::new(second.clone()),
        };
        assert!(expected.is_proof() && expected.replica() == Some(ReplicaId(2)));
        assert_eq!(faults, [expected]);
        for again in [&second, &third] {
            assert_eq!(bench.hear_new_view(again).faults, []);
        }
    }
}

#[test]
fn second_new_view_in_the_name_of_this_replica_accuses_nobody() {
    let mut bench = Bench::new(1);
    let others = [2, 3].map(|of| gives_up(of, 1));
    bench.enter(1, &others);
    let own = bench.replica.views.installed.as_ref().unwrap().message.clone();
    let second = resigned(NewView { view_changes: own.view_changes[1..].to_vec(), ..(*own).clone() });
    assert_eq!(bench.hear(3, Message::NewView(Arc::new(second))).faults, []);
}

#[test]
fn badly_shaped_or_early_new_view_moves_nobody() {
    let view_changes = three();
    let honest = good(&view_changes);
    let unsigned = NewView { view_changes: Vec::new(), ..honest.clone() };
    let few = resigned(NewView { view_changes: honest.view_changes[..2].to_vec(), ..honest.clone() });
    let elsewhere = [claiming(0, 6, Vec::new()), gives_up(2, 2), gives_up(3, 2)];
    let misplaced = good(&elsewhere);
    let forged =
        Fault::InvalidSignature { from: ReplicaId(2), message: MessageType::NewView, sequence: Sequence(0) };
    let counted = refused(few.clone(), &[], NewViewError::Count { expected: 3, found: 2 });
    let named = [Arc::new(elsewhere[0].clone())];
    let misled = refused(misplaced.clone(), &named, NewViewError::View(ReplicaId(0)));
    for (lie, fault) in [(unsigned, forged), (few, counted), (misplaced, misled)] {
        let mut bench = Bench::new(1);
        for of in [2, 3] {
            bench.hear_view_change(&gives_up(of, 2));
        }
        bench.hear_view_change(&elsewhere[0]);
        let ready = bench.hear_new_view(&lie);
        assert_eq!(ready.faults, [fault]);
        assert_eq!((gave_up(&ready), bench.replica.status().view), (vec![], View(2)));
    }
}

#[test]
fn new_view_is_not_entered_after_a_later_one_was_promised() {
    let mut bench = Bench::new(1);
    let view_changes = three();
    bench.hear_new_view(&good(&view_changes));
    for of in [0, 3] {
        bench.hear_view_change(&gives_up(of, 3));
    }
    assert_eq!(bench.replica.status().view, View(3));
    for one in &view_changes {
        bench.hear(2, Message::ViewChange(Arc::new(one.clone())));
    }
    bench.hear_new_view(&good(&view_changes));
    assert_eq!((bench.replica.status().view, bench.replica.status().standing), (View(3), Standing::Changing));
    assert!(!bench.stored.iter().any(|record| matches!(record, Record::Entered { .. })));
}

#[test]
fn view_0_and_the_own_view_have_no_new_view_of_others() {
    let mut bench = Bench::new(1);
    for view in [0, 1] {
        let view_changes = [0, 2, 3].map(|of| gives_up(of, view));
        let new_view = begins(&parameters(1, 4, 1), view, &view_changes.each_ref());
        bench.hear(2, Message::NewView(Arc::new(new_view)));
        assert_eq!((bench.replica.views.pending.len(), bench.replica.status().view), (0, View(0)));
    }
}

/// A bench that has entered view 2 with slot 1 fixed to a proposal whose body it lacks.
fn lacking() -> (Bench, PrePrepare, Ready) {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 1, proposal.header.digest())]));
    let ready = bench.enter(2, &others);
    (bench, proposal, ready)
}

#[test]
fn missing_body_is_asked_of_one_peer_after_the_other() {
    let (mut bench, proposal, ready) = lacking();
    let digest = proposal.header.digest();
    assert_eq!(sent(&ready, Prepare), []);
    let mut peers: Vec<(Recipients, Digest)> = asked(&ready);
    for _ in 0..3 {
        assert_eq!(asked(&bench.wait(19)), []);
        peers.extend(asked(&bench.wait(1)));
    }
    assert_eq!(peers, [0, 2, 3, 0].map(|peer| (Recipients::One(ReplicaId(peer)), digest)));
    let rounds = (0..200).filter(|_| !asked(&bench.wait(50)).is_empty()).count();
    assert!((20..=40).contains(&rounds), "twice a second after a while: {rounds} in 10 s");
}

#[test]
fn body_is_taken_from_whoever_has_it_and_garbage_of_nobody() {
    let (mut bench, proposal, _) = lacking();
    let (header, batch) = (proposal.header.clone(), proposal.batch.clone());
    let other = bench.proposal(8);
    let ready = bench.hear(3, Message::Batch { header: other.header, batch: other.batch.clone() });
    assert!(ready.faults.is_empty() && sent(&ready, Prepare).is_empty(), "nobody asked for that");
    let ready = bench.hear(3, Message::Batch { header: header.clone(), batch: other.batch });
    assert_eq!(ready.faults, [Fault::InvalidBatch { from: ReplicaId(3), sequence: Sequence(1) }]);
    let ready = bench.hear(3, Message::Batch { header: header.clone(), batch: Arc::default() });
    assert!(matches!(ready.faults[..], [Fault::InvalidBatch { .. }]) && sent(&ready, Prepare).is_empty());
    let ready = bench.hear(0, Message::Batch { header, batch });
    assert_eq!(sent(&ready, Prepare), [vote(Prepare, 2, 1, proposal.header.digest(), 1)]);
    assert!((0..100).all(|_| asked(&bench.wait(50)).is_empty()));
}

#[test]
fn body_that_nobody_lacks_is_not_looked_at() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    let message = Message::Batch { header: proposal.header, batch: proposal.batch };
    let ready = bench.hear(3, message);
    assert!(ready.faults.is_empty() && ready.persist.is_empty() && bench.replica.status().slots == 0);
}

#[test]
fn body_that_comes_with_the_pre_prepare_of_the_new_primary_is_voted_for() {
    let (mut bench, proposal, _) = lacking();
    let again = bench.signed(2, proposal.header.clone(), (*proposal.batch).clone());
    let ready = bench.hear(2, Message::PrePrepare(again));
    assert_eq!(sent(&ready, Prepare).len(), 1);
}

#[test]
fn body_is_given_to_whoever_asks_whether_accepted_earlier_or_decided() {
    let mut bench = Bench::new(1);
    let first = bench.proposal(1);
    bench.decide(&first);
    let second = bench.proposal(2);
    bench.hear(0, Message::PrePrepare(second.clone()));
    let slots = || vec![claims_prepared(0, 1, first.header.digest()), claims_prepared(0, 2, null(2))];
    let others = [0, 2, 3].map(|of| claiming(of, 2, slots()));
    bench.enter(2, &others);
    for proposal in [first, second] {
        bench.now += 100;
        let (sequence, digest) = (proposal.header.sequence, proposal.header.digest());
        let ready = bench.hear(3, Message::FetchBatch { sequence, digest });
        let body = Message::Batch { header: proposal.header, batch: proposal.batch };
        assert!(ready.send.contains(&(Recipients::One(ReplicaId(3)), body)), "slot {sequence}");
    }
    bench.now += 100;
    assert_eq!(bench.hear(3, Message::FetchBatch { sequence: Sequence(1), digest: A }).send, []);
}

/// A bench that gave view 0 up, and was then sent by its primary what the others prepared there: that header, over another batch.
fn misled() -> (Bench, PrePrepare, [ViewChange; 3]) {
    let mut bench = Bench::new(1);
    let (proposal, other) = (bench.proposal(7), bench.proposal(8));
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 1, proposal.header.digest())]));
    for message in &others {
        bench.hear_view_change(message);
    }
    let garbled = bench.signed(0, proposal.header.clone(), (*other.batch).clone());
    assert_eq!(bench.hear(0, Message::PrePrepare(garbled)).faults, [], "it is kept for its body, not judged");
    (bench, proposal, others)
}

#[test]
fn garbage_of_a_primary_of_old_is_not_held_against_the_one_that_fixed_the_slot() {
    let (mut bench, proposal, others) = misled();
    let ready = bench.hear_new_view(&begins(&parameters(1, 4, 1), 2, &others.each_ref()));
    assert_eq!(ready.faults, []);
    let digest = proposal.header.digest();
    assert_eq!(asked(&ready), [(Recipients::One(ReplicaId(0)), digest)], "the body is asked for");
    let ready = bench.hear(3, Message::Batch { header: proposal.header, batch: proposal.batch });
    assert_eq!(sent(&ready, Prepare), [vote(Prepare, 2, 1, digest, 1)]);
}

#[test]
fn body_that_nobody_has_judged_is_not_passed_on() {
    let (mut bench, proposal, _) = misled();
    bench.now += 100;
    let (sequence, digest) = (Sequence(1), proposal.header.digest());
    assert_eq!(bench.hear(3, Message::FetchBatch { sequence, digest }).send, []);
}

#[test]
fn other_digest_of_the_new_primary_for_what_it_fixed_is_evidence() {
    let (mut bench, proposal, _) = lacking();
    let batch = bench.batch_of(9, &[0, 2, 3]);
    let second = bench.signed(2, bench.header_over(1, &batch), batch);
    let ready = bench.hear(2, Message::PrePrepare(second.clone()));
    let [Fault::Equivocation { first, second: other }] = &ready.faults[..] else {
        panic!("{:?}", ready.faults)
    };
    assert_eq!((first.vote.digest, other.vote.digest), (proposal.header.digest(), second.header.digest()));
    assert!(first.verify(&domain(), &ToyKeys::of(0)) && other.verify(&domain(), &ToyKeys::of(0)));
    assert_eq!(sent(&ready, Prepare), []);
}

#[test]
fn slot_that_is_fixed_is_voted_for_also_where_it_was_decided_before() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(1);
    let digest = proposal.header.digest();
    bench.decide(&proposal);
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(0, 1, digest)]));
    let ready = bench.enter(2, &others);
    assert_eq!(sent(&ready, Prepare), [vote(Prepare, 2, 1, digest, 1)]);
    let mut said = Vec::new();
    for from in [0, 3] {
        said.push(bench.hear(from, Message::Prepare(vote(Prepare, 2, 1, digest, from))));
    }
    let commits: Vec<Vote> = said.iter().flat_map(|ready| sent(ready, Commit)).collect();
    assert_eq!(commits, [vote(Commit, 2, 1, digest, 1)]);
    for from in [0, 2, 3] {
        said.push(bench.hear(from, Message::Commit(vote(Commit, 2, 1, digest, from))));
    }
    assert!(
        said.iter().all(|ready| ready.decided.is_empty() && ready.early.is_empty()),
        "it is executed once"
    );
}

#[test]
fn view_that_fixes_another_digest_than_was_decided_stops_the_replica() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(1);
    bench.decide(&proposal);
    let others = [0, 2, 3].map(|of| claiming(of, 2, vec![claims_prepared(1, 1, A)]));
    for one in &others {
        bench.hear_view_change(one);
    }
    let ready = bench.hear_new_view(&begins(&parameters(1, 4, 1), 2, &others.each_ref()));
    assert!(matches!(ready.faults[..], [Fault::Contradiction { .. }]), "{:?}", ready.faults);
    assert_eq!((sent(&ready, Prepare), bench.replica.status().standing), (vec![], Standing::Diverged));
}

#[test]
fn new_primary_proposes_behind_what_it_fixed() {
    let mut bench = Bench::new(1);
    let others = [2, 3].map(|of| claiming(of, 1, vec![claims_prepared(0, 2, null(2))]));
    bench.enter(1, &others);
    let mut proposed = Vec::new();
    for from in [0, 2, 3] {
        let set = bench.observed(from, 7, b"seen");
        let ready = bench.hear(from, Message::Observe(set));
        proposed.extend(super::demand::proposals(&ready).into_iter().map(|it| (it.view, it.header.sequence)));
    }
    let ready = bench.wait(10);
    proposed.extend(super::demand::proposals(&ready).into_iter().map(|it| (it.view, it.header.sequence)));
    assert_eq!(proposed, [(View(1), Sequence(3))]);
}

#[test]
fn null_slot_of_a_view_that_was_passed_over_is_held_against_nobody() {
    let mut bench = Bench::new(3);
    for of in [0, 1] {
        bench.hear_view_change(&gives_up(of, 2));
    }
    assert_eq!((bench.replica.status().view, bench.replica.status().standing), (View(2), Standing::Changing));
    let null = SlotHeader::null(Sequence(4), Digest::of(b"cluster file"));
    let fixed = bench.signed(1, null.clone(), Batch::default());
    assert_eq!(bench.hear(1, Message::PrePrepare(fixed)).faults, [], "the new view that fixed it never came");
    let mut bench = Bench::new(3);
    let stray = bench.signed(0, null, Batch::default());
    let ready = bench.hear(0, Message::PrePrepare(stray));
    assert!(matches!(refusal(&ready), Some(Refusal::PrefixSequence { .. })), "view 0 fixes nothing");
}

#[test]
fn proposal_at_or_below_the_base_of_the_view_is_not_looked_at() {
    let mut bench = Bench::new(1);
    let decided = Some(commits(0, 5, A, &[0, 2, 3]));
    let others = [0, 2, 3].map(|of| signed(ViewChange { decided: decided.clone(), ..gives_up(of, 2) }));
    bench.enter(2, &others);
    let proposal = bench.proposal_in(2, 7);
    let ready = bench.hear(2, Message::PrePrepare(proposal));
    assert!(sent(&ready, Prepare).is_empty() && ready.faults.is_empty(), "slots 1 and 2 are decided");
    assert_eq!(bench.replica.slots.get(&Sequence(1)).and_then(|slot| slot.seen), None);
}

#[test]
fn peer_that_asks_for_view_changes_and_bodies_without_end_is_served_one_at_a_time() {
    let mut bench = Bench::new(1);
    let proposal = bench.proposal(7);
    bench.hear(0, Message::PrePrepare(proposal.clone()));
    let others = bench.others_give_up(2);
    bench.enter(2, &others);
    bench.wait(1000);
    let (sequence, body) = (Sequence(1), proposal.header.digest());
    let mut given = 0;
    for number in 0..300u64 {
        let known = others[number as usize % 3].digest();
        for digest in [known, Digest::of(&number.to_be_bytes())] {
            given += bench.hear(3, Message::FetchViewChange { digest }).send.len();
        }
        given += bench.hear(3, Message::FetchBatch { sequence, digest: body }).send.len();
    }
    assert_eq!(given, 1, "in one millisecond");
    let mut later = 0;
    for _ in 0..50 {
        let ready = bench.wait(1);
        let to_it = ready.send.iter().filter(|(to, it)| {
            *to == Recipients::One(ReplicaId(3))
                && matches!(it, Message::ViewChange(_) | Message::Batch { .. })
        });
        later += to_it.count();
    }
    assert!(later <= FETCHES_WAITING_MAX, "{later}");
    assert_eq!(
        bench.hear(0, Message::FetchBatch { sequence, digest: body }).send.len(),
        1,
        "nobody else waits"
    );
}

#[test]
fn lists_of_the_wire_are_bounded() {
    let most = 2 * PIPELINE_MAX;
    for (count, holds) in [(most, true), (most + 1, false)] {
        let slots = (1..=count).map(|sequence| claims_voted(0, sequence, A)).collect();
        let bytes = claiming(2, 1, slots).to_bytes();
        assert_eq!(ViewChange::from_bytes(&bytes).is_ok(), holds, "{count} slots");
        let mut new_view = good(&three());
        new_view.proposals = vec![new_view.proposals[0]; count as usize];
        assert_eq!(NewView::from_bytes(&new_view.to_bytes()).is_ok(), holds, "{count} proposals");
    }
    for (count, holds) in [(31, true), (32, false)] {
        let mut new_view = good(&three());
        new_view.view_changes = vec![new_view.view_changes[0]; count];
        assert_eq!(NewView::from_bytes(&new_view.to_bytes()).is_ok(), holds, "{count} view changes");
    }
    let mut nothing = claims_voted(0, 1, A);
    nothing.voted = None;
    assert!(SlotClaim::from_bytes(&nothing.to_bytes()).is_err(), "a claim claims something");
}

#[test]
fn replica_behind_the_base_of_a_new_view_fetches_and_takes_part() {
    let mut cluster = Cluster::new(5, CALM, |id| tiny(parameters(id, 4, 1)));
    cluster.cut_off(3);
    for number in 0..11 {
        cluster.request(1, number);
        cluster.run_for(40);
    }
    cluster.crash(0, 0);
    cluster.heal();
    cluster.request(1, 100);
    cluster.run_for(2500);
    for id in 1..4 {
        assert!(cluster.operations(id).ends_with(&[100]), "node {id}: {:?}", cluster.status(id));
    }
    assert_eq!(cluster.executed(3), cluster.executed(1));
}
