//! Reads `local`.

use std::sync::Arc;

use corefile::options::{Options, on_off};
use corefile::{Diagnostic, Directive};
use prometheus_client::metrics::counter::Counter;

use super::handler::Local;
use crate::setup::{Block, Context, once};

/// Puts `local` into the chain.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(directive) = once(directives, diagnostics) else {
        return;
    };
    let mut options = Options::new(directive, diagnostics);
    let prefix = options.value("localhost_prefix", on_off()).unwrap_or(false);
    if options.finish() {
        let help = "Queries for localhost and addresses of the host, answered here";
        let answered = context.metrics.metric("quorate_local_requests", help, Counter::default);
        block.plugins.push(Arc::new(Local::new(prefix, answered)));
    }
}
