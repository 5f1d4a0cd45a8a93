//! The rate limit: GCRA, the generic cell rate algorithm (ITU-T I.371 annex A), one number a bucket.
//!
//! The number is the theoretical arrival time: when the bucket would be empty again. `bpf/judge.h` holds the same rule.

/// Returns the bucket's next theoretical arrival time when a packet of `cost_ns` may pass at `now_ns`, or `None`.
///
/// A bucket that is empty lets one packet through whatever it costs, so that a batch of datagrams that the network card
/// joined into one is never refused for ever; its cost is owed all the same.
pub(crate) fn admit(arrival_ns: u64, now_ns: u64, cost_ns: u64, tolerance_ns: u64) -> Option<u64> {
    if arrival_ns <= now_ns {
        return Some(now_ns.saturating_add(cost_ns));
    }
    let next = arrival_ns.saturating_add(cost_ns);
    (next - now_ns <= tolerance_ns).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_passes_then_one_packet_an_interval() {
        let (interval, tolerance) = (10, 30);
        let mut arrival = 0;
        for _ in 0..3 {
            arrival = admit(arrival, 100, interval, tolerance).expect("within the burst");
        }
        assert_eq!(admit(arrival, 100, interval, tolerance), None);
        assert_eq!(admit(arrival, 109, interval, tolerance), None);
        assert_eq!(admit(arrival, 110, interval, tolerance), Some(140));
    }

    #[test]
    fn refused_packet_costs_nothing() {
        assert_eq!(admit(130, 100, 10, 30), None);
        assert_eq!(admit(130, 110, 10, 30), Some(140));
    }

    #[test]
    fn empty_bucket_lets_one_packet_through_whatever_it_costs() {
        let owed = admit(0, 100, 1000, 30);
        assert_eq!(owed, Some(1100));
        assert_eq!(admit(1100, 1099, 1, 30), Some(1101));
        assert_eq!(admit(1100, 100, 1, 30), None);
    }
}
