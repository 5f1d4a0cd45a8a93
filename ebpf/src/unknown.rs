//! Unknown sources, remembered in a bounded way: two generations, of which the older is forgotten when the younger is full.

use std::{collections::HashMap, time::Duration};

use crate::{UnknownSource, address::from_octets};

/// Counters of unknown sources; at most `UNKNOWN_SOURCES_MAX` of them.
#[derive(Default)]
pub(crate) struct UnknownSources {
    young: HashMap<[u8; 16], Seen>,
    old: HashMap<[u8; 16], Seen>,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    datagrams: u64,
    bytes: u64,
    last_ns: u64,
}

impl UnknownSources {
    pub(crate) fn saw(&mut self, address: [u8; 16], datagrams: u64, bytes: u64, now_ns: u64) {
        if !self.young.contains_key(&address) {
            if self.young.len() >= UNKNOWN_SOURCES_MAX / 2 {
                self.old = std::mem::take(&mut self.young);
            }
            let seen = self.old.remove(&address).unwrap_or_default();
            self.young.insert(address, seen);
        }
        if let Some(seen) = self.young.get_mut(&address) {
            seen.datagrams += datagrams;
            seen.bytes += bytes;
            seen.last_ns = now_ns;
        }
    }

    pub(crate) fn list(&self, now_ns: u64) -> Vec<UnknownSource> {
        let source = |(octets, seen): (&[u8; 16], &Seen)| UnknownSource {
            address: from_octets(*octets),
            datagrams: seen.datagrams,
            bytes: seen.bytes,
            last_seen: Duration::from_nanos(now_ns.saturating_sub(seen.last_ns)),
        };
        self.young.iter().chain(&self.old).map(source).collect()
    }
}

/// Most unknown sources remembered. The map in the kernel has as many places.
pub(crate) const UNKNOWN_SOURCES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> [u8; 16] {
        let mut address = [0x20; 16];
        address[12..].copy_from_slice(&number.to_be_bytes());
        address
    }

    #[test]
    fn flood_of_sources_stays_within_the_bound() {
        let mut sources = UnknownSources::default();
        for number in 0..10_000 {
            sources.saw(address(number), 1, 100, 0);
            assert!(sources.list(0).len() <= UNKNOWN_SOURCES_MAX);
        }
    }

    #[test]
    fn source_that_keeps_sending_is_not_forgotten() {
        let mut sources = UnknownSources::default();
        for number in 1..=5000 {
            sources.saw(address(0), 1, 100, u64::from(number));
            sources.saw(address(number), 1, 100, 0);
        }
        let most = crate::statistics::top(sources.list(5010));
        assert_eq!((most[0].datagrams, most[0].bytes), (5000, 500_000));
        assert_eq!(most[0].last_seen, Duration::from_nanos(10));
    }
}
