//! The plugin: looks at what comes back and logs what failed.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use tracing::error;

use super::limit::{Limit, Verdict};
use crate::chain::Next;
use crate::error::ServeError;
use crate::plugin::{Glance, Plugin};
use crate::query::Query;
use crate::response::Response;
use crate::view::QueryView;

/// `errors`
pub struct Errors {
    limit: Mutex<Limit>,
    report: Report,
}

/// Where lines go: the query, why it failed, how many were left out before it.
pub type Report = fn(&Query, &str, u64);

impl Errors {
    /// Errors go to `report`.
    pub fn new(report: Report) -> Errors {
        Errors { limit: Mutex::default(), report }
    }
}

#[async_trait]
impl Plugin for Errors {
    fn name(&self) -> &'static str {
        "errors"
    }

    fn glance(&self, _query: &QueryView<'_>, _reply: &mut Vec<u8>) -> Glance {
        Glance::Pass
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        let result = next.serve(query).await;
        if is_failure(&result) {
            let verdict = self.limit.lock().unwrap_or_else(PoisonError::into_inner).judge(query.received);
            if let Verdict::Log { left_out } = verdict {
                (self.report)(query, &cause(&result), left_out);
            }
        }
        result
    }
}

/// Whether the query failed for a reason that an operator can do something about.
fn is_failure(result: &Result<Response, ServeError>) -> bool {
    match result {
        Ok(response) => response.rcode == ResponseCode::ServFail,
        Err(error) => is_ours(error),
    }
}

/// Why the query failed: the error, or what the answer with SERVFAIL says beside it and which plugin made it.
fn cause(result: &Result<Response, ServeError>) -> String {
    match result {
        Err(error) => error.to_string(),
        Ok(response) => {
            let texts: Vec<String> = response.told().map(text_of).collect();
            let told = if texts.is_empty() { String::new() } else { format!(": {}", texts.join("; ")) };
            format!("SERVFAIL from {}{told}", response.origin)
        }
    }
}

/// The text of an extended error, or its code where it has none. An upstream may have written it, so that nothing in it may break
/// the line or make it long.
fn text_of((code, text): (u16, &str)) -> String {
    if text.is_empty() {
        return format!("extended error {code}");
    }
    let printable = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    text.chars().take(TEXT_CHARACTERS_MAX).map(printable).collect()
}

/// Whether an operator can do something about the error. A client that asks for what is not served is no fault here.
fn is_ours(error: &ServeError) -> bool {
    match error {
        ServeError::NoPlugin | ServeError::Dropped | ServeError::Refused(_) => false,
        ServeError::TimedOut(_)
        | ServeError::Upstream(_)
        | ServeError::NotReady(_)
        | ServeError::NoAgreement(_)
        | ServeError::Internal(_) => true,
    }
}

/// Writes the line to the program's log.
pub fn report(query: &Query, error: &str, left_out: u64) {
    let (name, qtype) = (&query.name, query.qtype);
    match left_out {
        0 => error!(%name, %qtype, %error, "query failed"),
        left_out => error!(%name, %qtype, %error, left_out, "query failed, and others before it"),
    }
}

/// Characters of an extended error that are logged.
const TEXT_CHARACTERS_MAX: usize = 256;
