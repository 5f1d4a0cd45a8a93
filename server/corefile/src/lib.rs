//! The Corefile: text to a tree with positions. Knows no directive by name.
//!
//! The grammar is CoreDNS's: server blocks of zones, directives with arguments and braces, snippets, imports,
//! environment variables. Where CoreDNS silently misreads, this crate reads what was meant, or refuses:
//!
//! | text | CoreDNS | here |
//! |---|---|---|
//! | `. { whoami }` | error | a block |
//! | `"{"`, `"}"`, `"import"` | structure | words |
//! | `log a#b` | cuts at `#` | one word, a warning |
//! | a snippet imported twice | glues its lines | two lines |
//! | a missing `}` at the end, a stray one | accepts | error |
//! | an imported file with an open `{` | accepts | error |
//! | `"" {`, `(a) (b) {` | drops the block, a zone called `(a)` | error |
//! | `a.org,b.org`, `127.0.0.1`, `a.org:x` as a key | zones of these names | error |
//! | a variable that is not set | empty | empty, a warning |
//! | import cycle | counts to 10 000 | error that names the cycle |
//!
//! All errors come at once, with file, line, column and a hint; [`Corefile::render`] shows them beside their
//! line. [`options`] reads the arguments and properties of one directive for the plugin that it belongs to.
//!
//! Whether two blocks claim the same zone is not judged here: that depends on `bind`.
//!
//! ```
//! use corefile::{MemorySources, ParseOptions, parse};
//!
//! let text = "example.org:1053 {\n    forwrad . 192.0.2.1\n}\n";
//! let sources = MemorySources::new().with_file("Corefile", text);
//! let options = ParseOptions { directives: Some(&["forward", "log"]), ..ParseOptions::default() };
//! let (corefile, diagnostics) = parse("Corefile".as_ref(), &sources, &options);
//!
//! assert_eq!(corefile.blocks[0].keys[0].to_string(), "dns://example.org.:1053");
//! assert_eq!(
//!     corefile.render_all(&diagnostics),
//!     "\
//! Corefile:2:5: error: unknown directive `forwrad`
//!     2 |     forwrad . 192.0.2.1
//!       |     ^^^^^^^
//! hint: did you mean `forward`?
//! "
//! );
//! ```

use std::path::Path;

mod decode;
mod diagnostic;
mod environment;
mod imports;
mod key;
mod lexer;
mod lines;
pub mod options;
mod parser;
mod render;
mod reverse;
mod sources;
mod suggest;
mod tree;
mod zone;

pub use diagnostic::{Diagnostic, Severity, has_errors, quote};
pub use sources::{FILE_BYTES_MAX, MemorySources, Sources, SystemSources};
pub use suggest::suggest;
pub use tree::{Block, Corefile, Directive, Key, Scheme, SourceFile, Span, Word};
pub use zone::{ZoneFault, zone_name};

/// What the caller knows and the text does not say.
#[derive(Clone, Copy, Debug)]
pub struct ParseOptions<'a> {
    /// The names of all directives; any other is an error. `None` accepts every name.
    pub directives: Option<&'a [&'a str]>,
    /// The port of `dns://` keys that name none.
    pub default_port: u16,
}

impl Default for ParseOptions<'_> {
    /// Every directive, port 53.
    fn default() -> Self {
        Self { directives: None, default_port: 53 }
    }
}

/// Reads the Corefile at `path`, and what it imports, through `sources`.
///
/// Returns the tree and all errors and warnings, ordered by place. With an error among them ([`has_errors`])
/// the tree holds what could be understood and must not be served. An empty file has no blocks and no errors.
/// Never panics.
pub fn parse(path: &Path, sources: &dyn Sources, options: &ParseOptions<'_>) -> (Corefile, Vec<Diagnostic>) {
    match sources.read(path) {
        Ok(bytes) => parser::parse(path, &bytes, sources, options),
        Err(error) => {
            let message = format!("cannot read the Corefile: {}", imports::describe(&error));
            (Corefile::default(), vec![Diagnostic::error(&Span::of_file(path), message)])
        }
    }
}

/// Reads a Corefile whose content is at hand, as from standard input; `path` names it in messages and is the
/// base of relative imports.
pub fn parse_bytes(
    path: &Path,
    bytes: &[u8],
    sources: &dyn Sources,
    options: &ParseOptions<'_>,
) -> (Corefile, Vec<Diagnostic>) {
    parser::parse(path, bytes, sources, options)
}
