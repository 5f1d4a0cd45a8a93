//! What the cases share: a clock by hand, a state folder, and a context whose fetcher may reach this machine.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use ct_log::{Issued, Listed, TestLog, log_list_json};
use ct_watch::context::Context;
use ct_watch::evidence::Evidence;
use ct_watch::fetch::{FetchConfig, Fetcher};
use ct_watch::logs::{Auditor, Condition, Promised, WatchedLog};
use ct_watch::resolver::{Resolver, SystemResolver};
use ct_watch::state::StateFolder;
use ct_watch::{Clock, WatchConfig};
use rustls::RootCertStore;
use transparency::Moment;
use transparency::log_list::{CtLog, LogList};
use transparency::sct_check::check_scts;
use transparency::skeleton::Skeleton;

/// When the cases play.
pub const NOW: &str = "2026-08-01T00:00:00Z";

/// The clock of the test log, for us.
pub struct ByHand(pub ct_log::Clock);

impl Clock for ByHand {
    fn now(&self) -> Moment {
        self.0.now()
    }
}

/// A resolver with one answer for all names.
pub struct Always(pub Vec<IpAddr>);

#[async_trait]
impl Resolver for Always {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(self.0.clone())
    }
}

pub fn fetch_config(hosts: &[&str], allow_private: bool) -> FetchConfig {
    FetchConfig {
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        allow_private,
        tls_roots: Arc::new(RootCertStore::empty()),
        resolver: Arc::new(SystemResolver),
    }
}

/// A place to watch from: one replica with its state folder.
pub struct Stand {
    pub folder: tempfile::TempDir,
    pub clock: ct_log::Clock,
    pub context: Arc<Context>,
    pub evidence: Arc<Evidence>,
    pub auditor: Arc<Auditor>,
}

impl Stand {
    pub fn new(clock: &ct_log::Clock) -> Self {
        Stand::in_folder(clock, tempfile::tempdir().unwrap())
    }

    /// The same replica after a restart.
    pub fn restart(self) -> Self {
        let clock = self.clock.clone();
        Stand::in_folder(&clock, self.folder)
    }

    fn in_folder(clock: &ct_log::Clock, folder: tempfile::TempDir) -> Self {
        let fetcher = Fetcher::new(fetch_config(&["127.0.0.1"], true)).unwrap();
        let state = StateFolder::open(Some(folder.path().to_owned())).unwrap();
        let context = Arc::new(Context::new(fetcher, state, Arc::new(ByHand(clock.clone()))));
        let evidence = Arc::new(Evidence::open(context.clone()));
        let auditor = Arc::new(Auditor::open(context.clone()));
        Stand { folder, clock: clock.clone(), context, evidence, auditor }
    }

    pub fn watch(&self, listed: Listed) -> WatchedLog {
        let parts = (self.context.clone(), self.evidence.clone(), self.auditor.clone());
        WatchedLog::open(parts.0, parts.1, parts.2, log_of(listed))
    }

    pub fn count(&self, what: &str) -> u64 {
        self.context.events.counts().get(what).copied().unwrap_or(0)
    }

    /// The names of the files of evidence.
    pub fn files(&self) -> Vec<String> {
        self.context.state.names("evidence", 100)
    }
}

/// What a whole watch needs to reach this machine.
pub fn watch_config(clock: &ct_log::Clock) -> WatchConfig {
    WatchConfig {
        allow_private: true,
        hosts: vec!["127.0.0.1".to_owned()],
        clock: Arc::new(ByHand(clock.clone())),
        ..WatchConfig::default()
    }
}

/// The log as the list has it.
pub fn log_of(listed: Listed) -> CtLog {
    list_of(&[listed]).logs().next().unwrap().clone()
}

pub fn list_of(listed: &[Listed]) -> LogList {
    LogList::parse(log_list_json(NOW, listed).as_bytes()).unwrap()
}

/// What the timestamps in a certificate promise.
pub fn promises(issued: &Issued, logs: &[&TestLog], now: Moment) -> Vec<Promised> {
    let listed: Vec<Listed> = logs.iter().map(|log| log.listed()).collect();
    let (leaf, issuer) = (Skeleton::parse(&issued.chain[0]), Skeleton::parse(&issued.chain[1]));
    let key_hash = issuer.unwrap().key_hash();
    let scts = check_scts(&leaf.unwrap(), Some(key_hash), &list_of(&listed), now, &mut Vec::new());
    scts.scts().iter().map(|sct| Promised::of(sct).unwrap()).collect()
}

/// Whether a log is said to be lying for a reason that contains this.
pub fn lies(watched: &WatchedLog, because: &str) -> bool {
    matches!(watched.condition(), Condition::Lying(why) if why.contains(because))
}

/// Whether a log is said to be unreachable for a reason that contains this.
pub fn unreachable(watched: &WatchedLog, because: &str) -> bool {
    matches!(watched.condition(), Condition::Unreachable(why) if why.contains(because))
}
