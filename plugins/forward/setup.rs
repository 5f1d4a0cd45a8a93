//! `forward FROM TO... { ... }`: see README.md for its properties.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use corefile::options::{Options, Value, duration, integer, one_of, path, socket_address, text, zone};
use corefile::{Diagnostic, Directive, Word, quote};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use super::handler::{Forward, Settings};
use super::metrics::ForwardMetrics;
use super::policy::Policy;
use super::target::{PLAIN_PORT, Spelling, TLS_PORT, Target, join, name_and_port, nameservers, spelling};
use super::tls::{TlsFiles, client_config};
use super::upstream::{Manner, Protocol, Upstream};
use crate::setup::{Block, Context};
use crate::zones;

/// Most upstreams of one directive.
pub const UPSTREAMS_MAX: usize = 15;

/// Longest of any time that can be set.
const TIME_MAX: Duration = Duration::from_secs(3600);

/// Reads the `forward` directives of a block; each is a plugin, asked in the order of the file.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let metrics = ForwardMetrics::new(&context.metrics);
    for directive in directives {
        if let Some(forward) = read(directive, &block.root, &metrics, diagnostics) {
            block.plugins.push(Arc::new(forward));
        }
    }
}

fn read(
    directive: &Directive,
    root: &Path,
    metrics: &ForwardMetrics,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Forward> {
    let mut options = Options::new(directive, diagnostics);
    let from = options.required(zones::zones().named("a zone to forward"));
    let targets = read_targets(&mut options, root);
    let force_tcp = options.flag("force_tcp");
    let attempts_max = options.value("max_connect_attempts", integer(1..=100_usize));
    let settings = Settings {
        from: from.unwrap_or_default(),
        except: options.values("except", 1.., zones::zones()).concat(),
        force_tcp,
        prefer_udp: options.flag("prefer_udp"),
        max_fails: options.value("max_fails", integer(0..=u32::MAX)).unwrap_or(2),
        policy: options.value("policy", policy()).unwrap_or_default(),
        max_concurrent: options.value("max_concurrent", integer(0..=1_000_000)).unwrap_or(0),
        read_timeout: options
            .value("read_timeout", duration(Duration::from_millis(1)..=TIME_MAX))
            .unwrap_or(Duration::from_secs(2)),
        attempts_max: attempts_max.unwrap_or(2 * targets.len()),
        failover: options.values("failover", 1.., rcode()),
        next: options.values("next", 1.., rcode()),
        next_on_nodata: options.flag("next_on_nodata"),
        failfast: options.flag("failfast_all_unhealthy_upstreams"),
    };
    let manner = read_manner(&mut options, force_tcp);
    let tls = read_tls(&mut options, root, &targets);
    let fine = options.finish();
    let upstreams = targets.into_iter().map(|target| {
        let protocol = match (&target.tls, &tls) {
            (Some(own_name), Some((config, common_name))) => {
                let own_name = own_name.clone().and_then(|name| ServerName::try_from(name).ok());
                let name = own_name.or_else(|| common_name.clone()).unwrap_or(target.address.ip().into());
                Protocol::Tls(config.clone(), name)
            }
            _ => Protocol::Plain,
        };
        Arc::new(Upstream::new(target.address, protocol, manner.clone(), metrics.clone()))
    });
    let upstreams: Vec<Arc<Upstream>> = upstreams.collect();
    fine.then(|| Forward::new(settings, upstreams, metrics.clone()))
}

fn read_targets(options: &mut Options<'_>, root: &Path) -> Vec<Target> {
    let mut targets = Vec::new();
    let Some(first) = options.peek() else {
        options.required(text().named("an upstream"));
        return targets;
    };
    while let Some(word) = options.word() {
        targets.extend(read_target(options, word, root));
    }
    if targets.len() > UPSTREAMS_MAX {
        let message = format!("expected at most {UPSTREAMS_MAX} upstreams, got {}", targets.len());
        options.error(&first.span, message);
    }
    targets
}

/// One word is one upstream, or as many as its file names.
fn read_target(options: &mut Options<'_>, word: &Word, root: &Path) -> Vec<Target> {
    let address = |options: &mut Options<'_>, text: String, port: u16| {
        let word = Word { text, ..word.clone() };
        options.read(&word, &socket_address(port).named("an upstream"))
    };
    match spelling(&word.text) {
        Spelling::Plain(text) => {
            let address = address(options, text.to_owned(), PLAIN_PORT);
            address.into_iter().map(|address| Target { address, tls: None }).collect()
        }
        Spelling::Tls(text, name) => {
            let (name, port) = name.map_or((None, None), |name| {
                let (name, port) = name_and_port(name);
                (Some(name), port)
            });
            if name.is_some_and(|name| ServerName::try_from(name).is_err()) {
                options.error(
                    &word.span,
                    format!("expected a server's name behind `%`, got {}", quote(&word.text)),
                );
            }
            let address = address(options, join(text, port), TLS_PORT);
            address
                .into_iter()
                .map(|address| Target { address, tls: Some(name.map(str::to_owned)) })
                .collect()
        }
        Spelling::OtherScheme(scheme) => {
            let message = format!("upstreams are asked by `dns://` or `tls://`, got `{scheme}://`");
            options.error(&word.span, message);
            Vec::new()
        }
        Spelling::Path(path) => match nameservers(&root.join(path)) {
            Ok(found) if found.is_empty() => {
                options.error(&word.span, format!("{} has no `nameserver` lines", quote(path)));
                Vec::new()
            }
            Ok(found) => found.into_iter().map(|address| Target { address, tls: None }).collect(),
            Err(error) => {
                let message = format!("expected an IP address or a file, got {}: {error}", quote(path));
                options.error_with_hint(&word.span, message, "names of upstreams are not looked up");
                Vec::new()
            }
        },
    }
}

fn read_manner(options: &mut Options<'_>, force_tcp: bool) -> Manner {
    let expire = options.value("expire", duration(Duration::from_millis(1)..=TIME_MAX));
    let check = options.property("health_check", |line| {
        let interval = line.required(duration(Duration::from_millis(1)..=TIME_MAX))?;
        let mut recursive = true;
        let mut name = None;
        while line.remaining() > 0 {
            if line.keyword("no_rec") {
                recursive = false;
            } else if line.keyword("domain") {
                name = line.required(zone());
            } else {
                break;
            }
        }
        Some((interval, recursive, name))
    });
    let (interval, recursive, name) = check.unwrap_or((Duration::from_millis(500), true, None));
    Manner {
        expire: expire.unwrap_or(Duration::from_secs(10)),
        probe_interval: interval,
        probe_name: name.map_or_else(Name::root, |name| zones::named(&name)),
        probe_recursive: recursive,
        probe_by_stream: force_tcp,
    }
}

/// How to speak TLS, and the name for all upstreams that have none of their own; `None` when none is asked over TLS.
fn read_tls(
    options: &mut Options<'_>,
    root: &Path,
    targets: &[Target],
) -> Option<(Arc<ClientConfig>, Option<ServerName<'static>>)> {
    let has_tls = targets.iter().any(|target| target.tls.is_some());
    let name = options.property("tls_servername", |line| {
        let name = line.required(server_name())?;
        if !has_tls && !targets.is_empty() {
            let hint = "write `tls://` before their addresses, or they are asked in the clear";
            let span = line.span().clone();
            line.error_with_hint(&span, "expected upstreams over TLS, got none", hint);
        }
        Some(name)
    });
    let config = options.property("tls", |line| {
        let files = line.rest(0..=3, path());
        let files: Vec<PathBuf> = files.into_iter().map(|file| root.join(file)).collect();
        let files = match files.as_slice() {
            [] => TlsFiles::default(),
            [roots] => TlsFiles { identity: None, roots: Some(roots) },
            [certificate, key] => TlsFiles { identity: Some((certificate, key)), roots: None },
            [certificate, key, roots, ..] => {
                TlsFiles { identity: Some((certificate, key)), roots: Some(roots) }
            }
        };
        let config = client_config(&files);
        if let Err(error) = &config {
            let span = line.span().clone();
            line.error(&span, error);
        }
        config.ok()
    });
    if !has_tls {
        return None;
    }
    let default = || client_config(&TlsFiles::default()).expect("no file is read for it");
    Some((config.unwrap_or_else(default), name))
}

fn server_name() -> Value<ServerName<'static>> {
    Value::new("a server's name", |text: &str| {
        ServerName::try_from(text.trim_end_matches('.').to_owned())
            .map_err(|_| corefile::options::Mismatch::new())
    })
}

fn policy() -> Value<Policy> {
    one_of([
        ("random", Policy::Random),
        ("round_robin", Policy::RoundRobin),
        ("sequential", Policy::Sequential),
    ])
}

fn rcode() -> Value<ResponseCode> {
    one_of([
        ("NOERROR", ResponseCode::NoError),
        ("FORMERR", ResponseCode::FormErr),
        ("SERVFAIL", ResponseCode::ServFail),
        ("NXDOMAIN", ResponseCode::NXDomain),
        ("NOTIMP", ResponseCode::NotImp),
        ("REFUSED", ResponseCode::Refused),
    ])
}
