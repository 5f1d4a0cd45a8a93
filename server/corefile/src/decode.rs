//! Bytes of a file -> text, with an error where they are no text.

use std::{path::Path, sync::Arc};

use crate::{
    diagnostic::{Diagnostic, Report},
    tree::Span,
};

/// Returns the text of `bytes`: one leading byte-order mark is dropped, invalid UTF-8 and NULs become U+FFFD.
///
/// Each kind of damage is one error, at its first place. UTF-16 is an error and gives no text.
pub(crate) fn decode(bytes: &[u8], file: &Arc<Path>, report: &mut Report) -> String {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let error = Diagnostic::error(&place(file, ""), "expected UTF-8, got UTF-16");
        report.push(error.with_hint("save the file as UTF-8"));
        return String::new();
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(error) => {
            let (valid, rest) = bytes.split_at(error.valid_up_to());
            let valid = std::str::from_utf8(valid).expect("valid up to here, as the error says");
            let message = format!("expected UTF-8, got the byte 0x{:02x}", rest[0]);
            report.push(Diagnostic::error(&place(file, valid), message).with_hint("save the file as UTF-8"));
            String::from_utf8_lossy(bytes).into_owned()
        }
    };
    if let Some(at) = text.find('\0') {
        let error = Diagnostic::error(&place(file, &text[..at]), "expected text, got a NUL character");
        report.push(error.with_hint("is this a binary file?"));
        text = text.replace('\0', "\u{fffd}");
    }
    text
}

/// Returns the place behind `before`, one character long.
fn place(file: &Arc<Path>, before: &str) -> Span {
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() as u32 + 1;
    let column = before[line_start..].chars().count() as u32 + 1;
    Span { file: file.clone(), line, column, length: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> (String, Vec<String>) {
        let mut report = Report::default();
        let text = decode(bytes, &Path::new("Corefile").into(), &mut report);
        (text, report.finish(&[]).iter().map(ToString::to_string).collect())
    }

    #[test]
    fn only_the_first_byte_order_mark_is_dropped() {
        assert_eq!(decoded("\u{feff}\u{feff}a".as_bytes()), ("\u{feff}a".to_owned(), vec![]));
    }

    #[test]
    fn invalid_bytes_and_nuls_are_errors_at_their_place() {
        let (text, errors) = decoded(b". {\n  \xe9t\xff\n \0 \0\n}");
        assert_eq!(text, ". {\n  \u{fffd}t\u{fffd}\n \u{fffd} \u{fffd}\n}");
        assert_eq!(
            errors,
            [
                "Corefile:2:3: error: expected UTF-8, got the byte 0xe9",
                "Corefile:3:2: error: expected text, got a NUL character"
            ]
        );
    }

    #[test]
    fn utf_16_is_named() {
        let (text, errors) = decoded(b"\xff\xfe.\0 \0{\0");
        assert_eq!(text, "");
        assert_eq!(errors, ["Corefile:1:1: error: expected UTF-8, got UTF-16"]);
    }
}
