//! `quorate certificate check`: what it says of certificates, and how it ends.

use std::path::Path;

use serde_json::Value;
use system_tests::data;
use system_tests::program::{root, run, stderr, stdout};

/// Judges a chain by files of one folder, and returns the exit code and the verdict.
fn judge(folder: &Path, chain: &str, list: &str, at: &str, more: &[&str]) -> (Option<i32>, Value) {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (chain, list, roots) = (path(chain), path(list), path("roots.pem"));
    let mut args =
        vec!["certificate", "check", &chain, "--offline", "--log-list", &list, "--roots", &roots, "--at", at];
    args.extend(["--json"].iter().chain(more));
    let output = run(&args);
    let verdict = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    (output.status.code(), verdict)
}

fn own() -> std::path::PathBuf {
    root().join("plugins/ct_verify/core/tests/vectors")
}

/// Judges every case of a folder by Chrome's and Apple's policy, and returns how many there were.
fn judge_all(folder: &Path, file: &str) -> usize {
    let cases: Value = serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    for case in cases {
        let (id, expect) = (case["id"].as_str().unwrap(), &case["expect"]);
        let text = |name: &str| case[name].as_str().unwrap();
        for (policy, compliant) in [("chrome-2026", "chrome_2026_compliant"), ("apple", "apple_compliant")] {
            let more = ["--name", text("dns_name"), "--policy", policy];
            let (code, verdict) = judge(folder, text("chain"), text("log_list"), text("at"), &more);
            assert_eq!(verdict["chain"]["x509_chain_valid"], expect["x509_chain_valid"], "{id}");
            if !id.starts_with("odd-") {
                assert_eq!(verdict["ct"]["sct_status"], expect["sct_status"], "{id}");
            }
            assert!(
                expect[compliant].is_null() || verdict["ct"]["compliant"] == expect[compliant],
                "{id}: {policy}"
            );
            let word = verdict["verdict"].as_str().unwrap();
            assert_eq!(
                code,
                ["valid", "invalid", "indeterminate"]
                    .iter()
                    .position(|one| *one == word)
                    .map(|code| code as i32)
            );
            let well = expect["x509_chain_valid"] == true && verdict["ct"]["compliant"] == true;
            assert_eq!(word == "valid", well, "{id}: {}", verdict["reasons"]);
        }
    }
    cases.len()
}

#[test]
fn own_certificates_are_judged_by_the_command_as_expected() {
    assert_eq!(judge_all(&own(), "cases.json"), 28);
}

#[test]
fn synthetic_certificates_are_judged_by_the_command_as_expected() {
    let Some(folder) = data::folder("ct") else { return };
    assert!(judge_all(&folder.join("synthetic"), "cases.json") > 20);
}

#[test]
fn revocation_lists_and_stale_log_lists_change_the_verdict() {
    let at = "2026-08-01T00:00:00Z";
    let crl = own().join("crl/current.crl");
    let (code, verdict) =
        judge(&own(), "chains/good.pem", "log_list.json", at, &["--crl", crl.to_str().unwrap()]);
    assert_eq!((code, verdict["revocation"].as_str()), (Some(1), Some("revoked")));
    let (code, verdict) = judge(&own(), "chains/good.pem", "log_list_stale.json", at, &[]);
    assert_eq!((code, &verdict["ct"]["outcome"]), (Some(2), &Value::from("list_stale")));
    let (code, verdict) = judge(&own(), "chains/good.pem", "log_list.json", at, &["--require-revocation"]);
    assert_eq!((code, verdict["revocation"].as_str()), (Some(2), Some("not_checked")));
}

#[test]
fn wrong_files_and_usage_end_with_64_and_say_what_was_expected() {
    let list = own().join("log_list.json");
    let chain = own().join("chains/good.pem");
    let (list, chain) = (list.to_str().unwrap(), chain.to_str().unwrap());
    for (args, expected) in [
        (vec!["/nonexistent", "--offline"], "/nonexistent"),
        (vec![list, "--offline"], "expected certificates in PEM"),
        (vec![chain, "--offline", "--log-list", chain], "expected a log list"),
        (vec![chain, "--offline", "--at", "yesterday"], "expected a time like"),
        (vec![chain, "--offline", "--policy", "lax"], "chrome-2026"),
        (vec![chain], "--offline"),
    ] {
        let output = run(&[&["certificate", "check"][..], &args].concat());
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn people_read_the_verdict_first_and_then_why() {
    let folder = own();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (chain, list, roots) = (path("chains/bad-one.pem"), path("log_list.json"), path("roots.pem"));
    let at = ["--at", "2026-08-01T00:00:00Z"];
    let output = run(&[
        &["certificate", "check", &chain, "--offline", "--log-list", &list, "--roots", &roots][..],
        &at,
    ]
    .concat());
    let said = stdout(&output);
    assert!(said.starts_with("invalid\n  invalid: timestamps of 1 logs count, 2 are needed\n"), "{said}");
    assert!(said.contains("valid, counts  alder"), "{said}");
}
