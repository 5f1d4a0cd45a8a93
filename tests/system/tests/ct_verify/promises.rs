//! What logs promised for the operator's own names is looked into; a promise that was broken is reported, and decides where no cluster does.

use serde_json::Value;
use system_tests::cluster::READY;
use system_tests::program::{eventually, eventually_or};

use super::alone::Alone;
use super::answer::Answer;
use super::court::{Court, LOG_LIST, SETTINGS};

const WATCHED: &str = "        audit on\n        monitor example.org issuer Alder\n";
const DROPPED: (&str, &str) = ("dropped.enforced.example.org", "CERT");

/// What replica 0 says it met.
fn events(court: &Court) -> Option<Vec<Value>> {
    let (_, body) = court.cluster.http(0, "/v1/transparency/events")?;
    serde_json::from_str::<Value>(&body).ok()?["events"].as_array().cloned()
}

/// Whether the answer comes whole, and nothing is told of it.
fn is_good(answer: &Answer) -> bool {
    (answer.status.as_str(), answer.records.len(), answer.told.len()) == ("NOERROR", 2, 0)
}

#[test]
fn promises_for_own_names_are_proved_and_a_broken_one_is_reported() {
    let court = Court::in_session(&format!("{SETTINGS}{LOG_LIST}{WATCHED}"));
    court.ask_patiently(0, "good.example.org", "CERT");
    let count = |word: &str| court.transparency(0)?["audits"][word].as_u64();
    eventually("both promises for one certificate to be proved", READY, || {
        (count("proved")? >= 2).then_some(())
    });
    assert_eq!(count("broken_promise"), Some(0));
    court.ask_patiently(0, "dropped.example.org", "CERT");
    let broken = eventually("a broken promise to be reported", READY, || {
        events(&court)?.into_iter().find(|event| event["code"] == "broken_promise")
    });
    assert_eq!(broken["grave"], true, "{broken}");
    assert_eq!((count("broken_promise"), count("proved")), (Some(1), Some(3)), "{broken}");
}

#[test]
fn what_one_replica_knows_of_a_promise_is_told_and_shown_and_is_no_verdict_of_the_cluster() {
    let court = Court::in_session(&format!("{SETTINGS}{LOG_LIST}{WATCHED}"));
    let told = || court.cluster.log(0).matches("broken_promise_in_answer").count();
    let what = || format!("replica 0 to tell of an answer:\n{}", court.cluster.log(0));
    eventually_or(what, READY, || {
        // Judged again and again: its records live two seconds.
        let answer = court.ask_patiently(0, DROPPED.0, DROPPED.1);
        assert!(is_good(&answer), "replicas agree on no more than all can know: {answer:?}");
        (told() > 0).then_some(())
    });
    let judged = || court.metric(0, "quorate_ct_verdicts_total", "mode=\"enforce\"").unwrap();
    let before = judged();
    eventually("the answer to be judged once more", READY, || {
        court.ask_patiently(0, DROPPED.0, DROPPED.1);
        (before < judged()).then_some(())
    });
    assert_eq!(told(), 1, "once, however often it is answered:\n{}", court.cluster.log(0));
    let checked = court.check(0, &court.issued["dropped.enforced"].chain_pem(), DROPPED.0);
    let said: Value = serde_json::from_slice(&checked.stdout).unwrap_or_else(|_| panic!("{checked:?}"));
    assert_eq!((checked.status.code(), &said["agreed"]["verdict"]), (Some(0), &"valid".into()), "{said}");
    assert_eq!(said["local"]["verdict"], "invalid", "{said}");
    assert!(said["local"]["reasons"].as_array().unwrap().contains(&"broken_promise".into()), "{said}");
}

#[test]
fn without_a_cluster_a_broken_promise_makes_the_certificate_invalid() {
    let alone = Alone::start(&[("example.org", &format!("{SETTINGS}{LOG_LIST}{WATCHED}"))]);
    let first = alone.ask(DROPPED);
    assert!(is_good(&first), "nobody has looked yet: {first:?}");
    let what = || format!("another answer than {:?}:\n{}", alone.ask(DROPPED), alone.server.stderr());
    let blocked =
        eventually_or(what, READY, || Some(alone.ask(DROPPED)).filter(|answer| answer.status == "SERVFAIL"));
    assert!(blocked.told.iter().any(|told| told.contains("CERT invalid: broken_promise")), "{blocked:?}");
    assert!(is_good(&alone.ask(("good.enforced.example.org", "CERT"))));
}
