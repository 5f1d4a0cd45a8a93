//! Answers from the hosts file and the lines of the Corefile; looks whether the file changed.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use tokio::task::JoinHandle;
use tracing::info;

use super::metrics::HostsMetrics;
use super::table::{Addresses, Table, reversed};
use crate::chain::{Next, Rest};
use crate::error::{ExtendedError, ServeError, StartError, code};
use crate::plugin::Plugin;
use crate::query::Query;
use crate::response::Response;

/// The directive.
pub const NAME: &str = "hosts";

/// Largest hosts file in bytes.
pub const HOSTS_FILE_BYTES_MAX: u64 = 256 << 20;

/// What a `hosts` directive says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file.
    pub file: PathBuf,
    /// Names below these are answered; addresses everywhere.
    pub zones: Vec<Name>,
    /// TTL of all answers, in seconds.
    pub ttl: u32,
    /// Whether addresses are answered with names.
    pub reverse: bool,
    /// How often the file is looked at; `None`: never.
    pub reload: Option<Duration>,
    /// Unknown names below these are left to the rest of the chain.
    pub fallthrough: Vec<Name>,
    /// Whether types other than A, AAAA and PTR are left to the rest of the chain, for known names, too.
    pub fallthrough_unsupported: bool,
}

/// A `hosts` directive.
pub struct Hosts {
    settings: Settings,
    known: Arc<Known>,
    reload: Mutex<Option<JoinHandle<()>>>,
}

/// What the file and the Corefile say.
pub struct Known {
    file: PathBuf,
    /// The lines of the Corefile.
    inline: Table,
    table: ArcSwap<Table>,
    /// What the file looked like when it was read.
    stamp: Mutex<Stamp>,
    metrics: HostsMetrics,
}

/// Time of change and length, of a file that exists.
type Stamp = Option<(SystemTime, u64)>;

impl Known {
    /// Reads `file` beside `inline`.
    pub fn new(file: PathBuf, inline: Table, metrics: HostsMetrics) -> Known {
        let table = ArcSwap::from_pointee(inline.clone());
        let known = Known { file, inline, table, stamp: Mutex::new(None), metrics };
        known.refresh();
        known
    }

    /// Reads the file again if it changed. A file that is gone has no lines.
    pub fn refresh(&self) {
        let now = stamp(&self.file);
        let mut seen = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        *seen = now;
        let mut table = self.inline.clone();
        if now.is_some_and(|(_, length)| length <= HOSTS_FILE_BYTES_MAX) {
            let bytes = std::fs::read(&self.file).unwrap_or_default();
            table.add_file(&String::from_utf8_lossy(&bytes));
        }
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.metrics.read(&self.file, table.entries(), timestamp);
        info!(file = %self.file.display(), entries = table.entries(), "read hosts file");
        self.table.store(Arc::new(table));
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Hosts {
    /// A plugin as `settings` say, which answers from `known`.
    pub fn new(settings: Settings, known: Arc<Known>) -> Hosts {
        Hosts { settings, known, reload: Mutex::default() }
    }

    /// Names of the address that `query` asks about, if it does and there are any.
    fn names(&self, query: &Query) -> Option<Response> {
        if query.qtype != RecordType::PTR || !self.settings.reverse {
            return None;
        }
        let address = reversed(&query.name)?;
        let table = self.known.table.load();
        let records = table.names(address).iter().map(|name| RData::PTR(PTR(name.clone())));
        let response = self.response(query, records);
        (!response.answers.is_empty()).then_some(response)
    }

    fn response(&self, query: &Query, data: impl Iterator<Item = RData>) -> Response {
        let record = |data| Record::from_rdata(query.name.clone(), self.settings.ttl, data);
        Response {
            authoritative: true,
            answers: data.map(record).collect(),
            ..Response::new(ResponseCode::NoError, NAME)
        }
    }

    fn addresses(&self, query: &Query, addresses: &Addresses) -> Response {
        let v4 = |address: &Ipv4Addr| RData::A(A(*address));
        let v6 = |address: &Ipv6Addr| RData::AAAA(AAAA(*address));
        match query.qtype {
            RecordType::A => self.response(query, addresses.v4.iter().map(v4)),
            RecordType::AAAA => self.response(query, addresses.v6.iter().map(v6)),
            _ => self.response(query, std::iter::empty()),
        }
    }
}

#[async_trait]
impl Plugin for Hosts {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        let within = |zones: &[Name]| zones.iter().any(|zone| zone.zone_of(&query.name));
        if query.qclass != DNSClass::IN {
            return next.serve(query).await;
        }
        if let Some(response) = self.names(query) {
            return Ok(response);
        }
        // An address that has no name here may have one elsewhere, whatever `fallthrough` says.
        let is_reverse = query.qtype == RecordType::PTR && reversed(&query.name).is_some();
        if is_reverse || !within(&self.settings.zones) {
            return next.serve(query).await;
        }
        let is_supported = matches!(query.qtype, RecordType::A | RecordType::AAAA | RecordType::PTR);
        if !is_supported && self.settings.fallthrough_unsupported {
            return next.serve(query).await;
        }
        let known =
            self.known.table.load().addresses(&query.name).map(|addresses| self.addresses(query, addresses));
        match known {
            Some(response) => Ok(response),
            None if within(&self.settings.fallthrough) => next.serve(query).await,
            None => Ok(unknown()),
        }
    }

    fn start(&self, _rest: Rest) -> Result<(), StartError> {
        let Some(every) = self.settings.reload else { return Ok(()) };
        let known = self.known.clone();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let known = known.clone();
                if tokio::task::spawn_blocking(move || known.refresh()).await.is_err() {
                    return;
                }
            }
        });
        *self.reload.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(())
    }

    fn stop(&self) {
        if let Some(task) = self.reload.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

/// A hosts file has no SOA, so that NXDOMAIN would be a denial without a bound: SERVFAIL, as CoreDNS has it.
fn unknown() -> Response {
    let text = "no such host here, and nobody else is asked".to_owned();
    Response {
        extended_errors: vec![ExtendedError { code: code::OTHER, text }],
        cache_ttl_s: Some(0),
        ..Response::new(ResponseCode::ServFail, NAME)
    }
}
