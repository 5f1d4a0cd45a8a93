//! Reads `reload`.

use std::time::Duration;

use corefile::options::{Options, duration};
use corefile::{Diagnostic, Directive};

use crate::setup::{Block, Context, Reload, once};

/// Sets how often the files of the configuration are looked at. Who looks is the program.
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
    let reload = if options.keyword("off") { Reload::Off } else { period(&mut options) };
    if options.finish() {
        block.settings.reload = Some(reload);
    }
}

fn period(options: &mut Options<'_>) -> Reload {
    let interval = options.optional(duration(INTERVAL_MIN..=INTERVAL_MAX)).unwrap_or(INTERVAL);
    let word = options.peek();
    let jitter = options.optional(duration(Duration::ZERO..=INTERVAL_MAX));
    let jitter_max = interval / 2;
    if let (Some(word), Some(_)) = (word, jitter.filter(|jitter| *jitter > jitter_max)) {
        let hint = "leave it out: then it is half of the interval at most";
        options.warning(&word.span, "the jitter is cut to half of the interval", hint);
    }
    Reload::Every { interval, jitter: jitter.unwrap_or(JITTER).min(jitter_max) }
}

/// As in CoreDNS.
const INTERVAL: Duration = Duration::from_secs(30);
/// As in CoreDNS.
const INTERVAL_MIN: Duration = Duration::from_secs(2);
const INTERVAL_MAX: Duration = Duration::from_secs(7 * 86_400);
/// As in CoreDNS.
const JITTER: Duration = Duration::from_secs(15);
