//! A changed Corefile while background work is under way: what ran before ends, what is written now holds, and nothing is lost or told twice.

use std::fs;

use ct_log::Lie;
use serde_json::Value;
use system_tests::cluster::READY;
use system_tests::program::{eventually, eventually_or, run, stderr, stdout};
use system_tests::scene::REPLICAS;

use super::alone::{Alone, RELOADED};
use super::answer::Answer;
use super::court::{Court, LOG_LIST, NO_AUDIT, SETTINGS};

const ZONE: &str = "example.org";
const BAD: (&str, &str) = ("bad.example.org", "CERT");

/// Whether the answer comes whole, with a word on what is wrong.
fn is_flagged(answer: &Answer) -> bool {
    (answer.status.as_str(), answer.records.len(), answer.told.len()) == ("NOERROR", 2, 1)
}

#[test]
fn what_ran_before_a_reload_ends_and_what_is_written_now_holds() {
    let before = format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}        refresh 10s\n        crl SITE/before.crl\n");
    let after = before.replace("before", "after").replace("mode flag\n", "mode enforce\n");
    let alone = Alone::start(&[(ZONE, &before)]);
    let asked_so_often = |path: &str, times| {
        let asked = alone.site.control().wait_until_asked(path, times);
        assert!(asked, "{path}:\n{}", alone.server.stderr());
    };
    asked_so_often("before.crl", 1);
    let flagged = alone.ask(BAD);
    assert!(is_flagged(&flagged), "{flagged:?}");
    alone.reload(libc::SIGUSR1, &[(ZONE, &after)], RELOADED);
    let blocked = alone.ask(BAD);
    assert_eq!((blocked.status.as_str(), blocked.records.len()), ("SERVFAIL", 0), "{blocked:?}");
    // The old one ends when the queries of its time are done, within seconds.
    asked_so_often("after.crl", 2);
    let old = alone.site.control().asked("before.crl");
    // Meanwhile it would have asked at least once more.
    asked_so_often("after.crl", 4);
    assert_eq!(alone.site.control().asked("before.crl"), old);
}

#[test]
fn a_reload_that_is_refused_leaves_all_as_it_was() {
    let lines = format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}        refresh 10s\n        crl SITE/before.crl\n");
    let alone = Alone::start(&[(ZONE, &lines)]);
    assert!(alone.site.control().wait_until_asked("before.crl", 1));
    let other = lines.replace("before", "after").replace("mode flag\n", "mode enforce\n");
    let two = [(ZONE, &other[..]), ("example.net", "        state ct\n")];
    alone.reload(libc::SIGHUP, &two, "the running configuration is kept");
    assert!(alone.server.stderr().contains("`ct` is in use by another block"), "{}", alone.server.stderr());
    let flagged = alone.ask(BAD);
    assert!(is_flagged(&flagged), "{flagged:?}");
    let asked = alone.site.control().asked("before.crl");
    assert!(alone.site.control().wait_until_asked("before.crl", asked + 1), "it goes on");
    assert_eq!(alone.site.control().asked("after.crl"), 0);
    // The folder is still its own, and what is written right is taken.
    alone.reload(libc::SIGHUP, &[(ZONE, &lines)], RELOADED);
}

#[test]
fn the_monitor_goes_on_where_the_one_before_the_reload_stood() {
    let lines = format!("{SETTINGS}{LOG_LIST}        monitor example.org issuer Alder\n");
    let blocks = [(ZONE, &lines[..])];
    let alone = Alone::start(&blocks);
    alone.has_told_of(0);
    alone.issues("first.example.org");
    // A new one asks the logs at once.
    alone.reload(libc::SIGUSR1, &blocks, RELOADED);
    alone.tells_of("first.example.org");
    alone.has_told_of(1);
    alone.issues("second.example.org");
    let read = alone.alder.control().asked("get-entries?start=0");
    alone.reload(libc::SIGUSR1, &blocks, RELOADED);
    alone.tells_of("second.example.org");
    alone.has_told_of(2);
    assert_eq!((alone.told("first.example.org"), alone.told("second.example.org")), (1, 1));
    assert_eq!(alone.alder.control().asked("get-entries?start=0"), read, "what it has read it reads no more");
}

#[test]
fn numbers_of_a_block_go_on_over_a_reload_and_those_of_one_that_is_gone_end() {
    let two_logs = format!("{SETTINGS}{LOG_LIST}");
    let one_log = "        log-list one_log.json\n        allow-private\n        state ct-net\n";
    let alone = Alone::start(&[(ZONE, &two_logs), ("example.net", one_log)]);
    let logs = |zone: &str| alone.metric("quorate_ct_logs", &[zone, "condition=\"ok\""]);
    let heads = |zone: &str| alone.metric("quorate_ct_background_events_total", &[zone, "heads_verified"]);
    let [ours, other] = [ZONE, "example.net"];
    let what = || format!("{:?} and {:?} logs:\n{}", logs(ours), logs(other), alone.server.stderr());
    eventually_or(what, READY, || (logs(ours) == Some(2) && logs(other) == Some(1)).then_some(()));
    let before = [ours, other].map(|zone| heads(zone).unwrap());
    let with_list = format!("{two_logs}        refresh 10s\n        crl SITE/ours.crl\n");
    alone.reload(libc::SIGUSR1, &[(ZONE, &with_list)], RELOADED);
    let is_gone = || logs(ours) == Some(2) && alone.metric("quorate_ct_logs", &[other]).is_none();
    let what = || format!("logs of {other} to be no more: {:?}", logs(other));
    eventually_or(what, READY, || is_gone().then_some(()));
    // By the second look the blocks of before have ended, which they do within seconds.
    assert!(alone.site.control().wait_until_asked("ours.crl", 2));
    assert_eq!([ours, other].map(heads), [Some(before[0] + 2), Some(before[1])]);
    assert!(is_gone());
}

#[test]
fn an_end_waits_for_nobody_who_keeps_background_work_waiting() {
    let lines = format!("{SETTINGS}        log-list SITE/log_list.json\n        crl SITE/ours.crl\n");
    let mut alone = Alone::start(&[(ZONE, SETTINGS)]);
    alone.site.lie(Lie::Hold);
    alone.reload(libc::SIGHUP, &[(ZONE, &lines)], RELOADED);
    for path in ["log_list.json", "ours.crl"] {
        assert!(alone.site.control().wait_until_asked(path, 1), "{path}");
    }
    assert_eq!(alone.server.stop(), Some(0), "{}", alone.server.stderr());
}

#[test]
fn nothing_certified_and_nothing_in_force_is_lost_when_all_replicas_reload() {
    let mut court = Court::in_session(&format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}"));
    let in_force = |id: usize| court_in_force(&court, id);
    let before: Vec<_> = (0..REPLICAS).map(in_force).collect();
    let kept = |court: &Court, id: usize, file: &str| {
        court.ask_patiently(id, BAD.0, BAD.1);
        let path = court.cluster.dir.join(file);
        let (saved, cluster) = (path.to_str().unwrap(), court.cluster_file());
        let server = format!("@127.0.0.1:{}", court.cluster.dns(id));
        let asked = run(&["query", BAD.0, BAD.1, &server, "--cluster", &cluster, "--save", saved]);
        assert_eq!(asked.status.code(), Some(0), "{}{}", stdout(&asked), stderr(&asked));
        fs::read(path).unwrap()
    };
    let certificates: Vec<Vec<u8>> =
        (0..REPLICAS).map(|id| kept(&court, id, &format!("before-{id}.qrt"))).collect();
    for id in 0..REPLICAS {
        court.cluster.edit_corefile(id, "mode flag\n", "mode enforce\n");
        court.cluster.signal(id, libc::SIGHUP);
    }
    for id in 0..REPLICAS {
        let what = || format!("replica {id} to reload:\n{}", court.cluster.log(id));
        eventually_or(what, READY, || court.cluster.log(id).contains("reloaded").then_some(()));
    }
    for id in 0..REPLICAS {
        // What was certified holds to its end; what is new is judged as it is written now.
        assert!(kept(&court, id, &format!("after-{id}.qrt")) == certificates[id], "replica {id}");
        let is_withheld = |answer: &Answer| answer.status == "SERVFAIL" && !answer.told.is_empty();
        let mixed = court.ask_patiently(id, "mixed.example.org", "CERT");
        assert!(is_withheld(&mixed) && mixed.told[0].contains("Blocked"), "replica {id}: {mixed:?}");
        let what = || format!("{:?} in force at replica {id}: {:?}", before[id], court_in_force(&court, id));
        eventually_or(what, READY, || (court_in_force(&court, id) == before[id]).then_some(()));
    }
}

/// What is in force at replica `id`, by its digest, and since when.
fn court_in_force(court: &Court, id: usize) -> Vec<[Value; 3]> {
    let said = eventually("a replica to say what is in force", READY, || court.transparency(id));
    let inputs = said["in_force"].as_object().unwrap().iter();
    inputs.map(|(kind, one)| [kind.as_str().into(), one["digest"].clone(), one["since"].clone()]).collect()
}
