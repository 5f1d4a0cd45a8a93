//! When nothing is decided: what clients are told, and the own answer in its place.

use std::time::Duration;

use certificate::leaf::Policy;
use certificate::name;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::four::{Four, PATIENCE, QuerySettings, reasons, settings, until, within};
use super::upstream::{Says, address};
use crate::byzantine_consensus::handler::OnDisagreement;
use crate::error::{ServeError, code};
use crate::rehearsal::{a, query};
use crate::response::Response;

const NAME: &str = "www.example.org.";
/// So long a client waits for what will not come.
const SHORT: Duration = Duration::from_millis(250);

fn local(settings: &mut QuerySettings) {
    settings.on_disagreement = OnDisagreement::Local;
}

/// Four replicas of which two and two see different answers, and none of which decides by less than a quorum.
async fn split(change: impl Fn(&mut QuerySettings)) -> Four {
    let four = Four::running_with(
        |cluster| {
            cluster.policies.insert(name::parse("example.org").unwrap(), Policy::Strong);
        },
        change,
    )
    .await;
    for id in 0..4 {
        let seen = Response { authentic_data: true, ..address(NAME, 1 + id / 2) };
        four.one_sees(id, NAME, Says::This(seen));
    }
    four
}

/// Two of four replicas, the others stopped.
async fn two(change: impl Fn(&mut QuerySettings)) -> Four {
    let mut four = Four::new(|_| {});
    let mut settings = settings();
    change(&mut settings);
    four.start(0, settings.clone());
    four.start(1, settings);
    four.presence(0, 2).await;
    four.presence(1, 2).await;
    four.all_see(NAME, &address(NAME, 1));
    four
}

/// What a client with little time gets.
async fn ask_briefly(four: &Four, id: u8) -> Result<Response, ServeError> {
    four.replica(id).serve(&within(query(NAME, RecordType::A), SHORT)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_four_are_too_few_and_the_client_is_told_so() {
    let four = two(|_| {}).await;
    let begun = std::time::Instant::now();
    // On a busy machine the first tries may be over before the other replica was heard.
    let response = loop {
        let response = ask_briefly(&four, 0).await.unwrap();
        let expected = ["consensus: 2 of 4 replicas answered, 3 are needed"];
        if reasons(&response) == expected {
            break response;
        }
        assert!(begun.elapsed() < PATIENCE, "{:?}", reasons(&response));
    };
    assert_eq!((response.rcode, response.answers.len()), (ResponseCode::ServFail, 0));
    assert_eq!(response.extended_errors[0].code, code::NETWORK_ERROR);
    assert_eq!(response.cache_ttl_s, Some(1));
    assert!(response.certificate.is_none());
    assert!(four.replica(0).consensus.metrics.undecided.get() >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_of_an_undecided_name_is_a_failure() {
    let four = two(|_| {}).await;
    let asked = within(query(&format!("_certificate.{NAME}"), RecordType::TXT), SHORT);
    let response = four.replica(0).serve(&asked).await.unwrap();
    assert_eq!((response.rcode, response.answers.len()), (ResponseCode::ServFail, 0));
    let [reason] = reasons(&response)[..] else { panic!("one reason") };
    assert!(reason.ends_with("of 4 replicas answered, 3 are needed"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_gives_the_own_answer_marked_and_uncertified_on_disagreement() {
    let four = split(local).await;

    let response = four.ask(3, NAME, RecordType::A).await;

    assert_eq!(response.answers, [a(NAME, 30, 2)], "an own answer lives half a minute at most");
    assert_eq!((response.rcode, response.cache_ttl_s), (ResponseCode::NoError, Some(30)));
    assert!(response.certificate.is_none() && !response.authentic_data);
    let [reason] = reasons(&response)[..] else { panic!("one reason") };
    assert!(reason.starts_with("uncertified: consensus: no-agreement: "), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_gives_the_own_answer_when_too_few_are_there() {
    let four = two(local).await;
    let response = ask_briefly(&four, 0).await.unwrap();
    assert_eq!(response.answers, [a(NAME, 30, 1)]);
    let [reason] = reasons(&response)[..] else { panic!("one reason") };
    assert!(reason.ends_with("of 4 replicas answered, 3 are needed"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_does_not_wait_for_an_own_answer_beyond_the_deadline() {
    let four = two(local).await;
    four.one_sees(0, NAME, Says::Nothing);
    let response = ask_briefly(&four, 0).await.unwrap();
    assert_eq!((response.rcode, response.answers.len()), (ResponseCode::ServFail, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_fails_as_the_cluster_does_when_the_own_lookup_fails() {
    let four = split(local).await;
    four.one_sees(0, NAME, Says::Fails(ServeError::Upstream("`192.0.2.53:53`".to_owned())));
    let response = four.ask(0, NAME, RecordType::A).await;
    assert_eq!((response.rcode, response.answers.len()), (ResponseCode::ServFail, 0));
    let [reason] = reasons(&response)[..] else { panic!("one reason") };
    assert!(reason.starts_with("consensus: no-agreement: "), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_that_has_stopped_says_so() {
    let four = two(|_| {}).await;
    four.replica(0).consensus.node().shutdown();
    let error = ask_briefly(&four, 0).await.unwrap_err();
    assert!(matches!(error, ServeError::NotReady(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_gives_the_own_answer_when_the_replica_has_stopped() {
    let four = two(local).await;
    four.replica(0).consensus.node().shutdown();
    let response = ask_briefly(&four, 0).await.unwrap();
    assert_eq!(response.answers, [a(NAME, 30, 1)]);
    assert!(reasons(&response)[0].starts_with("uncertified: "), "{:?}", reasons(&response));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_says_how_many_replicas_are_missing() {
    let four = two(|_| {}).await;
    let plugin = &four.replica(0).chain.plugins()[0];
    assert_eq!(plugin.ready(), Err("reaches 1 other replicas, a quorum needs 2".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_decided_again_once_a_quorum_is_there() {
    let mut four = two(|_| {}).await;
    ask_briefly(&four, 0).await.unwrap();
    four.start(2, settings());
    four.presence(0, 3).await;
    until("the replica is ready", || four.replica(0).chain.plugins()[0].ready().is_ok()).await;
    let response = four.ask(0, NAME, RecordType::A).await;
    assert_eq!(response.rcode, ResponseCode::NoError);
    assert!(response.certificate.is_some());
}
