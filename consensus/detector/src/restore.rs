//! Reading back what [`Detector::snapshot`] wrote: every line is checked, and one that is not understood is an error with its number.

use certificate::{ReplicaId, Replicas};
use pbft::Now;
use thiserror::Error;

use crate::accuracy::Accuracy;
use crate::peer::{PROOFS_MAX, Peer};
use crate::quarantine::{Held, STRIKE_FORGOTTEN_MS, Strikes};
use crate::reputation::HISTORY_MAX;
use crate::snapshot::VERSION;
use crate::{
    Change, Detector, Offence, PROVEN_MS, Quarantined, Reason, ReputationEvent, SPAN_MAX_MS, Settings,
};

/// A longer text is not read, in bytes: more than any snapshot of 31 replicas takes.
pub const SNAPSHOT_BYTES_MAX: usize = 1 << 20;

/// Why a snapshot cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RestoreError {
    /// Longer than any snapshot.
    #[error("expected at most {SNAPSHOT_BYTES_MAX} bytes, found {0}")]
    TooLong(usize),
    /// Another text, or another version of it.
    #[error("line 1: expected `quorate-detector` with a version up to {VERSION}, found `{0}`")]
    Version(String),
    /// Of another replica or another cluster.
    #[error("line {line}: expected `{expected}`, found `{found}`")]
    Cluster {
        /// Where.
        line: usize,
        /// What this replica is.
        expected: String,
        /// What came.
        found: String,
    },
    /// A line that says nothing.
    #[error("line {line}: expected {expected}, found `{found}`")]
    Line {
        /// Where.
        line: usize,
        /// What.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// The text ends early.
    #[error("expected `end` as the last line: the snapshot is cut off")]
    CutOff,
}

/// The words of one line, each of which must be what it should.
struct Words<'a> {
    line: usize,
    text: &'a str,
    rest: std::str::SplitAsciiWhitespace<'a>,
}

impl<'a> Words<'a> {
    fn error(&self, expected: &'static str) -> RestoreError {
        let found = self.text.chars().take(80).collect();
        RestoreError::Line { line: self.line, expected, found }
    }

    fn word(&mut self, expected: &'static str) -> Result<&'a str, RestoreError> {
        self.rest.next().ok_or_else(|| self.error(expected))
    }

    fn number<T: std::str::FromStr>(&mut self, expected: &'static str) -> Result<T, RestoreError> {
        self.word(expected)?.parse().map_err(|_| self.error(expected))
    }

    /// A number between two bounds.
    fn between(&mut self, least: f64, most: f64, expected: &'static str) -> Result<f64, RestoreError> {
        let value: f64 = self.number(expected)?;
        if (least..=most).contains(&value) { Ok(value) } else { Err(self.error(expected)) }
    }

    fn unit(&mut self, expected: &'static str) -> Result<f64, RestoreError> {
        self.between(0.0, 1.0, expected)
    }

    fn offence(&mut self) -> Result<Offence, RestoreError> {
        let name = self.word("the name of an offence")?;
        Offence::named(name).ok_or_else(|| self.error("the name of an offence"))
    }

    fn end(mut self) -> Result<(), RestoreError> {
        if self.rest.next().is_some() { Err(self.error("the end of the line")) } else { Ok(()) }
    }
}

/// The detector that is being read, and by how much the spans in the text have run down.
struct Reading {
    detector: Detector,
    now: Now,
    elapsed_ms: u64,
}

impl Detector {
    /// Reads what [`Detector::snapshot`] wrote for the same replica of a cluster of the same size.
    ///
    /// # Errors
    ///
    /// When the text is of a later version, of another replica or cluster, cut off, too long, or has a line that says nothing. Then the host keeps the
    /// file, says so, and begins anew.
    pub fn restore(
        me: ReplicaId,
        replicas: Replicas,
        settings: Settings,
        now: Now,
        text: &str,
    ) -> Result<Detector, RestoreError> {
        if text.len() > SNAPSHOT_BYTES_MAX {
            return Err(RestoreError::TooLong(text.len()));
        }
        let mut lines = text.lines().enumerate().map(|(index, text)| Words {
            line: index + 1,
            text,
            rest: text.split_ascii_whitespace(),
        });
        let first = lines.next().map_or("", |words| words.text);
        let version = first.strip_prefix("quorate-detector ").and_then(|version| version.parse::<u32>().ok());
        if !version.is_some_and(|version| (1..=VERSION).contains(&version)) {
            return Err(RestoreError::Version(first.chars().take(80).collect()));
        }
        let expected = format!("cluster {me} {} {}", replicas.count(), replicas.faults());
        let cluster = lines.next().ok_or(RestoreError::CutOff)?;
        if cluster.text != expected {
            let found = cluster.text.chars().take(80).collect();
            return Err(RestoreError::Cluster { line: cluster.line, expected, found });
        }
        let mut saved = lines.next().ok_or(RestoreError::CutOff)?;
        if saved.word("`saved`")? != "saved" {
            return Err(saved.error("`saved`"));
        }
        let elapsed_ms = now.wall_ms.saturating_sub(saved.number("a time in milliseconds")?);
        saved.end()?;
        let detector = Detector::new(me, replicas, settings, now);
        let mut reading = Reading { detector, now, elapsed_ms };
        for words in lines {
            if words.text == "end" {
                return Ok(reading.complete());
            }
            reading.read(words)?;
        }
        Err(RestoreError::CutOff)
    }
}

impl Reading {
    fn read(&mut self, mut words: Words<'_>) -> Result<(), RestoreError> {
        match words.word("a fact")? {
            "reputation" => self.reputation(&mut words)?,
            "counts" => self.counts(&mut words)?,
            "offence" => {
                let peer = self.peer(&mut words)?;
                let offence = words.offence()?;
                peer.offences[offence as usize] = words.number("a count")?;
            }
            "proof" => {
                let peer = self.peer(&mut words)?;
                let word = words.word("a fingerprint")?;
                let proof = u64::from_str_radix(word, 16).map_err(|_| words.error("a fingerprint"))?;
                peer.proofs.push_back(proof);
                if peer.proofs.len() > PROOFS_MAX {
                    return Err(words.error("fewer proofs"));
                }
            }
            "proven" => {
                let (now_ms, elapsed_ms) = (self.now.monotonic_ms, self.elapsed_ms);
                let peer = self.peer(&mut words)?;
                peer.proven = words.number("a count")?;
                let held: u64 = words.number("a span in milliseconds")?;
                let left = held.min(PROVEN_MS).saturating_sub(elapsed_ms);
                peer.proven_until_ms = if left > 0 { now_ms.saturating_add(left) } else { 0 };
            }
            "change" => self.change(&mut words)?,
            "strikes" => self.strikes(&mut words)?,
            "quarantine" => self.quarantine(&mut words)?,
            "trust" => {
                let (one, other) = (words.number("a replica")?, words.number("a replica")?);
                let edge = words.unit("an edge from 0 to 1")?;
                self.detector.trust.set(ReplicaId(one), ReplicaId(other), edge as f32);
            }
            _ => return Err(words.error("a fact of this version")),
        }
        words.end()
    }

    fn peer(&mut self, words: &mut Words<'_>) -> Result<&mut Peer, RestoreError> {
        let replica = ReplicaId(words.number("another replica of the cluster")?);
        self.detector.peers.get_mut(&replica).ok_or_else(|| words.error("another replica of the cluster"))
    }

    fn reputation(&mut self, words: &mut Words<'_>) -> Result<(), RestoreError> {
        let (now_ms, elapsed_ms) = (self.now.monotonic_ms, self.elapsed_ms);
        let peer = self.peer(words)?;
        let ledger = &mut peer.ledger;
        ledger.score = words.unit("a score from 0 to 1")?;
        ledger.historical_average = words.unit("an average from 0 to 1")?;
        ledger.recent = words.unit("a performance from 0 to 1")?;
        ledger.interactions = words.number("a count")?;
        ledger.successful = words.number("a count")?;
        let earns_in: u64 = words.number("a span in milliseconds")?;
        let left = earns_in.min(PROVEN_MS).saturating_sub(elapsed_ms);
        ledger.earns_from_ms = if left > 0 { now_ms.saturating_add(left) } else { 0 };
        Ok(())
    }

    fn counts(&mut self, words: &mut Words<'_>) -> Result<(), RestoreError> {
        let peer = self.peer(words)?;
        peer.messages = words.number("a count")?;
        // Halved when they are full: a text that says more counts as full.
        peer.checked = words.number::<u64>("a count")?.min(u64::from(u32::MAX));
        peer.failed = words.number::<u64>("a count")?.min(peer.checked);
        peer.up_ms = words.number("a span in milliseconds")?;
        peer.watched_ms = words.number("a span in milliseconds")?;
        peer.up_ms = peer.up_ms.min(peer.watched_ms);
        let (right, wrong): (u16, u16) = (words.number("a small count")?, words.number("a small count")?);
        peer.accuracy = Accuracy { right: u32::from(right), wrong: u32::from(wrong) };
        peer.last_seen_ms = match words.word("a time or `-`")? {
            "-" => None,
            word => Some(word.parse().map_err(|_| words.error("a time or `-`"))?),
        };
        Ok(())
    }

    fn change(&mut self, words: &mut Words<'_>) -> Result<(), RestoreError> {
        let peer = self.peer(words)?;
        let wall_ms = words.number("a time in milliseconds")?;
        let event = ReputationEvent::named(words.word("the name of an event")?)
            .ok_or_else(|| words.error("the name of an event"))?;
        let delta = words.between(-1.0, 1.0, "a change from -1 to 1")?;
        let score = words.unit("a score from 0 to 1")?;
        peer.ledger.history.push_back(Change { wall_ms, event, delta, score });
        if peer.ledger.history.len() > HISTORY_MAX {
            return Err(words.error("fewer changes"));
        }
        Ok(())
    }

    fn strikes(&mut self, words: &mut Words<'_>) -> Result<(), RestoreError> {
        let (now_ms, mut elapsed_ms) = (self.now.monotonic_ms, self.elapsed_ms);
        let replica = self.other(words)?;
        let kind = words.word("`proven` or `signatures`")?;
        let mut count: u32 = words.number("a count")?;
        let mut left: u64 = words.number::<u64>("a span in milliseconds")?.min(STRIKE_FORGOTTEN_MS);
        while count > 0 && elapsed_ms >= left {
            count -= 1;
            elapsed_ms -= left;
            left = STRIKE_FORGOTTEN_MS;
        }
        let strikes = Strikes { count, forgotten_ms: now_ms.saturating_add(left.saturating_sub(elapsed_ms)) };
        let all = match kind {
            "proven" => &mut self.detector.quarantine.proven,
            "signatures" => &mut self.detector.quarantine.signatures,
            _ => return Err(words.error("`proven` or `signatures`")),
        };
        all.insert(replica, strikes);
        Ok(())
    }

    fn quarantine(&mut self, words: &mut Words<'_>) -> Result<(), RestoreError> {
        let replica = self.other(words)?;
        let _until_ms: u64 = words.number("a time in milliseconds")?;
        let left: u64 = words.number::<u64>("a span in milliseconds")?.min(SPAN_MAX_MS);
        let reason = match words.word("`proven` or `signatures`")? {
            "proven" => Reason::Proven(words.offence()?),
            "signatures" => Reason::InvalidSignatures(words.number("a count")?),
            _ => return Err(words.error("`proven` or `signatures`")),
        };
        let strike = words.number("a count")?;
        let left = left.saturating_sub(self.elapsed_ms);
        if left == 0 {
            return Ok(());
        }
        // A wall clock that was set meanwhile is not to show another end than the one that comes: the host tells it to the filter and to people.
        let until_ms = self.now.wall_ms.saturating_add(left);
        let until_monotonic_ms = self.now.monotonic_ms.saturating_add(left);
        let shown = Quarantined { until_ms, reason, strike };
        let held = &mut self.detector.quarantine.held;
        held.insert(replica, Held { until_monotonic_ms, shown });
        if held.len() > self.detector.quarantine.most {
            return Err(words.error("no more replicas than f in quarantine"));
        }
        Ok(())
    }

    fn other(&mut self, words: &mut Words<'_>) -> Result<ReplicaId, RestoreError> {
        let replica = ReplicaId(words.number("another replica of the cluster")?);
        if self.detector.peers.contains_key(&replica) {
            Ok(replica)
        } else {
            Err(words.error("another replica of the cluster"))
        }
    }

    /// Scores have faded meanwhile.
    fn complete(mut self) -> Detector {
        let (settings, elapsed_ms) = (self.detector.settings, self.elapsed_ms);
        self.detector.peers.values_mut().for_each(|peer| peer.ledger.fade(&settings, elapsed_ms));
        self.detector
    }
}
