//! What outlives a restart: small files in one folder, each replaced as a whole.
//!
//! A file is the old one or the new one, whatever happens in between. What is read back is judged anew by whoever reads it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing::warn;

/// The folder; without one, nothing is kept.
#[derive(Debug, Default)]
pub struct StateFolder {
    path: Option<PathBuf>,
}

/// One writes at a time, whoever has a folder open: while a reload goes on, blocks of before and after have the same.
static WRITING: Mutex<()> = Mutex::new(());

impl StateFolder {
    /// Opens the folder, and makes it if it is not there. `None`: nothing is kept.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: Option<PathBuf>) -> io::Result<Self> {
        if let Some(path) = &path {
            fs::create_dir_all(path)?;
        }
        Ok(StateFolder { path })
    }

    /// The content of a file, at most so many bytes; `None` if there is none, or it cannot be read.
    pub fn read(&self, name: &str, bytes_max: usize) -> Option<Vec<u8>> {
        let path = self.path.as_ref()?.join(name);
        match read_bounded(&path, bytes_max) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn!(path = %path.display(), %error, "state is not readable, going on without it");
                None
            }
        }
    }

    /// Replaces a file. Does nothing without a folder. Waits for the disk: call it where that may be waited for.
    ///
    /// # Errors
    /// When the disk does not take it; the old file is there then.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let Some(folder) = &self.path else { return Ok(()) };
        let target = folder.join(name);
        let parent = target.parent().unwrap_or(folder);
        fs::create_dir_all(parent)?;
        // One at a time, so that a crash leaves one draft of a file at most, which the next write takes.
        let _one_at_a_time = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let file_name = target.file_name().unwrap_or_default().to_string_lossy();
        let draft = parent.join(format!(".{file_name}.draft"));
        let written = write_through(&draft, bytes)
            .and_then(|()| fs::rename(&draft, &target))
            .and_then(|()| File::open(parent)?.sync_all());
        if written.is_err() {
            // Gone already when it was renamed.
            let _gone = fs::remove_file(&draft);
        }
        written
    }

    /// The names of the files of a folder inside, sorted, at most so many.
    pub fn names(&self, folder: &str, most: usize) -> Vec<String> {
        let Some(path) = &self.path else { return Vec::new() };
        let Ok(entries) = fs::read_dir(path.join(folder)) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).take(most).collect();
        names.sort_unstable();
        names
    }

    /// Where the folder is.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

/// Reads a file that has at most so many bytes.
///
/// # Errors
/// When it cannot be read, or is longer.
pub fn read_bounded(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes_max < bytes.len() {
        let text = format!("more than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || StateFolder::open(Some(folder.path().join("state"))).unwrap();
        open().write("logs/one.json", b"old").unwrap();
        open().write("logs/one.json", b"new").unwrap();
        assert_eq!(open().read("logs/one.json", 3).unwrap(), b"new");
        assert_eq!(open().names("logs", 10), ["one.json"]);
    }

    #[test]
    fn two_who_have_a_folder_open_write_no_mixture() {
        let folder = tempfile::tempdir().unwrap();
        let open = || StateFolder::open(Some(folder.path().to_owned())).unwrap();
        let write = |fill: u8| {
            let state = open();
            move || (0..20).try_for_each(|_| state.write("one", &vec![fill; 1 << 16]))
        };
        std::thread::scope(|scope| {
            let writers = [write(1), write(2)].map(|writer| scope.spawn(writer));
            writers.into_iter().for_each(|writer| writer.join().unwrap().unwrap());
        });
        let read = open().read("one", 1 << 16).unwrap();
        assert!(read.len() == 1 << 16 && read.iter().all(|byte| *byte == read[0]));
    }

    #[test]
    fn file_beyond_the_bound_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(Some(folder.path().to_owned())).unwrap();
        state.write("one", b"four").unwrap();
        assert_eq!(state.read("one", 3), None);
        assert_eq!(state.read("two", 3), None);
    }

    #[test]
    fn without_a_folder_nothing_is_kept() {
        let state = StateFolder::open(None).unwrap();
        state.write("one", b"bytes").unwrap();
        assert_eq!(state.read("one", 10), None);
    }
}
