//! Tests of the plugin, by the vectors of `core` and by cases from public repositories.

mod agreeing;
mod answers;
mod beside;
mod keeping;
mod lists;
mod local;
mod numbers;
mod setting_up;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use corefile::{MemorySources, ParseOptions};
use ct_watch::Clock;
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use transparency::Moment;

use super::CtVerify;
use super::setup::build;
use crate::metrics::Metrics;
use crate::setup::{Block, Context, Settings};

/// When the vectors are judged.
const AUGUST: &str = "2026-08-01T00:00:00Z";

fn at(text: &str) -> Arc<dyn Clock> {
    Arc::new(text.parse::<Moment>().unwrap())
}

fn august_ms() -> u64 {
    AUGUST.parse::<Moment>().unwrap().milliseconds()
}

/// The vectors of `core`.
fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ct_verify/core/tests/vectors")
}

/// The certificates of a vector: leaf, issuer.
pub(super) fn chain(name: &str) -> Vec<CertificateDer<'static>> {
    let pem = std::fs::read(vectors().join(format!("chains/{name}.pem"))).unwrap();
    CertificateDer::pem_slice_iter(&pem).map(Result::unwrap).collect()
}

/// Lines that give log list and roots of the vectors.
pub(super) const MATERIALS: &str = "log-list log_list.json\nroots roots.pem\naudit off\n";

/// What is said of these lines within `ct-verify`, and the plugin if it can be set up. Files are those of `folder`.
fn set_up(
    folder: &Path,
    lines: &str,
    clock: Arc<dyn Clock>,
) -> (Vec<String>, Option<CtVerify>, Arc<Metrics>) {
    let context = context_of(folder, Arc::default());
    let (messages, plugin) = set_up_in(&context, ".", lines, clock);
    (messages, plugin, context.metrics)
}

/// What the blocks of one configuration share.
fn context_of(folder: &Path, metrics: Arc<Metrics>) -> Context {
    Context {
        directory: folder.to_owned(),
        metrics,
        nodes: Arc::default(),
        claims: Mutex::default(),
        fatal: Arc::default(),
    }
}

/// The same for the block of one zone.
fn set_up_in(
    context: &Context,
    zone: &str,
    lines: &str,
    clock: Arc<dyn Clock>,
) -> (Vec<String>, Option<CtVerify>) {
    let text = format!("{zone} {{\nct-verify {{\n{lines}\n}}\n}}\n");
    let sources = MemorySources::new().with_file("Corefile", text.as_str());
    let names = crate::registry::names();
    let options = ParseOptions { directives: Some(&names), ..Default::default() };
    let (tree, mut diagnostics) = corefile::parse("Corefile".as_ref(), &sources, &options);
    let block = Block {
        keys: &tree.blocks[0].keys,
        zones: vec![Name::from_ascii(zone).unwrap()],
        settings: Settings::default(),
        plugins: Vec::new(),
        services: Vec::new(),
        root: context.directory.clone(),
    };
    let directives: Vec<_> = tree.blocks[0].directives_named("ct-verify").collect();
    let plugin = build(&directives, &block, context, clock, &mut diagnostics);
    (diagnostics.iter().map(ToString::to_string).collect(), plugin)
}

/// The plugin of these lines, by the vectors, in August.
pub(super) fn plugin(lines: &str) -> CtVerify {
    plugin_at(&vectors(), lines, AUGUST)
}

fn plugin_at(folder: &Path, lines: &str, time: &str) -> CtVerify {
    let (messages, plugin, _) = set_up(folder, lines, at(time));
    plugin.unwrap_or_else(|| panic!("{messages:?}"))
}

/// A record with this data as on the wire, whether it is well formed or not.
fn record(owner: &str, rtype: RecordType, rdata: Vec<u8>) -> Record {
    let data = RData::Unknown { code: rtype, rdata: NULL::with(rdata) };
    Record::from_rdata(Name::from_ascii(owner).unwrap(), 300, data)
}

/// `owner CERT PKIX 0 0 certificate`
fn cert(owner: &str, certificate: &[u8]) -> Record {
    record(owner, RecordType::CERT, [&[0, 1, 0, 0, 0], certificate].concat())
}

/// `owner TLSA usage 0 0 certificate`
fn tlsa(owner: &str, usage: u8, certificate: &[u8]) -> Record {
    record(owner, RecordType::TLSA, [&[usage, 0, 0], certificate].concat())
}
