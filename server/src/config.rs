//! From a Corefile to what is to be served: listeners, chains, HTTP services. Checks everything and opens no socket.
//!
//! What a directive means is known to its plugin; what a key means, and which blocks get in each other's way, is decided here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use certificate::Digest;
use corefile::{Corefile, Diagnostic, Key, ParseOptions, Scheme, Span, SystemSources};
use plugins::byzantine_consensus::Nodes;
use plugins::chain::Chain;
use plugins::fatal::Fatal;
use plugins::metrics::Metrics;
use plugins::registry;
use plugins::setup::{Context, Reload, Service, Settings, TlsFiles};
use rustls::ServerConfig;

use crate::engine::QUERY_DEADLINE;
use crate::listen::ListenerKey;
use crate::listen::certificates::server_config;
use crate::listen::limits::IDLE_TIMEOUT;
use crate::watch::Fingerprint;
use crate::zones::{Block, Zones};

/// What is to be served.
pub struct Configuration {
    /// The listeners and their zones.
    pub listeners: BTreeMap<ListenerKey, Plan>,
    /// The chains of all blocks, in file order.
    pub chains: Vec<Chain>,
    /// The HTTP services.
    pub services: Vec<Service>,
    /// How often the files are looked at.
    pub reload: Option<Reload>,
    /// Whether a block wants more to be told.
    pub debug: bool,
}

/// What a listener is to serve.
pub struct Plan {
    /// Its zones.
    pub zones: Zones,
    /// How long its connections may be idle.
    pub idle_timeout: Duration,
    /// Its TLS settings; there exactly when its scheme is encrypted.
    pub tls: Option<Arc<ServerConfig>>,
}

/// What outlives configurations and is given to each.
#[derive(Clone, Default)]
pub struct Lasting {
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Replicas.
    pub nodes: Arc<Nodes>,
    /// What makes it useless to go on.
    pub fatal: Arc<Fatal>,
}

/// What was found in a Corefile.
pub struct Findings {
    /// The tree, which knows the text that diagnostics point to.
    pub corefile: Corefile,
    /// Errors and warnings, ordered by place.
    pub diagnostics: Vec<Diagnostic>,
    /// What is to be served; `None` when there are errors.
    pub configuration: Option<Configuration>,
    /// What the files held.
    pub fingerprint: Fingerprint,
}

/// Reads the Corefile at `path`. `dns_port` is the port of `dns://` keys that name none.
///
/// Reports all errors of all blocks at once.
pub fn load(path: &Path, dns_port: u16, lasting: &Lasting) -> Findings {
    let directives = registry::names();
    let options = ParseOptions { directives: Some(&directives), default_port: dns_port };
    let (corefile, mut diagnostics) = corefile::parse(path, &SystemSources, &options);
    let context = Context {
        directory: path.parent().unwrap_or(Path::new("")).to_owned(),
        metrics: lasting.metrics.clone(),
        nodes: lasting.nodes.clone(),
        claims: Default::default(),
        fatal: lasting.fatal.clone(),
    };
    let mut builder = Builder::default();
    for block in &corefile.blocks {
        let built = registry::set_up(block, &context, &mut diagnostics);
        // After an error the block may lack just the plugin that was meant.
        if built.plugins.is_empty() && !corefile::has_errors(&diagnostics) {
            let message = "serves nothing: every query is refused";
            let hint =
                "add a directive that answers, such as `forward . 192.0.2.1`; `quorate plugins` shows all";
            diagnostics.extend(
                block.keys.first().map(|key| Diagnostic::warning(&key.span, message).with_hint(hint)),
            );
        }
        builder.add(block, built.settings, Chain::new(built.plugins), &mut diagnostics);
        builder.services.extend(built.services);
    }
    builder.check_ports(&mut diagnostics);
    if corefile.blocks.is_empty() && !corefile::has_errors(&diagnostics) {
        let message = "expected at least one server block";
        let hint = "such as `. { forward . 192.0.2.1 }`; see `quorate plugins` for all directives";
        diagnostics.push(Diagnostic::error(&Span::of_file(path), message).with_hint(hint));
    }
    let rank = |span: &Span| corefile.files.iter().position(|file| file.path == span.file);
    diagnostics.sort_by_key(|found| (rank(&found.span), found.span.line, found.span.column, found.severity));
    let configuration = (!corefile::has_errors(&diagnostics)).then(|| Configuration {
        listeners: builder.listeners.into_iter().map(|(key, listener)| (key, listener.plan)).collect(),
        chains: builder.chains,
        services: builder.services,
        reload: builder.reload.map(|(reload, _)| reload),
        debug: builder.debug,
    });
    let fingerprint = Fingerprint::new(&corefile, builder.watched);
    Findings { corefile, diagnostics, configuration, fingerprint }
}

/// The listeners that blocks ask for, as they come.
#[derive(Default)]
struct Builder {
    listeners: BTreeMap<ListenerKey, Gathered>,
    /// Where each zone of each listener was first defined.
    defined: AHashMap<(ListenerKey, String), Span>,
    chains: Vec<Chain>,
    services: Vec<Service>,
    /// The first `reload`, and where it stands.
    reload: Option<(Reload, Span)>,
    /// Files that directives name.
    watched: BTreeMap<PathBuf, Option<Digest>>,
    debug: bool,
}

/// A listener, and the block that asked for it first.
struct Gathered {
    plan: Plan,
    files: Option<TlsFiles>,
    span: Span,
}

impl Builder {
    /// Adds a block: each of its keys on each of its addresses.
    fn add(
        &mut self,
        server_block: &corefile::Block,
        settings: Settings,
        chain: Chain,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let addresses: Vec<Option<IpAddr>> = match settings.bind.as_slice() {
            [] => vec![None],
            addresses => addresses.iter().copied().map(Some).collect(),
        };
        self.watch(server_block, &settings, diagnostics);
        self.debug |= settings.debug;
        let block = Block::configured(chain.clone(), &settings);
        let mut without_certificate = None;
        for key in &server_block.keys {
            if key.scheme != Scheme::Dns && settings.tls.is_none() {
                without_certificate.get_or_insert(key);
                continue;
            }
            for &address in &addresses {
                let listener = ListenerKey { scheme: key.scheme, address, port: key.port };
                if let Some(gathered) = self.listener(listener, key, &settings, diagnostics) {
                    gathered.plan.zones.insert(&registry::zone_of(key), block.clone());
                    self.define(listener, key, diagnostics);
                }
            }
        }
        // A directive that is there and of no use has said itself why.
        let told = server_block.directives_named("tls").next().is_some();
        if let Some(key) = without_certificate.filter(|_| !told) {
            let message = format!("cannot serve {key}: expected a `tls` directive in this block");
            let hint = "add `tls CERTIFICATE KEY` with the PEM files that clients shall be shown";
            diagnostics.push(Diagnostic::error(&key.span, message).with_hint(hint));
        }
        self.chains.push(chain);
    }

    /// Notes which files are to be watched, and how often; two blocks that do not agree are an error.
    fn watch(
        &mut self,
        server_block: &corefile::Block,
        settings: &Settings,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        self.watched.extend(settings.watched.clone());
        let directive = server_block.directives_named("reload").next();
        let (Some(directive), Some(reload)) = (directive, settings.reload) else { return };
        let (first, span) = self.reload.get_or_insert_with(|| (reload, directive.span.clone()));
        if *first != reload {
            let message = format!("reload: expected the same as at {}", place_of(span));
            let hint = "the files are those of all blocks; say it in one of them, or in all the same";
            diagnostics.push(Diagnostic::error(&directive.span, message).with_hint(hint));
        }
    }

    /// Notes where a zone is defined; twice is an error.
    fn define(&mut self, listener: ListenerKey, key: &Key, diagnostics: &mut Vec<Diagnostic>) {
        match self.defined.entry((listener, key.zone.clone())) {
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(key.span.clone());
            }
            std::collections::hash_map::Entry::Occupied(first) => {
                let place = place_of(first.get());
                let message = format!("cannot serve {key}: it is already defined at {place}");
                let hint = "one block for each zone; move the directives of both into one";
                diagnostics.push(Diagnostic::error(&key.span, message).with_hint(hint));
            }
        }
    }

    /// The listener `listener`, made if there is none. `None` after an error.
    fn listener(
        &mut self,
        listener: ListenerKey,
        key: &Key,
        settings: &Settings,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<&mut Gathered> {
        if let Some(gathered) = self.listeners.get(&listener)
            && let (Some(first), Some(files)) = (&gathered.files, &settings.tls)
            && (&first.certificate, &first.key) != (&files.certificate, &files.key)
        {
            let place = place_of(&gathered.span);
            let message =
                format!("cannot serve {key}: the block at {place} shows another certificate on this port");
            let hint = "use one certificate for all names of the port, or another port";
            diagnostics.push(Diagnostic::error(&key.span, message).with_hint(hint));
            return None;
        }
        let gathered = match self.listeners.entry(listener) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let files = settings.tls.clone().filter(|_| key.scheme != Scheme::Dns);
                let tls = files.as_ref().map(|files| server_config(files, key.scheme)).transpose();
                let wrong = |error| Diagnostic::error(&key.span, format!("cannot serve {key}: {error}"));
                let tls = tls.map_err(|error| diagnostics.push(wrong(error))).ok()?;
                let plan = Plan { zones: Zones::default(), idle_timeout: Duration::ZERO, tls };
                free.insert(Gathered { plan, files, span: key.span.clone() })
            }
        };
        // Blocks on one listener share its connections; the most patient of them decides.
        let idle_timeout = idle_timeout(key.scheme, settings);
        gathered.plan.idle_timeout = gathered.plan.idle_timeout.max(idle_timeout);
        Some(gathered)
    }

    /// Finds listeners that get in each other's way: two transports on one port, or one address beside all addresses.
    fn check_ports(&self, diagnostics: &mut Vec<Diagnostic>) {
        let listeners: Vec<_> = self.listeners.iter().filter(|(key, _)| key.port != 0).collect();
        let mut told: Vec<&Span> = Vec::new();
        for (index, (key, gathered)) in listeners.iter().enumerate() {
            for (other, before) in &listeners[..index] {
                let same_address = key.address == other.address;
                let overlap = same_address || key.address.is_none() || other.address.is_none();
                let sockets =
                    uses(key.scheme).iter().zip(uses(other.scheme)).any(|(ours, theirs)| *ours && theirs);
                if key.port != other.port || !overlap || !sockets || told.contains(&&gathered.span) {
                    continue;
                }
                let (late, early) = match (gathered.span.line, before.span.line) {
                    (ours, theirs) if ours < theirs => ((*other, &before.span), (*key, &gathered.span)),
                    _ => ((*key, &gathered.span), (*other, &before.span)),
                };
                let message =
                    format!("cannot listen on {}: it overlaps {} of {}", late.0, early.0, place_of(early.1));
                let hint = if same_address {
                    "give one of the transports another port"
                } else {
                    "use `bind` in both blocks or in none, so that each query has one block that answers"
                };
                diagnostics.push(Diagnostic::error(late.1, message).with_hint(hint));
                told.push(late.1);
            }
        }
    }
}

/// How long a connection may be idle. QUIC ends one on which a client waits, too, so that there it is longer than a query takes.
fn idle_timeout(scheme: Scheme, settings: &Settings) -> Duration {
    let idle_timeout = settings.idle_timeout.unwrap_or(IDLE_TIMEOUT);
    match scheme {
        Scheme::Quic => {
            idle_timeout.max(settings.deadline.unwrap_or(QUERY_DEADLINE) + Duration::from_secs(2))
        }
        Scheme::Dns | Scheme::Tls | Scheme::Https => idle_timeout,
    }
}

/// Whether a transport uses UDP and TCP sockets.
fn uses(scheme: Scheme) -> [bool; 2] {
    match scheme {
        Scheme::Dns => [true, true],
        Scheme::Tls | Scheme::Https => [false, true],
        Scheme::Quic => [true, false],
    }
}

/// `Corefile:3`
fn place_of(span: &Span) -> String {
    format!("{}:{}", span.file.display(), span.line)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
