//! In which order upstreams are asked. Pure: chance comes in as an argument.

use rand::Rng;
use rand::seq::SliceRandom;

/// How the order is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// Any order, drawn for each query.
    #[default]
    Random,
    /// Each query begins one further.
    RoundRobin,
    /// As in the Corefile.
    Sequential,
}

impl Policy {
    /// The order in which `count` upstreams are asked; `turn` counts queries.
    pub fn order(self, count: usize, turn: usize, random: &mut impl Rng) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        match self {
            Policy::Random => order.shuffle(random),
            Policy::RoundRobin if count > 0 => order.rotate_left(turn % count),
            Policy::RoundRobin | Policy::Sequential => {}
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn sequential_keeps_the_order_and_round_robin_turns_it() {
        let mut random = StdRng::seed_from_u64(1);
        assert_eq!(Policy::Sequential.order(3, 7, &mut random), [0, 1, 2]);
        assert_eq!(Policy::RoundRobin.order(3, 0, &mut random), [0, 1, 2]);
        assert_eq!(Policy::RoundRobin.order(3, 4, &mut random), [1, 2, 0]);
    }

    #[test]
    fn random_draws_every_order() {
        let mut random = StdRng::seed_from_u64(1);
        let orders: HashSet<_> = (0..100).map(|_| Policy::Random.order(3, 0, &mut random)).collect();
        assert_eq!(orders.len(), 6);
    }
}
