//! A server is looked at from every replica: what all see is corroborated; who is shown something else says so, and nobody else does; and what
//! changes for all is told as a change.

use std::time::Duration;

use ct_log::{Authority, Clock, Issued, TlsHost};
use serde_json::Value;
use system_tests::ask::wall_ms;
use system_tests::program::{eventually, eventually_or, run, stdout};
use system_tests::scene::REPLICAS;

use super::court::{Court, LOG_LIST, NO_AUDIT, SETTINGS};

const HOST: &str = "served.example.org";
/// The replica to which DNS names another address than to the others.
const APART: usize = 3;
const ITS_ADDRESS: &str = "127.0.0.2";
/// How long a slot is.
const PERIOD_MS: u64 = 10_000;
/// A few slots: looks of one may come too late on a busy machine.
const SLOTS: Duration = Duration::from_secs(120);

/// Starts a cluster that looks at a server with a good certificate, and waits until every replica finds that all see it.
fn probed() -> (Court, TlsHost, Issued) {
    let host =
        TlsHost::start(&["127.0.0.1", ITS_ADDRESS], &Issued::self_signed(HOST, &Clock::of_the_machine()));
    let probe = format!("        probe {HOST}:{}\n        probe-period 10s\n", host.port());
    let mut court = Court::files(&format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}{probe}"));
    let hosts = format!(
        "    hosts none {{\n        {ITS_ADDRESS} {HOST}\n        fallthrough\n    }}\n    forward . "
    );
    court.cluster.edit_corefile(APART, "    forward . ", &hosts);
    let shown = good(&court);
    host.show(&shown);
    court.cluster.start_all();
    (0..REPLICAS).for_each(|id| court.waits_for(id, "log_list"));
    (0..REPLICAS).for_each(|id| comes_to(&court, id, "corroborated"));
    (court, host, shown)
}

fn good(court: &Court) -> Issued {
    court.authority.leaf(HOST).issue(&[&court.alder, &court.birch])
}

/// What replica `id` knows of the server.
fn target(court: &Court, id: usize) -> Option<Value> {
    let (_, body) = court.cluster.http(id, "/v1/transparency/probes")?;
    let said: Value = serde_json::from_str(&body).ok()?;
    said["targets"].as_object()?.values().next().cloned()
}

/// Waits until the newest decision means this to replica `id`.
fn comes_to(court: &Court, id: usize, outcome: &str) {
    let what = || format!("`{outcome}` at replica {id}: {:?}\n{}", target(court, id), court.cluster.log(id));
    eventually_or(what, SLOTS, || (target(court, id)?["outcome"]["outcome"] == outcome).then_some(()));
}

/// The codes of the events of replica `id` about the server, and whether each is grave.
fn told(court: &Court, id: usize) -> Vec<(String, bool)> {
    let body = eventually("events", SLOTS, || court.cluster.http(id, "/v1/transparency/events")).1;
    let said: Value = serde_json::from_str(&body).unwrap();
    let of_host = |event: &&Value| event["subject"].as_str().unwrap().starts_with(HOST);
    let events = said["events"].as_array().unwrap().iter().filter(of_host);
    events.map(|event| (event["code"].as_str().unwrap().to_owned(), event["grave"] == true)).collect()
}

/// What `quorate top` says of probes of replica `id`.
fn on_top(court: &Court, id: usize) -> String {
    let shown =
        stdout(&run(&["top", "--once", "--admin", &format!("127.0.0.1:{}", court.cluster.admin(id))]));
    let line = shown.lines().find(|line| line.starts_with("transparency: ")).unwrap_or_default();
    line.split("; ").find(|part| part.starts_with("probes ")).unwrap_or_default().to_owned()
}

/// Waits for a time between the looks of one slot and those of the next.
fn between_looks(court: &Court) {
    eventually("all looks of a slot to be over", SLOTS, || {
        let slot = wall_ms() / PERIOD_MS;
        let is_decided = |id: usize| target(court, id).is_some_and(|it| it["decided"]["slot"] == slot);
        let all = (0..REPLICAS).all(is_decided);
        (all && (PERIOD_MS * 4 / 10..PERIOD_MS * 8 / 10).contains(&(wall_ms() % PERIOD_MS))).then_some(())
    });
}

#[test]
fn a_replica_that_is_shown_another_certificate_says_so_and_nobody_else_does() {
    let (court, host, shown) = probed();
    let checked = court.check(0, &shown.chain_pem(), HOST);
    let said: Value = serde_json::from_slice(&checked.stdout).unwrap_or_else(|_| panic!("{checked:?}"));
    // A quorum decides; who looks last may be left out.
    let networks = ["agreeing", "looked"].map(|which| said["local"]["networks"][which].as_u64());
    assert!([[Some(3); 2], [Some(4); 2]].contains(&networks), "{said}");
    let stranger = Authority::new("Birch", &court.clock).leaf(HOST).issue(&[&court.alder]);
    host.show_at(ITS_ADDRESS, &stranger);
    comes_to(&court, APART, "we_differ");
    let said = target(&court, APART).unwrap();
    assert_eq!(said["outcome"]["grave"], true, "{said}");
    assert!(told(&court, APART).contains(&("we_differ".to_owned(), true)), "{:?}", told(&court, APART));
    assert!(court.cluster.log(APART).contains("we_differ"), "{}", court.cluster.log(APART));
    eventually("`quorate top` and a metric to say so", SLOTS, || {
        let number = court.metric(APART, "quorate_ct_probe_targets", "outcome=\"we_differ\"")?;
        (number == 1 && on_top(&court, APART) == "probes 1 we differ").then_some(())
    });
    let slot = said["decided"]["slot"].as_u64();
    for id in (0..REPLICAS).filter(|id| *id != APART) {
        let what = || format!("a decision about slot {slot:?} at replica {id}: {:?}", target(&court, id));
        let said = eventually_or(what, SLOTS, || {
            let said = target(&court, id)?;
            let is_later = said["decided"]["slot"].as_u64() >= slot;
            (is_later && said["outcome"]["outcome"] == "corroborated").then_some(said)
        });
        let agreeing = said["decided"]["what"]["networks"]["agreeing"].as_u64().unwrap();
        assert!((2..=3).contains(&agreeing), "replica {id}: {said}");
        let grave = told(&court, id).into_iter().any(|(code, grave)| grave || code == "we_differ");
        assert!(!grave, "replica {id}: {:?}", told(&court, id));
    }
}

#[test]
fn a_certificate_that_is_another_one_for_all_is_told_as_a_change() {
    let (court, host, _) = probed();
    between_looks(&court);
    host.show(&good(&court));
    for id in 0..REPLICAS {
        let what = || format!("replica {id} to tell of the change:\n{}", court.cluster.log(id));
        eventually_or(what, SLOTS, || {
            told(&court, id).contains(&("all_changed".to_owned(), false)).then_some(())
        });
    }
    for id in 0..REPLICAS {
        comes_to(&court, id, "corroborated");
        let codes = told(&court, id);
        assert!(codes.iter().all(|(code, grave)| !grave && code != "we_differ"), "replica {id}: {codes:?}");
    }
}
