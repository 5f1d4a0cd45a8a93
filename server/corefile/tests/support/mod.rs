//! What the tests of this folder share: the tree as one line, and where the test data lie.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use corefile::{Block, Corefile, Diagnostic, Directive, MemorySources, ParseOptions, parse};

/// The directives that `read` knows.
pub const DIRECTIVES: &[&str] =
    &["auto", "cache", "chaos", "errors", "file", "forward", "hosts", "log", "rewrite", "template", "whoami"];

/// Parses `text` as the file `Corefile` beside `files`, with the variables A=`a`, ZONE=`example.org`,
/// BRACE=`}`.
pub fn read(text: &str, files: &[(&str, &str)]) -> (Corefile, Vec<Diagnostic>) {
    let mut sources = MemorySources::new()
        .with_file("Corefile", text)
        .with_env("A", "a")
        .with_env("ZONE", "example.org")
        .with_env("BRACE", "}");
    for (path, content) in files {
        sources = sources.with_file(path, *content);
    }
    let options = ParseOptions { directives: Some(DIRECTIVES), ..ParseOptions::default() };
    parse("Corefile".as_ref(), &sources, &options)
}

/// Returns the blocks as `KEY KEY { directive arg { property }; directive }`, one a line, quoted words in
/// `"`.
pub fn tree(corefile: &Corefile) -> String {
    corefile.blocks.iter().map(block).collect::<Vec<_>>().join("\n")
}

fn block(block: &Block) -> String {
    let keys: Vec<String> = block.keys.iter().map(ToString::to_string).collect();
    format!("{} {{ {} }}", keys.join(" "), lines(&block.directives))
}

fn lines(directives: &[Directive]) -> String {
    let line = |line: &Directive| {
        let word = |word: &corefile::Word| match word.quoted {
            true => format!("\"{}\"", word.text),
            false => word.text.clone(),
        };
        let words: Vec<String> = std::iter::once(&line.name).chain(&line.args).map(word).collect();
        let nested = line.block.as_ref().map(|block| format!(" {{ {} }}", lines(block)));
        words.join(" ") + &nested.unwrap_or_default()
    };
    directives.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// Returns the one-line forms of `diagnostics`.
pub fn messages(diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics.iter().map(ToString::to_string).collect()
}

/// Returns the folder of the shared test data called `name`, or `None` (said aloud) where they are not at
/// hand.
///
/// `QUORATE_TEST_DATA` names their place; without it they lie beside the repository. With `CI=true` they must
/// be there.
pub fn data(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("QUORATE_TEST_DATA").map_or(beside, PathBuf::from).join(name);
    if folder.exists() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs the test data {}", folder.display());
    // What a test that passes prints with `println` is caught by the harness.
    let _ = writeln!(std::io::stderr(), "skipped: no test data at {}", folder.display());
    None
}

/// Returns the real Corefiles of the test data, by name.
pub fn real_corefiles() -> Vec<(String, Vec<u8>)> {
    let Some(folder) = data("corefiles") else { return Vec::new() };
    let entries = fs::read_dir(folder).expect("the folder exists");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let corefiles = paths.filter(|path| path.extension().is_some_and(|extension| extension == "Corefile"));
    let mut found: Vec<(String, Vec<u8>)> = corefiles
        .map(|path| {
            let name = path.file_name().expect("entries have names").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("the file can be read"))
        })
        .collect();
    found.sort();
    found
}
