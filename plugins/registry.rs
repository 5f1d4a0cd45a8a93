//! The one table of all plugins, in the order in which a query meets them.

use corefile::{Diagnostic, Directive, Key};
use hickory_proto::rr::Name;

use crate::setup::{Block, Context, Settings, Setup};

/// A plugin's line in the table.
pub struct Entry {
    /// The name of its directive.
    pub name: &'static str,
    /// Half a sentence of what it does, for `quorate plugins`.
    pub summary: &'static str,
    /// Reads its directives.
    pub setup: Setup,
}

/// Every plugin, first to last. CoreDNS's order where it has one; what stands before `cache` judges each client, what stands
/// after `byzantine-consensus` is one replica's own view of DNS.
pub const PLUGINS: &[Entry] = &[
    Entry { name: "root", summary: "the base folder for file paths", setup: crate::root::setup },
    Entry { name: "cancel", summary: "how long a query may take", setup: crate::cancel::setup },
    Entry { name: "tls", summary: "certificate and key of encrypted listeners", setup: crate::tls::setup },
    Entry { name: "timeouts", summary: "how long connections may be idle", setup: crate::timeouts::setup },
    Entry { name: "reload", summary: "takes a changed Corefile by itself", setup: crate::reload::setup },
    Entry { name: "nsid", summary: "tells a client which server answered", setup: crate::nsid::setup },
    Entry { name: "bufsize", summary: "the longest reply over UDP", setup: crate::bufsize::setup },
    Entry { name: "bind", summary: "which addresses to listen on", setup: crate::bind::setup },
    Entry { name: "debug", summary: "tells more, to find a fault", setup: crate::debug::setup },
    Entry { name: "ready", summary: "GET /ready: whether all plugins can serve", setup: crate::ready::setup },
    Entry { name: "health", summary: "GET /health: whether the program lives", setup: crate::health::setup },
    Entry {
        name: "prometheus",
        summary: "GET /metrics, and counts queries",
        setup: crate::prometheus::setup,
    },
    Entry { name: "errors", summary: "logs why queries fail", setup: crate::errors::setup },
    Entry { name: "log", summary: "the query log", setup: crate::log::setup },
    Entry { name: "acl", summary: "who may ask what", setup: crate::acl::setup },
    Entry {
        name: "ratelimit",
        summary: "how many replies a network gets over UDP",
        setup: crate::ratelimit::setup,
    },
    Entry { name: "local", summary: "answers for localhost", setup: crate::local::setup },
    Entry { name: "any", summary: "a short answer to ANY", setup: crate::any::setup },
    Entry { name: "chaos", summary: "version, authors and host, in class CH", setup: crate::chaos::setup },
    Entry {
        name: "loadbalance",
        summary: "the order of addresses in answers",
        setup: crate::loadbalance::setup,
    },
    Entry { name: "cache", summary: "answers what was asked before", setup: crate::cache::setup },
    Entry { name: "rewrite", summary: "other questions and other answers", setup: crate::rewrite::setup },
    Entry { name: "header", summary: "sets and clears flags of answers", setup: crate::header::setup },
    Entry { name: "minimal", summary: "leaves out what was not asked for", setup: crate::minimal::setup },
    Entry {
        name: "byzantine-consensus",
        summary: "answers only what a quorum has agreed on",
        setup: crate::byzantine_consensus::setup,
    },
    Entry {
        name: "ct-verify",
        summary: "judges certificates in answers by Certificate Transparency",
        setup: crate::ct_verify::setup,
    },
    Entry { name: "hosts", summary: "names from a hosts file", setup: crate::hosts::setup::setup },
    Entry { name: "file", summary: "zones from master files", setup: crate::file::setup::setup },
    Entry {
        name: "loop",
        summary: "finds out whether what is forwarded comes back",
        setup: crate::r#loop::setup,
    },
    Entry { name: "forward", summary: "asks other servers", setup: crate::forward::setup::setup },
    Entry { name: "erratic", summary: "answers badly, for tests of clients", setup: crate::erratic::setup },
    Entry { name: "whoami", summary: "tells a client its own address", setup: crate::whoami::setup },
];

/// The names of all directives, for the parser.
pub fn names() -> Vec<&'static str> {
    PLUGINS.iter().map(|entry| entry.name).collect()
}

/// Sets up `block`: every plugin whose directive it holds, in the order of the table.
///
/// What is wrong goes into `diagnostics`; with an error among them the result must not be served.
pub fn set_up<'a>(
    block: &'a corefile::Block,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) -> Block<'a> {
    let mut zones: Vec<Name> = Vec::new();
    for key in &block.keys {
        let zone = zone_of(key);
        if !zones.contains(&zone) {
            zones.push(zone);
        }
    }
    let mut built = Block {
        keys: &block.keys,
        zones,
        settings: Settings::default(),
        plugins: Vec::new(),
        services: Vec::new(),
        root: context.directory.clone(),
    };
    for entry in PLUGINS {
        let directives: Vec<&Directive> = block.directives_named(entry.name).collect();
        if !directives.is_empty() {
            (entry.setup)(&directives, &mut built, context, diagnostics);
        }
    }
    built
}

/// The zone of a key.
pub fn zone_of(key: &Key) -> Name {
    crate::zones::named(&key.zone)
}
