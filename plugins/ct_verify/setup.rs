//! Sets `ct-verify { ... }` up: reads the files that the directive names, and opens nothing.

use std::path::{Component, Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use corefile::options::Options;
use corefile::{Diagnostic, Directive};
use ct_watch::config::Source;
use ct_watch::{Clock, SystemClock};
use rustls::RootCertStore;
use tokio::sync::Semaphore;

use super::CtVerify;
use super::background::Plan;
use super::content::Contents;
use super::directive::{At, Place, Words, read};
use super::files::{Files, Reader};
use super::handler::{Core, Settings};
use super::in_force::InForce;
use super::metrics::CtMetrics;
use super::numbers::Numbers;
use super::own::Own;
use super::told::Told;
use super::verdicts::Verdicts;
use super::wishes::Wishes;
use crate::setup::{Block, Context, once};

/// Puts `ct-verify` into the chain.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if let Some(plugin) = build(directives, block, context, Arc::new(SystemClock), diagnostics) {
        block.plugins.push(Arc::new(plugin));
    }
}

/// The plugin that the directive describes, by this clock.
pub(super) fn build(
    directives: &[&Directive],
    block: &Block<'_>,
    context: &Context,
    clock: Arc<dyn Clock>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<CtVerify> {
    let directive = once(directives, diagnostics)?;
    let mut options = Options::new(directive, diagnostics);
    let words = read(&mut options);
    let is_complete = options.finish();
    let files = Reader { root: &block.root, diagnostics }.read(&words);
    let is_ours = claim_state(&words, block, context, diagnostics);
    let files = files.filter(|_| is_complete && is_ours)?;
    let metrics = CtMetrics::new(&context.metrics);
    let settings = Settings {
        modes: words.modes.clone(),
        policy: words.policy,
        revocation: words.revocation,
        certificates: words.certificates,
    };
    let plan = plan(&words, &files, block);
    let core = Core {
        own: Own::new(files.roots, files.inputs),
        in_force: InForce::at(plan.state.clone()),
        contents: Arc::new(Contents::of_inputs()),
        chains: Contents::of_chains(),
        verdicts: Verdicts::new(words.policy, words.revocation, words.verdicts, metrics.clone()),
        wishes: Wishes::default(),
        told: Told::default(),
        is_attached: AtomicBool::new(false),
        background: Mutex::default(),
        judging: Arc::new(Semaphore::new(JUDGING_MAX)),
        operations: Arc::new(Semaphore::new(OPERATIONS_MAX)),
        settings,
        metrics,
        numbers: Numbers::new(context, block.zone_list()),
        clock,
        plan,
    };
    Some(CtVerify { core: Arc::new(core) })
}

/// Two blocks that wrote into one folder would overwrite each other's state.
fn claim_state(
    words: &Words,
    block: &Block<'_>,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) -> bool {
    let Some((path, span)) = &words.state else { return true };
    let what = format!("ct-verify state {}", place(&block.root.join(path)).display());
    match context.claim(what, span.to_string()) {
        Ok(()) => true,
        Err(first) => {
            let message = format!("ct-verify: state: `{}` is in use by another block", path.display());
            let hint = format!("each block needs a folder of its own; the other is at {first}");
            diagnostics.push(Diagnostic::error(span, message).with_hint(hint));
            false
        }
    }
}

/// One path for a folder, however it is written and whether or not it is there.
fn place(path: &Path) -> PathBuf {
    let known = path.canonicalize().or_else(|_| std::path::absolute(path));
    let mut place = PathBuf::new();
    for part in known.as_deref().unwrap_or(path).components() {
        match part {
            Component::ParentDir => {
                // At the root there is nothing to leave.
                let _left = place.pop();
            }
            part => place.push(part),
        }
    }
    place
}

fn plan(words: &Words, files: &Files, block: &Block<'_>) -> Plan {
    let source = |place: &Place| match &place.at {
        At::File(path) => Source::File(block.root.join(path)),
        At::Url(url) => Source::Url(url.clone()),
    };
    let tls_roots = files.roots.entries().map(|(anchor, _)| anchor.clone()).collect();
    Plan {
        state: words.state.as_ref().map(|(path, _)| block.root.join(path)),
        log_list: words.log_list.as_ref().map(source),
        crls: words.crls.iter().map(source).collect(),
        intermediates: files.intermediates.clone(),
        root_certificates: Arc::new(files.root_certificates.clone()),
        tls_roots: Arc::new(RootCertStore { roots: tls_roots }),
        refresh: words.refresh,
        hosts: words.hosts.clone(),
        allow_private: words.allow_private,
        audit: words.audit,
        zones: words.zones.clone(),
        certspotter: words.certspotter.as_ref().map(|path| block.root.join(path)),
        probes: words.probes.clone(),
        probe_period: words.probe_period,
        resolves_all: block.zones.iter().any(hickory_proto::rr::Name::is_root),
    }
}

/// How many long judgements of answers, and of what is shown beside decisions, are under way at a time.
pub(super) const JUDGING_MAX: usize = 4;
/// How many judgements for the cluster are: they take no room from answers, nor answers from them.
const OPERATIONS_MAX: usize = 2;
