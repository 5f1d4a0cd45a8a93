//! Reads `acl`.

use std::sync::Arc;

use corefile::options::{Mismatch, Options, Value};
use corefile::{Diagnostic, Directive, Word, quote};
use hickory_proto::rr::Name;

use super::handler::{Acl, Counters};
use super::rules::{Action, Rule, Stanza};
use crate::networks::{Networks, network};
use crate::setup::{Block, Context};
use crate::words;
use crate::zones::Zones;

/// Puts `acl` into the chain. Each directive is a stanza; their order is that of the file.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let stanzas: Vec<Stanza> =
        directives.iter().filter_map(|directive| read(directive, block, diagnostics)).collect();
    if stanzas.len() == directives.len() {
        let counters = Counters::new(&context.metrics, &block.zone_list());
        block.plugins.push(Arc::new(Acl::new(stanzas, counters)));
    }
}

fn read(directive: &Directive, block: &Block<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Stanza> {
    let mut options = Options::new(directive, diagnostics);
    let zones = Zones::read(&mut options, block);
    for zone in zones.names() {
        let meets = |other: &Name| other.zone_of(zone) || zone.zone_of(other);
        if !block.zones.iter().any(meets) {
            let message = format!("`{zone}` lies outside of the server block's zones");
            options.warning(&directive.span, message, "no query for it comes here");
        }
    }
    let mut all = None;
    let rules = options.properties(&ACTIONS.map(|(name, _)| name), |line| {
        if let Some(place) = &all {
            let message = "is never reached";
            line.warning(line.span(), message, format!("the rule at {place} matches every query"));
        }
        let rule = read_rule(line);
        if rule.matches_all() {
            all.get_or_insert_with(|| line.span().clone());
        }
        Some(rule)
    });
    if directive.block.as_ref().is_none_or(Vec::is_empty) {
        let hint = "rules stand between braces, such as `block net 192.0.2.0/24`";
        options.error_with_hint(&directive.span, "expected at least one rule", hint);
    }
    options.finish().then_some(Stanza { zones, rules })
}

/// `ACTION [type TYPE...] [net NETWORK...]`
fn read_rule(line: &mut Options<'_>) -> Rule {
    let action = ACTIONS.iter().find(|(name, _)| *name == line.name());
    let action = action.map(|(_, action)| *action).expect("lines are asked for by these names");
    let (mut types, mut networks) = (Section::default(), Section::default());
    while let Some(word) = line.word() {
        match word.text.as_str() {
            "type" => types.read(line, word, &rtype()),
            "net" => networks.read(line, word, &network()),
            _ => {
                let message = format!("expected `type` or `net`, got {}", quote(&word.text));
                let hint = "a rule is `ACTION [type TYPE...] [net NETWORK...]`";
                line.error_with_hint(&word.span, message, hint);
                break;
            }
        }
    }
    Rule { action, types: types.named(), networks: networks.named().map(Networks::new) }
}

/// What the words behind one of the keywords of a rule name.
struct Section<T> {
    named: Vec<T>,
    is_there: bool,
    all: bool,
}

impl<T> Default for Section<T> {
    fn default() -> Section<T> {
        Section { named: Vec::new(), is_there: false, all: false }
    }
}

impl<T: 'static> Section<T> {
    /// Reads the words behind `keyword`, up to the next keyword.
    fn read(&mut self, line: &mut Options<'_>, keyword: &Word, value: &Value<T>) {
        self.is_there = true;
        let mut count = 0;
        while let Some(word) = line.peek().filter(|word| !["type", "net"].contains(&word.text.as_str())) {
            line.word();
            count += 1;
            match word.text.as_str() {
                "*" => self.all = true,
                _ => self.named.extend(line.read(word, value)),
            }
        }
        if count == 0 {
            let message =
                format!("expected `*` or {} behind {}, got nothing", value.expected(), quote(&keyword.text));
            line.error(&keyword.span, message);
        }
    }

    /// What is named, or `None` for all.
    fn named(self) -> Option<Vec<T>> {
        (self.is_there && !self.all).then_some(self.named)
    }
}

/// A record type by its word or number: `A`, `TYPE65`.
fn rtype() -> Value<u16> {
    Value::new("a record type", |text| words::rtype_named(text).ok_or_else(Mismatch::new))
}

const ACTIONS: [(&str, Action); 4] =
    [("allow", Action::Allow), ("block", Action::Block), ("filter", Action::Filter), ("drop", Action::Drop)];
