//! Reads `root`.

use corefile::options::{Options, path};
use corefile::{Diagnostic, Directive};

use crate::setup::{Block, Context, once};

/// Sets the folder that paths in the block start from.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(directive) = once(directives, diagnostics) else {
        return;
    };
    let mut options = Options::new(directive, diagnostics);
    let word = options.peek();
    let Some(folder) = options.required(path()) else {
        return;
    };
    let folder = context.directory.join(folder);
    if let Some(word) = word.filter(|_| !folder.is_dir()) {
        let message = format!("`{}` is no folder", folder.display());
        options.warning(&word.span, message, "files in it are found once it exists");
    }
    if options.finish() {
        block.root = folder;
    }
}
