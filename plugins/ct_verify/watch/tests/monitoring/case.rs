//! A monitor over test logs, with a clock, a state folder and a zone of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ct_log::{Authority, Clock, Kind, TestLog, log_list_json};
use ct_watch::context::Context;
use ct_watch::events::Event;
use ct_watch::fetch::{FetchConfig, Fetcher, Limits, Permit};
use ct_watch::monitor::{Heads, Monitor, MonitorConfig, Rates, Zone, Zones};
use ct_watch::names::NameTable;
use ct_watch::resolver::SystemResolver;
use ct_watch::state::StateFolder;
use rustls::RootCertStore;
use tempfile::TempDir;
use transparency::Moment;
use transparency::digest::Sha256;
use transparency::log_list::{CtLog, LogList};
use transparency::tree_head::{SignedTreeHead, TreeHead};

/// The zone that is watched.
pub const ZONE: &str = "example.org";
/// Both interfaces.
pub const KINDS: [Kind; 2] = [Kind::Rfc6962, Kind::StaticCt];

/// Heads that the test asks for.
#[derive(Default)]
pub struct TestHeads(Mutex<Vec<(CtLog, TreeHead)>>);

impl Heads for TestHeads {
    fn heads(&self) -> Vec<(CtLog, TreeHead)> {
        self.0.lock().unwrap().clone()
    }
}

struct TestClock(Clock);

impl ct_watch::Clock for TestClock {
    fn now(&self) -> Moment {
        self.0.now()
    }
}

/// What a test is made of.
pub struct Case {
    pub clock: Clock,
    pub authority: Authority,
    pub logs: Vec<TestLog>,
    pub folder: TempDir,
    pub context: Arc<Context>,
    pub heads: Arc<TestHeads>,
    pub names: Arc<NameTable>,
    pub config: MonitorConfig,
    pub served: Vec<Sha256>,
    pub monitor: Arc<Monitor>,
}

impl Case {
    /// Logs of these kinds with one entry each, seen by a monitor that expects "Alder" to issue.
    pub async fn new(kinds: &[Kind]) -> Self {
        Self::with(kinds, &["Alder"], zone_names(), |_| {}).await
    }

    pub async fn with(
        kinds: &[Kind],
        issuers: &[&str],
        names: NameTable,
        change: impl FnOnce(&mut MonitorConfig),
    ) -> Self {
        let clock = Clock::at("2026-08-01T00:00:00Z");
        let authority = Authority::new("Alder CA", &clock);
        let start = |(number, kind): (usize, &Kind)| TestLog::start(&format!("log{number}"), *kind, &clock);
        let logs: Vec<TestLog> = kinds.iter().enumerate().map(start).collect();
        let folder = tempfile::tempdir().unwrap();
        let zones = Zones::new(vec![Zone::new(ZONE, issuers).unwrap()]);
        let mut config = MonitorConfig { zones, rates: Rates::default(), certspotter: None };
        change(&mut config);
        let context = context(&clock, folder.path().to_owned());
        let (heads, names) = (Arc::new(TestHeads::default()), Arc::new(names));
        let monitor = monitor(&config, &context, &heads, &names, &[]);
        let served = Vec::new();
        let case = Case { clock, authority, logs, folder, context, heads, names, config, served, monitor };
        case.log_one("before.example.org");
        case.merge().await;
        case.monitor.round().await;
        case
    }

    /// Has the authority issue for this name, and hands the pre-certificate to all logs.
    pub fn log_one(&self, name: &str) -> ct_log::Issued {
        self.authority.leaf(name).issue(&self.logs.iter().collect::<Vec<_>>())
    }

    /// Has all logs merge, and takes their heads.
    pub async fn merge(&self) {
        self.logs.iter().for_each(TestLog::merge);
        self.take_heads().await;
    }

    pub async fn take_heads(&self) {
        let listed: Vec<_> = self.logs.iter().map(TestLog::listed).collect();
        let list = LogList::parse(log_list_json("2026-07-30T00:00:00Z", &listed).as_bytes()).unwrap();
        let mut heads = Vec::new();
        for log in &self.logs {
            let url = format!("{}ct/v1/get-sth", log.rfc6962_url());
            let limits = Limits { bytes_max: 4096, total: Duration::from_secs(20) };
            let answer = self.context.fetcher.get(&url, Permit::Named, limits).await.unwrap();
            let head =
                SignedTreeHead::from_json(&answer).unwrap().verify(&log.key(), self.clock.now()).unwrap();
            heads.push((list.log(&log.id()).unwrap().clone(), head));
        }
        *self.heads.0.lock().unwrap() = heads;
    }

    /// Has no log any more.
    pub fn no_heads(&self) {
        self.heads.0.lock().unwrap().clear();
    }

    /// Takes heads, and goes one round.
    pub async fn round(&self) {
        self.merge().await;
        self.monitor.round().await;
    }

    /// Begins anew with what the state folder has.
    pub fn restart(&mut self) {
        self.context = context(&self.clock, self.folder.path().to_owned());
        self.monitor = monitor(&self.config, &self.context, &self.heads, &self.names, &self.served);
    }

    pub fn events(&self) -> Vec<Event> {
        self.context.events.recent(1000)
    }

    /// What was told: code and subject of each event.
    pub fn told(&self) -> Vec<(&'static str, String)> {
        self.events().into_iter().map(|event| (event.code, event.subject)).collect()
    }

    /// The state of the first log.
    pub fn state(&self) -> String {
        self.monitor.to_json()["logs"][0]["state"].as_str().unwrap().to_owned()
    }
}

/// DNS in which some names of the zone exist, and nothing forbids anything.
pub fn zone_names() -> NameTable {
    let here = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let names = ["example.org", "www.example.org", "before.example.org", "mail.example.org"];
    let addresses = names.map(|name| (name.to_owned(), here.clone())).into();
    NameTable { addresses, ..NameTable::default() }
}

/// One event of this code about this subject.
pub fn told(code: &'static str, subject: &str) -> (&'static str, String) {
    (code, subject.to_owned())
}

fn context(clock: &Clock, folder: PathBuf) -> Arc<Context> {
    let config = FetchConfig {
        hosts: Vec::new(),
        allow_private: true,
        tls_roots: Arc::new(RootCertStore::empty()),
        resolver: Arc::new(SystemResolver),
    };
    let state = StateFolder::open(Some(folder)).unwrap();
    Arc::new(Context::new(Fetcher::new(config).unwrap(), state, Arc::new(TestClock(clock.clone()))))
}

fn monitor(
    config: &MonitorConfig,
    context: &Arc<Context>,
    heads: &Arc<TestHeads>,
    names: &Arc<NameTable>,
    served: &[Sha256],
) -> Arc<Monitor> {
    let served = served.to_vec();
    let served = Arc::new(move |_: &str| served.clone());
    Monitor::new(config.clone(), context.clone(), heads.clone(), names.clone(), served).unwrap()
}
