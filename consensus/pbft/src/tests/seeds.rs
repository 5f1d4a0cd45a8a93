//! Whole clusters over some seeds, `tests/sim` runs many more: loss, duplication, reordering, partitions, crashes, and up to f liars. Invariants after every step.

use std::sync::Arc;

use certificate::{Digest, MessageType, ReplicaId, Sequence, View};

use super::bench::{checkpoint, vote};
use super::cluster::*;
use super::toy::*;
use crate::*;

const SHAPES: [(u32, u32); 3] = [(4, 1), (5, 1), (7, 2)];

fn cluster_of(seed: u64, network: Network) -> Cluster {
    let (count, faults) = SHAPES[(seed / 2) as usize % SHAPES.len()];
    Cluster::new(seed, network, |id| {
        let parameters = parameters(id, count, faults);
        if seed.is_multiple_of(2) { tiny(parameters) } else { parameters }
    })
}

/// Loss, crashes with lost records, partitions; then peace, and everybody arrives at the same place.
fn storm(seed: u64) {
    let mut cluster = cluster_of(seed, ROUGH);
    let count = cluster.nodes.len();
    let mut pick = Random::new(seed + 1_000_000);
    for number in 0..40 {
        cluster.request(pick.below(count as u64) as usize, number);
        cluster.run_for(pick.below(30));
        let victim = pick.below(count as u64) as usize;
        match pick.below(20) {
            0 | 1 => cluster.crash(victim, pick.below(4) as usize),
            2 => cluster.cut_off(victim),
            3..=6 => cluster.heal(),
            7..=9 => (0..count).for_each(|id| cluster.restart(id)),
            _ => {}
        }
    }
    (0..count).for_each(|id| cluster.restart(id));
    cluster.heal();
    cluster.network = CALM;
    cluster.run_for(12_000);
    cluster.request(1, 1_000_000);
    cluster.run_for(1000);
    let executed: Vec<u64> = (0..count).map(|id| cluster.executed(id)).collect();
    assert!(executed.iter().all(|one| *one == executed[0]), "seed {seed}: {executed:?}");
    for id in 0..count {
        assert!(
            cluster.operations(id).contains(&1_000_000),
            "seed {seed}: node {id} resumes at {executed:?}"
        );
    }
}

#[test]
fn agreement_and_recovery_over_seeds_with_loss_partitions_and_restarts() {
    (0..40).for_each(storm);
}

/// What a liar may say with its own key about what it hears.
fn lie(cluster: &mut Cluster, liar: usize, pick: &mut Random, number: u64) {
    let count = cluster.nodes.len();
    let heard: Vec<(usize, usize, Message)> = cluster.to_liars.drain(..).collect();
    let me = liar as u8;
    for (_, _, message) in heard.into_iter().filter(|(_, to, _)| *to == liar) {
        let to = pick.below(count as u64) as usize;
        let (sequence, digest) = match &message {
            Message::PrePrepare(proposal) => (proposal.header.sequence.0, proposal.header.digest()),
            Message::Prepare(vote) | Message::Commit(vote) => (vote.sequence.0, vote.digest),
            Message::Observe(set) => {
                cluster.whisper(liar, to, &Message::Observe(set.clone()));
                continue;
            }
            _ => continue,
        };
        let digest = if pick.percent(50) { digest } else { Digest::of(&[pick.below(3) as u8]) };
        let view = if pick.percent(80) { 0 } else { pick.below(4) };
        let said = match pick.below(7) {
            0 => Message::Prepare(vote(MessageType::Prepare, view, sequence, digest, me)),
            1 => Message::Commit(vote(MessageType::Commit, view, sequence, digest, me)),
            2 => Message::Commit(Vote {
                replica: ReplicaId(to as u8),
                ..vote(MessageType::Commit, view, sequence, digest, me)
            }),
            3 => Message::Checkpoint(checkpoint(me, sequence - sequence % 4 + 4, digest)),
            4 => Message::Status(PeerStatus {
                view: View(view),
                executed: Sequence(sequence + 50),
                stable: Sequence(0),
                learner: false,
            }),
            5 => Message::Fetch { from: Sequence(sequence.saturating_sub(5)) },
            _ => message.clone(),
        };
        cluster.whisper(liar, to, &said);
    }
    let time_ms = WALL_MS + cluster.now + pick.below(20_000) - 10_000;
    for to in 0..count {
        let payload = vec![pick.below(4) as u8 + 1];
        let observation =
            Observation { operation: operation(number), after: Sequence(pick.below(9)), time_ms, payload };
        let set = SignedObservations::sign(ReplicaId(me), vec![observation], &domain(), &ToyKeys::of(me));
        if pick.percent(50) {
            cluster.whisper(liar, to, &Message::Observe(set));
        }
    }
}

#[test]
fn lying_backups_break_neither_agreement_nor_progress() {
    let network = Network { delay_ms: (1, 10), loss_percent: 0, duplicate_percent: 5, lookup_ms: (1, 20) };
    for seed in 0..40 {
        let mut cluster = cluster_of(seed, network);
        let count = cluster.nodes.len();
        let faults = cluster.nodes[0].parameters.replicas.faults();
        let liars: Vec<usize> = (count - faults..count).collect();
        cluster.liars.extend(&liars);
        let mut pick = Random::new(seed + 2_000_000);
        for number in 0..30 {
            cluster.request(pick.below((count - faults) as u64) as usize, number);
            for liar in &liars {
                lie(&mut cluster, *liar, &mut pick, number);
            }
            cluster.run_for(20);
        }
        cluster.run_for(3000);
        let all: Vec<usize> =
            (0..30).filter(|number| cluster.operations(0).contains(number)).map(|it| it as usize).collect();
        assert_eq!(all.len(), 30, "seed {seed}: decided {all:?}");
        let executed: Vec<u64> = (0..count - faults).map(|id| cluster.executed(id)).collect();
        assert!(executed.iter().all(|one| *one == executed[0]), "seed {seed}: {executed:?}");
    }
}

#[test]
fn equivocating_primary_never_makes_two_replicas_decide_differently() {
    let network = Network { delay_ms: (1, 10), loss_percent: 0, duplicate_percent: 5, lookup_ms: (1, 20) };
    let (mut decided, mut proven) = (0, 0);
    for seed in 0..40 {
        let mut cluster = Cluster::new(seed, network, |id| tiny(parameters(id, 4, 1)));
        cluster.liars.insert(0);
        let mut pick = Random::new(seed + 3_000_000);
        let mut bench = super::bench::Bench::with(tiny(parameters(0, 4, 1)));
        for sequence in 1..=8u64 {
            bench.now = cluster.now;
            let proposals: Vec<PrePrepare> =
                (0..2).map(|which| bench.proposal(sequence * 10 + which)).collect();
            let chosen = pick.below(2) as usize;
            for to in 1..4 {
                let one = if pick.percent(75) { chosen } else { 1 - chosen };
                cluster.whisper(0, to, &Message::PrePrepare(proposals[one].clone()));
                if pick.percent(20) {
                    cluster.whisper(0, to, &Message::PrePrepare(proposals[1 - one].clone()));
                }
                for proposal in &proposals {
                    let digest = proposal.header.digest();
                    if pick.percent(70) {
                        let commit = vote(MessageType::Commit, 0, sequence, digest, 0);
                        cluster.whisper(0, to, &Message::Commit(commit));
                    }
                }
            }
            cluster.run_for(700);
            let winner = (1..4).find_map(|id| {
                cluster.nodes[id].decided.iter().find(|it| it.header.sequence.0 == sequence).cloned()
            });
            let Some(winner) = winner else { break };
            decided += 1;
            let proposal = proposals.iter().find(|it| it.header == winner.header).expect("one of the two");
            assert_eq!(*proposal.batch, *Arc::clone(&winner.evidence));
            bench.note(proposal);
        }
        cluster.run_for(2000);
        let is_proof = |fault: &Fault| matches!(fault, Fault::Equivocation { .. });
        proven += (1..4).filter(|id| cluster.faults(*id).iter().any(is_proof)).count();
    }
    assert!(decided > 60 && proven > 30, "the test says something: {decided} decided, {proven} proven");
}
