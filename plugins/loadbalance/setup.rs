//! Reads `loadbalance`, and the file of weights.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use corefile::options::{Options, one_of, path};
use corefile::{Diagnostic, Directive, quote};

use super::handler::{LoadBalance, Policy};
use super::weights::Weights;
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
    let is_weighted = options.optional(one_of([("round_robin", false), ("weighted", true)]));
    let weights =
        if is_weighted == Some(true) { read_weights(&mut options, block) } else { Weights::default() };
    let preferred = options.values("prefer", 1.., network());
    if options.finish() {
        block.plugins.push(Arc::new(LoadBalance::new(Policy { weights, preferred })));
    }
}

/// The weights in the file that the next argument names. The file is looked at with the Corefile: *reload* takes a changed one.
fn read_weights(options: &mut Options<'_>, block: &mut Block<'_>) -> Weights {
    let place = options.peek().map(|word| word.span.clone());
    let (Some(named), Some(place)) = (options.required(path().named("a file of weights")), place) else {
        return Weights::default();
    };
    let file = block.root.join(named);
    block.settings.watch(&file);
    let read = text_of(&file).and_then(|text| Weights::parse(&text).map_err(|error| error.to_string()));
    read.unwrap_or_else(|error| {
        options.error(&place, format!("{}: {error}", quote(&file.display().to_string())));
        Weights::default()
    })
}

fn text_of(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let opened = File::open(file).map_err(|error| error.to_string())?;
    opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("expected at most {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// Largest file of weights, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;
