//! DNS questions as operations of the cluster, and their decisions.

use std::sync::Arc;

use agreement::{NoProofs, Observation, Observed};
use certificate::codec::{Decode, Encode};
use certificate::leaf::Question;
use certificate::{Digest, OperationKind, ReplicaId};
use pbft::{Application, Counted, Operation};

use super::setting::{Setting, question};
use super::upstream::{address, nxdomain};
use crate::byzantine_consensus::judge::{self, Judge};
use crate::response::Response;

const TIME: u64 = 1_795_357_560_000;

/// The payloads of the replicas 0, 1, ... that see `seen`.
fn payloads(setting: &Setting, asked: &Question, seen: &[Response]) -> Vec<Vec<u8>> {
    seen.iter().zip(0..).map(|(seen, id)| setting.observed(id, asked, seen.clone()).to_bytes()).collect()
}

fn counted(payloads: &[Vec<u8>]) -> Vec<Counted<'_>> {
    let times = [TIME, TIME + 10, TIME + 20, TIME + 30];
    let counted = payloads.iter().zip(0..).zip(times);
    counted.map(|((payload, id), time_ms)| Counted { replica: ReplicaId(id), time_ms, payload }).collect()
}

fn judge(setting: &Setting) -> Judge {
    Judge { cluster: Arc::clone(&setting.cluster) }
}

#[test]
fn question_survives_the_way_through_an_operation() {
    let asked = Question { flags: Question::DNSSEC_OK, ..question("www.example.org") };
    assert_eq!(judge::question(&judge::operation(&asked)), Some(asked));
}

#[test]
fn questions_that_differ_in_a_flag_have_two_keys() {
    let plain = question("www.example.org");
    let with_do = Question { flags: Question::DNSSEC_OK, ..plain.clone() };
    assert_ne!(judge::key(&plain), judge::key(&with_do));
}

#[test]
fn other_kinds_of_operation_hold_no_question() {
    let subject = question("www.example.org").to_bytes();
    for kind in
        [OperationKind::Null, OperationKind::Validate, OperationKind::UpdateInputs, OperationKind::NewEpoch]
    {
        assert_eq!(judge::question(&Operation { kind, subject: subject.clone() }), None, "{kind:?}");
    }
}

#[test]
fn observations_of_other_kinds_of_operation_are_refused() {
    let setting = Setting::new();
    let asked = question("www.example.org");
    let payload = &payloads(&setting, &asked, &[nxdomain()])[0];
    let validate = Operation { kind: OperationKind::Validate, subject: asked.to_bytes() };
    assert!(judge(&setting).check(&judge::operation(&asked), ReplicaId(0), payload));
    assert!(!judge(&setting).check(&validate, ReplicaId(0), payload));
    assert!(!judge(&setting).settled(&validate, &[]));
}

#[test]
fn observation_is_checked_against_its_question_and_its_replica() {
    let setting = Setting::new();
    let asked = question("www.example.org");
    let payload = &payloads(&setting, &asked, &[address("www.example.org.", 1)])[0];
    let other = judge::operation(&question("other.example.org"));
    assert!(!judge(&setting).check(&other, ReplicaId(0), payload));
    assert!(!judge(&setting).check(&judge::operation(&asked), ReplicaId(1), payload), "of another group");
    assert!(!judge(&setting).check(&judge::operation(&asked), ReplicaId(0), b"none"));
}

#[test]
fn three_equal_observations_are_settled_and_two_are_not() {
    let setting = Setting::new();
    let asked = question("www.example.org");
    let seen = [1, 1, 2, 1].map(|last| address("www.example.org.", last));
    let payloads = payloads(&setting, &asked, &seen);
    let operation = judge::operation(&asked);
    assert!(!judge(&setting).settled(&operation, &counted(&payloads[..3])));
    assert!(judge(&setting).settled(&operation, &counted(&payloads)));
}

#[test]
fn decision_is_that_of_agreement() {
    let setting = Setting::new();
    let asked = question("www.example.org");
    for seen in [
        [1, 1, 1, 1].map(|last| address("www.example.org.", last)),
        [1, 1, 1, 9].map(|last| address("www.example.org.", last)),
        [1, 2, 3, 4].map(|last| address("www.example.org.", last)),
        [(); 4].map(|()| nxdomain()),
    ] {
        let payloads = payloads(&setting, &asked, &seen);
        let observed: Vec<Observed> =
            payloads.iter().map(|payload| Observed::from_bytes(payload).unwrap()).collect();
        let counted = counted(&payloads);
        let observation = |(counted, observed): (&Counted<'_>, _)| {
            let &Counted { replica, time_ms, .. } = counted;
            Observation { replica, time_ms, observed }
        };
        let observations: Vec<_> = counted.iter().zip(&observed).map(observation).collect();
        let expected = agreement::decide(&setting.cluster, &asked, &observations, &NoProofs);
        let operation = judge::operation(&asked);
        assert_eq!(judge(&setting).decide(&operation, &counted), expected.leaf.to_bytes());
        assert_eq!(judge(&setting).extra(&operation, &counted), expected.extra);
    }
}

#[test]
fn records_beside_a_denial_are_those_that_its_leaf_binds() {
    let setting = Setting::new();
    let asked = question("absent.example.org");
    let payloads = payloads(&setting, &asked, &[(); 3].map(|()| nxdomain()));
    let operation = judge::operation(&asked);
    let leaf =
        certificate::Leaf::from_bytes(&judge(&setting).decide(&operation, &counted(&payloads))).unwrap();
    assert_ne!(leaf.extra_digest, Digest::ZERO);
    let extra = judge(&setting).extra(&operation, &counted(&payloads));
    assert_eq!(agreement::extra::digest(&extra), leaf.extra_digest);
}
