//! Restart from the records: cut the stream wherever a crash can, and hold what comes back to what was signed before.

use std::collections::BTreeMap;

use certificate::codec::{Decode, Encode};
use certificate::{Digest, MessageType, ReplicaId, Sequence};

use super::bench::*;
use super::cluster::*;
use super::toy::*;
use crate::*;

/// What a replica stored and signed, in order: each signed message stands behind the record that vouches for it.
pub struct Transcript {
    pub parameters: Parameters,
    pub records: Vec<Record>,
    /// Number of records that must be on disk before the message counts as sent, and the message.
    pub signed: Vec<(usize, Message)>,
}

impl Transcript {
    pub fn note(&mut self, ready: &Ready) {
        let base = self.records.len();
        self.records.extend(ready.persist.iter().cloned());
        for (_, message) in &ready.send {
            let Some((phase, vote)) = own_vote(message) else { continue };
            let vouches = |record: &Record| match record {
                Record::Accepted { proposal, prepare: Some(own) } => {
                    phase == MessageType::Prepare && *own == vote && proposal.header.digest() == own.digest
                }
                Record::Accepted { proposal, prepare: None } => {
                    phase == MessageType::PrePrepare && proposal.signature == vote.signature
                }
                Record::Committed { vote: own, .. } => phase == MessageType::Commit && *own == vote,
                Record::OwnCheckpoint(own) => {
                    phase == MessageType::Checkpoint && own.signature == vote.signature
                }
                _ => false,
            };
            let place = self.records[base..].iter().position(vouches);
            let place = place.map(|place| base + place + 1).unwrap_or(self.records.len());
            self.signed.push((place, message.clone()));
        }
    }

    pub fn restore(&self, cut: usize) -> Result<Replica<Toy, ToyKeys>, RestoreError> {
        let toy = Toy { quorum: self.parameters.replicas.quorum() };
        let me = self.parameters.me.0;
        let records =
            self.records[..cut].iter().map(|record| Record::from_bytes(&record.to_bytes()).unwrap());
        Replica::restore(self.parameters.clone(), toy, ToyKeys::of(me), records)
    }

    /// The messages that count as sent when only the first `cut` records are on disk.
    fn sent_by(&self, cut: usize) -> BTreeMap<(MessageType, u64, Sequence), Message> {
        let sent = self.signed.iter().filter(|(needs, _)| *needs <= cut);
        sent.filter_map(|(_, message)| {
            own_vote(message).map(|(phase, vote)| ((phase, vote.view.0, vote.sequence), message.clone()))
        })
        .collect()
    }
}

/// Six slots with two in flight at the end, over a checkpoint; replica `me` of four.
fn transcript(me: u8) -> Transcript {
    let parameters = tiny(parameters(me, 4, 1));
    let mut bench = Bench::with(parameters.clone());
    let mut transcript = Transcript {
        parameters: parameters.clone(),
        records: vec![genesis(&parameters)],
        signed: Vec::new(),
    };
    let hear = |bench: &mut Bench, transcript: &mut Transcript, from: u8, message: Message| {
        let ready = bench.hear(from, message);
        transcript.note(&ready);
        ready
    };
    for number in 1..=8u64 {
        let proposal = if me == 0 {
            let mut proposed = None;
            for from in [1, 2, 3] {
                let set = bench.observed(from, number, b"seen");
                let ready = hear(&mut bench, &mut transcript, from, Message::Observe(set));
                proposed = proposed.or(ready.persist.iter().find_map(|record| match record {
                    Record::Accepted { proposal, .. } => Some(proposal.clone()),
                    _ => None,
                }));
            }
            let ready = bench.wait(2);
            transcript.note(&ready);
            proposed
                .or(ready.persist.iter().find_map(|record| match record {
                    Record::Accepted { proposal, .. } => Some(proposal.clone()),
                    _ => None,
                }))
                .expect("the primary proposes")
        } else {
            let proposal = bench.proposal(number);
            hear(&mut bench, &mut transcript, 0, Message::PrePrepare(proposal.clone()));
            proposal
        };
        let (sequence, digest) = (proposal.header.sequence.0, proposal.header.digest());
        let others = [0, 1, 2, 3].into_iter().filter(|id| *id != me);
        if number == 8 {
            break;
        }
        for from in others.clone().filter(|id| *id != 0) {
            let vote = vote(MessageType::Prepare, 0, sequence, digest, from);
            hear(&mut bench, &mut transcript, from, Message::Prepare(vote));
        }
        if number == 7 {
            continue;
        }
        for from in others.clone() {
            let vote = vote(MessageType::Commit, 0, sequence, digest, from);
            hear(&mut bench, &mut transcript, from, Message::Commit(vote));
        }
        bench.note(&proposal);
        if number == 4 {
            let votes: Vec<CheckpointVote> = others.map(|from| bench.checkpoint(from)).collect();
            for vote in votes {
                hear(&mut bench, &mut transcript, vote.replica.0, Message::Checkpoint(vote));
            }
        }
    }
    transcript
}

/// Everything that is signed in these steps agrees with what was sent.
fn assert_no_second_digest(
    sent: &BTreeMap<(MessageType, u64, Sequence), Message>,
    low: Sequence,
    steps: &[Ready],
    cut: usize,
) {
    for (_, message) in steps.iter().flat_map(|ready| &ready.send) {
        let Some((phase, vote)) = own_vote(message) else { continue };
        assert!(
            vote.sequence > low || phase == MessageType::Checkpoint,
            "cut {cut}: votes at or below {low}"
        );
        if let Some(before) = sent.get(&(phase, vote.view.0, vote.sequence)) {
            assert_eq!(message.to_bytes(), before.to_bytes(), "cut {cut}: {phase:?} {vote:?}");
        }
    }
}

#[test]
fn restart_at_every_record_signs_no_second_digest_whatever_the_primary_says() {
    let transcript = transcript(1);
    assert!(transcript.records.iter().any(|record| matches!(record, Record::Stable { .. })));
    for cut in 1..=transcript.records.len() {
        let replica = transcript.restore(cut).unwrap();
        let low = replica.status().stable;
        let mut bench = Bench::of(replica, transcript.parameters.clone());
        bench.log = bench.replica.log.clone();
        let mut steps = Vec::new();
        let next = bench.log.executed().0 + 1;
        for sequence in next..next + 3 {
            let batch = bench.batch_of(1000 + sequence, &[0, 1, 2, 3]);
            let other = bench.signed(0, bench.header_over(sequence, &batch), batch);
            let digest = other.header.digest();
            steps.push(bench.hear(0, Message::PrePrepare(other)));
            for from in [2, 3] {
                let vote = vote(MessageType::Prepare, 0, sequence, digest, from);
                steps.push(bench.hear(from, Message::Prepare(vote)));
            }
        }
        steps.push(bench.step(Event::Connected(ReplicaId(2))));
        steps.push(bench.wait(5000));
        assert_no_second_digest(&transcript.sent_by(cut), low, &steps, cut);
    }
}

#[test]
fn restart_of_the_primary_at_every_record_proposes_nothing_else_for_a_slot() {
    let transcript = transcript(0);
    for cut in 1..=transcript.records.len() {
        let replica = transcript.restore(cut).unwrap();
        let low = replica.status().stable;
        let mut bench = Bench::of(replica, transcript.parameters.clone());
        let mut steps = Vec::new();
        for number in 1000..1010 {
            for from in [1, 2, 3] {
                let set = bench.observed(from, number, b"other");
                steps.push(bench.hear(from, Message::Observe(set)));
            }
            steps.push(bench.wait(10));
        }
        assert_no_second_digest(&transcript.sent_by(cut), low, &steps, cut);
        let proposed = steps.iter().flat_map(|ready| sent(ready, MessageType::PrePrepare)).count();
        let open = replica_slots_in_flight(&bench);
        assert!(proposed > 0 || open == 3, "cut {cut}: a primary that comes back works");
    }
}

fn replica_slots_in_flight(bench: &Bench) -> u64 {
    let status = bench.replica.status();
    status.proposed.0 - status.executed.0
}

#[test]
fn restart_at_every_record_sends_the_open_votes_again_as_the_stored_bytes() {
    for me in [0, 1] {
        let transcript = transcript(me);
        for cut in 1..=transcript.records.len() {
            let mut replica = transcript.restore(cut).unwrap();
            let executed = replica.status().executed;
            let now = Now { wall_ms: WALL_MS + 9000, monotonic_ms: 9000 };
            let ready = replica.step(now, Event::Connected(ReplicaId(2)));
            let again: Vec<Vec<u8>> = ready.send.iter().map(|(_, message)| message.to_bytes()).collect();
            for ((phase, _, sequence), message) in transcript.sent_by(cut) {
                let open = sequence > executed && phase != MessageType::Checkpoint;
                if open {
                    assert!(again.contains(&message.to_bytes()), "cut {cut}: {phase:?} for slot {sequence}");
                }
            }
        }
    }
}

#[test]
fn restart_at_every_record_executes_what_was_decided_before_the_cut() {
    let transcript = transcript(1);
    for cut in 1..=transcript.records.len() {
        let decided = transcript.records[..cut].iter().filter_map(|record| match record {
            Record::Decided { certificate, .. } => Some(certificate.sequence),
            Record::Stable { certificate, .. } => Some(certificate.sequence),
            _ => None,
        });
        let executed = transcript.restore(cut).unwrap().status().executed;
        assert_eq!(executed, decided.max().unwrap_or_default(), "cut {cut}");
    }
}

#[test]
fn stable_checkpoint_makes_the_records_before_it_unnecessary() {
    let transcript = transcript(1);
    let stable =
        transcript.records.iter().position(|record| matches!(record, Record::Stable { .. })).unwrap();
    let whole = transcript.restore(transcript.records.len()).unwrap();
    let toy = Toy { quorum: 3 };
    let rest = transcript.records[stable..].iter().cloned();
    let cut = Replica::restore(transcript.parameters.clone(), toy.clone(), ToyKeys::of(1), rest).unwrap();
    assert_eq!(cut.status(), whole.status());
    assert_eq!(cut.log, whole.log);
    let leftover = transcript.records[stable - 2..].iter().cloned();
    let cut = Replica::restore(transcript.parameters.clone(), toy, ToyKeys::of(1), leftover).unwrap();
    assert_eq!(cut.status(), whole.status());
}

#[test]
fn checkpoint_that_was_not_stored_is_signed_after_the_restart() {
    let transcript = transcript(1);
    let own =
        transcript.records.iter().position(|record| matches!(record, Record::OwnCheckpoint(_))).unwrap();
    let mut replica = transcript.restore(own).unwrap();
    let ready = replica.step(Now { wall_ms: WALL_MS, monotonic_ms: 1 }, Event::Tick);
    assert_eq!(ready.persist, [transcript.records[own].clone()]);
    assert_eq!(sent(&ready, MessageType::Checkpoint).len(), 1);
}

#[test]
fn checkpoint_that_was_stored_is_not_stored_again() {
    let transcript = transcript(1);
    let own =
        transcript.records.iter().position(|record| matches!(record, Record::OwnCheckpoint(_))).unwrap();
    let mut replica = transcript.restore(own + 1).unwrap();
    let ready = replica.step(Now { wall_ms: WALL_MS, monotonic_ms: 1 }, Event::Connected(ReplicaId(2)));
    assert!(ready.persist.is_empty());
    assert_eq!(sent(&ready, MessageType::Checkpoint).len(), 1, "but it is sent again");
}

#[test]
fn second_digest_after_a_restart_is_still_evidence() {
    let mut bench = Bench::new(1);
    let (first, second) = (bench.proposal(7), bench.proposal(8));
    bench.hear(0, Message::PrePrepare(first));
    let parameters = bench.replica.parameters.clone();
    let records = std::iter::once(genesis(&parameters)).chain(bench.stored.clone());
    let restored = Replica::restore(parameters.clone(), Toy { quorum: 3 }, ToyKeys::of(1), records).unwrap();
    let mut bench = Bench::of(restored, parameters);
    let ready = bench.hear(0, Message::PrePrepare(second));
    assert!(matches!(ready.faults[..], [Fault::Equivocation { .. }]), "{:?}", ready.faults);
}

#[test]
fn without_its_log_a_replica_does_not_vote() {
    let transcript = transcript(1);
    assert_eq!(transcript.restore(0).err(), Some(RestoreError::NoGenesis));
    let parameters = transcript.parameters.clone();
    let rest = transcript.records[1..4].iter().cloned();
    let restored = Replica::restore(parameters, Toy { quorum: 3 }, ToyKeys::of(1), rest);
    assert_eq!(restored.err(), Some(RestoreError::NoGenesis));
}

#[test]
fn log_of_another_replica_or_cluster_file_is_refused() {
    let transcript = transcript(1);
    let records = || transcript.records.iter().cloned();
    let other = tiny(parameters(2, 4, 1));
    let restored = Replica::restore(other, Toy { quorum: 3 }, ToyKeys::of(2), records());
    assert!(matches!(restored.err(), Some(RestoreError::OtherLog { found: ReplicaId(1), .. })));
    let mut other = transcript.parameters.clone();
    other.cluster_digest = Digest::of(b"other file");
    let restored = Replica::restore(other, Toy { quorum: 3 }, ToyKeys::of(1), records());
    assert!(matches!(restored.err(), Some(RestoreError::OtherLog { .. })));
}

#[test]
fn log_with_two_digests_for_one_slot_is_refused() {
    let mut bench = Bench::new(1);
    let (first, second) = (bench.proposal(7), bench.proposal(8));
    bench.hear(0, Message::PrePrepare(first));
    let own = vote(MessageType::Prepare, 0, 1, second.header.digest(), 1);
    let genesis = genesis(&bench.replica.parameters);
    let mut records = vec![genesis];
    records.extend(bench.stored.clone());
    records.push(Record::Accepted { proposal: second, prepare: Some(own) });
    let parameters = bench.replica.parameters.clone();
    let restored = Replica::restore(parameters, Toy { quorum: 3 }, ToyKeys::of(1), records.into_iter());
    assert!(matches!(restored.err(), Some(RestoreError::Inconsistent { index: 2, .. })));
}

#[test]
fn restored_genesis_is_a_new_replica() {
    let parameters = parameters(1, 4, 1);
    let records = std::iter::once(genesis(&parameters));
    let restored = Replica::restore(parameters.clone(), Toy { quorum: 3 }, ToyKeys::of(1), records).unwrap();
    let new = Replica::new(parameters, Toy { quorum: 3 }, ToyKeys::of(1));
    assert_eq!(restored.status(), new.status());
}

#[test]
fn cluster_that_stopped_in_a_slot_for_an_hour_resumes() {
    for accepted_by in [0, 1] {
        let mut cluster = Cluster::calm(4, 1);
        for number in 0..3 {
            cluster.request(1, number);
            cluster.run_for(50);
        }
        cluster.request(1, 7);
        cluster.run_for(7);
        let late = if accepted_by == 0 { 1..4 } else { 2..4 };
        for other in late {
            cluster.cut.insert((0, other));
        }
        cluster.run_for(3);
        let in_flight = |cluster: &Cluster, id| cluster.status(id).proposed > cluster.status(id).executed;
        let holders = (0..4).filter(|id| in_flight(&cluster, *id)).count();
        assert_eq!(holders, 1 + accepted_by, "fewer than a quorum hold the proposal");
        (0..4).for_each(|id| cluster.crash(id, 0));
        cluster.cut.clear();
        cluster.now += 3_600_000;
        (0..4).for_each(|id| cluster.restart(id));
        cluster.run_for(500);
        assert!((0..4).all(|id| cluster.operations(id) == [0, 1, 2, 7]), "the slot is decided");
        cluster.request(2, 8);
        cluster.run_for(500);
        assert!((0..4).all(|id| cluster.operations(id).ends_with(&[8])), "and so is the next");
    }
}
