//! What the detector knows, kept across restarts: the file `reputation` in the state folder.
//!
//! `cluster-file DIGEST`, then a snapshot of the detector. By another cluster file the same number may be another replica, which is not to answer for
//! the one before it: what was known then is put aside.
//!
//! Written by a thread of its own, so that no vote waits for it, and whole or not at all. Losing it costs nothing but opinions: a replica begins
//! with none.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use certificate::{Cluster, Digest, ReplicaId};
use detector::{Detector, SNAPSHOT_BYTES_MAX, Settings};
use pbft::Now;
use tracing::warn;

use crate::warden::Changed;

/// How often what has changed is written. Who is shut out is written at the next tick.
pub(crate) const SAVE_EVERY: Duration = Duration::from_secs(30);

const FILE: &str = "reputation";
const FILE_UNFINISHED: &str = "reputation.new";
/// How the first line begins.
const OF_CLUSTER: &str = "cluster-file ";
/// The first line is not longer.
const HEADER_BYTES_MAX: usize = 128;
/// What could not be used.
const FILE_ASIDE: &str = "reputation.unreadable";

/// What an earlier run knew.
pub(crate) struct Recalled {
    /// Knows nothing when there is no file, or it cannot be used.
    pub(crate) detector: Detector,
    /// Why the file that is there cannot be used. `Keeper::start` puts it aside.
    pub(crate) unusable: Option<String>,
}

/// Reads what an earlier run knew, and changes nothing: whether the folder is this replica's is not known yet.
pub(crate) fn recall(
    state: &Path,
    cluster: &Cluster,
    me: ReplicaId,
    settings: Settings,
    now: Now,
) -> Recalled {
    let fresh =
        |unusable| Recalled { detector: Detector::new(me, cluster.replicas, settings, now), unusable };
    let read = match read(&state.join(FILE)) {
        Err(reason) if reason.kind() == io::ErrorKind::NotFound => return fresh(None),
        read => read.map_err(|reason| reason.to_string()),
    };
    let restored = read.and_then(|text| {
        let snapshot = of_cluster(&text, cluster.digest())?;
        Detector::restore(me, cluster.replicas, settings, now, snapshot).map_err(|reason| reason.to_string())
    });
    restored.map_or_else(|reason| fresh(Some(reason)), |detector| Recalled { detector, unusable: None })
}

/// Keeps what could not be used under another name, so that it is not overwritten. What was put aside first stays: what came after it was begun anew.
fn put_aside(state: &Path, reason: &str) {
    let (path, aside) = (state.join(FILE), state.join(FILE_ASIDE));
    let kept = !aside.exists() && fs::rename(&path, aside).is_ok();
    warn!(file = %path.display(), %reason, kept, "reputations cannot be used: all replicas begin anew");
}

/// The snapshot in a file, if it is of the cluster file with this digest. Earlier versions did not say of which.
fn of_cluster(text: &str, ours: Digest) -> Result<&str, String> {
    let Some((theirs, snapshot)) = text.strip_prefix(OF_CLUSTER).and_then(|rest| rest.split_once('\n'))
    else {
        return Ok(text);
    };
    if Digest::from_hex(theirs) == Some(ours) {
        return Ok(snapshot);
    }
    let theirs: String = theirs.chars().filter(|it| !it.is_control()).take(64).collect();
    Err(format!("expected reputations by cluster file {ours}, found those by {theirs}"))
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let longest = SNAPSHOT_BYTES_MAX + HEADER_BYTES_MAX;
    File::open(path)?.take(longest as u64 + 1).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|wrong| io::Error::new(io::ErrorKind::InvalidData, wrong))
}

/// Writes snapshots.
pub(crate) struct Keeper {
    saved: Instant,
    waiting: Option<SyncSender<String>>,
    writer: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Keeps snapshots in the folder `state`, which is this replica's, by the cluster file with the digest `cluster`; what is there and, for a
    /// reason, `unusable`, is put aside. Without a thread nothing is kept.
    pub(crate) fn start(state: PathBuf, cluster: Digest, unusable: Option<&str>) -> Keeper {
        if let Some(reason) = unusable {
            put_aside(&state, reason);
        }
        let (sender, receiver) = sync_channel(1);
        let thread = std::thread::Builder::new().name("reputation".to_owned());
        let writer = thread.spawn(move || write_all(&state, cluster, &receiver));
        if let Err(reason) = &writer {
            warn!(%reason, "reputations are not kept");
        }
        Keeper { saved: Instant::now(), waiting: Some(sender), writer: writer.ok() }
    }

    /// Whether it is time to write.
    pub(crate) fn is_due(&self, now: Instant, changed: Changed) -> bool {
        match changed {
            Changed::Nothing => false,
            Changed::Figures => now.duration_since(self.saved) >= SAVE_EVERY,
            Changed::Quarantine => true,
        }
    }

    /// Writes a snapshot soon; says whether it will be. While the disk is busy with an earlier one, none of the later ones waits but one.
    pub(crate) fn save(&mut self, now: Instant, snapshot: String) -> bool {
        self.saved = now;
        self.waiting.as_ref().is_some_and(|waiting| waiting.try_send(snapshot).is_ok())
    }

    /// Writes the last snapshot and waits for it.
    pub(crate) fn finish(mut self, snapshot: String) {
        if let Some(waiting) = self.waiting.take() {
            // Without a thread there is nobody to take it.
            let _ = waiting.send(snapshot);
        }
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn write_all(state: &Path, cluster: Digest, waiting: &Receiver<String>) {
    for snapshot in waiting {
        if let Err(reason) = write(state, &format!("{OF_CLUSTER}{cluster}\n{snapshot}")) {
            warn!(folder = %state.display(), %reason, "reputations were not written");
        }
    }
}

fn write(state: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(state)?;
    let unfinished = state.join(FILE_UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, state.join(FILE))?;
    File::open(state)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use certificate::Epoch;

    use super::*;
    use crate::testing::Setting;

    const NOW: Now = Now { wall_ms: 1_800_000_000_000, monotonic_ms: 1000 };

    /// A cluster file, always the same but for its epoch.
    fn cluster(epoch: u64) -> Arc<Cluster> {
        let setting = Setting::with(|cluster| {
            cluster.epoch = Epoch(epoch);
            cluster.members.iter_mut().zip(5380..).for_each(|(member, port)| member.address.set_port(port));
        });
        setting.cluster
    }

    /// What a replica recalls whose log was accepted: what cannot be used is put aside.
    fn recalled(state: &Path) -> Detector {
        recalled_by(state, 1)
    }

    fn recalled_by(state: &Path, epoch: u64) -> Detector {
        let Recalled { detector, unusable } = looked_at(state, epoch);
        Keeper::start(state.to_owned(), cluster(epoch).digest(), unusable.as_deref());
        detector
    }

    /// What it recalls before anything is known of the log.
    fn looked_at(state: &Path, epoch: u64) -> Recalled {
        recall(state, &cluster(epoch), ReplicaId(1), Settings::default(), NOW)
    }

    fn keeper(state: &Path) -> Keeper {
        Keeper::start(state.to_owned(), cluster(1).digest(), None)
    }

    #[test]
    fn what_was_kept_is_recalled() {
        let state = tempfile::tempdir().unwrap();
        let mut known = recalled(state.path());
        for _ in 0..20 {
            known.observe(NOW, detector::Event::Accuracy { replica: ReplicaId(2), agreed: true });
        }
        let score = |detector: &Detector| detector.assessments(NOW)[1].reputation.score;
        assert!(score(&known) > score(&recalled(state.path())), "it has risen");
        keeper(state.path()).finish(known.snapshot(NOW));
        assert!((score(&recalled(state.path())) - score(&known)).abs() < 0.001);
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1, "nothing unfinished is left");
    }

    #[test]
    fn file_that_cannot_be_read_is_put_aside_and_everybody_begins_anew() {
        for garbage in [
            b"quorate-detector 99\n".to_vec(),
            vec![0xff; 100],
            vec![b' '; SNAPSHOT_BYTES_MAX + HEADER_BYTES_MAX + 1],
        ] {
            let state = tempfile::tempdir().unwrap();
            fs::write(state.path().join(FILE), &garbage).unwrap();
            let begun = recalled(state.path());
            assert!((begun.least_reputation(NOW) - detector::PRIOR).abs() < 0.001);
            assert_eq!(fs::read(state.path().join(FILE_ASIDE)).unwrap(), garbage);
            assert!(!state.path().join(FILE).exists());
        }
    }

    #[test]
    fn what_was_put_aside_first_is_not_overwritten() {
        let state = tempfile::tempdir().unwrap();
        for text in ["first", "second"] {
            fs::write(state.path().join(FILE), text).unwrap();
            recalled(state.path());
            assert_eq!(fs::read_to_string(state.path().join(FILE_ASIDE)).unwrap(), "first");
        }
    }

    #[test]
    fn replica_does_not_answer_for_the_one_that_had_its_number_by_another_cluster_file() {
        let state = tempfile::tempdir().unwrap();
        let mut known = recalled(state.path());
        known.observe(NOW, detector::Event::Accuracy { replica: ReplicaId(2), agreed: false });
        keeper(state.path()).finish(known.snapshot(NOW));
        let begun = recalled_by(state.path(), 2);
        assert_eq!(begun.least_reputation(NOW), detector::PRIOR);
        assert!(state.path().join(FILE_ASIDE).exists() && !state.path().join(FILE).exists());
    }

    #[test]
    fn look_by_another_cluster_file_leaves_what_is_known_in_place() {
        let state = tempfile::tempdir().unwrap();
        let mut known = recalled(state.path());
        known.observe(NOW, detector::Event::Accuracy { replica: ReplicaId(2), agreed: false });
        keeper(state.path()).finish(known.snapshot(NOW));
        let other = looked_at(state.path(), 2);
        assert_eq!(other.detector.least_reputation(NOW), detector::PRIOR);
        assert!(other.unusable.unwrap().starts_with("expected reputations by cluster file "));
        assert!(recalled(state.path()).least_reputation(NOW) < detector::PRIOR);
    }

    #[test]
    fn file_of_an_earlier_version_is_of_this_cluster() {
        let state = tempfile::tempdir().unwrap();
        let mut known = recalled(state.path());
        known.observe(NOW, detector::Event::Accuracy { replica: ReplicaId(2), agreed: false });
        fs::write(state.path().join(FILE), known.snapshot(NOW)).unwrap();
        assert!(recalled(state.path()).least_reputation(NOW) < detector::PRIOR);
    }

    #[test]
    fn figures_wait_for_their_time_and_quarantines_do_not() {
        let state = tempfile::tempdir().unwrap();
        let mut keeper = keeper(state.path());
        let begun = Instant::now();
        assert!(keeper.save(begun, String::new()));
        assert!(!keeper.is_due(begun + SAVE_EVERY, Changed::Nothing));
        assert!(!keeper.is_due(begun, Changed::Figures));
        assert!(keeper.is_due(begun + SAVE_EVERY, Changed::Figures));
        assert!(keeper.is_due(begun, Changed::Quarantine));
        keeper.finish(String::new());
    }

    #[test]
    fn disk_that_refuses_stops_nobody() {
        let state = tempfile::tempdir().unwrap();
        let blocked = state.path().join("blocked");
        fs::write(&blocked, "a file, not a folder").unwrap();
        keeper(&blocked).finish("snapshot".to_owned());
        assert!(fs::read_to_string(blocked).unwrap().starts_with("a file"));
    }
}
