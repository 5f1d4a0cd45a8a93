//! Lines -> server blocks: which lines are keys, snippets, imports and directives. Goes on after an
//! error.

use std::{borrow::Cow, path::Path};

use crate::{
    ParseOptions,
    diagnostic::{Diagnostic, Report, quote},
    environment::expand,
    imports::{Imported, Imports},
    key::keys,
    lexer::Token,
    lines::{Braces, Line, NESTING_MAX},
    sources::Sources,
    suggest::suggest,
    tree::{Block, Corefile, Directive, Span, Word},
};

/// Lines of one Corefile with all imports put in.
pub(crate) const LINES_MAX: usize = 1_000_000;

/// Reads `bytes`, the content of the Corefile at `path`.
pub(crate) fn parse(
    path: &Path,
    bytes: &[u8],
    sources: &dyn Sources,
    options: &ParseOptions<'_>,
) -> (Corefile, Vec<Diagnostic>) {
    let mut report = Report::default();
    let mut imports = Imports::new(sources);
    let main = imports.main(path, bytes, &mut report);
    let mut parser = Parser {
        sources,
        options,
        report,
        imports,
        blocks: Vec::new(),
        waiting: Vec::new(),
        braceless: None,
        lost: false,
        lines_read: 0,
    };
    parser.imports.enter(&main);
    parser.top(&main.lines, None);
    parser.end_of_file();
    let Parser { mut report, imports, blocks, .. } = parser;
    imports.explain_missing(&mut report);
    let diagnostics = report.finish(&imports.files);
    (Corefile { blocks, files: imports.files }, diagnostics)
}

struct Parser<'a> {
    sources: &'a dyn Sources,
    options: &'a ParseOptions<'a>,
    report: Report,
    imports: Imports<'a>,
    blocks: Vec<Block>,
    /// Keys of lines that end in a comma: the list goes on.
    waiting: Vec<Token>,
    /// The block without braces, once it began: everything else belongs to it.
    braceless: Option<Enclosing>,
    /// After a broken snippet: its lines would be taken for zones.
    lost: bool,
    lines_read: usize,
}

/// The server block around a directive, for hints.
#[derive(Clone)]
struct Enclosing {
    /// Where it begins.
    key: Span,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    /// It has braces, but the last is missing.
    Unclosed,
    Braceless,
}

impl Parser<'_> {
    fn error(&mut self, span: &Span, message: impl Into<String>, hint: impl Into<String>) {
        self.report.push(Diagnostic::error(span, message).with_hint(hint));
    }

    /// Reads lines that stand outside of blocks. `below` are braces that follow them, for the last line
    /// without any.
    fn top(&mut self, lines: &[Line], below: Option<&Braces>) {
        for (index, line) in lines.iter().enumerate() {
            let below = below.filter(|_| index + 1 == lines.len());
            let line = attach(line, below, &mut self.report);
            if !is_import(&line) {
                self.top_line(&line);
                continue;
            }
            let imported = self.imports.resolve(&line, &mut self.report);
            for (index, part) in imported.iter().enumerate() {
                let below = line.braces.as_ref().filter(|_| index + 1 == imported.len());
                self.imports.enter(part);
                self.top(&part.lines, below);
                self.imports.leave();
            }
            if let Some(braces) = orphaned(&line, &imported) {
                self.nothing_before(braces, "zone");
            }
        }
    }

    fn nothing_before(&mut self, braces: &Braces, what: &str) {
        let message = format!("expected a {what} before `{{`, got nothing");
        self.error(&braces.open, message, "braces belong to the words before them");
    }

    fn top_line(&mut self, line: &Line) {
        if let Some(enclosing) = self.braceless.clone() {
            let directive = self.directive(line, &enclosing, 0);
            let block = self.blocks.last_mut().expect("the block without braces was pushed");
            block.directives.extend(directive);
            return;
        }
        if std::mem::take(&mut self.lost) && line.braces.is_none() {
            self.lost = true;
            return;
        }
        let mut words = std::mem::take(&mut self.waiting);
        words.extend_from_slice(&line.words);
        match (words.as_slice(), &line.braces) {
            ([], Some(braces)) => self.nothing_before(braces, "zone"),
            ([], None) => {}
            ([first, rest @ ..], _) if starts_snippet(first, rest) => self.snippet(first, rest, line),
            ([.., last], None) if ends_in_comma(last) => self.waiting = words,
            ([first, ..], braces) => self.block(first, &words, braces.as_ref()),
        }
    }

    /// Declares a snippet. Its lines are judged only where it is used.
    fn snippet(&mut self, first: &Token, rest: &[Token], line: &Line) {
        if let Some(extra) = rest.first() {
            let message = format!("expected `{{` after the name of a snippet, got {}", quote(&extra.text));
            self.error(
                &extra.span,
                message,
                "a snippet has one name, of one word, and nothing else before `{`",
            );
            return;
        }
        let name = &first.text[1..first.text.len() - 1];
        match &line.braces {
            Some(braces) => self.imports.declare(name, first, braces.lines.clone(), &mut self.report),
            None => {
                let message = format!("expected `{{` after the name of the snippet {}", quote(&first.text));
                self.error(&first.span, message, "a snippet always has braces");
                self.lost = true;
            }
        }
    }

    fn block(&mut self, first: &Token, words: &[Token], braces: Option<&Braces>) {
        if let (Some(last), Some(braces)) = (words.last().filter(|last| ends_in_comma(last)), braces) {
            let message = format!("expected another zone after the comma of {}, got `{{`", quote(&last.text));
            self.error(&braces.open, message, "remove the comma");
        }
        let keys = self.keys(first, words);
        let span = first.span.clone();
        let end = match braces {
            None => End::Braceless,
            Some(braces) if braces.closed => End::Closed,
            Some(_) => End::Unclosed,
        };
        let enclosing = Enclosing { key: span.clone(), end };
        let mut directives = Vec::new();
        match braces {
            Some(braces) => self.directives(&braces.lines, None, &enclosing, 0, &mut directives),
            None => {
                self.judge_braceless(first);
                self.braceless = Some(enclosing);
            }
        }
        self.blocks.push(Block { keys, directives, span });
    }

    /// Returns the keys of a block. Words that variables left empty are dropped, as long as one is left.
    fn keys(&mut self, first: &Token, words: &[Token]) -> Vec<crate::tree::Key> {
        let mut found = Vec::new();
        let mut left = 0;
        for token in words {
            let bare =
                if token.quoted { &token.text } else { token.text.strip_suffix(',').unwrap_or(&token.text) };
            if bare.is_empty() && !token.quoted {
                continue;
            }
            let word =
                expand(&Token { text: bare.to_owned(), ..token.clone() }, self.sources, &mut self.report);
            if !word.text.is_empty() {
                found.extend(keys(&word, self.options.default_port, &mut self.report));
                left += 1;
            } else if token.text.is_empty() {
                self.error(&token.span, "expected a zone, got an empty word", "the root zone is written `.`");
                left += 1;
            }
        }
        if left == 0 {
            let hint = "no zone is left of this line; is an environment variable not set?";
            self.error(&first.span, "expected a zone, got nothing", hint);
        }
        found
    }

    /// A line behind a block looks like a zone; if it is a directive's name, it was meant as that.
    fn judge_braceless(&mut self, first: &Token) {
        let known = self.options.directives.is_some_and(|names| names.contains(&first.text.as_str()));
        if !known {
            return;
        }
        let message = format!("directive {} stands outside of a server block", quote(&first.text));
        let hint = "move it between the braces of a block; at this place it is the name of a zone";
        self.report.push(if self.blocks.is_empty() {
            Diagnostic::warning(&first.span, message).with_hint(hint)
        } else {
            Diagnostic::error(&first.span, message).with_hint(hint)
        });
    }

    /// Reads lines inside of a block, `depth` braces below the server block's own.
    fn directives(
        &mut self,
        lines: &[Line],
        below: Option<&Braces>,
        enclosing: &Enclosing,
        depth: usize,
        into: &mut Vec<Directive>,
    ) {
        for (index, line) in lines.iter().enumerate() {
            let below = below.filter(|_| index + 1 == lines.len());
            let line = attach(line, below, &mut self.report);
            if !is_import(&line) {
                into.extend(self.directive(&line, enclosing, depth));
                continue;
            }
            let imported = self.imports.resolve(&line, &mut self.report);
            for (index, part) in imported.iter().enumerate() {
                let below = line.braces.as_ref().filter(|_| index + 1 == imported.len());
                self.imports.enter(part);
                self.directives(&part.lines, below, enclosing, depth, into);
                self.imports.leave();
            }
            if let Some(braces) = orphaned(&line, &imported) {
                self.nothing_before(braces, if depth == 0 { "directive" } else { "property" });
            }
            if self.lines_read > LINES_MAX {
                break;
            }
        }
    }

    fn directive(&mut self, line: &Line, enclosing: &Enclosing, depth: usize) -> Option<Directive> {
        let Some((first, rest)) = line.words.split_first() else {
            let braces = line.braces.as_ref().expect("a line without words has braces");
            self.nothing_before(braces, if depth == 0 { "directive" } else { "property" });
            return None;
        };
        self.lines_read += 1;
        if self.lines_read > LINES_MAX || depth > NESTING_MAX {
            let limit = if depth > NESTING_MAX {
                format!("expected at most {NESTING_MAX} levels of braces, imports included")
            } else {
                format!("expected at most {LINES_MAX} lines, imports included")
            };
            self.report.push(Diagnostic::error(&Span { line: 0, ..first.span.clone() }, limit));
            return None;
        }
        if line.after_brace {
            let message = format!("expected the end of the line after `}}`, got {}", quote(&first.text));
            self.error(&first.span, message, "put it on a line of its own");
        }
        let name = expand(first, self.sources, &mut self.report);
        if depth == 0 {
            self.judge_name(first, &name, line, enclosing);
        }
        let args = rest.iter().map(|token| expand(token, self.sources, &mut self.report)).collect();
        let block = line.braces.as_ref().map(|braces| {
            let mut block = Vec::new();
            self.directives(&braces.lines, None, enclosing, depth + 1, &mut block);
            block
        });
        Some(Directive { span: name.span.clone(), name, args, block })
    }

    fn judge_name(&mut self, token: &Token, name: &Word, line: &Line, enclosing: &Enclosing) {
        let text = name.text.as_str();
        if text.is_empty() {
            self.error(
                &name.span,
                "expected a directive, got an empty word",
                "is an environment variable not set?",
            );
            return;
        }
        let Some(names) = self.options.directives else { return };
        if names.contains(&text) {
            return;
        }
        let error = Diagnostic::error(&name.span, format!("unknown directive {}", quote(text)));
        self.report.push(match hint_for_unknown(token, names, line, enclosing) {
            Some(hint) => error.with_hint(hint),
            None => error,
        });
    }

    fn end_of_file(&mut self) {
        if let Some(last) = self.waiting.pop() {
            let end = Span { column: last.span.column + last.span.length, length: 0, ..last.span };
            self.error(
                &end,
                "expected another zone after the comma, got the end of the file",
                "remove the comma",
            );
        }
    }
}

/// Returns `line`, with the braces `below` it if it has none of its own. Two pairs of braces are an error.
fn attach<'a>(line: &'a Line, below: Option<&Braces>, report: &mut Report) -> Cow<'a, Line> {
    match (below, &line.braces) {
        (None, _) => Cow::Borrowed(line),
        (Some(braces), None) => Cow::Owned(Line { braces: Some(braces.clone()), ..line.clone() }),
        (Some(braces), Some(_)) => {
            let message = "expected a line that may have braces before `{`, got one that has its own";
            report.push(Diagnostic::error(&braces.open, message));
            Cow::Borrowed(line)
        }
    }
}

/// Returns the braces below an `import` that brought no line for them to belong to.
fn orphaned<'a>(line: &'a Line, imported: &[Imported]) -> Option<&'a Braces> {
    let bare = imported.last().is_none_or(|part| part.lines.is_empty());
    line.braces.as_ref().filter(|braces| bare && braces.on_next_line)
}

fn is_import(line: &Line) -> bool {
    line.words.first().is_some_and(|word| word.is("import"))
}

fn ends_in_comma(token: &Token) -> bool {
    !token.quoted && token.text.ends_with(',')
}

/// Returns whether words are meant to declare a snippet: `(name)`, or `(two words)`.
fn starts_snippet(first: &Token, rest: &[Token]) -> bool {
    let closes = |token: &Token| !token.quoted && token.text.ends_with(')');
    let opens = !first.quoted && first.text.starts_with('(') && first.text != "(";
    opens && (closes(first) || rest.iter().any(closes))
}

fn hint_for_unknown(token: &Token, names: &[&str], line: &Line, enclosing: &Enclosing) -> Option<String> {
    let text = token.text.as_str();
    let looks_like_zone = text.contains(['.', ':', '/']);
    if starts_snippet(token, &[]) {
        return Some("snippets are declared outside of server blocks".to_owned());
    }
    if text.starts_with('{') && !token.quoted {
        return Some("put a blank behind `{`".to_owned());
    }
    if looks_like_zone && line.braces.is_some() || text.ends_with('.') {
        match enclosing.end {
            End::Unclosed => {
                let block = &enclosing.key;
                return Some(format!(
                    "is this a zone? the block that begins at {block} is not closed before it"
                ));
            }
            End::Braceless => {
                let block = &enclosing.key;
                return Some(format!(
                    "is this a zone? the block at {block} has no braces, so all that follows belongs to it"
                ));
            }
            End::Closed => {}
        }
    }
    if let Some((word, _)) = text.split_once('#')
        && names.contains(&word)
    {
        return Some("put a blank before `#` for a comment".to_owned());
    }
    suggest(text, names).map(|meant| format!("did you mean `{meant}`?"))
}
