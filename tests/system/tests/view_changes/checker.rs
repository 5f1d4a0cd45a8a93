//! The judge itself: it must be able to find what the other tests say is not there.

use serde_json::Value;
use system_tests::history::{Summary, Witness, judge};
use system_tests::program::root;
use tempfile::NamedTempFile;

/// Certificates of the test vectors, all valid and of one cluster: some of one and the same slot header, some of others.
fn vectors(names: &[&str]) -> (NamedTempFile, Vec<Witness>) {
    let load = |file: &str| -> Vec<Value> {
        let path = root().join("consensus/certificate/vectors").join(file);
        serde_json::from_str(&std::fs::read_to_string(path).expect("the vectors are there")).expect("JSON")
    };
    let cluster = load("clusters.json").into_iter().find(|cluster| cluster["name"] == "n4");
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), cluster.expect("n4 is there")["toml"].as_str().unwrap()).unwrap();
    let valid = load("valid.json");
    let witness = |name: &&str| {
        let vector = valid.iter().find(|vector| vector["cluster"] == "n4" && vector["name"] == **name);
        let vector = vector.unwrap_or_else(|| panic!("no vector {name}"));
        let digits = vector["certificate"].as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        Witness {
            name: None,
            certificate: (0..digits.len()).step_by(2).map(byte).collect(),
            asked_ms: None,
            received_ms: vector["now_ms"].as_u64().unwrap(),
        }
    };
    (file, names.iter().map(witness).collect())
}

#[test]
fn answers_of_one_slot_agree_whatever_view_and_signers_their_certificates_have() {
    let (cluster, witnesses) = vectors(&["alone-in-its-slot", "other-view-and-signers"]);
    let expected = Summary { certificates: 2, slots: 1, views: vec![0, 7], highest: 1042 };
    assert_eq!(judge(cluster.path(), &witnesses), Ok(expected));
}

#[test]
fn two_valid_certificates_that_decide_one_slot_differently_are_found() {
    let (cluster, witnesses) = vectors(&["positive", "nxdomain", "alone-in-its-slot"]);
    let found = judge(cluster.path(), &witnesses).expect_err("the slot is decided twice");
    assert!(found.contains("witnesses 1 and 3 disagree: header of slot 1042"), "{found}");
}

#[test]
fn damaged_certificate_among_good_ones_is_found() {
    let (cluster, mut witnesses) = vectors(&["positive", "nodata"]);
    // In the first signature.
    witnesses[1].certificate[212] ^= 1;
    let found = judge(cluster.path(), &witnesses).expect_err("a signature does not verify");
    assert!(found.contains("witness 2, None: signature"), "{found}");
}

#[test]
fn answer_that_was_observed_before_it_was_asked_for_is_found() {
    let (cluster, mut witnesses) = vectors(&["positive"]);
    witnesses[0].asked_ms = Some(witnesses[0].received_ms);
    let found = judge(cluster.path(), &witnesses).expect_err("the time is not honest");
    assert!(found.contains("observed at"), "{found}");
}
