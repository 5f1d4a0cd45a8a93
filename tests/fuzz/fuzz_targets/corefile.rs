//! Corefiles: every fault has its place in the text.
#![no_main]

use corefile::{MemorySources, ParseOptions, has_errors, parse};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let sources = MemorySources::new()
        .with_file("Corefile", bytes)
        .with_file("d/a.conf", "a.example.org {\n whoami\n}\n")
        .with_file("d/b.conf", bytes)
        .with_env("A", "a");
    let (corefile, diagnostics) = parse("Corefile".as_ref(), &sources, &ParseOptions::default());
    for diagnostic in &diagnostics {
        let text = corefile.render(diagnostic);
        let file = corefile.files.iter().find(|file| file.path == diagnostic.span.file);
        let file = file.expect("a file that was read");
        let line = file.text.split('\n').nth((diagnostic.span.line as usize).saturating_sub(1));
        let line = line.expect("a line of the file");
        assert!(diagnostic.span.column as usize <= line.chars().count() + 1, "{text}");
    }
    if !has_errors(&diagnostics) {
        assert!(corefile.blocks.iter().all(|block| !block.keys.is_empty()));
    }
});
