//! `quorate cluster new`: keys, cluster file, Corefiles and genesis records of a new cluster.

use std::net::IpAddr;
use std::path::PathBuf;

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
    scp -r example/replica-0 192.0.2.10:/etc/quorate     # and so on; there: quorate serve -c Corefile

  Four replicas on this machine, DNS on ports 5300 to 5303:
    quorate cluster new --dir example --replicas 4 --host 127.0.0.1 --base-port 5300

Each folder holds a private key: copy it to its machine, then remove it here. Keep cluster.toml: with it anybody can
check an answer (`quorate verify`).";

/// What the new cluster shall be.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// Folder to write to; must be empty or absent
    #[arg(long)]
    dir: PathBuf,
    /// Number of replicas, 4 to 31
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(4..=31))]
    replicas: u32,
    /// Faulty replicas to tolerate; the most that the number allows when not given
    #[arg(long)]
    faults: Option<u32>,
    /// Address of all replicas, or of each in turn
    #[arg(long = "host", value_name = "ADDRESS", default_value = "127.0.0.1")]
    hosts: Vec<IpAddr>,
    /// First port. On one host: 5300; 0 takes a free range. On hosts of their own: 53, which means 53, 853 and 443
    #[arg(long)]
    base_port: Option<u16>,
    /// Name of the cluster
    #[arg(long, default_value = "example")]
    name: String,
    /// What replicas forward to, each the next in turn, as the `forward` plugin reads it
    #[arg(long = "upstream", value_name = "UPSTREAM", default_value = "/etc/resolv.conf")]
    upstreams: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl NewArgs {
    fn plan(&self) -> Result<Plan, LayoutError> {
        let own_hosts = self.hosts.len() > 1;
        let several = self.upstreams.len() > 1;
        let group = |(index, upstream): (usize, &String)| {
            // Without several upstreams, replicas on hosts of their own still look names up on paths of their own.
            let name = if several { format!("path-{index}") } else { "path-0".to_owned() };
            (upstream.clone(), name)
        };
        let upstreams = match (several, own_hosts) {
            (false, true) => {
                (0..self.hosts.len()).map(|i| (self.upstreams[0].clone(), format!("host-{i}"))).collect()
            }
            _ => self.upstreams.iter().enumerate().map(group).collect(),
        };
        let base_port = self.base_port.unwrap_or(if own_hosts { 53 } else { 5300 });
        Ok(Plan {
            dir: self.dir.clone(),
            name: self.name.clone(),
            replicas: self.replicas,
            faults: self.faults.unwrap_or_else(|| faults_max(self.replicas)),
            hosts: self.hosts.clone(),
            // The hosts may be other machines, so only a free range that is asked for is looked for, here.
            base_port: if base_port == 0 { free_base_port(0)? } else { base_port },
            upstreams,
            directives: String::new(),
        })
    }
}

/// Runs the command and says what was made.
///
/// Errors: the plan cannot be, or a file cannot be written.
pub fn run(command: &ClusterCommand) -> Result<(), LayoutError> {
    let ClusterCommand::New(args) = command;
    let plan = args.plan()?;
    let replicas = plan.write()?;
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
