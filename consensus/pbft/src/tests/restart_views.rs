//! Restart from the records of a run over three views and a checkpoint: cut wherever a crash can, in every role.

use std::collections::BTreeMap;

use certificate::codec::Encode;
use certificate::{Digest, MessageType, ReplicaId, Sequence, Signature, View};

use super::bench::*;
use super::catching_up::chunk_of;
use super::cluster::*;
use super::peers::*;
use super::restart::Transcript;
use super::toy::*;
use crate::*;

use MessageType::{Commit, PrePrepare as Proposal, Prepare};

/// A bench that notes everything it stores and signs.
struct Scribe {
    bench: Bench,
    transcript: Transcript,
}

impl Scribe {
    fn hear(&mut self, from: u8, message: Message) -> Ready {
        let ready = self.bench.hear(from, message);
        self.note(ready)
    }

    fn note(&mut self, ready: Ready) -> Ready {
        let base = self.transcript.records.len();
        self.transcript.note(&ready);
        for (_, message) in &ready.send {
            let vouches = |record: &Record| match (record, message) {
                (Record::ViewChanging(own), Message::ViewChange(said)) => own == said,
                (Record::Entered { new_view, .. }, Message::NewView(said)) => new_view == said,
                _ => false,
            };
            let own = matches!(message, Message::ViewChange(said) if said.replica == self.bench.replica.me());
            if own || matches!(message, Message::NewView(_)) {
                let place = self.transcript.records[base..].iter().position(vouches);
                let needs = place.map_or(self.transcript.records.len(), |place| base + place + 1);
                self.transcript.signed.push((needs, message.clone()));
            }
        }
        ready
    }

    fn others(&self) -> Vec<u8> {
        let me = self.bench.replica.me().0;
        (0..4).filter(|of| *of != me).collect()
    }

    /// The proposal for the next slot of a view, by whoever its primary is.
    fn proposed(&mut self, view: u64, number: u64) -> PrePrepare {
        let primary = four().primary(View(view));
        if primary != self.bench.replica.me() {
            let proposal = self.bench.proposal_in(view, number);
            self.hear(primary.0, Message::PrePrepare(proposal.clone()));
            return proposal;
        }
        let mut records = Vec::new();
        for from in self.others() {
            let set = self.bench.observed(from, number, b"seen");
            records.extend(self.hear(from, Message::Observe(set)).persist);
        }
        let ready = self.bench.wait(10);
        records.extend(self.note(ready).persist);
        let own = records.into_iter().find_map(|record| match record {
            Record::Accepted { proposal, prepare: None } if proposal.view == View(view) => Some(proposal),
            _ => None,
        });
        own.expect("the primary proposes")
    }

    fn prepare(&mut self, view: u64, sequence: u64, digest: Digest) {
        let primary = four().primary(View(view)).0;
        for from in self.others().into_iter().filter(|from| *from != primary) {
            self.hear(from, Message::Prepare(vote(Prepare, view, sequence, digest, from)));
        }
    }

    fn commit(&mut self, view: u64, sequence: u64, digest: Digest) {
        for from in self.others() {
            self.hear(from, Message::Commit(vote(Commit, view, sequence, digest, from)));
        }
    }

    /// The others move to a view with these claims, and this replica with them.
    fn change(&mut self, view: u64, stable: Option<CheckpointCertificate>, slots: Vec<SlotClaim>) {
        let primary = four().primary(View(view));
        let view_changes: Vec<ViewChange> = self
            .others()
            .into_iter()
            .map(|of| signed(ViewChange { stable: stable.clone(), ..claiming(of, view, slots.clone()) }))
            .collect();
        for one in &view_changes {
            self.hear(one.replica.0, Message::ViewChange(one.clone().into()));
        }
        if primary != self.bench.replica.me() {
            let named: Vec<&ViewChange> = view_changes.iter().collect();
            let new_view = begins(&self.bench.replica.parameters, view, &named);
            self.hear(primary.0, Message::NewView(new_view.into()));
        }
        let status = self.bench.replica.status();
        assert_eq!((status.view, status.standing), (View(view), Standing::Active));
    }
}

/// Slots 1 and 2 decided in view 0, 3 prepared; decided in view 1, and 4 with a checkpoint, 5 prepared; decided in view 2, and 6 voted for; on the
/// way to the next at the end.
fn over_views(me: u8) -> Transcript {
    let parameters = tiny(parameters(me, 4, 1));
    let records = vec![genesis(&parameters)];
    let transcript = Transcript { parameters: parameters.clone(), records, signed: Vec::new() };
    let mut run = Scribe { bench: Bench::with(parameters), transcript };
    let mut digests = vec![Digest::ZERO];
    for number in 1..=6u64 {
        let view = [0, 0, 0, 1, 1, 2][number as usize - 1];
        let proposal = run.proposed(view, number);
        let digest = proposal.header.digest();
        digests.push(digest);
        if number == 6 {
            break;
        }
        run.prepare(view, number, digest);
        if number == 3 {
            let slots = (1..=3).map(|it| claims_prepared(0, it, digests[it as usize])).collect();
            run.change(1, None, slots);
            run.prepare(1, 3, digest);
            run.commit(1, 3, digest);
        } else if number == 5 {
            let stable = chunk_of(&run.bench, 0, 0).certificate;
            run.change(2, Some(stable), vec![claims_prepared(1, 5, digest)]);
            run.prepare(2, 5, digest);
            run.commit(2, 5, digest);
        } else {
            run.commit(view, number, digest);
        }
        run.bench.note(&proposal);
        if number == 4 {
            for from in run.others() {
                let vote = run.bench.checkpoint(from);
                run.hear(from, Message::Checkpoint(vote));
            }
            assert_eq!(run.bench.replica.status().stable, Sequence(4));
        }
    }
    let last = if me == 0 { 5 } else { 4 };
    for of in run.others().into_iter().take(2) {
        run.hear(of, Message::ViewChange(gives_up(of, last).into()));
    }
    assert_eq!(run.bench.replica.status().standing, Standing::Changing);
    run.transcript
}

/// Where a signed message stands: its type, view and slot.
fn place_of(message: &Message) -> Option<(MessageType, View, Sequence)> {
    match message {
        Message::ViewChange(it) => Some((MessageType::ViewChange, it.view, Sequence(0))),
        Message::NewView(it) => Some((MessageType::NewView, it.view, Sequence(0))),
        _ => own_vote(message).map(|(phase, vote)| (phase, vote.view, vote.sequence)),
    }
}

type Said = BTreeMap<(MessageType, View, Sequence), Vec<u8>>;

fn said_by(transcript: &Transcript, cut: usize) -> Said {
    let said = transcript.signed.iter().filter(|(needs, _)| *needs <= cut);
    said.filter_map(|(_, message)| Some((place_of(message)?, message.to_bytes()))).collect()
}

/// The highest view that it promised, by VIEW-CHANGE or NEW-VIEW of its own or of another that it entered.
fn promised(transcript: &Transcript, cut: usize) -> View {
    let views = transcript.records[..cut].iter().map(|record| match record {
        Record::ViewChanging(it) => it.view,
        Record::Entered { new_view, .. } => new_view.view,
        _ => View(0),
    });
    views.max().unwrap_or_default()
}

fn restored(transcript: &Transcript, cut: usize) -> Bench {
    let replica = transcript.restore(cut).unwrap();
    let mut bench = Bench::of(replica, transcript.parameters.clone());
    bench.log = bench.replica.log.clone();
    bench
}

#[test]
fn every_record_of_the_run_is_of_some_kind_that_matters() {
    for me in 0..4 {
        let transcript = over_views(me);
        let count = |is: fn(&Record) -> bool| transcript.records.iter().filter(|it| is(it)).count();
        assert!(count(|it| matches!(it, Record::ViewChanging(_))) >= 3);
        assert!(count(|it| matches!(it, Record::Entered { .. })) >= 2);
        assert!(count(|it| matches!(it, Record::Committed { .. })) >= 5);
        assert_eq!(count(|it| matches!(it, Record::Stable { .. })), 1);
        let is_new_view = |(_, message): &&(usize, Message)| matches!(message, Message::NewView(_));
        let begun = transcript.signed.iter().filter(is_new_view).count();
        assert_eq!(begun > 0, me == 1 || me == 2, "both roles");
    }
}

#[test]
fn restart_at_every_record_stands_in_the_view_that_was_promised() {
    for me in 0..4 {
        let transcript = over_views(me);
        for cut in 1..=transcript.records.len() {
            let status = transcript.restore(cut).unwrap().status();
            let changing = transcript.records[..cut].iter().rev().find_map(|record| match record {
                Record::ViewChanging(_) => Some(Standing::Changing),
                Record::Entered { .. } => Some(Standing::Active),
                _ => None,
            });
            let expected = (promised(&transcript, cut), changing.unwrap_or(Standing::Active));
            assert_eq!((status.view, status.standing), expected, "replica {me}, cut {cut}");
        }
    }
}

#[test]
fn restart_at_every_record_signs_no_second_digest_and_nothing_below_the_promise() {
    for me in 0..4 {
        let transcript = over_views(me);
        for cut in 1..=transcript.records.len() {
            assert_signs_nothing_new(&transcript, cut);
        }
    }
}

/// A checkpoint stores what lives on once more. A crash leaves the beginning of that behind all that came before.
#[test]
fn restart_from_a_view_that_was_stored_again_signs_no_second_digest() {
    for me in 0..4 {
        let whole = over_views(me);
        for cut in 1..=whole.records.len() {
            let standing = whole.records[..cut]
                .iter()
                .rev()
                .find(|record| matches!(record, Record::ViewChanging(_) | Record::Entered { .. }));
            let Some(entered @ Record::Entered { .. }) = standing else { continue };
            let records = [&whole.records[..cut], std::slice::from_ref(entered)].concat();
            let signed = whole.signed.iter().filter(|(needs, _)| *needs <= cut).cloned().collect();
            let torn = Transcript { parameters: whole.parameters.clone(), records, signed };
            assert_signs_nothing_new(&torn, cut + 1);
        }
    }
}

/// Whatever the others propose, vote and observe after a restart from the records up to `cut`, nothing is signed a second time.
fn assert_signs_nothing_new(transcript: &Transcript, cut: usize) {
    let me = transcript.parameters.me.0;
    let mut bench = restored(transcript, cut);
    let (said, promised) = (said_by(transcript, cut), promised(transcript, cut));
    let mut steps = Vec::new();
    let others: Vec<u8> = (0..4).filter(|of| *of != me).collect();
    let next = bench.log.executed().0 + 1;
    for view in 0..=4 {
        for sequence in next..next + 3 {
            let batch = bench.batch_of(1000 + sequence, &[0, 1, 2, 3]);
            let other = bench.signed(view, bench.header_over(sequence, &batch), batch);
            let digest = other.header.digest();
            steps.push(bench.hear(four().primary(View(view)).0, Message::PrePrepare(other)));
            for from in &others {
                steps.push(bench.hear(*from, Message::Prepare(vote(Prepare, view, sequence, digest, *from))));
            }
        }
        for from in &others {
            steps.push(bench.hear_view_change(&gives_up(*from, view)));
        }
    }
    for number in 2000..2004 {
        for from in &others {
            let set = bench.observed(*from, number, b"other");
            steps.push(bench.hear(*from, Message::Observe(set)));
        }
    }
    steps.push(bench.step(Event::Connected(ReplicaId(others[0]))));
    steps.push(bench.wait(5000));
    for (_, message) in steps.iter().flat_map(|ready| &ready.send) {
        let Some(place) = place_of(message) else { continue };
        match said.get(&place) {
            Some(before) => {
                assert_eq!(*before, message.to_bytes(), "replica {me}, cut {cut}: {place:?}");
            }
            None if [Proposal, Prepare, Commit].contains(&place.0) => {
                assert!(place.1 >= promised, "replica {me}, cut {cut}: {place:?} below {promised}");
            }
            None => {}
        }
    }
}

#[test]
fn restart_at_every_record_claims_all_that_was_signed_in_the_next_view_change() {
    for me in 0..4 {
        let transcript = over_views(me);
        for cut in 1..=transcript.records.len() {
            let mut bench = restored(&transcript, cut);
            let mut own = Vec::new();
            for of in (0..4).filter(|of| *of != me).take(2) {
                own.extend(gave_up(&bench.hear_view_change(&gives_up(of, 8))));
            }
            let own = own.pop().expect("two others move to view 8");
            assert_eq!(own.check(&transcript.parameters, &ToyKeys::of(0)), Ok(()), "replica {me}, cut {cut}");
            let base = own.base(transcript.parameters.pipeline);
            for (needs, message) in &transcript.signed {
                let votes: Vec<(MessageType, Vote)> = match message {
                    _ if *needs > cut => Vec::new(),
                    Message::NewView(it) => {
                        it.votes(Sequence(base_of(it)), ReplicaId(me)).map(|vote| (Proposal, vote)).collect()
                    }
                    _ => own_vote(message).into_iter().collect(),
                };
                for (phase, vote) in votes.into_iter().filter(|(_, vote)| vote.sequence > base) {
                    let claim = own.claim(vote.sequence);
                    let claimed = match phase {
                        Proposal | Prepare => claim.voted,
                        Commit => claim.prepared,
                        _ => continue,
                    };
                    let same =
                        |(view, digest)| view > vote.view || (view, digest) == (vote.view, vote.digest);
                    assert!(
                        claimed.is_some_and(same),
                        "replica {me}, cut {cut}: {phase:?} {vote:?}, {claim:?}"
                    );
                }
            }
        }
    }
}

/// The base of the new views of the run: genesis, and the checkpoint.
fn base_of(new_view: &NewView) -> u64 {
    if new_view.view == View(1) { 0 } else { 4 }
}

#[test]
fn restart_while_the_view_changes_sends_the_stored_view_change_again() {
    for me in 0..4 {
        let transcript = over_views(me);
        for cut in 1..=transcript.records.len() {
            let Record::ViewChanging(own) = &transcript.records[cut - 1] else { continue };
            let mut bench = restored(&transcript, cut);
            let again = gave_up(&bench.wait(500));
            assert!(again.iter().all(|it| it == own), "replica {me}, cut {cut}");
            let relayed = bench.hear(0, Message::FetchViewChange { digest: own.digest() });
            let connected = bench.step(Event::Connected(ReplicaId(if me == 3 { 2 } else { 3 })));
            let told =
                |ready: &Ready| ready.send.iter().any(|(_, it)| *it == Message::ViewChange(own.clone()));
            assert!(!again.is_empty() || told(&relayed) || told(&connected), "replica {me}, cut {cut}");
        }
    }
}

#[test]
fn what_a_primary_signed_in_its_new_view_is_claimed_after_a_checkpoint_and_a_restart() {
    let mut bench = Bench::with(tiny(parameters(1, 4, 1)));
    for number in 1..=4 {
        let proposal = bench.proposal(number);
        bench.decide(&proposal);
    }
    let digest = Digest::of(b"a proposal that this replica never saw");
    let others = [2, 3].map(|of| claiming(of, 1, vec![claims_voted(0, 5, digest)]));
    bench.enter(1, &others);
    for of in [0, 2] {
        bench.hear_view_change(&gives_up(of, 2));
    }
    assert_eq!(bench.replica.status().standing, Standing::Changing);
    for of in [0, 2] {
        bench.hear(of, Message::Checkpoint(bench.checkpoint(of)));
    }
    assert_eq!(bench.replica.status().stable, Sequence(4));
    for mut bench in [bench.restarted(), bench.restarted().restarted(), bench] {
        let mut own = Vec::new();
        for of in [0, 2] {
            own.extend(gave_up(&bench.hear_view_change(&gives_up(of, 3))));
        }
        assert_eq!(own[0].claim(Sequence(5)).voted, Some((View(1), digest)));
    }
}

#[test]
fn log_that_goes_back_in_view_or_has_anothers_view_change_is_refused() {
    let transcript = over_views(1);
    let entered = transcript.records.iter().position(|it| matches!(it, Record::Entered { .. })).unwrap();
    let last = transcript.records.iter().rposition(|it| matches!(it, Record::Stable { .. })).unwrap();
    let mut records = transcript.records[..last].to_vec();
    records.push(Record::ViewChanging(gives_up(1, 3).into()));
    records.push(transcript.records[entered].clone());
    let restore = |records: Vec<Record>| {
        let toy = Toy { quorum: 3 };
        Replica::restore(transcript.parameters.clone(), toy, ToyKeys::of(1), records.into_iter()).err()
    };
    assert!(matches!(restore(records.clone()), Some(RestoreError::Inconsistent { .. })));
    records.pop();
    assert_eq!(restore(records.clone()), None);
    records.push(Record::ViewChanging(gives_up(2, 4).into()));
    assert!(matches!(restore(records), Some(RestoreError::Inconsistent { .. })));
    let mut forged = transcript.records[..=entered].to_vec();
    let Some(Record::Entered { new_view, .. }) = forged.last_mut() else { panic!("the last is a view") };
    let mut other = (**new_view).clone();
    other.proposals.push((Digest::ZERO, Signature([0; 64])));
    *new_view = other.into();
    assert!(matches!(restore(forged), Some(RestoreError::Inconsistent { .. })));
}
