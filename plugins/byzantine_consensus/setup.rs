//! Sets `byzantine-consensus CLUSTER { ... }` up: reads the cluster file and the key that the directive names, and holds them against each other.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use certificate::Cluster;
use certificate::keys::SeedKey;
use corefile::options::Options;
use corefile::{Diagnostic, Directive, Span};

use super::directive::{node_settings, read};
use super::handler::{ByzantineConsensus, QuerySettings};
use super::metrics::ConsensusMetrics;
use super::nodes::Identity;
use super::state;
use crate::setup::{Block, Context, once};

/// Sets the plugin up. Reads the cluster file, the key, and whose log is in the state folder; opens nothing.
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
    let (true, Some(cluster), Some((seed, key_span)), Some((folder, state_span))) =
        (is_complete, cluster, seed, words.state.as_ref())
    else {
        return;
    };
    let public_key = seed.signing_key().public_key();
    let Some(member) = cluster.members.iter().find(|member| member.public_key == public_key) else {
        let message =
            "byzantine-consensus: identity: expected the key of a replica of the cluster file, found another";
        diagnostics.push(Diagnostic::error(key_span, message).with_hint(
            "`quorate cluster new` writes the key of each replica beside its copy of the cluster file",
        ));
        return;
    };
    let state = root.join(folder);
    let found = state::look(&state, &cluster, member.id, state_span);
    let is_refused = found.as_ref().is_some_and(Diagnostic::is_error);
    diagnostics.extend(found);
    if is_refused || claims_zone_twice(&cluster, block, directive, context, diagnostics) {
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
        state,
        settings: node_settings(&words, &cluster),
        metrics: ConsensusMetrics::new(&context.metrics, &cluster.name),
        cluster: Arc::new(cluster),
    };
    block.plugins.push(Arc::new(ByzantineConsensus::new(settings, identity, context.nodes.clone())));
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
    match Cluster::parse_to_run(&text, &path.display().to_string()) {
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
