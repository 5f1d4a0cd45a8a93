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
use crate::registry;
use crate::response::Response;
use crate::setup::Context;

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
        fatal: Arc::default(),
    };
    let mut served = Vec::new();
    for source in &corefile.blocks {
        let block = registry::set_up(source, &context, &mut diagnostics);
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

/// A query as a client sends it over UDP, with a minute to answer it: the machine may be busy.
pub fn question(name: &str, rtype: RecordType) -> Query {
    let name = Name::from_ascii(name).expect("a name");
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut query = Query::internal(name, rtype, DNSClass::IN, false, deadline);
    query.client.transport = Transport::Udp;
    query
}

/// Asks `chain` for `name` and `rtype`.
pub async fn ask(chain: &Chain, name: &str, rtype: RecordType) -> Result<Response, ServeError> {
    chain.serve(&question(name, rtype)).await
}
