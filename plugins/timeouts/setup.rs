//! Reads `timeouts`.

use std::time::Duration;

use corefile::options::{Options, duration};
use corefile::{Diagnostic, Directive};

use crate::setup::{Block, Context, once};

/// Sets the idle time-out of connections.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    _context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(directive) = once(directives, diagnostics) else {
        return;
    };
    let mut options = Options::new(directive, diagnostics);
    let range = || duration(Duration::from_secs(1)..=Duration::from_secs(86_400));
    for name in ["read", "write"] {
        options.property(name, |line| {
            let span = line.span().clone();
            line.required(range())?;
            line.warning(
                &span,
                "has no effect",
                "each query has its own deadline; `idle` ends idle connections",
            );
            Some(())
        });
    }
    let idle = options.value("idle", range());
    if options.finish() {
        block.settings.idle_timeout = idle;
    }
}
