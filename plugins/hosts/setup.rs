//! `hosts [FILE [ZONES...]] { ADDRESS NAME...; ttl SECONDS; no_reverse; reload DURATION; fallthrough [ZONES...] }`

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use corefile::options::{Mismatch, Options, Value, duration, path, seconds};
use corefile::{Diagnostic, Directive, Word, quote};
use hickory_proto::rr::Name;

use super::handler::{Hosts, Known, Settings};
use super::metrics::HostsMetrics;
use super::table::{Table, address, host_name};
use crate::setup::{Block, Context};
use crate::zones;

/// The file, unless one is named.
const FILE: &str = "/etc/hosts";

/// TTL of answers in seconds, unless said otherwise.
const TTL: u32 = 3600;

/// How often the file is looked at, unless said otherwise.
const RELOAD: Duration = Duration::from_secs(5);

/// Longest time between two looks.
const RELOAD_MAX: Duration = Duration::from_secs(24 * 3600);

/// Reads the `hosts` directive of a block, which stands there once.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some((first, more)) = directives.split_first() else { return };
    for again in more {
        let hint = format!("the first is at {}", first.span);
        let error = Diagnostic::error(&again.span, "hosts: expected at most once in a server block");
        diagnostics.push(error.with_hint(hint));
    }
    if let Some((settings, inline)) = read(first, block, diagnostics) {
        let known = Known::new(settings.file.clone(), inline, HostsMetrics::new(&context.metrics));
        block.plugins.push(Arc::new(Hosts::new(settings, Arc::new(known))));
    }
}

fn read(
    directive: &Directive,
    block: &Block<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<(Settings, Table)> {
    let mut options = Options::new(directive, diagnostics);
    let file_word = options.peek();
    let file = options.optional(path().named("a hosts file")).unwrap_or_else(|| PathBuf::from(FILE));
    let file = block.root.join(file);
    if let Some(word) = file_word.filter(|_| !file.exists()) {
        let message = format!("{} does not exist yet", quote(&file.display().to_string()));
        options.warning(&word.span, message, "it is read once it is there");
    }
    let zones = options.rest(.., zones::zones()).concat();
    let ttl = options.value("ttl", seconds(1..=65_535).named("a TTL")).unwrap_or(TTL);
    let reverse = !options.flag("no_reverse");
    let reload = options.value("reload", duration(Duration::ZERO..=RELOAD_MAX)).unwrap_or(RELOAD);
    let fallthrough_unsupported = options.flag("fallthrough_unsupported");
    let fallthrough = options.property("fallthrough", |line| {
        let zones = line.rest(.., zones::zones()).concat();
        Some(if zones.is_empty() { vec![Name::root()] } else { zones })
    });
    let lines = options.other_lines(|line| {
        let address_word = Word { text: line.name().to_owned(), quoted: false, span: line.span().clone() };
        let address = line.read(&address_word, &inline_address());
        let names = line.rest(1.., inline_name());
        Some((address?, names))
    });
    let fine = options.finish();
    let mut inline = Table::default();
    for (address, names) in lines {
        names.into_iter().for_each(|name| inline.add(address, name));
    }
    let settings = Settings {
        file,
        zones: if zones.is_empty() { block.zones.clone() } else { zones },
        ttl,
        reverse,
        reload: Some(reload).filter(|every| !every.is_zero()),
        fallthrough: fallthrough.unwrap_or_default(),
        fallthrough_unsupported,
    };
    fine.then_some((settings, inline))
}

fn inline_address() -> Value<IpAddr> {
    Value::new("an IP address or a property", |text: &str| {
        address(text).ok_or_else(|| {
            Mismatch::with_hint("lines are `ADDRESS NAME...`; properties: ttl, no_reverse, reload, fallthrough, fallthrough_unsupported")
        })
    })
}

fn inline_name() -> Value<Name> {
    Value::new("a host's name", |text: &str| host_name(text).ok_or_else(Mismatch::new))
}
