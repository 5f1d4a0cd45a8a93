//! What a name has to look like, and what becomes of it. Pure; names are texts as `text_of` writes them.

use std::fmt::Write as _;

use hickory_proto::rr::Name;
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

    /// What undoes it in the answer, after the name `asked` became `became`: for all names with the new beginning or end, where there is one. Of other changes
    /// only the one name can be undone, for nothing shows in another whether it was changed.
    pub fn undone(&self, asked: &str, became: &str) -> Replacement {
        let to = self.to.clone();
        let (pattern, from) = match &self.pattern {
            Pattern::Prefix(from) if !to.is_empty() => (Pattern::Prefix(to), from.as_str()),
            Pattern::Suffix(from) if to != "." => (Pattern::Suffix(to), from.as_str()),
            _ => (Pattern::Exact(became.to_owned()), asked),
        };
        Replacement { pattern, to: from.to_owned() }
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

/// `name` in lower case, with the dot of the root at its end. Dots and backslashes within labels, and what is not printable, stand there as `\DDD`, so that
/// a dot is always the end of a label. RFC 1035 §5.1
pub fn text_of(name: &Name) -> String {
    let mut text = String::new();
    for label in name.iter() {
        for byte in label.to_ascii_lowercase() {
            match byte {
                b'.' | b'\\' => write!(text, "\\{byte:03}"),
                b'!'..=b'~' => write!(text, "{}", char::from(byte)),
                _ => write!(text, "\\{byte:03}"),
            }
            .expect("a String takes all text");
        }
        text.push('.');
    }
    absolute(&text)
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
    fn what_was_replaced_is_undone_and_nothing_else_is_made_garbage() {
        for (pattern, to, asked, others) in [
            (Pattern::Exact("x.a.org.".into()), "b.net.", "x.a.org.", [("c.b.net.", None), ("com.", None)]),
            (Pattern::Prefix("x.".into()), "y.", "x.a.org.", [("y.b.", Some("x.b.")), ("b.", None)]),
            (Pattern::Prefix("x.".into()), "", "x.a.org.", [("b.a.org.", None), ("com.", None)]),
            (
                Pattern::Suffix(".org.".into()),
                ".net.",
                "x.a.org.",
                [("b.net.", Some("b.org.")), ("com.", None)],
            ),
            (Pattern::Suffix(".org.".into()), ".", "x.a.org.", [("com.", None), ("b.", None)]),
            (Pattern::Substring(".sub.".into()), ".", "ns.sub.org.", [("a.b.org.", None), ("com.", None)]),
            (Pattern::Substring("sx".into()), "", "nssx.org.", [("com.", None), (".", None)]),
            (
                Pattern::Regex(Regex::new("^(a)").unwrap()),
                "{1}b.",
                "a.org.",
                [("b.", None), ("a.org.", None)],
            ),
        ] {
            let there = replacement(pattern, to);
            let became = there.apply(asked).unwrap();
            let undo = there.undone(asked, &became);
            assert_eq!(undo.apply(&became).as_deref(), Some(asked), "{there:?}");
            for (other, expected) in others {
                assert_eq!(undo.apply(other).as_deref(), expected, "{there:?} {other}");
            }
        }
    }

    #[test]
    fn groups_are_found_in_a_template() {
        assert_eq!(groups("{1}.a{12}.{x}.{}{0"), [1, 12]);
        assert_eq!(groups("{99999999999999999999}"), [usize::MAX]);
        assert_eq!(groups("{{1}}"), [1]);
    }
}
