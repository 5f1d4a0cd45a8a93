//! Corefiles of public repositories parse, and name the plugins that they are known to use; those of the
//! behaviour cases parse without a warning.

mod support;

use std::{collections::BTreeSet, fs};

use corefile::{MemorySources, ParseOptions, has_errors, parse};
use serde::Deserialize;

#[derive(Deserialize)]
struct Entry {
    file: String,
    plugins: BTreeSet<String>,
    grammar_error: String,
    not_in_tree: BTreeSet<String>,
}

#[test]
fn every_real_corefile_parses_as_its_index_says() {
    let Some(folder) = support::data("corefiles") else { return };
    let index: Vec<Entry> = serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
    let files = support::real_corefiles();
    assert_eq!(index.len(), files.len());
    for (entry, (file, content)) in index.iter().zip(files) {
        assert_eq!(entry.file, file);
        let sources = MemorySources::new().with_file("Corefile", content);

        let (corefile, diagnostics) = parse("Corefile".as_ref(), &sources, &ParseOptions::default());
        let shown = corefile.render_all(&diagnostics);
        assert_eq!(has_errors(&diagnostics), !entry.grammar_error.is_empty(), "{file}: {shown}");
        let directives = corefile.blocks.iter().flat_map(|block| &block.directives);
        let names: BTreeSet<String> = directives.map(|directive| directive.name.text.clone()).collect();
        assert_eq!(names, entry.plugins, "{file}");

        let known: Vec<&str> = entry.plugins.difference(&entry.not_in_tree).map(String::as_str).collect();
        let options = ParseOptions { directives: Some(&known), ..ParseOptions::default() };
        let (_, diagnostics) = parse("Corefile".as_ref(), &sources, &options);
        let unknown: BTreeSet<String> = diagnostics
            .iter()
            .filter_map(|diagnostic| diagnostic.message.strip_prefix("unknown directive `"))
            .map(|rest| rest.trim_end_matches('`').to_owned())
            .collect();
        assert_eq!(unknown, entry.not_in_tree, "{file}");
    }
}

#[test]
fn corefiles_of_the_behaviour_cases_parse_without_a_warning() {
    let Some(folder) = support::data("coredns") else { return };
    let text = fs::read_to_string(folder.join("behaviour.jsonl")).unwrap();
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(corefile) = case["corefile"].as_str() else { continue };
        let ports = ["@PORT@", "@UP1@", "@UP2@", "@UP3@"];
        let corefile = ports.iter().fold(corefile.to_owned(), |text, port| text.replace(port, "1053"));
        let sources = MemorySources::new().with_file("Corefile", corefile);
        let (corefile, diagnostics) = parse("Corefile".as_ref(), &sources, &ParseOptions::default());
        assert!(diagnostics.is_empty(), "{}:\n{}", case["name"], corefile.render_all(&diagnostics));
        assert!(!corefile.blocks.is_empty());
    }
}
