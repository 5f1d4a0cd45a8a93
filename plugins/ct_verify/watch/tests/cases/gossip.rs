//! Whole watches: what they tell one another, and what a log that misbehaves does not do to others.

use std::sync::Arc;
use std::time::Duration;

use ct_log::{Authority, Clock, Kind, Lie, Listed, TestLog, log_list_json};
use ct_watch::{Source, Watch, WatchConfig};
use tokio::runtime::Handle;
use transparency::split_view::{Misbehaviour, SplitView};

use crate::stand::{NOW, watch_config};

/// A log with three entries.
fn log(name: &str, kind: Kind, clock: &Clock) -> TestLog {
    let log = TestLog::start(name, kind, clock);
    let authority = Authority::new("Alder CA", clock);
    (0..3).for_each(|_| drop(authority.leaf("www.example.org").issue(&[&log])));
    log.merge();
    log
}

/// A watch of these logs, its files in a folder of its own.
fn watch(clock: &Clock, folder: &tempfile::TempDir, logs: &[Listed]) -> Arc<Watch> {
    let path = folder.path().join("mine.json");
    std::fs::write(&path, log_list_json(NOW, logs)).unwrap();
    let config = WatchConfig {
        state: Some(folder.path().join("state")),
        log_list: Some(Source::File(path)),
        heads_period: Duration::from_millis(20),
        ..watch_config(clock)
    };
    Watch::start(config, Handle::current()).unwrap()
}

/// Lets the watch work until something holds of it.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let holding = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), holding).await.expect(what);
}

/// The files of evidence; drafts are none.
fn files(folder: &tempfile::TempDir) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder.path().join("state/evidence")).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_watches_of_a_forked_log_prove_it_to_one_another() {
    for kind in [Kind::Rfc6962, Kind::StaticCt] {
        let clock = Clock::at(NOW);
        let log = log("alder", kind, &clock);
        let fork = log.fork();
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let one = watch(&clock, &folders[0], &[log.listed()]);
        let two = watch(&clock, &folders[1], &[fork.listed()]);
        until("both have a head", || one.heads().len() + two.heads().len() == 2).await;
        assert!(files(&folders[0]).is_empty());

        one.news().iter().for_each(|news| two.told(news));
        until("the second has evidence", || files(&folders[1]).len() == 1).await;
        // The proof itself is told, too: the first learns of it by what the second says.
        two.news().iter().for_each(|news| one.told(news));
        until("the first has evidence", || files(&folders[0]).len() == 1).await;

        let bytes = std::fs::read(&files(&folders[1])[0]).unwrap();
        let proven = SplitView::parse(&bytes).unwrap().verify().unwrap();
        assert_eq!((proven.misbehaviour, proven.key.id()), (Misbehaviour::Equivocation, log.id()));
        two.stop();
        let two = watch(&clock, &folders[1], &[fork.listed()]);
        assert_eq!(two.status()["evidence"].as_object().unwrap().len(), 1, "{}", two.status());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_of_a_fork_that_grew_differently_is_reported() {
    for kind in [Kind::Rfc6962, Kind::StaticCt] {
        let clock = Clock::at(NOW);
        let log = log("alder", kind, &clock);
        let fork = log.fork();
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let two = watch(&clock, &folders[1], &[fork.listed()]);
        until("the second has a head", || two.heads().len() == 1).await;
        two.stop();
        let authority = Authority::new("Alder CA", &clock);
        clock.advance(30);
        authority.leaf("www.example.org").issue(&[&log]);
        log.merge();
        let one = watch(&clock, &folders[0], &[log.listed()]);
        until("the first has a head", || one.heads().len() == 1).await;
        two.news().iter().for_each(|news| one.told(news));
        until("the first reports it", || one.counters().contains_key("log_heads_do_not_fit")).await;
        assert_eq!(one.status()["logs"][0]["condition"], "lying", "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_news_and_nonsense_leave_no_evidence() {
    let clock = Clock::at(NOW);
    let log = log("alder", Kind::Rfc6962, &clock);
    let stranger = self::log("birch", Kind::Rfc6962, &clock);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = watch(&clock, &folders[0], &[log.listed()]);
    until("there is a head", || one.heads().len() == 1).await;
    let both = watch(&clock, &folders[1], &[log.listed(), stranger.listed()]);
    until("there are both heads", || both.heads().len() == 2).await;
    both.news().iter().for_each(|news| one.told(news));
    let count = |what: &str| one.counters().get(what).copied().unwrap_or_default();
    until("honest news is read", || count("news_heads") > 0 && count("news_of_unknown_logs") > 0).await;
    assert_eq!(count("news_of_unknown_logs"), 1);

    let forged =
        String::from_utf8(one.news()[0].to_vec()).unwrap().replace("tree_size\\\":3", "tree_size\\\":2");
    one.told(forged.as_bytes());
    one.told(b"nonsense");
    one.told(&vec![b'x'; 100_000]);
    until("the rest is refused", || one.counters().get("news_refused") == Some(&2)).await;
    assert_eq!(one.counters()["news_dropped"], 1);
    assert!(files(&folders[0]).is_empty());
    assert_eq!(one.status()["logs"][0]["condition"], "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_that_are_down_slow_huge_or_lying_hold_up_no_other() {
    let clock = Clock::at(NOW);
    let lies =
        [Lie::Status(500), Lie::Hold, Lie::Stall, Lie::Endless, Lie::GzipBomb(1 << 20), Lie::BadSignature];
    let bad: Vec<TestLog> = lies
        .iter()
        .enumerate()
        .map(|(number, lie)| {
            let log = log(&format!("bad{number}"), Kind::Rfc6962, &clock);
            log.lie(lie.clone());
            log
        })
        .collect();
    let good = log("good", Kind::StaticCt, &clock);
    let folder = tempfile::tempdir().unwrap();
    let listed: Vec<Listed> = bad.iter().chain([&good]).map(TestLog::listed).collect();
    let watch = watch(&clock, &folder, &listed);
    until("the good log has a head", || watch.heads().len() == 1).await;
    let asked = good.control().asked("checkpoint");
    until("and is asked on", || asked + 3 < good.control().asked("checkpoint")).await;
    assert_eq!(watch.heads()[0].0.key.id(), good.id());
    watch.stop();
    bad.iter().for_each(TestLog::be_honest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_follow_the_list() {
    let clock = Clock::at(NOW);
    let logs: Vec<TestLog> =
        (0..3).map(|number| log(&format!("log{number}"), Kind::StaticCt, &clock)).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut listed: Vec<Listed> = logs.iter().map(TestLog::listed).collect();
    listed[0] = listed[0].clone().in_state("pending", NOW);
    let watch = watch(&clock, &folder, &listed);
    until("two logs have a head", || watch.heads().len() == 2).await;
    assert_eq!(logs[0].control().asked(""), 0);
    listed[0] = listed[0].clone().in_state("usable", NOW);
    listed[1] = listed[1].clone().in_state("rejected", NOW);
    std::fs::write(folder.path().join("mine.json"), log_list_json(NOW, &listed)).unwrap();
    let wanted = [logs[0].id(), logs[2].id()];
    until("the other two have one", || {
        let heads = watch.heads();
        heads.len() == 2 && heads.iter().all(|(log, _)| wanted.contains(&log.key.id()))
    })
    .await;
    let asked = |log: &TestLog| log.control().asked("checkpoint");
    let (rejected, new) = (asked(&logs[1]), asked(&logs[0]));
    until("the new log is asked on", || new + 10 < asked(&logs[0])).await;
    // One question may have been under way.
    assert!(asked(&logs[1]) <= rejected + 1, "the rejected log is asked on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_watch_asks_nobody_any_more() {
    let clock = Clock::at(NOW);
    let log = log("alder", Kind::StaticCt, &clock);
    let folder = tempfile::tempdir().unwrap();
    let metrics = Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let watch = watch(&clock, &folder, &[log.listed()]);
    until("there is a head", || watch.heads().len() == 1).await;
    watch.stop();
    watch.spawn(std::future::pending());
    // What is left may be connections of the client that idle.
    until("its tasks have ended", || metrics.num_alive_tasks() <= before + 2).await;
    assert_eq!(watch.heads().len(), 1);
}
