//! The JSON API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certificate::CertifiedAnswer;
use certificate::codec::Decode;
use certificate::leaf::Class;
use certificate::verify::verify;
use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use super::four::{Four, certified, patient, until};
use super::setting::question;
use super::upstream::{Says, address};
use crate::byzantine_consensus::consensus::wall_ms;
use crate::rehearsal::{query, with_edns};

const NAME: &str = "www.example.org.";

/// What replica 0 answers.
fn get(four: &Four, path: &str, query: &str) -> Option<(u16, Value)> {
    let (status, body) = four.replica(0).chain.plugins()[0].api(path, query)?;
    Some((status, serde_json::from_str(&body).expect("JSON")))
}

/// Four replicas that have decided where `www.example.org` is; replica 3 has seen nothing yet.
async fn decided() -> Four {
    let four = Four::running(|_| {}).await;
    four.all_see(NAME, &address(NAME, 1));
    four.one_sees(3, NAME, Says::Nothing);
    certified(&four.ask(0, NAME, RecordType::A).await).await;
    four
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_shows_how_the_replica_stands() {
    let four = decided().await;
    let get = || get(&four, "/v1/status", "").expect("a path of ours");
    until("the slot is in the status", || get().1["slots_decided"] == 1).await;
    let (status, body) = get();
    assert_eq!(status, 200);
    for (key, expected) in [
        ("cluster", json!("example")),
        ("replica", json!(0)),
        ("view", json!(0)),
        ("primary", json!(0)),
        ("standing", json!("active")),
        ("view_changes", json!(0)),
        ("new_views", json!(0)),
        ("executed", json!(1)),
        ("stable", json!(0)),
        ("connected", json!([1, 2, 3])),
        ("can_reach_quorum", json!(true)),
        ("refusing", Value::Null),
        ("operations_decided", json!(1)),
        ("faults", json!(0)),
        ("strangers", json!(0)),
        ("waiting_questions", json!(0)),
    ] {
        assert_eq!(body[key], expected, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_shows_what_all_replicas_have_in_common() {
    let mut four = Four::new(|_| {});
    four.start(0, super::four::settings());
    let (status, body) = get(&four, "/v1/cluster", "").expect("a path of ours");
    let cluster = &four.setting.cluster;
    assert_eq!(status, 200);
    assert_eq!(body["id"], cluster.id().to_string());
    assert_eq!(body["digest"], cluster.digest().to_string());
    let numbers = [&body["name"], &body["epoch"], &body["faults"], &body["quorum"]];
    assert_eq!(numbers, [&json!("example"), &json!(1), &json!(1), &json!(3)]);
    let member = &cluster.members[2];
    let expected = json!({
        "id": 2, "name": "replica-2", "address": member.address.to_string(),
        "public_key": member.public_key.to_string(), "upstream_group": "isp-2",
    });
    assert_eq!(body["replicas"][2], expected);
    assert_eq!(body["replicas"].as_array().map(Vec::len), Some(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificate_is_shown_with_the_observations_behind_it() {
    let four = decided().await;

    let (status, body) =
        get(&four, "/v1/certificates", "name=WWW.example.org&type=a").expect("a path of ours");

    assert_eq!(status, 200);
    let shown = [&body["question"], &body["class"], &body["policy"], &body["zone"], &body["holds"]];
    assert_eq!(
        shown,
        [&json!("www.example.org. IN A"), &json!("strong"), &json!("records"), &json!("."), &json!(true)]
    );
    assert_eq!((&body["slot"], &body["view"]), (&json!(1), &json!(0)));
    let record = json!({
        "record": "www.example.org. 300 A 192.0.2.1", "seen_by": [0, 1, 2], "seen_before_by": [],
    });
    assert_eq!(body["answer"], json!([record]));
    let observations = body["observations"].as_array().expect("a list");
    let first = &observations[0];
    assert_eq!(
        [&first["replica"], &first["name"], &first["upstream_group"]],
        [&json!(0), &json!("replica-0"), &json!("isp-0")]
    );
    assert_eq!(first["saw"], json!(["www.example.org. 300 A 192.0.2.1"]));
    assert_eq!((&first["counted"], &first["supports"]), (&json!(true), &json!(true)));
    let bytes = STANDARD.decode(body["certificate"].as_str().expect("base64")).unwrap();
    let answer = CertifiedAnswer::from_bytes(&bytes).unwrap();
    let asked = question(NAME);
    verify(&answer, &four.setting.cluster, Some(&asked), wall_ms(), 0, Class::Strong).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificate_of_a_question_with_do_is_found_by_its_name() {
    let four = Four::running(|_| {}).await;
    four.all_see(NAME, &address(NAME, 1));
    let with_do = with_edns(query(NAME, RecordType::A), true);
    certified(&four.replica(0).serve(&patient(with_do)).await.unwrap()).await;
    let (status, body) = get(&four, "/v1/certificates", &format!("name={NAME}")).expect("a path of ours");
    assert_eq!((status, &body["question"]), (200, &json!("www.example.org. IN A DO")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_may_be_percent_encoded() {
    let four = decided().await;
    let (status, body) =
        get(&four, "/v1/certificates", "name=%77ww%2Eexample.org.&type=%41").expect("a path of ours");
    assert_eq!((status, &body["question"]), (200, &json!("www.example.org. IN A")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_lead_nowhere_say_why() {
    let mut four = Four::new(|_| {});
    four.start(0, super::four::settings());
    for (query, status, error) in [
        (
            "name=www.example.org&type=AAAA",
            404,
            "no decision about this question is held here; ask for it with `dig` first",
        ),
        ("", 400, "expected `name=NAME`, such as `/v1/certificates?name=www.example.org&type=A`"),
        ("type=A", 400, "expected `name=NAME`, such as `/v1/certificates?name=www.example.org&type=A`"),
        ("name=www.example.org&type=ADDRESS", 400, "expected `type=TYPE`, such as `type=AAAA`"),
        ("name=www..example.org", 400, "expected a domain name after `name=`"),
    ] {
        let answer = get(&four, "/v1/certificates", query).expect("a path of ours");
        assert_eq!(answer, (status, json!({ "error": error })), "{query}");
    }
    assert_eq!(get(&four, "/v1/other", ""), None);
}
