//! What evidence a folder holds, by the names of its files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use certificate::ReplicaId;

use super::kind::EvidenceKind;
use super::shelf::{EVIDENCE_FILES_MAX, Topic};

/// One file of evidence, as its name says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Listed {
    /// Its number: later evidence has a higher one.
    pub number: u64,
    /// What it is about.
    pub kind: EvidenceKind,
    /// Who is accused.
    pub replica: ReplicaId,
    /// Where it is.
    pub path: PathBuf,
}

impl Listed {
    /// The name of the file.
    pub fn name(&self) -> String {
        Topic { culprit: self.replica, kind: self.kind }.file_name(self.number)
    }
}

/// The evidence in `folder`, oldest first, at most `EVIDENCE_FILES_MAX` of the newest. None when there is no such folder; files with other names are
/// passed over.
///
/// Errors: those of the operating system.
pub fn list(folder: &Path) -> io::Result<Vec<Listed>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(reason) if reason.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(reason) => return Err(reason),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some((number, topic)) = entry.file_name().to_str().and_then(Topic::from_file_name) {
            let (kind, replica) = (topic.kind, topic.culprit);
            found.push(Listed { number, kind, replica, path: entry.path() });
        }
    }
    found.sort_unstable();
    let surplus = found.len().saturating_sub(EVIDENCE_FILES_MAX);
    found.drain(..surplus);
    Ok(found)
}
