//! Live clusters: the demo as people start it, and clusters from `quorate cluster new` over an upstream of the test's.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::clients::dig;
use crate::program::{Process, eventually, quorate, run, stderr};

/// How long replicas may take to find each other; they compete for two cores with other tests.
pub const READY: Duration = Duration::from_secs(60);

/// The ports of a replica.
#[derive(Clone, Debug)]
pub struct Ports {
    /// DNS over UDP and TCP
    pub dns: u16,
    /// DNS over TLS
    pub tls: u16,
    /// DNS over QUIC
    pub quic: u16,
    /// DNS over HTTPS
    pub https: u16,
    /// Other replicas
    pub peer: u16,
    /// HTTP: metrics, health, readiness, the JSON API
    pub admin: u16,
}

impl Ports {
    /// What the program says of a replica's ports.
    fn read(replica: &Value) -> Ports {
        let port = |kind: &str| replica[kind].as_u64().expect("a port") as u16;
        Ports {
            dns: port("dns"),
            tls: port("tls"),
            quic: port("quic"),
            https: port("https"),
            peer: port("peer"),
            admin: port("admin"),
        }
    }
}

/// A running `quorate demo`.
pub struct Demo {
    /// What it said when it was ready.
    pub facts: Value,
    process: Process,
    _dir: TempDir,
}

impl Demo {
    /// Starts the demo with `args` and waits until it is ready.
    ///
    /// Panics: when it does not get ready.
    pub fn start(args: &[&str]) -> Demo {
        Demo::start_program(quorate(), args)
    }

    /// The same with another program.
    ///
    /// Panics: when it does not get ready.
    pub fn start_program(program: PathBuf, args: &[&str]) -> Demo {
        let dir = TempDir::new().expect("a temporary folder");
        let folder = dir.path().join("demo");
        let mut child = Command::new(program)
            .args(["demo", "--json", "--base-port", "0", "--dir"])
            .arg(&folder)
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let process = Process(child);
        BufReader::new(stdout).read_line(&mut line).expect("the demo says when it is ready");
        let facts = serde_json::from_str(&line).unwrap_or_else(|error| panic!("demo said `{line}`: {error}"));
        Demo { facts, process, _dir: dir }
    }

    /// The ports of replica `id`.
    pub fn ports(&self, id: usize) -> Ports {
        Ports::read(&self.facts["replicas"][id])
    }

    /// The process id of replica `id`.
    pub fn pid(&self, id: usize) -> libc::pid_t {
        self.facts["replicas"][id]["pid"].as_i64().expect("a process id") as libc::pid_t
    }

    /// The folder of replica `id`.
    pub fn dir(&self, id: usize) -> PathBuf {
        self.facts["replicas"][id]["dir"].as_str().expect("a path").into()
    }

    /// The cluster file.
    pub fn cluster_file(&self) -> String {
        self.facts["cluster"].as_str().expect("a path").to_owned()
    }

    /// Sends replica `id` a signal.
    pub fn signal(&self, id: usize, signal: libc::c_int) {
        // SAFETY: a plain system call.
        unsafe { libc::kill(self.pid(id), signal) };
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Asked to end, it ends what it started.
        self.process.signal(libc::SIGTERM);
        let _ = self.process.0.wait();
    }
}

/// What is a replica's own, where it is not what the others have.
#[derive(Clone, Default, Debug)]
pub struct Surroundings {
    /// Another program than that under test.
    pub program: Option<PathBuf>,
    /// The network namespace that it runs in.
    pub namespace: Option<String>,
    /// Variables of its environment.
    pub environment: Vec<(&'static str, OsString)>,
}

/// A cluster from `quorate cluster new`, each replica a process of its own that the test starts and kills.
pub struct Cluster {
    /// Its folder.
    pub dir: PathBuf,
    /// The running processes; `None` where a replica is down.
    pub replicas: Vec<Option<Process>>,
    /// What each replica is started in.
    pub surroundings: Vec<Surroundings>,
    places: Vec<(IpAddr, Ports)>,
    _temporary: TempDir,
}

impl Cluster {
    /// Makes a cluster of `replicas` over `upstreams` and starts all of it.
    ///
    /// Panics: when it does not get ready.
    pub fn start(replicas: usize, upstreams: &[String]) -> Cluster {
        let mut cluster = Cluster::new(replicas, upstreams);
        cluster.start_all();
        cluster
    }

    /// Makes the files of a cluster and starts nothing.
    pub fn new(replicas: usize, upstreams: &[String]) -> Cluster {
        Cluster::on_hosts(&vec!["127.0.0.1".parse().expect("an address"); replicas], upstreams)
    }

    /// Makes the files of a cluster with a replica on each of `hosts`, which are all the same address or all different ones.
    ///
    /// The HTTP port is on the replica's own address, where the test can reach it.
    pub fn on_hosts(hosts: &[IpAddr], upstreams: &[String]) -> Cluster {
        Cluster::made_with(hosts, upstreams, &[])
    }

    /// Makes the files of a cluster on loopback with `chosen`, further words of `quorate cluster new`.
    pub fn choosing(replicas: usize, upstreams: &[String], chosen: &[&str]) -> Cluster {
        Cluster::made_with(&vec!["127.0.0.1".parse().expect("an address"); replicas], upstreams, chosen)
    }

    /// Makes the files of a new cluster on loopback that is like that of a cluster file, of `replicas` replicas.
    pub fn like(file: &Path, replicas: usize, upstreams: &[String]) -> Cluster {
        let hosts = vec!["127.0.0.1".parse().expect("an address"); replicas];
        Cluster::made(&hosts, upstreams, &["--settings", file.to_str().expect("the path is UTF-8")])
    }

    fn made_with(hosts: &[IpAddr], upstreams: &[String], chosen: &[&str]) -> Cluster {
        let count = hosts.len().to_string();
        let mut args = vec!["--replicas", &count];
        let mut names: Vec<String> = hosts.iter().map(IpAddr::to_string).collect();
        names.dedup();
        names.iter().for_each(|host| args.extend(["--host", host]));
        args.extend(chosen);
        Cluster::made(hosts, upstreams, &args)
    }

    /// What `quorate cluster new` makes of these words, with a replica on each of `hosts`.
    fn made(hosts: &[IpAddr], upstreams: &[String], chosen: &[&str]) -> Cluster {
        let temporary = TempDir::new().expect("a temporary folder");
        let dir = temporary.path().join("cluster");
        let mut args = vec!["cluster", "new", "--json", "--base-port", "0"];
        args.extend(["--dir", dir.to_str().expect("the path is UTF-8")]);
        upstreams.iter().for_each(|upstream| args.extend(["--upstream", upstream]));
        args.extend(chosen);
        let made = run(&args);
        assert!(made.status.success(), "{}", stderr(&made));
        let facts: Value = serde_json::from_slice(&made.stdout).expect("the command prints JSON");
        let replicas = facts["replicas"].as_array().expect("a list");
        let places = hosts.iter().copied().zip(replicas.iter().map(Ports::read)).collect();
        let mut cluster = Cluster {
            dir,
            replicas: hosts.iter().map(|_| None).collect(),
            surroundings: vec![Surroundings::default(); hosts.len()],
            places,
            _temporary: temporary,
        };
        for (id, host) in hosts.iter().enumerate().filter(|(_, host)| !host.is_loopback()) {
            let port = cluster.admin(id);
            cluster.edit_corefile(id, &format!("127.0.0.1:{port}"), &format!("{host}:{port}"));
        }
        cluster
    }

    /// The folder of replica `id`.
    pub fn folder(&self, id: usize) -> PathBuf {
        self.dir.join(format!("replica-{id}"))
    }

    /// Writes `new` wherever the Corefile of replica `id` says `old`.
    ///
    /// Panics: when it does not say so.
    pub fn edit_corefile(&mut self, id: usize, old: &str, new: &str) {
        let path = self.folder(id).join("Corefile");
        let text = std::fs::read_to_string(&path).expect("the Corefile is there");
        assert!(text.contains(old), "no `{old}` in {text}");
        std::fs::write(path, text.replace(old, new)).expect("the Corefile can be written");
    }

    /// Starts every replica and waits until all are ready.
    ///
    /// Panics: when one does not get ready.
    pub fn start_all(&mut self) {
        (0..self.replicas.len()).for_each(|id| self.start_replica(id));
        (0..self.replicas.len()).for_each(|id| self.wait_until_ready(id));
    }

    /// Starts replica `id`, its output appended to `quorate.log` in its folder.
    pub fn start_replica(&mut self, id: usize) {
        let folder = self.folder(id);
        let log = std::fs::File::options().create(true).append(true).open(folder.join("quorate.log"));
        let log = log.expect("the log can be written");
        let surroundings = &self.surroundings[id];
        let program = surroundings.program.clone().unwrap_or_else(quorate);
        let mut command = match &surroundings.namespace {
            // `ip` becomes the program, so that signals reach it.
            Some(namespace) => {
                let mut ip = Command::new("ip");
                ip.args(["netns", "exec", namespace]).arg(program);
                ip
            }
            None => Command::new(program),
        };
        let child = command
            .args(["serve", "-c", "Corefile"])
            .envs(surroundings.environment.iter().cloned())
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log can be shared"))
            .stderr(log)
            .spawn()
            .expect("the program starts");
        self.replicas[id] = Some(Process(child));
    }

    /// Kills replica `id` as a power failure would.
    pub fn kill_replica(&mut self, id: usize) {
        self.replicas[id] = None;
    }

    /// What replica `id` has written to its log.
    pub fn log(&self, id: usize) -> String {
        std::fs::read_to_string(self.folder(id).join("quorate.log")).unwrap_or_default()
    }

    /// Sends replica `id`, which runs, a signal.
    pub fn signal(&self, id: usize, signal: libc::c_int) {
        self.replicas[id].as_ref().expect("the replica runs").signal(signal);
    }

    /// Whether the process of replica `id` runs.
    pub fn runs(&mut self, id: usize) -> bool {
        let process = self.replicas[id].as_mut();
        process.is_some_and(|process| process.0.try_wait().expect("the child is ours").is_none())
    }

    /// The DNS port of replica `id`.
    pub fn dns(&self, id: usize) -> u16 {
        self.places[id].1.dns
    }

    /// Where replica `id` answers DNS.
    pub fn dns_address(&self, id: usize) -> SocketAddr {
        SocketAddr::new(self.places[id].0, self.dns(id))
    }

    /// The peer port of replica `id`.
    pub fn peer(&self, id: usize) -> u16 {
        self.places[id].1.peer
    }

    /// The HTTP port of replica `id`.
    pub fn admin(&self, id: usize) -> u16 {
        self.places[id].1.admin
    }

    /// What replica `id` says to `GET path` on its HTTP port.
    pub fn http(&self, id: usize, path: &str) -> Option<(u16, String)> {
        http_get_from(SocketAddr::new(self.places[id].0, self.admin(id)), path)
    }

    /// Waits until replica `id` votes and reaches a quorum.
    pub fn wait_until_ready(&self, id: usize) {
        eventually(&format!("replica {id} to be ready; log:\n{}", self.log(id)), READY, || {
            self.http(id, "/ready").filter(|(status, _)| *status == 200)
        });
    }

    /// What replica `id` says about itself.
    pub fn status(&self, id: usize) -> Option<Value> {
        let (status, body) = self.http(id, "/v1/status")?;
        (status == 200).then(|| serde_json::from_str(&body).expect("the status is JSON"))
    }

    /// Asks replica `id` for so many names that do not exist, one after the other, so that the log grows by as many slots.
    pub fn grow_log(&self, id: usize, slots: usize, label: &str) {
        for slot in 0..slots {
            let printed = dig(self.dns(id), &[&format!("{label}-{slot}.example.org"), "A"]);
            assert!(printed.contains("status: NXDOMAIN"), "{printed}");
        }
    }
}

/// `GET path` on a port of loopback: the status and the body, or `None` when nobody answers.
pub fn http_get(port: u16, path: &str) -> Option<(u16, String)> {
    http_get_from(SocketAddr::from(([127, 0, 0, 1], port)), path)
}

fn http_get_from(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect_timeout(&address, HTTP_TIMEOUT).ok()?;
    stream.set_read_timeout(Some(HTTP_TIMEOUT)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status, body.to_owned()))
}

/// How long a replica may take to say something on its HTTP port.
const HTTP_TIMEOUT: Duration = Duration::from_secs(5);
