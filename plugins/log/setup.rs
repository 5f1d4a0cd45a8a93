//! Reads `log`.

use std::sync::Arc;

use corefile::options::{Options, one_of};
use corefile::{Diagnostic, Directive, Word, quote};
use hickory_proto::rr::Name;
use prometheus_client::metrics::counter::Counter;

use super::format::Format;
use super::handler::{Log, Rule};
use super::record::Class;
use super::writer::Writer;
use crate::setup::{Block, Context};
use crate::zones;

/// Puts `log` into the chain. Each directive is a rule; the first that matches a query logs it.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let rules: Vec<Rule> = directives.iter().filter_map(|line| read(line, block, diagnostics)).collect();
    if rules.len() == directives.len() {
        let help = "Queries that the log could not keep up with";
        let dropped = context.metrics.metric("quorate_log_dropped", help, Counter::default);
        block.plugins.push(Arc::new(Log::new(rules, Writer::new(dropped))));
    }
}

fn read(directive: &Directive, block: &Block<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Rule> {
    let mut options = Options::new(directive, diagnostics);
    let mut zones: Vec<Name> = Vec::new();
    let mut format = None;
    while let Some(word) = options.word() {
        if options.remaining() == 0 && is_format(word) {
            format = Some(Format::parse(&word.text));
        } else if let Some(named) = options.read(word, &zones::zones()) {
            warn_of_words(word, &mut options);
            zones.extend(named);
        }
    }
    if zones.is_empty() {
        zones.clone_from(&block.zones);
    }
    let classes = [
        ("all", vec![Class::Success, Class::Denial, Class::Error]),
        ("success", vec![Class::Success]),
        ("denial", vec![Class::Denial]),
        ("error", vec![Class::Error]),
    ];
    let named = options.values("class", 1.., one_of(classes.to_vec())).concat();
    let rule = Rule {
        zones: zones.iter().map(|zone| zone.to_lowercase().iter().map(<[u8]>::to_vec).collect()).collect(),
        classes: if named.is_empty() { classes[0].1.clone() } else { named },
        format: Arc::new(format.unwrap_or_default()),
    };
    options.finish().then_some(rule)
}

/// Whether the last word of the line is a format: it has a token, or blanks, which no zone has.
fn is_format(word: &Word) -> bool {
    word.text.contains(['{', ' '])
}

/// Warns of words that were surely not meant as zones. CoreDNS takes them silently.
fn warn_of_words(word: &Word, options: &mut Options<'_>) {
    if ["stdout", "stderr", "json", "common", "combined"].contains(&word.text.as_str()) {
        let message = format!("{} is taken for a zone", quote(&word.text));
        let hint = "lines go to standard output; formats are `{common}`, `{combined}`, `{json}` or a quoted word with tokens";
        options.warning(&word.span, message, hint);
    }
}
