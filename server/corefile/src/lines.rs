//! Words -> lines, with the lines between their braces. Knows nothing of zones, snippets or imports.
//!
//! Every file is made into lines by itself, so an imported file must be balanced. A brace is structure when
//! it is a whole unquoted word; `{` may stand on the line below, `}` ends a block wherever it stands.

use std::rc::Rc;

use crate::{
    diagnostic::{Diagnostic, Report, quote},
    lexer::Token,
    tree::Span,
};

/// Words of one line and what its braces hold.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Empty only for a `{` that nothing stands before.
    pub(crate) words: Vec<Token>,
    pub(crate) braces: Option<Braces>,
    /// Whether a `}` stands before it on its line.
    pub(crate) after_brace: bool,
}

/// What stands between braces.
#[derive(Clone, Debug)]
pub(crate) struct Braces {
    pub(crate) lines: Rc<Vec<Line>>,
    /// Where `{` stands.
    pub(crate) open: Span,
    /// Whether `{` is the first word of its line.
    pub(crate) on_next_line: bool,
    /// Whether its `}` was found.
    pub(crate) closed: bool,
}

/// Deepest nesting of braces; CoreDNS's own plugins use two levels.
pub(crate) const NESTING_MAX: usize = 32;

/// Returns the lines of a file. Braces without partner are errors; an open block then ends with the file.
pub(crate) fn lines(tokens: Vec<Token>, report: &mut Report) -> Vec<Line> {
    let mut builder = Builder { frames: vec![Frame::default()], too_deep: 0, suspect: None };
    for token in split_glued_braces(tokens, report) {
        if token.is("{") {
            builder.open(token, report);
        } else if token.is("}") {
            builder.close(&token, report);
        } else if builder.too_deep == 0 {
            builder.word(token);
        }
    }
    builder.finish(report)
}

/// Lines of a block that is still open.
#[derive(Default)]
struct Frame {
    lines: Vec<Line>,
    /// Whether the next word of the same line still belongs to the last of `lines`.
    continues: bool,
    opener: Option<Opener>,
}

struct Opener {
    span: Span,
    on_next_line: bool,
    /// Column of the first word of the line that the brace belongs to.
    indent: u32,
}

struct Builder {
    /// The file itself, then every open block.
    frames: Vec<Frame>,
    /// Open braces below `NESTING_MAX`, whose words are dropped.
    too_deep: usize,
    /// The first closing brace that stands in another column than the line it closes, with that line's brace.
    suspect: Option<(Span, Span)>,
}

impl Builder {
    fn top(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("the frame of the file is never popped")
    }

    fn word(&mut self, token: Token) {
        let frame = self.top();
        if frame.continues && !token.starts_line {
            let line = frame.lines.last_mut().expect("a line that continues exists");
            line.words.push(token);
            return;
        }
        let after_brace = !token.starts_line && frame.lines.last().is_some_and(|line| line.braces.is_some());
        frame.lines.push(Line { words: vec![token], braces: None, after_brace });
        frame.continues = true;
    }

    fn open(&mut self, token: Token, report: &mut Report) {
        if self.frames.len() > NESTING_MAX {
            if self.too_deep == 0 {
                let message = format!("expected at most {NESTING_MAX} levels of braces");
                report.push(Diagnostic::error(&token.span, message));
            }
            self.too_deep += 1;
            return;
        }
        let frame = self.top();
        if frame.lines.last().is_none_or(|line| line.braces.is_some()) {
            frame.lines.push(Line { words: Vec::new(), braces: None, after_brace: false });
        }
        let words = frame.lines.last().map_or(&[][..], |line| &line.words);
        let indent = words.first().map_or(token.span.column, |first| first.span.column);
        let opener = Opener { span: token.span, on_next_line: token.starts_line, indent };
        self.frames.push(Frame { opener: Some(opener), ..Frame::default() });
    }

    fn close(&mut self, token: &Token, report: &mut Report) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        let Some(opener) = self.top().opener.take() else {
            let error = Diagnostic::error(&token.span, "expected a zone, got a `}` that closes nothing");
            report.push(error.with_hint("remove it, or look for a `{` that is missing above"));
            self.top().continues = false;
            return;
        };
        if token.starts_line && token.span.column != opener.indent && self.suspect.is_none() {
            self.suspect = Some((token.span.clone(), opener.span.clone()));
        }
        self.pop(opener, true);
    }

    /// Ends the innermost open block and hands its lines to the line that it belongs to.
    fn pop(&mut self, opener: Opener, closed: bool) {
        let frame = self.frames.pop().expect("the opener came from this frame");
        let braces = Braces {
            lines: Rc::new(frame.lines),
            open: opener.span,
            on_next_line: opener.on_next_line,
            closed,
        };
        let parent = self.top();
        parent.continues = false;
        let line = parent.lines.last_mut().expect("`open` made sure that a line is there");
        line.braces = Some(braces);
    }

    fn finish(mut self, report: &mut Report) -> Vec<Line> {
        while let Some(opener) = self.top().opener.take() {
            let error =
                Diagnostic::error(&opener.span, "expected a `}` for this `{`, got the end of the file");
            report.push(match &self.suspect {
                Some((close, open)) => error.with_hint(format!(
                    "the `}}` of line {} closes the `{{` of line {}, though indented otherwise; \
                     is one missing before it?",
                    close.line, open.line
                )),
                None => error.with_hint("close the block with a `}` on a line of its own"),
            });
            self.pop(opener, false);
        }
        self.frames.pop().expect("the frame of the file is never popped").lines
    }
}

/// Splits braces off the last word of a line, `cache{` and `whoami}`, with an error: it is what was meant.
///
/// Words that may end so by right stay: quoted ones, balanced ones like `{remote}` and template marks.
fn split_glued_braces(tokens: Vec<Token>, report: &mut Report) -> Vec<Token> {
    let mut whole = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let last_of_line = tokens.peek().is_none_or(|next| next.starts_line);
        match glued(&token) {
            Some(tail) if last_of_line => split(token, tail, &mut whole, report),
            _ => whole.push(token),
        }
    }
    whole
}

/// Returns the braces at the end of `token` that should have stood apart.
fn glued(token: &Token) -> Option<&'static str> {
    let text = token.text.as_str();
    if token.quoted || text.len() < 2 {
        None
    } else if text.ends_with("{}") {
        Some("{}")
    } else if text.ends_with('{') && !text.ends_with("{{") {
        Some("{")
    } else if text.ends_with('}') && !text.ends_with("}}") {
        (text.matches('}').count() > text.matches('{').count()).then_some("}")
    } else {
        None
    }
}

fn split(token: Token, tail: &str, whole: &mut Vec<Token>, report: &mut Report) {
    let column = token.span.column + token.span.length - tail.len() as u32;
    let at = |offset: u32, length: u32| Span { column: column + offset, length, ..token.span.clone() };
    let head = &token.text[..token.text.len() - tail.len()];
    let hint = match tail {
        "{}" => "put blanks around both braces, or quote the word if they belong to it",
        "{" => "put a blank before `{`, or quote the word if the brace belongs to it",
        _ => "put `}` on a line of its own, or quote the word if the brace belongs to it",
    };
    let message = format!("expected a blank before `{}` in {}", tail.replace("{}", "}"), quote(&token.text));
    report.push(Diagnostic::error(&at(0, tail.len() as u32), message).with_hint(hint));

    let mut starts_line = token.starts_line;
    if !head.is_empty() {
        let span = Span { length: head.chars().count() as u32, ..token.span.clone() };
        whole.push(Token { text: head.to_owned(), quoted: false, starts_line, span });
        starts_line = false;
    }
    for (offset, brace) in tail.chars().enumerate() {
        let span = at(offset as u32, 1);
        whole.push(Token { text: brace.to_string(), quoted: false, starts_line, span });
        starts_line = false;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::lexer::lex;

    /// Lines as `word word { line; line }`, and the errors.
    fn read(text: &str) -> (String, Vec<String>) {
        fn shown(lines: &[Line]) -> String {
            let line = |line: &Line| {
                let words: Vec<&str> = line.words.iter().map(|word| &*word.text).collect();
                let braces = line.braces.as_ref().map(|braces| format!(" {{ {} }}", shown(&braces.lines)));
                words.join(" ") + &braces.unwrap_or_default()
            };
            lines.iter().map(line).collect::<Vec<_>>().join("; ")
        }
        let mut report = Report::default();
        let tokens = lex(&Path::new("f").into(), text, &mut report);
        let lines = lines(tokens, &mut report);
        (shown(&lines), report.finish(&[]).iter().map(ToString::to_string).collect())
    }

    #[test]
    fn braces_nest_on_the_same_line_and_on_the_next() {
        let nested = "a b { c; d { e }; f }; g";
        assert_eq!(read("a b {\n c\n d {\n e\n }\n f\n}\ng"), (nested.to_owned(), vec![]));
        assert_eq!(read("a b\n{\nc\nd\n\n{\ne }\nf } g"), (nested.to_owned(), vec![]));
        assert_eq!(read(". { }").0, ". {  }");
    }

    #[test]
    fn quoted_braces_are_words() {
        assert_eq!(read("a \"{\"\n\"}\""), ("a {; }".to_owned(), vec![]));
    }

    #[test]
    fn stray_closing_brace_is_an_error_and_goes_away() {
        let (lines, errors) = read("a {\n}\n}\nb");
        assert_eq!(lines, "a {  }; b");
        assert_eq!(errors, ["f:3:1: error: expected a zone, got a `}` that closes nothing"]);
    }

    #[test]
    fn block_that_is_never_closed_is_an_error_at_its_brace() {
        let (lines, errors) = read("a {\nb {\nc\n}\n");
        assert_eq!(lines, "a { b { c } }");
        assert_eq!(errors, ["f:1:3: error: expected a `}` for this `{`, got the end of the file"]);
    }

    #[test]
    fn indentation_tells_which_closing_brace_is_missing() {
        let mut report = Report::default();
        let text = ". {\n    cache {\n        success 1\n    log\n}\n";
        lines(lex(&Path::new("f").into(), text, &mut report), &mut report);
        let hint = report.finish(&[])[0].hint.clone().expect("a hint");
        assert!(hint.starts_with("the `}` of line 5 closes the `{` of line 2"), "{hint}");

        let mut report = Report::default();
        let text = ". {\n    cache {\n        success 1\n    }\n";
        lines(lex(&Path::new("f").into(), text, &mut report), &mut report);
        let hint = report.finish(&[])[0].hint.clone().expect("a hint");
        assert_eq!(hint, "close the block with a `}` on a line of its own");
    }

    #[test]
    fn glued_braces_are_errors_and_understood_as_meant() {
        let (lines, errors) = read("a.org{\n cache{\n x\n }\n whoami}\nb {}");
        assert_eq!(lines, "a.org { cache { x }; whoami }; b {  }");
        assert_eq!(
            errors,
            [
                "f:1:6: error: expected a blank before `{` in `a.org{`",
                "f:2:7: error: expected a blank before `{` in `cache{`",
                "f:5:8: error: expected a blank before `}` in `whoami}`",
                "f:6:3: error: expected a blank before `}` in `{}`"
            ]
        );
    }

    #[test]
    fn braces_that_belong_to_a_word_stay() {
        let text = "log {remote} a{ b} c\nx a{2}\ny }} {{\nz \"a{\"\n{$A} {%B%}";
        assert_eq!(read(text).1, Vec::<String>::new());
    }

    #[test]
    fn nesting_is_bounded() {
        let depth = 100_000;
        let (_, errors) = read(&format!("{}{}", "a {\n".repeat(depth), "}\n".repeat(depth)));
        assert_eq!(errors, ["f:33:3: error: expected at most 32 levels of braces"]);
    }
}
