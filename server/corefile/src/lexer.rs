//! Text -> words. Knows blanks, quotes and comments; nothing of braces or lines of meaning.
//!
//! CoreDNS's lexer (caddyfile/lexer.go), but: words remember their quotes, `#` inside a word is text, a lone
//! carriage return and a quote that never closes are errors, and what is probably misread gives a warning.

use std::{path::Path, sync::Arc};

use crate::{
    diagnostic::{Diagnostic, Report, quote},
    tree::Span,
};

/// A word as it stands in the file, environment variables not yet put in.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) quoted: bool,
    /// Whether a line end, outside quotes, stands between the word before and this one.
    pub(crate) starts_line: bool,
    pub(crate) span: Span,
}

impl Token {
    /// Returns whether it is the bare word `text`.
    pub(crate) fn is(&self, text: &str) -> bool {
        !self.quoted && self.text == text
    }
}

/// Returns the words of `text`, which is the content of `file`.
pub(crate) fn lex(file: &Arc<Path>, text: &str, report: &mut Report) -> Vec<Token> {
    let mut lexer = Lexer { file, rest: text, line: 1, column: 1, tokens: Vec::new(), odd_quote_line: 0 };
    let mut starts_line = true;
    loop {
        starts_line |= lexer.skip_blanks(report);
        if lexer.rest.is_empty() {
            return lexer.tokens;
        }
        let token = if lexer.peek() == Some('"') {
            lexer.quoted(starts_line, report)
        } else {
            lexer.bare(starts_line, report)
        };
        lexer.tokens.push(token);
        starts_line = false;
    }
}

struct Lexer<'a> {
    file: &'a Arc<Path>,
    rest: &'a str,
    line: u32,
    column: u32,
    tokens: Vec<Token>,
    /// The line that was last warned of for a quote inside a word; two of them make one mistake.
    odd_quote_line: u32,
}

impl<'a> Lexer<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.rest = &self.rest[character.len_utf8()..];
        if character == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(character)
    }

    fn here(&self, length: u32) -> Span {
        Span { file: self.file.clone(), line: self.line, column: self.column, length }
    }

    /// Skips blanks and comments. Returns whether there was a line end among them.
    fn skip_blanks(&mut self, report: &mut Report) -> bool {
        let mut line_end = false;
        while let Some(character) = self.peek() {
            match character {
                '#' => {
                    let length = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.column += self.rest[..length].chars().count() as u32;
                    self.rest = &self.rest[length..];
                    continue;
                }
                '\n' => line_end = true,
                '\r' if !self.rest.starts_with("\r\n") && self.rest.len() > 1 => {
                    let error =
                        Diagnostic::error(&self.here(1), "expected a line feed after the carriage return");
                    report.push(error.with_hint("end lines in LF or CRLF"));
                }
                _ if character.is_whitespace() => {}
                _ => break,
            }
            self.bump();
        }
        line_end
    }

    /// Reads a word that begins with a double quote.
    fn quoted(&mut self, starts_line: bool, report: &mut Report) -> Token {
        let start = self.here(0);
        let mut span = start.clone();
        let before = self.rest;
        let mut text = String::new();
        self.bump();
        loop {
            match self.bump() {
                Some('"') => break,
                Some('\\') if self.peek() == Some('"') => {
                    text.push('"');
                    self.bump();
                }
                Some('\\') if self.peek() == Some('\\') => {
                    // Both stay, and the second escapes nothing.
                    text.push_str("\\\\");
                    self.bump();
                }
                Some(character) => text.push(character),
                None => {
                    self.unclosed_quote(&start, report);
                    return self.rewind_to_line_end(start, before, starts_line);
                }
            }
        }
        span.length = if self.line == start.line {
            self.column - start.column
        } else {
            before.chars().take_while(|character| !matches!(character, '\r' | '\n')).count() as u32
        };
        if self.peek().is_some_and(|next| !next.is_whitespace()) {
            let message = "the closing quote ends the word, what follows is another";
            let hint = match text.contains('\n') {
                true => format!("the quote was opened at {start}; is its end missing in that line?"),
                false => "put a blank between them, or write \\\" for a quote inside quotes".to_owned(),
            };
            report.push(Diagnostic::warning(&self.here(1), message).with_hint(hint));
        }
        Token { text, quoted: true, starts_line, span }
    }

    fn unclosed_quote(&self, start: &Span, report: &mut Report) {
        let error = Diagnostic::error(
            &Span { length: 1, ..start.clone() },
            "expected a closing quote, got the end of the file",
        );
        let lines = self.tokens.iter().rev().find(|token| token.quoted && token.text.contains('\n'));
        report.push(match lines {
            None => error.with_hint("close it with `\"`"),
            Some(token) => error.with_hint(format!(
                "the quoted word at {} goes on over several lines; is its closing quote missing?",
                token.span
            )),
        });
    }

    /// Goes back to the end of the line where a quote opened in vain, so that the lines below are judged.
    fn rewind_to_line_end(&mut self, start: Span, before: &'a str, starts_line: bool) -> Token {
        let length = before.find(['\r', '\n']).unwrap_or(before.len());
        let characters = before[..length].chars().count() as u32;
        self.rest = &before[length..];
        self.line = start.line;
        self.column = start.column + characters;
        let text = before[1..length].to_owned();
        Token { text, quoted: true, starts_line, span: Span { length: characters, ..start } }
    }

    /// Reads a word up to the next blank.
    fn bare(&mut self, starts_line: bool, report: &mut Report) -> Token {
        let length = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let text = self.rest[..length].to_owned();
        let span = self.here(text.chars().count() as u32);
        self.rest = &self.rest[length..];
        self.column += span.length;
        self.warn_of_misreading(&text, &span, report);
        Token { text, quoted: false, starts_line, span }
    }

    /// Warns of characters that look as if they meant something here.
    fn warn_of_misreading(&mut self, text: &str, span: &Span, report: &mut Report) {
        if text.contains('#') {
            let message = format!("the `#` inside {} is part of the word, not a comment", quote(text));
            let hint = "put a blank before `#` for a comment, or quote the word";
            report.push(Diagnostic::warning(span, message).with_hint(hint));
        }
        let opens_without_closing = |mark: char| text.starts_with(mark) && text.matches(mark).count() == 1;
        if let Some(mark) =
            ['\'', '`', '“', '”', '„', '‘', '’'].into_iter().find(|&mark| opens_without_closing(mark))
        {
            let message = format!("{mark} does not quote here, it is part of the word");
            report.push(Diagnostic::warning(span, message).with_hint("quote with `\"`"));
        }
        if text.matches('"').count() % 2 == 1 && self.odd_quote_line != span.line {
            self.odd_quote_line = span.line;
            let message =
                format!("the quote inside {} is part of the word, it keeps no words together", quote(text));
            report.push(
                Diagnostic::warning(span, message).with_hint("put the opening quote before the whole word"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexed(text: &str) -> (Vec<Token>, Vec<String>) {
        let mut report = Report::default();
        let tokens = lex(&Path::new("f").into(), text, &mut report);
        (tokens, report.finish(&[]).iter().map(ToString::to_string).collect())
    }

    /// Words as `text@line:column+length`, a bar before those that start a line.
    fn words(text: &str) -> Vec<String> {
        let shown = |token: &Token| {
            let Span { line, column, length, .. } = token.span;
            let bar = if token.starts_line { "|" } else { "" };
            format!("{bar}{}@{line}:{column}+{length}", token.text)
        };
        lexed(text).0.iter().map(shown).collect()
    }

    #[test]
    fn words_carry_line_column_and_length() {
        assert_eq!(
            words(". {\n\tcache  30\r\n}"),
            ["|.@1:1+1", "{@1:3+1", "|cache@2:2+5", "30@2:9+2", "|}@3:1+1"]
        );
        assert_eq!(words("ä\u{a0}ö\u{c}x\u{b}y"), ["|ä@1:1+1", "ö@1:3+1", "x@1:5+1", "y@1:7+1"]);
    }

    #[test]
    fn comments_reach_to_the_line_end() {
        assert_eq!(words("# a \"b\n x # y {\n#"), ["|x@2:2+1"]);
    }

    #[test]
    fn hash_inside_a_word_is_text_with_a_warning() {
        let (tokens, warnings) = lexed("log foo#bar baz");
        assert_eq!(tokens[1].text, "foo#bar");
        assert_eq!(warnings, ["f:1:5: warning: the `#` inside `foo#bar` is part of the word, not a comment"]);
    }

    #[test]
    fn quotes_keep_blanks_and_every_backslash_but_that_before_a_quote() {
        let (tokens, warnings) = lexed(r#""a b" "" "x\"y" "a\nb\\c" "z\\" \"#);
        let texts: Vec<&str> = tokens.iter().map(|token| &*token.text).collect();
        assert_eq!(texts, ["a b", "", "x\"y", r"a\nb\\c", r"z\\", "\\"]);
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn quoted_word_over_lines_keeps_its_line_together() {
        assert_eq!(words("a \"b\nc\" d\ne"), ["|a@1:1+1", "b\nc@1:3+2", "d@2:4+1", "|e@3:1+1"]);
    }

    #[test]
    fn text_behind_a_closing_quote_is_a_word_with_a_warning() {
        let (tokens, warnings) = lexed("\"a\"b");
        assert_eq!(tokens.len(), 2);
        assert_eq!(warnings, ["f:1:4: warning: the closing quote ends the word, what follows is another"]);
    }

    #[test]
    fn quote_that_never_closes_is_an_error_and_ends_with_its_line() {
        let (tokens, errors) = lexed("a \"b c\nd");
        let texts: Vec<&str> = tokens.iter().map(|token| &*token.text).collect();
        assert_eq!(texts, ["a", "b c", "d"]);
        assert_eq!(errors, ["f:1:3: error: expected a closing quote, got the end of the file"]);
    }

    #[test]
    fn lone_carriage_return_is_an_error() {
        assert_eq!(lexed("who\rami").1, ["f:1:4: error: expected a line feed after the carriage return"]);
        assert_eq!(lexed("who\r\nami\r\n\r").1, Vec::<String>::new());
    }

    #[test]
    fn marks_that_do_not_quote_give_a_warning_only_where_they_would_split_a_word() {
        assert_eq!(lexed("log 'a b'").1, ["f:1:5: warning: ' does not quote here, it is part of the word"]);
        assert_eq!(lexed("expr incidr(client_ip(), '127.0.0.0/24')").1, Vec::<String>::new());
        assert_eq!(lexed("log a\"b c\"").1.len(), 1);
        assert_eq!(lexed("sslmode=\"disable\"").1, Vec::<String>::new());
    }
}
