//! What an operator should know of: the latest events, and how often each thing happened.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;
use tracing::{info, warn};
use transparency::Moment;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Counts up from 1 since the start.
    pub number: u64,
    /// When.
    pub at: Moment,
    /// What, for programs: `split_view`, `broken_promise`, `log_list_refused`.
    pub kind: &'static str,
    /// How grave it is.
    pub weight: Weight,
    /// What, for people.
    pub text: String,
    /// Whatever else is known of it.
    pub details: Value,
}

/// How grave an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Good to know.
    Note,
    /// Somebody should look.
    Alarm,
}

/// The latest events and all counts.
#[derive(Debug, Default)]
pub struct Events {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    latest: VecDeque<Event>,
    counts: BTreeMap<&'static str, u64>,
    last: u64,
}

impl Events {
    /// Keeps an event, logs it, and counts it under `events_note` or `events_alarm`.
    pub fn record(&self, at: Moment, kind: &'static str, weight: Weight, text: String, details: Value) {
        match weight {
            Weight::Note => info!(kind, text, "certificate transparency"),
            Weight::Alarm => warn!(kind, text, "certificate transparency"),
        }
        self.count(match weight {
            Weight::Note => "events_note",
            Weight::Alarm => "events_alarm",
        });
        let mut kept = self.kept();
        kept.last += 1;
        let number = kept.last;
        if kept.latest.len() == EVENTS_MAX {
            kept.latest.pop_front();
        }
        kept.latest.push_back(Event { number, at, kind, weight, text, details });
    }

    /// Counts one of these. The names are those of this program, so there are few.
    pub fn count(&self, what: &'static str) {
        *self.kept().counts.entry(what).or_default() += 1;
    }

    /// The latest events, the oldest first; at most [`EVENTS_MAX`].
    pub fn latest(&self) -> Vec<Event> {
        self.kept().latest.iter().cloned().collect()
    }

    /// How often each thing was counted since the start.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        self.kept().counts.clone()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many events are kept.
pub const EVENTS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_event_goes_when_there_are_too_many() {
        let events = Events::default();
        for number in 0..=EVENTS_MAX {
            let at = Moment::from_seconds(number as i64);
            events.record(at, "split_view", Weight::Alarm, String::new(), Value::Null);
        }
        let latest = events.latest();
        assert_eq!((latest.len(), latest[0].number), (EVENTS_MAX, 2));
        assert_eq!(events.counters()["events_alarm"], EVENTS_MAX as u64 + 1);
    }
}
