//! Who was seen to agree with whom: a graph of the replicas, n by n, whose edges say how often two of them stood behind the same decided slots.
//!
//! An edge is this replica's view. It is for people, who find in it the replica that goes its own way, or two that always do so together; nothing is decided by it.

use certificate::{ReplicaId, ReplicaSet, Replicas};

/// An edge of which nothing is known.
pub const TRUST_PRIOR: f64 = 0.5;

/// The weight of one slot in an edge.
const SLOT_WEIGHT: f32 = 0.02;

/// For each two replicas how often they agreed, lately: 0 never, 1 always.
#[derive(Clone, PartialEq, Debug)]
pub struct TrustGraph {
    replicas: Replicas,
    edges: Vec<f32>,
}

impl TrustGraph {
    /// Nothing is known.
    pub(crate) fn new(replicas: Replicas) -> TrustGraph {
        let count = replicas.count();
        TrustGraph { replicas, edges: vec![TRUST_PRIOR as f32; count * (count - 1) / 2] }
    }

    /// The place of an edge; `None` of a replica to itself, or to none.
    fn place(&self, one: ReplicaId, other: ReplicaId) -> Option<usize> {
        let (low, high) = (usize::from(one.0.min(other.0)), usize::from(one.0.max(other.0)));
        (low < high && high < self.replicas.count()).then(|| high * (high - 1) / 2 + low)
    }

    /// How often the two agreed, 0 to 1; 1 of a replica with itself, 0 with none.
    pub fn edge(&self, one: ReplicaId, other: ReplicaId) -> f64 {
        match self.place(one, other) {
            Some(place) => f64::from(self.edges[place]),
            None => f64::from(u8::from(one == other && self.replicas.contains(one))),
        }
    }

    /// Every two replicas with their edge, lowest first.
    pub fn edges(&self) -> impl Iterator<Item = (ReplicaId, ReplicaId, f64)> {
        let all = (1..self.replicas.count() as u8).flat_map(|high| (0..high).map(move |low| (low, high)));
        all.zip(&self.edges).map(|((low, high), edge)| (ReplicaId(low), ReplicaId(high), f64::from(*edge)))
    }

    /// How much the others agreed with a replica: the mean of its edges.
    pub fn standing(&self, replica: ReplicaId) -> f64 {
        let others = self.replicas.ids().filter(|other| *other != replica);
        others.map(|other| self.edge(replica, other)).sum::<f64>() / (self.replicas.count() - 1) as f64
    }

    /// A slot was decided: of those that were there, these stood behind it.
    pub(crate) fn slot(&mut self, present: ReplicaSet, voted: ReplicaSet) {
        let mut place = 0;
        for high in 1..self.replicas.count() as u8 {
            for low in 0..high {
                let both = |set: ReplicaSet| set.contains(ReplicaId(low)) && set.contains(ReplicaId(high));
                if both(present) {
                    let agreed = f32::from(u8::from(both(voted)));
                    let edge = &mut self.edges[place];
                    *edge += (agreed - *edge) * SLOT_WEIGHT;
                }
                place += 1;
            }
        }
    }

    /// A replica contradicted itself: whom it agreed with says nothing.
    pub(crate) fn break_with(&mut self, replica: ReplicaId) {
        for other in self.replicas.ids() {
            self.set(replica, other, 0.0);
        }
    }

    /// Edges fade towards what nothing is known of; `left` is the part that stays.
    pub(crate) fn fade(&mut self, left: f64) {
        let prior = TRUST_PRIOR as f32;
        self.edges.iter_mut().for_each(|edge| *edge = prior + (*edge - prior) * left as f32);
    }

    pub(crate) fn set(&mut self, one: ReplicaId, other: ReplicaId, edge: f32) {
        if let Some(place) = self.place(one, other) {
            self.edges[place] = edge;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> TrustGraph {
        TrustGraph::new(Replicas::new(4, 1).unwrap())
    }

    fn set(ids: &[u8]) -> ReplicaSet {
        ids.iter().map(|id| ReplicaId(*id)).collect()
    }

    #[test]
    fn those_who_vote_together_grow_close() {
        let mut graph = graph();
        (0..300).for_each(|_| graph.slot(set(&[0, 1, 2, 3]), set(&[0, 1, 2])));
        assert!(graph.edge(ReplicaId(0), ReplicaId(2)) > 0.99);
        assert!(graph.edge(ReplicaId(3), ReplicaId(0)) < 0.01);
        assert!(graph.standing(ReplicaId(0)) > graph.standing(ReplicaId(3)));
        assert_eq!(graph.edge(ReplicaId(1), ReplicaId(2)), graph.edge(ReplicaId(2), ReplicaId(1)));
    }

    #[test]
    fn absent_replica_keeps_its_edges() {
        let mut graph = graph();
        (0..300).for_each(|_| graph.slot(set(&[0, 1, 2]), set(&[0, 1, 2])));
        assert_eq!(graph.edge(ReplicaId(0), ReplicaId(3)), TRUST_PRIOR);
    }

    #[test]
    fn edges_fade_towards_the_prior() {
        let mut graph = graph();
        graph.break_with(ReplicaId(2));
        graph.fade(0.5);
        assert_eq!(graph.edge(ReplicaId(2), ReplicaId(3)), TRUST_PRIOR / 2.0);
        assert_eq!(graph.edge(ReplicaId(0), ReplicaId(1)), TRUST_PRIOR);
    }

    #[test]
    fn strangers_have_no_edges() {
        let mut graph = graph();
        graph.set(ReplicaId(0), ReplicaId(200), 1.0);
        assert_eq!(graph.edge(ReplicaId(0), ReplicaId(200)), 0.0);
        assert_eq!(graph.edge(ReplicaId(200), ReplicaId(200)), 0.0);
        assert_eq!(graph.edge(ReplicaId(1), ReplicaId(1)), 1.0);
        assert_eq!(graph.edges().count(), 6);
    }
}
