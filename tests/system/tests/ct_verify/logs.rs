//! Logs that are down, slow or without end: no client waits for them, and verdicts say that nobody has looked.

use ct_log::Lie;
use serde_json::Value;
use system_tests::cluster::READY;
use system_tests::program::eventually;
use system_tests::scene::REPLICAS;

use super::court::{Court, LOG_LIST, SETTINGS};

/// How many new names are asked for under each lie.
const NAMES: usize = 20;

/// What replica 0 and a quorum with it agree on about a certificate that is good.
fn agreed(court: &Court) -> Value {
    let output = court.check(0, &court.issued["good"].chain_pem(), "good.example.org");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(0), "{said}");
    said["agreed"].clone()
}

#[test]
fn answers_come_whatever_logs_do_and_nobody_asks_them_about_answers() {
    let court = Court::in_session(&format!("{SETTINGS}{LOG_LIST}        audit on\n"));
    for (number, lie) in
        [Lie::Hold, Lie::Stall, Lie::Endless, Lie::GzipBomb(256 << 20), Lie::Garbage, Lie::Status(503)]
            .into_iter()
            .enumerate()
    {
        court.alder.lie(lie.clone());
        court.birch.lie(lie.clone());
        for name in 0..NAMES {
            // Every name exists: the wildcard holds a certificate of its own.
            let (id, name) = (name % REPLICAS, format!("n{number}-{name}.many.example.org"));
            let answer = court.ask(id, &name, "CERT");
            assert_eq!(
                (answer.status.as_str(), answer.records.len()),
                ("NOERROR", 2),
                "{lie:?}: {name}: {answer:?}"
            );
        }
        let agreed = agreed(&court);
        assert_eq!(agreed["verdict"], "valid", "{lie:?}: {agreed}");
        assert_eq!(agreed["score"]["inclusion"], 0, "nobody has looked: {agreed}");
        court.alder.be_honest();
        court.birch.be_honest();
    }
    for log in [&court.alder, &court.birch] {
        assert_eq!(log.control().asked("get-proof-by-hash"), 0, "what clients ask for is nobody's business");
    }
}

#[test]
fn replica_shows_which_logs_are_up_and_which_do_not_answer() {
    let court = Court::files(&format!("{SETTINGS}{LOG_LIST}        audit on\n"));
    court.alder.lie(Lie::Status(503));
    let mut court = court;
    court.cluster.start_all();
    for id in 0..REPLICAS {
        let what = format!("replica {id} to tell the log that is up from the one that is not");
        eventually(&what, READY, || {
            let logs = court.transparency(id)?["logs"].to_string();
            (logs.contains("unreachable") && logs.contains("\"ok\"")).then_some(())
        });
    }
}
