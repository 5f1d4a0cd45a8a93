//! Reads `erratic`.

use std::sync::Arc;
use std::time::Duration;

use corefile::options::{Options, Value, duration, integer};
use corefile::{Diagnostic, Directive};

use super::handler::{Erratic, Settings};
use crate::setup::{Block, Context, once};

/// Puts `erratic` into the chain.
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
    let one_in = |line: &mut Options<'_>| Some(line.optional(amount()).unwrap_or(AMOUNT));
    let drop = options.property("drop", one_in);
    let truncate = options.property("truncate", one_in);
    let delay = options.property("delay", |line| {
        let amount = line.optional(amount()).unwrap_or(AMOUNT);
        Some((amount, line.optional(duration(Duration::ZERO..=DURATION_MAX)).unwrap_or(DURATION)))
    });
    let large = options.flag("large");
    // Who says something else to be done means that to be done.
    let drop_unsaid = if truncate.is_none() && delay.is_none() { AMOUNT } else { 0 };
    let (delay, duration) = delay.unwrap_or((0, DURATION));
    let settings = Settings {
        drop: drop.unwrap_or(drop_unsaid),
        truncate: truncate.unwrap_or(0),
        delay,
        duration,
        large,
    };
    if options.finish() {
        block.plugins.push(Arc::new(Erratic::new(settings)));
    }
}

/// One query in so many, or 0 for none.
fn amount() -> Value<u64> {
    integer(0..=1_000_000)
}

/// As in CoreDNS.
const AMOUNT: u64 = 2;
/// As in CoreDNS.
const DURATION: Duration = Duration::from_millis(100);
/// Beyond it no query waits.
const DURATION_MAX: Duration = Duration::from_secs(60);
