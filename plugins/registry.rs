//! The one table of all plugins, in the order in which a query meets them.

use corefile::{Diagnostic, Directive};
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
    Entry { name: "cache", summary: "answers what was asked before", setup: crate::cache::setup },
    Entry {
        name: "byzantine-consensus",
        summary: "answers only what a quorum has agreed on",
        setup: crate::byzantine_consensus::setup,
    },
    Entry { name: "file", summary: "zones from master files", setup: crate::file::setup::setup },
    Entry { name: "forward", summary: "asks other servers", setup: crate::forward::setup::setup },
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
        let zone = Name::from_ascii(&key.zone).expect("the zone of a key was checked to be a name");
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
