//! The plugin: sets and clears flags on the way down and on the way up.

use async_trait::async_trait;

use crate::chain::Next;
use crate::error::ServeError;
use crate::plugin::Plugin;
use crate::query::Query;
use crate::response::Response;

/// What becomes of each flag; `None` leaves it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// RD of the query as it goes on.
    pub recursion_desired: Option<bool>,
    /// AA of the answer.
    pub authoritative: Option<bool>,
    /// RA of the answer.
    pub recursion_available: Option<bool>,
}

/// `header`
pub struct Header {
    rules: Rules,
}

impl Header {
    /// Flags by `rules`.
    pub fn new(rules: Rules) -> Header {
        Header { rules }
    }
}

#[async_trait]
impl Plugin for Header {
    fn name(&self) -> &'static str {
        "header"
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        let Rules { recursion_desired, authoritative, recursion_available } = self.rules;
        let mut response = match recursion_desired.filter(|&desired| desired != query.recursion_desired) {
            Some(recursion_desired) => next.serve(&Query { recursion_desired, ..query.clone() }).await?,
            None => next.serve(query).await?,
        };
        response.authoritative = authoritative.unwrap_or(response.authoritative);
        response.recursion_available = recursion_available.unwrap_or(response.recursion_available);
        Ok(response)
    }
}
