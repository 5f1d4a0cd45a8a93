//! The rules, and what they make of a question. Pure.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use thiserror::Error;

use super::pattern::{Pattern, Replacement, text_of};

/// One `rewrite` directive.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it is about and does.
    pub field: Field,
    /// Whether the rules behind it are asked after it matched.
    pub goes_on: bool,
}

/// What a rule is about.
#[derive(Clone, Debug)]
pub enum Field {
    /// The type asked for: this one becomes the other.
    Type(RecordType, RecordType),
    /// The name asked for, and what that means for names in the answer.
    Name(Replacement, Vec<OnAnswer>),
    /// TTLs in answers to such names.
    Ttl(Pattern, TtlBounds),
    /// The rcode of answers to such names: this one becomes the other.
    Rcode(Pattern, ResponseCode, ResponseCode),
    /// The target of an alias in an answer, and what is found there.
    Cname(Replacement),
}

/// What a rule about names does to the answer.
#[derive(Clone, Debug)]
pub enum OnAnswer {
    /// What undoes the change, to owners and to names in data.
    Auto,
    /// To owners.
    Owners(Replacement),
    /// To names in data.
    Values(Replacement),
}

/// The least and the largest TTL, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TtlBounds {
    /// No TTL is less.
    pub least: u32,
    /// No TTL is more.
    pub most: u32,
}

/// What is to be done to an answer.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Owners that look so become others.
    Owners(Replacement),
    /// Names in data that look so become others.
    Values(Replacement),
    /// TTLs come within the bounds.
    Ttl(TtlBounds),
    /// This rcode becomes the other.
    Rcode(ResponseCode, ResponseCode),
    /// An alias to such a name leads to another.
    Cname(Replacement),
}

/// What the rules make of a question.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The name to ask for.
    pub name: Name,
    /// The type to ask for.
    pub qtype: RecordType,
    /// What is to be done to the answer, first to last.
    pub edits: Vec<Edit>,
}

/// A name became something that is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("rewrite: `{0}` is no name")]
pub struct NotAName(String);

/// What `rules` make of the question for `name`, lower-case, and `qtype`: rule by rule, up to the first that matches and does not go on.
///
/// Errors: a name became something that is none, or is too long.
pub fn apply(rules: &[Rule], name: &Name, qtype: RecordType) -> Result<Rewritten, NotAName> {
    let mut found = Rewritten { name: name.clone(), qtype, edits: Vec::new() };
    let mut text = text_of(name);
    for rule in rules {
        let matched = match &rule.field {
            Field::Type(from, to) => {
                let matches = found.qtype == *from;
                found.qtype = if matches { *to } else { found.qtype };
                matches
            }
            Field::Name(replacement, answers) => match replacement.apply(&text) {
                Some(changed) => {
                    found.name = parse(&changed)?;
                    let became = text_of(&found.name);
                    found.edits.extend(undoing(replacement, answers, &text, &became));
                    text = became;
                    true
                }
                None => false,
            },
            Field::Ttl(pattern, bounds) => {
                pattern.matches(&text) && push(&mut found.edits, Edit::Ttl(*bounds))
            }
            Field::Rcode(pattern, from, to) => {
                pattern.matches(&text) && push(&mut found.edits, Edit::Rcode(*from, *to))
            }
            // Whether it matches shows in the answer, so it never ends the rules.
            Field::Cname(replacement) => {
                push(&mut found.edits, Edit::Cname(replacement.clone()));
                false
            }
        };
        if matched && !rule.goes_on {
            break;
        }
    }
    Ok(found)
}

fn push(edits: &mut Vec<Edit>, edit: Edit) -> bool {
    edits.push(edit);
    true
}

/// What is to be done to the answer after the name was replaced. What undoes a replacement of the whole name is always done, as in CoreDNS.
fn undoing(replacement: &Replacement, answers: &[OnAnswer], asked: &str, became: &str) -> Vec<Edit> {
    let auto = || {
        let undo = replacement.undone(asked, became);
        vec![Edit::Owners(undo.clone()), Edit::Values(undo)]
    };
    match (&replacement.pattern, answers) {
        (Pattern::Exact(_), []) => auto(),
        _ => {
            let edits = |answer: &OnAnswer| match answer {
                OnAnswer::Auto => auto(),
                OnAnswer::Owners(change) => vec![Edit::Owners(change.clone())],
                OnAnswer::Values(change) => vec![Edit::Values(change.clone())],
            };
            answers.iter().flat_map(edits).collect()
        }
    }
}

/// The name that `text` spells, absolute and lower-case. Labels may hold any byte.
pub fn parse(text: &str) -> Result<Name, NotAName> {
    let wire = certificate::name::parse(text).map_err(|_| NotAName(text.to_owned()))?;
    Ok(agreement::name::from_wire(&wire).expect("a canonical name is a name"))
}
