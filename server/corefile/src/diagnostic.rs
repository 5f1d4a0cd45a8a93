//! What is wrong with a Corefile, and where. Words only: `render.rs` shows them beside the line.

use std::{collections::HashSet, fmt};

use crate::tree::{SourceFile, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration must not be used.
    Error,
    /// It can be used, but probably does not mean what was intended.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// An error or a warning about a place in a Corefile.
///
/// Its `Display` is the one-line form, `Corefile:12:9: error: expected ..., got ...`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The offending place.
    pub span: Span,
    /// What was expected, then what came. Lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Returns an error at `span`.
    pub fn error(span: &Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, span: span.clone(), message: message.into(), hint: None }
    }

    /// Returns a warning at `span`.
    pub fn warning(span: &Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// Returns the diagnostic with `hint`, for a reader who asks what to do now.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.span, self.severity, self.message)
    }
}

/// Returns whether `diagnostics` holds an error.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}

/// Returns `text` in backticks for a message: control and invisible characters escaped, long text cut.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("`");
    for (count, character) in text.chars().enumerate() {
        if count == QUOTE_CHARACTERS_MAX {
            quoted.push('…');
            break;
        }
        match character {
            '\'' | '"' | '\\' => quoted.push(character),
            _ => quoted.extend(character.escape_debug()),
        }
    }
    quoted.push('`');
    quoted
}

/// Characters of a word that a message repeats.
const QUOTE_CHARACTERS_MAX: usize = 80;

/// Orders `diagnostics` by place: files in the order of `files`, then lines and columns. Repeated ones go.
pub(crate) fn sort(diagnostics: &mut Vec<Diagnostic>, files: &[SourceFile]) {
    let rank = |span: &Span| files.iter().position(|file| file.path == span.file).unwrap_or(usize::MAX);
    diagnostics.sort_by_cached_key(|diagnostic| {
        let span = &diagnostic.span;
        (rank(span), span.line, span.column, diagnostic.severity, diagnostic.message.clone())
    });
    diagnostics.dedup();
}

/// Diagnostics of one parse. The same one is kept once: a snippet may be used many times.
#[derive(Default)]
pub(crate) struct Report {
    diagnostics: Vec<Diagnostic>,
    seen: HashSet<Diagnostic>,
    left_out: usize,
}

impl Report {
    /// Keeps `diagnostic`, unless it is known or there are too many.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.seen.contains(&diagnostic) {
            return;
        }
        if self.diagnostics.len() == DIAGNOSTICS_MAX {
            self.left_out += 1;
            return;
        }
        self.seen.insert(diagnostic.clone());
        self.diagnostics.push(diagnostic);
    }

    /// Returns whether an error was kept.
    #[cfg(test)]
    pub(crate) fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }

    /// Gives `hint` to the first diagnostic at `span` that has none.
    pub(crate) fn add_hint(&mut self, span: &Span, hint: String) {
        let found = self.diagnostics.iter_mut().find(|diagnostic| diagnostic.span == *span);
        if let Some(diagnostic) = found {
            diagnostic.hint.get_or_insert(hint);
        }
    }

    /// Returns what was kept, ordered by place: files in the order of `files`, then lines and columns.
    pub(crate) fn finish(mut self, files: &[SourceFile]) -> Vec<Diagnostic> {
        sort(&mut self.diagnostics, files);
        if self.left_out > 0 {
            let span = self.diagnostics.last().expect("left out only once the list is full").span.clone();
            let more = format!("and {} more errors or warnings, not shown", self.left_out);
            self.diagnostics.push(Diagnostic::error(&Span { line: 0, column: 0, length: 0, ..span }, more));
        }
        self.diagnostics
    }
}

/// Diagnostics that one parse keeps; a binary file given by mistake has no end of them.
pub(crate) const DIAGNOSTICS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn invisible_characters_are_escaped_and_long_words_cut() {
        assert_eq!(quote("a\u{200b}b\n"), "`a\\u{200b}b\\n`");
        assert_eq!(quote("say \"x\""), "`say \"x\"`");
        assert_eq!(quote(&"x".repeat(100)).chars().count(), QUOTE_CHARACTERS_MAX + 3);
    }

    #[test]
    fn same_diagnostic_is_kept_once_and_too_many_are_counted() {
        let span = Span::of_file(Path::new("Corefile"));
        let mut report = Report::default();
        for number in 0..DIAGNOSTICS_MAX + 5 {
            report.push(Diagnostic::error(&span, format!("error {number}")));
            report.push(Diagnostic::error(&span, format!("error {number}")));
        }
        let diagnostics = report.finish(&[]);
        assert_eq!(diagnostics.len(), DIAGNOSTICS_MAX + 1);
        assert!(diagnostics[DIAGNOSTICS_MAX].message.starts_with("and 10 more"));
    }
}
