//! What of a verdict is agreed on: equal bytes for equal inputs.

use transparency::reason::Reason;
use transparency::revocation::{Crl, CrlSet};
use transparency::{Policy, Verdict};

use crate::bench::*;

#[test]
fn equal_inputs_give_equal_bytes_and_other_inputs_others() {
    let verdict = own_judged("good", &|_, _| {});
    assert_eq!(verdict.canonical(), own_judged("good", &|_, _| {}).canonical());
    assert_ne!(verdict.digest(), own_judged("good", &|_, pinned| pinned.policy = &Policy::Apple).digest());
    assert_ne!(
        verdict.digest(),
        own_judged("good", &|question, _| question.chain = &question.chain[..1]).digest()
    );
    let crls = Box::leak(Box::new(CrlSet::new([Crl::parse(b"none")])));
    assert_ne!(verdict.digest(), own_judged("good", &|_, pinned| pinned.crls = crls).digest());
}

#[test]
fn verdict_without_a_name_can_be_asked_for_one() {
    let sorted = |mut verdict: Verdict| {
        verdict.reasons.sort_by_key(|reason| reason.code());
        String::from_utf8(verdict.canonical()).unwrap()
    };
    for suffix in [".example.org", ".example.net"] {
        let nameless = own_verdicts(|_| None);
        let named = own_verdicts(|stem| Some(format!("{stem}{suffix}")));
        assert!(nameless.len() > 20);
        for ((leaf, nameless), (_, named)) in nameless.iter().zip(named) {
            let name = named.subject.name.clone().unwrap();
            let asked = nameless.for_name(leaf, &name);
            assert_eq!(sorted(asked), sorted(named), "{name}");
        }
    }
}

#[test]
fn what_is_agreed_on_does_not_hang_on_texts_of_libraries() {
    let (_, verdict) = own_verdicts(|_| None).swap_remove(0);
    let with = |reason| {
        let mut verdict = verdict.clone();
        verdict.reasons.push(reason);
        verdict.agreed_digest()
    };
    let broken = |text: &str| with(Reason::ChainBroken(text.to_owned()));
    assert_eq!(broken("bad der"), broken("malformed"));
    assert_ne!(broken("bad der"), with(Reason::UntrustedRoot), "codes are agreed on");
    let mut older = verdict.clone();
    older.inputs.roots.version = "another name".to_owned();
    older.certificate = None;
    assert_eq!(older.agreed_digest(), verdict.agreed_digest());
}
