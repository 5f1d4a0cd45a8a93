//! Reads `cancel`.

use std::time::Duration;

use corefile::options::{Options, duration};
use corefile::{Diagnostic, Directive};

use crate::setup::{Block, Context, once};

/// Sets the time that the chain has for one query.
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
    let deadline = options.optional(duration(DEADLINE_MIN..=DEADLINE_MAX)).unwrap_or(DEADLINE);
    if options.finish() {
        block.settings.deadline = Some(deadline);
    }
}

/// As in CoreDNS.
const DEADLINE: Duration = Duration::from_millis(5001);
/// Below it nothing that has to be asked for, or agreed on, would ever be answered.
const DEADLINE_MIN: Duration = Duration::from_millis(100);
/// Beyond it no client waits, and what is held for a query would only be held longer.
const DEADLINE_MAX: Duration = Duration::from_secs(30);
