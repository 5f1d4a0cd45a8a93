//! Every plugin has a README, and the examples in it are accepted.

use std::fs;
use std::path::{Path, PathBuf};

use corefile::{MemorySources, ParseOptions, has_errors, parse};

use crate::registry::{PLUGINS, names, set_up};
use crate::setup::Context;

/// The README of `plugin`.
fn readme(plugin: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(plugin.replace('-', "_")).join("README.md");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (path, text)
}

/// The code blocks of `text` that are marked as Corefiles.
fn examples(text: &str) -> Vec<&str> {
    let blocks = text.split("```corefile\n").skip(1);
    blocks.map(|block| block.split_once("```").expect("a code block ends").0).collect()
}

/// The zones of the project, which examples may name.
fn copy_zones(folder: &Path) {
    fs::create_dir(folder.join("zones")).unwrap();
    for zone in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../zones")).unwrap() {
        let zone = zone.unwrap();
        if !zone.file_type().unwrap().is_file() {
            continue;
        }
        fs::copy(zone.path(), folder.join("zones").join(zone.file_name())).unwrap();
    }
}

/// Writes a zone wherever the block names a file of one.
fn write_zones(block: &corefile::Block, folder: &Path) {
    for directive in block.directives_named("file") {
        let path = folder.join(&directive.args[0].text);
        assert!(path.starts_with(folder), "`{}` is outside the folder of the example", path.display());
        fs::create_dir_all(path.parent().expect("it lies in the folder")).unwrap();
        fs::write(path, "@ 3600 IN SOA ns.example.org. host.example.org. 1 7200 3600 1209600 300\n@ 3600 IN NS ns.example.org.\n")
            .unwrap();
    }
}

/// Puts lists and roots wherever the block names files of them.
fn write_trust(block: &corefile::Block, folder: &Path) {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("ct_verify/core/tests/vectors");
    let kinds = [("log-list", "log_list.json"), ("private-roots", "roots.pem"), ("crl", "crl/current.crl")];
    for line in block.directives_named("ct-verify").flat_map(|directive| directive.block.iter().flatten()) {
        let Some((_, vector)) = kinds.iter().find(|(name, _)| *name == line.name.text) else { continue };
        for file in line.args.iter().filter(|word| !word.text.contains("://")) {
            let path = folder.join(&file.text);
            assert!(path.starts_with(folder), "`{}` is outside the folder of the example", path.display());
            fs::create_dir_all(path.parent().expect("it lies in the folder")).unwrap();
            fs::copy(vectors.join(vector), path).unwrap();
        }
    }
}

#[test]
fn every_readme_has_its_sections_in_order() {
    for plugin in PLUGINS {
        let (path, text) = readme(plugin.name);
        assert!(text.starts_with(&format!("# {}\n", plugin.name)), "{}: the title", path.display());
        assert!(text.contains(&format!("\n*{}* - ", plugin.name)), "{}: the first sentence", path.display());
        let places: Vec<_> = ["## Name", "## Description", "## Syntax", "## Examples"]
            .map(|section| text.find(&format!("\n{section}\n")))
            .into_iter()
            .map(|place| place.unwrap_or_else(|| panic!("{}: a section is missing", path.display())))
            .collect();
        assert!(
            places[0] < places[1] && places[1] < places[2] && places[2] < places[3],
            "{}",
            path.display()
        );
    }
}

#[test]
fn every_example_is_accepted() {
    let mut count = 0;
    for plugin in PLUGINS {
        let (path, text) = readme(plugin.name);
        for example in examples(&text) {
            let folder = tempfile::tempdir().unwrap();
            copy_zones(folder.path());
            let sources = MemorySources::new().with_file("Corefile", example);
            let known = names();
            let options = ParseOptions { directives: Some(&known), ..ParseOptions::default() };
            let (corefile, mut diagnostics) = parse("Corefile".as_ref(), &sources, &options);
            let context = Context {
                directory: folder.path().to_path_buf(),
                metrics: Default::default(),
                nodes: Default::default(),
                claims: Default::default(),
                fatal: Default::default(),
            };
            for block in &corefile.blocks {
                write_zones(block, folder.path());
                write_trust(block, folder.path());
                set_up(block, &context, &mut diagnostics);
            }
            let told = corefile.render_all(&diagnostics);
            assert!(!has_errors(&diagnostics), "{}:\n{example}\n{told}", path.display());
            count += 1;
        }
    }
    assert!(count >= PLUGINS.len() / 2, "only {count} examples");
}

#[test]
fn table_holds_each_name_once() {
    let mut sorted = names();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), PLUGINS.len());
}

#[test]
fn guide_shows_the_smallest_plugin_as_it_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
    let guide = read("README.md");
    for path in ["whoami/mod.rs", "whoami/setup.rs", "whoami/handler.rs"] {
        let shown = format!("`{path}`\n\n```rust\n{}```\n", read(path));
        assert!(guide.contains(&shown), "README.md does not show {path} as it is");
    }
}
