//! The order that the records of one RRset are put in, in time that is linear in their number. Pure: chance comes in as a number.

use std::net::IpAddr;

use crate::networks::Network;

/// Records that may stand in any order.
pub trait Set {
    /// How many there are.
    fn count(&self) -> usize;
    /// The address in the record at `at`, if it has one.
    fn address(&self, at: usize) -> Option<IpAddr>;
    /// Lets two records change places.
    fn swap(&mut self, one: usize, other: usize);
}

/// Puts the records of `set` in the order that `seed` says. Every order is about as likely as any other when seeds are.
pub fn shuffle(set: &mut impl Set, mut seed: u64) {
    for last in (1..set.count()).rev() {
        seed = mix(seed);
        set.swap(below(seed, last + 1), last);
    }
}

/// Puts the record that `seed` chooses first, as often as its share of all weights.
pub fn promote(set: &mut impl Set, seed: u64, weight: impl Fn(IpAddr) -> usize) {
    let total: usize = (0..set.count()).map(|at| set.address(at).map_or(1, &weight)).sum();
    let mut left = below(mix(!seed), total);
    for at in 0..set.count() {
        let share = set.address(at).map_or(1, &weight);
        if left < share {
            return set.swap(0, at);
        }
        left -= share;
    }
}

/// Puts the records with addresses in `preferred` first, those in the first network before all. Chance has decided before on the order of the others.
pub fn prefer(set: &mut impl Set, preferred: &[Network]) {
    let mut front = 0;
    for network in preferred {
        let others = front;
        for at in others..set.count() {
            if set.address(at).is_some_and(|address| network.contains(address)) {
                set.swap(front, at);
                front += 1;
            }
        }
    }
}

/// A number below `bound` that `chance`, of 64 bits, decides on.
fn below(chance: u64, bound: usize) -> usize {
    ((u128::from(chance) * bound as u128) >> 64) as usize
}

/// The next number of a sequence that looks like chance. SplitMix64, Steele et al. 2014
fn mix(seed: u64) -> u64 {
    let mut next = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    next = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    next = (next ^ (next >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    next ^ (next >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    impl Set for Vec<IpAddr> {
        fn count(&self) -> usize {
            self.len()
        }
        fn address(&self, at: usize) -> Option<IpAddr> {
            Some(self[at])
        }
        fn swap(&mut self, one: usize, other: usize) {
            self.as_mut_slice().swap(one, other);
        }
    }

    fn addresses() -> Vec<IpAddr> {
        ["192.0.2.1", "192.0.2.2", "198.51.100.1"].map(|text| text.parse().unwrap()).to_vec()
    }

    #[test]
    fn every_order_comes_about_as_often() {
        let mut counts = BTreeMap::<Vec<IpAddr>, u32>::new();
        for seed in 0..6000 {
            let mut set = addresses();
            shuffle(&mut set, seed);
            *counts.entry(set).or_default() += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn preferred_networks_come_first_in_their_order_and_chance_decides_within_them() {
        let network = |text: &str, bits| Network::new(text.parse().unwrap(), bits).unwrap();
        let preferred = [network("198.51.100.0", 24), network("192.0.2.0", 24)];
        let mut seconds = BTreeMap::<IpAddr, u32>::new();
        for seed in 0..100 {
            let mut set = addresses();
            set.push("203.0.113.1".parse().unwrap());
            shuffle(&mut set, seed);
            prefer(&mut set, &preferred);
            assert_eq!(
                (set[0].to_string(), set[3].to_string()),
                ("198.51.100.1".into(), "203.0.113.1".into())
            );
            *seconds.entry(set[1]).or_default() += 1;
        }
        assert_eq!(seconds.len(), 2);
    }

    #[test]
    fn work_is_linear_in_the_records_of_a_set() {
        /// Counts how often an address is looked at and records change places.
        struct Counted(Vec<IpAddr>, std::cell::Cell<usize>);
        impl Set for Counted {
            fn count(&self) -> usize {
                self.0.len()
            }
            fn address(&self, at: usize) -> Option<IpAddr> {
                self.1.set(self.1.get() + 1);
                Some(self.0[at])
            }
            fn swap(&mut self, one: usize, other: usize) {
                self.1.set(self.1.get() + 1);
                self.0.swap(one, other);
            }
        }
        let addresses = (0..4000).map(|number| std::net::Ipv4Addr::from_bits(number).into()).collect();
        let mut set = Counted(addresses, Default::default());
        let network = |text: &str| Network::new(text.parse().unwrap(), 21).unwrap();
        shuffle(&mut set, 7);
        promote(&mut set, 7, |_| 1);
        prefer(&mut set, &[network("0.0.8.0"), network("0.0.0.0")]);
        assert!(set.1.get() <= 4000 * 7, "{} for 4000 records and two networks", set.1.get());
    }

    #[test]
    fn empty_and_single_sets_stay() {
        for mut set in [vec![], addresses()[..1].to_vec()] {
            let before = set.clone();
            shuffle(&mut set, 7);
            promote(&mut set, 7, |_| 1);
            prefer(&mut set, &[]);
            assert_eq!(set, before);
        }
    }

    #[test]
    fn first_address_is_chosen_by_weight_and_the_others_keep_all_orders() {
        let weight = |address: IpAddr| if address == addresses()[2] { 4 } else { 1 };
        let mut firsts = BTreeMap::<IpAddr, u32>::new();
        let mut orders = std::collections::BTreeSet::new();
        for seed in 0..6000 {
            let mut set = addresses();
            shuffle(&mut set, seed);
            promote(&mut set, seed, weight);
            *firsts.entry(set[0]).or_default() += 1;
            orders.insert(set);
        }
        let share = |at: usize| firsts[&addresses()[at]];
        assert!((3800..4200).contains(&share(2)) && (900..1100).contains(&share(0)), "{firsts:?}");
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn address_without_weight_never_comes_first_unless_none_has_any() {
        for seed in 0..100 {
            let mut set = addresses();
            shuffle(&mut set, seed);
            promote(&mut set, seed, |address| usize::from(address == addresses()[1]));
            assert_eq!(set[0], addresses()[1]);
            promote(&mut set, seed, |_| 0);
            assert_eq!(set.len(), 3);
        }
    }
}
