//! Four replicas answer together: equal answers, a liar, a time-out, denials.

use certificate::codec::Decode;
use certificate::leaf::{Class, Policy};
use certificate::verify::{GRACE_MS, verify};
use certificate::{CertifiedAnswer, ReplicaId, ReplicaSet, name};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};

use super::four::{Four, certified, patient, reasons, until};
use super::setting::question;
use super::upstream::{Says, address, nxdomain};
use crate::byzantine_consensus::consensus::wall_ms;
use crate::error::ServeError;
use crate::rehearsal::{a, answer, query};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_answers_are_strong_and_their_certificate_verifies() {
    let four = Four::running(|_| {}).await;
    four.all_see("www.example.org.", &address("www.example.org.", 1));

    let response = four.ask(0, "WWW.example.org.", RecordType::A).await;

    let certified = certified(&response).await;
    let read = CertifiedAnswer::from_bytes(&certified.bytes).unwrap();
    let asked = question("www.example.org");
    let verified =
        verify(&read, &four.setting.cluster, Some(&asked), wall_ms(), GRACE_MS, Class::Strong).unwrap();
    assert_eq!((verified.class, read.leaf.single_path), (Class::Strong, false));
    assert_eq!(read.reference(), certified.reference);
    assert_eq!(response.answers[0].data, a("www.example.org.", 300, 1).data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_answers_the_next_query_without_another_lookup() {
    let four = Four::running(|_| {}).await;
    four.all_see("www.example.org.", &address("www.example.org.", 1));
    let first = certified(&four.ask(0, "www.example.org.", RecordType::A).await).await;

    let second = certified(&four.ask(0, "www.example.org.", RecordType::A).await).await;

    assert_eq!(second.bytes, first.bytes);
    assert_eq!(four.upstreams[0].asked("www.example.org.").len(), 1);
    assert_eq!(four.replica(0).consensus.metrics.held.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_liar_changes_nothing() {
    let four = Four::running(|_| {}).await;
    four.all_see("www.example.org.", &address("www.example.org.", 1));
    four.one_sees(2, "www.example.org.", Says::This(address("www.example.org.", 66)));

    // Asked through the liar, who serves what was decided, too.
    let response = four.ask(2, "www.example.org.", RecordType::A).await;

    // Two honest observations and the lie may be all that is there when the grace is over.
    let certified = certified(&response).await;
    let leaf = &certified.answer.leaf;
    assert!(leaf.class >= Class::Corroborated && !leaf.support.contains(ReplicaId(2)), "{leaf:?}");
    assert_eq!(response.answers.len(), 1);
    assert_eq!(response.answers[0].data, a("www.example.org.", 300, 1).data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_time_out_changes_nothing() {
    let four = Four::running(|_| {}).await;
    four.all_see("www.example.org.", &address("www.example.org.", 1));
    four.one_sees(3, "www.example.org.", Says::Nothing);

    let response = four.ask(3, "www.example.org.", RecordType::A).await;

    let certified = certified(&response).await;
    let leaf = &certified.answer.leaf;
    assert_eq!((leaf.class, leaf.support), (Class::Strong, ReplicaSet(0b0111)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nxdomain_is_certified_and_comes_with_its_soa() {
    let four = Four::running(|_| {}).await;
    four.all_see("absent.example.org.", &nxdomain());

    let response = four.ask(1, "absent.example.org.", RecordType::A).await;

    assert_eq!((response.rcode, response.answers.len()), (ResponseCode::NXDomain, 0));
    assert_eq!(response.authorities.len(), 1);
    assert_eq!(response.authorities[0].record_type(), RecordType::SOA);
    let certified = certified(&response).await;
    let cluster = &four.setting.cluster;
    let asked = question("absent.example.org");
    verify(&certified.answer, cluster, Some(&asked), wall_ms(), 0, Class::Strong).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lookup_that_fails_everywhere_is_a_certified_failure() {
    let four = Four::running(|_| {}).await;
    for id in 0..4 {
        let error = ServeError::Upstream("upstream `192.0.2.53:53`: no answer".to_owned());
        four.one_sees(id, "www.example.org.", Says::Fails(error));
    }

    let response = four.ask(0, "www.example.org.", RecordType::A).await;

    assert_eq!(response.rcode, ResponseCode::ServFail);
    assert_eq!(certified(&response).await.answer.leaf.class, Class::Failure);
    let [reason] = reasons(&response)[..] else { panic!("one reason") };
    assert!(reason.ends_with("of 4 replicas saw no usable answer from upstream"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_strong_three_different_answers_are_no_agreement() {
    let four = Four::running(|cluster| {
        cluster.policies.insert(name::parse("example.org").unwrap(), Policy::Strong);
    })
    .await;
    for id in 0..4 {
        four.one_sees(id, "www.example.org.", Says::This(address("www.example.org.", id / 2)));
    }

    let response = four.ask(0, "www.example.org.", RecordType::A).await;

    assert_eq!((response.rcode, response.answers.len()), (ResponseCode::ServFail, 0));
    let [reason] = reasons(&response)[..] else { panic!("one reason") };
    assert!(
        reason.starts_with("consensus: no-agreement: ") && reason.ends_with("no 3 of them alike"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_of_a_name_is_its_txt_record() {
    let four = Four::running(|_| {}).await;
    four.all_see("www.example.org.", &answer(vec![a("www.example.org.", 300, 1)]));

    let response = four.ask(0, "_certificate._A.www.example.org.", RecordType::TXT).await;

    let RData::TXT(txt) = &response.answers[0].data else { panic!("a TXT record") };
    let bytes = certificate::delivery::from_txt(&txt.txt_data).unwrap();
    let read = CertifiedAnswer::from_bytes(&bytes).unwrap();
    let asked = question("www.example.org");
    verify(&read, &four.setting.cluster, Some(&asked), wall_ms(), 0, Class::Strong).unwrap();
    assert_eq!(response.answers[0].name.to_string(), "_certificate._A.www.example.org.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_queries_at_once_make_one_request() {
    let four = Four::running(|_| {}).await;
    four.all_see("www.example.org.", &address("www.example.org.", 1));
    let chain = &four.replica(0).chain;
    let queries = (0..200).map(|_| {
        let chain = chain.clone();
        tokio::spawn(async move { chain.serve(&patient(query("www.example.org.", RecordType::A))).await })
    });

    for served in queries.collect::<Vec<_>>() {
        certified(&served.await.unwrap().unwrap()).await;
    }

    let consensus = &four.replica(0).consensus;
    until("the decision is counted", || consensus.node().status().counters.operations_decided > 0).await;
    assert_eq!(consensus.node().status().counters.operations_decided, 1);
    assert_eq!(four.upstreams[0].asked("www.example.org.").len(), 1);
    assert_eq!(consensus.waiting.len(), 0);
}
