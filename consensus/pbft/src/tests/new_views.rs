//! NEW-VIEW: what a primary begins with, what every backup recomputes, and what is fetched for it. Castro & Liskov 1999 §4.4.

use std::sync::Arc;

use certificate::codec::{Decode, Encode};
use certificate::{Digest, MessageType, ReplicaId, Sequence, SlotHeader, View};

use super::bench::*;
use super::peers::*;
use super::toy::*;
use crate::select;
use crate::*;

pub const A: Digest = Digest([0xa; 32]);
pub const B: Digest = Digest([0xb; 32]);

pub fn null(sequence: u64) -> Digest {
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
pub fn asked(ready: &Ready) -> Vec<(Recipients, Digest)> {
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
