//! From a server block of the Corefile to plugins and settings.
//!
//! A setup function reads one plugin's directives in one block. It checks everything and opens nothing, so that `quorate check`
//! and a reload that fails have no effect; `Plugin::start` opens.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certificate::Digest;
use corefile::options::{Mismatch, Value};
use corefile::{Diagnostic, Directive, Key};
use hickory_proto::rr::Name;

use crate::fatal::Fatal;
use crate::metrics::Metrics;
use crate::plugin::Plugin;

/// What all blocks of one configuration share.
pub struct Context {
    /// The folder that relative paths start from: the Corefile's.
    pub directory: PathBuf,
    /// Counters that outlive a reload.
    pub metrics: Arc<Metrics>,
    /// Replicas that outlive a reload, by identity. See `byzantine_consensus`.
    pub nodes: Arc<crate::byzantine_consensus::Nodes>,
    /// What blocks of this configuration claim for themselves alone, and where.
    pub claims: Mutex<BTreeMap<String, String>>,
    /// Where a plugin says that the program must end itself.
    pub fatal: Arc<Fatal>,
}

impl Context {
    /// Claims `what` for the block at `place`.
    ///
    /// Errors: it is claimed already; the place of that claim.
    pub fn claim(&self, what: String, place: String) -> Result<(), String> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        match claims.entry(what) {
            Entry::Occupied(first) => Err(first.get().clone()),
            Entry::Vacant(free) => {
                free.insert(place);
                Ok(())
            }
        }
    }
}

/// One server block while it is set up.
pub struct Block<'a> {
    /// Its keys, CIDRs expanded.
    pub keys: &'a [Key],
    /// Its zones, lower-case, absolute, each once.
    pub zones: Vec<Name>,
    /// What its listeners need.
    pub settings: Settings,
    /// Its plugins so far, in the registry's order.
    pub plugins: Vec<Arc<dyn Plugin>>,
    /// HTTP services it asks for.
    pub services: Vec<Service>,
    /// The base folder for file paths.
    pub root: PathBuf,
}

impl Block<'_> {
    /// The zones as metrics name them: `example.org.,example.net.`.
    pub fn zone_list(&self) -> String {
        self.zones.iter().map(Name::to_string).collect::<Vec<_>>().join(",")
    }
}

/// What the listeners of a block need to know.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Addresses to listen on; empty means all.
    pub bind: Vec<IpAddr>,
    /// Certificate and key for DoT, DoQ and DoH.
    pub tls: Option<TlsFiles>,
    /// Idle time-out of TCP, DoT, DoQ and DoH connections.
    pub idle_timeout: Option<Duration>,
    /// Largest UDP reply in bytes; 1232 when not set.
    pub udp_payload_max: Option<u16>,
    /// How long the chain has for one query; 1.8 s when not set.
    pub deadline: Option<Duration>,
    /// What this server is called, for clients that ask by NSID, RFC 5001.
    pub nsid: Option<Vec<u8>>,
    /// Whether what cannot be read is logged, and what else helps to find a fault.
    pub debug: bool,
    /// How often the files of the configuration are looked at; not at all when not set.
    pub reload: Option<Reload>,
    /// Files beside the Corefile that were read for this block and are not read again before the next configuration, as they were then.
    pub watched: BTreeMap<PathBuf, Option<Digest>>,
}

impl Settings {
    /// Notes what the file at `path` holds, before it is read: if it changes, so does the configuration.
    pub fn watch(&mut self, path: &Path) {
        self.watched.insert(path.to_owned(), digest_of_file(path));
    }
}

/// How often the files of the configuration are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reload {
    /// Not at all.
    Off,
    /// Again and again.
    Every {
        /// The time between two looks.
        interval: Duration,
        /// The span around `interval` that chance chooses from.
        jitter: Duration,
    },
}

/// What the file at `path` holds, or `None` if it cannot be read or has more than `WATCHED_BYTES_MAX` bytes.
pub fn digest_of_file(path: &Path) -> Option<Digest> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(WATCHED_BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= WATCHED_BYTES_MAX).then(|| Digest::of(&bytes))
}

/// Longest file that is watched.
const WATCHED_BYTES_MAX: u64 = 16 << 20;

/// The files of the `tls` directive, read and checked.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// PEM chain, leaf first.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
}

/// An HTTP service of the program. Blocks that name one address share the listener.
pub enum Service {
    /// `GET /health`; keeps answering for `lameduck` after a stop was asked for.
    Health {
        /// Where it listens.
        address: SocketAddr,
        /// How long the program goes on serving after it was told to stop.
        lameduck: Duration,
    },
    /// `GET /ready`: 200 when all `probes` are ready, else 503 and the names of those that are not.
    Ready {
        /// Where it listens.
        address: SocketAddr,
    },
    /// `GET /metrics`, and the JSON API below `/v1/`.
    Metrics {
        /// Where it listens.
        address: SocketAddr,
    },
}

/// How a plugin is set up: all its directives in one block, in file order.
pub type Setup = fn(&[&Directive], &mut Block<'_>, &Context, &mut Vec<Diagnostic>);

/// The one directive of `directives` that a block may hold; each further one is an error.
pub fn once<'a>(directives: &[&'a Directive], diagnostics: &mut Vec<Diagnostic>) -> Option<&'a Directive> {
    let (first, others) = directives.split_first()?;
    for again in others {
        let name = &again.name.text;
        let message = format!("{name}: expected at most once in a server block");
        let hint = format!("the first is at {}", first.span);
        diagnostics.push(Diagnostic::error(&again.span, message).with_hint(hint));
    }
    Some(first)
}

/// Where an HTTP service listens: `HOST:PORT`, with an address or `localhost` for a host. No host means all IPv4 addresses.
pub fn service_address() -> Value<SocketAddr> {
    Value::new("an address and a port, such as `localhost:8080`", |text| {
        let (host, port) = text.rsplit_once(':').ok_or_else(Mismatch::new)?;
        let host = match host {
            "" => Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            host => match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::V6),
                None => host.parse::<Ipv4Addr>().map(IpAddr::V4),
            },
        };
        match (host, port.parse()) {
            (Ok(host), Ok(port)) => Ok(SocketAddr::new(host, port)),
            _ => Err(Mismatch::new()),
        }
    })
}
