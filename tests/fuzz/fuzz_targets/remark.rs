//! Remarks: alone, and as the verdict of a leaf.
#![no_main]

use std::sync::LazyLock;

use certificate::codec::{Decode, Encode};
use certificate::leaf::{Class, Leaf, Outcome, Policy, Question, Subject};
use certificate::remark::{REMARK_BYTES_MAX, REMARK_TEXT_BYTES_MAX, Remark};
use certificate::{Digest, ReplicaSet};

static FAILED: LazyLock<Leaf> = LazyLock::new(|| Leaf {
    subject: Subject::Resolve(Question::parse("www.example.org", 37).expect("a name")),
    class: Class::Failure,
    policy: Policy::Records,
    single_path: false,
    outcome: Outcome::Failure(2),
    extra_digest: Digest::ZERO,
    ttl: 5,
    time_ms: 0,
    not_after_ms: 5000,
    support: ReplicaSet(7),
    groups: 1,
    observers: ReplicaSet(7),
    verdict: Vec::new(),
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let remark = Remark::from_bytes(bytes).ok();
    if let Some(remark) = &remark {
        assert_eq!(remark.to_bytes(), bytes);
        assert!(bytes.len() <= REMARK_BYTES_MAX && remark.text.len() <= REMARK_TEXT_BYTES_MAX);
        assert!(remark.text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
    if bytes.len() <= usize::from(u16::MAX) {
        let leaf = Leaf { verdict: bytes.to_vec(), ..FAILED.clone() };
        let read = Leaf::from_bytes(&leaf.to_bytes());
        assert_eq!(read.is_ok(), bytes.is_empty() || remark.is_some());
        assert_eq!(read.ok().and_then(|leaf| leaf.remark()), remark);
    }
});
