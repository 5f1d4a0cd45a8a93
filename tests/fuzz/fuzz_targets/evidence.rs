//! Evidence files, which replicas hand to people and people to one another.
#![no_main]

use std::sync::LazyLock;

use certificate::Cluster;
use node::evidence::{EVIDENCE_BYTES_MAX, EvidenceFile};

const TEXT: &str = include_str!("../../../consensus/node/vectors/cluster.toml");

static CLUSTER: LazyLock<Cluster> =
    LazyLock::new(|| Cluster::parse(TEXT, "cluster.toml").expect("our own cluster"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(file) = EvidenceFile::parse(text) else { return };
    let again = file.to_text();
    assert!(again.len() <= EVIDENCE_BYTES_MAX);
    assert_eq!(EvidenceFile::parse(&again).as_ref(), Ok(&file));
    if let Ok(proven) = file.verify(&CLUSTER) {
        // Of the vectors' keys, only that of replica 2 has signed what is a fault.
        assert_eq!(proven.replica.0, 2);
        assert_eq!(proven.kind, file.exhibit.kind());
    }
});
