//! The rules of DNS and of the Corefile, case by case, on the program itself: our own cases, and those taken from CoreDNS's tests.

use std::fs;

use system_tests::behaviour::{Asker, Difference, cases, plugins};
use system_tests::data;
use system_tests::program::root;

/// Where CoreDNS does otherwise, and why: case, question, field, what we give instead, reason.
const DEVIATIONS: &[(&str, &str, &str, &str, &str)] = &[
    ("file-double-and-cname-wildcards", "wild.w.example.org. TXT udp", "authority", "[]", MINIMAL),
    ("file-double-and-cname-wildcards", "wild.c.example.org. TXT udp", "authority", "[]", MINIMAL),
    ("file-double-and-cname-wildcards", "wild.d.example.org. TXT udp", "authority", "[]", MINIMAL),
    (
        "cache-caps-and-floors-ttl",
        "short.example.org. A udp",
        "answers",
        r#"["short.example.org. 1 IN A 127.0.0.3"]"#,
        "a TTL is never raised: who published it means it",
    ),
    ("cache-caps-and-floors-ttl", "example.org. A udp", "opt.bufsize", "1232", OUR_SIZE),
    ("edns-echo-and-badvers", "example.org. SOA udp", "opt.bufsize", "1232", OUR_SIZE),
    ("metrics-refused-counted-as-dropped", "/metrics http", "contains_metric", "null", METRICS),
    ("metrics-refused-counted-as-dropped", "/metrics http", "contains", "null", METRICS),
];
const MINIMAL: &str = "NS records beside a positive answer would only make it longer";
const OUR_SIZE: &str = "the size in a reply is the one that this server accepts, RFC 6891 §6.2.3";
const METRICS: &str =
    "our metrics have names of their own, and queries for no zone belong to no block that could count them";

/// Runs every case of `text` that needs no other plugins than ours: how many, and what differed as `(case, difference)`.
fn run_all(text: &str) -> (usize, Vec<(String, Difference)>) {
    let ours = plugins();
    let mut asker = Asker::start();
    let (mut count, mut found) = (0, Vec::new());
    for (case, line) in cases(text) {
        if case.needs.iter().all(|plugin| ours.contains(plugin)) {
            count += 1;
            found.extend(asker.run(line).into_iter().map(|difference| (case.name.clone(), difference)));
        }
    }
    (count, found)
}

fn told(found: &[(String, Difference)]) -> String {
    let line = |(case, difference): &(String, Difference)| {
        let Difference { at, field, expected, got } = difference;
        format!("{case}: {at}: {field}: expected {expected}, got {got}\n")
    };
    found.iter().map(line).collect()
}

#[test]
fn own_cases_hold() {
    let mut files: Vec<_> =
        fs::read_dir(root().join("tests/system/cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: String = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let (count, found) = run_all(&text);
    assert_eq!(count, text.lines().count(), "our cases need our plugins alone");
    assert!(count >= 25, "{count} cases");
    assert!(found.is_empty(), "{}", told(&found));
}

#[test]
fn behaviour_of_coredns_is_kept_but_for_named_deviations() {
    let Some(folder) = data::folder("coredns") else { return };
    let (count, mut found) = run_all(&fs::read_to_string(folder.join("behaviour.jsonl")).unwrap());
    assert!(count >= 24, "{count} cases for our plugins");
    for (case, at, field, ours, reason) in DEVIATIONS {
        let before = found.len();
        found.retain(|(name, difference)| {
            let got = difference.got.to_string();
            (name.as_str(), &*difference.at, &*difference.field, &*got) != (*case, *at, *field, *ours)
        });
        assert!(
            found.len() < before,
            "no such deviation is left, drop it: {case}: {at}: {field} ({reason}):\n{}",
            told(&found)
        );
    }
    assert!(found.is_empty(), "{}", told(&found));
}
