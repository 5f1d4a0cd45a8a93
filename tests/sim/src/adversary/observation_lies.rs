//! Signs observations of what it did not see: another value, no TTL or an endless one, another time, none at all, or another to each peer.

use pbft::{Item, Message, SignedObservations};

use super::{Adversary, Liar, Said};
use crate::application::Sight;
use crate::random::Random;

pub(super) struct ObservationLies {
    lie: Lie,
}

#[derive(Clone, Copy)]
enum Lie {
    Value,
    NoTtl,
    EndlessTtl,
    Never,
    Time(i64),
    ByPeer,
}

impl ObservationLies {
    pub(super) fn draw(pick: &mut Random) -> ObservationLies {
        let lies = [
            Lie::Value,
            Lie::NoTtl,
            Lie::EndlessTtl,
            Lie::Never,
            Lie::Time(-3_600_000),
            Lie::Time(3_600_000),
            Lie::Time(-11_000),
            Lie::Time(-9_500),
            Lie::Time(9_500),
            Lie::Time(30_000),
            Lie::ByPeer,
            Lie::ByPeer,
        ];
        ObservationLies { lie: pick.choose(&lies) }
    }
}

impl Adversary for ObservationLies {
    fn see(&mut self, _: &mut Liar<'_>, sight: Sight) -> Option<Sight> {
        match self.lie {
            Lie::Value => Some(Sight { value: 200, ..sight }),
            Lie::NoTtl => Some(Sight { ttl: 0, ..sight }),
            Lie::EndlessTtl => Some(Sight { ttl: 0x7fff_ffff, ..sight }),
            Lie::Never => None,
            Lie::Time(_) | Lie::ByPeer => Some(sight),
        }
    }

    fn speak(&mut self, liar: &mut Liar<'_>, (to, message, delay): Said) -> Vec<Said> {
        let Message::Observe(set) = &message else { return vec![(to, message, delay)] };
        let (by_ms, by_peer) = match self.lie {
            Lie::Time(by_ms) => (by_ms, false),
            Lie::ByPeer => (0, true),
            _ => return vec![(to, message, delay)],
        };
        if set.replica != liar.me() {
            return vec![(to, message, delay)];
        }
        let observations = set.items.iter().filter_map(|item| match item {
            Item::Full(observation) => Some(observation.clone()),
            Item::Pruned(_) => None,
        });
        let bent = observations.map(|mut observation| {
            observation.time_ms = observation.time_ms.saturating_add_signed(by_ms);
            if by_peer {
                let sight = Sight { value: 201 + to.0, ttl: 60 };
                observation.payload = liar.judge.payload(liar.me(), &observation.operation, sight);
            }
            observation
        });
        let bent = bent.collect();
        let set = SignedObservations::sign(liar.me(), bent, &liar.parameters.domain, liar.keys);
        vec![(to, Message::Observe(set), delay)]
    }
}
