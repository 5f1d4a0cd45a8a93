//! What `import` finds: the lines of a snippet, of a file, or of the files that match a pattern.
//!
//! A snippet wins over a file. Paths are relative to the file that holds the word. A snippet or file that
//! comes to import itself is an error with the whole way round; CoreDNS counts to ten thousand instead.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use crate::{
    decode::decode,
    diagnostic::{Diagnostic, Report, quote},
    environment::expand,
    lexer::{Token, lex},
    lines::{Line, lines},
    sources::{Sources, plain},
    suggest::suggest,
    tree::{SourceFile, Span, Word},
};

/// How often snippets may be put in, as in CoreDNS.
pub(crate) const SNIPPET_USES_MAX: usize = 10_000;
/// How often files may be put in, as in CoreDNS.
pub(crate) const FILE_IMPORTS_MAX: usize = 100_000;
/// How deep imports may stand in imports.
pub(crate) const IMPORT_DEPTH_MAX: usize = 50;

/// Lines that an `import` stands for.
#[derive(Clone)]
pub(crate) struct Imported {
    origin: Origin,
    pub(crate) lines: Rc<Vec<Line>>,
}

/// What is being imported, to see when it imports itself.
#[derive(Clone, PartialEq, Eq)]
enum Origin {
    Snippet(String),
    File(PathBuf),
}

struct Snippet {
    declared: Span,
    lines: Rc<Vec<Line>>,
}

/// Everything read so far, and the way to where the reader stands.
pub(crate) struct Imports<'a> {
    sources: &'a dyn Sources,
    /// Every file once, in the order met, for messages.
    pub(crate) files: Vec<SourceFile>,
    read: HashMap<PathBuf, Rc<Vec<Line>>>,
    snippets: HashMap<String, Snippet>,
    trail: Vec<Origin>,
    snippet_uses: usize,
    file_imports: usize,
    /// Imports that found neither snippet nor file: the snippet may follow.
    missing: Vec<Word>,
}

impl<'a> Imports<'a> {
    pub(crate) fn new(sources: &'a dyn Sources) -> Self {
        Self {
            sources,
            files: Vec::new(),
            read: HashMap::new(),
            snippets: HashMap::new(),
            trail: Vec::new(),
            snippet_uses: 0,
            file_imports: 0,
            missing: Vec::new(),
        }
    }

    /// Takes the bytes of the Corefile itself.
    pub(crate) fn main(&mut self, path: &Path, bytes: &[u8], report: &mut Report) -> Imported {
        Imported { origin: Origin::File(plain(path)), lines: self.add(path, bytes, report) }
    }

    /// Notes that the reader goes into `imported`. Ends with [`Imports::leave`].
    pub(crate) fn enter(&mut self, imported: &Imported) {
        self.trail.push(imported.origin.clone());
    }

    /// Notes that the reader comes back from the import entered last.
    pub(crate) fn leave(&mut self) {
        self.trail.pop();
    }

    /// Keeps a snippet for the imports to come.
    pub(crate) fn declare(&mut self, name: &str, token: &Token, lines: Rc<Vec<Line>>, report: &mut Report) {
        if let Some(first) = self.snippets.get(name) {
            let error = Diagnostic::error(&token.span, format!("snippet {} is declared twice", quote(name)));
            report.push(error.with_hint(format!("the first declaration is at {}", first.declared)));
            return;
        }
        self.snippets.insert(name.to_owned(), Snippet { declared: token.span.clone(), lines });
    }

    /// Returns what the `import` of `line` stands for; nothing after an error or if no file matches.
    pub(crate) fn resolve(&mut self, line: &Line, report: &mut Report) -> Vec<Imported> {
        let Some(word) = self.argument(line, report) else { return Vec::new() };
        if self.trail.len() > IMPORT_DEPTH_MAX {
            let message = format!("expected at most {IMPORT_DEPTH_MAX} imports inside one another");
            report.push(Diagnostic::error(&word.span, message));
            return Vec::new();
        }
        if let Some(snippet) = self.snippets.get(&word.text) {
            let imported =
                Imported { origin: Origin::Snippet(word.text.clone()), lines: snippet.lines.clone() };
            self.snippet_uses += 1;
            let within = within(self.snippet_uses, SNIPPET_USES_MAX, "uses of snippets", &word, report);
            return if within && self.is_new(&imported.origin, &word, report) {
                vec![imported]
            } else {
                Vec::new()
            };
        }
        let paths = self.paths(&word, report);
        let mut found = Vec::with_capacity(paths.len());
        for path in paths {
            self.file_imports += 1;
            let within = within(self.file_imports, FILE_IMPORTS_MAX, "imports of files", &word, report);
            let origin = Origin::File(plain(&path));
            if !within || !self.is_new(&origin, &word, report) {
                break;
            }
            if let Some(lines) = self.file(&path, &word, report) {
                found.push(Imported { origin, lines });
            }
        }
        found
    }

    /// Tells the imports that found nothing whether their snippet came too late, or a like name exists.
    pub(crate) fn explain_missing(&self, report: &mut Report) {
        let mut names: Vec<&str> = self.snippets.keys().map(String::as_str).collect();
        names.sort_unstable();
        for word in &self.missing {
            let hint = match (self.snippets.get(&word.text), suggest(&word.text, &names)) {
                (Some(snippet), _) => {
                    format!("the snippet is declared later, at {}; move it above its use", snippet.declared)
                }
                (None, Some(meant)) => format!("did you mean the snippet `{meant}`?"),
                (None, None) => {
                    "snippets are declared as `(name) {`; paths are relative to the importing file".to_owned()
                }
            };
            report.add_hint(&word.span, hint);
        }
    }

    /// Returns the only argument of an `import`.
    fn argument(&self, line: &Line, report: &mut Report) -> Option<Word> {
        let expected = "expected one snippet, file or pattern after `import`";
        if let Some(brace) = line.braces.as_ref().filter(|braces| !braces.on_next_line) {
            let error = Diagnostic::error(&brace.open, format!("{expected}, got `{{`"));
            report.push(
                error.with_hint("put `{` on the next line if the import brings the zones of the block"),
            );
            return None;
        }
        match line.words.as_slice() {
            [_, argument] => {
                let word = expand(argument, self.sources, report);
                if !word.text.is_empty() {
                    return Some(word);
                }
                report.push(Diagnostic::error(&word.span, format!("{expected}, got an empty word")));
            }
            [_, _, extra, ..] => {
                let error =
                    Diagnostic::error(&extra.span, format!("{expected}, got also {}", quote(&extra.text)));
                report.push(error.with_hint("give each file its own `import`; snippets take no arguments"));
            }
            _ => report.push(Diagnostic::error(&line.words[0].span, format!("{expected}, got nothing"))),
        }
        None
    }

    /// Returns whether `origin` is not on the way to here; otherwise names the cycle.
    fn is_new(&self, origin: &Origin, word: &Word, report: &mut Report) -> bool {
        let Some(start) = self.trail.iter().position(|passed| passed == origin) else { return true };
        let name = |origin: &Origin| match origin {
            Origin::Snippet(name) => format!("`({name})`"),
            Origin::File(path) => format!("`{}`", path.display()),
        };
        let way: Vec<String> = self.trail[start..].iter().chain([origin]).map(name).collect();
        let error = Diagnostic::error(&word.span, format!("imports go in a circle: {}", way.join(" -> ")));
        report.push(error.with_hint("remove one of these imports"));
        false
    }

    /// Returns the files that `word` names, relative to the file where it stands.
    fn paths(&mut self, word: &Word, report: &mut Report) -> Vec<PathBuf> {
        let folder = word.span.file.parent().unwrap_or(Path::new(""));
        let pattern = word.text.as_str();
        if !pattern.contains(['*', '?', '[']) {
            return vec![folder.join(pattern)];
        }
        if pattern.contains('[') || pattern.matches('*').count() > 1 || pattern.matches('?').count() > 1 {
            let message =
                format!("expected at most one `*` and one `?` in a pattern, got {}", quote(pattern));
            report
                .push(Diagnostic::error(&word.span, message).with_hint("import several patterns one by one"));
            return Vec::new();
        }
        let escaped = glob::Pattern::escape(&folder.to_string_lossy());
        let full = Path::new(&escaped).join(pattern);
        match self.sources.glob(&full.to_string_lossy()) {
            Ok(paths) => {
                if paths.is_empty() {
                    let message = format!("no file matches {}", quote(pattern));
                    report.push(Diagnostic::warning(&word.span, message));
                }
                paths
            }
            Err(error) => {
                let message = format!("expected a pattern of files, got {}: {error}", quote(pattern));
                report.push(Diagnostic::error(&word.span, message));
                Vec::new()
            }
        }
    }

    /// Returns the lines of the file at `path`; it is read once.
    fn file(&mut self, path: &Path, word: &Word, report: &mut Report) -> Option<Rc<Vec<Line>>> {
        let key = plain(path);
        if let Some(lines) = self.read.get(&key) {
            return Some(lines.clone());
        }
        match self.sources.read(path) {
            Ok(bytes) => Some(self.add(path, &bytes, report)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message =
                    format!("expected a snippet or a file, found neither for {}", quote(&word.text));
                report.push(Diagnostic::error(&word.span, message));
                self.missing.push(word.clone());
                None
            }
            Err(error) => {
                let shown = quote(&path.to_string_lossy());
                report.push(Diagnostic::error(
                    &word.span,
                    format!("cannot import {shown}: {}", describe(&error)),
                ));
                None
            }
        }
    }

    fn add(&mut self, path: &Path, bytes: &[u8], report: &mut Report) -> Rc<Vec<Line>> {
        let file: Arc<Path> = path.into();
        let text = decode(bytes, &file, report);
        let lines = Rc::new(lines(lex(&file, &text, report), report));
        self.files.push(SourceFile { path: file, text: text.into() });
        self.read.insert(plain(path), lines.clone());
        lines
    }
}

/// Returns whether `count` is within `limit`; says so once.
fn within(count: usize, limit: usize, what: &str, word: &Word, report: &mut Report) -> bool {
    if count == limit + 1 {
        report.push(Diagnostic::error(&word.span, format!("expected at most {limit} {what}")));
    }
    count <= limit
}

/// Returns what the system says of a file, in our words where it is a common case.
pub(crate) fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::FileTooLarge => "the file is too large for a Corefile".to_owned(),
        _ => error.to_string(),
    }
}
