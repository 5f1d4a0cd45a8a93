//! The log list: which one may follow which, and what is left after a restart.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ct_log::{Clock, Kind, Lie, Listed, Site, TestLog, log_list_json};
use ct_watch::log_list_source::LogListSource;
use ct_watch::{Source, Watch, WatchConfig};
use tokio::runtime::Handle;

use crate::stand::{NOW, Stand, watch_config};

/// Logs of different operators; nobody asks them.
fn logs(count: usize) -> Vec<Listed> {
    let clock = Clock::at(NOW);
    let listed = |number| TestLog::start(&format!("log{number}"), Kind::Rfc6962, &clock).listed();
    (0..count).map(listed).collect()
}

fn write(path: &Path, logs: &[Listed]) {
    fs::write(path, log_list_json(NOW, logs)).unwrap();
}

fn count(stand: &Stand) -> usize {
    stand.context.inputs().log_list.as_ref().map_or(0, |list| list.value.logs().count())
}

#[tokio::test]
async fn file_is_read_at_the_start_and_again_when_it_changes() {
    let (stand, logs) = (Stand::new(&Clock::at(NOW)), logs(4));
    let path = stand.folder.path().join("mine.json");
    write(&path, &logs[..3]);
    let source = Arc::new(LogListSource::start(stand.context.clone(), Source::File(path.clone())));
    assert_eq!(count(&stand), 3);
    write(&path, &logs);
    source.look().await;
    assert_eq!(count(&stand), 4);
    let list = stand.context.inputs().log_list.clone().unwrap();
    assert_eq!(list.bytes, fs::read(&path).unwrap());
    assert_eq!(list.digest, list.value.identity().digest);
}

#[tokio::test]
async fn list_that_loses_many_logs_is_refused_and_the_last_good_one_stays() {
    let (stand, logs) = (Stand::new(&Clock::at(NOW)), logs(6));
    let path = stand.folder.path().join("mine.json");
    write(&path, &logs);
    let source = Arc::new(LogListSource::start(stand.context.clone(), Source::File(path.clone())));
    write(&path, &logs[..3]);
    source.look().await;
    source.look().await;
    assert_eq!((count(&stand), stand.count("log_list_refused")), (6, 1));
    write(&path, &logs[..4]);
    source.look().await;
    assert_eq!(count(&stand), 4);
}

#[tokio::test]
async fn log_that_was_rejected_does_not_come_back() {
    let (stand, mut logs) = (Stand::new(&Clock::at(NOW)), logs(4));
    let path = stand.folder.path().join("mine.json");
    let usable = logs[0].clone();
    logs[0] = usable.clone().in_state("rejected", "2026-06-01T00:00:00Z");
    write(&path, &logs);
    let source = Arc::new(LogListSource::start(stand.context.clone(), Source::File(path.clone())));
    let good = stand.context.inputs().log_list.clone().unwrap().digest;
    logs[0] = usable;
    write(&path, &logs);
    source.look().await;
    assert_eq!(stand.context.inputs().log_list.clone().unwrap().digest, good);
    assert_eq!(stand.count("log_list_refused"), 1);
}

#[tokio::test]
async fn last_good_list_outlives_a_restart_with_a_bad_file() {
    let (stand, logs) = (Stand::new(&Clock::at(NOW)), logs(6));
    let path = stand.folder.path().join("mine.json");
    write(&path, &logs);
    LogListSource::start(stand.context.clone(), Source::File(path.clone()));
    for bad in ["", "{}", &log_list_json(NOW, &logs[..2])] {
        fs::write(&path, bad).unwrap();
    }
    let stand = stand.restart();
    LogListSource::start(stand.context.clone(), Source::File(path.clone()));
    assert_eq!((count(&stand), stand.count("log_list_refused")), (6, 1));
    fs::remove_file(&path).unwrap();
    let stand = stand.restart();
    LogListSource::start(stand.context.clone(), Source::File(path));
    assert_eq!(count(&stand), 6);
}

#[tokio::test]
async fn list_by_url_is_kept_when_the_site_misbehaves() {
    let (stand, logs) = (Stand::new(&Clock::at(NOW)), logs(3));
    let site = Site::start();
    let url = site.put("/log_list.json", log_list_json(NOW, &logs));
    let source = Arc::new(LogListSource::start(stand.context.clone(), Source::Url(url)));
    assert_eq!(count(&stand), 0);
    source.look().await;
    assert_eq!(count(&stand), 3);
    for lie in [Lie::Status(500), Lie::Garbage, Lie::Oversize(100 << 20), Lie::GzipBomb(100 << 20), Lie::Cut]
    {
        site.lie(lie.clone());
        source.look().await;
        assert_eq!(count(&stand), 3, "{lie:?}");
        site.control().be_honest();
    }
    let version = *stand.context.changed().borrow();
    source.look().await;
    assert_eq!(*stand.context.changed().borrow(), version, "the same list is no change");
}

#[tokio::test(start_paused = true)]
async fn file_that_changes_is_found_by_the_watch_itself() {
    let (clock, logs, folder) = (Clock::at(NOW), logs(4), tempfile::tempdir().unwrap());
    let path = folder.path().join("mine.json");
    write(&path, &logs[..3]);
    let config =
        WatchConfig { log_list: Some(Source::File(path.clone())), audit: false, ..watch_config(&clock) };
    let watch = Watch::start(config, Handle::current()).unwrap();
    let mut changed = watch.changed();
    changed.mark_unchanged();
    let before = tokio::time::Instant::now();
    write(&path, &logs);
    changed.changed().await.unwrap();
    assert!(before.elapsed().as_secs() <= 6, "{:?}", before.elapsed());
    assert_eq!(watch.inputs().log_list.as_ref().unwrap().value.logs().count(), 4);
}
