//! Whether the files that a configuration was read from changed: for `reload`.
//!
//! Contents are compared, not times, and a change counts when two looks see the same. What is done about it is for `cli/serve.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use certificate::Digest;
use corefile::{Corefile, ParseOptions, SystemSources};
use plugins::registry;
use plugins::setup::{Reload, digest_of_file};
use tracing::warn;

/// What the files held that a configuration was read from. A file that cannot be read holds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// The Corefile and what it imports.
    texts: BTreeMap<PathBuf, Digest>,
    /// Files that directives name.
    others: BTreeMap<PathBuf, Option<Digest>>,
}

impl Fingerprint {
    /// That of the texts in `corefile` and of `others`.
    pub fn new(corefile: &Corefile, others: BTreeMap<PathBuf, Option<Digest>>) -> Fingerprint {
        let text = |file: &corefile::SourceFile| (file.path.to_path_buf(), Digest::of(file.text.as_bytes()));
        Fingerprint { texts: corefile.files.iter().map(text).collect(), others }
    }

    /// One digest of all of it.
    pub fn digest(&self) -> Digest {
        let texts = self.texts.iter().map(|(path, digest)| (path, *digest));
        let others = self.others.iter().map(|(path, digest)| (path, digest.unwrap_or_default()));
        let line = |(path, digest): (&PathBuf, Digest)| format!("{digest} {}\n", path.display());
        Digest::of(texts.chain(others).map(line).collect::<String>().as_bytes())
    }

    /// What the files of `self`, which came from the Corefile at `path`, hold now. A file that a directive names and that cannot be read now is taken as
    /// unchanged: there is nothing to take, and the right to read it may be given up. `None`: the Corefile itself cannot be read.
    fn again(&self, path: &Path, dns_port: u16) -> Option<Fingerprint> {
        let directives = registry::names();
        let options = ParseOptions { directives: Some(&directives), default_port: dns_port };
        let (corefile, _) = corefile::parse(path, &SystemSources, &options);
        if corefile.files.is_empty() {
            return None;
        }
        let other =
            |(path, before): (&PathBuf, &Option<Digest>)| (path.clone(), digest_of_file(path).or(*before));
        Some(Fingerprint::new(&corefile, self.others.iter().map(other).collect()))
    }
}

/// Looks at files every now and then.
pub struct Watch {
    path: PathBuf,
    dns_port: u16,
    seen: Fingerprint,
    period: Reload,
}

impl Watch {
    /// Watches the Corefile at `path`, which was `seen` so, as it said itself by `reload`.
    pub fn new(path: &Path, dns_port: u16, seen: Fingerprint, reload: Option<Reload>) -> Watch {
        Watch { path: path.to_owned(), dns_port, seen, period: reload.unwrap_or(Reload::Off) }
    }

    /// Notes that the files were read and `seen` so, whatever came of it.
    pub fn read(&mut self, seen: Fingerprint) {
        self.seen = seen;
    }

    /// Goes on as the configuration that was taken says.
    pub fn follow(&mut self, reload: Option<Reload>) {
        self.period = reload.unwrap_or(Reload::Off);
    }

    /// What the files held when they were read.
    pub fn seen(&self) -> &Fingerprint {
        &self.seen
    }

    /// Ends when the files are not as they were seen, and have come to rest; says how they are seen then. Never, when they are not watched.
    ///
    /// A Corefile that cannot be read is being replaced, as some editors do it: it is told, and no change.
    pub async fn changed(&self) -> Fingerprint {
        let Reload::Every { interval, jitter } = self.period else { return std::future::pending().await };
        let (mut before, mut told) = (None, false);
        loop {
            let wait = if before.is_some() { SETTLING } else { wait(interval, jitter, rand::random()) };
            tokio::time::sleep(wait).await;
            let (seen, path, dns_port) = (self.seen.clone(), self.path.clone(), self.dns_port);
            let looking = tokio::task::spawn_blocking(move || seen.again(&path, dns_port));
            let Ok(Some(now)) = looking.await else {
                if !told {
                    warn!(file = %self.path.display(), "cannot be read now; the running configuration is kept");
                }
                (before, told) = (None, true);
                continue;
            };
            if now != self.seen && before.as_ref() == Some(&now) {
                return now;
            }
            before = (now != self.seen).then_some(now);
        }
    }
}

/// The time until the next look: `interval`, longer or shorter by half of `jitter` at most, by `chance` from 0 to 1.
fn wait(interval: Duration, jitter: Duration, chance: f64) -> Duration {
    (interval + jitter.mul_f64(chance)).saturating_sub(jitter / 2)
}

/// How long a changed file must stay as it is before it is read.
const SETTLING: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::config::{self, Lasting};
    use crate::testing::certificate;

    /// A folder whose Corefile imports a file, and its watch.
    fn watched(dir: &TempDir) -> Watch {
        let path = dir.path().join("Corefile");
        fs::write(&path, "import *.conf\n").unwrap();
        fs::write(dir.path().join("a.conf"), "example.org {\n reload 10s 2s\n whoami\n}\n").unwrap();
        watch_of(&path)
    }

    fn watch_of(path: &Path) -> Watch {
        let findings = config::load(path, 53, &Lasting::default());
        let configuration = findings.configuration.expect("no errors");
        Watch::new(path, 53, findings.fingerprint, configuration.reload)
    }

    /// Whether a change is noticed within a minute, in which nothing else happens: the time of these tests runs when all is idle.
    async fn notices(watch: &Watch) -> bool {
        tokio::time::timeout(Duration::from_secs(60), watch.changed()).await.is_ok()
    }

    #[test]
    fn look_comes_within_half_of_the_jitter() {
        let (interval, jitter) = (Duration::from_secs(10), Duration::from_secs(4));
        assert_eq!(wait(interval, jitter, 0.0), Duration::from_secs(8));
        assert_eq!(wait(interval, jitter, 0.5), interval);
        assert_eq!(wait(interval, jitter, 1.0), Duration::from_secs(12));
    }

    #[tokio::test(start_paused = true)]
    async fn changed_file_is_noticed_and_one_written_as_it_was_is_not() {
        let dir = TempDir::new().unwrap();
        let mut watch = watched(&dir);
        assert!(!notices(&watch).await);
        let text = fs::read_to_string(dir.path().join("a.conf")).unwrap();
        fs::write(dir.path().join("a.conf"), &text).unwrap();
        assert!(!notices(&watch).await, "same content");
        fs::write(dir.path().join("a.conf"), format!("{text}# more\n")).unwrap();
        assert!(notices(&watch).await, "imported file");
        watch = watch_of(&dir.path().join("Corefile"));
        assert!(!notices(&watch).await);
        fs::write(dir.path().join("b.conf"), "example.net {\n whoami\n}\n").unwrap();
        assert!(notices(&watch).await, "file that the pattern finds now");
        watch = watch_of(&dir.path().join("Corefile"));
        fs::remove_file(dir.path().join("b.conf")).unwrap();
        assert!(notices(&watch).await, "file that is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn file_that_was_refused_is_not_noticed_again_until_it_changes_once_more() {
        let dir = TempDir::new().unwrap();
        let mut watch = watched(&dir);
        fs::write(dir.path().join("a.conf"), "example.org {\n nosuch\n}\n").unwrap();
        assert!(notices(&watch).await);
        let findings = config::load(&dir.path().join("Corefile"), 53, &Lasting::default());
        assert!(findings.configuration.is_none());
        watch.read(findings.fingerprint);
        assert!(!notices(&watch).await);
        fs::write(dir.path().join("a.conf"), "example.org {\n whoami\n}\n").unwrap();
        assert!(notices(&watch).await);
    }

    #[tokio::test(start_paused = true)]
    async fn change_that_was_told_is_told_once_though_reading_it_may_fail_in_every_way() {
        let dir = TempDir::new().unwrap();
        let mut watch = watched(&dir);
        fs::write(dir.path().join("a.conf"), "example.org {\n whoami\n}\n").unwrap();
        let seen = tokio::time::timeout(Duration::from_secs(60), watch.changed()).await.unwrap();
        watch.read(seen);
        assert!(!notices(&watch).await);
    }

    #[tokio::test(start_paused = true)]
    async fn corefile_that_is_away_and_comes_back_as_it_was_is_no_change() {
        let dir = TempDir::new().unwrap();
        let watch = watched(&dir);
        let path = dir.path().join("Corefile");
        fs::remove_file(&path).unwrap();
        assert!(!notices(&watch).await);
        fs::write(&path, "import *.conf\n").unwrap();
        assert!(!notices(&watch).await);
        fs::write(&path, "import *.conf\n# more\n").unwrap();
        assert!(notices(&watch).await);
    }

    #[tokio::test(start_paused = true)]
    async fn file_that_goes_on_changing_is_left_alone_until_it_rests() {
        let dir = TempDir::new().unwrap();
        let watch = watched(&dir);
        let changing = async {
            for round in 0.. {
                fs::write(dir.path().join("a.conf"), format!("# {round}\n")).unwrap();
                tokio::time::sleep(SETTLING / 2).await;
            }
        };
        tokio::select! {
            noticed = notices(&watch) => assert!(!noticed),
            () = changing => {}
        }
        assert!(notices(&watch).await);
    }

    #[tokio::test(start_paused = true)]
    async fn renewed_certificate_is_a_change_and_one_that_cannot_be_read_is_none() {
        let (dir, files, _) = certificate();
        let corefile = dir.path().join("Corefile");
        fs::write(&corefile, "tls://. {\n tls cert.pem key.pem\n reload\n whoami\n}\n").unwrap();
        let watch = watch_of(&corefile);
        assert!(!notices(&watch).await);
        let (_other, renewed, _) = certificate();
        fs::remove_file(&files.key).unwrap();
        assert!(!notices(&watch).await, "there is nothing to take");
        fs::copy(&renewed.key, &files.key).unwrap();
        assert!(notices(&watch).await);
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_directive_nothing_is_noticed() {
        let dir = TempDir::new().unwrap();
        for text in ["example.org {\n whoami\n}\n", "example.org {\n reload off\n whoami\n}\n"] {
            let path = dir.path().join("Corefile");
            fs::write(&path, text).unwrap();
            let watch = watch_of(&path);
            fs::write(&path, "# nothing\n").unwrap();
            assert!(!notices(&watch).await, "{text}");
        }
    }

    #[test]
    fn digest_tells_contents_apart() {
        let dir = TempDir::new().unwrap();
        let first = watched(&dir).seen.digest();
        assert_eq!(watched(&dir).seen.digest(), first);
        fs::write(dir.path().join("b.conf"), "example.net {\n whoami\n}\n").unwrap();
        assert_ne!(watched(&dir).seen.digest(), first);
    }
}
