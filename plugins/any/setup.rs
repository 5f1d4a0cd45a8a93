//! Reads `any`.

use std::sync::Arc;

use corefile::options::Options;
use corefile::{Diagnostic, Directive};

use super::handler::Any;
use crate::setup::{Block, Context, once};

/// Puts `any` into the chain.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    _context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if let Some(directive) = once(directives, diagnostics)
        && Options::new(directive, diagnostics).finish()
    {
        block.plugins.push(Arc::new(Any));
    }
}
