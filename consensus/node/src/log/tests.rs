//! The log cut, damaged and failed at every place.

use std::collections::BTreeMap;
use std::fs;

use super::memory::MemoryStorage;
use super::*;

const SMALL: u64 = 512;

fn open(storage: &MemoryStorage) -> Result<Recovered, LogError> {
    Wal::open(storage.boxed(), SMALL, "state")
}

fn payload(number: u8) -> Vec<u8> {
    vec![number; 5 + usize::from(number) % 7]
}

/// A log of records 1, 2, ... in groups of these sizes, every group synced; and how many bytes of the last segment it uses.
fn written(groups: &[u8]) -> (MemoryStorage, Vec<Vec<u8>>, usize) {
    let storage = MemoryStorage::default();
    let mut wal = Wal::create(storage.boxed(), SMALL, &payload(1)).unwrap();
    let mut payloads = vec![payload(1)];
    for &size in groups {
        for _ in 0..size {
            let next = payload(payloads.len() as u8 + 1);
            wal.append(&next).unwrap();
            payloads.push(next);
        }
        wal.commit(true).unwrap();
    }
    let used = wal.used_bytes() as usize;
    (storage, payloads, used)
}

fn is_prefix(found: &[Vec<u8>], whole: &[Vec<u8>]) -> bool {
    found.len() <= whole.len() && found == &whole[..found.len()]
}

#[test]
fn everything_synced_is_read_back_across_segments() {
    let (storage, payloads, _) = written(&[1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(storage.disk().segments.len() > 2);
    let recovered = open(&storage).unwrap();
    assert_eq!(recovered.records, payloads);
    assert_eq!(recovered.discarded, None);
}

#[test]
fn log_goes_on_after_every_restart() {
    let (storage, mut payloads, _) = written(&[2]);
    for number in 100..140 {
        let mut recovered = open(&storage).unwrap();
        assert_eq!(recovered.records, payloads);
        recovered.wal.append(&payload(number)).unwrap();
        recovered.wal.commit(true).unwrap();
        payloads.push(payload(number));
    }
}

#[test]
fn writes_lost_from_any_byte_on_leave_what_was_before_them() {
    let (storage, payloads, used) = written(&[1, 2, 3]);
    let whole = storage.disk().segments[&1].clone();
    let header = record::HEADER_BYTES;
    let mut counts = Vec::new();
    for cut in header..=used {
        let mut bytes = whole.clone();
        bytes[cut..].fill(0);
        let storage = MemoryStorage::with(BTreeMap::from([(1, bytes)]));
        match open(&storage) {
            Ok(recovered) => {
                assert!(is_prefix(&recovered.records, &payloads), "cut at {cut}");
                counts.push(recovered.records.len());
                // What was torn is gone for good: a second reading finds the same, and nothing to discard.
                let again = open(&storage).unwrap();
                assert_eq!(again.records, recovered.records);
                assert_eq!(again.discarded, None);
            }
            Err(error) => {
                assert!(matches!(error, LogError::Damaged { .. }), "cut at {cut}: {error}");
                assert!(counts.is_empty(), "only a cut in the first record leaves nothing to start from");
            }
        }
    }
    assert!(counts.is_sorted());
    assert_eq!((counts[0], *counts.last().unwrap()), (1, payloads.len()));
}

#[test]
fn file_shorter_than_it_was_made_is_refused_at_every_length() {
    let (storage, _, _) = written(&[1, 2, 3]);
    let whole = storage.disk().segments[&1].clone();
    for length in 0..whole.len() {
        let storage = MemoryStorage::with(BTreeMap::from([(1, whole[..length].to_vec())]));
        let error = open(&storage).err().expect("cut");
        assert!(error.to_string().contains("log-0000000000000001"), "{error}");
    }
}

#[test]
fn flipped_byte_is_refused_or_costs_at_most_the_last_group() {
    let (storage, payloads, used) = written(&[1, 2, 3]);
    let whole = storage.disk().segments[&1].clone();
    for at in 0..used {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let storage = MemoryStorage::with(BTreeMap::from([(1, bytes)]));
            match open(&storage) {
                Ok(recovered) => {
                    assert!(is_prefix(&recovered.records, &payloads), "flip at {at}");
                    assert!(
                        recovered.records.len() >= payloads.len() - 3,
                        "flip at {at} lost a synced group"
                    );
                    assert!(recovered.discarded.is_some() || recovered.records.len() < payloads.len());
                }
                Err(LogError::Damaged { offset, .. }) => assert!(offset as usize <= at, "flip at {at}"),
                Err(error) => panic!("flip at {at}: {error}"),
            }
        }
    }
}

#[test]
fn record_damaged_in_the_middle_is_refused_with_file_and_offset() {
    let (storage, _, _) = written(&[1, 1, 1]);
    let second = record::HEADER_BYTES + record::PREFIX_BYTES + payload(1).len();
    storage.disk().segments.get_mut(&1).unwrap()[second + record::PREFIX_BYTES] ^= 1;
    let error = open(&storage).err().unwrap();
    let expected = format!("`log-0000000000000001`: expected record 2 at byte {second}, found damage");
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn zeroed_page_in_the_middle_is_refused() {
    let (storage, _, used) = written(&[1, 1, 1, 1]);
    let second = record::HEADER_BYTES + record::PREFIX_BYTES + payload(1).len();
    storage.disk().segments.get_mut(&1).unwrap()[second..used - 40].fill(0);
    assert!(matches!(open(&storage), Err(LogError::Damaged { .. })));
}

#[test]
fn damage_anywhere_in_a_segment_that_another_follows_is_refused() {
    let (storage, _, _) = written(&[4, 4, 4, 4, 4]);
    let disk = storage.disk().segments.clone();
    let first_used = disk[&1].iter().rposition(|byte| *byte != 0).unwrap();
    for at in 0..=first_used {
        let mut segments = disk.clone();
        segments.get_mut(&1).unwrap()[at] ^= 1;
        let result = open(&MemoryStorage::with(segments));
        assert!(matches!(result, Err(LogError::Damaged { .. })), "flip at {at}");
    }
}

#[test]
fn missing_segment_in_the_middle_or_at_the_start_is_refused() {
    let (storage, _, _) = written(&[8, 8, 8, 8]);
    let disk = storage.disk().segments.clone();
    assert!(disk.len() >= 3);
    for missing in 1..disk.len() as u64 {
        let mut segments = disk.clone();
        segments.remove(&missing);
        assert!(matches!(open(&MemoryStorage::with(segments)), Err(LogError::Damaged { .. })), "{missing}");
    }
}

#[test]
fn segment_under_another_name_is_refused() {
    let (storage, _, _) = written(&[1]);
    let segment = storage.disk().segments.remove(&1).unwrap();
    let result = open(&MemoryStorage::with(BTreeMap::from([(2, segment)])));
    assert!(matches!(result, Err(LogError::Damaged { offset: 8, .. })));
}

#[test]
fn group_that_reached_the_disk_in_any_part_is_discarded_from_its_first_hole() {
    let (storage, payloads, _) = written(&[2]);
    let mut wal = open(&storage).unwrap().wal;
    for number in 50..54 {
        wal.append(&payload(number)).unwrap();
        wal.commit(false).unwrap();
    }
    let writes = std::mem::take(&mut storage.disk().unsynced);
    assert_eq!(writes.len(), 4);
    let whole = storage.disk().segments.clone();
    for lost in 0..16_usize {
        let mut segments = whole.clone();
        for (index, (segment, offset, bytes)) in writes.iter().enumerate() {
            if lost & (1 << index) != 0 {
                let at = *offset as usize;
                segments.get_mut(segment).unwrap()[at..at + bytes.len()].fill(0);
            }
        }
        let recovered = open(&MemoryStorage::with(segments)).unwrap();
        let kept = (lost.trailing_zeros() as usize).min(4);
        assert_eq!(recovered.records.len(), payloads.len() + kept, "lost {lost:04b}");
    }
}

#[test]
fn synced_record_after_an_unsynced_turn_proves_that_turn() {
    let (storage, _, _) = written(&[1]);
    let mut wal = open(&storage).unwrap().wal;
    wal.append(&payload(50)).unwrap();
    wal.commit(false).unwrap();
    let (_, offset, bytes) = storage.disk().unsynced.last().cloned().unwrap();
    wal.append(&payload(51)).unwrap();
    wal.commit(true).unwrap();
    wal.append(&payload(52)).unwrap();
    wal.commit(true).unwrap();
    let at = offset as usize;
    storage.disk().segments.get_mut(&1).unwrap()[at..at + bytes.len()].fill(0);
    assert!(matches!(open(&storage), Err(LogError::Damaged { offset, .. }) if offset as usize == at));
}

#[test]
fn empty_storage_holds_no_log() {
    let error = open(&MemoryStorage::default()).err().unwrap();
    assert!(matches!(error, LogError::Missing { .. }));
}

#[test]
fn first_log_is_never_written_over_another() {
    let (storage, _, _) = written(&[1]);
    let refused = Wal::create(storage.boxed(), SMALL, b"genesis").err().unwrap();
    assert!(matches!(refused, LogError::Exists { .. }));
}

#[test]
fn failed_sync_is_final() {
    let (storage, _, _) = written(&[1]);
    let mut wal = open(&storage).unwrap().wal;
    wal.append(b"vote").unwrap();
    storage.disk().fail_syncs = true;
    assert!(matches!(wal.commit(true), Err(LogError::Io { action: "syncing", .. })));
    storage.disk().fail_syncs = false;
    assert!(matches!(wal.commit(true), Err(LogError::Failed)));
    assert!(matches!(wal.append(b"vote"), Err(LogError::Failed)));
    assert!(matches!(wal.append_head(b"vote"), Err(LogError::Failed)));
}

#[test]
fn failed_write_is_final() {
    let (storage, _, _) = written(&[1]);
    let mut wal = open(&storage).unwrap().wal;
    storage.disk().fail_writes = true;
    wal.append(b"vote").unwrap();
    assert!(matches!(wal.commit(false), Err(LogError::Io { action: "writing", .. })));
    storage.disk().fail_writes = false;
    assert!(matches!(wal.commit(false), Err(LogError::Failed)));
}

#[test]
fn older_segments_go_only_after_the_new_head_is_synced() {
    let (storage, _, _) = written(&[4, 4, 4, 4]);
    let mut wal = open(&storage).unwrap().wal;
    let before = wal.segment_count();
    wal.append_head(b"checkpoint").unwrap();
    wal.append(b"vote").unwrap();
    wal.commit(false).unwrap();
    assert_eq!(storage.disk().segments.len(), before + 1);
    assert!(wal.wants_sync());
    wal.commit(true).unwrap();
    assert_eq!(storage.disk().segments.len(), 1);
    assert_eq!(open(&storage).unwrap().records, [b"checkpoint".to_vec(), b"vote".to_vec()]);
}

#[test]
fn crash_between_the_removals_leaves_a_log_that_can_be_read() {
    let (storage, payloads, _) = written(&[8, 8, 8]);
    let mut wal = open(&storage).unwrap().wal;
    wal.append_head(b"checkpoint").unwrap();
    wal.commit(false).unwrap();
    let before = storage.disk().segments.clone();
    assert!(before.len() >= 3);
    let whole = open(&MemoryStorage::with(before)).unwrap();
    assert_eq!(whole.records.len(), payloads.len() + 1);
    wal.commit(true).unwrap();
    assert_eq!(open(&storage).unwrap().records, [b"checkpoint".to_vec()]);
}

#[test]
fn leftovers_of_a_recycled_segment_are_never_read_as_records() {
    let (storage, _, _) = written(&[2]);
    let mut expected = Vec::new();
    for round in 0..30_u8 {
        let mut wal = open(&storage).unwrap().wal;
        wal.append_head(&payload(round)).unwrap();
        expected = vec![payload(round)];
        for extra in 0..round % 5 {
            wal.append(&payload(extra)).unwrap();
            expected.push(payload(extra));
        }
        wal.commit(true).unwrap();
        let recovered = open(&storage).unwrap();
        assert_eq!(recovered.records, expected);
        assert_eq!(recovered.discarded, None);
    }
    assert!(!expected.is_empty());
}

#[test]
fn record_longer_than_a_segment_gets_a_segment_of_its_own() {
    let (storage, mut payloads, _) = written(&[1]);
    let mut wal = open(&storage).unwrap().wal;
    for record in [vec![8; 5000], vec![9; 10]] {
        wal.append(&record).unwrap();
        payloads.push(record);
    }
    wal.commit(true).unwrap();
    assert_eq!(open(&storage).unwrap().records, payloads);
    assert!(matches!(wal.append(&[]), Err(LogError::RecordLength { bytes: 0 })));
    let too_long = vec![0; RECORD_BYTES_MAX + 1];
    assert!(matches!(wal.append(&too_long), Err(LogError::RecordLength { .. })));
}

fn folder_log(path: &std::path::Path) -> Result<Recovered, LogError> {
    let folder = SegmentFolder::new(StateFolder::lock(path).unwrap());
    Wal::open(Box::new(folder), SMALL, &path.display().to_string())
}

#[test]
fn second_use_of_a_state_folder_is_refused_until_the_first_ends() {
    let folder = tempfile::tempdir().unwrap();
    let first = StateFolder::lock(folder.path()).unwrap();
    let refused = StateFolder::lock(folder.path()).unwrap_err();
    assert!(matches!(refused, FolderError::Locked { .. }));
    assert!(refused.to_string().contains("must not vote twice"), "{refused}");
    drop(first);
    StateFolder::lock(folder.path()).unwrap();
}

#[test]
fn log_on_disk_stays_bounded_and_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut storage = SegmentFolder::new(StateFolder::create(&path).unwrap());
    storage.prepare_spare(SMALL);
    drop(Wal::create(Box::new(storage), SMALL, b"genesis").unwrap());
    let mut last = Vec::new();
    for round in 0..20_u8 {
        let mut wal = folder_log(&path).unwrap().wal;
        for number in 0..40 {
            wal.append(&payload(number)).unwrap();
        }
        wal.append_head(&payload(round)).unwrap();
        wal.append(b"vote").unwrap();
        wal.commit(true).unwrap();
        drop(wal);
        last = vec![payload(round), b"vote".to_vec()];
        let bytes: u64 =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!(bytes <= 3 * SMALL, "{bytes} bytes after round {round}");
    }
    assert_eq!(folder_log(&path).unwrap().records, last);
}

/// The files of the segments and spares, by inode.
fn inodes(path: &std::path::Path) -> std::collections::BTreeSet<u64> {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let logs = entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with("log-"));
    logs.map(|entry| entry.metadata().unwrap().ino()).collect()
}

#[test]
fn segments_are_recycled_also_when_a_checkpoint_takes_several() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut storage = SegmentFolder::new(StateFolder::create(&path).unwrap());
    storage.prepare_spare(SMALL);
    drop(Wal::create(Box::new(storage), SMALL, b"genesis").unwrap());
    let mut seen = Vec::new();
    for round in 0..30_u8 {
        let mut wal = folder_log(&path).unwrap().wal;
        // States of many sizes, all of them longer than a segment.
        wal.append_head(&vec![7; SMALL as usize + 200 + 2 * usize::from(round)]).unwrap();
        for number in 0..12 {
            wal.append(&payload(number)).unwrap();
        }
        wal.commit(true).unwrap();
        drop(wal);
        seen.push(inodes(&path));
    }
    assert_eq!(seen[5..].iter().flatten().collect::<std::collections::BTreeSet<_>>().len(), seen[5].len());
    let lengths = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    assert!(lengths.sum::<u64>() <= 6 * SMALL);
}

#[test]
fn spares_of_a_size_that_is_not_wanted_any_more_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let storage = SegmentFolder::new(StateFolder::create(&path).unwrap());
    drop(Wal::create(Box::new(storage), SMALL, b"genesis").unwrap());
    let rounds = [vec![SMALL as usize * 4; 6], vec![10; 6]].concat();
    for length in rounds {
        let mut wal = folder_log(&path).unwrap().wal;
        wal.append_head(&vec![7; length]).unwrap();
        for number in 0..30 {
            wal.append(&payload(number)).unwrap();
        }
        wal.commit(true).unwrap();
    }
    let lengths = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    assert!(lengths.sum::<u64>() <= 5 * SMALL);
}

#[test]
fn longest_record_of_a_replica_fits_the_log_whatever_the_segment() {
    let storage = MemoryStorage::default();
    let mut wal = Wal::create(storage.boxed(), SEGMENT_BYTES, b"genesis").unwrap();
    let state = vec![7; pbft::RECORD_BYTES_MAX];
    assert!(state.len() as u64 > SEGMENT_BYTES);
    wal.append_head(&state).unwrap();
    wal.append(b"vote").unwrap();
    wal.commit(true).unwrap();
    assert_eq!(wal.segment_count(), 1, "the votes behind it have room");
    let recovered = Wal::open(storage.boxed(), SEGMENT_BYTES, "state").unwrap();
    assert!(recovered.records == [state, b"vote".to_vec()]);
}

#[test]
fn new_replica_takes_no_more_than_32_mib_of_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut storage = SegmentFolder::new(StateFolder::create(folder.path()).unwrap());
    storage.prepare_spare(SEGMENT_BYTES);
    drop(Wal::create(Box::new(storage), SEGMENT_BYTES, b"genesis").unwrap());
    let lengths = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    assert!(lengths.sum::<u64>() <= 32 << 20);
}

#[test]
fn state_folder_and_segments_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/state");
    let storage = SegmentFolder::new(StateFolder::create(&path).unwrap());
    drop(Wal::create(Box::new(storage), SMALL, b"genesis").unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&path).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
