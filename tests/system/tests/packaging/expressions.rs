//! PromQL as far as it names metrics: which ones, with which labels and values, and by which labels an expression speaks.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

/// What an expression names.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Named {
    /// Its selectors.
    pub selectors: Vec<Selector>,
    /// The labels of `by`, `on` and the like.
    pub labels: BTreeSet<String>,
}

/// A metric, and what it is narrowed by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selector {
    /// Its name.
    pub metric: String,
    /// Labels with the values that are wanted or not wanted; no values where a variable or a pattern stands.
    pub matchers: Vec<(String, Vec<String>)>,
}

/// Reads what `expression` names.
///
/// Panics: when a brace, a bracket or a quote is left open.
pub fn read(expression: &str) -> Named {
    let mut named = Named::default();
    let mut rest = expression.chars().peekable();
    while let Some(&next) = rest.peek() {
        match next {
            '[' => drop(until(&mut rest, ']')),
            '{' => panic!("a selector without a name in `{expression}`"),
            '"' => drop(quoted(&mut rest)),
            _ if next.is_ascii_digit() => drop(word(&mut rest)),
            _ if is_of_name(next) => {
                let name = word(&mut rest);
                skip_spaces(&mut rest);
                match rest.peek() {
                    Some('(') if LABEL_LISTS.contains(&name.as_str()) => {
                        rest.next();
                        let list = until(&mut rest, ')');
                        named.labels.extend(
                            list.split(',').map(|label| label.trim().to_owned()).filter(|it| !it.is_empty()),
                        );
                    }
                    Some('(') => {}
                    _ if WORDS.contains(&name.as_str()) => {}
                    Some('{') => {
                        rest.next();
                        named.selectors.push(Selector { metric: name, matchers: matchers(&mut rest) });
                    }
                    _ => named.selectors.push(Selector { metric: name, matchers: Vec::new() }),
                }
            }
            _ => {
                rest.next();
            }
        }
    }
    named
}

type Rest<'a> = Peekable<Chars<'a>>;

fn matchers(rest: &mut Rest<'_>) -> Vec<(String, Vec<String>)> {
    let mut matchers = Vec::new();
    loop {
        match rest.peek().copied().expect("a selector ends with a brace") {
            '}' => {
                rest.next();
                return matchers;
            }
            next if is_of_name(next) => {
                let label = word(rest);
                let mut operator = String::new();
                while let Some(sign) = rest.next_if(|next| "=!~ ".contains(*next)) {
                    operator.push(sign);
                }
                let value = quoted(rest);
                let is_open = value.contains('$') || value.contains(['*', '+', '[']);
                let values = match (is_open, operator.contains('~')) {
                    (true, _) => Vec::new(),
                    (false, true) => value.split('|').map(str::to_owned).collect(),
                    (false, false) => vec![value],
                };
                matchers.push((label, values));
            }
            _ => {
                rest.next();
            }
        }
    }
}

fn word(rest: &mut Rest<'_>) -> String {
    let mut word = String::new();
    while let Some(next) = rest.next_if(|next| is_of_name(*next)) {
        word.push(next);
    }
    word
}

fn quoted(rest: &mut Rest<'_>) -> String {
    assert_eq!(rest.next(), Some('"'), "a value stands in quotes");
    until(rest, '"')
}

/// What stands before `end`, which is taken, too.
fn until(rest: &mut Rest<'_>, end: char) -> String {
    let mut text = String::new();
    loop {
        let next = rest.next().unwrap_or_else(|| panic!("`{text}` does not end with `{end}`"));
        if next == end {
            return text;
        }
        text.push(next);
    }
}

fn skip_spaces(rest: &mut Rest<'_>) {
    while rest.next_if(|next| next.is_whitespace()).is_some() {}
}

fn is_of_name(next: char) -> bool {
    next.is_ascii_alphanumeric() || next == '_' || next == ':'
}

const LABEL_LISTS: [&str; 6] = ["by", "on", "without", "ignoring", "group_left", "group_right"];
/// Words that are no metrics where they stand without a parenthesis.
const WORDS: [&str; 15] = [
    "by",
    "on",
    "without",
    "ignoring",
    "group_left",
    "group_right",
    "and",
    "or",
    "unless",
    "offset",
    "bool",
    "sum",
    "max",
    "min",
    "count",
];

#[test]
fn metrics_labels_and_values_are_found_and_functions_are_not() {
    let named = read(
        "sum by (job, le) (rate(a_total{x=\"1\",y=~\"p|q\", z!~\"$v\"}[5m] offset 1h)) > on (job) group_left ()\n 0.2 * b or time() - c > 60",
    );
    let labels: Vec<&str> = named.labels.iter().map(String::as_str).collect();
    assert_eq!(labels, ["job", "le"]);
    let names: Vec<&str> = named.selectors.iter().map(|selector| selector.metric.as_str()).collect();
    assert_eq!(names, ["a_total", "b", "c"]);
    let value = |label: &str, values: &[&str]| {
        (label.to_owned(), values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(named.selectors[0].matchers, [value("x", &["1"]), value("y", &["p", "q"]), value("z", &[])]);
}
