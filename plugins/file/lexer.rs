//! The words of a master file. RFC 1035 §5.1.
//!
//! Cuts text into entries (one logical line each: parentheses join lines) and entries into words, with positions. It knows quotes,
//! escapes, comments and parentheses, and leaves escapes in the words: a name and a string undo them differently.

/// One word of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word<'a> {
    /// The text, escapes kept; without the quotes, if it was quoted.
    pub text: &'a str,
    /// Whether it stood in double quotes.
    pub quoted: bool,
    /// Where it starts.
    pub at: Position,
}

/// A place in a file: line and column, both from 1; the column counts characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

/// One logical line that holds at least one word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Its words, at least one.
    pub words: Vec<Word<'a>>,
    /// Whether blanks stand before the first word: the owner of the entry before is meant.
    pub indented: bool,
}

/// Text that is not made of words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LexError {
    /// Where.
    pub at: Position,
    /// What is wrong.
    pub message: &'static str,
}

/// Cuts a text into entries.
pub struct Lexer<'a> {
    text: &'a str,
    offset: usize,
    at: Position,
}

impl<'a> Lexer<'a> {
    /// Reads `text`; a byte-order mark at its start is skipped.
    pub fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text: text.trim_start_matches('\u{feff}'), offset: 0, at: Position { line: 1, column: 1 } }
    }

    /// The next entry, or `None` at the end.
    ///
    /// Errors: a quote or parenthesis without its partner. Reading goes on behind the line of the error.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'a>>, LexError> {
        let entry = self.read_entry();
        if entry.is_err() {
            self.skip_line();
        }
        entry
    }

    fn read_entry(&mut self) -> Result<Option<Entry<'a>>, LexError> {
        let mut words = Vec::new();
        let mut indented = false;
        let mut open: Vec<Position> = Vec::new();
        while let Some(next) = self.peek() {
            match next {
                '\n' => {
                    self.advance();
                    if open.is_empty() && !words.is_empty() {
                        return Ok(Some(Entry { words, indented }));
                    }
                    indented &= !words.is_empty();
                }
                ';' => self.skip_line_content(),
                '(' => {
                    open.push(self.at);
                    self.advance();
                }
                ')' => {
                    if open.pop().is_none() {
                        return Err(LexError { at: self.at, message: "`)` without a `(` before it" });
                    }
                    self.advance();
                }
                '"' => words.push(self.quoted()?),
                blank if blank.is_whitespace() => {
                    indented |= words.is_empty() && self.at.column == 1;
                    self.advance();
                }
                _ => words.push(self.unquoted()?),
            }
        }
        match open.pop() {
            Some(at) => Err(LexError { at, message: "`(` without a `)` behind it" }),
            None if words.is_empty() => Ok(None),
            None => Ok(Some(Entry { words, indented })),
        }
    }

    fn quoted(&mut self) -> Result<Word<'a>, LexError> {
        let at = self.at;
        self.advance();
        let start = self.offset;
        self.skip_to_closing_quote(at)?;
        let text = &self.text[start..self.offset];
        self.advance();
        Ok(Word { text, quoted: true, at })
    }

    /// A word without quotes. A quote right behind `=` belongs to it, as in `alpn="h2,h3"`: RFC 9460 §2.1.
    fn unquoted(&mut self) -> Result<Word<'a>, LexError> {
        let at = self.at;
        let start = self.offset;
        while let Some(next) = self.peek() {
            match next {
                '\\' => {
                    self.advance();
                    if self.peek().is_some_and(|escaped| escaped != '\n') {
                        self.advance();
                    }
                }
                '"' if self.text[start..self.offset].ends_with('=') => {
                    let quote = self.at;
                    self.advance();
                    self.skip_to_closing_quote(quote)?;
                    self.advance();
                }
                ';' | '(' | ')' | '"' => break,
                blank if blank.is_whitespace() => break,
                _ => self.advance(),
            }
        }
        Ok(Word { text: &self.text[start..self.offset], quoted: false, at })
    }

    fn skip_to_closing_quote(&mut self, opened: Position) -> Result<(), LexError> {
        while let Some(next) = self.peek() {
            match next {
                '"' => return Ok(()),
                '\n' => break,
                '\\' => {
                    self.advance();
                    if self.peek().is_some_and(|escaped| escaped != '\n') {
                        self.advance();
                    }
                }
                _ => self.advance(),
            }
        }
        Err(LexError { at: opened, message: "`\"` that does not close on its line" })
    }

    fn skip_line_content(&mut self) {
        while self.peek().is_some_and(|next| next != '\n') {
            self.advance();
        }
    }

    fn skip_line(&mut self) {
        self.skip_line_content();
        self.advance();
    }

    fn peek(&self) -> Option<char> {
        self.text[self.offset..].chars().next()
    }

    fn advance(&mut self) {
        let Some(next) = self.peek() else { return };
        self.offset += next.len_utf8();
        self.at = match next {
            '\n' => Position { line: self.at.line + 1, column: 1 },
            _ => Position { column: self.at.column + 1, ..self.at },
        };
    }
}

/// Undoes `\X` and `\DDD` in `text`: the bytes that are meant. RFC 1035 §5.1.
///
/// Errors: a backslash at the end, or `\DDD` above 255.
pub fn unescape(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (meant, behind) = escaped(rest)?;
        bytes.push(meant);
        rest = behind;
    }
    Ok(bytes)
}

/// The byte that the text behind a backslash means, and what follows it.
pub fn escaped(behind: &[u8]) -> Result<(u8, &[u8]), &'static str> {
    match behind {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
            u8::try_from(value).map(|value| (value, rest)).map_err(|_| "`\\DDD` above 255")
        }
        [b'0'..=b'9', ..] => Err("expected three digits behind `\\`"),
        [byte, rest @ ..] => Ok((*byte, rest)),
        [] => Err("`\\` at the end of a word"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        let mut lexer = Lexer::new(text);
        let mut entries = Vec::new();
        while let Some(entry) = lexer.next_entry().expect("well-formed") {
            entries.push(entry.words.iter().map(|word| word.text.to_owned()).collect());
        }
        entries
    }

    #[test]
    fn parentheses_join_lines_and_comments_end_at_line_ends() {
        assert_eq!(
            words("a SOA ( 1 ; serial\n 2 )  3\n; only a comment\n\nb A\n"),
            [vec!["a", "SOA", "1", "2", "3"], vec!["b", "A"]]
        );
    }

    #[test]
    fn quoted_strings_inside_parentheses_keep_their_blanks() {
        assert_eq!(words("t TXT ( \"a b\"\n \"c;d)\" )"), [vec!["t", "TXT", "a b", "c;d)"]]);
    }

    #[test]
    fn escaped_delimiters_do_not_delimit() {
        assert_eq!(words(r#"a\;b\(\"c d"#), [vec![r#"a\;b\(\"c"#, "d"]]);
        assert_eq!(words(r#""say \"hi\"""#), [vec![r#"say \"hi\""#]]);
    }

    #[test]
    fn a_quote_behind_an_equals_sign_belongs_to_the_word() {
        assert_eq!(
            words("h HTTPS 1 . alpn=\"h2,h3 x\" port=53"),
            [vec!["h", "HTTPS", "1", ".", "alpn=\"h2,h3 x\"", "port=53"]]
        );
    }

    #[test]
    fn only_blanks_before_the_first_word_indent_an_entry() {
        let mut lexer = Lexer::new("  \na A\n\tA\nb A");
        let indented: Vec<bool> = std::iter::from_fn(|| lexer.next_entry().expect("well-formed"))
            .map(|entry| entry.indented)
            .collect();
        assert_eq!(indented, [false, true, false]);
    }

    #[test]
    fn unpaired_quotes_and_parentheses_are_errors_at_their_place() {
        let error = |text| Lexer::new(text).next_entry().expect_err("malformed");
        assert_eq!(error("a TXT \"b\nc").at, Position { line: 1, column: 7 });
        assert_eq!(error("\na ( b\nc").at, Position { line: 2, column: 3 });
        assert_eq!(error("a ) b").at, Position { line: 1, column: 3 });
    }

    #[test]
    fn reading_goes_on_behind_the_line_of_an_error() {
        let mut lexer = Lexer::new("a \"b\nc d");
        lexer.next_entry().expect_err("malformed");
        assert_eq!(lexer.next_entry().expect("well-formed").expect("an entry").words[0].text, "c");
    }

    #[test]
    fn escapes_are_decimal() {
        assert_eq!(unescape(r"\065\.\\b").as_deref(), Ok(&b"A.\\b"[..]));
        assert!(unescape(r"\256").is_err());
        assert!(unescape(r"\25").is_err());
        assert!(unescape("a\\").is_err());
    }
}
