//! Reads `chaos`.

use std::sync::Arc;

use corefile::options::{Mismatch, Options, Value};
use corefile::{Diagnostic, Directive};

use super::handler::Chaos;
use crate::setup::{Block, Context, once};

/// Puts `chaos` into the chain.
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
    let version = options.optional(character_string("a version"));
    let authors = options.rest(..=AUTHORS_MAX, character_string("an author"));
    if options.finish() {
        let version = version.unwrap_or_else(|| concat!("Quorate-", env!("CARGO_PKG_VERSION")).to_owned());
        block.plugins.push(Arc::new(Chaos { version, authors, host: crate::host::name() }));
    }
}

/// What fits one string of a TXT record. RFC 1035 §3.3
fn character_string(noun: &'static str) -> Value<String> {
    Value::new(noun, |text| match text.len() {
        0 => Err(Mismatch::new()),
        1..=255 => Ok(text.to_owned()),
        _ => Err(Mismatch::with_hint("a string of a TXT record has at most 255 bytes")),
    })
}

/// So that all of them fit one message.
const AUTHORS_MAX: usize = 100;
