//! Reads `debug`.

use corefile::options::Options;
use corefile::{Diagnostic, Directive};

use crate::setup::{Block, Context, once};

/// Asks the program to tell more.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    _context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if let Some(directive) = once(directives, diagnostics)
        && Options::new(directive, diagnostics).finish()
    {
        block.settings.debug = true;
    }
}
