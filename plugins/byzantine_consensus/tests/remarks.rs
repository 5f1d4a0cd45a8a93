//! Remarks on answers: agreed on beside the answer, and only what honest replicas say.

use certificate::{Judged, Remark};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::four::{Four, certified, settings, within};
use super::setting::{Setting, question};
use super::upstream::{Says, address};
use crate::byzantine_consensus::answer::response;
use crate::byzantine_consensus::handler::OnDisagreement;
use crate::rehearsal::query;
use crate::response::Response;

const NAME: &str = "www.example.org.";

fn flag() -> Remark {
    Remark::new(Judged::Invalid, 0, "ct-verify: CERT invalid: not_enough_logs")
}

fn flagged() -> Response {
    Response { remark: Some(flag()), ..address(NAME, 1) }
}

/// SERVFAIL because of what was found.
fn blocked() -> Response {
    let remark = Remark::new(Judged::Invalid, 15, "ct-verify: CERT invalid: not_enough_logs");
    Response { remark: Some(remark), ..Response::new(ResponseCode::ServFail, "ct-verify") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn remark_of_the_honest_is_agreed_on_whatever_one_says() {
    let four = Four::running(|_| {}).await;
    four.all_see(NAME, &flagged());
    four.one_sees(2, NAME, Says::This(address(NAME, 1)));

    let answer = four.ask(0, NAME, RecordType::A).await;

    assert_eq!(answer.remark, Some(flag()));
    assert!(answer.extended_errors.is_empty(), "the engine tells it, once");
    assert_eq!(certified(&answer).await.answer.leaf.remark(), Some(flag()));
    let (_, shown) =
        four.replica(0).chain.plugins()[0].api("/v1/certificates", &format!("name={NAME}")).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["remark"]["text"], flag().text);
    for view in shown["observations"].as_array().unwrap() {
        let remark = if view["replica"] == 2 { serde_json::Value::Null } else { flag().text.into() };
        assert_eq!(view["remark"]["text"], remark, "{view}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn remark_of_one_alone_is_not_agreed_on() {
    let four = Four::running(|_| {}).await;
    four.all_see(NAME, &address(NAME, 1));
    four.one_sees(0, NAME, Says::This(flagged()));

    let answer = four.ask(0, NAME, RecordType::A).await;

    assert_eq!((answer.remark.as_ref(), answer.answers.len()), (None, 1));
    assert!(certified(&answer).await.answer.leaf.verdict.is_empty());
}

#[test]
fn failure_that_was_agreed_on_for_a_reason_is_not_blamed_on_upstream() {
    let setting = Setting::new();
    let asked = question(NAME);
    let held = setting.held(1, setting.unanimous(&asked, 1_795_357_560_000, blocked()));
    let answer = response(&held, &query(NAME, RecordType::A), setting.cluster.replicas, 1_795_357_560_000);
    assert_eq!((answer.rcode, answer.remark.clone()), (ResponseCode::ServFail, blocked().remark));
    let told: Vec<(u16, &str)> = answer.told().collect();
    assert_eq!(
        told,
        [
            (15, "ct-verify: CERT invalid: not_enough_logs"),
            (0, "consensus: 4 of 4 replicas give no answer for this reason"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_answer_in_place_of_an_agreed_one_keeps_the_own_remark() {
    let mut four = Four::new(|_| {});
    let settings = super::four::QuerySettings { on_disagreement: OnDisagreement::Local, ..settings() };
    four.start(0, settings);
    four.all_see(NAME, &flagged());
    let query = within(query(NAME, RecordType::A), std::time::Duration::from_secs(2));
    let answer = four.replica(0).serve(&query).await.unwrap();
    assert_eq!((answer.remark, answer.certificate.is_none()), (Some(flag()), true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_quorum_withholds_no_own_answer_stands_in_for() {
    let four = Four::running_with(|_| {}, |settings| settings.on_disagreement = OnDisagreement::Local).await;
    four.all_see(NAME, &blocked());
    four.one_sees(0, NAME, Says::This(address(NAME, 1)));

    let answer = four.ask(0, NAME, RecordType::A).await;

    assert_eq!((answer.rcode, &answer.remark), (ResponseCode::ServFail, &blocked().remark));
    assert_eq!((answer.answers.len(), answer.certificate.is_some()), (0, true));
}
