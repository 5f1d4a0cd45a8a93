//! As primary proposes up to three batches for a slot, each sound in itself, to different peers; and commits whatever any of them prepares.

use std::collections::BTreeMap;
use std::sync::Arc;

use certificate::{MessageType, ReplicaId, Sequence, View, merkle};
use pbft::{Item, Message, Observation, PrePrepare, SignedObservations};

use super::{Adversary, Liar, Said};
use crate::application::Sight;

#[derive(Default)]
pub(super) struct Equivocate {
    /// The proposals for a slot, and which of them each peer gets.
    versions: BTreeMap<(View, Sequence), (Vec<PrePrepare>, u64)>,
}

impl Adversary for Equivocate {
    fn speak(&mut self, liar: &mut Liar<'_>, (to, message, delay): Said) -> Vec<Said> {
        let Message::PrePrepare(proposal) = &message else { return vec![(to, message, delay)] };
        if !liar.leads(proposal.view) || proposal.batch.operations.is_empty() {
            return vec![(to, message, delay)];
        }
        let (versions, assignment) =
            self.versions.entry((proposal.view, proposal.header.sequence)).or_insert_with(|| {
                let count = liar.pick.choose(&[1, 2, 2, 2, 3]);
                let others = (1..count).filter_map(|version| other(liar, proposal, version as u8));
                let versions = [proposal.clone()].into_iter().chain(others).collect();
                (versions, liar.pick.any())
            });
        let which = (*assignment >> (2 * (u64::from(to.0) % 32))) as usize % versions.len();
        let mut said = vec![(to, Message::PrePrepare(versions[which].clone()), delay)];
        if liar.pick.percent(10) {
            let second = versions[(which + 1) % versions.len()].clone();
            said.push((to, Message::PrePrepare(second), delay));
        }
        said
    }

    fn hear(&mut self, liar: &mut Liar<'_>, from: ReplicaId, message: &Message) -> bool {
        if let Message::Prepare(vote) = message
            && let Some((versions, _)) = self.versions.get(&(vote.view, vote.sequence))
            && versions.iter().any(|version| version.header.digest() == vote.digest)
        {
            let commit = liar.vote(MessageType::Commit, vote.view, vote.sequence, vote.digest);
            liar.say(from, Message::Commit(commit));
        }
        true
    }
}

/// The proposal with another observation of the liar's own: another evidence root, and perhaps another leaf.
fn other(liar: &Liar<'_>, proposal: &PrePrepare, version: u8) -> Option<PrePrepare> {
    let mut batch = (*proposal.batch).clone();
    let (me, time_ms) = (liar.me(), proposal.header.time_ms);
    batch.sets.retain(|set| set.replica != me);
    let seen = |operation: &pbft::Operation| {
        let others = batch.sets.iter().flat_map(|set| &set.items).find_map(|item| match item {
            Item::Full(observation) if observation.operation == *operation => {
                liar.judge.sight(&observation.payload)
            }
            _ => None,
        });
        let value = others.map_or(1, |sight| sight.value).wrapping_add(version - 1).min(250);
        let sight = Sight { value, ttl: 60 + u32::from(version) };
        let payload = liar.judge.payload(me, operation, sight);
        Observation { operation: operation.clone(), after: liar.status.executed, time_ms, payload }
    };
    let observations: Vec<Observation> = batch.operations.iter().take(16).map(seen).collect();
    batch.sets.push(SignedObservations::sign(me, observations, &liar.parameters.domain, liar.keys));
    batch.sets.sort_by_key(|set| (set.replica, set.signature));
    let mut header = proposal.header.clone();
    let times = |batch: &pbft::Batch| {
        let observations = batch.observations();
        let mut times: Vec<u64> = observations.iter().flatten().map(|counted| counted.time_ms).collect();
        times.sort_unstable();
        times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or(0)
    };
    // The log's time is not before the prefix's, which is the header's own unless the median is later.
    let floor_ms = if times(&proposal.batch) < header.time_ms { header.time_ms } else { 0 };
    header.time_ms = times(&batch).max(floor_ms);
    header.leaves_root = merkle::root(&batch.decide(liar.judge).ok()?);
    header.observations_root = merkle::root(&batch.evidence_leaves().ok()?);
    Some(liar.sign_proposal(PrePrepare { header, batch: Arc::new(batch), ..proposal.clone() }))
}
