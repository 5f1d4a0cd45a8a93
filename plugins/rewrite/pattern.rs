//! What a name has to look like, and what becomes of it. Pure; names are lower-case, absolute, in presentation form.

use regex::{Captures, Regex};

/// What a name has to look like.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// The whole name.
    Exact(String),
    /// What it begins with.
    Prefix(String),
    /// What it ends in.
    Suffix(String),
    /// What it holds.
    Substring(String),
    /// Some part of it matches; anchors are the operator's to write.
    Regex(Regex),
}

/// A pattern and what is put in the place of what it matches.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// What is replaced.
    pub pattern: Pattern,
    /// By what. Behind `Regex`: the whole new name, with `{N}` for what the group matched.
    pub to: String,
}

impl Pattern {
    /// Whether `name` looks so.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Pattern::Exact(whole) => name == whole,
            Pattern::Prefix(prefix) => name.starts_with(prefix.as_str()),
            Pattern::Suffix(suffix) => name.ends_with(suffix.as_str()),
            Pattern::Substring(part) => name.contains(part.as_str()),
            Pattern::Regex(regex) => regex.is_match(name),
        }
    }
}

impl Replacement {
    /// What becomes of `name`; `None` when it does not look so.
    pub fn apply(&self, name: &str) -> Option<String> {
        let to = self.to.as_str();
        match &self.pattern {
            Pattern::Exact(whole) => (name == whole).then(|| to.to_owned()),
            Pattern::Prefix(prefix) => name.strip_prefix(prefix.as_str()).map(|rest| format!("{to}{rest}")),
            Pattern::Suffix(suffix) => name.strip_suffix(suffix.as_str()).map(|rest| format!("{rest}{to}")),
            Pattern::Substring(part) => name.contains(part.as_str()).then(|| name.replace(part.as_str(), to)),
            Pattern::Regex(regex) => regex.captures(name).map(|captures| filled(to, &captures)),
        }
    }

    /// What undoes it, where that can be said: not for a regular expression.
    pub fn reversed(&self) -> Option<Replacement> {
        let to = self.to.clone();
        let (pattern, from) = match &self.pattern {
            Pattern::Exact(from) => (Pattern::Exact(to), from),
            Pattern::Prefix(from) => (Pattern::Prefix(to), from),
            Pattern::Suffix(from) => (Pattern::Suffix(to), from),
            Pattern::Substring(from) => (Pattern::Substring(to), from),
            Pattern::Regex(_) => return None,
        };
        Some(Replacement { pattern, to: from.clone() })
    }
}

/// `template` with `{N}` replaced by what the group N matched, absolute.
fn filled(template: &str, captures: &Captures<'_>) -> String {
    let mut name = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some((before, group, after)) = next_group(rest) {
        name.push_str(before);
        name.push_str(captures.get(group).map_or("", |found| found.as_str()));
        rest = after;
    }
    name.push_str(rest);
    absolute(&name)
}

/// The groups that `template` names.
pub fn groups(template: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some((_, group, after)) = next_group(rest) {
        found.push(group);
        rest = after;
    }
    found
}

/// What stands before the first `{N}` of `text`, N, and what stands behind it.
fn next_group(text: &str) -> Option<(&str, usize, &str)> {
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        let close = open + text[open..].find('}')?;
        let digits = &text[open + 1..close];
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            // a number that is no number of a group matched nothing
            return Some((&text[..open], digits.parse().unwrap_or(usize::MAX), &text[close + 1..]));
        }
        from = open + 1;
    }
    None
}

/// `name` with the dot of the root at its end.
pub fn absolute(name: &str) -> String {
    if name.ends_with('.') { name.to_owned() } else { format!("{name}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replacement(pattern: Pattern, to: &str) -> Replacement {
        Replacement { pattern, to: to.to_owned() }
    }

    #[test]
    fn each_kind_replaces_what_it_matches_and_no_other_name() {
        let regex = |text: &str| Pattern::Regex(Regex::new(text).unwrap());
        for (pattern, to, name, expected) in [
            (Pattern::Exact("a.org.".into()), "b.org.", "a.org.", Some("b.org.")),
            (Pattern::Exact("a.org.".into()), "b.org.", "x.a.org.", None),
            (Pattern::Prefix("a-".into()), "b-", "a-a-1.org.", Some("b-a-1.org.")),
            (Pattern::Prefix("a-".into()), "b-", "xa-1.org.", None),
            (Pattern::Suffix(".a.org.".into()), ".b.net.", "x.a.org.", Some("x.b.net.")),
            (Pattern::Suffix(".a.org.".into()), ".b.net.", "a.org.", None),
            (Pattern::Substring("mid".into()), "m", "x.mid.mid.org.", Some("x.m.m.org.")),
            (Pattern::Substring("mid".into()), "m", "x.org.", None),
            (regex(r"^(\w+)-(\w+)\.org\.$"), "{2}.{1}.net", "a-b.org.", Some("b.a.net.")),
            (regex(r"^(\w+)-(\w+)\.org\.$"), "{2}.{1}.net", "a.org.", None),
            (regex("mid"), "{0}.{x}.{}.org.", "a.mid.b.", Some("mid.{x}.{}.org.")),
            (regex("(a)|(b)"), "x{1}y{2}.", "b.", Some("xyb.")),
        ] {
            let matches = pattern.matches(name);
            let found = replacement(pattern, to).apply(name);
            assert_eq!((found.as_deref(), matches), (expected, expected.is_some()), "{name} -> {to}");
        }
    }

    #[test]
    fn what_was_replaced_can_be_undone_but_for_expressions() {
        for pattern in [
            Pattern::Exact("x.a.org.".into()),
            Pattern::Prefix("x.".into()),
            Pattern::Suffix(".org.".into()),
            Pattern::Substring("a".into()),
        ] {
            let there = replacement(pattern, "longer.");
            let changed = there.apply("x.a.org.").unwrap();
            assert_eq!(there.reversed().unwrap().apply(&changed).unwrap(), "x.a.org.", "{there:?}");
        }
        assert!(replacement(Pattern::Regex(Regex::new("a").unwrap()), "b").reversed().is_none());
    }

    #[test]
    fn groups_are_found_in_a_template() {
        assert_eq!(groups("{1}.a{12}.{x}.{}{0"), [1, 12]);
        assert_eq!(groups("{99999999999999999999}"), [usize::MAX]);
        assert_eq!(groups("{{1}}"), [1]);
    }
}
