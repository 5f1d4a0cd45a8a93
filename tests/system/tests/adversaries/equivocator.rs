//! A replica that signs two things at once: it is proven to anybody, shut out, and let in again by hand.

use std::fs;

use system_tests::clients::{answers, dig};
use system_tests::cluster::READY;
use system_tests::program::{eventually, run, stderr, stdout};
use system_tests::trial::Trial;

use super::{CERTIFIED_PERCENT, SHUT_OUT_BY, within};

/// Of three slots each honest replica sees both votes in one, and compares when they come in time.
const SLOTS_MAX: u64 = 60;

#[test]
fn equivocator_is_proven_offline_shut_out_and_let_in_again_when_it_is_mended() {
    let mut trial = Trial::of(2, "equivocator");
    let shut_out = |said: &serde_json::Value| {
        said["pattern"] == "contradictory"
            && said["is_byzantine"] == true
            && said["quarantined"]["reason"] == "proven equivocation"
    };
    let named = trial.named_by(SHUT_OUT_BY, shut_out);
    within(&named, SLOTS_MAX);
    proof_holds_offline_and_no_other(&trial, &named.by);
    is_shut_out(&trial, &named.by);
    trial.reform("equivocator");
    is_shut_out(&trial, &named.by);
    let holders = trial
        .honest()
        .into_iter()
        .filter(|by| trial.assessment(*by, 2).is_some_and(|said| !said["quarantined"].is_null()));
    for by in holders {
        let admin = format!("127.0.0.1:{}", trial.cluster.admin(by));
        let lifted = run(&["quarantine", "lift", "2", "--admin", &admin]);
        assert!(lifted.status.success(), "{}", stderr(&lifted));
    }
    for by in trial.honest() {
        let what = format!("replica {by} to have replica 2 back");
        eventually(&what, READY, || {
            (trial.connected(by)? && trial.assessment(by, 2)?["quarantined"].is_null()).then_some(())
        });
    }
    // It takes part: with another replica gone, nothing is decided without it.
    let gone = trial.honest()[1];
    eventually("replica 2 to vote", READY, || {
        let status = trial.cluster.status(2)?;
        (status["standing"] == "active" && status["executed"].as_u64()? >= 1).then_some(())
    });
    trial.cluster.signal(gone, libc::SIGSTOP);
    let printed = eventually("an answer that replica 2 signed", READY, || {
        let printed = dig(trial.cluster.dns(2), &["signed-by-two.example.org", "A"]);
        (answers(&printed).len() == 1).then_some(printed)
    });
    assert!(printed.contains("192.0.2.80"), "{printed}");
    trial.cluster.signal(gone, libc::SIGCONT);
    trial.slots_pass(5);
    for by in trial.honest() {
        assert!(trial.assessment(by, 2).unwrap()["quarantined"].is_null(), "an old proof is no new strike");
    }
}

#[test]
fn primary_that_equivocates_is_proven_and_replaced() {
    let trial = Trial::of(0, "equivocator");
    within(
        &trial.named_by(SHUT_OUT_BY, |said| {
            said["pattern"] == "contradictory" && !said["quarantined"].is_null()
        }),
        SLOTS_MAX,
    );
    let views = |by: usize| trial.cluster.status(by)?["view"].as_u64();
    for by in trial.honest() {
        eventually("another view", READY, || (views(by)? > 0).then_some(()));
    }
    trial.end(CERTIFIED_PERCENT);
}

/// Those who shut it out have no connection to it, and go on without.
fn is_shut_out(trial: &Trial, shut_by: &[usize]) {
    for &by in shut_by {
        eventually("the connection to be closed", READY, || {
            (trial.connected(by) == Some(false)).then_some(())
        });
    }
    trial.slots_pass(20);
    for &by in shut_by {
        assert_eq!(trial.connected(by), Some(false), "replica {by}; its log:\n{}", trial.cluster.log(by));
    }
}

/// `quorate evidence verify` accepts what each of them keeps, by the cluster file alone, and refuses the same with one digit changed.
fn proof_holds_offline_and_no_other(trial: &Trial, holders: &[usize]) {
    let cluster = trial.cluster.dir.join("cluster.toml");
    let cluster = cluster.to_str().unwrap();
    for &by in holders {
        let file = trial.evidence(by, "equivocation");
        let verified = run(&["evidence", "verify", file.to_str().unwrap(), "--cluster", cluster]);
        assert_eq!(verified.status.code(), Some(0), "{}{}", stdout(&verified), stderr(&verified));
        assert!(stdout(&verified).contains("replica 2"), "{}", stdout(&verified));
        let text = fs::read_to_string(&file).unwrap();
        let at = text.rfind(|c: char| c.is_ascii_hexdigit()).unwrap();
        let other = if &text[at..=at] == "0" { "1" } else { "0" };
        let changed = trial.cluster.dir.join("changed.txt");
        fs::write(&changed, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
        let refused = run(&["evidence", "verify", changed.to_str().unwrap(), "--cluster", cluster]);
        assert_eq!(refused.status.code(), Some(1), "{}", stdout(&refused));
    }
}
