//! The demo with a replica that misbehaves: what it says, and that the program for use knows nothing of the kind.

use std::time::Duration;

use serde_json::Value;
use system_tests::cluster::{Demo, http_get};
use system_tests::program::{eventually, quorate_with_adversaries, run, stderr, stdout};

use super::SHUT_OUT_BY;

#[test]
fn program_for_use_has_no_adversaries_and_says_how_to_get_them() {
    // A program that knew adversaries would say that there is no such replica.
    let refused = run(&["demo", "--equivocator", "9"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    let hint =
        "this build has no adversaries: cargo run --release --features adversary -- demo --equivocator 9";
    assert!(said.contains(hint), "{said}");
    assert_eq!(stdout(&refused), "");
}

#[test]
fn demo_shows_an_equivocator_caught_while_answers_stay_right() {
    let demo = Demo::start_program(quorate_with_adversaries(), &["--equivocator", "2"]);
    assert_eq!(demo.facts["adversaries"], serde_json::json!([{ "id": 2, "vice": "equivocator" }]));
    let assessment = |by: usize| -> Option<Value> {
        let (_, body) = http_get(demo.ports(by).admin, "/v1/assessments")?;
        let said: Value = serde_json::from_str(&body).ok()?;
        said["replicas"].as_array()?.iter().find(|one| one["id"] == 2).cloned()
    };
    let has_shut_out = |by: &usize| assessment(*by).is_some_and(|said| !said["quarantined"].is_null());
    let mut asked = 0;
    let holders = eventually("two replicas to shut the equivocator out", Duration::from_secs(60), || {
        asked += 1;
        let by = [0, 1, 3][asked % 3];
        let server = format!("@127.0.0.1:{}", demo.ports(by).dns);
        let name = format!("name-{asked}.example.org");
        let answer = run(&["query", &name, "A", &server, "--cluster", &demo.cluster_file()]);
        assert_eq!(answer.status.code(), Some(0), "{}{}", stdout(&answer), stderr(&answer));
        let holders: Vec<usize> = [0, 1, 3].into_iter().filter(has_shut_out).collect();
        (holders.len() >= SHUT_OUT_BY).then_some(holders)
    });
    let state = demo.dir(holders[0]).join("state");
    let verified = run(&["evidence", "verify", state.to_str().unwrap(), "--cluster", &demo.cluster_file()]);
    assert_eq!(verified.status.code(), Some(0), "{}{}", stdout(&verified), stderr(&verified));
}
