//! Uses go one way, and stay that way.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use system_tests::program::root;

/// Which of our crates each may use, test dependencies aside. The table of the README.
const USES: &[(&str, &[&str])] = &[
    ("corefile", &[]),
    ("certificate", &[]),
    ("agreement", &["certificate"]),
    ("pbft", &["certificate"]),
    ("detector", &["certificate", "pbft"]),
    ("peer-filter", &[]),
    ("transparency", &[]),
    ("ct-watch", &["transparency"]),
    ("node", &["certificate", "detector", "pbft", "peer-filter"]),
    (
        "plugins",
        &[
            "agreement",
            "certificate",
            "corefile",
            "ct-watch",
            "detector",
            "node",
            "pbft",
            "peer-filter",
            "transparency",
        ],
    ),
    (
        "quorate",
        &[
            "agreement",
            "certificate",
            "corefile",
            "ct-watch",
            "detector",
            "node",
            "pbft",
            "peer-filter",
            "plugins",
            "transparency",
        ],
    ),
    ("sim", &["agreement", "certificate", "detector", "pbft"]),
    ("system-tests", &["ct-log", "transparency"]),
    ("bench", &["system-tests"]),
    ("ct-log", &["transparency"]),
];

/// What the pure crates must not reach for.
const IMPURE: &[&str] = &["tokio", "quinn", "rustls", "socket2", "rand", "libc", "mio"];

fn packages() -> BTreeMap<String, Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("there are packages").iter();
    packages.map(|package| (package["name"].as_str().unwrap().to_owned(), package.clone())).collect()
}

fn dependencies(package: &Value) -> BTreeSet<String> {
    let dependencies = package["dependencies"].as_array().expect("a list").iter();
    dependencies
        .filter(|dependency| dependency["kind"].is_null())
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn crates_use_only_what_the_table_allows() {
    let packages = packages();
    let table: BTreeMap<&str, &[&str]> = USES.iter().copied().collect();
    let known: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    assert_eq!(known, table.keys().copied().collect(), "every crate stands in the table");
    for (name, package) in &packages {
        let ours: BTreeSet<String> =
            dependencies(package).into_iter().filter(|used| known.contains(used.as_str())).collect();
        let allowed: BTreeSet<String> = table[name.as_str()].iter().map(|used| (*used).to_owned()).collect();
        assert!(ours.is_subset(&allowed), "{name} uses {ours:?}, allowed are {allowed:?}");
    }
}

#[test]
fn pure_crates_depend_on_nothing_that_reaches_outside() {
    let packages = packages();
    for name in ["certificate", "agreement", "pbft", "detector", "transparency"] {
        let impure: Vec<String> = dependencies(&packages[name])
            .into_iter()
            .filter(|used| IMPURE.contains(&used.as_str()))
            .collect();
        assert!(impure.is_empty(), "{name} uses {impure:?}");
    }
}

#[test]
fn no_plugin_imports_another() {
    let plugins = root().join("plugins");
    let folders: Vec<String> = std::fs::read_dir(&plugins)
        .expect("plugins are there")
        .map(|entry| entry.expect("a readable folder"))
        .filter(|entry| entry.path().is_dir() && entry.path().join("mod.rs").is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(folders.len() > 10, "found {folders:?}");
    for folder in &folders {
        for file in std::fs::read_dir(plugins.join(folder)).expect("a plugin's folder") {
            let path = file.expect("a readable file").path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("source is text");
            for other in folders.iter().filter(|other| *other != folder) {
                assert!(!text.contains(&format!("crate::{other}::")), "{} imports {other}", path.display());
            }
        }
    }
}
