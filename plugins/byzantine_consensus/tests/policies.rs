//! What each policy of the cluster file means to a client.

use certificate::leaf::{Class, Policy};
use certificate::name;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::four::{Four, certified, patient};
use super::upstream::{Says, address};
use crate::byzantine_consensus::handler::OnDisagreement;
use crate::error::ServeError;
use crate::rehearsal::{a, answer, query};
use crate::response::Response;

const NAME: &str = "www.example.org.";

/// Four replicas that judge `example.org` by `policy`.
async fn four(policy: Policy) -> Four {
    Four::running(|cluster| {
        cluster.policies.insert(name::parse("example.org").unwrap(), policy);
    })
    .await
}

/// The class of an answer; `None` when nothing certifies it.
async fn class(response: &Response) -> Option<Class> {
    match response.certificate {
        Some(_) => Some(certified(response).await.answer.leaf.class),
        None => None,
    }
}

/// Two see 192.0.2.1, one sees another, one sees nothing.
fn majority_of_three(four: &Four) {
    four.all_see(NAME, &address(NAME, 1));
    four.one_sees(2, NAME, Says::This(address(NAME, 66)));
    four.one_sees(3, NAME, Says::Nothing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corroborated_is_content_with_a_majority_of_the_observations() {
    let four = four(Policy::Corroborated).await;
    majority_of_three(&four);
    let response = four.ask(0, NAME, RecordType::A).await;
    assert_eq!(class(&response).await, Some(Class::Corroborated));
    assert_eq!(response.answers[0].data, a(NAME, 300, 1).data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strong_is_not_content_with_a_majority_of_the_observations() {
    let four = four(Policy::Strong).await;
    majority_of_three(&four);
    let response = four.ask(0, NAME, RecordType::A).await;
    assert_eq!(class(&response).await, Some(Class::NoAgreement));
    assert_eq!(response.rcode, ResponseCode::ServFail);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_keeps_what_each_record_is_supported_by() {
    let four = four(Policy::Records).await;
    for id in 0..4 {
        let seen = answer(vec![a(NAME, 300, 1), a(NAME, 300, 10 + id)]);
        four.one_sees(id, NAME, Says::This(seen));
    }
    let response = four.ask(0, NAME, RecordType::A).await;
    assert_eq!(class(&response).await, Some(Class::Records));
    let data: Vec<_> = response.answers.iter().map(|record| record.data.clone()).collect();
    assert_eq!(data, [a(NAME, 300, 1).data]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_matching_zone_sets_the_policy() {
    let four = Four::running(|cluster| {
        cluster.policies.insert(name::parse("example.org").unwrap(), Policy::Strong);
        cluster.policies.insert(name::parse(NAME).unwrap(), Policy::Bypass);
    })
    .await;
    four.all_see(NAME, &address(NAME, 1));
    assert_eq!(class(&four.ask(0, NAME, RecordType::A).await).await, None);
    assert_eq!(class(&four.ask(0, "absent.example.org.", RecordType::A).await).await, Some(Class::Strong));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observe_answers_before_anybody_else_has_looked() {
    let four = four(Policy::Observe).await;
    for id in 1..4 {
        four.one_sees(id, NAME, Says::Nothing);
    }
    four.one_sees(0, NAME, Says::This(address(NAME, 7)));
    let response = four.ask(0, NAME, RecordType::A).await;
    assert_eq!(response.answers, [a(NAME, 300, 7)]);
    assert!(response.certificate.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observe_counts_an_own_answer_that_differs_from_the_decision() {
    let four = four(Policy::Observe).await;
    four.all_see(NAME, &address(NAME, 1));
    four.one_sees(0, NAME, Says::This(address(NAME, 66)));
    assert_eq!(four.ask(0, NAME, RecordType::A).await.answers, [a(NAME, 300, 66)]);
    four.replica(0).counts("the difference is counted", 1, |metrics| metrics.differences.get()).await;
    // From now on each own answer is held against the decision.
    let second = four.ask(0, NAME, RecordType::A).await;
    assert!(second.certificate.is_none(), "the certificate is not one of this answer");
    assert_eq!(four.replica(0).consensus.metrics.differences.get(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observe_certifies_own_answers_that_were_decided() {
    let four = four(Policy::Observe).await;
    four.all_see(NAME, &address(NAME, 1));
    // The certificate of the name waits for the decision.
    four.ask(0, &format!("_certificate.{NAME}"), RecordType::TXT).await;
    assert_eq!(class(&four.ask(0, NAME, RecordType::A).await).await, Some(Class::Strong));
    assert_eq!(four.replica(0).consensus.metrics.differences.get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bypass_stays_between_the_replica_and_its_client() {
    let four = four(Policy::Bypass).await;
    four.all_see(NAME, &address(NAME, 1));
    let response = four.ask(0, NAME, RecordType::A).await;
    // Another name is decided after it: had the first been told to others, they would have seen it by then.
    assert!(class(&four.ask(0, "example.com.", RecordType::A).await).await.is_some());
    assert_eq!(response.answers, [a(NAME, 300, 1)]);
    assert!(response.certificate.is_none());
    let asked: Vec<usize> = four.upstreams.iter().map(|upstream| upstream.asked(NAME).len()).collect();
    assert_eq!(asked, [1, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_under_bypass_have_no_certificate() {
    let four = four(Policy::Bypass).await;
    let query = patient(query(&format!("_certificate.{NAME}"), RecordType::TXT));
    let error = four.replica(0).serve(&query).await.unwrap_err();
    let text = "the policy of this name is `bypass`: nothing is agreed on";
    assert_eq!(error, ServeError::Refused(text.to_owned()));
    assert!(four.upstreams.iter().all(|upstream| upstream.asked(NAME).is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_serves_what_was_decided_where_something_was() {
    let local = |settings: &mut super::four::QuerySettings| settings.on_disagreement = OnDisagreement::Local;
    let four = Four::running_with(|_| {}, local).await;
    four.all_see(NAME, &address(NAME, 1));
    four.one_sees(0, NAME, Says::This(address(NAME, 66)));
    let response = four.ask(0, NAME, RecordType::A).await;
    assert!(class(&response).await >= Some(Class::Corroborated));
    assert_eq!(response.answers[0].data, a(NAME, 300, 1).data);
}
