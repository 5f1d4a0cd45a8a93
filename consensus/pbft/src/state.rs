//! What every replica that executed the same slots has in common: where the log stands, and which observations it used.
//!
//! A proposal is judged against the point that its header names, which may be up to a pipeline back; so the last points are kept, and used
//! observations as long as the oldest kept point still counts them. All of it is a function of the decided log alone, and
//! what a checkpoint signs is the digest of its encoding.

use std::collections::{BTreeMap, VecDeque};

use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::{Digest, Sequence, SlotHeader};

use crate::{Parameters, USED_OBSERVATIONS_MAX};

/// The log after a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Point {
    pub(crate) sequence: Sequence,
    /// History digest of all decided headers up to here.
    pub(crate) history: Digest,
    /// Log time: the latest of all decided headers up to here.
    pub(crate) time_ms: u64,
    /// Observations older than this do not count.
    pub(crate) floor_ms: u64,
}

/// The replicated state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogState {
    /// The last points, the executed one last; never empty, at most a pipeline of them.
    points: VecDeque<Point>,
    /// Used observations by time and digest, with the slot that used them first.
    used: BTreeMap<(u64, Digest), Sequence>,
}

impl LogState {
    /// Before the first slot.
    pub(crate) fn genesis() -> LogState {
        let genesis = Point { sequence: Sequence(0), history: Digest::ZERO, time_ms: 0, floor_ms: 0 };
        LogState { points: VecDeque::from([genesis]), used: BTreeMap::new() }
    }

    /// The log after the last executed slot.
    pub(crate) fn last(&self) -> Point {
        *self.points.back().expect("a log state has at least one point")
    }

    /// The last executed slot.
    pub(crate) fn executed(&self) -> Sequence {
        self.last().sequence
    }

    /// The log after `sequence`, if that is at most a pipeline back.
    pub(crate) fn point(&self, sequence: Sequence) -> Option<Point> {
        self.points.iter().find(|point| point.sequence == sequence).copied()
    }

    /// Whether the log up to `prefix` used the observation.
    pub(crate) fn is_used(&self, time_ms: u64, digest: Digest, prefix: Sequence) -> bool {
        self.used.get(&(time_ms, digest)).is_some_and(|slot| *slot <= prefix)
    }

    /// How many observations are remembered.
    pub(crate) fn used_len(&self) -> usize {
        self.used.len()
    }

    /// Executes the next slot, which used these observations (time and digest).
    pub(crate) fn execute(
        &mut self,
        header: &SlotHeader,
        used: impl Iterator<Item = (u64, Digest)>,
        parameters: &Parameters,
    ) {
        let last = self.last();
        assert_eq!(header.sequence, last.sequence.next(), "slots execute in order, without gaps");
        for key in used {
            self.used.entry(key).or_insert(header.sequence);
        }
        let time_ms = last.time_ms.max(header.time_ms);
        let mut floor_ms = last.floor_ms.max(time_ms.saturating_sub(parameters.observation_window_ms));
        if let Some(over) = self.used.len().checked_sub(USED_OBSERVATIONS_MAX + 1) {
            let (oldest_ms, _) = self.used.keys().nth(over).expect("there are more keys than `over`");
            floor_ms = floor_ms.max(oldest_ms.saturating_add(1));
        }
        let history = header.extend_history(last.history);
        self.points.push_back(Point { sequence: header.sequence, history, time_ms, floor_ms });
        while self.points.len() as u64 > parameters.pipeline {
            self.points.pop_front();
        }
        let floor_ms = self.points[0].floor_ms;
        self.used = self.used.split_off(&(floor_ms, Digest::ZERO));
    }

    /// What a checkpoint signs, given the encoding of a state.
    pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
        Digest::of_parts(&[b"quorate state v1", bytes])
    }
}

impl Encode for LogState {
    fn encode(&self, writer: &mut Writer) {
        writer.u16(u16::try_from(self.points.len()).expect("a pipeline is short"));
        for point in &self.points {
            writer.u64(point.sequence.0);
            point.history.encode(writer);
            writer.u64(point.time_ms);
            writer.u64(point.floor_ms);
        }
        writer.u32(u32::try_from(self.used.len()).expect("used observations are bounded"));
        for ((time_ms, digest), slot) in &self.used {
            writer.u64(*time_ms);
            digest.encode(writer);
            writer.u64(slot.0);
        }
    }
}

impl Decode for LogState {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let place = reader.offset();
        let mut points = VecDeque::new();
        for _ in 0..reader.u16()? {
            points.push_back(Point {
                sequence: Sequence(reader.u64()?),
                history: Digest::decode(reader)?,
                time_ms: reader.u64()?,
                floor_ms: reader.u64()?,
            });
        }
        let in_order = points.iter().zip(points.iter().skip(1)).all(|(a, b)| a.sequence < b.sequence);
        if points.is_empty() || !in_order {
            return Err(Reader::invalid(place, "points", "ascending sequence numbers", points.len() as u64));
        }
        let mut used = BTreeMap::new();
        for _ in 0..reader.u32()? {
            let place = reader.offset();
            let key = (reader.u64()?, Digest::decode(reader)?);
            if used.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(Reader::invalid(place, "used", "ascending times and digests", key.0));
            }
            used.insert(key, Sequence(reader.u64()?));
        }
        Ok(LogState { points, used })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use certificate::{Domain, Epoch, Kinds, ReplicaId, Replicas};

    fn parameters() -> Parameters {
        let domain = Domain { cluster_id: Digest::of(b"cluster"), epoch: Epoch(1) };
        Parameters::new(ReplicaId(0), Replicas::new(4, 1).unwrap(), domain, Digest::of(b"file"))
    }

    fn header(state: &LogState, time_ms: u64) -> SlotHeader {
        SlotHeader {
            sequence: state.executed().next(),
            kinds: Kinds(2),
            entries: 1,
            leaves_root: Digest::ZERO,
            observations_root: Digest::ZERO,
            time_ms,
            cluster_digest: Digest::ZERO,
            prefix_sequence: state.executed(),
            prefix_digest: state.last().history,
        }
    }

    fn key(number: u64) -> (u64, Digest) {
        (100_000 + number, Digest::of(&number.to_be_bytes()))
    }

    #[test]
    fn used_observations_are_forgotten_when_the_oldest_kept_point_no_longer_counts_them() {
        let parameters = parameters();
        let mut state = LogState::genesis();
        state.execute(&header(&state, 100_000), [key(0)].into_iter(), &parameters);
        for step in 1..=3 {
            assert!(state.is_used(key(0).0, key(0).1, Sequence(1)), "still within the window, step {step}");
            state.execute(&header(&state, 200_000 + step), [].into_iter(), &parameters);
        }
        assert_eq!(state.used_len(), 0);
    }

    #[test]
    fn observation_used_by_a_later_slot_is_unused_for_an_earlier_prefix() {
        let parameters = parameters();
        let mut state = LogState::genesis();
        state.execute(&header(&state, 100_000), [].into_iter(), &parameters);
        state.execute(&header(&state, 100_000), [key(0)].into_iter(), &parameters);
        assert!(!state.is_used(key(0).0, key(0).1, Sequence(1)));
        assert!(state.is_used(key(0).0, key(0).1, Sequence(2)));
    }

    #[test]
    fn used_observations_are_bounded_and_the_floor_rises_instead() {
        let parameters = parameters();
        let mut state = LogState::genesis();
        for round in 0..20u64 {
            let used = (0..10_000).map(|number| (100_000 + round, key(round * 10_000 + number).1));
            state.execute(&header(&state, 100_000), used, &parameters);
            assert!(
                state.used_len() <= USED_OBSERVATIONS_MAX + 3 * 10_000,
                "round {round}: {}",
                state.used_len()
            );
        }
        assert!(state.last().floor_ms > 100_000, "the floor rose with the oldest: {}", state.last().floor_ms);
    }

    #[test]
    fn log_time_never_goes_back() {
        let parameters = parameters();
        let mut state = LogState::genesis();
        state.execute(&header(&state, 100_000), [].into_iter(), &parameters);
        state.execute(&header(&state, 90_000), [].into_iter(), &parameters);
        assert_eq!(state.last().time_ms, 100_000);
    }

    #[test]
    fn state_has_one_encoding_and_truncations_are_refused() {
        let parameters = parameters();
        let mut state = LogState::genesis();
        state.execute(&header(&state, 100_000), [key(0), key(1)].into_iter(), &parameters);
        let bytes = state.to_bytes();
        assert_eq!(LogState::from_bytes(&bytes).unwrap(), state);
        assert!((0..bytes.len()).all(|length| LogState::from_bytes(&bytes[..length]).is_err()));
    }
}
