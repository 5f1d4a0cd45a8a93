//! The disk of one replica: an append-only stream of records, of which a crash may tear, lose, reorder or spoil what no sync completed.
//!
//! Records stand in frames with length and checksum, as in the log of `node`. Writes are done sector by sector, in any order; a sync completes them.
//! After a crash the records are those up to the first frame that does not hold. What was synced is never touched.

use certificate::codec::{Decode, Encode};
use pbft::{Ready, Record};

use crate::random::{Random, fingerprint};

const SECTOR_BYTES: usize = 512;
const FRAME_BYTES: usize = 4 + 8;

/// The stream of one replica's records.
#[derive(Clone, Default)]
pub struct Disk {
    bytes: Vec<u8>,
    /// So many bytes are on disk for good.
    synced: usize,
    /// What stands before this place is no longer needed, and goes at some moment after the sync.
    discardable: usize,
}

impl Disk {
    /// A disk with one synced record.
    pub fn with(first: &Record) -> Disk {
        let mut disk = Disk::default();
        disk.append(first);
        disk.synced = disk.bytes.len();
        disk
    }

    /// Does what a step asks for.
    pub fn store(&mut self, ready: &Ready) {
        let before = self.write(ready);
        if ready.sync() {
            self.synced = self.bytes.len();
            self.discardable = if ready.discard_below.is_some() { before } else { 0 };
        }
    }

    /// Writes the records of a step without completing them: the crash comes before the sync. Gives where they begin.
    pub fn write(&mut self, ready: &Ready) -> usize {
        if !ready.persist.is_empty() {
            self.discard();
        }
        let before = self.bytes.len();
        ready.persist.iter().for_each(|record| self.append(record));
        before
    }

    fn append(&mut self, record: &Record) {
        let payload = record.to_bytes();
        self.bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        self.bytes.extend_from_slice(&fingerprint(0, &payload).to_be_bytes());
        self.bytes.extend_from_slice(&payload);
    }

    fn discard(&mut self) {
        self.bytes.drain(..self.discardable);
        self.synced -= self.discardable;
        self.discardable = 0;
    }

    /// The power goes: of what was not synced some sectors are there and some are not.
    pub fn crash(&mut self, random: &mut Random) {
        if random.percent(50) {
            self.discard();
        }
        self.discardable = 0;
        let kept = random.choose(&[0, 50, 90, 100]);
        let spoil = random.percent(20);
        let mut at = self.synced;
        while at < self.bytes.len() {
            let end = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
            let end = end.min(self.bytes.len());
            if !random.percent(kept) {
                self.bytes[at..end].fill(0);
            } else if spoil && random.percent(50) {
                let place = at + random.below((end - at) as u64) as usize;
                self.bytes[place] ^= 1 << random.below(8);
            }
            at = end;
        }
        let (_, whole) = self.read();
        self.bytes.truncate(whole);
        self.synced = whole;
    }

    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The records, oldest first.
    pub fn records(&self) -> Vec<Record> {
        self.read().0
    }

    /// The records up to the first frame that does not hold, and how many bytes they take.
    fn read(&self) -> (Vec<Record>, usize) {
        let (mut records, mut at) = (Vec::new(), 0);
        while let Some(payload) = self.frame(at) {
            let Ok(record) = Record::from_bytes(payload) else { break };
            records.push(record);
            at += FRAME_BYTES + payload.len();
        }
        (records, at)
    }

    fn frame(&self, at: usize) -> Option<&[u8]> {
        let length = self.bytes.get(at..at + 4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        let checksum = self.bytes.get(at + 4..at + FRAME_BYTES)?;
        let payload = self.bytes.get(at + FRAME_BYTES..(at + FRAME_BYTES).checked_add(length)?)?;
        let holds = length > 0 && fingerprint(0, payload).to_be_bytes() == *checksum;
        holds.then_some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use certificate::{Digest, ReplicaId, Sequence, Signature};
    use pbft::CheckpointVote;

    fn genesis() -> Record {
        Record::Genesis { cluster_digest: Digest::ZERO, me: ReplicaId(1) }
    }

    fn record(number: u64) -> Record {
        let digest = Digest::of(&number.to_be_bytes());
        let signature = Signature([3; 64]);
        Record::OwnCheckpoint(CheckpointVote {
            sequence: Sequence(number),
            digest,
            replica: ReplicaId(1),
            signature,
        })
    }

    fn ready(numbers: std::ops::Range<u64>) -> Ready {
        Ready { persist: numbers.map(record).collect(), ..Ready::default() }
    }

    #[test]
    fn synced_records_survive_every_crash_and_unsynced_ones_only_as_a_prefix() {
        let (mut lost, mut kept) = (0, 0);
        for seed in 0..200 {
            let mut disk = Disk::with(&genesis());
            disk.store(&ready(0..3));
            disk.write(&ready(3..40));
            disk.crash(&mut Random::of(seed, "test"));
            let records = disk.records();
            let expected: Vec<Record> = [genesis()].into_iter().chain((0..40).map(record)).collect();
            assert!(records.len() >= 4 && expected.starts_with(&records), "seed {seed}: {}", records.len());
            lost += usize::from(records.len() < 41);
            kept += usize::from(records.len() == 41);
        }
        assert!(lost > 50 && kept > 10, "crashes differ: {lost} lost something, {kept} nothing");
    }

    #[test]
    fn nothing_is_discarded_for_a_checkpoint_that_was_not_synced() {
        for seed in 0..50 {
            let mut disk = Disk::with(&genesis());
            disk.store(&ready(0..3));
            disk.write(&Ready { discard_below: Some(Sequence(3)), ..ready(3..5) });
            disk.crash(&mut Random::of(seed, "test"));
            assert_eq!(disk.records().first(), Some(&genesis()), "seed {seed}");
        }
    }

    #[test]
    fn discarded_records_are_gone_or_all_there() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let mut disk = Disk::with(&genesis());
            disk.store(&ready(0..3));
            disk.store(&Ready { discard_below: Some(Sequence(3)), ..ready(3..5) });
            disk.crash(&mut Random::of(seed, "test"));
            lengths.insert(disk.records().len());
        }
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [2, 6]);
    }
}
