//! The JSON API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certificate::CertifiedAnswer;
use certificate::codec::Decode;
use certificate::leaf::Class;
use certificate::verify::verify;
use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use super::four::{Four, PATIENCE, certified, patient, until};
use super::setting::question;
use super::upstream::{Says, address};
use crate::byzantine_consensus::consensus::wall_ms;
use crate::rehearsal::{query, with_edns};

const NAME: &str = "www.example.org.";
const EXPECTED_REFERENCE: &str =
    "expected a reference: the 66 hexadecimal digits, the first two `02`, that the EDNS option held";

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
        ("labels", json!({ "given": 0, "confirmed": 0, "unproven": 0 })),
    ] {
        assert_eq!(body[key], expected, "{key}");
    }
}

/// Replica 0 has seen a slot from its proposal to its decision; on a busy machine the first ones may come another way, by a view change or fetched.
async fn measured() -> Four {
    let four = decided().await;
    let rounds = &four.replica(0).consensus.metrics.rounds;
    let is_measured = || rounds.figures().agreement.is_some() && rounds.figures().ordering.is_some();
    let ask = async {
        let mut number = 0;
        while !is_measured() {
            let name = format!("{number}.example.org.");
            four.all_see(&name, &address(&name, 1));
            four.ask(0, &name, RecordType::A).await;
            number += 1;
        }
    };
    tokio::time::timeout(PATIENCE, ask).await.expect("a slot that is measured");
    four
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_shows_what_the_node_counts_and_how_it_fares_with_each_peer() {
    let four = measured().await;
    let get = || get(&four, "/v1/status", "").expect("a path of ours").1;
    until("slots are in the status", || get()["counters"]["slots_decided"].as_u64() > Some(0)).await;
    let body = get();
    let all = four.replica(0).consensus.node().status().counters.all();
    assert_eq!(body["counters"].as_object().map(serde_json::Map::len), Some(all.len()));
    for counted in all {
        assert!(body["counters"][counted.name].is_u64(), "{}", counted.name);
    }
    assert!(body["counters"]["messages_in"].as_u64() > Some(0), "{body}");
    let peers = body["peers"].as_array().expect("a list");
    assert_eq!(peers.iter().map(|peer| &peer["id"]).collect::<Vec<_>>(), [1, 2, 3]);
    for peer in peers {
        assert!(peer["packets_sent"].as_u64() > peer["packets_lost"].as_u64(), "{peer}");
        assert!(peer["round_trip_ms"].is_f64(), "{peer}");
    }
    let agreement = &body["agreement"];
    assert!(agreement["of_slots"].as_u64() > Some(0), "{agreement}");
    assert_eq!(agreement["entries_per_slot"], 1.0, "one question after the other");
    assert!(agreement["bytes_per_slot"].as_f64() > Some(100.0), "{agreement}");
    assert!(agreement["from_proposal_ms"]["p50"].is_f64(), "{agreement}");
    assert!(agreement["from_observations_ms"]["p99"].is_f64(), "{agreement}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_show_what_the_node_counts_and_how_agreeing_goes() {
    let four = measured().await;
    let shown = || four.replica(0).metrics.encode();
    let is_counted = |series: &str| {
        let shown = shown();
        let value = shown.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.is_some_and(|value| value.parse::<f64>().is_ok_and(|value| value > 0.0))
    };
    for series in [
        "quorate_node_slots_decided_total{cluster=\"example\"}",
        "quorate_node_operations_decided_total{cluster=\"example\"}",
        "quorate_node_messages_in_total{cluster=\"example\"}",
        "quorate_consensus_decisions_total{cluster=\"example\",class=\"strong\"}",
        "quorate_consensus_agreement_seconds_count{cluster=\"example\"}",
        "quorate_consensus_ordering_seconds_count{cluster=\"example\"}",
        "quorate_consensus_slot_entries_sum{cluster=\"example\"}",
        "quorate_consensus_slot_bytes_count{cluster=\"example\"}",
        "quorate_peer_packets_sent_total{cluster=\"example\",replica=\"2\"}",
        "quorate_peer_round_trip_seconds{cluster=\"example\",replica=\"2\"}",
    ] {
        until(series, || is_counted(series)).await;
    }
    let text = shown();
    assert!(
        text.contains("# HELP quorate_node_bytes_in Bytes of messages from peers, uncompressed.\n"),
        "{text}"
    );
    for series in [
        "quorate_node_queue_drops_total{cluster=\"example\"} 0\n",
        "quorate_peer_packets_lost_total{cluster=\"example\",replica=\"2\"} ",
    ] {
        assert!(text.contains(series), "{series}\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reference_leads_to_its_certificate_at_every_replica_and_so_does_the_slot() {
    let four = decided().await;
    let certified = certified(&four.ask(1, NAME, RecordType::A).await).await;
    let digits: String = certified.reference.iter().map(|byte| format!("{byte:02X}")).collect();
    for id in [0, 1] {
        let get = |path: &str, query: &str| {
            let (status, body) =
                four.replica(id).chain.plugins()[0].api(path, query).expect("a path of ours");
            (status, serde_json::from_str::<Value>(&body).expect("JSON"))
        };
        let slot = certified.answer.certificate.header.sequence.0;
        let of_slot = format!("slot={slot}");
        until("it is held", || get("/v1/certificates", &of_slot).0 == 200).await;
        let (status, by_reference) = get(&format!("/v1/certificates/{digits}"), "");
        let (_, by_name) = get("/v1/certificates", "name=www.example.org");
        let (_, by_slot) = get("/v1/certificates", &of_slot);
        assert_eq!((status, &by_reference), (200, &by_name));
        assert_eq!(by_reference["reference"], digits.to_lowercase());
        assert_eq!(by_slot, json!({ "slot": slot, "certificates": [by_name] }));
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
        (
            "",
            400,
            "expected `name=NAME`, such as `/v1/certificates?name=www.example.org&type=A`, or `slot=NUMBER`",
        ),
        (
            "type=A",
            400,
            "expected `name=NAME`, such as `/v1/certificates?name=www.example.org&type=A`, or `slot=NUMBER`",
        ),
        ("name=www.example.org&slot=1", 400, "expected `name=NAME` or `slot=NUMBER`, found both"),
        ("slot=-1", 400, "expected `slot=NUMBER`, such as `slot=1042`"),
        ("slot=7", 404, "no certificate of slot 7 is held here, or not any more; the last slot is 0"),
        ("name=www.example.org&type=ADDRESS", 400, "expected `type=TYPE`, such as `type=AAAA`"),
        ("name=www..example.org", 400, "expected a domain name after `name=`"),
    ] {
        let answer = get(&four, "/v1/certificates", query).expect("a path of ours");
        assert_eq!(answer, (status, json!({ "error": error })), "{query}");
    }
    assert_eq!(get(&four, "/v1/other", ""), None);
    assert_eq!(get(&four, "/v1/certificates/validate", ""), None, "it takes a body");
    let digits = "ab".repeat(32);
    for (reference, status, error) in [
        (
            format!("02{digits}"),
            404,
            "no certificate of this reference is held here, or not any more; another replica may hold it",
        ),
        (format!("01{digits}"), 400, EXPECTED_REFERENCE),
        (digits.clone(), 400, EXPECTED_REFERENCE),
        (format!("02{}", digits.replace('a', "+")), 400, EXPECTED_REFERENCE),
        (format!("02{}", "é".repeat(32)), 400, EXPECTED_REFERENCE),
        (String::new(), 400, EXPECTED_REFERENCE),
    ] {
        let answer = get(&four, &format!("/v1/certificates/{reference}"), "").expect("a path of ours");
        assert_eq!(answer, (status, json!({ "error": error })), "{reference}");
    }
}
