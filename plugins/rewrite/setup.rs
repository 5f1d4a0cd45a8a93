//! Reads `rewrite`.

use std::sync::Arc;

use corefile::options::{Mismatch, Options, Value, one_of};
use corefile::{Diagnostic, Directive};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use regex::{Regex, RegexBuilder};

use super::handler::Rewrite;
use super::pattern::{Pattern, Replacement, absolute, groups, text_of};
use super::rules::{Field, OnAnswer, Rule, TtlBounds, parse};
use crate::setup::{Block, Context};
use crate::words;

/// Puts `rewrite` into the chain. Each directive is a rule; their order is that of the file.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    _context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let rules: Vec<Rule> = directives.iter().filter_map(|directive| read(directive, diagnostics)).collect();
    if rules.len() == directives.len() {
        block.plugins.push(Arc::new(Rewrite::new(rules)));
    }
}

fn read(directive: &Directive, diagnostics: &mut Vec<Diagnostic>) -> Option<Rule> {
    let line = on_one_line(directive);
    let mut options = Options::new(&line, diagnostics);
    for nested in directive.block.iter().flatten().filter(|line| line.block.is_some()) {
        options.error(&nested.span, "expected words of one rule, got a block within its block");
    }
    let goes_on = options.optional_if(
        |word| matches!(word, "continue" | "stop"),
        one_of([("continue", true), ("stop", false)]),
    );
    let field = read_field(&mut options);
    options.finish().then_some(())?;
    Some(Rule { field: field?, goes_on: goes_on.unwrap_or(false) })
}

/// The directive with the words of its block behind its own, as CoreDNS reads it.
fn on_one_line(directive: &Directive) -> Directive {
    let lines = directive.block.iter().flatten();
    let words = lines.flat_map(|line| [&line.name].into_iter().chain(&line.args));
    let args = directive.args.iter().chain(words).cloned().collect();
    Directive { args, block: None, ..directive.clone() }
}

fn read_field(options: &mut Options<'_>) -> Option<Field> {
    match options.required(what())? {
        What::Type => Some(Field::Type(options.required(rtype())?, options.required(rtype())?)),
        What::Name => {
            let replacement = read_replacement(options)?;
            Some(Field::Name(replacement, read_answers(options)?))
        }
        What::Ttl => {
            let kind = read_kind(options)?;
            Some(Field::Ttl(read_pattern(options, kind)?, options.required(ttl_bounds())?))
        }
        What::Rcode => {
            let kind = read_kind(options)?;
            let pattern = read_pattern(options, kind)?;
            Some(Field::Rcode(pattern, options.required(rcode())?, options.required(rcode())?))
        }
        What::Cname => Some(Field::Cname(read_replacement(options)?)),
    }
}

/// What a rule is about.
#[derive(Clone, Copy)]
enum What {
    Type,
    Name,
    Ttl,
    Rcode,
    Cname,
}

fn what() -> Value<What> {
    let known = [
        ("name", What::Name),
        ("type", What::Type),
        ("ttl", What::Ttl),
        ("rcode", What::Rcode),
        ("cname", What::Cname),
    ];
    Value::new("`name`, `type`, `ttl`, `rcode` or `cname`", move |text| match text {
        "class" => Err(Mismatch::with_hint("no answer here has records of another class than was asked for")),
        "edns0" => {
            Err(Mismatch::with_hint("EDNS options of clients end here: what is asked for is kept for all"))
        }
        _ => known.iter().find(|(name, _)| *name == text).map(|(_, what)| *what).ok_or_else(Mismatch::new),
    })
}

/// How a name is compared.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Exact,
    Prefix,
    Suffix,
    Substring,
    Regex,
}

const KINDS: [(&str, Kind); 5] = [
    ("exact", Kind::Exact),
    ("prefix", Kind::Prefix),
    ("suffix", Kind::Suffix),
    ("substring", Kind::Substring),
    ("regex", Kind::Regex),
];

/// The kind, if it is there; names are compared whole without one.
fn read_kind(options: &mut Options<'_>) -> Option<Kind> {
    let is_kind = |word: &str| KINDS.iter().any(|(name, _)| *name == word);
    match options.peek() {
        Some(word) if is_kind(&word.text) => options.required(one_of(KINDS)),
        _ => Some(Kind::Exact),
    }
}

fn read_pattern(options: &mut Options<'_>, kind: Kind) -> Option<Pattern> {
    Some(match kind {
        Kind::Exact => Pattern::Exact(options.required(name())?),
        Kind::Prefix => Pattern::Prefix(options.required(part())?),
        Kind::Suffix => Pattern::Suffix(absolute(&options.required(part())?)),
        Kind::Substring => Pattern::Substring(options.required(part())?),
        Kind::Regex => Pattern::Regex(options.required(expression())?),
    })
}

/// `[KIND] FROM TO`
fn read_replacement(options: &mut Options<'_>) -> Option<Replacement> {
    let kind = read_kind(options)?;
    let pattern = read_pattern(options, kind)?;
    let to = match &pattern {
        Pattern::Exact(_) => options.required(name())?,
        Pattern::Suffix(_) => absolute(&read_part(options)?),
        Pattern::Prefix(_) | Pattern::Substring(_) => read_part(options)?,
        Pattern::Regex(regex) => read_template(options, regex)?,
    };
    Some(Replacement { pattern, to })
}

/// What is put in the place of a part of a name. Nothing is written `""`: an empty word may come out of a variable that is not set.
fn read_part(options: &mut Options<'_>) -> Option<String> {
    match options.peek() {
        Some(word) if word.text.is_empty() && word.quoted => {
            options.word();
            Some(String::new())
        }
        _ => options.required(part()),
    }
}

/// A new name, with `{N}` for what the groups of `regex` matched.
fn read_template(options: &mut Options<'_>, regex: &Regex) -> Option<String> {
    let count = regex.captures_len();
    let span = options.peek().map(|word| word.span.clone());
    let template = options.required(part().named("a name with `{1}`, `{2}`, ..."))?;
    if let (Some(group), Some(span)) = (groups(&template).into_iter().find(|group| *group >= count), span) {
        options.error(&span, format!("`{{{group}}}`: the expression has {} groups", count - 1));
        return None;
    }
    Some(template)
}

/// `[answer auto | answer name REGEX TO | answer value REGEX TO]...`
fn read_answers(options: &mut Options<'_>) -> Option<Vec<OnAnswer>> {
    #[derive(Clone, Copy)]
    enum Of {
        Auto,
        Owners,
        Values,
    }
    let mut answers = Vec::new();
    while options.keyword("answer") {
        let of = one_of([("auto", Of::Auto), ("name", Of::Owners), ("value", Of::Values)]);
        let of = options.required(of)?;
        answers.push(match of {
            Of::Auto => OnAnswer::Auto,
            Of::Owners => OnAnswer::Owners(read_expression(options)?),
            Of::Values => OnAnswer::Values(read_expression(options)?),
        });
    }
    Some(answers)
}

/// `REGEX TO`
fn read_expression(options: &mut Options<'_>) -> Option<Replacement> {
    let regex = options.required(expression())?;
    let to = read_template(options, &regex)?;
    Some(Replacement { pattern: Pattern::Regex(regex), to })
}

/// A whole name, lower-case and absolute.
fn name() -> Value<String> {
    Value::new("a name", |text| parse(text).map(|name| text_of(&name)).map_err(|_| Mismatch::new()))
}

/// A part of a name, in lower case.
fn part() -> Value<String> {
    Value::new("a part of a name", |text| match text {
        "" => Err(Mismatch::new()),
        text => Ok(text.to_ascii_lowercase()),
    })
}

/// A regular expression, of bounded length and size. It is matched in time that is linear in the name's length.
fn expression() -> Value<Regex> {
    Value::new("a regular expression", |text| {
        if text.is_empty() || text.len() > EXPRESSION_BYTES_MAX {
            return Err(Mismatch::with_hint(format!("it has 1 to {EXPRESSION_BYTES_MAX} bytes")));
        }
        let built = RegexBuilder::new(text).size_limit(PROGRAM_BYTES_MAX).build();
        built.map_err(|error| {
            let told = error.to_string();
            Mismatch::with_hint(told.lines().last().unwrap_or_default().trim().to_owned())
        })
    })
    .cautious(|text, _| {
        has_upper_case(text).then(|| {
            let message = format!("an upper-case letter in `{text}` matches nothing");
            (message, "names are compared in lower case".to_owned())
        })
    })
}

/// Whether a regular expression has an upper-case letter that stands for itself: not behind a backslash, nor in `(?...)`.
fn has_upper_case(expression: &str) -> bool {
    let mut rest = expression.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => drop(rest.next()),
            '(' if rest.peek() == Some(&'?') => {
                let _ = rest.find(|end| matches!(end, ':' | ')' | '>'));
            }
            letter if letter.is_ascii_uppercase() => return true,
            _ => {}
        }
    }
    false
}

fn rtype() -> Value<RecordType> {
    Value::new("a record type", |text| {
        words::rtype_named(text).map(RecordType::from).ok_or_else(Mismatch::new)
    })
}

/// An rcode of the header, by word or number. RFC 6895 §2.3
fn rcode() -> Value<ResponseCode> {
    Value::new("an rcode", |text| {
        let word = text.to_ascii_uppercase();
        let number =
            (0..=RCODE_MAX).find(|&number| words::rcode(number) == word || number.to_string() == text);
        number.map(|number| ResponseCode::from_low(number as u8)).ok_or_else(Mismatch::new)
    })
}

/// `SECONDS`, `MIN-`, `-MAX` or `MIN-MAX`.
fn ttl_bounds() -> Value<TtlBounds> {
    let read = |text: &str| {
        let seconds = |text: &str, absent| match text {
            "" => Some(absent),
            text => text.parse().ok().filter(|&seconds: &u32| seconds <= TTL_SECONDS_MAX),
        };
        let (least, most) = match text.split_once('-') {
            Some(("", "")) => return None,
            Some((least, most)) => (seconds(least, 0)?, seconds(most, TTL_SECONDS_MAX)?),
            None => (seconds(text, 0)?, seconds(text, 0)?),
        };
        (least <= most && !text.is_empty()).then_some(TtlBounds { least, most })
    };
    Value::new("a TTL, or bounds such as `30-300`", move |text| {
        read(text).ok_or_else(|| Mismatch::with_hint("bounds are `MIN-MAX`, `MIN-` or `-MAX`, in seconds"))
    })
}

/// Bytes of a regular expression.
const EXPRESSION_BYTES_MAX: usize = 10_000;
/// Bytes of what a regular expression is compiled to.
const PROGRAM_BYTES_MAX: usize = 1 << 20;
/// Largest TTL. RFC 2181 §8
const TTL_SECONDS_MAX: u32 = i32::MAX as u32;
/// Largest rcode that rules name: those above are for updates and extensions.
const RCODE_MAX: u16 = 10;
