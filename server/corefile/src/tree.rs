//! The tree that a Corefile becomes: server blocks, their keys, directives in file order, words with
//! positions.
//!
//! Says what is written and where. What a directive means is for the plugin that it names.

use std::{fmt, path::Path, sync::Arc};

use crate::{
    diagnostic::{self, Diagnostic},
    render,
};

/// A stretch of one line of a source file.
///
/// Lines and columns count from 1, columns in characters (a tab is one). `line` is 0 when a diagnostic
/// concerns a file as a whole, as when it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file, as it was named on the command line or composed from an `import`.
    pub file: Arc<Path>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Length in characters; of a word over several lines, the part on the first.
    pub length: u32,
}

impl Span {
    /// Returns the span that stands for `file` as a whole.
    pub fn of_file(file: &Path) -> Self {
        Self { file: file.into(), line: 0, column: 0, length: 0 }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file.display()),
            _ => write!(f, "{}:{}:{}", self.file.display(), self.line, self.column),
        }
    }
}

/// A word of the file, quotes taken off and environment variables put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What the word says.
    pub text: String,
    /// Whether it stood in double quotes. A quoted word is never structure.
    pub quoted: bool,
    /// Where it stands, quotes included.
    pub span: Span,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A line of a block: a directive of a server block, or a property of a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The first word of the line.
    pub name: Word,
    /// The other words of the line.
    pub args: Vec<Word>,
    /// The lines between this line's own braces, or `None` without braces. `Some` of nothing for `{ }`.
    pub block: Option<Vec<Directive>>,
    /// Where the name stands.
    pub span: Span,
}

/// The transport that a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `dns://`, or none: plain DNS over UDP and TCP.
    Dns,
    /// `tls://`: DNS over TLS, RFC 7858.
    Tls,
    /// `quic://`: DNS over QUIC, RFC 9250.
    Quic,
    /// `https://`: DNS over HTTPS, RFC 8484.
    Https,
}

impl Scheme {
    /// All schemes, in the order in which messages list them.
    pub const ALL: [Self; 4] = [Self::Dns, Self::Tls, Self::Quic, Self::Https];

    /// Returns the scheme's name as a key spells it, without `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Quic => "quic",
            Self::Https => "https",
        }
    }

    /// Returns the port of a key that names none; `dns_port` is that of plain DNS.
    pub fn default_port(self, dns_port: u16) -> u16 {
        match self {
            Self::Dns => dns_port,
            Self::Tls | Self::Quic => 853,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One zone on one transport and port that a server block serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The transport.
    pub scheme: Scheme,
    /// The zone: lower-case, absolute, ends in `.`, at most 255 octets on the wire.
    pub zone: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
    /// The word it came from. All keys of one CIDR word share it.
    pub span: Span,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.zone, self.port)
    }
}

/// A server block: the zones it serves and its directives, in file order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The keys, CIDR words already split into reverse zones. Empty only if diagnostics hold an error.
    pub keys: Vec<Key>,
    /// The directives in the order of the file, imports put in their place.
    pub directives: Vec<Directive>,
    /// Where the first key stands.
    pub span: Span,
}

impl Block {
    /// Returns the directives called `name`, in file order.
    pub fn directives_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Directive> {
        self.directives.iter().filter(move |directive| directive.name.text == name)
    }
}

/// A file that was read, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path, as the spans have it.
    pub path: Arc<Path>,
    /// Its text: what was not UTF-8 is replaced by U+FFFD, a byte-order mark is taken off.
    pub text: Arc<str>,
}

/// All server blocks, and the text they came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corefile {
    /// The server blocks, in file order.
    pub blocks: Vec<Block>,
    /// Every file that was read, the Corefile first, then imports as they were met.
    pub files: Vec<SourceFile>,
}

impl Corefile {
    /// Returns `diagnostic` as text for people: position and message, the line, a caret line, the hint.
    ///
    /// Ends in a line feed. A diagnostic about a file that is not in `files` is shown without its line.
    pub fn render(&self, diagnostic: &Diagnostic) -> String {
        render::render(diagnostic, &self.files)
    }

    /// Orders `diagnostics` by place and drops repeated ones: those of plugins among those of the parser.
    ///
    /// A snippet that several blocks import makes each of its mistakes several times.
    pub fn sort(&self, diagnostics: &mut Vec<Diagnostic>) {
        diagnostic::sort(diagnostics, &self.files);
    }

    /// Returns all `diagnostics` as `render` shows them, a blank line between two.
    pub fn render_all(&self, diagnostics: &[Diagnostic]) -> String {
        let shown: Vec<String> = diagnostics.iter().map(|diagnostic| self.render(diagnostic)).collect();
        shown.join("\n")
    }
}
