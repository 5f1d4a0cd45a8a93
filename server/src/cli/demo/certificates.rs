//! Certificates in the demo's zone, good ones and bad ones, and what `ct-verify` judges them by.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use transparency::Moment;

/// The records. Relative names, as in the zone that they are put behind.
pub(super) const RECORDS: &str = include_str!("../../../../zones/certificates/names.zone");

const LOG_LIST: &str = include_str!("../../../../zones/certificates/log_list.json");
/// When the list was made, as it says itself. A list of another day would soon be too old to judge by.
const LOG_LIST_TIME: &str = "2026-06-01T00:00:00Z";
/// Where it says so.
const LOG_LIST_KEY: &str = "\"log_list_timestamp\"";

/// The other files, with their names.
const FILES: [(&str, &str); 4] = [
    ("roots.pem", include_str!("../../../../zones/certificates/roots.pem")),
    ("intermediates.pem", include_str!("../../../../zones/certificates/intermediates.pem")),
    ("good.pem", include_str!("../../../../zones/certificates/good.pem")),
    ("bad.pem", include_str!("../../../../zones/certificates/bad.pem")),
];

/// What the Corefile of every replica says of it.
pub(super) const DIRECTIVES: &str = "    \
    ct-verify {
        mode flag
        mode enforce enforced.ct.example.org
        log-list certificates/log_list.json
        roots certificates/roots.pem
        intermediates certificates/intermediates.pem
        state ct
        audit off
    }
";

/// Writes what a replica needs into its folder, the log list as of now.
///
/// Errors: those of the file system.
pub(super) fn write(replica: &Path, now: SystemTime) -> io::Result<()> {
    let folder = replica.join("certificates");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("log_list.json"), log_list(now))?;
    FILES.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
}

/// The log list as if it had been made at this time.
fn log_list(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Moment::from_milliseconds(since.as_secs() * 1000).to_string();
    let at = LOG_LIST.find(LOG_LIST_KEY).expect("the list says when it was made");
    let (before, from_key) = LOG_LIST.split_at(at);
    before.to_owned() + &from_key.replacen(LOG_LIST_TIME, &now, 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use transparency::log_list::LogList;

    use super::*;

    #[test]
    fn log_list_is_as_young_as_the_demo() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
        let list = LogList::parse(log_list(now).as_bytes()).unwrap();
        let made = list.identity().timestamp;
        assert_eq!(made, Moment::from_milliseconds(1_900_000_000_000));
        assert!(!list.is_stale(made));
    }
}
