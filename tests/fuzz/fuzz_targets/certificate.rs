//! Certified answers, as files, in EDNS options and in TXT records: what a stranger hands to whoever verifies.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use certificate::codec::{Decode, Encode};
use certificate::delivery::{Carried, Wanted, from_txt, to_txt};
use certificate::verify::{GRACE_MS, verify};
use certificate::{CertifiedAnswer, Class, Cluster};
use serde_json::Value;

/// The clusters of the vectors, and every leaf that they signed there.
static SIGNED: LazyLock<(Vec<Cluster>, BTreeSet<Vec<u8>>)> = LazyLock::new(|| {
    let read = |json: &str| serde_json::from_str::<Vec<Value>>(json).expect("our own vectors");
    let clusters = read(include_str!("../../../consensus/certificate/vectors/clusters.json"));
    let clusters = clusters.iter().map(|cluster| {
        let text = cluster["toml"].as_str().expect("a text");
        Cluster::parse(text, "cluster.toml").expect("our own cluster")
    });
    let answers = read(include_str!("../../../consensus/certificate/vectors/valid.json"));
    let leaves = answers.iter().map(|answer| bytes_of(answer["leaf"].as_str().expect("a text")));
    (clusters.collect(), leaves.collect())
});

fn bytes_of(hexadecimal: &str) -> Vec<u8> {
    let digit = |digit: &u8| (*digit as char).to_digit(16).expect("a digit") as u8;
    let (pairs, _) = hexadecimal.as_bytes().as_chunks::<2>();
    pairs.iter().map(|[high, low]| digit(high) << 4 | digit(low)).collect()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Wanted::from_bytes(bytes);
    if let Ok(carried) = Carried::from_option(bytes) {
        assert_eq!(carried.to_option(), bytes);
    }
    let strings: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let _ = from_txt(&strings);
    let Ok(answer) = CertifiedAnswer::from_bytes(bytes) else { return };
    assert_eq!(answer.to_bytes(), bytes);
    assert_eq!(from_txt(&to_txt(&answer)).as_deref(), Ok(bytes));
    let (clusters, leaves) = &*SIGNED;
    for cluster in clusters {
        let now = answer.leaf.time_ms.max(answer.certificate.header.time_ms);
        if verify(&answer, cluster, None, now, GRACE_MS, Class::NoAgreement).is_ok() {
            assert!(leaves.contains(&answer.leaf.to_bytes()), "nobody signed this leaf");
        }
    }
});
