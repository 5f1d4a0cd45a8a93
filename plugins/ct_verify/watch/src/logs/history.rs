//! The heads of one log that this replica knows, from the log itself or from peers; pure.
//!
//! Decides whether a head contradicts one of them. Heads of different sizes that merely lack a proof are not judged here.

use std::collections::BTreeMap;

use super::head::SignedHead;

/// The heads of one log, by size; of each size the earliest and the latest.
#[derive(Debug, Default)]
pub struct History {
    by_size: BTreeMap<u64, Span>,
}

/// The earliest head is the one that a later, smaller tree contradicts; the latest is the one that contradicts an earlier, larger.
#[derive(Debug, Clone)]
struct Span {
    earliest: SignedHead,
    latest: SignedHead,
}

impl History {
    /// Takes a head in; returns the head that it contradicts, if it does, and takes it in no less.
    pub fn take_in(&mut self, head: &SignedHead) -> Option<SignedHead> {
        let contradicted = self.heads().find(|known| known.contradicts(head)).cloned();
        let span = self.by_size.entry(head.head.size);
        let span = span.or_insert_with(|| Span { earliest: head.clone(), latest: head.clone() });
        if span.earliest.head.root == head.head.root {
            if head.head.timestamp < span.earliest.head.timestamp {
                span.earliest = head.clone();
            }
            if span.latest.head.timestamp < head.head.timestamp {
                span.latest = head.clone();
            }
        }
        if SIZES_MAX < self.by_size.len() {
            self.by_size.pop_first();
        }
        contradicted
    }

    /// Whether a head with this size and root is known.
    pub fn knows(&self, head: &SignedHead) -> bool {
        let span = self.by_size.get(&head.head.size);
        span.is_some_and(|span| span.earliest.head.root == head.head.root)
    }

    /// All heads that are kept, the smallest tree first.
    pub fn heads(&self) -> impl Iterator<Item = &SignedHead> {
        self.by_size.values().flat_map(|span| {
            let both = span.earliest != span.latest;
            std::iter::once(&span.earliest).chain(both.then_some(&span.latest))
        })
    }
}

/// How many sizes of a log's tree are remembered, the largest.
pub const SIZES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use transparency::Moment;
    use transparency::digest::Sha256;
    use transparency::tree_head::TreeHead;

    use super::*;

    fn head(size: u64, seconds: i64, root: &str) -> SignedHead {
        let timestamp = Moment::from_seconds(seconds);
        let head = TreeHead { size, timestamp, root: Sha256::of(root.as_bytes()) };
        SignedHead { head, text: format!("{size} {seconds} {root}").into() }
    }

    #[test]
    fn growing_tree_contradicts_nothing() {
        let mut history = History::default();
        for number in 0..100 {
            assert_eq!(history.take_in(&head(number, number as i64, &number.to_string())), None);
        }
        assert_eq!(history.heads().count(), SIZES_MAX);
        assert_eq!(history.heads().next().unwrap().head.size, 100 - SIZES_MAX as u64);
    }

    #[test]
    fn second_root_for_one_size_is_a_contradiction() {
        let mut history = History::default();
        history.take_in(&head(5, 1, "a"));
        history.take_in(&head(9, 2, "c"));
        assert_eq!(history.take_in(&head(5, 1, "b")), Some(head(5, 1, "a")));
    }

    #[test]
    fn later_head_of_a_smaller_tree_is_a_contradiction_in_either_order() {
        let mut history = History::default();
        history.take_in(&head(9, 10, "nine"));
        // An old head that arrives late is none: a cache, or a slow peer.
        assert_eq!(history.take_in(&head(5, 8, "five")), None);
        assert_eq!(history.take_in(&head(5, 11, "five")), Some(head(9, 10, "nine")));
        let mut history = History::default();
        history.take_in(&head(5, 11, "five"));
        assert_eq!(history.take_in(&head(9, 10, "nine")), Some(head(5, 11, "five")));
    }

    #[test]
    fn same_tree_signed_again_keeps_its_earliest_and_latest_time() {
        let mut history = History::default();
        for time in [5, 3, 4, 7, 6] {
            assert_eq!(history.take_in(&head(9, time, "nine")), None);
        }
        assert_eq!(history.heads().cloned().collect::<Vec<_>>(), [head(9, 3, "nine"), head(9, 7, "nine")]);
    }
}
