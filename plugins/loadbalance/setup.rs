//! Reads `loadbalance`.

use std::sync::Arc;

use corefile::options::{Mismatch, Options, Value};
use corefile::{Diagnostic, Directive};

use super::handler::LoadBalance;
use crate::networks::network;
use crate::setup::{Block, Context, once};

/// Puts `loadbalance` into the chain.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    _context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(directive) = once(directives, diagnostics) else { return };
    let mut options = Options::new(directive, diagnostics);
    options.optional(policy());
    let preferred = options.values("prefer", 1.., network());
    if options.finish() {
        block.plugins.push(Arc::new(LoadBalance::new(preferred)));
    }
}

/// The one policy there is.
fn policy() -> Value<()> {
    Value::new("`round_robin`", |text| match text {
        "round_robin" => Ok(()),
        "weighted" => Err(Mismatch::with_hint("weights are not known here; `prefer` puts networks first")),
        _ => Err(Mismatch::new()),
    })
}
