//! Reads `loop`.

use std::sync::Arc;

use corefile::options::Options;
use corefile::{Diagnostic, Directive};

use super::handler::Loop;
use crate::setup::{Block, Context, once};

/// Puts `loop` into the chain.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if let Some(directive) = once(directives, diagnostics)
        && Options::new(directive, diagnostics).finish()
    {
        block.plugins.push(Arc::new(Loop::new(&block.zones, context.fatal.clone(), &context.metrics)));
    }
}
