//! What `verify` accepts and refuses: one broken thing at a time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use certificate::codec::{Decode as _, Encode as _};
use certificate::leaf::{Class, Leaf, Outcome, Policy, Question, Subject};
use certificate::verify::{Contradiction, FUTURE_MS_MAX, GRACE_MS, verify, verify_commits};
use certificate::{
    CertifiedAnswer, Denial, Digest, Epoch, MessageType, OperationKind, ReplicaId, ReplicaSet, Verified,
    VerifyError, View, merkle,
};
use support::{Fixture, TIME, every_outcome, question, rrset, small_order_signature, wire};

fn check(fixture: &Fixture, answer: &CertifiedAnswer) -> Result<Verified, VerifyError> {
    verify(answer, &fixture.cluster, None, TIME + 1000, GRACE_MS, Class::NoAgreement)
}

/// Signs a slot with `leaf` alone, so that nothing but the leaf can be wrong.
fn check_leaf(fixture: &Fixture, leaf: Leaf) -> Result<Verified, VerifyError> {
    check(fixture, &fixture.certify(&[leaf], 0))
}

#[test]
fn every_kind_of_answer_verifies() {
    let fixture = Fixture::four();
    let leaves = every_outcome(&fixture);
    for (index, leaf) in leaves.iter().enumerate() {
        let answer = fixture.certify(&leaves, index);
        let verified = verify(&answer, &fixture.cluster, leaf.question(), TIME, 0, leaf.class).unwrap();
        assert_eq!(verified.class, leaf.class);
        assert_eq!(verified.remaining_ms, u64::from(leaf.ttl) * 1000);
        assert_eq!(verified.signers, ReplicaSet(0b0111));
        let read = CertifiedAnswer::from_bytes(&answer.to_bytes()).unwrap();
        assert_eq!(read, answer);
    }
}

#[test]
fn any_quorum_of_any_view_is_as_good() {
    let fixture = Fixture::four();
    let mut answer = fixture.certify(&[fixture.positive()], 0);
    let reference = answer.reference();
    for signers in [&[0, 1, 3], &[0, 2, 3], &[1, 2, 3]] {
        let header = answer.certificate.header.clone();
        answer.certificate = fixture.sign(header, View(7), MessageType::Commit, signers);
        assert!(check(&fixture, &answer).is_ok());
        assert_eq!(answer.reference(), reference);
    }
}

#[test]
fn slot_is_taken_apart_into_its_certified_answers() {
    let fixture = Fixture::four();
    let leaves = every_outcome(&fixture);
    let bytes: Vec<Vec<u8>> = leaves.iter().map(|leaf| leaf.to_bytes()).collect();
    let certificate = fixture.commit(fixture.header(&leaves), View(0));
    let answers = CertifiedAnswer::of_slot(&certificate, &bytes).unwrap();
    assert_eq!(answers.len(), leaves.len());
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(*answer, fixture.certify(&leaves, index));
    }
}

#[test]
fn every_single_bit_flip_is_refused() {
    let fixture = Fixture::four();
    let leaves = every_outcome(&fixture);
    let bytes = fixture.certify(&leaves, 1).to_bytes();
    for position in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[position / 8] ^= 1 << (position % 8);
        let accepted =
            CertifiedAnswer::from_bytes(&flipped).is_ok_and(|answer| check(&fixture, &answer).is_ok());
        assert!(!accepted, "bit {} of byte {}", position % 8, position / 8);
    }
}

#[test]
fn quorum_less_or_more_one_signature_is_refused() {
    for (count, faults, signers) in
        [(4, 1, 2), (4, 1, 4), (5, 1, 3), (7, 2, 4), (7, 2, 6), (31, 10, 20), (31, 10, 22)]
    {
        let fixture = Fixture::new(4, count, faults);
        let mut answer = fixture.certify(&[fixture.positive()], 0);
        let header = answer.certificate.header.clone();
        let all: Vec<u8> = (0..signers).collect();
        answer.certificate = fixture.sign(header, View(0), MessageType::Commit, &all);
        assert_eq!(
            check(&fixture, &answer),
            Err(VerifyError::SignerCount {
                expected: fixture.cluster.replicas.quorum(),
                signers: usize::from(signers),
                signatures: usize::from(signers),
            })
        );
    }
}

#[test]
fn one_signer_twice_is_refused() {
    let fixture = Fixture::four();
    let mut answer = fixture.certify(&[fixture.positive()], 0);
    answer.certificate.signatures[1] = answer.certificate.signatures[0];
    let name = "replica-1".to_owned();
    assert_eq!(check(&fixture, &answer), Err(VerifyError::Signature { replica: ReplicaId(1), name }));
}

#[test]
fn signatures_without_a_signer_in_the_bitmap_are_refused() {
    let fixture = Fixture::four();
    let mut answer = fixture.certify(&[fixture.positive()], 0);
    answer.certificate.signers = ReplicaSet(0b0011);
    assert_eq!(
        check(&fixture, &answer),
        Err(VerifyError::SignerCount { expected: 3, signers: 2, signatures: 3 })
    );
}

#[test]
fn signer_without_a_signature_is_refused() {
    let fixture = Fixture::four();
    let mut answer = fixture.certify(&[fixture.positive()], 0);
    answer.certificate.signatures.pop();
    assert_eq!(
        check(&fixture, &answer),
        Err(VerifyError::SignerCount { expected: 3, signers: 3, signatures: 2 })
    );
}

#[test]
fn signature_with_r_of_small_order_is_refused() {
    let fixture = Fixture::four();
    let mut answer = fixture.certify(&[fixture.positive()], 0);
    answer.certificate.signatures[2] = small_order_signature(4, 2, &answer.certificate.commit_preimage());
    assert!(matches!(check(&fixture, &answer), Err(VerifyError::Signature { replica: ReplicaId(2), .. })));
}

#[test]
fn signer_outside_the_cluster_is_refused() {
    let fixture = Fixture::four();
    let mut answer = fixture.certify(&[fixture.positive()], 0);
    answer.certificate.signers = ReplicaSet(0b1_0000_0011);
    assert_eq!(check(&fixture, &answer), Err(VerifyError::UnknownSigner(ReplicaId(8))));
}

#[test]
fn signatures_of_another_phase_are_refused() {
    let fixture = Fixture::four();
    for phase in [MessageType::Prepare, MessageType::PrePrepare, MessageType::Checkpoint] {
        let mut answer = fixture.certify(&[fixture.positive()], 0);
        answer.certificate = fixture.sign(answer.certificate.header, View(0), phase, &[0, 1, 2]);
        assert!(matches!(check(&fixture, &answer), Err(VerifyError::Signature { .. })), "{phase:?}");
    }
}

#[test]
fn certificate_of_another_cluster_is_refused() {
    let fixture = Fixture::four();
    let answer = Fixture::new(5, 4, 1).certify(&[fixture.positive()], 0);
    assert!(matches!(check(&fixture, &answer), Err(VerifyError::OtherCluster { .. })));
    let mut renamed = answer;
    renamed.certificate.domain = fixture.cluster.domain();
    renamed.certificate.header.cluster_digest = fixture.cluster.digest();
    assert!(matches!(check(&fixture, &renamed), Err(VerifyError::Signature { .. })));
}

#[test]
fn certificate_of_another_epoch_is_refused_with_its_own_exit_code() {
    let fixture = Fixture::four();
    let mut second = Fixture::four();
    second.cluster.epoch = Epoch(2);
    second.cluster.cluster_id = Some(fixture.cluster.digest());
    let answer = second.certify(&[second.positive()], 0);
    assert!(check(&second, &answer).is_ok());
    let error = check(&fixture, &answer).unwrap_err();
    assert_eq!(error, VerifyError::UnknownEpoch { expected: Epoch(1), found: Epoch(2) });
    assert_eq!(error.exit_code(), 3);

    let mut relabelled = answer;
    relabelled.certificate.domain.epoch = Epoch(1);
    relabelled.certificate.header.cluster_digest = fixture.cluster.digest();
    assert!(matches!(check(&fixture, &relabelled), Err(VerifyError::Signature { .. })));
}

#[test]
fn slot_judged_by_another_cluster_file_is_refused() {
    let fixture = Fixture::four();
    let mut header = fixture.header(&[fixture.positive()]);
    header.cluster_digest = Digest::of(b"another file of this epoch");
    let certificate = fixture.commit(header, View(0));
    assert!(matches!(
        verify_commits(&certificate, &fixture.cluster),
        Err(VerifyError::OtherClusterFile { .. })
    ));
}

#[test]
fn certificate_for_another_question_is_refused() {
    let fixture = Fixture::four();
    let answer = fixture.certify(&[fixture.positive()], 0);
    let asked = |question: &Question| {
        verify(&answer, &fixture.cluster, Some(question), TIME, GRACE_MS, Class::NoAgreement)
    };
    assert!(asked(&question("WWW.Example.ORG", 1)).is_ok());
    let mut other_class = question("www.example.org", 1);
    other_class.qclass = 3;
    let mut other_flags = question("www.example.org", 1);
    other_flags.flags = Question::DNSSEC_OK;
    for other in [question("www.example.org", 28), question("example.org", 1), other_class, other_flags] {
        assert!(matches!(asked(&other), Err(VerifyError::OtherQuestion { .. })), "{other}");
    }
}

#[test]
fn verdict_is_no_answer_to_a_question() {
    let fixture = Fixture::four();
    let answer = fixture.certify(&[fixture.validated(Class::Strong)], 0);
    let asked = question("www.example.org", 1);
    assert_eq!(
        verify(&answer, &fixture.cluster, Some(&asked), TIME, GRACE_MS, Class::NoAgreement),
        Err(VerifyError::NotAnAnswer(OperationKind::Validate))
    );
}

#[test]
fn leaf_swapped_for_another_is_refused() {
    let fixture = Fixture::four();
    let leaves = every_outcome(&fixture);
    let positive = fixture.certify(&leaves, 0);
    for leaf in &leaves[1..] {
        let swapped = CertifiedAnswer { leaf: leaf.clone(), ..positive.clone() };
        assert_eq!(check(&fixture, &swapped), Err(VerifyError::Inclusion));
    }
    let denied = CertifiedAnswer {
        leaf: fixture.leaf(
            question("www.example.org", 1),
            Class::Strong,
            300,
            Outcome::Negative {
                chain: Vec::new(),
                denial: Denial::NxDomain,
                zone: wire("example.org"),
                minimum: 300,
            },
        ),
        ..positive
    };
    assert_eq!(check(&fixture, &denied), Err(VerifyError::Inclusion));
}

#[test]
fn proof_with_a_node_more_or_less_or_another_index_is_refused() {
    let fixture = Fixture::four();
    let leaves = every_outcome(&fixture);
    for index in 0..leaves.len() {
        let answer = fixture.certify(&leaves, index);
        let mut longer = answer.clone();
        longer.proof.push(Digest::ZERO);
        let mut shorter = answer.clone();
        shorter.proof.pop();
        let mut neighbour = answer.clone();
        neighbour.index ^= 1;
        let mut beyond = answer.clone();
        beyond.index = leaves.len() as u16;
        for broken in [longer, shorter, neighbour, beyond] {
            assert_eq!(check(&fixture, &broken), Err(VerifyError::Inclusion));
        }
    }
}

#[test]
fn inner_node_of_the_tree_is_no_leaf() {
    let fixture = Fixture::four();
    let leaves = every_outcome(&fixture);
    let bytes: Vec<Vec<u8>> = leaves.iter().map(|leaf| leaf.to_bytes()).collect();
    let root = merkle::root(&bytes);
    let node = [merkle::leaf_digest(&bytes[0]).0, merkle::leaf_digest(&bytes[1]).0].concat();
    let proof = merkle::proof(&bytes, 0);
    assert!(merkle::verify_digest(
        root,
        0,
        7,
        merkle::node_digest(merkle::leaf_digest(&bytes[0]), proof[0]),
        &proof[1..]
    ));
    assert!(!merkle::verify(root, 0, 7, &node, &proof[1..]));
}

#[test]
fn leaf_of_a_kind_that_the_header_does_not_announce_is_refused() {
    let fixture = Fixture::four();
    let leaf = fixture.positive();
    let mut header = fixture.header(std::slice::from_ref(&leaf));
    header.kinds = [OperationKind::Validate].into_iter().collect();
    let certificate = fixture.commit(header, View(0));
    let answer = CertifiedAnswer { certificate, index: 0, proof: Vec::new(), leaf };
    assert_eq!(check(&fixture, &answer), Err(VerifyError::Kind(OperationKind::Resolve)));
}

#[test]
fn expired_answer_passes_within_the_grace_only() {
    let fixture = Fixture::four();
    let answer = fixture.certify(&[fixture.positive()], 0);
    let end = answer.leaf.not_after_ms;
    let at = |now| verify(&answer, &fixture.cluster, None, now, GRACE_MS, Class::NoAgreement);
    assert_eq!(at(end).map(|verified| (verified.remaining_ms, verified.in_grace)), Ok((0, false)));
    assert_eq!(at(end + 1).map(|verified| (verified.remaining_ms, verified.in_grace)), Ok((0, true)));
    assert!(at(end + GRACE_MS).is_ok());
    let error = at(end + GRACE_MS + 1).unwrap_err();
    assert!(matches!(error, VerifyError::Expired { .. }));
    assert_eq!(error.exit_code(), 2);
    assert_eq!(
        error.to_string(),
        "the answer expired at 2026-11-22T14:31:00.000Z, 5 s before now (2026-11-22T14:31:05.001Z); 5 s of grace were given"
    );
}

#[test]
fn answer_from_the_future_is_refused() {
    let fixture = Fixture::four();
    let mut leaf = fixture.positive();
    leaf.time_ms += 100;
    leaf.not_after_ms += 100;
    let late_leaf = fixture.certify(&[leaf], 0);
    let late_slot = fixture.certify(&[fixture.positive()], 0);
    for (answer, time) in [(late_leaf, TIME + 100), (late_slot, TIME + 3)] {
        let at = |now| verify(&answer, &fixture.cluster, None, now, GRACE_MS, Class::NoAgreement);
        assert!(at(time - FUTURE_MS_MAX).is_ok());
        let error = at(time - FUTURE_MS_MAX - 1).unwrap_err();
        assert!(matches!(error, VerifyError::Future { .. }));
        assert_eq!(error.exit_code(), 1);
    }
}

#[test]
fn least_class_is_respected_with_its_own_exit_code() {
    let fixture = Fixture::four();
    let answer = fixture.certify(&[fixture.positive()], 0);
    let least = |class| verify(&answer, &fixture.cluster, None, TIME, GRACE_MS, class);
    assert!(least(Class::Strong).is_ok());
    let error = least(Class::Secure).unwrap_err();
    assert_eq!(error, VerifyError::ClassTooLow { expected: Class::Secure, found: Class::Strong });
    assert_eq!(error.exit_code(), 4);
}

fn contradiction(leaf: Leaf) -> Contradiction {
    match check_leaf(&Fixture::four(), leaf) {
        Err(VerifyError::Contradiction(contradiction)) => contradiction,
        other => panic!("expected a contradiction, found {other:?}"),
    }
}

#[test]
fn leaf_that_contradicts_the_cluster_file_is_refused() {
    let fixture = Fixture::four();
    let change = |change: fn(&mut Leaf)| {
        let mut leaf = fixture.positive();
        change(&mut leaf);
        contradiction(leaf)
    };
    assert_eq!(change(|leaf| leaf.observers.0 |= 1 << 4), Contradiction::Observers);
    assert_eq!(
        change(|leaf| leaf.observers.0 = 0b0011),
        Contradiction::TooFewObservers { expected: 3, found: 2 }
    );
    assert_eq!(change(|leaf| leaf.observers.0 = 0b1110), Contradiction::Supporters);
    assert_eq!(change(|leaf| leaf.groups = 0b1111), Contradiction::Groups);
    assert_eq!(change(|leaf| leaf.single_path = true), Contradiction::SinglePath);
    assert_eq!(
        change(|leaf| {
            leaf.support.0 = 0b0011;
            leaf.groups = 0b0011;
        }),
        Contradiction::TooFewSupporters { expected: 3, found: 2 }
    );
    assert_eq!(
        change(|leaf| leaf.policy = Policy::Corroborated),
        Contradiction::Policy {
            zone: wire("example.org"),
            expected: Policy::Strong,
            found: Policy::Corroborated
        }
    );
    assert_eq!(
        change(|leaf| leaf.class = Class::Corroborated),
        Contradiction::Class { policy: Policy::Strong, class: Class::Corroborated }
    );
}

#[test]
fn support_below_what_the_class_needs_is_refused() {
    let fixture = Fixture::four();
    for (class, support, needed) in [(Class::Failure, 0b1, 2), (Class::Secure, 0, 1)] {
        let outcome = match class {
            Class::Failure => Outcome::Failure(2),
            _ => fixture.positive().outcome,
        };
        let mut leaf = fixture.leaf(question("www.example.org", 1), class, 5, outcome);
        leaf.support = ReplicaSet(support);
        leaf.groups = support;
        leaf.single_path = class == Class::Secure;
        let found = support.count_ones() as usize;
        assert_eq!(contradiction(leaf), Contradiction::TooFewSupporters { expected: needed, found });
    }
}

#[test]
fn missing_mark_of_a_single_path_is_refused() {
    let fixture = Fixture::four();
    let mut leaf = fixture.positive();
    leaf.class = Class::Secure;
    leaf.support = ReplicaSet(1);
    leaf.groups = 1;
    assert_eq!(contradiction(leaf.clone()), Contradiction::SinglePath);
    leaf.single_path = true;
    assert!(check_leaf(&fixture, leaf).is_ok());
}

#[test]
fn ttl_beyond_that_of_the_cluster_file_is_refused() {
    let fixture = Fixture::four();
    let leaf = |ttl| {
        let set = rrset("www.example.org", 1, ttl, &[&[192, 0, 2, 1]]);
        fixture.leaf(question("www.example.org", 1), Class::Strong, ttl, Outcome::Answer(vec![set]))
    };
    assert!(check_leaf(&fixture, leaf(3600)).is_ok());
    assert_eq!(contradiction(leaf(3601)), Contradiction::Ttl { expected: 3600, found: 3601 });
}

/// How a leaf contradicts its cluster file; `None` when it does not.
fn refusal(fixture: &Fixture, leaf: Leaf) -> Option<Contradiction> {
    match check_leaf(fixture, leaf) {
        Ok(_) => None,
        Err(VerifyError::Contradiction(contradiction)) => Some(contradiction),
        Err(other) => panic!("expected a contradiction, found {other}"),
    }
}

#[test]
fn policy_of_other_kinds_than_resolve_is_not_that_of_a_zone() {
    let fixture = Fixture::four();
    for leaf in [fixture.validated(Class::Strong), fixture.updated()] {
        let (kind, expected) = (leaf.kind(), leaf.policy);
        for found in Policy::ALL {
            let refused = refusal(&fixture, Leaf { policy: found, ..leaf.clone() });
            let wrong = Contradiction::PolicyOfKind { kind, expected, found };
            assert_eq!(refused, (found != expected).then_some(wrong));
        }
    }
    let epoch = Leaf { subject: Subject::NewEpoch(vec![2]), policy: Policy::Bypass, ..fixture.updated() };
    assert_eq!(refusal(&fixture, epoch), None);
}

#[test]
fn other_kinds_than_resolve_have_classes_of_their_policy_save_secure() {
    let fixture = Fixture::four();
    for (leaf, classes) in [
        (fixture.validated(Class::Strong), &[Class::Corroborated, Class::Strong][..]),
        (fixture.updated(), &[Class::Strong]),
    ] {
        for class in [Class::Records, Class::Corroborated, Class::Strong, Class::Secure] {
            let refused = refusal(&fixture, Leaf { class, ..leaf.clone() });
            let wrong = Contradiction::Class { policy: leaf.policy, class };
            assert_eq!(refused, (!classes.contains(&class)).then_some(wrong));
        }
    }
}
