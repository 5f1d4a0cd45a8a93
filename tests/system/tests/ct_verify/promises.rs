//! What logs promised for the operator's own names is looked into, and a promise that was broken is reported.

use serde_json::Value;
use system_tests::cluster::READY;
use system_tests::program::eventually;

use super::court::{Court, LOG_LIST, SETTINGS};

/// What replica 0 says it met.
fn events(court: &Court) -> Option<Vec<Value>> {
    let (_, body) = court.cluster.http(0, "/v1/transparency/events")?;
    serde_json::from_str::<Value>(&body).ok()?["events"].as_array().cloned()
}

#[test]
fn promises_for_own_names_are_proved_and_a_broken_one_is_reported() {
    let watched = "        audit on\n        monitor example.org issuer Alder\n";
    let court = Court::in_session(&format!("{SETTINGS}{LOG_LIST}{watched}"));
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
