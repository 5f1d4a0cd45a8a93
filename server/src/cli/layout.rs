//! The files of a new cluster: one folder a replica, ready to be copied to its machine.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use certificate::cluster::{Cluster, Member, Settings, default_name};
use certificate::keys::SeedKey;
use certificate::{ReplicaId, Replicas};
use rand::TryRngCore;
use rand::rngs::OsRng;
use thiserror::Error;

/// Replicas on one host take consecutive ports; each kind of port begins this far behind the one before it.
const PORT_STRIDE: u16 = 32;
/// Kinds of ports that a replica takes.
const PORT_KINDS: u16 = 6;
/// How many ports from the base port on a cluster on one host may use; those behind the replicas' are free for upstreams.
pub const PORTS: u16 = PORT_STRIDE * (PORT_KINDS + 1);

/// Why a cluster cannot be laid out.
#[derive(Debug, Error)]
pub enum LayoutError {
    /// n and f do not fit.
    #[error(transparent)]
    Replicas(#[from] certificate::replicas::ReplicasError),
    /// A name or number that the cluster file cannot hold.
    #[error("{0}")]
    Cluster(String),
    /// What the cluster is to be made like cannot be used.
    #[error("{0}")]
    Template(String),
    /// The address that a replica has in a cluster file, beside the ports that it gets here.
    #[error(
        "port {port} of replica {replica} is that of its peers in the cluster file, and was to serve clients; choose another --base-port"
    )]
    PeerPort {
        /// Whose.
        replica: ReplicaId,
        /// The port.
        port: u16,
    },
    /// One host for all, or one for each.
    #[error("expected one --host for all replicas or {replicas}, got {hosts}")]
    Hosts {
        /// n
        replicas: usize,
        /// How many were given.
        hosts: usize,
    },
    /// The ports would pass 65535.
    #[error("expected a base port of at most {max}, got {base}", max = u16::MAX - PORTS)]
    BasePort {
        /// What was given.
        base: u16,
    },
    /// A port that the cluster needs is taken.
    #[error("port {port} is taken; choose another range with --base-port, or a free one with --base-port 0")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// No free range of ports was found.
    #[error("no range of {PORTS} free ports")]
    NoPorts,
    /// There is something already.
    #[error("`{}` holds files already; a cluster's keys are never overwritten", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("`{}`", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The machine has no randomness to give.
    #[error("no randomness from the operating system")]
    Randomness(#[source] rand::rand_core::OsError),
    /// The certificate for DoT, DoQ and DoH could not be made.
    #[error("TLS certificate")]
    Tls(#[source] rcgen::Error),
    /// The write-ahead log could not be begun.
    #[error("state of replica {replica}")]
    State {
        /// Whose.
        replica: ReplicaId,
        /// The reason.
        #[source]
        source: node::InitialiseError,
    },
}

/// The ports of one replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    /// Metrics, health, readiness, JSON API; on loopback
    pub admin: u16,
}

impl Ports {
    /// The ports of replica `index` on a host that all replicas share, or (`index` 0) on its own host.
    fn from_base(base: u16, index: u16) -> Ports {
        let port = |kind: u16| base + kind * PORT_STRIDE + index;
        Ports { dns: port(0), tls: port(1), quic: port(2), https: port(3), peer: port(4), admin: port(5) }
    }

    /// All but that for other replicas.
    fn others(&self) -> [u16; 5] {
        [self.dns, self.tls, self.quic, self.https, self.admin]
    }

    /// The ports that clients expect, for a replica on a host of its own.
    const STANDARD: Ports = Ports { dns: 53, tls: 853, quic: 853, https: 443, peer: 5380, admin: 9153 };
}

/// How many ranges of ports are tried when a free one is asked for.
const RANGES_MAX: u32 = 100;

/// The base port to use: `asked`, if all ports of its range are free on loopback, or the first of a free range when 0 is asked for.
///
/// Errors: a port of the range is taken; there is no free range.
pub fn free_base_port(asked: u16) -> Result<u16, LayoutError> {
    if asked != 0 {
        let last = asked.checked_add(PORTS).ok_or(LayoutError::BasePort { base: asked })?;
        return match (asked..last).find(|&port| !is_free(port)) {
            Some(port) => Err(LayoutError::PortTaken { port }),
            None => Ok(asked),
        };
    }
    // Below the range from which the system takes ports for connections, and spread by process so that two clusters seldom meet.
    let start = std::process::id();
    (0..RANGES_MAX)
        .map(|i| 10_000 + (start.wrapping_add(i * 7) % 70) as u16 * 300)
        .find(|&base| (base..base + PORTS).all(is_free))
        .ok_or(LayoutError::NoPorts)
}

fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
}

/// What a new cluster shall be.
pub struct Plan {
    /// Where its folders go.
    pub dir: PathBuf,
    /// Its name.
    pub name: String,
    /// n
    pub replicas: u32,
    /// f
    pub faults: u32,
    /// One address for all replicas, or one for each.
    pub hosts: Vec<IpAddr>,
    /// First port; 53 on hosts of their own means the ports that clients expect.
    pub base_port: u16,
    /// The peer port of each replica; empty for those of the ranges.
    pub peer_ports: Vec<u16>,
    /// Limits, policies, names and upstream groups that take the place of the defaults.
    pub settings: Settings,
    /// What each replica forwards to, in the words of `forward`, and the name of that path. Replica i takes number i modulo their count.
    pub upstreams: Vec<(String, String)>,
    /// Further directives for the Corefile of every replica, each line with its line feed; often none.
    pub directives: String,
}

/// One replica of a new cluster.
pub struct Replica {
    /// Its number.
    pub id: ReplicaId,
    /// Its folder.
    pub dir: PathBuf,
    /// Where it serves clients.
    pub host: IpAddr,
    /// On which ports.
    pub ports: Ports,
    /// What it forwards to.
    pub upstream: String,
}

/// The least n that tolerates `faults`, turned around: the most faults that `replicas` tolerate.
pub fn faults_max(replicas: u32) -> u32 {
    replicas.saturating_sub(1) / 3
}

impl Plan {
    /// Writes keys, `cluster.toml`, Corefiles and genesis records, and says what was made.
    ///
    /// Errors: see `LayoutError`; a folder that already holds a cluster is left untouched.
    pub fn write(&self) -> Result<Vec<Replica>, LayoutError> {
        let replicas = self.replicas()?;
        if fs::read_dir(&self.dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(LayoutError::NotEmpty { path: self.dir.clone() });
        }
        let seeds = replicas.iter().map(|_| new_seed()).collect::<Result<Vec<_>, _>>()?;
        let cluster = self.cluster(&replicas, &seeds)?;
        let text = cluster.to_toml();
        // What every replica will read must be right before a key is written.
        Cluster::parse_to_run(&text, "cluster.toml").map_err(|errors| {
            LayoutError::Cluster(
                errors.iter().map(|error| error.kind.to_string()).collect::<Vec<_>>().join("; "),
            )
        })?;
        create_dir(&self.dir)?;
        write_file(&self.dir.join("cluster.toml"), text.as_bytes(), 0o644)?;
        for (replica, seed) in replicas.iter().zip(&seeds) {
            replica.write(seed, (&cluster, &text), &self.directives)?;
        }
        Ok(replicas)
    }

    fn replicas(&self) -> Result<Vec<Replica>, LayoutError> {
        let count = Replicas::new(self.replicas, self.faults)?.count();
        let own_hosts = self.hosts.len() == count;
        if !own_hosts && self.hosts.len() != 1 {
            return Err(LayoutError::Hosts { replicas: count, hosts: self.hosts.len() });
        }
        if self.base_port > u16::MAX - PORTS {
            return Err(LayoutError::BasePort { base: self.base_port });
        }
        let replica = |index: u8| {
            let at = usize::from(index);
            let ports = match (own_hosts, self.base_port) {
                (true, 53) => Ports::STANDARD,
                (true, base) => Ports::from_base(base, 0),
                (false, base) => Ports::from_base(base, u16::from(index)),
            };
            Replica {
                id: ReplicaId(index),
                dir: self.dir.join(format!("replica-{index}")),
                host: self.hosts[if own_hosts { at } else { 0 }],
                ports: Ports { peer: *self.peer_ports.get(at).unwrap_or(&ports.peer), ..ports },
                upstream: self.upstreams[at % self.upstreams.len()].0.clone(),
            }
        };
        let replicas: Vec<Replica> = (0..count as u8).map(replica).collect();
        for one in &replicas {
            let here = replicas.iter().filter(|other| other.host == one.host);
            let served = here.flat_map(|other| other.ports.others());
            if served.into_iter().any(|port| port == one.ports.peer) {
                return Err(LayoutError::PeerPort { replica: one.id, port: one.ports.peer });
            }
        }
        Ok(replicas)
    }

    fn cluster(&self, replicas: &[Replica], seeds: &[SeedKey]) -> Result<Cluster, LayoutError> {
        let member = |(replica, seed): (&Replica, &SeedKey)| Member {
            id: replica.id,
            name: default_name(replica.id),
            address: SocketAddr::new(replica.host, replica.ports.peer),
            public_key: seed.signing_key().public_key(),
            transport_key: seed.transport_key().public_key(),
            upstream_group: self.upstreams[usize::from(replica.id.0) % self.upstreams.len()].1.clone(),
            group: 0,
        };
        let mut cluster =
            Cluster::new(&self.name, self.faults, replicas.iter().zip(seeds).map(member).collect())?;
        self.settings.apply(&mut cluster);
        Ok(cluster)
    }
}

impl Replica {
    fn write(
        &self,
        seed: &SeedKey,
        (cluster, cluster_text): (&Cluster, &str),
        directives: &str,
    ) -> Result<(), LayoutError> {
        create_dir(&self.dir)?;
        write_file(&self.dir.join("replica.key"), format!("{}\n", *seed.to_text()).as_bytes(), 0o600)?;
        write_file(&self.dir.join("cluster.toml"), cluster_text.as_bytes(), 0o644)?;
        write_file(&self.dir.join("Corefile"), self.corefile(&cluster.name, directives).as_bytes(), 0o644)?;
        let tls = rcgen::generate_simple_self_signed([self.host.to_string(), "localhost".to_owned()])
            .map_err(LayoutError::Tls)?;
        write_file(&self.dir.join("tls.pem"), tls.cert.pem().as_bytes(), 0o644)?;
        write_file(&self.dir.join("tls.key"), tls.signing_key.serialize_pem().as_bytes(), 0o600)?;
        node::initialise(&self.dir.join("state"), cluster, self.id)
            .map_err(|source| LayoutError::State { replica: self.id, source })
    }

    /// The Corefile of this replica.
    fn corefile(&self, cluster: &str, directives: &str) -> String {
        let Ports { dns, tls, quic, https, admin, .. } = self.ports;
        let (id, host, upstream) = (self.id, self.host, &self.upstream);
        format!(
            "\
# Replica {id} of the cluster `{cluster}`. This folder goes to its machine as it is; there: quorate serve -c Corefile
# tls.pem is self-signed: put a certificate that your clients trust in its place.
.:{dns} tls://.:{tls} quic://.:{quic} https://.:{https} {{
    bind {host}
    tls tls.pem tls.key
    errors
    prometheus 127.0.0.1:{admin}
    health 127.0.0.1:{admin}
    ready 127.0.0.1:{admin}
    cache 300
    byzantine-consensus cluster.toml {{
        identity replica.key
        state state
    }}
{directives}    forward . {upstream}
}}
"
        )
    }
}

fn new_seed() -> Result<SeedKey, LayoutError> {
    let mut seed = [0; 32];
    OsRng.try_fill_bytes(&mut seed).map_err(LayoutError::Randomness)?;
    Ok(SeedKey::new(seed))
}

fn create_dir(path: &Path) -> Result<(), LayoutError> {
    fs::create_dir_all(path).map_err(|source| LayoutError::File { path: path.to_owned(), source })
}

fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), LayoutError> {
    let written = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    written
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|source| LayoutError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn plan(dir: &Path, hosts: &[&str], base_port: u16) -> Plan {
        Plan {
            dir: dir.join("cluster"),
            name: "example".to_owned(),
            replicas: 4,
            faults: 1,
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            base_port,
            peer_ports: Vec::new(),
            settings: Settings::default(),
            upstreams: vec![
                ("192.0.2.1".to_owned(), "a".to_owned()),
                ("192.0.2.2".to_owned(), "b".to_owned()),
            ],
            directives: String::new(),
        }
    }

    #[test]
    fn replicas_on_one_host_share_no_port() {
        let dir = tempfile::tempdir().unwrap();
        let replicas = plan(dir.path(), &["127.0.0.1"], 5300).write().unwrap();
        let mut ports: Vec<u16> = replicas
            .iter()
            .flat_map(|r| {
                [r.ports.dns, r.ports.tls, r.ports.quic, r.ports.https, r.ports.peer, r.ports.admin]
            })
            .collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 24);
        assert_eq!(replicas[2].ports.dns, 5302);
    }

    #[test]
    fn replicas_on_hosts_of_their_own_use_the_ports_clients_expect() {
        let dir = tempfile::tempdir().unwrap();
        let hosts = ["192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13"];
        let replicas = plan(dir.path(), &hosts, 53).write().unwrap();
        assert!(replicas.iter().all(|replica| replica.ports == Ports::STANDARD));
    }

    #[test]
    fn written_cluster_file_parses_and_names_every_replica() {
        let dir = tempfile::tempdir().unwrap();
        let plan = plan(dir.path(), &["127.0.0.1"], 5300);
        plan.write().unwrap();
        let text = fs::read_to_string(plan.dir.join("replica-3/cluster.toml")).unwrap();
        let cluster = Cluster::parse(&text, "cluster.toml").unwrap();
        assert_eq!(cluster.members.len(), 4);
        assert_eq!(cluster.members[1].upstream_group, "b");
    }

    #[test]
    fn keys_are_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let plan = plan(dir.path(), &["127.0.0.1"], 5300);
        plan.write().unwrap();
        for file in ["replica.key", "tls.key"] {
            let mode = fs::metadata(plan.dir.join("replica-0").join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    }

    #[test]
    fn folder_with_files_is_left_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let plan = plan(dir.path(), &["127.0.0.1"], 5300);
        plan.write().unwrap();
        let before = fs::read(plan.dir.join("cluster.toml")).unwrap();
        assert!(matches!(plan.write(), Err(LayoutError::NotEmpty { .. })));
        assert_eq!(fs::read(plan.dir.join("cluster.toml")).unwrap(), before);
    }

    #[test]
    fn name_that_the_cluster_file_cannot_hold_is_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan { name: "my cluster".to_owned(), ..plan(dir.path(), &["127.0.0.1"], 5300) };
        assert!(matches!(plan.write(), Err(LayoutError::Cluster(_))));
        assert!(!plan.dir.exists());
    }

    #[test]
    fn three_hosts_for_four_replicas_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let hosts = ["192.0.2.10", "192.0.2.11", "192.0.2.12"];
        assert!(matches!(plan(dir.path(), &hosts, 53).write(), Err(LayoutError::Hosts { .. })));
    }

    #[test]
    fn faults_are_a_third_of_the_others() {
        assert_eq!([4, 5, 6, 7, 10, 31].map(faults_max), [1, 1, 1, 2, 3, 10]);
    }
}
