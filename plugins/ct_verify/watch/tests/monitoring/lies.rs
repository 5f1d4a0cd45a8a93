//! Logs that lie, break or fall silent: nothing of theirs is believed, and nothing stops the others.

use std::time::Duration;

use ct_log::{Kind, Lie};

use crate::case::{Case, KINDS, told, zone_names};

const NEW: &str = "www.example.org";

/// Long enough for whatever was put off.
async fn rounds(case: &Case, count: usize) {
    for _ in 0..count {
        case.clock.advance(10_000);
        case.monitor.round().await;
    }
}

#[tokio::test]
async fn entries_that_are_not_in_the_signed_tree_are_not_believed() {
    for kind in KINDS {
        let case = Case::new(&[kind]).await;
        case.log_one(NEW);
        case.logs[0].lie(Lie::BadEntries);
        case.round().await;
        assert_eq!((case.told(), case.state()), (vec![], "unreachable".to_owned()), "{kind:?}");
        rounds(&case, 4).await;
        assert_eq!(
            (case.told(), case.state()),
            (vec![told("entries_not_in_tree", "log0")], "lying".to_owned())
        );
        assert!(case.events()[0].grave);
        case.logs[0].be_honest();
        rounds(&case, 1).await;
        assert_eq!(case.told()[1..], [told("new_certificate", NEW)]);
        assert_eq!(case.state(), "ok");
    }
}

#[tokio::test]
async fn a_beginning_that_is_not_in_the_signed_tree_is_none() {
    for kind in KINDS {
        let mut case = Case::new(&[kind]).await;
        std::fs::remove_file(case.folder.path().join("monitor.json")).unwrap();
        case.restart();
        case.log_one(NEW);
        case.merge().await;
        let lie = if kind == Kind::Rfc6962 { Lie::BadEntries } else { Lie::BadProof };
        case.logs[0].lie(lie);
        case.monitor.round().await;
        assert_eq!(case.monitor.to_json()["logs"][0]["position"], serde_json::Value::Null, "{kind:?}");
        case.logs[0].be_honest();
        rounds(&case, 1).await;
        assert_eq!(case.monitor.to_json()["logs"][0]["position"], 2);
    }
}

#[tokio::test]
async fn a_head_of_another_tree_gets_no_entries() {
    let case = Case::new(&[Kind::Rfc6962]).await;
    let _fork = case.logs[0].fork();
    case.log_one(NEW);
    case.logs[0].merge();
    // The head is of the fork; the entries are of the tree that we know.
    case.logs[0].show_fork(true);
    case.take_heads().await;
    case.logs[0].show_fork(false);
    rounds(&case, 5).await;
    assert_eq!((case.told(), case.state()), (vec![told("entries_not_in_tree", "log0")], "lying".to_owned()));
}

#[tokio::test]
async fn a_log_that_breaks_stops_no_other_and_goes_on_later() {
    let lies = [Lie::Status(500), Lie::Garbage, Lie::Cut, Lie::Oversize(20 << 20), Lie::GzipBomb(20 << 20)];
    for lie in lies {
        let case = Case::new(&KINDS).await;
        let part = "get-entries";
        case.logs[0].control().lie_at(part, lie.clone());
        case.log_one(NEW);
        case.round().await;
        assert_eq!(case.told(), [told("new_certificate", NEW)], "{lie:?}");
        assert_eq!(case.monitor.log_states()["unreachable"], 1, "{lie:?}");
        case.logs[0].be_honest();
        rounds(&case, 2).await;
        assert_eq!(case.monitor.log_states().get("ok"), Some(&2), "{lie:?}");
        assert_eq!(case.monitor.counts()["duplicates"], 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_waited_for_keeps_no_other_and_no_certspotter_waiting() {
    let spool = tempfile::tempdir().unwrap();
    let folder = spool.path().to_owned();
    let case = Case::with(&KINDS, &["Alder"], zone_names(), |config| config.certspotter = Some(folder)).await;
    case.logs[0].control().lie_at("get-entries", Lie::Hold);
    case.log_one(NEW);
    case.merge().await;
    let (monitor, asked) = (case.monitor.clone(), case.logs[0].control().asked("get-entries"));
    let waiting = tokio::spawn(async move { monitor.round().await });
    assert!(case.logs[0].control().wait_until_asked("get-entries", asked + 1));
    std::fs::write(spool.path().join("one.event"), "EVENT=error\nSUMMARY=no log answers\n").unwrap();
    case.log_one("mail.example.org");
    case.merge().await;
    let round = tokio::time::timeout(Duration::from_secs(15), case.monitor.round());
    round.await.expect("a round ends without the log that is waited for");
    assert!(!waiting.is_finished(), "the first log is waited for");
    let codes = ["new_certificate", "certspotter_error"]
        .map(|code| (code, case.told().iter().filter(|told| told.0 == code).count()));
    assert_eq!(codes, [("new_certificate", 2), ("certspotter_error", 1)], "{:?}", case.told());
    case.logs[0].be_honest();
    waiting.await.unwrap();
}

#[tokio::test]
async fn a_piece_that_can_never_be_read_is_left_out_with_an_alarm() {
    let case = Case::new(&[Kind::StaticCt]).await;
    case.log_one(NEW);
    case.merge().await;
    case.logs[0].control().lie_at("tile/data", Lie::Garbage);
    rounds(&case, 6).await;
    assert_eq!(case.told(), [told("monitor_skipped", "log0")]);
    assert_eq!(case.state(), "ok");
    case.logs[0].be_honest();
    case.log_one("mail.example.org");
    case.round().await;
    assert_eq!(case.told()[1..], [told("new_certificate", "mail.example.org")]);
}

#[tokio::test]
async fn an_outage_leaves_nothing_out() {
    for kind in KINDS {
        let case = Case::new(&[kind]).await;
        case.log_one(NEW);
        case.merge().await;
        case.logs[0].lie(Lie::Status(503));
        rounds(&case, 9).await;
        case.logs[0].be_honest();
        rounds(&case, 1).await;
        assert_eq!(case.told(), [told("new_certificate", NEW)], "{kind:?}");
    }
}
