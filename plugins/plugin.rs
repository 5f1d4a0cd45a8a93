//! What every plugin is: a step of the chain that answers a query or hands it on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::chain::{Next, Rest};
use crate::error::{ServeError, StartError};
use crate::query::Query;
use crate::response::Response;
use crate::validator::Validator;
use crate::view::QueryView;

/// What a plugin makes of a query before it is decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Glance {
    /// Not mine to answer or to judge: look further down the chain.
    Pass,
    /// The reply is written.
    Answered,
    /// There is no reply, and nobody looks further. Whoever says so counts it.
    Silent,
    /// Decode the query and take the long way.
    Ask,
}

/// A step of the chain.
///
/// A plugin returns its answer. It asks the rest of the chain by `next.serve(query)`, once at most, since `Next` is used up.
#[async_trait]
pub trait Plugin: Send + Sync + 'static {
    /// The name of its directive.
    fn name(&self) -> &'static str;

    /// Looks at a query on the listener's own thread: no allocation, no lock that others hold for long, no decoding.
    ///
    /// When it says `Answered`, `reply` holds the whole message. The default is `Ask`, so that a plugin that knows nothing of
    /// glances stays correct.
    fn glance(&self, _query: &QueryView<'_>, _reply: &mut Vec<u8>) -> Glance {
        Glance::Ask
    }

    /// Shapes the reply that a plugin further down gave at a glance after this one said `Pass`, without a change of its length: what this plugin does to
    /// answers on their way up, where it can be done to bytes. As cheap as a glance.
    fn shape(&self, _query: &QueryView<'_>, _reply: &mut [u8]) {}

    /// Tells a plugin that said `Pass` what became of the query at a glance, for counters and query logs. An empty reply is silence.
    fn glanced(&self, _query: &QueryView<'_>, _reply: &[u8], _elapsed: Duration) {}

    /// Answers `query`, or asks `next`.
    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError>;

    /// Opens what takes a privilege that the program is about to give up: a port, a filter. Called once, before `start`, when the whole
    /// configuration was accepted. What is open is let go with the plugin if it is never started.
    fn open(&self) -> Result<(), StartError> {
        Ok(())
    }

    /// Starts what runs beside queries: timers, probes, peers. Called once, on the runtime, after the whole configuration was
    /// accepted and before the first query. `rest` is the chain behind this plugin.
    fn start(&self, _rest: Rest) -> Result<(), StartError> {
        Ok(())
    }

    /// Whether this plugin can serve now; the text says what is missing. Shown by `GET /ready`.
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    /// Answers `GET path?query` of the JSON API on the admin listener with a status and a JSON text, if `path` is this plugin's.
    fn api(&self, _path: &str, _query: &str) -> Option<(u16, String)> {
        None
    }

    /// Does what `POST path?query` of the JSON API asks for, if `path` is this plugin's. The request is that of an operator on this machine.
    fn change(&self, _path: &str, _query: &str) -> Option<(u16, String)> {
        None
    }

    /// Whether `post` answers `POST path`: then its body is read.
    fn receives(&self, _path: &str) -> bool {
        false
    }

    /// Answers `POST path?query` with a body, from whoever reaches the admin listener: it must change nothing that an operator decides on. The body is
    /// at most `validator::REQUEST_BYTES_MAX` bytes, and few requests are under way at a time. Dropped when the client goes away.
    async fn post(&self, _path: &str, _query: &str, _body: Bytes) -> Option<(u16, String)> {
        None
    }

    /// Judges operations beside DNS questions, if this plugin does: for the consensus plugin before it.
    fn validator(&self) -> Option<Arc<dyn Validator>> {
        None
    }

    /// Ends what `start` began: the configuration was replaced or the program ends.
    fn stop(&self) {}

    /// Returns when what `stop` ended has ended: files are written, others were told. Asked once all chains were stopped because the program ends, and not
    /// waited for longer than queries are.
    async fn stopped(&self) {}
}
