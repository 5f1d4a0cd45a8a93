//! Chains from the text of a Corefile, for the tests of plugins that answer.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corefile::{MemorySources, ParseOptions, has_errors};
use hickory_proto::rr::{DNSClass, Name, RecordType};

use crate::chain::Chain;
use crate::error::ServeError;
use crate::metrics::Metrics;
use crate::query::{Query, Transport};
use crate::registry::PLUGINS;
use crate::response::Response;
use crate::setup::{Block, Context, Settings};

/// A server block that was set up.
pub struct Served {
    /// Its zones and ports, placeholders of ports replaced by numbers.
    pub keys: Vec<corefile::Key>,
    /// Its plugins.
    pub chain: Chain,
    /// What they count.
    pub metrics: Arc<Metrics>,
}

/// Sets up each block of `text`; files are looked for in `directory`. Gives the blocks and the warnings, or all diagnostics.
pub fn set_up(text: &str, directory: &Path) -> Result<(Vec<Served>, Vec<String>), Vec<String>> {
    let sources = MemorySources::new().with_file("Corefile", text);
    let (corefile, mut diagnostics) =
        corefile::parse("Corefile".as_ref(), &sources, &ParseOptions::default());
    let metrics = Arc::new(Metrics::new());
    let context = Context {
        directory: directory.to_path_buf(),
        metrics: metrics.clone(),
        nodes: Arc::default(),
        claims: Default::default(),
    };
    let mut served = Vec::new();
    for source in &corefile.blocks {
        let mut zones: Vec<Name> = Vec::new();
        for key in &source.keys {
            let zone = Name::from_ascii(&key.zone).expect("keys are names");
            if !zones.contains(&zone) {
                zones.push(zone);
            }
        }
        let mut block = Block {
            keys: &source.keys,
            zones,
            settings: Settings::default(),
            plugins: Vec::new(),
            services: Vec::new(),
            root: directory.to_path_buf(),
        };
        for entry in PLUGINS {
            let directives: Vec<_> = source.directives_named(entry.name).collect();
            if !directives.is_empty() {
                (entry.setup)(&directives, &mut block, &context, &mut diagnostics);
            }
        }
        let chain = Chain::new(block.plugins);
        served.push(Served { keys: source.keys.clone(), chain, metrics: metrics.clone() });
    }
    let texts = diagnostics.iter().map(ToString::to_string).collect();
    if has_errors(&diagnostics) { Err(texts) } else { Ok((served, texts)) }
}

/// The chain of a text with one block that has no errors.
pub fn chain(text: &str, directory: &Path) -> Chain {
    let (mut served, _) = set_up(text, directory).expect("a Corefile without errors");
    served.remove(0).chain
}

/// A query as a client sends it over UDP, with five seconds to answer it.
pub fn question(name: &str, rtype: RecordType) -> Query {
    let name = Name::from_ascii(name).expect("a name");
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut query = Query::internal(name, rtype, DNSClass::IN, false, deadline);
    query.client.transport = Transport::Udp;
    query
}

/// Asks `chain` for `name` and `rtype`.
pub async fn ask(chain: &Chain, name: &str, rtype: RecordType) -> Result<Response, ServeError> {
    chain.serve(&question(name, rtype)).await
}
