//! "Did you mean": the candidate that is the fewest edits away from a word.

use std::cmp::Reverse;

/// Returns the candidate nearest to `word`, or `None` if none is near enough to be meant.
///
/// Distance counts insertions, deletions, substitutions and swaps of two neighbours, letter case aside; at
/// most a third of the word may differ. Of equals the one that begins alike for longer wins, then the first.
pub fn suggest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    if word.is_empty() || word.len() > WORD_CHARACTERS_MAX {
        return None;
    }
    let near = |candidate: &&'a str| {
        let letters: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
        let distance = distance(&word, &letters);
        let alike = word.iter().zip(&letters).take_while(|(a, b)| a == b).count();
        (distance <= word.len().max(letters.len()).div_ceil(3)).then_some((
            distance,
            Reverse(alike),
            *candidate,
        ))
    };
    let (distance, _, nearest) =
        candidates.iter().filter_map(near).min_by_key(|(distance, alike, _)| (*distance, *alike))?;
    // One edit makes any word of one letter out of another; that is no evidence.
    (distance == 0 || distance < word.len().min(nearest.len())).then_some(nearest)
}

/// A word longer than this is no misspelt name.
const WORD_CHARACTERS_MAX: usize = 64;

/// Returns the number of edits between two words (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut current = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let substituted = previous[j] + usize::from(from != to);
            let mut least = substituted.min(previous[j + 1] + 1).min(current[j] + 1);
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                least = least.min(before[j - 1] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 6] = ["forward", "cache", "log", "errors", "any", "file"];

    #[test]
    fn misspelt_word_finds_what_was_meant() {
        assert_eq!(suggest("forwrad", &NAMES), Some("forward"));
        assert_eq!(suggest("cach", &NAMES), Some("cache"));
        assert_eq!(suggest("error", &NAMES), Some("errors"));
        assert_eq!(suggest("LOG", &NAMES), Some("log"));
        assert_eq!(suggest("of", &["on", "off"]), Some("off"));
    }

    #[test]
    fn unlike_word_finds_nothing() {
        assert_eq!(suggest("kubernetes", &NAMES), None);
        assert_eq!(suggest("", &NAMES), None);
        assert_eq!(suggest("x", &["y"]), None);
        assert_eq!(suggest(&"forward".repeat(20), &NAMES), None);
    }

    #[test]
    fn swapped_neighbours_count_as_one_edit() {
        let letters = |word: &str| word.chars().collect::<Vec<_>>();
        assert_eq!(distance(&letters("forwrad"), &letters("forward")), 1);
        assert_eq!(distance(&letters("kitten"), &letters("sitting")), 3);
    }
}
