//! The state folder: locked by one process, its segments as files.
//!
//! A segment is zeroed to its full size before it has its name, so that a sync of a record writes data alone and never the
//! file's size. Removed segments are kept as spares, and a first spare is made in the background: beginning a segment costs a
//! rename, not the writing of 16 MiB while votes wait.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use thiserror::Error;

use super::storage::Storage;

/// Removed segments that are kept: the head of a checkpoint and what followed it.
const SPARES_MAX: usize = 2;

/// Why a state folder cannot be used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// Another process, or another node of this one, runs on it.
    #[error("`{path}` is locked: another node uses this state folder, and one key must not vote twice")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("opening state folder `{path}`: {source}")]
    Io {
        /// The folder or the lock file.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: io::Error,
    },
}

/// A state folder that this process alone uses, as long as the value lives.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    _lock: File,
}

impl StateFolder {
    /// Locks the folder, which must exist.
    ///
    /// Errors: `Locked` when another node holds it, `Io` otherwise.
    pub fn lock(path: &Path) -> Result<StateFolder, FolderError> {
        let lock_path = path.join("lock");
        let refused = |source| FolderError::Io { path: lock_path.clone(), source };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(refused)?;
        match file.try_lock() {
            Ok(()) => Ok(StateFolder { path: path.to_owned(), _lock: file }),
            Err(TryLockError::WouldBlock) => Err(FolderError::Locked { path: lock_path }),
            Err(TryLockError::Error(source)) => Err(refused(source)),
        }
    }

    /// Makes the folder when it does not exist, readable by its owner alone, and locks it.
    ///
    /// Errors: as `lock`.
    pub fn create(path: &Path) -> Result<StateFolder, FolderError> {
        let refused = |source| FolderError::Io { path: path.to_owned(), source };
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(path).map_err(refused)?;
        StateFolder::lock(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Segments as files `log-NUMBER` of a locked state folder.
pub struct SegmentFolder {
    folder: StateFolder,
    open: Option<(u64, File)>,
    spare_maker: Option<JoinHandle<io::Result<()>>>,
}

impl SegmentFolder {
    /// Keeps the folder locked as long as the log lives.
    pub fn new(folder: StateFolder) -> SegmentFolder {
        SegmentFolder { folder, open: None, spare_maker: None }
    }

    /// Starts to make a spare segment of `bytes` bytes in the background, unless there is a spare.
    pub fn prepare_spare(&mut self, bytes: u64) {
        if self.spares().next().is_some() || self.spare_maker.is_some() {
            return;
        }
        let (path, folder) = (self.spare_path(0), self.folder.path.clone());
        let build = move || {
            let unfinished = folder.join("log-spare.new");
            write_zeroed(&unfinished, bytes, &[])?;
            fs::rename(&unfinished, &path)?;
            sync_folder(&folder)
        };
        self.spare_maker = std::thread::Builder::new().name("log-spare".to_owned()).spawn(build).ok();
    }

    fn path_of(&self, segment: u64) -> PathBuf {
        segment_path(&self.folder.path, segment)
    }

    fn spare_path(&self, place: usize) -> PathBuf {
        self.folder.path.join(format!("log-spare-{place}"))
    }

    /// The spares that are there, with their sizes.
    fn spares(&self) -> impl Iterator<Item = (PathBuf, u64)> + '_ {
        let paths = (0..SPARES_MAX).map(|place| self.spare_path(place));
        paths.filter_map(|path| fs::metadata(&path).ok().map(|metadata| (path, metadata.len())))
    }

    fn file(&mut self, segment: u64) -> io::Result<&File> {
        if self.open.as_ref().is_none_or(|(number, _)| *number != segment) {
            let file = OpenOptions::new().read(true).write(true).open(self.path_of(segment))?;
            self.open = Some((segment, file));
        }
        Ok(&self.open.as_ref().expect("opened above").1)
    }
}

/// The numbers of the segments in a state folder, lowest first.
pub(super) fn segments_in(folder: &Path) -> io::Result<Vec<u64>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("log-"));
        segments
            .extend(number.filter(|digits| digits.len() == 16).and_then(|digits| digits.parse::<u64>().ok()));
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Where a segment is in a state folder.
pub(super) fn segment_path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("log-{segment:016}"))
}

impl Storage for SegmentFolder {
    fn segments(&mut self) -> io::Result<Vec<u64>> {
        segments_in(&self.folder.path)
    }

    fn read(&mut self, segment: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path_of(segment))?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn create(&mut self, segment: u64, bytes: u64, head: &[u8]) -> io::Result<()> {
        let path = self.path_of(segment);
        if path.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let spare = self.spares().find(|(_, length)| *length == bytes);
        if let Some((spare, _)) = spare {
            let file = OpenOptions::new().write(true).open(&spare)?;
            file.write_all_at(head, 0)?;
            file.sync_all()?;
            fs::rename(&spare, &path)?;
        } else {
            // What is there is of a size that was wanted earlier.
            if let Some((other, _)) = self.spares().next() {
                fs::remove_file(other)?;
            }
            let unfinished = self.folder.path.join("log.new");
            write_zeroed(&unfinished, bytes, head)?;
            fs::rename(&unfinished, &path)?;
        }
        sync_folder(&self.folder.path)
    }

    fn write(&mut self, segment: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(segment)?.write_all_at(bytes, offset)
    }

    fn sync(&mut self, segment: u64) -> io::Result<()> {
        self.file(segment)?.sync_data()
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        let path = self.path_of(segment);
        if self.open.as_ref().is_some_and(|(number, _)| *number == segment) {
            self.open = None;
        }
        match (0..SPARES_MAX).map(|place| self.spare_path(place)).find(|spare| !spare.exists()) {
            Some(spare) => fs::rename(path, spare)?,
            None => fs::remove_file(path)?,
        }
        sync_folder(&self.folder.path)
    }

    fn name(&self, segment: u64) -> String {
        self.path_of(segment).display().to_string()
    }
}

impl Drop for SegmentFolder {
    fn drop(&mut self) {
        // The folder is unlocked after this; nobody may write to it then.
        if let Some(maker) = self.spare_maker.take() {
            let _ = maker.join();
        }
    }
}

/// Writes a file that starts with `head` and is `bytes` long; the rest is zeros that take room on the disk.
fn write_zeroed(path: &Path, bytes: u64, head: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(head)?;
    let zeros = vec![0; 1 << 20];
    let mut left = bytes.saturating_sub(head.len() as u64);
    while left > 0 {
        let length = left.min(zeros.len() as u64);
        file.write_all(&zeros[..length as usize])?;
        left -= length;
    }
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
