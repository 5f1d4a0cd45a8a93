//! When this replica's log began, so that its peers notice an earlier one that is brought back.
//!
//! A replica that lost its log begins another and votes by it later. The earlier log does not hold those votes: whoever starts on it, from a
//! backup or from a disk that is mounted again, could sign twice. Its Hello says when its log began, and a peer that has met a later log of the same
//! replica refuses it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// In milliseconds since 1970; `FIRST` for the log that `quorate cluster new` wrote. Not kept with the records, which a checkpoint replaces.
pub(crate) const FIRST: u64 = 0;

const FILE: &str = "log-began";

/// Reads when the log in `folder` began.
///
/// Errors: the file is there and cannot be read, or holds no number.
pub(crate) fn read(folder: &Path) -> io::Result<u64> {
    match fs::read_to_string(folder.join(FILE)) {
        Ok(text) => text.trim().parse().map_err(|wrong| io::Error::new(io::ErrorKind::InvalidData, wrong)),
        Err(reason) if reason.kind() == io::ErrorKind::NotFound => Ok(FIRST),
        Err(reason) => Err(reason),
    }
}

/// Notes that a log begins at `wall_ms`, before it does. Later than any that is noted already, wherever the clock stands.
pub(crate) fn write(folder: &Path, wall_ms: u64) -> io::Result<()> {
    let began = wall_ms.max(read(folder).unwrap_or(FIRST).saturating_add(1));
    let unfinished = folder.join("log-began.new");
    let mut file = File::create(&unfinished)?;
    writeln!(file, "{began}")?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(FILE))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_without_a_note_is_the_first() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), FIRST);
    }

    #[test]
    fn each_log_begins_later_than_the_one_before_even_when_the_clock_steps_back() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 5000).unwrap();
        assert_eq!(read(folder.path()).unwrap(), 5000);
        write(folder.path(), 3000).unwrap();
        assert_eq!(read(folder.path()).unwrap(), 5001);
    }

    #[test]
    fn note_that_is_none_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "yesterday").unwrap();
        assert!(read(folder.path()).is_err());
    }
}
