//! Tells the operator of bad RRsets: a line in the log and an event, once per hour and content; and once of each broken promise that stands behind an answer.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use ct_watch::events::Event;
use serde_json::json;
use transparency::Moment;
use transparency::digest::{LogId, Sha256};
use transparency::inclusion::Audited;

use super::background::Background;
use super::handler::Core;
use super::remark::Found;
use super::sets::{Set, word};

/// What was told of: of sets within the hour, of promises at all.
#[derive(Default)]
pub struct Told {
    state: Mutex<State>,
    promises: Mutex<BTreeSet<(LogId, Sha256)>>,
}

#[derive(Default)]
struct State {
    hour: u64,
    contents: HashSet<Sha256>,
}

/// What there is to tell.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// This one.
    This,
    /// That there are more than can be told of.
    Many,
    /// Nothing new.
    None,
}

impl Told {
    fn news(&self, content: Sha256, now: Moment) -> News {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = now.seconds() / HOUR_SECONDS;
        if state.hour != hour {
            *state = State { hour, contents: HashSet::new() };
        }
        if TOLD_MAX < state.contents.len() || !state.contents.insert(content) {
            return News::None;
        }
        if TOLD_MAX < state.contents.len() { News::Many } else { News::This }
    }

    /// Whether this promise has not been told of.
    fn is_new_promise(&self, promise: (LogId, Sha256)) -> bool {
        let mut promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
        promises.len() < PROMISES_MAX && promises.insert(promise)
    }
}

impl Core {
    /// Tells of a set that is bad, unless that was told within the hour. Whoever asks may choose what answers carry, so there is a bound.
    pub fn tell_of(&self, set: &Set, found: &Found, blocks: bool, now: Moment) {
        let owner = set.owner.to_ascii();
        let lengths: Vec<[u8; 4]> = set
            .rdata
            .iter()
            .map(|rdata| u32::try_from(rdata.len()).unwrap_or(u32::MAX).to_be_bytes())
            .collect();
        let records = set.rdata.iter().zip(&lengths).flat_map(|(rdata, length)| [&length[..], &rdata[..]]);
        let pieces = [owner.as_bytes(), &[0], found.text().as_bytes(), &[0]];
        let content = Sha256::of_pieces(&pieces.into_iter().chain(records).collect::<Vec<_>>());
        let (subject, text) = match self.told.news(content, now) {
            News::None => return,
            News::This => (format!("{owner} {}", word(set.kind)), found.text().to_owned()),
            News::Many => {
                let text = format!("more than {TOLD_MAX} bad RRsets within the hour; no more are told of");
                ("answers".to_owned(), text)
            }
        };
        let code = if blocks { "rrset_withheld" } else { "rrset_flagged" };
        match self.background() {
            Some(background) => background.watch().context().events.push(Event {
                at: now,
                code,
                grave: true,
                subject,
                text,
                facts: json!({ "judged": found.judged.word() }),
            }),
            None => tracing::warn!(code, subject, text, "certificate transparency"),
        }
    }
}

impl Core {
    /// Tells of an answer that goes on though this replica knows that a log broke its promise of a certificate in it, once for each promise. The
    /// other replicas may not know, so nothing that they agree on may say it.
    pub fn tell_of_broken_promise(&self, background: &Background, set: &Set, found: &Audited, now: Moment) {
        if !self.told.is_new_promise((found.log, found.leaf)) {
            return;
        }
        background.watch().context().events.push(Event {
            at: now,
            code: "broken_promise_in_answer",
            grave: true,
            subject: format!("{} {}", set.owner.to_ascii(), word(set.kind)),
            text: "a log broke its promise of a certificate in this answer; the cluster does not know"
                .to_owned(),
            facts: json!({ "log": found.log, "leaf": found.leaf }),
        });
    }
}

/// How many broken promises are told of: as many as are looked into.
const PROMISES_MAX: usize = 4096;
/// How many RRsets are told of within an hour.
const TOLD_MAX: usize = 64;
const HOUR_SECONDS: u64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_once_in_an_hour() {
        let told = Told::default();
        let one = Sha256([1; 32]);
        let at = |seconds: u64| Moment::from_milliseconds(seconds * 1000);
        assert_eq!(told.news(one, at(7200)), News::This);
        assert_eq!(told.news(one, at(10_799)), News::None);
        assert_eq!(told.news(one, at(10_800)), News::This);
    }

    #[test]
    fn that_there_are_too_many_is_told_once() {
        let told = Told::default();
        let now = Moment::from_milliseconds(0);
        let mut all = (0..=255).map(|number| told.news(Sha256([number; 32]), now));
        assert!(all.by_ref().take(TOLD_MAX).all(|news| news == News::This));
        assert_eq!(all.next(), Some(News::Many));
        assert!(all.all(|news| news == News::None));
    }
}
