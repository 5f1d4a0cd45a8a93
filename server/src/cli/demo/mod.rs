//! `quorate demo`: a live cluster on loopback, with everything it needs and no network.

mod adversaries;
mod certificates;
mod liar;
mod processes;
mod show;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use certificate::ReplicaId;
use certificate::cluster::Settings;
use clap::Args;
use hickory_proto::rr::Name;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use self::adversaries::{Adversary, AdversaryArgs, AdversaryError};
use self::liar::Lie;
use self::processes::Server;
use super::layout::{LayoutError, PORTS, Plan, Replica, faults_max, free_base_port};

/// The zone that the demo serves.
const ZONE: &str = include_str!("../../../../zones/example.org.zone");
/// Its origin.
const ORIGIN: &str = "example.org.";
/// How long replicas may take to find each other.
const READY_MAX: Duration = Duration::from_secs(30);
/// How often readiness is asked for.
const READY_POLL: Duration = Duration::from_millis(100);
/// The most replicas that fit the demo's ports: two honest upstreams and the liars' stand behind them.
const REPLICAS_MAX: u32 = 16;

/// Starts a cluster to play with.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct DemoArgs {
    /// Number of replicas, 4 to 16
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(4..=REPLICAS_MAX as i64))]
    replicas: u32,
    /// First of 224 ports: DNS of replica i is on base port + i, the others follow in steps of 32. 0 takes a free range
    #[arg(long, default_value_t = 5300)]
    base_port: u16,
    /// Folder for keys, Corefiles and logs; a temporary one when not given, removed at the end
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Give this replica an upstream that lies: `2`, `2:address`, `2:nxdomain` or `2:ttl`
    #[arg(long = "liar", value_name = "ID[:LIE]")]
    liars: Vec<Liar>,
    #[command(flatten)]
    adversaries: AdversaryArgs,
    /// Print one JSON object on one line when the cluster is ready, and nothing else
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  quorate demo                  four replicas on ports 5300 to 5303; Ctrl-C ends them
  quorate demo --liar 2         the upstream of replica 2 lies about addresses: it is out-voted
  quorate demo --replicas 7     tolerates two faulty replicas
  quorate demo --equivocator 2  replica 2 signs two things at once: it is proven, and shut out
  quorate demo --base-port 0 --json | jq .";

/// A replica whose upstream lies, and how.
#[derive(Clone, Copy, Debug)]
struct Liar {
    id: u8,
    lie: Lie,
}

impl FromStr for Liar {
    type Err = String;

    fn from_str(text: &str) -> Result<Liar, String> {
        let (id, lie) = text.split_once(':').unwrap_or((text, "address"));
        let id = id.parse().map_err(|_| format!("expected the number of a replica, got `{id}`"))?;
        Ok(Liar { id, lie: lie.parse()? })
    }
}

/// Why the demo cannot run.
#[derive(Debug, Error)]
pub enum DemoError {
    /// A liar that is no replica.
    #[error("expected a liar from 0 to {}, got {id}", replicas - 1)]
    Liar {
        /// What was given.
        id: u8,
        /// n
        replicas: u32,
    },
    /// Replicas that cannot misbehave as they shall.
    #[error(transparent)]
    Adversary(#[from] AdversaryError),
    /// The zone of the demo cannot be twisted.
    #[error("zone {ORIGIN} {0}")]
    Zone(String),
    /// The cluster's files.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A folder, file or process.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A server ended before the cluster was ready.
    #[error("{label} ended ({status}):\n{log}")]
    Ended {
        /// Which.
        label: String,
        /// How.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// The replicas did not find each other.
    #[error("not ready after {READY_MAX:?}: {0}")]
    NotReady(String),
}

/// A running demo.
pub(crate) struct Demo {
    dir: PathBuf,
    replicas: Vec<Replica>,
    /// Upstream ports: the honest ones, then one for each liar.
    upstreams: Vec<u16>,
    liars: Vec<Liar>,
    adversaries: Vec<Adversary>,
    servers: Vec<Server>,
    // Removed last, when the servers no longer write to it.
    temporary: Option<tempfile::TempDir>,
}

/// Runs the demo until Ctrl-C or SIGTERM.
///
/// Errors: no ports, no disk, or a cluster that does not get ready.
pub fn run(args: &DemoArgs) -> Result<(), DemoError> {
    // One thread: a child is told of its parent's death when the *thread* that started it ends.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| DemoError::Io { what: "runtime".to_owned(), source })?;
    runtime.block_on(async {
        let mut demo = Demo::start(args)?;
        let outcome = demo.serve_until_told(args.json).await;
        processes::stop(&mut demo.servers);
        drop(demo.temporary.take());
        outcome
    })
}

impl Demo {
    fn start(args: &DemoArgs) -> Result<Demo, DemoError> {
        if let Some(liar) = args.liars.iter().find(|liar| u32::from(liar.id) >= args.replicas) {
            return Err(DemoError::Liar { id: liar.id, replicas: args.replicas });
        }
        let liars: Vec<u8> = args.liars.iter().map(|liar| liar.id).collect();
        let adversaries = args.adversaries.among(args.replicas, faults_max(args.replicas), &liars)?;
        let base_port = free_base_port(args.base_port)?;
        let (temporary, dir) = match &args.dir {
            Some(dir) => (None, dir.clone()),
            None => {
                let temporary = tempfile::Builder::new().prefix("quorate-demo-").tempdir();
                let temporary = temporary
                    .map_err(|source| DemoError::Io { what: "temporary folder".to_owned(), source })?;
                let dir = temporary.path().join("cluster");
                (Some(temporary), dir)
            }
        };
        let dir = absolute(&dir)?;
        let first_upstream = base_port + PORTS - 32;
        let upstreams: Vec<u16> = (0..2 + args.liars.len() as u16).map(|i| first_upstream + i).collect();
        let replicas = plan(args, &dir, base_port, &upstreams).write()?;
        // Once for all: replicas that judge by different lists do not agree.
        let now = SystemTime::now();
        for replica in &replicas {
            let written = certificates::write(&replica.dir, now);
            written
                .map_err(|source| DemoError::Io { what: format!("`{}`", replica.dir.display()), source })?;
        }
        for adversary in &adversaries {
            let folder = &replicas[usize::from(adversary.id)].dir;
            let written = adversary.write(folder);
            written.map_err(|source| DemoError::Io { what: format!("`{}`", folder.display()), source })?;
        }
        let liars = args.liars.clone();
        let servers = Vec::new();
        let mut demo = Demo { dir, replicas, upstreams, liars, adversaries, servers, temporary };
        if let Err(error) = demo.start_servers() {
            processes::stop(&mut demo.servers);
            return Err(error);
        }
        Ok(demo)
    }

    fn start_servers(&mut self) -> Result<(), DemoError> {
        let origin = Name::from_str(ORIGIN).expect("the origin is a name");
        let honest = ZONE.to_owned() + certificates::RECORDS;
        for (index, &port) in self.upstreams.iter().enumerate() {
            let lie = index.checked_sub(2).map(|liar| self.liars[liar].lie);
            let zone = match lie {
                Some(lie) => liar::twist(&honest, &origin, lie).map_err(DemoError::Zone)?,
                None => honest.clone(),
            };
            let name = lie.map_or_else(|| format!("upstream-{index}"), |_| format!("liar-{}", index - 2));
            let folder = self.dir.join(&name);
            write_upstream(&folder, port, &zone)?;
            self.servers.push(start(&name, &folder)?);
        }
        for replica in &self.replicas {
            self.servers.push(start(&format!("replica {}", replica.id), &replica.dir)?);
        }
        Ok(())
    }

    async fn serve_until_told(&mut self, json: bool) -> Result<(), DemoError> {
        let failed = |source| DemoError::Io { what: "signal handler".to_owned(), source };
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let work = async {
            self.wait_until_ready().await?;
            if json {
                self.print_json();
            } else {
                self.print_lines();
            }
            self.watch(json).await
        };
        tokio::select! {
            outcome = work => outcome,
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        }
    }

    async fn wait_until_ready(&mut self) -> Result<(), DemoError> {
        let deadline = Instant::now() + READY_MAX;
        // Who misbehaves may be shut out before it is ready: there is work as soon as a quorum is there.
        let misbehaves = |replica: &&Replica| self.adversaries.iter().any(|it| it.id == replica.id.0);
        let honest = self.replicas.iter().filter(|replica| !misbehaves(replica));
        let admin: Vec<(ReplicaId, u16)> = honest.map(|replica| (replica.id, replica.ports.admin)).collect();
        let mut missing = String::new();
        while Instant::now() < deadline {
            self.check_alive()?;
            missing.clear();
            for (id, port) in &admin {
                match timeout(Duration::from_secs(1), show::get(*port, "/ready")).await {
                    Ok(Ok((200, _))) => {}
                    Ok(Ok((_, body))) => missing += &format!("replica {id}: {} ", body.trim()),
                    Ok(Err(_)) | Err(_) => missing += &format!("replica {id}: not listening "),
                }
            }
            if missing.is_empty() {
                return Ok(());
            }
            sleep(READY_POLL).await;
        }
        Err(DemoError::NotReady(missing))
    }

    fn check_alive(&mut self) -> Result<(), DemoError> {
        for server in &mut self.servers {
            if let Some(status) = server.ended() {
                let folder = self.dir.join(server.label.replace(' ', "-"));
                let log = fs::read_to_string(folder.join("quorate.log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(10).collect();
                let log = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                return Err(DemoError::Ended { label: server.label.clone(), status, log });
            }
        }
        Ok(())
    }

    fn print_json(&self) {
        println!("{}", show::json(self));
        // Whoever reads this may wait for the line through a pipe.
        let _ = io::stdout().flush();
    }

    fn print_lines(&self) {
        print!("{}", show::introduction(self));
        let _ = io::stdout().flush();
    }

    /// Shows what the cluster does, once a second. A replica that is killed is part of the play: its end is told, not an error.
    async fn watch(&mut self, quiet: bool) -> Result<(), DemoError> {
        let mut told: BTreeMap<String, String> = BTreeMap::new();
        loop {
            sleep(Duration::from_secs(1)).await;
            for server in &mut self.servers {
                if let Some(status) = server.ended()
                    && told.insert(server.label.clone(), status.clone()).is_none()
                {
                    eprintln!("\n{} ended ({status})", server.label);
                }
            }
            if !quiet && io::stdout().is_terminal() {
                print!("\r{}\x1b[K", show::live_line(&self.replicas).await);
                let _ = io::stdout().flush();
            }
        }
    }
}

fn plan(args: &DemoArgs, dir: &Path, base_port: u16, upstreams: &[u16]) -> Plan {
    let upstream = |id: u8| match args.liars.iter().position(|liar| liar.id == id) {
        Some(liar) => (format!("127.0.0.1:{}", upstreams[2 + liar]), format!("liar-{liar}")),
        None => {
            let honest = usize::from(id % 2);
            (format!("127.0.0.1:{}", upstreams[honest]), format!("upstream-{honest}"))
        }
    };
    Plan {
        dir: dir.to_owned(),
        name: "demo".to_owned(),
        replicas: args.replicas,
        faults: faults_max(args.replicas),
        hosts: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        base_port,
        peer_ports: Vec::new(),
        settings: Settings::default(),
        upstreams: (0..args.replicas as u8).map(upstream).collect(),
        directives: certificates::DIRECTIVES.to_owned(),
    }
}

fn start(label: &str, folder: &Path) -> Result<Server, DemoError> {
    Server::start(label, folder).map_err(|source| DemoError::Io { what: format!("start {label}"), source })
}

fn write_upstream(folder: &Path, port: u16, zone: &str) -> Result<(), DemoError> {
    let corefile = format!("{ORIGIN}:{port} {{\n    bind 127.0.0.1\n    errors\n    file {ORIGIN}zone\n}}\n");
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(folder.join("Corefile"), corefile))
        .and_then(|()| fs::write(folder.join(format!("{ORIGIN}zone")), zone));
    written.map_err(|source| DemoError::Io { what: format!("`{}`", folder.display()), source })
}

fn absolute(dir: &Path) -> Result<PathBuf, DemoError> {
    std::path::absolute(dir).map_err(|source| DemoError::Io { what: format!("`{}`", dir.display()), source })
}
