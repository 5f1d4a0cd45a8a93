//! Reads `byzantine-consensus CLUSTER { ... }`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use certificate::Cluster;
use certificate::keys::SeedKey;
use corefile::options::{self, Options};
use corefile::{Diagnostic, Directive, Span};

use super::handler::{ByzantineConsensus, OnDisagreement, QuerySettings};
use super::metrics::ConsensusMetrics;
use super::nodes::{Identity, NodeSettings};
use crate::setup::{Block, Context, once};

/// The longest a lookup may take: RFC 8767 §5 gives the whole answer 1.8 s.
const OBSERVE_TIMEOUT_MAX: Duration = Duration::from_millis(1500);
/// How long a view that was agreed on may take to begin, unless told otherwise.
const VIEW_CHANGE_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest first wait: later ones double up to the same.
const VIEW_CHANGE_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Everything the directive says.
pub(super) struct Words {
    cluster: Option<(PathBuf, Span)>,
    identity: Option<(PathBuf, Span)>,
    state: PathBuf,
    observe_timeout: Duration,
    on_disagreement: OnDisagreement,
    option_code: u16,
    max_faulty: u32,
    batch: Option<(u16, Duration)>,
    pipeline: Option<u32>,
    timeout: Duration,
    view_change_timeout: Duration,
    fast_path: bool,
    compression: bool,
    bind: Option<std::net::SocketAddr>,
}

/// Sets the plugin up. Reads the cluster file and the key; opens nothing.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(directive) = once(directives, diagnostics) else { return };
    let mut options = Options::new(directive, diagnostics);
    let words = read(&mut options);
    let is_complete = options.finish();
    let root = block.root.clone();
    let cluster = words
        .cluster
        .as_ref()
        .and_then(|(path, span)| read_cluster(&root.join(path), span, words.max_faulty, diagnostics));
    let seed = words
        .identity
        .as_ref()
        .and_then(|(path, span)| Some((read_key(&root.join(path), span, diagnostics)?, span)));
    let (true, Some(cluster), Some((seed, key_span))) = (is_complete, cluster, seed) else { return };
    let public_key = seed.signing_key().public_key();
    let Some(member) = cluster.members.iter().find(|member| member.public_key == public_key) else {
        let message =
            "byzantine-consensus: identity: expected the key of a replica of the cluster file, found another";
        diagnostics.push(Diagnostic::error(key_span, message).with_hint(
            "`quorate cluster new` writes the key of each replica beside its copy of the cluster file",
        ));
        return;
    };
    if claims_zone_twice(&cluster, block, directive, context, diagnostics) {
        return;
    }
    let settings = QuerySettings {
        zones: block.zones.clone(),
        observe_timeout: words.observe_timeout,
        on_disagreement: words.on_disagreement,
        option_code: words.option_code,
    };
    let identity = Identity {
        me: member.id,
        seed: Arc::new(seed),
        state: root.join(&words.state),
        settings: node_settings(&words, &cluster),
        metrics: ConsensusMetrics::new(&context.metrics),
        cluster: Arc::new(cluster),
    };
    block.plugins.push(Arc::new(ByzantineConsensus::new(settings, identity, context.nodes.clone())));
}

pub(super) fn read(options: &mut Options<'_>) -> Words {
    let span = options.span().clone();
    let cluster_span = options.peek().map_or_else(|| span.clone(), |word| word.span.clone());
    let cluster = options.required(options::path()).map(|path| (path, cluster_span));
    let identity = required_path(options, "identity", "the file of this replica's key");
    let state = required_path(options, "state", "the folder of this replica's log");
    let ms = Duration::from_millis;
    // One algorithm, one way to write it: kept so that a configuration says what it relies on.
    options.value("algorithm", options::one_of([("pbft", ())]));
    let on_disagreement =
        options::one_of([("servfail", OnDisagreement::ServFail), ("local", OnDisagreement::Local)]);
    let code = certificate::delivery::OPTION_CODE;
    let timeout = options.value("timeout", options::duration(ms(10)..=ms(60_000))).unwrap_or(ms(100));
    Words {
        cluster,
        identity,
        state: state.map(|(path, _)| path).unwrap_or_default(),
        observe_timeout: options
            .value("observe-timeout", options::duration(ms(10)..=OBSERVE_TIMEOUT_MAX))
            .unwrap_or(ms(800)),
        on_disagreement: options
            .value("on-disagreement", on_disagreement)
            .unwrap_or(OnDisagreement::ServFail),
        option_code: options.value("edns-option", options::integer(65_001..=65_534)).unwrap_or(code),
        max_faulty: options.value("max-faulty", options::integer(1..=10)).unwrap_or(10),
        batch: options.property("batch", |line| {
            if line.keyword("off") {
                return Some((1, Duration::ZERO));
            }
            let entries = line.required(options::integer(1..=1024).named("`off` or a number of entries"))?;
            let wait = line.optional(options::duration(Duration::ZERO..=ms(1000)));
            Some((entries, wait.unwrap_or(ms(2))))
        }),
        pipeline: options.value("pipeline", options::integer(1..=100)),
        timeout,
        view_change_timeout: view_change_timeout(options, timeout),
        fast_path: options.property("fast-path", fast_path).unwrap_or(true),
        compression: options
            .value("compression", options::one_of([("zstd", true), ("off", false)]))
            .unwrap_or(true),
        bind: options.value("bind", options::socket_address(5380)),
    }
}

/// Reads `view-change-timeout`. A view that is given up sooner than its primary would be suspected never begins.
fn view_change_timeout(options: &mut Options<'_>, timeout: Duration) -> Duration {
    let read = options.property("view-change-timeout", |line| {
        let span = line.peek().map_or_else(|| line.span().clone(), |word| word.span.clone());
        let wait = line.required(options::duration(Duration::from_millis(10)..=VIEW_CHANGE_TIMEOUT_MAX))?;
        if wait < timeout {
            let (least, found) = (timeout.as_millis(), wait.as_millis());
            let hint =
                "the next primary needs at least as long to begin as the last one had to make progress";
            line.error_with_hint(
                &span,
                format!("expected at least `timeout`, {least}ms, got {found}ms"),
                hint,
            );
            return None;
        }
        Some(wait)
    });
    read.unwrap_or(VIEW_CHANGE_TIMEOUT.max(timeout))
}

/// Reads `fast-path on|off`.
fn fast_path(line: &mut Options<'_>) -> Option<bool> {
    let on = line.required(options::one_of([("on", true), ("off", false)]))?;
    if on && let Some(word) = line.peek().cloned() {
        let _ = line.word();
        let hint = "a threshold needs the reputation of each replica, which this version does not keep; write `fast-path on` or `fast-path off`";
        line.error_with_hint(&word.span, format!("expected the end of the line, got `{}`", word.text), hint);
        return None;
    }
    Some(on)
}

/// Reads the property `name`, a path; its absence is an error.
fn required_path(options: &mut Options<'_>, name: &'static str, what: &str) -> Option<(PathBuf, Span)> {
    let mut is_there = false;
    let path = options.property(name, |line| {
        is_there = true;
        let span = line.peek().map_or_else(|| line.span().clone(), |word| word.span.clone());
        line.required(options::path()).map(|path| (path, span))
    });
    if !is_there {
        let span = options.span().clone();
        let hint = format!("add a line `{name} PATH` to its block");
        options.error_with_hint(
            &span,
            format!("expected the property `{name}` with {what}, found none"),
            hint,
        );
    }
    path
}

fn read_cluster(
    path: &Path,
    span: &Span,
    max_faulty: u32,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Cluster> {
    let mut error = |message: String, hint: Option<String>| {
        let diagnostic = Diagnostic::error(span, format!("byzantine-consensus: {message}"));
        diagnostics.push(match hint {
            Some(hint) => diagnostic.with_hint(hint),
            None => diagnostic,
        });
    };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(source) => {
            let hint = "`quorate cluster new` makes one".to_owned();
            error(format!("cannot read the cluster file `{}`: {source}", path.display()), Some(hint));
            return None;
        }
    };
    match Cluster::parse(&text, &path.display().to_string()) {
        Ok(cluster) if cluster.replicas.faults() > max_faulty as usize => {
            let faults = cluster.replicas.faults();
            let hint =
                "`max-faulty` is the limit; it is there so that nobody is led into a larger cluster unawares";
            let message = format!("expected a cluster file with at most {max_faulty} faults, found {faults}");
            error(message, Some(hint.to_owned()));
            None
        }
        Ok(cluster) => Some(cluster),
        Err(errors) => {
            errors.iter().for_each(|wrong| error(wrong.to_string(), None));
            None
        }
    }
}

fn read_key(path: &Path, span: &Span, diagnostics: &mut Vec<Diagnostic>) -> Option<SeedKey> {
    let mut refuse = |message: String, hint: String| {
        let diagnostic = Diagnostic::error(span, format!("byzantine-consensus: identity: {message}"));
        diagnostics.push(diagnostic.with_hint(hint));
        None
    };
    let shown = path.display();
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode(),
        Err(source) => {
            return refuse(
                format!("cannot read `{shown}`: {source}"),
                "`quorate cluster new` makes the key of each replica".to_owned(),
            );
        }
    };
    if mode & 0o077 != 0 {
        return refuse(
            format!("expected `{shown}` to be readable by its owner alone, found mode {:04o}", mode & 0o7777),
            format!("chmod 600 {shown}; if others may have read it, make a new key"),
        );
    }
    match fs::read_to_string(path)
        .map_err(|error| error.to_string())
        .and_then(|text| SeedKey::parse(text.trim()).map_err(|error| error.to_string()))
    {
        Ok(seed) => Some(seed),
        Err(why) => {
            refuse(format!("`{shown}`: {why}"), "expected a file that `quorate cluster new` wrote".to_owned())
        }
    }
}

pub(super) fn node_settings(words: &Words, cluster: &Cluster) -> NodeSettings {
    let (entries, wait) = words.batch.unwrap_or((cluster.batch_entries, Duration::from_millis(2)));
    NodeSettings {
        bind: words.bind,
        compression: words.compression,
        // The cluster file is the agreement; a replica may only ask less of the others.
        batch_entries: entries.min(cluster.batch_entries),
        batch_wait: wait,
        pipeline: words.pipeline.unwrap_or(cluster.pipeline).min(cluster.pipeline),
        timeout: words.timeout,
        view_change_timeout: words.view_change_timeout,
        fast_path: words.fast_path,
    }
}

/// A name is looked up for the cluster by the block whose zone is the longest match, so two blocks with one zone would be a toss-up.
fn claims_zone_twice(
    cluster: &Cluster,
    block: &Block<'_>,
    directive: &Directive,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) -> bool {
    let mut twice = false;
    for zone in &block.zones {
        let claim = format!("cluster {} zone {zone}", cluster.id());
        if let Err(first) = context.claim(claim, directive.span.to_string()) {
            let message = format!(
                "byzantine-consensus: expected one block of this cluster for the zone `{zone}`, found a second; the first is at {first}"
            );
            let hint = "give one block all keys: `. tls://. https://. { ... }`";
            diagnostics.push(Diagnostic::error(&directive.span, message).with_hint(hint));
            twice = true;
        }
    }
    twice
}
