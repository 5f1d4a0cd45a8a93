//! Reads `bufsize`.

use corefile::options::{Options, integer};
use corefile::{Diagnostic, Directive};

use crate::setup::{Block, Context, once};

/// Sets the longest reply over UDP.
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
    let bytes = options.optional(integer(512..=4096)).unwrap_or(BYTES);
    if options.finish() {
        block.settings.udp_payload_max = Some(bytes);
    }
}

/// What passes without fragments nearly everywhere. DNS flag day 2020
const BYTES: u16 = 1232;
