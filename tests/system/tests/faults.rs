//! Replicas that lie, are silent or are gone: the others stay right, and say so when they cannot.

use std::time::Duration;

use system_tests::clients::{answers, dig};
use system_tests::cluster::{Cluster, Demo, READY, http_get};
use system_tests::program::{eventually, run, stderr, stdout};
use system_tests::upstream::Upstream;

const NAME: &str = "www.example.org";
const ZONE: &str = "$ORIGIN example.org.\n$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.53\nwww IN A 192.0.2.80\nwww IN A 192.0.2.81\nmail IN A 192.0.2.25\n@ IN MX 10 mail\n";

fn certified(demo: &Demo, id: usize, name: &str, rtype: &str) -> String {
    let server = format!("@127.0.0.1:{}", demo.ports(id).dns);
    let output = run(&["query", name, rtype, &server, "--cluster", &demo.cluster_file()]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

#[test]
fn liar_about_addresses_is_out_voted_even_when_it_is_asked_itself() {
    let demo = Demo::start(&["--liar", "2:address"]);
    for id in 0..4 {
        let text = certified(&demo, id, NAME, "A");
        assert!(!text.contains("203.0.113.66"), "{text}");
        // Strong when all three honest replicas were in time, corroborated when the primary went on with two of them.
        assert!(
            ["strong", "corroborated"].iter().any(|class| text.contains(&format!("class      {class}"))),
            "{text}"
        );
    }
}

#[test]
fn liar_that_denies_a_name_is_out_voted() {
    let demo = Demo::start(&["--liar", "1:nxdomain"]);
    let text = certified(&demo, 1, NAME, "A");
    assert!(text.contains("NOERROR"), "{text}");
}

#[test]
fn liar_about_a_ttl_extends_nothing() {
    let demo = Demo::start(&["--liar", "3:ttl"]);
    let printed = dig(demo.ports(3).dns, &[NAME, "A", "+noall", "+answer"]);
    let ttl: u32 = printed.split_whitespace().nth(1).and_then(|ttl| ttl.parse().ok()).expect("a TTL");
    assert!(ttl <= 3600, "{printed}");
}

#[test]
fn dead_backup_is_not_missed() {
    let demo = Demo::start(&[]);
    demo.signal(3, libc::SIGKILL);
    for name in [NAME, "mail.example.org", "nosuch.example.org"] {
        certified(&demo, 0, name, "A");
        certified(&demo, 2, name, "AAAA");
    }
}

#[test]
fn silent_backup_is_not_missed() {
    let demo = Demo::start(&[]);
    demo.signal(2, libc::SIGSTOP);
    for name in [NAME, "mail.example.org", "nosuch.example.org"] {
        certified(&demo, 0, name, "A");
        certified(&demo, 1, name, "AAAA");
    }
    demo.signal(2, libc::SIGCONT);
}

#[test]
fn two_of_four_gone_is_said_with_the_count_and_mended_when_one_is_back() {
    let upstream = Upstream::serve("example.org.", ZONE);
    let mut cluster = Cluster::start(4, &[upstream.address.to_string()]);
    cluster.kill_replica(3);
    // Several checkpoints pass without replica 3: one every 100 slots, one slot a question.
    cluster.grow_log(0, 320, "before");
    cluster.kill_replica(2);
    let printed = dig(cluster.dns(0), &["unheard.example.org", "A"]);
    assert!(printed.contains("SERVFAIL"), "{printed}");
    assert!(printed.contains("2 of 4 replicas answered"), "{printed}");
    cluster.start_replica(3);
    eventually("service to resume", READY, || {
        dig(cluster.dns(0), &["again.example.org", "A"]).contains("NXDOMAIN").then_some(())
    });
    let executed = |id: usize| cluster.status(id).map(|status| status["executed"].as_u64().unwrap());
    eventually("replica 3 to catch up", READY, || (executed(3)? >= executed(0)?).then_some(()));
    // And it serves.
    let printed = dig(cluster.dns(3), &[NAME, "A"]);
    assert_eq!(answers(&printed).len(), 2, "{printed}");
}

#[test]
fn replica_without_a_quorum_says_that_it_is_not_ready() {
    let upstream = Upstream::serve("example.org.", ZONE);
    let mut cluster = Cluster::start(4, &[upstream.address.to_string()]);
    cluster.kill_replica(1);
    cluster.kill_replica(2);
    let body = eventually("replica 0 to be not ready", Duration::from_secs(60), || {
        http_get(cluster.admin(0), "/ready").filter(|(status, _)| *status == 503).map(|(_, body)| body)
    });
    assert!(body.contains("byzantine-consensus") && body.contains("quorum"), "{body}");
}

#[test]
fn dead_upstream_of_one_replica_is_not_missed() {
    let upstream = Upstream::serve("example.org.", ZONE);
    let good = upstream.address.to_string();
    // Nobody listens on the discard port of loopback.
    let upstreams = [good.clone(), good.clone(), good, "127.0.0.1:9".to_owned()];
    let cluster = Cluster::start(4, &upstreams);
    for id in [0, 3] {
        let printed = dig(cluster.dns(id), &[NAME, "A"]);
        assert_eq!(answers(&printed).len(), 2, "{printed}");
    }
}
