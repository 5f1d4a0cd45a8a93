//! Whole judgements of chains, and records as DNS carries them.
#![no_main]

use std::sync::LazyLock;

use transparency::chain::Purpose;
use transparency::log_list::LogList;
use transparency::revocation::{Crl, CrlSet, RevocationMode};
use transparency::roots::{Intermediates, RootKind, RootStore, anchors_from_pem};
use transparency::rrset::{RecordType, judge_rrset};
use transparency::tlsa::Tlsa;
use transparency::{Pinned, Policy, Question, judge};

const ROOTS: &[u8] = include_bytes!("../../../plugins/ct_verify/core/tests/vectors/roots.pem");
const LIST: &[u8] = include_bytes!("../../../plugins/ct_verify/core/tests/vectors/log_list.json");

static INPUTS: LazyLock<(LogList, RootStore, Intermediates)> = LazyLock::new(|| {
    let anchors = anchors_from_pem(ROOTS).expect("our own roots").into_iter();
    let roots = RootStore::new("own", anchors.map(|anchor| (anchor, RootKind::Public)));
    (LogList::parse(LIST).expect("our own list"), roots, Intermediates::default())
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (list, roots, intermediates) = &*INPUTS;
    let crls = CrlSet::new([Crl::parse(bytes)]);
    let pinned = Pinned {
        policy: &Policy::Chrome2026,
        log_list: Some(list),
        roots,
        intermediates,
        crls: &crls,
        revocation: RevocationMode::Soft,
        private_roots_need_logs: false,
    };
    let now = transparency::Moment::from_seconds(1_785_542_400);
    let chain = [bytes.into(), bytes.into()];
    let question = Question {
        chain: &chain,
        name: Some("good.example.org"),
        purpose: Purpose::Server,
        audited: &[],
        networks: None,
    };
    let verdict = judge(&question, &pinned, now);
    assert_eq!(verdict.canonical(), judge(&question, &pinned, now).canonical());
    let _ = Tlsa::read(bytes);
    for kind in [RecordType::Cert, RecordType::Tlsa, RecordType::Smimea] {
        judge_rrset(("_443._tcp.good.example.org.", kind), &[bytes], &pinned, now);
    }
});
