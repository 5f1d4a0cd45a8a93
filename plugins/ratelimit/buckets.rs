//! One bucket a client network, in a table that never grows. Pure: time comes in, chance is the hasher's.
//!
//! A bucket is one number, the time at which it would be full again (the generic cell rate algorithm, ITU-T I.371): a reply moves it on by the time that the rate
//! gives to one reply, and it may be ahead of now by a burst at most. A bucket whose time is past holds nothing worth keeping, so room for another network is
//! found without timers; when all of a set are in use, the one that is used least goes. Threads share the table without locks.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ahash::RandomState;

/// The buckets of all networks.
pub struct Buckets {
    /// Each holds a tag, to tell networks of one set apart, and a time.
    sets: Box<[[AtomicU64; SET_BUCKETS]]>,
    hasher: RandomState,
    /// What the rate gives to one reply.
    interval_us: u64,
    /// How far a bucket may be ahead of now for one more reply.
    ahead_us: u64,
}

/// What became of a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It goes out.
    Yes,
    /// It goes out, and the bucket of another network had to go for it.
    Evicting,
    /// The network has had enough.
    No,
}

impl Buckets {
    /// Full buckets: `rate` replies a second, `burst` of them at once. Neither is 0.
    pub fn new(rate: u32, burst: u32, hasher: RandomState) -> Buckets {
        assert!(rate > 0 && burst > 0, "the setup refuses zero");
        let interval_us = (SECOND_US + u64::from(rate) / 2) / u64::from(rate);
        let set = || std::array::from_fn(|_| AtomicU64::new(0));
        Buckets {
            sets: (0..NETWORKS_MAX / SET_BUCKETS).map(|_| set()).collect(),
            hasher,
            interval_us,
            ahead_us: u64::from(burst - 1) * interval_us,
        }
    }

    /// Whether `network` may have a reply at `now`, which is counted from any fixed time on.
    pub fn has_room(&self, network: IpAddr, now: Duration) -> bool {
        let (set, tag) = self.place(network);
        let held = set.iter().map(|bucket| bucket.load(Ordering::Relaxed)).find(|held| tag_of(*held) == tag);
        held.is_none_or(|held| time_of(held) <= micros(now) + self.ahead_us)
    }

    /// Takes a reply to `network` out of its bucket at `now`, if there is one in it.
    pub fn take(&self, network: IpAddr, now: Duration) -> Taken {
        let (set, tag) = self.place(network);
        let now_us = micros(now);
        for _ in 0..ATTEMPTS_MAX {
            let (bucket, held) = choose(set, tag);
            let (full_us, taken) = match tag_of(held) == tag {
                true => (time_of(held), Taken::Yes),
                false if time_of(held) <= now_us => (0, Taken::Yes),
                false => (0, Taken::Evicting),
            };
            if full_us > now_us + self.ahead_us {
                return Taken::No;
            }
            let next = pack(tag, full_us.max(now_us) + self.interval_us);
            if bucket.compare_exchange(held, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return taken;
            }
        }
        // Others took from it in the same instant, again and again: one reply more or less.
        Taken::Yes
    }

    fn place(&self, network: IpAddr) -> (&[AtomicU64; SET_BUCKETS], u64) {
        let hash = self.hasher.hash_one(network);
        let set = (hash % self.sets.len() as u64) as usize;
        (&self.sets[set], hash >> TIME_BITS)
    }
}

/// The bucket with `tag`, or the one that is full first, and what it held.
fn choose(set: &[AtomicU64; SET_BUCKETS], tag: u64) -> (&AtomicU64, u64) {
    let mut least: Option<(&AtomicU64, u64)> = None;
    for bucket in set {
        let held = bucket.load(Ordering::Relaxed);
        if tag_of(held) == tag {
            return (bucket, held);
        }
        if least.is_none_or(|(_, known)| time_of(held) < time_of(known)) {
            least = Some((bucket, held));
        }
    }
    least.expect("a set has buckets")
}

fn micros(now: Duration) -> u64 {
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX).min(TIME_MASK)
}

fn tag_of(held: u64) -> u64 {
    held >> TIME_BITS
}

fn time_of(held: u64) -> u64 {
    held & TIME_MASK
}

fn pack(tag: u64, time_us: u64) -> u64 {
    tag << TIME_BITS | time_us.min(TIME_MASK)
}

/// Networks that have a bucket at a time; 512 KiB.
pub const NETWORKS_MAX: usize = 1 << 16;
/// Buckets that a network may lie in: those of a cache line.
const SET_BUCKETS: usize = 8;
/// Bits of a time in microseconds: nine years. The others are the tag.
const TIME_BITS: u32 = 48;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const SECOND_US: u64 = 1_000_000;
/// How often taking is tried while others take from the same bucket.
const ATTEMPTS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn buckets(rate: u32, burst: u32) -> Buckets {
        Buckets::new(rate, burst, RandomState::with_seeds(1, 2, 3, 4))
    }

    fn network(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number << 8).into()
    }

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// How many of `tries` replies at once go out.
    fn taken(buckets: &Buckets, network: IpAddr, now: Duration, tries: usize) -> usize {
        (0..tries).filter(|_| buckets.take(network, now) != Taken::No).count()
    }

    #[test]
    fn burst_goes_out_at_once_and_then_the_rate() {
        let buckets = buckets(10, 5);
        assert_eq!(taken(&buckets, network(1), at(0), 100), 5);
        assert_eq!(taken(&buckets, network(1), at(99), 100), 0);
        assert_eq!(taken(&buckets, network(1), at(100), 100), 1);
        assert_eq!(taken(&buckets, network(1), at(400), 100), 3);
        assert_eq!(taken(&buckets, network(1), at(60_000), 100), 5, "no more than a burst is saved up");
    }

    #[test]
    fn rate_holds_over_time_whatever_is_tried() {
        for (rate, burst) in [(1, 1), (3, 2), (1000, 50), (50_000, 10)] {
            let buckets = buckets(rate, burst);
            let seconds = 4;
            let sent: usize = (0..seconds * 10_000)
                .map(|tick| taken(&buckets, network(1), Duration::from_micros(tick * 100), 8))
                .sum();
            let expected = f64::from(rate) * seconds as f64 + f64::from(burst);
            let off = (sent as f64 - expected).abs() / expected;
            assert!(
                off < 0.03 || sent.abs_diff(expected as usize) <= 1,
                "{rate}/s, {burst}: {sent} for {expected}"
            );
        }
    }

    #[test]
    fn looking_takes_nothing_and_says_what_taking_would() {
        let buckets = buckets(10, 3);
        for step in 0..200 {
            let now = at(step * 37);
            assert!(buckets.has_room(network(1), now) || step > 0);
            let room = buckets.has_room(network(1), now);
            assert_eq!(buckets.has_room(network(1), now), room);
            assert_eq!(buckets.take(network(1), now) != Taken::No, room, "step {step}");
        }
    }

    #[test]
    fn networks_have_buckets_of_their_own() {
        let buckets = buckets(1, 2);
        assert_eq!(taken(&buckets, network(1), at(0), 5), 2);
        assert_eq!(taken(&buckets, network(2), at(0), 5), 2);
        assert_eq!(taken(&buckets, "2001:db8::".parse().unwrap(), at(0), 5), 2);
    }

    #[test]
    fn flood_of_networks_takes_the_buckets_that_are_used_least() {
        let buckets = buckets(1, 100);
        assert_eq!(taken(&buckets, network(0), at(0), 1000), 100);
        let evictions =
            (1..2_000_000).filter(|&number| buckets.take(network(number), at(0)) == Taken::Evicting).count();
        assert!(evictions > 1_000_000, "{evictions}");
        assert_eq!(taken(&buckets, network(0), at(0), 1000), 0, "who had most is still known");
    }

    #[test]
    fn buckets_that_are_full_again_make_room_unseen() {
        let buckets = buckets(1000, 10);
        for round in 0..20u32 {
            let first = round * 2000;
            let now = at(u64::from(round) * 1000);
            let evicting =
                (first..first + 2000).filter(|&number| buckets.take(network(number), now) == Taken::Evicting);
            assert_eq!(evicting.count(), 0, "round {round}");
        }
    }

    #[test]
    fn threads_share_a_bucket() {
        let buckets = buckets(1, 1000);
        let sent: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| taken(&buckets, network(1), at(0), 1000))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!((1000..1100).contains(&sent), "{sent}");
    }
}
