//! What the demo says: how to ask the cluster, and what it does meanwhile.

use std::io;
use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::layout::Replica;
use super::Demo;
use super::adversaries::Adversary;

/// The longest answer of a replica's JSON API that is read.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// One object that tells a program everything about the demo.
pub(super) fn json(demo: &Demo) -> Value {
    let pid =
        |label: String| demo.servers.iter().find(|server| server.label == label).map(|server| server.pid());
    let replica = |replica: &Replica| {
        let ports = replica.ports;
        json!({
            "id": replica.id.0,
            "pid": pid(format!("replica {}", replica.id)),
            "host": replica.host,
            "dns": ports.dns, "tls": ports.tls, "quic": ports.quic, "https": ports.https,
            "peer": ports.peer, "admin": ports.admin,
            "dir": replica.dir,
        })
    };
    json!({
        "dir": demo.dir,
        "cluster": demo.dir.join("cluster.toml"),
        "replicas": demo.replicas.iter().map(replica).collect::<Vec<_>>(),
        "upstream": format!("127.0.0.1:{}", demo.upstreams[0]),
        "upstreams": demo.upstreams.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>(),
        "liars": demo.liars.iter().map(|liar| liar.id).collect::<Vec<_>>(),
        "adversaries": demo.adversaries.iter().map(|it| json!({ "id": it.id, "vice": it.name })).collect::<Vec<_>>(),
    })
}

/// What to try, and what it will show.
pub(super) fn introduction(demo: &Demo) -> String {
    let ports = demo.replicas[0].ports;
    let other = demo.replicas[1].ports;
    let cluster = demo.dir.join("cluster.toml");
    let cluster = cluster.display();
    let chain = demo.replicas[0].dir.join("certificates").join("good.pem");
    let chain = chain.display();
    let (dns, tls, quic, https, admin) = (ports.dns, ports.tls, ports.quic, ports.https, ports.admin);
    let mut text = format!(
        "\
{n} replicas are ready; {f} of them may be faulty. Files and logs: {dir}

Try, in another terminal:
  dig @127.0.0.1 -p {dns} www.example.org                 an answer that {q} replicas signed
  dig @127.0.0.1 -p {other} www.example.org +tcp            the same from another replica
  kdig @127.0.0.1 -p {tls} +tls www.example.org           over TLS
  kdig @127.0.0.1 -p {quic} +quic www.example.org          over QUIC
  kdig @127.0.0.1 -p {https} +https www.example.org         over HTTPS
  dig @127.0.0.1 -p {dns} TXT _certificate.www.example.org +tcp +short   its certificate: class, slot, signers
  dig @127.0.0.1 -p {dns} nosuch.example.org              a denial is agreed on, too
  {program} query www.example.org A @127.0.0.1:{dns} --cluster {cluster}
      asks, checks the certificate, shows who signed
  curl -s 'http://127.0.0.1:{admin}/v1/certificates?name=www.example.org&type=A'
      why this answer: who saw what
  dig @127.0.0.1 -p {dns} CERT bad.ct.example.org         a certificate that too few logs have seen: flagged
  dig @127.0.0.1 -p {dns} CERT bad.enforced.ct.example.org   the like where that is enforced: SERVFAIL
  {program} certificate check {chain} --name good.ct.example.org --cluster {cluster} @127.0.0.1:{admin}
      a certificate that the replicas judge, with their signatures
  {program} top --admin 127.0.0.1:{admin}     who votes, who is trusted, who is shut out
  http://127.0.0.1:{admin}/     the same in a browser, and why an answer is what it is
",
        n = demo.replicas.len(),
        f = super::faults_max(demo.replicas.len() as u32),
        q = quorum(demo.replicas.len()),
        dir = demo.dir.display(),
        other = other.dns,
        program = program(),
    );
    for liar in &demo.liars {
        text += &format!(
            "Replica {} has an upstream that {}: the others out-vote it, on port {} as well.\n",
            liar.id,
            liar.lie.describe(),
            demo.replicas[usize::from(liar.id)].ports.dns
        );
    }
    for adversary in &demo.adversaries {
        text += &trail(demo, adversary);
    }
    let mut replicas = demo.servers.iter().filter(|server| server.label.starts_with("replica"));
    // Replica 0 is the primary of the first view.
    if let Some(primary) = replicas.next() {
        text +=
            &format!("  kill -9 {}    the primary dies; the others go on under the next\n", primary.pid());
    }
    if let Some(backup) = replicas.next_back() {
        text += &format!("  kill -9 {}    a backup dies, which nobody notices\n", backup.pid());
    }
    text + "Ctrl-C ends everything.\n\n"
}

/// Where to see what a replica that misbehaves does, and what becomes of it.
fn trail(demo: &Demo, adversary: &Adversary) -> String {
    let honest = || demo.replicas.iter().filter(|replica| replica.id.0 != adversary.id);
    let admins: Vec<String> = honest().map(|it| format!("127.0.0.1:{}", it.ports.admin)).collect();
    let Some(witness) = honest().next() else { return String::new() };
    let (id, program) = (adversary.id, program());
    let (admin, dns) = (witness.ports.admin, witness.ports.dns);
    format!(
        "\
Replica {id} {what}. The others stay right, and find out; ask a few names, then:
  for i in $(seq 30); do dig @127.0.0.1 -p {dns} name-$i.example.org +short; done
  {program} top --admin {admins}
  {program} evidence list {state}
      proofs that hold offline: {program} evidence verify FILE --cluster {cluster}
  {program} quarantine list --admin 127.0.0.1:{admin}
  curl -s http://127.0.0.1:{admin}/v1/assessments
  curl -s http://127.0.0.1:{admin}/metrics | grep -E 'reputation|quarantine|filter'
",
        what = adversary.describe(),
        admins = admins.join(" "),
        state = witness.dir.join("state").display(),
        cluster = demo.dir.join("cluster.toml").display(),
    )
}

/// How the reader can call this program.
fn program() -> String {
    let path = std::env::args().next().unwrap_or_default();
    if path.is_empty() { "quorate".to_owned() } else { path }
}

fn quorum(replicas: usize) -> usize {
    let faults = super::faults_max(replicas as u32);
    certificate::Replicas::new(replicas as u32, faults).map_or(0, |numbers| numbers.quorum())
}

/// One line about what the cluster does now.
pub(super) async fn live_line(replicas: &[Replica]) -> String {
    let mut words = Vec::new();
    for replica in replicas {
        let status = match get(replica.ports.admin, "/v1/status").await {
            Ok((200, body)) => serde_json::from_str::<Value>(&body).ok(),
            Ok(_) | Err(_) => None,
        };
        words.push(match status {
            Some(status) => replica_words(replica.id.0, &status),
            None => format!("[{}] gone", replica.id),
        });
    }
    words.join("  ")
}

/// What a replica's status says of it, in few words.
fn replica_words(id: u8, status: &Value) -> String {
    let role = match status["standing"].as_str() {
        Some("active") if status["primary"] == id => " primary".to_owned(),
        Some("active") | None => String::new(),
        Some(standing) => format!(" {standing}"),
    };
    let (slot, view, answers) = (&status["executed"], &status["view"], &status["operations_decided"]);
    format!("[{id}]{role} slot {slot} view {view} answers {answers}")
}

/// `GET path` on the admin listener at `port` of this host.
///
/// Errors: no connection, or an answer that is no HTTP.
pub(super) async fn get(port: u16, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(BODY_BYTES_MAX).read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match status {
        Some(status) if head.starts_with("HTTP/1.") => Ok((status, body.to_owned())),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "expected an HTTP answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_line_names_the_primary_of_the_view_and_who_does_not_take_part() {
        let status = |standing| json!({ "standing": standing, "primary": 2, "view": 6, "executed": 9, "operations_decided": 11 });
        assert_eq!(replica_words(2, &status("active")), "[2] primary slot 9 view 6 answers 11");
        assert_eq!(replica_words(0, &status("active")), "[0] slot 9 view 6 answers 11");
        assert_eq!(replica_words(2, &status("changing")), "[2] changing slot 9 view 6 answers 11");
        assert_eq!(replica_words(1, &status("learning")), "[1] learning slot 9 view 6 answers 11");
    }
}
