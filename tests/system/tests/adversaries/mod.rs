//! Each kind of adversary, as a process among honest ones: clients of these get right answers, each of these names it within a stated number of
//! slots, or so many of them that it takes no part any more, and none of them says anything bad of another.

mod demo;
mod equivocator;
mod liar;

use serde_json::Value;
use system_tests::trial::{Named, Trial};

/// Of a hundred questions to honest replicas at least so many get a certified answer in time. All do where the machine has the time for it.
pub const CERTIFIED_PERCENT: usize = 70;

/// Honest replicas that shut out who signs badly or twice: with these gone it takes no part, and the third has nothing to see.
pub const SHUT_OUT_BY: usize = 2;

/// A forger is named by its third bad signature; not every vote of every slot is looked at.
const FORGER_SLOTS_MAX: u64 = 60;
/// A replayer repeats votes of others from the first slot on.
const REPLAYER_SLOTS_MAX: u64 = 60;
/// Who says nothing is known for it after 20 slots of a channel that has been up for five seconds.
const SILENT_SLOTS_MAX: u64 = 300;
/// Latenesses are compared every ten seconds, at about 12 slots a second here.
const LATE_SLOTS_MAX: u64 = 600;
/// Its questions make slots as well, so this is in seconds. What is beyond the quota is counted every ten seconds.
const FLOODER_SECONDS_MAX: f64 = 45.0;

fn has(said: &Value, indicator: &str) -> bool {
    said["indicators"].as_array().is_some_and(|indicators| indicators.iter().any(|it| it == indicator))
}

fn within(named: &Named, slots: u64) {
    println!("named by {:?} after {} slots, {:.1} s", named.by, named.slots, named.seconds);
    assert!(named.slots <= slots, "{named:?}, expected at most {slots} slots");
}

#[test]
fn forger_is_named_and_shut_out_for_a_while() {
    let trial = Trial::of(2, "forger");
    within(
        &trial.named_by(SHUT_OUT_BY, |said| said["pattern"] == "forging" && !said["quarantined"].is_null()),
        FORGER_SLOTS_MAX,
    );
    trial.end(CERTIFIED_PERCENT);
}

#[test]
fn replayer_is_named_and_shut_out_by_nobody() {
    let trial = Trial::of(2, "replayer");
    within(&trial.named(|said| said["pattern"] == "unruly" && has(said, "violations")), REPLAYER_SLOTS_MAX);
    trial.slots_pass(50);
    for by in trial.honest() {
        let said = trial.assessment(by, 2).unwrap();
        assert!(said["quarantined"].is_null() && trial.connected(by) == Some(true), "{said}");
    }
    trial.end(CERTIFIED_PERCENT);
}

#[test]
fn flooder_is_named_and_its_bucket_tightened() {
    let trial = Trial::of(2, "flooder");
    let named = trial.named(|said| has(said, "flood") && said["tightened"].as_u64() > Some(1));
    println!("named by {:?} after {} slots, {:.1} s", named.by, named.slots, named.seconds);
    assert!(named.seconds <= FLOODER_SECONDS_MAX, "{named:?}");
    // How many answers are in time while its questions are decided is a matter of speed: see the figures in the README.
    trial.verified();
}

#[test]
fn late_replica_is_named_and_never_called_byzantine() {
    let trial = Trial::of(2, "late");
    within(&trial.named(|said| has(said, "late-votes") && said["pattern"] == "slow"), LATE_SLOTS_MAX);
    for by in trial.honest() {
        let said = trial.assessment(by, 2).unwrap();
        assert!(said["is_byzantine"] == false && said["quarantined"].is_null(), "{said}");
    }
    trial.end(CERTIFIED_PERCENT);
}

#[test]
fn silent_replica_is_named_and_never_called_byzantine() {
    let trial = Trial::of(2, "silent");
    within(
        &trial.named(|said| said["pattern"] == "silent" && has(said, "low-participation")),
        SILENT_SLOTS_MAX,
    );
    for by in trial.honest() {
        let said = trial.assessment(by, 2).unwrap();
        assert!(said["is_byzantine"] == false && said["quarantined"].is_null(), "{said}");
    }
    trial.end(CERTIFIED_PERCENT);
}
