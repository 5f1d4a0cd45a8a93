//! The plugin: the first rule that matches a query makes its line.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::format::Format;
use super::record::{Class, Record, labels};
use super::writer::{Job, Writer};
use crate::chain::{Next, Rest};
use crate::error::{ServeError, StartError};
use crate::plugin::{Glance, Plugin};
use crate::query::Query;
use crate::response::Response;
use crate::view::QueryView;

/// A `log` line of the Corefile.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The zones it is about: lower-case labels, leftmost first.
    pub zones: Vec<Vec<Vec<u8>>>,
    /// The classes it is about.
    pub classes: Vec<Class>,
    /// How its lines look.
    pub format: Arc<Format>,
}

/// `log`
pub struct Log {
    rules: Vec<Rule>,
    writer: Writer,
}

impl Log {
    /// Lines by `rules`, written by `writer`.
    pub fn new(rules: Vec<Rule>, writer: Writer) -> Log {
        Log { rules, writer }
    }

    fn put(&self, record: Record) {
        if let Some(rule) = self.rules.iter().find(|rule| rule.covers(&record)) {
            let format = rule.format.clone();
            if rule.classes.contains(&record.outcome.class) {
                self.writer.put(Job { record, format });
            }
        }
    }
}

impl Rule {
    /// Whether the query is for a name in one of the zones.
    fn covers(&self, record: &Record) -> bool {
        if self.zones.iter().any(Vec::is_empty) {
            return true;
        }
        let name = labels(&record.name);
        self.zones.iter().any(|zone| {
            name.len().checked_sub(zone.len()).is_some_and(|at| {
                name[at..].iter().zip(zone).all(|(label, known)| label.eq_ignore_ascii_case(known))
            })
        })
    }
}

#[async_trait]
impl Plugin for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn glance(&self, _query: &QueryView<'_>, _reply: &mut Vec<u8>) -> Glance {
        Glance::Pass
    }

    fn glanced(&self, query: &QueryView<'_>, reply: &[u8], elapsed: Duration) {
        self.put(Record::of_glance(query, reply, elapsed, SystemTime::now()));
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        let result = next.serve(query).await;
        self.put(Record::of_query(query, &result, query.received.elapsed(), SystemTime::now()));
        result
    }

    fn start(&self, _rest: Rest) -> Result<(), StartError> {
        self.writer.start(std::io::stdout()).map_err(|error| StartError {
            plugin: "log",
            message: format!("cannot start the thread that writes: {error}"),
        })
    }

    fn stop(&self) {
        self.writer.stop();
    }
}
