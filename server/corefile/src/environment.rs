//! Environment variables in words: `{$NAME}` and `{%NAME%}`.
//!
//! Put in after the text was split, so a value never makes two words, a comment or structure.
//! Deviates: values are not searched again (CoreDNS loops for ever on one that names itself), and a variable
//! that is not set is still empty, but with a warning.

use crate::{
    diagnostic::{Diagnostic, Report, quote},
    lexer::Token,
    sources::Sources,
    tree::Word,
};

/// Returns the word that `token` stands for, its variables taken from `sources`.
///
/// `{$}`, `{%}`, `{%%}` and forms without an end stay as they are; the latter with a warning.
pub(crate) fn expand(token: &Token, sources: &dyn Sources, report: &mut Report) -> Word {
    let mut text = String::with_capacity(token.text.len());
    let mut rest = token.text.as_str();
    while let Some((before, reference)) = next_reference(rest) {
        text.push_str(before);
        match reference {
            Reference::Variable { name, after } => {
                match sources.env(name) {
                    Some(value) => text.push_str(&value),
                    None => report.push(not_set(name, token)),
                }
                rest = after;
            }
            Reference::Literal { mark, after } => {
                text.push_str(mark);
                rest = after;
            }
            Reference::Unclosed { from } => {
                let message = format!("{} has no end, so it is no environment variable", quote(from));
                report.push(Diagnostic::warning(&token.span, message).with_hint("write `{$NAME}`"));
                text.push_str(from);
                rest = "";
            }
        }
    }
    text.push_str(rest);
    Word { text, quoted: token.quoted, span: token.span.clone() }
}

/// What an opening mark turned out to be.
enum Reference<'a> {
    Variable {
        name: &'a str,
        after: &'a str,
    },
    /// A mark without a name: it is text.
    Literal {
        mark: &'a str,
        after: &'a str,
    },
    Unclosed {
        from: &'a str,
    },
}

/// Returns the text before the first `{$` or `{%`, and what that is.
fn next_reference(text: &str) -> Option<(&str, Reference<'_>)> {
    let start = [text.find("{$"), text.find("{%")].into_iter().flatten().min()?;
    let (before, from) = text.split_at(start);
    let (mark, inner) = from.split_at(2);
    let end = if mark == "{$" { "}" } else { "%}" };
    let reference = match inner.find(end) {
        // `{%}` shares its `%` with the opening mark.
        _ if mark == "{%" && inner.starts_with('}') => Reference::Literal { mark, after: inner },
        None => Reference::Unclosed { from },
        Some(0) => Reference::Literal { mark, after: inner },
        Some(length) => Reference::Variable { name: &inner[..length], after: &inner[length + end.len()..] },
    };
    Some((before, reference))
}

fn not_set(name: &str, token: &Token) -> Diagnostic {
    let warning =
        Diagnostic::warning(&token.span, format!("environment variable {} is not set", quote(name)));
    if name.contains(':') {
        return warning.with_hint("there are no default values, the colon is part of the name");
    }
    if token.text.contains(&format!("{{{{${name}}}")) {
        return warning.with_hint(format!("for a template variable put blanks inside: `{{{{ ${name} }}}}`"));
    }
    warning.with_hint("it reads as nothing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemorySources, tree::Span};

    fn expanded(text: &str) -> (String, Vec<String>) {
        let span = Span { file: std::path::Path::new("f").into(), line: 1, column: 1, length: 1 };
        let token = Token { text: text.to_owned(), quoted: false, starts_line: true, span };
        let sources = MemorySources::new().with_env("A", "x y").with_env("B", "{$A}").with_env("C", "}");
        let mut report = Report::default();
        let word = expand(&token, &sources, &mut report);
        (word.text, report.finish(&[]).into_iter().map(|diagnostic| diagnostic.message).collect())
    }

    #[test]
    fn both_forms_may_stand_several_times_in_a_word() {
        assert_eq!(expanded("a{$A}b{%A%}c{$C}"), ("ax ybx yc}".to_owned(), vec![]));
    }

    #[test]
    fn values_are_not_searched_again() {
        assert_eq!(expanded("{$B}"), ("{$A}".to_owned(), vec![]));
    }

    #[test]
    fn forms_without_a_name_are_text() {
        assert_eq!(expanded("{$} {%} {%%} {$A}"), ("{$} {%} {%%} x y".to_owned(), vec![]));
    }

    #[test]
    fn unset_variable_is_empty_with_a_warning() {
        assert_eq!(
            expanded("a{$NOPE}b"),
            ("ab".to_owned(), vec!["environment variable `NOPE` is not set".to_owned()])
        );
        assert_eq!(expanded("{$A:1}").0, "");
    }

    #[test]
    fn form_without_an_end_is_text_with_a_warning() {
        for text in ["a{$A", "a{%A}", "{$A%"] {
            let (word, warnings) = expanded(text);
            assert_eq!((&*word, warnings.len()), (text, 1));
        }
    }
}
