//! Where a monitor begins, how far it goes, and where it goes on.

use crate::case::{Case, KINDS, ZONE, told, zone_names};

#[tokio::test]
async fn what_was_logged_before_the_first_head_is_not_told_and_what_comes_is() {
    for kind in KINDS {
        let case = Case::new(&[kind]).await;
        assert_eq!(case.told(), []);
        case.log_one("www.example.org");
        case.log_one("www.example.net");
        case.round().await;
        assert_eq!(case.told(), [told("new_certificate", "www.example.org")], "{kind:?}");
        assert_eq!(case.state(), "ok");
        let event = &case.events()[0];
        assert_eq!((event.facts["index"].as_u64(), event.grave), (Some(1), false));
        assert_eq!(event.facts["certificate"]["names"][0], "www.example.org");
    }
}

#[tokio::test]
async fn a_certificate_is_told_once_whatever_it_is_logged_as_and_where() {
    let case = Case::new(&KINDS).await;
    let issued = case.log_one("www.example.org");
    case.logs.iter().for_each(|log| drop(log.add_chain(&issued.chain).unwrap()));
    case.round().await;
    assert_eq!(case.told(), [told("new_certificate", "www.example.org")]);
    assert_eq!(case.monitor.counts()["duplicates"], 3);
    assert_eq!(case.monitor.counts()["entries"], 4);
}

#[tokio::test]
async fn after_a_restart_it_goes_on_where_it_stopped() {
    for kind in KINDS {
        let mut case = Case::new(&[kind]).await;
        let issued = case.log_one("www.example.org");
        case.round().await;
        assert_eq!(case.told().len(), 1);
        // While it is down, one more is issued, and the one that is known is logged as certificate.
        case.log_one("mail.example.org");
        case.logs[0].add_chain(&issued.chain).unwrap();
        case.restart();
        case.round().await;
        assert_eq!(case.told(), [told("new_certificate", "mail.example.org")], "{kind:?}");
    }
}

#[tokio::test]
async fn a_state_file_of_something_else_is_no_state() {
    let mut case = Case::new(&KINDS[..1]).await;
    std::fs::write(case.folder.path().join("monitor.json"), b"{\"version\": 1}").unwrap();
    case.restart();
    case.log_one("www.example.org");
    case.round().await;
    // It begins at the head that it sees first, as ever.
    assert_eq!((case.told(), case.state()), (vec![], "ok".to_owned()));
}

#[tokio::test]
async fn many_entries_are_read_piece_by_piece_and_each_is_proved() {
    for kind in KINDS {
        let case = Case::new(&[kind]).await;
        for number in 0..1100 {
            case.log_one(&format!("host{number}.example.net"));
        }
        case.log_one("www.example.org");
        case.round().await;
        assert_eq!(case.told(), [told("new_certificate", "www.example.org")], "{kind:?}");
        assert_eq!((case.state(), case.monitor.counts()["entries"]), ("ok".to_owned(), 1101));
    }
}

#[tokio::test]
async fn who_is_too_far_behind_skips_to_the_head_with_an_alarm() {
    for kind in KINDS {
        let case =
            Case::with(&[kind], &["Alder"], zone_names(), |config| config.rates.entries_behind_max = 3).await;
        for number in 0..5 {
            case.log_one(&format!("host{number}.{ZONE}"));
        }
        case.round().await;
        assert_eq!(case.told(), [told("monitor_skipped", "log0")], "{kind:?}");
        let event = &case.events()[0];
        assert_eq!((event.grave, &event.facts["from"], &event.facts["to"]), (true, &1.into(), &6.into()));
        case.log_one("www.example.org");
        case.round().await;
        assert_eq!(case.told()[1..], [told("new_certificate", "www.example.org")]);
    }
}

#[tokio::test]
async fn no_more_is_read_than_the_rates_allow() {
    let spare = |config: &mut ct_watch::monitor::MonitorConfig| {
        // What five minutes save up is spent by the first piece.
        (config.rates.entries_per_second, config.rates.bytes_per_hour) = (1000, 100);
    };
    let case = Case::with(&KINDS[..1], &[], zone_names(), spare).await;
    case.log_one("www.example.org");
    case.round().await;
    case.log_one("mail.example.org");
    case.round().await;
    assert_eq!(case.told(), [told("new_certificate", "www.example.org")]);
    case.clock.advance(30 * 86_400);
    case.round().await;
    assert_eq!(case.told().len(), 2);
}

#[tokio::test]
async fn a_tile_that_was_filled_up_since_the_head_is_read_all_the_same() {
    let mut case = Case::new(&KINDS[1..]).await;
    case.log_one("www.example.org");
    case.merge().await;
    // The log grows on, and its partial tiles go; the monitor still has the head from before.
    for number in 0..260 {
        case.log_one(&format!("host{number}.example.net"));
    }
    case.logs[0].merge();
    case.monitor.round().await;
    assert_eq!(
        (case.told(), case.state()),
        (vec![told("new_certificate", "www.example.org")], "ok".to_owned())
    );
    // Who begins with that head needs tiles of hashes, which are whole by now, too.
    std::fs::remove_file(case.folder.path().join("monitor.json")).unwrap();
    case.restart();
    case.monitor.round().await;
    assert_eq!((case.told(), case.state()), (vec![], "ok".to_owned()));
    assert_eq!(case.monitor.to_json()["logs"][0]["position"], 2);
}

#[tokio::test]
async fn a_log_that_left_the_list_and_came_back_is_read_from_where_it_was_left() {
    let case = Case::new(&KINDS[..1]).await;
    case.no_heads();
    case.monitor.round().await;
    case.log_one("www.example.org");
    case.round().await;
    assert_eq!(case.told(), [told("new_certificate", "www.example.org")]);
}
