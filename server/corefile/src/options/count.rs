//! How many arguments: ranges in words.

use std::ops::{Bound, RangeBounds};

/// Returns whether `number` is more than `count` allows.
pub(super) fn is_above(count: &impl RangeBounds<usize>, number: usize) -> bool {
    match count.end_bound() {
        Bound::Included(most) => number > *most,
        Bound::Excluded(above) => number >= *above,
        Bound::Unbounded => false,
    }
}

/// Returns a range of counts in words: `exactly 2 arguments`, `at least 1 argument`, `from 1 to 3 arguments`.
pub(super) fn describe_count(count: &impl RangeBounds<usize>) -> String {
    let least = match count.start_bound() {
        Bound::Included(least) => *least,
        Bound::Excluded(below) => below + 1,
        Bound::Unbounded => 0,
    };
    let most = match count.end_bound() {
        Bound::Included(most) => Some(*most),
        Bound::Excluded(above) => Some(above.saturating_sub(1)),
        Bound::Unbounded => None,
    };
    let arguments = |number: usize| if number == 1 { "argument" } else { "arguments" };
    match (least, most) {
        (least, None) => format!("at least {least} {}", arguments(least)),
        (least, Some(most)) if least == most => format!("exactly {most} {}", arguments(most)),
        (0, Some(most)) => format!("at most {most} {}", arguments(most)),
        (least, Some(most)) => format!("from {least} to {most} arguments"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_as_words() {
        assert_eq!(describe_count(&(1..)), "at least 1 argument");
        assert_eq!(describe_count(&(2..=2)), "exactly 2 arguments");
        assert_eq!(describe_count(&(..=1)), "at most 1 argument");
        assert_eq!(describe_count(&(1..4)), "from 1 to 3 arguments");
        assert!(is_above(&(1..4), 4) && !is_above(&(1..=4), 4) && !is_above(&(1..), 9));
    }
}
