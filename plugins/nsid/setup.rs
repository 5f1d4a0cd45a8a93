//! Reads `nsid`.

use corefile::options::{Options, text};
use corefile::{Diagnostic, Directive};

use crate::setup::{Block, Context, once};

/// Sets what this server is called. Who says it is the program, since every reply of the block does, those that fail included.
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
    let words = options.rest(.., text());
    let data = if words.is_empty() { crate::host::name() } else { words.join(" ") };
    if let Some(word) = directive.args.first().filter(|_| data.len() > BYTES_MAX) {
        let message = format!("expected {BYTES_MAX} bytes at most, got {}", data.len());
        options.error_with_hint(&word.span, message, "it must fit beside every answer");
    }
    if options.finish() {
        block.settings.nsid = Some(data.into_bytes());
    }
}

/// Longest name of a server.
const BYTES_MAX: usize = 128;
