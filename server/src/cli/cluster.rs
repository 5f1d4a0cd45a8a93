//! `quorate cluster new`: keys, cluster file, Corefiles and genesis records of a new cluster.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use certificate::Cluster;
use certificate::cluster::{ClusterError, Settings, Template};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::layout::{LayoutError, Plan, Replica, faults_max, free_base_port};

/// Makes clusters.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Make keys, a cluster file and a Corefile for each replica
    #[command(after_long_help = EXAMPLES)]
    New(NewArgs),
}

const EXAMPLES: &str = "\
Examples:
  Four replicas on four machines, each with its own upstream:
    quorate cluster new --dir example --replicas 4 \\
        --host 192.0.2.10 --host 192.0.2.11 --host 192.0.2.12 --host 192.0.2.13 \\
        --upstream 9.9.9.9 --upstream 1.1.1.1
    rsync -a --remove-source-files example/replica-0/ 192.0.2.10:replica-0/  # and so on
    quorate serve -c Corefile                                                # there, inside it
  Each folder holds a first log: it goes to its machine once; no copy stays or comes back.

  Four replicas on this machine, DNS on ports 5300 to 5303:
    quorate cluster new --dir example --replicas 4 --host 127.0.0.1 --base-port 5300

  A zone with a policy of its own, and one that is not agreed on; `.` is for all others:
    quorate cluster new --dir example --policy .=corroborated \\
        --policy example.org=strong --policy internal.example.org=bypass

  What else replicas have in common stands in a file of settings. Every key may be left out:
    quorate cluster new --dir example --settings settings.toml

    # settings.toml
    checkpoint-interval = 100        # slots between two checkpoints
    batch-entries = 50               # most questions decided in one slot
    batch-bytes = 49152              # most bytes of observations in one slot
    pipeline = 3                     # slots in flight
    message-size = 65536             # most bytes in a message between replicas
    observation-window = \"10s\"       # older observations do not count
    history = \"10m\"                  # how long a replica remembers what it saw
    min-groups = 2                   # fewer upstream groups behind an answer: single-path
    ttl-max = \"1h\"                   # longest life of an answer
    [agreement]                      # policy by zone, the longest match counts
    \".\" = \"records\"                  # strong | corroborated | records | observe | bypass
    \"example.org.\" = \"strong\"
    [[replica]]
    id = 0
    name = \"ams\"
    upstream-group = \"isp-a\"         # whose paths it looks names up on

  A cluster like another, after an edit of its cluster.toml: a running cluster keeps to its file,
  so a change takes a new cluster, with keys, logs and an id of its own:
    quorate cluster new --dir changed --settings example/cluster.toml \\
        --upstream 9.9.9.9 --upstream 1.1.1.1

Each folder holds a private key: copy it to its machine, then remove it here. Keep cluster.toml:
with it anybody can check an answer (`quorate verify`).";

/// How many replicas there are when nothing says so.
const REPLICAS: u32 = 4;

/// What the new cluster shall be.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// Folder to write to; must be empty or absent
    #[arg(long)]
    dir: PathBuf,
    /// Number of replicas, 4 to 31 [default: 4]
    #[arg(long, value_parser = clap::value_parser!(u32).range(4..=31))]
    replicas: Option<u32>,
    /// Faulty replicas to tolerate; the most that the number allows when not given
    #[arg(long)]
    faults: Option<u32>,
    /// Address of all replicas, or of each in turn [default: 127.0.0.1]
    #[arg(long = "host", value_name = "ADDRESS")]
    hosts: Vec<IpAddr>,
    /// First port. On one host: 5300; 0 takes a free range. On hosts of their own: 53, which means 53, 853 and 443
    #[arg(long)]
    base_port: Option<u16>,
    /// Name of the cluster [default: example]
    #[arg(long)]
    name: Option<String>,
    /// What replicas forward to, each the next in turn, as the `forward` plugin reads it
    #[arg(long = "upstream", value_name = "UPSTREAM", default_value = "/etc/resolv.conf")]
    upstreams: Vec<String>,
    /// How answers in a zone are agreed on: strong, corroborated, records, observe or bypass; may be repeated
    #[arg(long = "policy", value_name = "ZONE=POLICY")]
    policies: Vec<String>,
    /// Limits, policies, names and upstream groups: a file with keys of cluster.toml, or the cluster.toml of another cluster
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What stands in files and `--policy`.
struct Chosen {
    settings: Settings,
    /// The cluster whose file was given.
    like: Option<Box<Cluster>>,
}

impl NewArgs {
    fn plan(&self, chosen: Chosen) -> Result<Plan, LayoutError> {
        let Chosen { settings, like } = chosen;
        let like = like.as_deref();
        let replicas = like.map_or(self.replicas(), |like| like.members.len() as u32);
        let faults = self.faults.unwrap_or_else(|| faults_max(replicas));
        let (hosts, peer_ports) = self.places(like)?;
        let own_hosts = hosts.len() > 1;
        let base_port = self.base_port.unwrap_or(if own_hosts { 53 } else { 5300 });
        let upstreams = self.upstreams(&hosts);
        // On hosts of their own one word may mean different paths, as `/etc/resolv.conf` does.
        if let Some(like) = like.filter(|_| !own_hosts) {
            refuse_shared_paths(like, &upstreams)?;
        }
        Ok(Plan {
            dir: self.dir.clone(),
            name: self.name.clone().or(like.map(|like| like.name.clone())).unwrap_or("example".to_owned()),
            replicas,
            faults: like.map_or(faults, |like| like.replicas.faults() as u32),
            // The hosts may be other machines, so only a free range that is asked for is looked for, here.
            base_port: if base_port == 0 { free_base_port(0)? } else { base_port },
            peer_ports,
            settings,
            upstreams,
            hosts,
            directives: String::new(),
        })
    }

    fn replicas(&self) -> u32 {
        self.replicas.unwrap_or(REPLICAS)
    }

    /// Reads the file of settings, and the policies beside it.
    fn chosen(&self) -> Result<Chosen, LayoutError> {
        let template = match &self.settings {
            None => Template::Settings(Settings::default()),
            Some(path) => {
                let text = fs::read_to_string(path)
                    .map_err(|source| LayoutError::File { path: path.clone(), source })?;
                Template::parse(&text, &path.display().to_string(), self.replicas() as usize)
                    .map_err(|errors| LayoutError::Template(rendered(&errors)))?
            }
        };
        let mut chosen = match template {
            Template::Settings(settings) => Chosen { settings, like: None },
            Template::Cluster(like) => {
                let twice = [("--replicas", self.replicas.is_some()), ("--faults", self.faults.is_some())];
                if let Some((flag, _)) = twice.into_iter().find(|(_, given)| *given) {
                    let text = format!("`{flag}`: a whole cluster file says it already; change it there");
                    return Err(LayoutError::Template(text));
                }
                Chosen { settings: Settings::of(&like), like: Some(like) }
            }
        };
        for words in &self.policies {
            let wrong = |why: String| LayoutError::Template(format!("--policy `{words}`: {why}"));
            let Some((zone, policy)) = words.rsplit_once('=') else {
                return Err(wrong("expected ZONE=POLICY, such as `example.org=strong`".to_owned()));
            };
            chosen.settings.set_policy(zone, policy).map_err(|kind| wrong(kind.to_string()))?;
        }
        Ok(chosen)
    }

    /// The hosts, and the peer ports where they stand in a cluster file: `--host` takes the place of both.
    fn places(&self, like: Option<&Cluster>) -> Result<(Vec<IpAddr>, Vec<u16>), LayoutError> {
        let Some(like) = like.filter(|_| self.hosts.is_empty()) else {
            let hosts =
                if self.hosts.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { self.hosts.clone() };
            return Ok((hosts, Vec::new()));
        };
        let mut hosts: Vec<IpAddr> = like.members.iter().map(|member| member.address.ip()).collect();
        let mut distinct = hosts.clone();
        distinct.sort_unstable();
        distinct.dedup();
        match distinct.len() {
            1 => hosts.truncate(1),
            count if count < hosts.len() => {
                let text = "some replicas of the cluster file share a host, others have one of their own: say where the new ones are with `--host`";
                return Err(LayoutError::Template(text.to_owned()));
            }
            _ => {}
        }
        Ok((hosts, like.members.iter().map(|member| member.address.port()).collect()))
    }

    /// What replicas forward to, in turn, with the name of each path.
    fn upstreams(&self, hosts: &[IpAddr]) -> Vec<(String, String)> {
        match (&self.upstreams[..], hosts.len() > 1) {
            // Without several upstreams, replicas on hosts of their own still look names up on paths of their own.
            ([one], true) => (0..hosts.len()).map(|i| (one.clone(), format!("host-{i}"))).collect(),
            (several, _) => several
                .iter()
                .enumerate()
                .map(|(i, upstream)| (upstream.clone(), format!("path-{i}")))
                .collect(),
        }
    }
}

/// Refuses to call one path two: answers would not be marked as single-path that are.
fn refuse_shared_paths(like: &Cluster, upstreams: &[(String, String)]) -> Result<(), LayoutError> {
    let upstream = |id: usize| &upstreams[id % upstreams.len()].0;
    for (id, member) in like.members.iter().enumerate() {
        let differs = |(other, with): &(usize, &certificate::Member)| {
            upstream(*other) == upstream(id) && with.upstream_group != member.upstream_group
        };
        if let Some((other, with)) = like.members[..id].iter().enumerate().find(differs) {
            let text = format!(
                "replicas {other} and {id} would both forward to `{}`, and are of two upstream groups in the cluster file, `{}` and `{}`: say with \
                 `--upstream`, in turn, what each forwards to",
                upstream(id),
                with.upstream_group,
                member.upstream_group
            );
            return Err(LayoutError::Template(text));
        }
    }
    Ok(())
}

/// Every mistake with its line.
fn rendered(errors: &[ClusterError]) -> String {
    errors.iter().map(ClusterError::render).collect::<Vec<_>>().join("\n")
}

/// Runs the command and says what was made.
///
/// Errors: the plan cannot be, or a file cannot be written.
pub fn run(command: &ClusterCommand) -> Result<(), LayoutError> {
    let ClusterCommand::New(args) = command;
    let chosen = args.chosen()?;
    let is_like_another = chosen.like.is_some();
    let plan = args.plan(chosen)?;
    let replicas = plan.write()?;
    if is_like_another {
        eprintln!(
            "as in the cluster file: name, number of replicas and faults, limits, policies, names and upstream groups{}. \
             New: keys, logs, epoch 1 and cluster id, Corefiles",
            if args.hosts.is_empty() { ", addresses" } else { "" }
        );
    }
    if args.json {
        println!("{}", to_json(&plan, &replicas));
        return Ok(());
    }
    println!("cluster `{}`: {} replicas, {} may be faulty", plan.name, replicas.len(), plan.faults);
    println!("{}", plan.dir.join("cluster.toml").display());
    for Replica { id, dir, host, ports, .. } in &replicas {
        println!("{}  replica {id}: DNS {host} port {}, peers port {}", dir.display(), ports.dns, ports.peer);
    }
    Ok(())
}

fn to_json(plan: &Plan, replicas: &[Replica]) -> Value {
    let replica = |replica: &Replica| {
        let ports = replica.ports;
        json!({
            "id": replica.id.0, "dir": replica.dir, "host": replica.host, "upstream": replica.upstream,
            "dns": ports.dns, "tls": ports.tls, "quic": ports.quic, "https": ports.https,
            "peer": ports.peer, "admin": ports.admin,
        })
    };
    json!({
        "name": plan.name,
        "faults": plan.faults,
        "cluster": plan.dir.join("cluster.toml"),
        "replicas": replicas.iter().map(replica).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use certificate::cluster::Policy;
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: NewArgs,
    }

    fn args(dir: &Path, words: &[&str]) -> NewArgs {
        let dir = dir.join("cluster").display().to_string();
        Line::parse_from(["new", "--dir", &dir].iter().chain(words)).args
    }

    /// The cluster file that the command makes.
    fn made(dir: &Path, words: &[&str]) -> Result<Cluster, String> {
        let args = args(dir, words);
        let chosen = args.chosen().map_err(|error| error.to_string())?;
        args.plan(chosen).and_then(|plan| plan.write()).map_err(|error| error.to_string())?;
        let text = fs::read_to_string(args.dir.join("replica-0/cluster.toml")).unwrap();
        Ok(Cluster::parse(&text, "cluster.toml").unwrap())
    }

    fn settings(dir: &Path, text: &str) -> String {
        let path = dir.join("settings.toml");
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn policy(cluster: &Cluster, name: &str) -> Policy {
        cluster.policy_for(&certificate::name::parse(name).unwrap()).1
    }

    #[test]
    fn settings_and_policies_reach_the_cluster_file() {
        let dir = tempfile::tempdir().unwrap();
        let text = "pipeline = 2\n[agreement]\n\"example.net\" = \"observe\"\n[[replica]]\nid = 3\nname = \"fra\"\nupstream-group = \"isp-f\"\n";
        let file = settings(dir.path(), text);
        let cluster = made(
            dir.path(),
            &["--settings", &file, "--policy", "example.org=strong", "--policy", ".=corroborated"],
        );
        let cluster = cluster.unwrap();
        assert_eq!((cluster.pipeline, cluster.name.as_str()), (2, "example"));
        assert_eq!(policy(&cluster, "www.example.net"), Policy::Observe);
        assert_eq!(policy(&cluster, "www.example.org"), Policy::Strong);
        assert_eq!(policy(&cluster, "example.com"), Policy::Corroborated);
        assert_eq!(
            (cluster.members[3].name.as_str(), cluster.members[3].upstream_group.as_str()),
            ("fra", "isp-f")
        );
        assert_eq!(
            (cluster.members[2].name.as_str(), cluster.members[2].upstream_group.as_str()),
            ("replica-2", "path-0")
        );
    }

    #[test]
    fn wrong_settings_make_nothing_and_are_told_with_line_and_caret() {
        let dir = tempfile::tempdir().unwrap();
        let file = settings(dir.path(), "[agreement]\n\"example.org\" = \"dnssec\"\n");
        let told = made(dir.path(), &["--settings", &file]).unwrap_err();
        let expected = format!(
            "{file}:2:17: policy `dnssec` needs a DNSSEC validator, which this version has not: nothing in the zone would be answered; \
             the strictest policy that it has is `strong`\n    2 | \"example.org\" = \"dnssec\"\n      |                 ^"
        );
        assert_eq!(told, expected);
        assert!(!dir.path().join("cluster").exists());
    }

    #[test]
    fn wrong_policies_are_told_with_their_words() {
        let dir = tempfile::tempdir().unwrap();
        for (words, told) in [
            ("example.org", "expected ZONE=POLICY, such as `example.org=strong`"),
            ("a..org=strong", "zone `a..org`: expected a label between two dots, found none"),
            (
                "example.org=strng",
                "expected `strong`, `corroborated`, `records`, `dnssec`, `observe` or `bypass`, found `strng`; did you mean `strong`?",
            ),
            (
                "example.org=dnssec",
                "policy `dnssec` needs a DNSSEC validator, which this version has not: nothing in the zone would be answered; the \
                 strictest policy that it has is `strong`",
            ),
        ] {
            assert_eq!(made(dir.path(), &["--policy", words]), Err(format!("--policy `{words}`: {told}")));
        }
        let twice = made(dir.path(), &["--policy", "example.org=strong", "--policy", "Example.org.=observe"]);
        assert_eq!(
            twice,
            Err("--policy `Example.org.=observe`: zone `Example.org.` has a policy already".to_owned())
        );
    }

    #[test]
    fn cluster_like_another_has_its_own_keys_and_the_others_all_else() {
        let dir = tempfile::tempdir().unwrap();
        let first =
            ["--replicas", "7", "--name", "ours", "--base-port", "7000", "--policy", "example.org=strong"];
        let like = made(&dir.path().join("first"), &first).unwrap();
        let file = dir.path().join("first/cluster/cluster.toml").display().to_string();
        let cluster =
            made(&dir.path().join("second"), &["--settings", &file, "--policy", "example.net=bypass"])
                .unwrap();
        assert_ne!(cluster.id(), like.id());
        let mut expected = like;
        expected.policies.insert(certificate::name::parse("example.net").unwrap(), Policy::Bypass);
        for (member, made) in expected.members.iter_mut().zip(&cluster.members) {
            assert_ne!(member.public_key, made.public_key);
            (member.public_key, member.transport_key) = (made.public_key, made.transport_key);
        }
        assert_eq!(cluster, expected);
    }

    #[test]
    fn two_groups_of_a_cluster_file_are_not_given_one_path() {
        let dir = tempfile::tempdir().unwrap();
        let two = ["--upstream", "9.9.9.9", "--upstream", "1.1.1.1"];
        made(&dir.path().join("first"), &two).unwrap();
        let file = dir.path().join("first/cluster/cluster.toml").display().to_string();
        let told = made(&dir.path().join("second"), &["--settings", &file]).unwrap_err();
        assert!(
            told.starts_with("replicas 0 and 1 would both forward to `/etc/resolv.conf`, and are of two"),
            "{told}"
        );
        let with: Vec<&str> = ["--settings", &file].into_iter().chain(two).collect();
        assert!(made(&dir.path().join("second"), &with).is_ok());
    }

    #[test]
    fn number_of_replicas_is_said_once() {
        let dir = tempfile::tempdir().unwrap();
        made(&dir.path().join("first"), &[]).unwrap();
        let file = dir.path().join("first/cluster/cluster.toml").display().to_string();
        for flag in [["--replicas", "4"], ["--faults", "1"]] {
            let told =
                made(&dir.path().join("second"), &["--settings", &file, flag[0], flag[1]]).unwrap_err();
            assert_eq!(told, format!("`{}`: a whole cluster file says it already; change it there", flag[0]));
        }
    }

    #[test]
    fn peer_port_of_a_cluster_file_is_given_to_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        made(&dir.path().join("first"), &["--base-port", "5300"]).unwrap();
        let file = dir.path().join("first/cluster/cluster.toml").display().to_string();
        let told =
            made(&dir.path().join("second"), &["--settings", &file, "--base-port", "5427"]).unwrap_err();
        assert!(told.starts_with("port 5428 of replica 0 is that of its peers"), "{told}");
        let elsewhere = ["--settings", &file, "--base-port", "5427", "--host", "127.0.0.1"];
        assert!(made(&dir.path().join("second"), &elsewhere).is_ok());
    }

    #[test]
    fn hosts_of_a_cluster_file_that_are_partly_shared_must_be_said() {
        let dir = tempfile::tempdir().unwrap();
        let hosts =
            ["--host", "192.0.2.1", "--host", "192.0.2.2", "--host", "192.0.2.3", "--host", "192.0.2.4"];
        let like = made(&dir.path().join("first"), &hosts).unwrap();
        let file = settings(dir.path(), &like.to_toml().replace("192.0.2.4:5380", "192.0.2.3:5381"));
        let told = made(&dir.path().join("second"), &["--settings", &file]).unwrap_err();
        assert!(told.ends_with("say where the new ones are with `--host`"), "{told}");
        let file = settings(dir.path(), &like.to_toml());
        let made = made(&dir.path().join("third"), &["--settings", &file]).unwrap();
        assert_eq!(made.members[3].address, like.members[3].address);
    }

    #[test]
    fn help_is_not_wrapped_where_it_is_copied_from() {
        assert_eq!(EXAMPLES.lines().filter(|line| line.len() > 98).collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn file_that_the_help_shows_is_one_that_says_the_defaults() {
        let shown = EXAMPLES.split_once("# settings.toml").unwrap().1.split_once("\n\n").unwrap().0;
        let dir = tempfile::tempdir().unwrap();
        let file = settings(dir.path(), shown);
        let with = made(&dir.path().join("with"), &["--settings", &file]).unwrap();
        let without = made(&dir.path().join("without"), &["--policy", "example.org=strong"]).unwrap();
        let limits = |cluster: Cluster| {
            let text = cluster.to_toml();
            text.split_once("# The replicas").unwrap().0.to_owned()
        };
        assert_eq!(limits(with), limits(without));
    }
}
