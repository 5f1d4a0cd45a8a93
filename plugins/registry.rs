//! The one table of all plugins, in the order in which a query meets them.

use crate::setup::Setup;

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
pub const PLUGINS: &[Entry] = &[];

/// The names of all directives, for the parser.
pub fn names() -> Vec<&'static str> {
    PLUGINS.iter().map(|entry| entry.name).collect()
}
