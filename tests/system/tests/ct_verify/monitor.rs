//! What is issued for the operator's zone: each replica finds it in the logs, tells of it once, and says so wherever an operator looks.

use std::fs;

use ct_log::Authority;
use serde_json::Value;
use system_tests::cluster::READY;
use system_tests::program::{eventually, eventually_or, run, stdout};
use system_tests::scene::REPLICAS;

use super::court::{Court, LOG_LIST, SETTINGS};

const WATCHED: &str = "        monitor example.org issuer Alder\n";
/// Nobody's certificate but ours has this name, and DNS does not know it.
const STRANGE: &str = "shop.example.org";

/// Starts a cluster whose replicas all stand at the heads of both logs.
fn watching() -> Court {
    let court = Court::in_session(&format!("{SETTINGS}{LOG_LIST}{WATCHED}"));
    (0..REPLICAS).for_each(|id| stands_at_the_heads(&court, id));
    court
}

/// Waits until the monitor of replica `id` has seen all that both logs have.
fn stands_at_the_heads(court: &Court, id: usize) {
    let sizes = [court.alder.size(), court.birch.size()];
    eventually_or(
        || format!("replica {id} to stand at {sizes:?}:\n{}", court.cluster.log(id)),
        READY,
        || {
            let logs = court.transparency(id)?["monitor"]["logs"].as_array()?.clone();
            let position = |name: &str| logs.iter().find(|log| log["log"] == name)?["position"].as_u64();
            ([position("alder")?, position("birch")?] == sizes).then_some(())
        },
    );
}

/// Has all replicas ask the logs soon: what these promised for a certificate below the watched zone is looked into.
fn logs_are_asked_because_of(court: &Court, label: &str) {
    court.ask_patiently(0, &format!("{label}.example.org"), "CERT");
}

/// What replica `id` tells about this name: the codes, in the order of the events.
fn told(court: &Court, id: usize, name: &str) -> Option<Vec<String>> {
    let (_, body) = court.cluster.http(id, "/v1/transparency/events")?;
    let said: Value = serde_json::from_str(&body).ok()?;
    let events = said["events"].as_array()?.iter().filter(|event| event["subject"] == name);
    Some(events.map(|event| event["code"].as_str().unwrap().to_owned()).collect())
}

/// The number behind what `quorate top` says of this, of replica `id`: `new certificates 1` is 1.
fn on_top(court: &Court, id: usize, words: &str) -> Option<u64> {
    let shown =
        stdout(&run(&["top", "--once", "--admin", &format!("127.0.0.1:{}", court.cluster.admin(id))]));
    let line = shown.lines().find(|line| line.starts_with("transparency: "))?.to_owned();
    let number = line.split_once(words)?.1.trim_start();
    number.split(|byte: char| !byte.is_ascii_digit()).next()?.parse().ok()
}

#[test]
fn a_certificate_of_a_stranger_is_told_of_by_every_replica_wherever_an_operator_looks() {
    let court = watching();
    let birch = Authority::new("Birch", &court.clock);
    birch.leaf(STRANGE).issue(&[&court.alder]);
    court.authority.leaf("ns.example.org").issue(&[&court.birch]);
    court.alder.merge();
    court.birch.merge();
    logs_are_asked_because_of(&court, "good");
    for id in 0..REPLICAS {
        eventually_or(
            || format!("replica {id} to tell of both:\n{}", court.cluster.log(id)),
            READY,
            || {
                let strange = ["new_certificate", "unexpected_issuer", "unknown_name"];
                let told = |name: &str| told(&court, id, name);
                (told(STRANGE)? == strange && told("ns.example.org")? == ["new_certificate"]).then_some(())
            },
        );
        let monitor = &court.transparency(id).unwrap()["monitor"];
        assert_eq!(monitor["counts"]["certificates"], 2, "{monitor}");
        assert!(court.cluster.log(id).contains("unexpected_issuer"), "{}", court.cluster.log(id));
        assert_eq!(on_top(&court, id, "new certificates"), Some(2));
        let counted = court.metric(id, "quorate_ct_background_events_total", "code=\"unexpected_issuer\"");
        assert_eq!(counted, Some(1), "replica {id}");
        let monitored = court.metric(id, "quorate_ct_monitored_total", "what=\"certificates\"");
        assert_eq!(monitored, Some(2), "replica {id}");
    }
}

#[test]
fn what_was_told_is_not_told_again_after_a_restart_and_what_came_meanwhile_is() {
    let mut court = watching();
    let ours = court.authority.leaf("ns.example.org").issue(&[&court.alder]);
    court.alder.merge();
    logs_are_asked_because_of(&court, "good");
    let is_told = |court: &Court, name: &str| {
        eventually_or(
            || format!("replica 2 to tell of {name}:\n{}", court.cluster.log(2)),
            READY,
            || told(court, 2, name).filter(|told| !told.is_empty()),
        );
    };
    is_told(&court, "ns.example.org");
    let kept = court.cluster.folder(2).join("ct/monitor.json");
    eventually("replica 2 to keep that it has told", READY, || {
        let kept: Value = serde_json::from_slice(&fs::read(&kept).ok()?).ok()?;
        (kept["known"].as_array()?.len() == 1).then_some(())
    });
    court.cluster.kill_replica(2);
    // The other log gets what was told, and after it something new.
    let chain = [&ours.precertificate[..], court.authority.issuer_der(), court.authority.root_der()];
    court.birch.add_pre_chain(&chain.map(<[u8]>::to_vec)).unwrap();
    court.authority.leaf("bad.example.org").issue(&[&court.birch]);
    court.birch.merge();
    court.cluster.start_replica(2);
    court.cluster.wait_until_ready(2);
    is_told(&court, "bad.example.org");
    assert_eq!(told(&court, 2, "ns.example.org"), Some(Vec::new()), "{}", court.cluster.log(2));
}
