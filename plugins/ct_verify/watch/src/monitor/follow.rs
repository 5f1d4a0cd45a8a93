//! One log, followed: a piece at a time, of which nothing is believed before it is shown to be in the tree that the log signed.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use transparency::Moment;
use transparency::digest::Sha256;
use transparency::log_list::CtLog;
use transparency::precertificate::LogEntry;
use transparency::tree_head::TreeHead;

use super::announced::Announced;
use super::frontier::Frontier;
use super::source::{Source, SourceError, source_of};
use super::zones::Zones;
use crate::fetch::{FetchError, Fetcher};

/// Where a monitor stands in a log.
#[derive(Debug, Clone)]
pub(super) struct Followed {
    /// All before it has been read; `None` before the first head.
    pub frontier: Option<Frontier>,
    /// How many entries are asked for at a time.
    batch: u64,
    /// How many pieces in a row came to nothing.
    failures: u32,
    /// How many of them because what came could not be read.
    unreadable: u32,
    /// Not before this time is it tried again.
    pub not_before: Moment,
    pub status: Status,
    /// Why the last piece came to nothing.
    pub error: Option<String>,
    /// The size of the last head.
    pub head_size: u64,
    /// What was read, and what of it could not be.
    pub entries: u64,
    pub malformed: u64,
}

/// How it goes with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// Read to the head.
    Ok,
    /// Not yet read to the head.
    Behind,
    /// It does not answer, or not in a way that can be read.
    Unreachable,
    /// What it gives is not what it signed.
    Lying,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Behind => "behind",
            Status::Unreachable => "unreachable",
            Status::Lying => "lying",
        }
    }
}

/// A certificate for a watched zone, or something that may be one.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Which entry of the log.
    pub index: u64,
    /// The zone that it is for.
    pub zone: String,
    /// What it is; `None` when it cannot be read and mentions the zone.
    pub announced: Option<Announced>,
    /// Its names in the zone.
    pub names: Vec<String>,
}

/// What came of a step.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// What was found in entries that are in the tree.
    pub found: Vec<Found>,
    /// Certificates for watched zones beyond those that are looked at closely.
    pub found_beyond: u64,
    /// Entries and bytes that it took.
    pub entries: u64,
    pub bytes: u64,
    /// Entries that were left out, from the first to before the second.
    pub skipped: Option<(u64, u64)>,
    /// The log was found out to lie just now.
    pub is_new_lie: bool,
}

impl Followed {
    /// Starts where one stopped, or at the next head.
    pub fn new(frontier: Option<Frontier>) -> Self {
        Followed {
            frontier,
            batch: BATCH_MAX,
            failures: 0,
            unreadable: 0,
            not_before: Moment::from_seconds(0),
            status: Status::Behind,
            error: None,
            head_size: 0,
            entries: 0,
            malformed: 0,
        }
    }

    /// Whether there is something to do for this head at this time.
    pub fn wants(&self, head: &TreeHead, now: Moment) -> bool {
        let behind = self.frontier.as_ref().is_none_or(|frontier| frontier.size() < head.size);
        // A head of the size that was read must have the root that was computed.
        let other = self.frontier.as_ref().is_some_and(|frontier| {
            frontier.size() == head.size && frontier.root() != head.root && self.status != Status::Lying
        });
        self.not_before <= now && (behind || other)
    }

    /// Goes one piece further towards the head.
    pub async fn step(
        &mut self,
        log: &CtLog,
        head: &TreeHead,
        fetcher: &Fetcher,
        zones: &Zones,
        (now, behind_max): (Moment, u64),
    ) -> Step {
        self.head_size = head.size;
        let source = source_of(log, fetcher, self.batch);
        let mut step = Step::default();
        let piece = self.piece(log);
        let going = self.go_on(&*source, piece, head, zones, behind_max, &mut step);
        let result = timeout(STEP_MAX, going).await.unwrap_or(Err(SourceError::Slow(STEP_MAX)));
        if let Err(error) = result {
            step.found.clear();
            step.is_new_lie = self.fail(&error, now);
        }
        step
    }

    async fn go_on(
        &mut self,
        source: &dyn Source,
        piece: u64,
        head: &TreeHead,
        zones: &Zones,
        behind_max: u64,
        step: &mut Step,
    ) -> Result<(), SourceError> {
        match self.frontier.clone() {
            None => source.anchor(head.size, head).await.map(|frontier| self.stand_at(frontier)),
            Some(frontier) if behind_max < head.size.saturating_sub(frontier.size()) => {
                self.skip(source, head.size, head, step).await
            }
            Some(frontier) if self.unreadable >= TRIES_MAX => {
                let to = head.size.min(frontier.size() + piece);
                self.skip(source, to, head, step).await
            }
            Some(frontier) => {
                let to = head.size.min(frontier.size() + piece);
                let read = read_piece(source, frontier, to, head, zones, step).await;
                read.map(|(frontier, malformed)| {
                    self.entries += frontier.size() - self.frontier.as_ref().map_or(0, Frontier::size);
                    self.malformed += malformed;
                    self.stand_at(frontier);
                })
            }
        }
    }

    /// How many entries one piece has.
    fn piece(&self, log: &CtLog) -> u64 {
        let batch = if log.is_static() { BATCH_MAX } else { self.batch };
        if self.failures > 0 { batch } else { batch * PIECES }
    }

    fn stand_at(&mut self, frontier: Frontier) {
        self.status = if frontier.size() < self.head_size { Status::Behind } else { Status::Ok };
        self.frontier = Some(frontier);
        self.batch = (self.batch * 2).min(BATCH_MAX);
        (self.failures, self.unreadable, self.error) = (0, 0, None);
    }

    async fn skip(
        &mut self,
        source: &dyn Source,
        to: u64,
        head: &TreeHead,
        step: &mut Step,
    ) -> Result<(), SourceError> {
        let frontier = source.anchor(to, head).await?;
        let from = self.frontier.as_ref().map_or(0, Frontier::size);
        step.skipped = Some((from, to));
        self.stand_at(frontier);
        Ok(())
    }

    /// Notes a failure; says whether it shows for the first time that the log lies.
    fn fail(&mut self, error: &SourceError, now: Moment) -> bool {
        self.failures = self.failures.saturating_add(1);
        match error {
            error if error.is_too_much() && self.batch > 1 => self.batch = (self.batch / 4).max(1),
            SourceError::Malformed(_) | SourceError::Fetch(FetchError::TooLong(_)) => self.unreadable += 1,
            _ => {}
        }
        let wait = RETRY_SECONDS << self.failures.min(RETRY_DOUBLINGS);
        self.not_before = now.plus_seconds(wait);
        self.error = Some(error.to_string());
        let lies = error.is_lie() && self.failures >= LIES_MAX;
        let is_new = lies && self.status != Status::Lying;
        self.status = match self.status {
            _ if lies => Status::Lying,
            Status::Lying => Status::Lying,
            _ => Status::Unreachable,
        };
        is_new
    }
}

/// Reads from the frontier to `to`, or as far as one gets in [`READ_MAX`], and shows that what came is in the head's tree. Returns the new
/// frontier, and how many entries were malformed.
async fn read_piece(
    source: &dyn Source,
    mut frontier: Frontier,
    to: u64,
    head: &TreeHead,
    zones: &Zones,
    step: &mut Step,
) -> Result<(Frontier, u64), SourceError> {
    let mut malformed = 0;
    let begin = (frontier.size(), Instant::now());
    while frontier.size() < to && (frontier.size() == begin.0 || begin.1.elapsed() < READ_MAX) {
        let (found, found_beyond) = (&mut step.found, &mut step.found_beyond);
        let mut note = |one: Option<Found>| match one {
            Some(one) if found.len() < FOUND_MAX => found.push(one),
            Some(_) => *found_beyond += 1,
            None => {}
        };
        let from = frontier.size();
        let mut sink = |hash: Sha256, entry: Option<LogEntry<'_>>| {
            let index = frontier.size();
            frontier.push(hash);
            match entry.map(|entry| (Announced::read(&entry), entry)) {
                Some((Ok(announced), _)) => note(for_zone(index, announced, zones)),
                Some((Err(_), entry)) => {
                    malformed += 1;
                    note(perhaps_for_zone(index, &entry, zones));
                }
                None => malformed += 1,
            }
        };
        let read = source.read(from, to, head, &mut sink).await?;
        step.entries += read.entries;
        step.bytes += read.bytes;
    }
    if frontier.size() == head.size {
        return if frontier.root() == head.root {
            Ok((frontier, malformed))
        } else {
            Err(SourceError::OtherEntries)
        };
    }
    let shown = source.anchor(frontier.size(), head).await?;
    if shown == frontier { Ok((frontier, malformed)) } else { Err(SourceError::OtherEntries) }
}

fn for_zone(index: u64, announced: Announced, zones: &Zones) -> Option<Found> {
    let (zone, names) = zones.find(&announced.names)?;
    Some(Found { index, zone: zone.name().to_owned(), announced: Some(announced), names })
}

/// What cannot be read and mentions a zone may be for it.
fn perhaps_for_zone(index: u64, entry: &LogEntry<'_>, zones: &Zones) -> Option<Found> {
    let zone = zones.mentioned(bytes_of(entry))?;
    Some(Found { index, zone: zone.name().to_owned(), announced: None, names: Vec::new() })
}

fn bytes_of<'a>(entry: &LogEntry<'a>) -> &'a [u8] {
    match entry {
        LogEntry::X509(der) => der,
        LogEntry::Precertificate { tbs, .. } => tbs,
    }
}

/// How many entries are asked for at a time: as many as a data tile has.
const BATCH_MAX: u64 = 256;
/// How many batches make a piece.
const PIECES: u64 = 4;
/// How many pieces in a row may come to nothing before one is left out.
const TRIES_MAX: u32 = 5;
/// How many pieces in a row must contradict the signed tree before the log is said to lie: caches in between err, too.
const LIES_MAX: u32 = 3;
/// How many certificates of one piece are looked at closely.
const FOUND_MAX: usize = 200;
/// How long is waited after the first failure, in seconds.
const RETRY_SECONDS: u64 = 10;
/// How long a piece is read on before what there is of it is proved: a slow log gets on in small pieces.
const READ_MAX: Duration = Duration::from_secs(20);
/// How long a step may take, its proof included.
const STEP_MAX: Duration = Duration::from_secs(60);
/// How often that is doubled: up to an hour and a half.
const RETRY_DOUBLINGS: u32 = 9;

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use transparency::merkle::{hash_leaf, inclusion_path, root};

    use super::super::source::{Read, Sink};
    use super::super::zones::Zone;
    use super::*;

    /// A log whose entries are not certificates.
    struct Junk(Vec<&'static [u8]>);

    impl Junk {
        fn hashes(&self) -> Vec<Sha256> {
            self.0.iter().map(|entry| hash_leaf(entry)).collect()
        }

        fn head(&self) -> TreeHead {
            let timestamp = Moment::from_seconds(0);
            TreeHead { size: self.0.len() as u64, timestamp, root: root(&self.hashes()) }
        }
    }

    #[async_trait]
    impl Source for Junk {
        async fn read(
            &self,
            from: u64,
            to: u64,
            _: &TreeHead,
            sink: &mut Sink<'_>,
        ) -> Result<Read, SourceError> {
            for entry in &self.0[from as usize..to as usize] {
                // An entry of an unknown kind has a hash and says nothing.
                let said = (*entry != b"unknown kind").then_some(LogEntry::X509(entry));
                sink(hash_leaf(entry), said);
            }
            Ok(Read { entries: to - from, bytes: 1 })
        }

        async fn anchor(&self, size: u64, head: &TreeHead) -> Result<Frontier, SourceError> {
            let index = size - 1;
            let path = inclusion_path(&self.hashes(), index as usize).unwrap();
            Ok(Frontier::from_path(self.hashes()[index as usize], index, head, &path)?)
        }
    }

    fn zones() -> Zones {
        Zones::new(vec![Zone::new("example.org", &[]).unwrap()])
    }

    #[tokio::test]
    async fn malformed_entries_are_counted_and_stop_nothing() {
        let junk = Junk(vec![b"", b"unknown kind", b"\x30\x03abc", b"for www.Example.org", b"\xff\xff"]);
        let mut step = Step::default();
        let read = read_piece(&junk, Frontier::default(), 5, &junk.head(), &zones(), &mut step).await;
        let (frontier, malformed) = read.unwrap();
        assert_eq!((frontier.size(), malformed, step.entries), (5, 5, 5));
        let found: Vec<(u64, bool)> =
            step.found.iter().map(|found| (found.index, found.announced.is_none())).collect();
        assert_eq!(found, [(3, true)]);
    }

    #[tokio::test]
    async fn what_floods_a_zone_is_counted_beyond_a_bound() {
        let junk = Junk(vec![b"www.example.org"; FOUND_MAX + 7]);
        let mut step = Step::default();
        let size = junk.0.len() as u64;
        read_piece(&junk, Frontier::default(), size, &junk.head(), &zones(), &mut step).await.unwrap();
        assert_eq!((step.found.len(), step.found_beyond), (FOUND_MAX, 7));
    }

    /// A log that takes a while for each entry.
    struct Slow(Junk, Duration);

    #[async_trait]
    impl Source for Slow {
        async fn read(
            &self,
            from: u64,
            _: u64,
            head: &TreeHead,
            sink: &mut Sink<'_>,
        ) -> Result<Read, SourceError> {
            tokio::time::sleep(self.1).await;
            self.0.read(from, from + 1, head, sink).await
        }

        async fn anchor(&self, size: u64, head: &TreeHead) -> Result<Frontier, SourceError> {
            self.0.anchor(size, head).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_slow_log_gave_in_time_is_proved_and_kept() {
        let slow = |seconds| Slow(Junk(vec![b"1", b"2", b"3", b"4", b"5"]), Duration::from_secs(seconds));
        for (seconds, size) in [(3, 5), (8, 3), (50, 1)] {
            let (slow, mut step) = (slow(seconds), Step::default());
            let read = read_piece(&slow, Frontier::default(), 5, &slow.0.head(), &zones(), &mut step).await;
            assert_eq!((read.unwrap().0.size(), step.entries), (size, size), "{seconds}");
        }
    }

    #[tokio::test]
    async fn a_piece_before_the_head_is_proved_too() {
        let junk = Junk(vec![b"1", b"2", b"3", b"4", b"5"]);
        let mut other = Frontier::default();
        other.push(hash_leaf(b"another beginning"));
        for to in [3, 5] {
            let mut step = Step::default();
            let read = read_piece(&junk, other.clone(), to, &junk.head(), &zones(), &mut step).await;
            assert!(matches!(read, Err(SourceError::OtherEntries)), "{to}");
            let read = read_piece(&junk, Frontier::default(), to, &junk.head(), &zones(), &mut step).await;
            assert_eq!(read.unwrap().0.size(), to);
        }
    }
}
