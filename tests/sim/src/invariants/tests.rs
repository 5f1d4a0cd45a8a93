//! Each check turns red when it is fed a broken history.

use std::sync::Arc;

use certificate::{Digest, MessageType, Sequence, Signature, SlotHeader, View};
use pbft::{
    Batch, CheckpointCertificate, CheckpointVote, CommitCertificate, Decided, DecidedSlot, Fault, Keyring,
    NewView, Observation, Operation, PrePrepare, Proof, Recipients, SignedObservations, SignedVote,
    SlotClaim, ViewChange, Vote, Voted,
};

use super::*;
use crate::application::Matter;
use crate::scenario::{Scenario, toy_domain};

const SHAPE: Shape = Shape { count: 4, faults: 1 };

fn court() -> Court {
    let mut scenario = Scenario::of(1, Some(4));
    scenario.shape = SHAPE;
    let domain = toy_domain();
    let parameters = scenario.parameters(ReplicaId(0), domain, domain.cluster_id);
    let honest = (0..4).map(ReplicaId).collect();
    let (keys, judge) = (Keys::mock(ReplicaId(0)), Judge::of(Matter::Toy, SHAPE, false));
    let mut court =
        Court::new(Laws { shape: SHAPE, parameters, keys, judge, honest, wire: true, blind: None });
    court.sighted(7, Sight { value: 5, ttl: 60 });
    court
}

fn operation() -> Operation {
    Judge::of(Matter::Toy, SHAPE, false).operation(7)
}

/// A slot that replicas decided, each seeing this value.
fn slot(sequence: u64, time_ms: u64, values: &[u8]) -> Decided {
    let judge = Judge::of(Matter::Toy, SHAPE, false);
    let sets = values.iter().enumerate().map(|(id, value)| {
        let me = ReplicaId(id as u8);
        let payload = judge.payload(me, &operation(), Sight { value: *value, ttl: 60 });
        let (after, operation) = (Sequence(0), operation());
        let observation = Observation { operation, after, time_ms, payload };
        SignedObservations::sign(me, vec![observation], &toy_domain(), &Keys::mock(me))
    });
    let batch = Batch { operations: vec![operation()], sets: sets.collect() };
    let leaves = batch.decide(&judge).unwrap();
    let header = SlotHeader {
        sequence: Sequence(sequence),
        kinds: batch.kinds(),
        entries: 1,
        leaves_root: root(&leaves),
        observations_root: Digest::ZERO,
        time_ms,
        cluster_digest: toy_domain().cluster_id,
        prefix_sequence: Sequence(0),
        prefix_digest: Digest::ZERO,
    };
    certified(header, leaves, batch)
}

fn certified(header: SlotHeader, leaves: Vec<Vec<u8>>, batch: Batch) -> Decided {
    let signatures =
        (0..3).map(|id| vote(MessageType::Commit, header.sequence.0, header.digest(), id).signature);
    Decided {
        view: View(0),
        leaves,
        operations: batch.operations.clone(),
        signers: (0..3).map(ReplicaId).collect(),
        signatures: signatures.collect(),
        evidence: Arc::new(batch),
        header,
    }
}

fn vote(phase: MessageType, sequence: u64, digest: Digest, replica: u8) -> Vote {
    let (view, sequence, replica) = (View(0), Sequence(sequence), ReplicaId(replica));
    let preimage = toy_domain().vote_preimage(phase, view, sequence, digest);
    Vote { view, sequence, digest, replica, signature: Keys::mock(replica).sign(&preimage) }
}

fn status(executed: u64) -> Status {
    Status { executed: Sequence(executed), ..Status::default() }
}

/// What the court says of a step of a replica.
fn judge(court: &mut Court, replica: u8, ready: &Ready, status: &Status) -> Option<Check> {
    let step = Step { replica: ReplicaId(replica), now_ms: 1000, ready, status };
    court.step(&step).err().map(|violation| violation.check)
}

fn decided(slots: Vec<Decided>) -> Ready {
    Ready { decided: slots, ..Ready::default() }
}

#[test]
fn sound_history_passes() {
    let mut court = court();
    for replica in 0..4 {
        assert_eq!(judge(&mut court, replica, &decided(vec![slot(1, 5000, &[5, 5, 5])]), &status(1)), None);
    }
    assert_eq!(court.decided(), 1);
}

#[test]
fn second_decision_of_a_slot_is_s1() {
    let mut court = court();
    judge(&mut court, 0, &decided(vec![slot(1, 5000, &[5, 5, 5])]), &status(1));
    let other = decided(vec![slot(1, 5001, &[5, 5, 5])]);
    assert_eq!(judge(&mut court, 1, &other, &status(1)), Some(Check::S1));
}

#[test]
fn second_signature_for_a_slot_is_s2_and_so_is_one_that_is_not_stored() {
    let mut court = court();
    let send = |digest: &[u8]| {
        let vote = vote(MessageType::Prepare, 1, Digest::of(digest), 1);
        Ready { send: vec![(Recipients::All, Message::Prepare(vote))], ..Ready::default() }
    };
    assert_eq!(judge(&mut court, 1, &send(b"one"), &status(0)), Some(Check::S2), "not stored");
    court.sent(ReplicaId(1), &send(b"one"));
    assert_eq!(judge(&mut court, 1, &send(b"two"), &status(0)), Some(Check::S2));
}

#[test]
fn leaf_that_does_not_follow_from_the_evidence_is_s3() {
    let mut lie = slot(1, 5000, &[5, 5, 5]);
    let honest = slot(1, 5000, &[9, 9, 9]);
    lie.header.leaves_root = honest.header.leaves_root;
    let lie = certified(lie.header, honest.leaves, (*lie.evidence).clone());
    assert_eq!(judge(&mut court(), 0, &decided(vec![lie]), &status(1)), Some(Check::S3));
}

#[test]
fn observation_that_its_prefix_used_is_s3() {
    let mut court = court();
    let first = slot(1, 5000, &[5, 5, 5]);
    let mut again = slot(2, 5000, &[5, 5, 5]);
    again.header.prefix_sequence = Sequence(1);
    again.header.prefix_digest = first.header.extend_history(Digest::ZERO);
    let again = certified(again.header.clone(), again.leaves.clone(), (*again.evidence).clone());
    assert_eq!(judge(&mut court, 0, &decided(vec![first, again]), &status(2)), Some(Check::S3));
}

#[test]
fn certificate_of_fewer_than_a_quorum_is_s4() {
    let mut short = slot(1, 5000, &[5, 5, 5]);
    short.signers = [ReplicaId(0), ReplicaId(1)].into_iter().collect();
    short.signatures.pop();
    assert_eq!(judge(&mut court(), 0, &decided(vec![short]), &status(1)), Some(Check::S4));
}

#[test]
fn second_certificate_for_a_slot_is_s4_whoever_shows_it() {
    let mut court = court();
    let show = |decided: Decided| {
        let (digest, sequence) = (decided.header.digest(), decided.header.sequence);
        let (view, signers, signatures) = (decided.view, decided.signers, decided.signatures);
        let certificate = CommitCertificate { view, sequence, digest, signers, signatures };
        Message::Slot(DecidedSlot { header: decided.header, batch: decided.evidence, certificate })
    };
    assert!(court.hear(1, &show(slot(1, 5000, &[5, 5, 5]))).is_ok());
    let second = court.hear(2, &show(slot(1, 5001, &[5, 5, 5])));
    assert!(second.is_err_and(|violation| violation.check == Check::S4));
}

#[test]
fn gap_is_s5_and_so_is_a_status_that_says_more() {
    let gap = decided(vec![slot(2, 5000, &[5, 5, 5])]);
    assert_eq!(judge(&mut court(), 0, &gap, &status(2)), Some(Check::S5));
    assert_eq!(judge(&mut court(), 0, &Ready::default(), &status(3)), Some(Check::S5));
}

#[test]
fn second_state_after_a_slot_is_s6() {
    let mut court = court();
    let checkpoint = |replica: u8, digest: &[u8]| {
        let (sequence, digest, replica) = (Sequence(4), Digest::of(digest), ReplicaId(replica));
        let vote = CheckpointVote { sequence, digest, replica, signature: Signature([0; 64]) };
        Ready { persist: vec![Record::OwnCheckpoint(vote)], ..Ready::default() }
    };
    assert_eq!(judge(&mut court, 0, &checkpoint(0, b"one"), &status(0)), None);
    assert_eq!(judge(&mut court, 1, &checkpoint(1, b"two"), &status(0)), Some(Check::S6));
}

#[test]
fn mark_above_what_is_executed_or_a_view_that_goes_back_is_s7() {
    let mut first = court();
    let above = Status { stable: Sequence(4), ..status(0) };
    assert_eq!(judge(&mut first, 0, &Ready::default(), &above), Some(Check::S7));
    let mut second = court();
    let ahead = Status { view: View(3), ..status(0) };
    assert_eq!(judge(&mut second, 0, &Ready::default(), &ahead), None);
    assert_eq!(judge(&mut second, 0, &Ready::default(), &status(0)), Some(Check::S7));
}

#[test]
fn more_slots_than_windows_or_a_deadline_that_is_over_is_s8() {
    let many = Status { slots: 100_000, ..status(0) };
    assert_eq!(judge(&mut court(), 0, &Ready::default(), &many), Some(Check::S8));
    let past = Ready { deadline: Some(1000), ..Ready::default() };
    assert_eq!(judge(&mut court(), 0, &past, &status(0)), Some(Check::S8));
}

#[test]
fn proof_against_an_honest_replica_is_s9_and_against_a_liar_is_not() {
    let phase = MessageType::Prepare;
    let of = |digest: &[u8]| SignedVote { phase, vote: vote(phase, 1, Digest::of(digest), 2) };
    let fault = Fault::Equivocation { first: of(b"one"), second: of(b"two") };
    let accused = Ready { faults: vec![fault], ..Ready::default() };
    let mut strict = court();
    assert_eq!(judge(&mut strict, 0, &accused, &status(0)), Some(Check::S9));
    strict.laws.honest = [ReplicaId(0)].into_iter().collect();
    assert_eq!(judge(&mut strict, 0, &accused, &status(0)), None);
}

#[test]
fn value_that_no_honest_replica_saw_is_s10() {
    let lie = decided(vec![slot(1, 5000, &[9, 9, 9])]);
    assert_eq!(judge(&mut court(), 0, &lie, &status(1)), Some(Check::S10));
}

#[test]
fn fetched_state_may_skip_slots_and_nothing_else_may() {
    let mut court = court();
    let interval = court.laws.parameters.checkpoint_interval;
    let certificate = CheckpointCertificate {
        sequence: Sequence(interval),
        digest: Digest::of(b"state"),
        signers: ReplicaSet::EMPTY,
        signatures: Vec::new(),
    };
    let (cluster_digest, me) = (toy_domain().cluster_id, ReplicaId(0));
    let stable = Record::Stable { cluster_digest, me, voter: true, certificate, state: Arc::default() };
    let taken = Ready { persist: vec![stable], ..Ready::default() };
    assert_eq!(judge(&mut court, 0, &taken, &status(interval)), None);
}

fn changing(replica: u8, view: u64, slots: Vec<SlotClaim>) -> Arc<ViewChange> {
    let (replica, signature) = (ReplicaId(replica), Signature([0; 64]));
    let change = ViewChange { view: View(view), replica, stable: None, decided: None, slots, signature };
    Arc::new(change.sign(&toy_domain(), &Keys::mock(replica)))
}

/// The vote for a digest of slot 1 in a view.
fn voted(view: u64, digest: Digest) -> Vec<SlotClaim> {
    let (view, sequence) = (View(view), Sequence(1));
    let primary = Keys::mock(ReplicaId(view.0 as u8 % 4));
    let preimage = toy_domain().vote_preimage(MessageType::PrePrepare, view, sequence, digest);
    let voted = Voted { view, digest, signature: primary.sign(&preimage) };
    vec![SlotClaim { sequence, prepared: None, voted: Some(voted) }]
}

/// What the primary of view 2 begins it with, and the record of that.
fn new_view(changes: Vec<Arc<ViewChange>>, digests: &[Digest]) -> Ready {
    let (view, keys) = (View(2), Keys::mock(ReplicaId(2)));
    let proposal = |(sequence, digest): (u64, &Digest)| {
        let preimage = toy_domain().vote_preimage(MessageType::PrePrepare, view, Sequence(sequence), *digest);
        (*digest, keys.sign(&preimage))
    };
    let new_view = NewView {
        view,
        view_changes: changes.iter().map(|change| (change.replica, change.digest())).collect(),
        proposals: (1..).zip(digests).map(proposal).collect(),
        signature: Signature([0; 64]),
    };
    let new_view = Arc::new(new_view.resign(&toy_domain(), &keys));
    let entered = Record::Entered { new_view: new_view.clone(), view_changes: changes };
    Ready {
        persist: vec![entered],
        send: vec![(Recipients::All, Message::NewView(new_view))],
        ..Ready::default()
    }
}

#[test]
fn new_view_that_follows_from_its_view_changes_passes_and_no_other_is_s11() {
    let a = Digest::of(b"a");
    let changes = || vec![changing(0, 2, voted(0, a)), changing(1, 2, voted(1, a)), changing(2, 2, vec![])];
    let one_more = || changes().into_iter().chain([changing(3, 2, vec![])]).collect::<Vec<_>>();
    let verdict = |ready: &Ready| judge(&mut court(), 2, ready, &status(0));
    assert_eq!(verdict(&new_view(changes(), &[a])), None);
    assert_eq!(verdict(&new_view(changes(), &[])), Some(Check::S11), "votes of two views count together");
    assert_eq!(verdict(&new_view(changes(), &[Digest::of(b"b")])), Some(Check::S11), "another digest");
    assert_eq!(verdict(&new_view(changes(), &[a, a])), Some(Check::S11), "a proposal too many");
    assert_eq!(verdict(&new_view(one_more(), &[a])), Some(Check::S11), "a view change too many");
    assert_eq!(verdict(&new_view(changes()[..2].to_vec(), &[a])), Some(Check::S11), "one too few");
    let unproven = vec![changing(0, 2, voted(2, a)), changing(1, 2, voted(1, a)), changing(2, 2, vec![])];
    assert_eq!(verdict(&new_view(unproven, &[a])), Some(Check::S11), "a vote of the view itself");
}

#[test]
fn vote_in_a_view_below_a_view_change_is_s2_also_after_the_disk_was_lost() {
    let give_up =
        || Ready { persist: vec![Record::ViewChanging(changing(1, 2, vec![]))], ..Ready::default() };
    let vote = || {
        let (vote, (signers, signatures)) =
            (vote(MessageType::Commit, 1, Digest::of(b"one"), 1), Default::default());
        Ready {
            persist: vec![Record::Committed { vote, proof: Proof::Commits { signers, signatures } }],
            send: vec![(Recipients::All, Message::Commit(vote))],
            ..Ready::default()
        }
    };
    let mut sound = court();
    assert_eq!(judge(&mut sound, 1, &vote(), &status(0)), None);
    assert_eq!(judge(&mut sound, 1, &give_up(), &status(0)), None);
    assert_eq!(judge(&mut sound, 1, &vote(), &status(0)), None, "what was stored before may be sent again");
    sound.lost_disk(ReplicaId(1));
    assert_eq!(judge(&mut sound, 1, &vote(), &status(0)), Some(Check::S2), "nobody remembers it");
    let mut other = court();
    judge(&mut other, 1, &give_up(), &status(0));
    assert_eq!(judge(&mut other, 1, &vote(), &status(0)), Some(Check::S2));
}

#[test]
fn view_change_that_was_sent_may_be_handed_on_after_the_disk_was_lost_and_no_other() {
    let say = |stored: bool| {
        let change = changing(1, 2, vec![]);
        let persist = if stored { vec![Record::ViewChanging(change.clone())] } else { Vec::new() };
        Ready { persist, send: vec![(Recipients::All, Message::ViewChange(change))], ..Ready::default() }
    };
    let mut sound = court();
    assert_eq!(judge(&mut sound, 1, &say(true), &status(0)), None);
    sound.lost_disk(ReplicaId(1));
    assert_eq!(judge(&mut sound, 1, &say(false), &status(0)), None, "others gave it back");
    assert_eq!(judge(&mut court(), 1, &say(false), &status(0)), Some(Check::S2), "nobody had it");
}

#[test]
fn second_proposal_for_what_a_new_view_fixed_is_s2() {
    let a = Digest::of(b"a");
    let changes = vec![changing(0, 2, voted(0, a)), changing(1, 2, voted(0, a)), changing(2, 2, vec![])];
    let mut court = court();
    assert_eq!(judge(&mut court, 2, &new_view(changes, &[a]), &status(0)), None);
    let header = slot(1, 5000, &[5, 5, 5]).header;
    let preimage = toy_domain().vote_preimage(MessageType::PrePrepare, View(2), Sequence(1), header.digest());
    let signature = Keys::mock(ReplicaId(2)).sign(&preimage);
    let proposal = PrePrepare { view: View(2), header, signature, batch: Arc::default() };
    let second = Ready {
        persist: vec![Record::Accepted { proposal: proposal.clone(), prepare: None }],
        send: vec![(Recipients::All, Message::PrePrepare(proposal))],
        ..Ready::default()
    };
    assert_eq!(judge(&mut court, 2, &second, &status(0)), Some(Check::S2));
}

#[test]
fn what_is_long_over_is_forgotten_and_the_rest_is_not() {
    let mut court = court();
    judge(&mut court, 0, &decided(vec![slot(1, 5000, &[5, 5, 5])]), &status(1));
    court.forget(1, 0);
    let other = || decided(vec![slot(1, 5001, &[5, 5, 5])]);
    assert_eq!(judge(&mut court, 1, &other(), &status(1)), Some(Check::S1));
    court.forget(2, 0);
    assert_eq!(judge(&mut court, 2, &other(), &status(1)), None);
}
