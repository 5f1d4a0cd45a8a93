//! The order that the records of one RRset are put in. Pure: chance comes in as a number.

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

/// Puts the records of `set` in the order that `seed` says, those with addresses in `preferred` first, in its order.
///
/// Every order is about as likely as any other when seeds are.
pub fn arrange(set: &mut impl Set, mut seed: u64, preferred: &[Network]) {
    for last in (1..set.count()).rev() {
        seed = mix(seed);
        let other = (u128::from(seed) * (last as u128 + 1)) >> 64;
        set.swap(other as usize, last);
    }
    if preferred.is_empty() {
        return;
    }
    // Insertion by neighbours keeps the order of what is equally preferred. An RRset has few records, and they lie in one message.
    for end in 1..set.count() {
        let mut at = end;
        while at > 0 && rank(set, at, preferred) < rank(set, at - 1, preferred) {
            set.swap(at, at - 1);
            at -= 1;
        }
    }
}

fn rank(set: &impl Set, at: usize, preferred: &[Network]) -> usize {
    let rank = |address| preferred.iter().position(|network| network.contains(address));
    set.address(at).and_then(rank).unwrap_or(preferred.len())
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
            arrange(&mut set, seed, &[]);
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
            arrange(&mut set, seed, &preferred);
            assert_eq!(
                (set[0].to_string(), set[3].to_string()),
                ("198.51.100.1".into(), "203.0.113.1".into())
            );
            *seconds.entry(set[1]).or_default() += 1;
        }
        assert_eq!(seconds.len(), 2);
    }

    #[test]
    fn empty_and_single_sets_stay() {
        for mut set in [vec![], addresses()[..1].to_vec()] {
            let before = set.clone();
            arrange(&mut set, 7, &[]);
            assert_eq!(set, before);
        }
    }
}
