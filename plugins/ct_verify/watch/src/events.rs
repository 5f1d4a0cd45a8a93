//! What an operator should know of: the latest events, and how often each thing happened.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;
use tracing::{info, warn};
use transparency::Moment;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// When.
    pub at: Moment,
    /// What, for programs: `split_view`, `broken_promise`, `log_list_refused`.
    pub code: &'static str,
    /// Whether somebody should look at once.
    pub grave: bool,
    /// What it is about: a log, a URL, a name.
    pub subject: String,
    /// What happened, for people.
    pub text: String,
    /// Whatever else is known of it.
    pub facts: Value,
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
}

impl Events {
    /// Keeps an event, counts it under its code, and logs it.
    pub fn push(&self, event: Event) {
        let Event { code, subject, text, .. } = &event;
        if event.grave {
            warn!(code, subject, text, "certificate transparency");
        } else {
            info!(code, subject, text, "certificate transparency");
        }
        let mut kept = self.kept();
        *kept.counts.entry(code).or_default() += 1;
        if kept.latest.len() == EVENTS_MAX {
            kept.latest.pop_front();
        }
        kept.latest.push_back(event);
    }

    /// Counts something that is no event by itself. The names are those of this program, so there are few.
    pub fn count(&self, what: &'static str) {
        *self.kept().counts.entry(what).or_default() += 1;
    }

    /// The latest events, the oldest first; at most so many, and at most [`EVENTS_MAX`].
    pub fn recent(&self, most: usize) -> Vec<Event> {
        let kept = self.kept();
        kept.latest.iter().skip(kept.latest.len().saturating_sub(most)).cloned().collect()
    }

    /// How often each thing happened since the start.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.kept().counts.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
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
            events.push(Event {
                at: Moment::from_seconds(number as i64),
                code: "split_view",
                grave: false,
                subject: String::new(),
                text: String::new(),
                facts: Value::Null,
            });
        }
        let recent = events.recent(usize::MAX);
        assert_eq!((recent.len(), recent[0].at), (EVENTS_MAX, Moment::from_seconds(1)));
        assert_eq!(events.recent(1)[0].at, Moment::from_seconds(EVENTS_MAX as i64));
        assert_eq!(events.counts()["split_view"], EVENTS_MAX as u64 + 1);
    }
}
