//! Whatever the bytes are: no panic, no hang, and every diagnostic points into the text.

mod support;

use std::time::{Duration, Instant};

use corefile::{Corefile, Diagnostic, MemorySources, ParseOptions, has_errors, parse};

/// A bit of everything.
const OWN: &str = "\u{feff}# comment
(snip) {
\tlog \"a \\\"b\\\" {$A}\" # x
\terrors
}
import d/*.conf
tls://example.org:8853, 10.0.0.0/15,
2001:db8::/30 {
    import snip
    cache 30 {
        success 100
    }
    template IN A {
 answer \"{{ .Name }} 60 IN A 192.0.2.1\"
 }
}
. { whoami }
";

fn corpus() -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = support::real_corefiles().into_iter().map(|(_, content)| content).collect();
    texts.push(OWN.into());
    // As in CoreDNS's fuzz finds: escaped backslashes and U+0236, invalid UTF-8, NULs, an import of a brace.
    texts.push(b"\\\\\\\\\xc8\xb6 {\n\\\\\n}".into());
    texts.push(b"\xff\n: {\n\xfe\xfd whoami\n}".into());
    texts.push(b".\0:53\0 {\0\n\0\0}".into());
    texts.push(b"import }{$\"".into());
    texts
}

fn read(bytes: &[u8]) -> (Corefile, Vec<Diagnostic>) {
    let sources = MemorySources::new()
        .with_file("Corefile", bytes)
        .with_file("d/a.conf", "a.example.org {\n whoami\n}\n")
        .with_file("d/b.conf", bytes)
        .with_env("A", "a");
    let (corefile, diagnostics) = parse("Corefile".as_ref(), &sources, &ParseOptions::default());
    for diagnostic in &diagnostics {
        let text = corefile.render(diagnostic);
        let file = corefile
            .files
            .iter()
            .find(|file| file.path == diagnostic.span.file)
            .expect("a file that was read");
        if diagnostic.span.line > 0 {
            let line =
                file.text.split('\n').nth(diagnostic.span.line as usize - 1).expect("a line of the file");
            assert!(diagnostic.span.column as usize <= line.chars().count() + 1, "{text}");
        }
        assert!(text.lines().count() <= 4, "{text}");
    }
    (corefile, diagnostics)
}

/// Marsaglia's xorshift64: the same numbers on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

#[test]
fn own_text_of_the_corpus_is_valid_but_that_it_imports_itself() {
    let (corefile, diagnostics) = read(OWN.as_bytes());
    assert_eq!(
        support::messages(&diagnostics),
        [
            "d/b.conf:2:1: error: snippet `snip` is declared twice",
            "d/b.conf:6:8: warning: no file matches `d/*.conf`"
        ]
    );
    assert_eq!(corefile.blocks.len(), 5);
}

#[test]
fn every_truncation_is_survived() {
    for text in corpus() {
        let step = (text.len() / 150).max(1);
        for length in (0..text.len()).step_by(step) {
            read(&text[..length]);
        }
    }
}

#[test]
fn random_damage_is_survived() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let marks = b"{}\"#\\\n\r \t,:/*?[]()$%\0\xff\xc3import";
    for text in corpus() {
        for _ in 0..60 {
            let mut damaged = text.clone();
            for _ in 0..=random.below(6) {
                let at = random.below(damaged.len());
                match random.below(4) {
                    0 if !damaged.is_empty() => damaged[at] ^= 1 << random.below(8),
                    1 if !damaged.is_empty() => damaged[at] = marks[random.below(marks.len())],
                    2 if !damaged.is_empty() => drop(damaged.remove(at)),
                    _ => damaged.insert(at, marks[random.below(marks.len())]),
                }
            }
            read(&damaged);
        }
    }
}

#[test]
fn random_marks_are_survived() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let words = [
        "{", "}", "\n", " ", "\"", "#", "import", "s", "(s)", ".", ",", "{$A}", "d/*.conf", "log", "a.org",
        "\r", ":53",
    ];
    for _ in 0..4000 {
        let count = random.below(60);
        let text: String = (0..count).map(|_| [words[random.below(words.len())], " "].concat()).collect();
        read(text.as_bytes());
    }
}

#[test]
fn bytes_that_are_no_text_are_an_error_with_their_place() {
    let (_, diagnostics) = read(b". {\n whoami \xff\n}");
    assert_eq!(support::messages(&diagnostics), ["Corefile:2:9: error: expected UTF-8, got the byte 0xff"]);
    let (_, diagnostics) = read(b". {\n who\0ami\n}");
    assert_eq!(support::messages(&diagnostics), ["Corefile:2:5: error: expected text, got a NUL character"]);
}

#[test]
fn imports_that_multiply_end_at_a_limit() {
    let mut text = String::new();
    for level in 0..40 {
        let next = level + 1;
        text.push_str(&format!("(s{level}) {{\n import s{next}\n import s{next}\n}}\n"));
    }
    text.push_str("(s40) {\n log\n}\n. {\n import s0\n}\n");
    let started = Instant::now();
    let (_, diagnostics) = read(text.as_bytes());
    assert!(has_errors(&diagnostics));
    assert!(diagnostics[0].message.contains("expected at most 10000 uses of snippets"), "{}", diagnostics[0]);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn lines_that_multiply_end_at_a_limit() {
    let lines = " log\n".repeat(2000);
    let uses = " import many\n".repeat(1000);
    let text = format!("(many) {{\n{lines}}}\n. {{\n{uses}}}\n");
    let (corefile, diagnostics) = read(text.as_bytes());
    assert!(diagnostics.iter().any(|error| error.message.contains("expected at most 1000000 lines")));
    assert_eq!(corefile.blocks[0].directives.len(), 1_000_000);
}

#[test]
fn braces_and_imports_nested_without_end_meet_a_limit() {
    let mut text = String::new();
    for level in 0..60 {
        text.push_str(&format!("(s{level}) {{\n x {{\n import s{}\n }}\n}}\n", level + 1));
    }
    text.push_str("(s60) {\n log\n}\n. {\n import s0\n}\n");
    let (_, diagnostics) = read(text.as_bytes());
    assert!(diagnostics.iter().any(|error| error.message.contains("levels of braces")), "{diagnostics:?}");

    let mut text = String::new();
    for level in 0..60 {
        text.push_str(&format!("(s{level}) {{\n import s{}\n}}\n", level + 1));
    }
    text.push_str("(s60) {\n log\n}\n. {\n import s0\n}\n");
    let (_, diagnostics) = read(text.as_bytes());
    assert!(diagnostics.iter().any(|error| error.message.contains("imports inside one another")));
}
