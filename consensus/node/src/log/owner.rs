//! Whose a log is, seen from outside: by its first record alone, without the lock, while another process may be writing to it.
//!
//! For those who check a configuration. A node that starts reads the whole log and judges it itself.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use certificate::codec::Decode as _;
use certificate::{Digest, ReplicaId};
use pbft::Record;

use super::folder::{segment_path, segments_in};
use super::record::{HEADER_BYTES, PREFIX_BYTES, RECORD_BYTES_MAX, SegmentHeader, StoredRecord};

/// Whose the log in a state folder is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// There is no log, or no folder.
    Nobody,
    /// A replica under one cluster file.
    Replica {
        /// The digest of the cluster file.
        cluster: Digest,
        /// The replica.
        me: ReplicaId,
    },
    /// Its first record cannot be understood, or went away just now. A start of the node says what is wrong.
    Unknown,
}

/// Whose the log in the folder `state` is. Changes nothing and takes no lock.
///
/// Errors: the folder or the log's first file cannot be read.
pub fn owner(state: &Path) -> io::Result<Owner> {
    let segments = match segments_in(state) {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(Owner::Nobody),
        segments => segments?,
    };
    let Some(&first) = segments.first() else { return Ok(Owner::Nobody) };
    match first_record(&segment_path(state, first)) {
        // A checkpoint may have replaced it since.
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(Owner::Unknown),
        record => Ok(record?.and_then(|record| named_in(&record)).unwrap_or(Owner::Unknown)),
    }
}

fn named_in(record: &[u8]) -> Option<Owner> {
    match Record::from_bytes(record).ok()? {
        Record::Genesis { cluster_digest, me }
        | Record::Learner { cluster_digest, me }
        | Record::Stable { cluster_digest, me, .. } => Some(Owner::Replica { cluster: cluster_digest, me }),
        _ => None,
    }
}

/// The payload of the first record in a segment, and no more of it; `None` when that is damaged.
fn first_record(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.by_ref().take((HEADER_BYTES + PREFIX_BYTES) as u64).read_to_end(&mut bytes)?;
    let Some(header) = SegmentHeader::decode(&bytes) else { return Ok(None) };
    let Some(length) = bytes.get(HEADER_BYTES..HEADER_BYTES + 4) else { return Ok(None) };
    let length = u32::from_be_bytes(length.try_into().expect("four bytes were asked for")) as usize;
    if length > RECORD_BYTES_MAX {
        return Ok(None);
    }
    file.take(length as u64).read_to_end(&mut bytes)?;
    let record = StoredRecord::at(&bytes, HEADER_BYTES, header.first_record);
    Ok(record.filter(|record| record.number == header.first_record).map(|record| record.payload.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::initialise_sized;
    use crate::testing::Setting;

    /// What is in a folder, by name.
    fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        entries.map(|it| (it.file_name().into_string().unwrap(), fs::read(it.path()).unwrap())).collect()
    }

    fn begun() -> (tempfile::TempDir, Owner) {
        let (folder, cluster) = (tempfile::tempdir().unwrap(), Setting::new().cluster);
        initialise_sized(folder.path(), &cluster, ReplicaId(2), 4096).unwrap();
        (folder, Owner::Replica { cluster: cluster.digest(), me: ReplicaId(2) })
    }

    #[test]
    fn first_record_says_whose_the_log_is_and_looking_changes_nothing() {
        let (folder, expected) = begun();
        let before = files(folder.path());
        assert_eq!(owner(folder.path()).unwrap(), expected);
        assert_eq!(files(folder.path()), before);
    }

    #[test]
    fn locked_log_can_be_looked_at() {
        let (folder, expected) = begun();
        let _lock = crate::log::StateFolder::lock(folder.path()).unwrap();
        assert_eq!(owner(folder.path()).unwrap(), expected);
    }

    #[test]
    fn absent_and_empty_folders_are_nobodys_and_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        assert_eq!(owner(&absent).unwrap(), Owner::Nobody);
        assert!(!absent.exists());
        assert_eq!(owner(folder.path()).unwrap(), Owner::Nobody);
        fs::write(folder.path().join("log-spare-0"), "").unwrap();
        assert_eq!(owner(folder.path()).unwrap(), Owner::Nobody);
        assert_eq!(files(folder.path()).len(), 1);
    }

    #[test]
    fn log_cut_or_changed_anywhere_in_its_first_record_is_of_nobody_known() {
        let (folder, _) = begun();
        let path = segment_path(folder.path(), 1);
        let whole = fs::read(&path).unwrap();
        let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        for at in 0..used {
            let mut changed = whole.clone();
            changed[at] ^= 0x80;
            for bytes in [&whole[..at], &changed] {
                fs::write(&path, bytes).unwrap();
                assert_eq!(owner(folder.path()).unwrap(), Owner::Unknown, "{at}");
            }
        }
    }

    #[test]
    fn file_in_place_of_the_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state");
        fs::write(&file, "").unwrap();
        assert!(owner(&file).is_err());
    }
}
