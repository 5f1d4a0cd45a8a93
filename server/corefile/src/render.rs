//! Shows a diagnostic beside the line that it concerns. Plain text, no colour.

use crate::{
    diagnostic::Diagnostic,
    tree::{SourceFile, Span},
};

/// Returns `diagnostic` with its line from `files`, a caret line and its hint.
pub(crate) fn render(diagnostic: &Diagnostic, files: &[SourceFile]) -> String {
    let mut text = format!("{diagnostic}\n");
    if let Some(line) = line_of(&diagnostic.span, files) {
        let excerpt = Excerpt::new(line, &diagnostic.span);
        let number = diagnostic.span.line;
        text.push_str(&format!("{number:5} | {}\n", excerpt.line));
        text.push_str(&format!("      | {}\n", excerpt.carets));
    }
    if let Some(hint) = &diagnostic.hint {
        text.push_str(&format!("hint: {hint}\n"));
    }
    text
}

/// Returns the text of the line where `span` begins, without its line end.
fn line_of<'a>(span: &Span, files: &'a [SourceFile]) -> Option<&'a str> {
    let file = files.iter().find(|file| file.path == span.file)?;
    let line = file.text.split('\n').nth((span.line as usize).checked_sub(1)?)?;
    Some(line.strip_suffix('\r').unwrap_or(line))
}

/// The part of a line that is shown, and the carets under it.
struct Excerpt {
    line: String,
    carets: String,
}

impl Excerpt {
    fn new(line: &str, span: &Span) -> Self {
        let characters: Vec<char> = line.chars().collect();
        let start = (span.column as usize - 1).min(characters.len());
        let end = (start + (span.length as usize).max(1)).min(characters.len().max(start + 1));
        let from = if characters.len() <= LINE_CHARACTERS_MAX {
            0
        } else {
            start.saturating_sub(LINE_CHARACTERS_MAX / 3)
        };
        let to = (from + LINE_CHARACTERS_MAX).min(characters.len());

        let mut shown = String::new();
        let mut carets = String::new();
        if from > 0 {
            shown.push('…');
            carets.push(' ');
        }
        for (column, &character) in characters.iter().enumerate().take(to).skip(from) {
            // A tab stays a tab in both lines, which keeps them aligned; what moves the cursor is replaced.
            let tab = character == '\t';
            shown.push(if character.is_control() && !tab { '\u{fffd}' } else { character });
            if column < start {
                carets.push(if tab { '\t' } else { ' ' });
            }
        }
        if to < characters.len() {
            shown.push('…');
        }
        carets.extend(std::iter::repeat_n('^', end.min(to.max(start + 1)) - start));
        Self { line: shown, carets }
    }
}

/// Characters of a line that are shown; a list of a hundred zones is cut around the place.
const LINE_CHARACTERS_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::*;

    fn shown(text: &str, line: u32, column: u32, length: u32) -> String {
        let path: Arc<Path> = Path::new("Corefile").into();
        let files = [SourceFile { path: path.clone(), text: text.into() }];
        render(&Diagnostic::error(&Span { file: path, line, column, length }, "expected x"), &files)
    }

    #[test]
    fn tabs_stay_tabs_so_that_the_caret_is_under_the_word() {
        assert_eq!(
            shown(". {\r\n\tcache\t0\r\n}", 2, 8, 1),
            "Corefile:2:8: error: expected x\n    2 | \tcache\t0\n      | \t     \t^\n"
        );
    }

    #[test]
    fn place_behind_the_last_character_gets_a_caret() {
        assert_eq!(
            shown("a.org,", 1, 7, 0),
            "Corefile:1:7: error: expected x\n    1 | a.org,\n      |       ^\n"
        );
    }

    #[test]
    fn long_line_is_cut_around_the_place() {
        let text = format!("{}wrong{}", "a ".repeat(500), " b".repeat(500));
        let shown = shown(&text, 1, 1001, 5);
        assert!(shown.lines().all(|line| line.chars().count() < 140), "{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        let column = lines[2].find('^').expect("a caret");
        assert!(lines[1].chars().skip(column).collect::<String>().starts_with("wrong"), "{shown}");
        assert_eq!(lines[1].matches('…').count(), 2, "{shown}");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert!(!shown("a\u{1b}[2Jb", 1, 1, 1).contains('\u{1b}'));
    }
}
