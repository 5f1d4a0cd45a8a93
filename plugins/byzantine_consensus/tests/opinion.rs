//! What is made of the other replicas: in the API, in metrics, in what goes out early.

use std::fs;
use std::path::Path;

use agreement::Observed;
use certificate::codec::Encode;
use certificate::{Digest, MessageType, ReplicaId, ReplicaSet, Sequence, Signature, View};
use detector::{Action, Detector, Event, Indicator, Now, Pattern, Settings};
use hickory_proto::rr::RecordType;
use pbft::{Fault, SignedVote, Vote};
use peer_filter::{FilterStatistics, Kind, Verdict, VerdictCount};
use serde_json::{Value, json};

use super::four::{Four, certified, settings, until};
use super::setting::{Setting, question};
use super::upstream::address;
use crate::byzantine_consensus::consensus::{Consensus, wall_ms};
use crate::byzantine_consensus::judge::operation;
use crate::byzantine_consensus::nodes::FastPath;
use crate::byzantine_consensus::opinion::OpinionMetrics;
use crate::byzantine_consensus::store::Evidence;
use crate::metrics::Metrics;

/// A detector of replica 0 that has seen replica 2 vote twice.
fn convinced(setting: &Setting) -> (Detector, Now) {
    let now = Now { monotonic_ms: 0, wall_ms: wall_ms() };
    let mut detector = Detector::new(ReplicaId(0), setting.cluster.replicas, Settings::default(), now);
    let vote = |digest| SignedVote {
        phase: MessageType::Prepare,
        vote: Vote {
            view: View(0),
            sequence: Sequence(9),
            digest: Digest([digest; 32]),
            replica: ReplicaId(2),
            signature: Signature([digest; 64]),
        },
    };
    let steps = detector.observe(now, Event::Fault(&Fault::Equivocation { first: vote(3), second: vote(4) }));
    assert!(!steps.is_empty(), "a proof shuts out");
    (detector, now)
}

/// Four of which replica 0 remembers that replica 2 voted twice, and holds a proof; replica 0 runs.
fn remembering() -> Four {
    let mut four = Four::new(|_| {});
    let (detector, now) = convinced(&four.setting);
    fs::write(four.folder(0).join("reputation"), detector.snapshot(now)).unwrap();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../consensus/node/vectors");
    let evidence = four.folder(0).join("evidence");
    fs::create_dir_all(&evidence).unwrap();
    fs::copy(vectors.join("equivocation-prepare.txt"), evidence.join("0000000001-equivocation-2.txt"))
        .unwrap();
    four.start(0, settings());
    four
}

/// What replica 0 answers.
fn get(four: &Four, path: &str, query: &str) -> (u16, Value) {
    let answer = four.replica(0).chain.plugins()[0].api(path, query).expect("a path of ours");
    (answer.0, serde_json::from_str(&answer.1).expect("JSON"))
}

fn post(four: &Four, path: &str, query: &str) -> (u16, Value) {
    let answer = four.replica(0).chain.plugins()[0].change(path, query).expect("a path of ours");
    (answer.0, serde_json::from_str(&answer.1).expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn assessments_show_every_other_replica_and_why() {
    let four = remembering();
    // Labels are made when the detector looks, about once a second.
    let labelled = || get(&four, "/v1/assessments", "replica=2").1["replicas"][0]["is_byzantine"] == true;
    until("replica 2 is labelled", labelled).await;
    let (status, body) = get(&four, "/v1/assessments", "");
    assert_eq!(status, 200);
    let replicas = body["replicas"].as_array().unwrap();
    let shown: Vec<(&Value, &Value)> = replicas.iter().map(|one| (&one["id"], &one["name"])).collect();
    let expected = [json!("replica-1"), json!("replica-2"), json!("replica-3")];
    assert_eq!(shown, [(&json!(1), &expected[0]), (&json!(2), &expected[1]), (&json!(3), &expected[2])]);
    let [steady, shut, _] = replicas.as_slice() else { unreachable!("there are three") };
    assert_eq!((&steady["is_byzantine"], &steady["quarantined"]), (&json!(false), &Value::Null));
    assert_eq!(steady["statistics"]["accuracy"], Value::Null, "the share of nothing is unknown");
    assert_eq!((&shut["is_byzantine"], &shut["pattern"]), (&json!(true), &json!("contradictory")));
    assert_eq!(shut["quarantined"]["reason"], "proven equivocation");
    assert_eq!(shut["offences"], json!({ "equivocation": 1 }));
    assert_eq!((&body["threshold"], &body["trusted"]), (&json!(0.5), &json!([0, 1, 3])));
    assert_eq!(shut["reputation"].get("history"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn assessment_of_one_replica_comes_with_the_history_of_its_reputation() {
    let four = remembering();
    let (status, body) = get(&four, "/v1/assessments", "replica=2");
    let replicas = body["replicas"].as_array().unwrap();
    assert_eq!((status, replicas.len(), &replicas[0]["id"]), (200, 1, &json!(2)));
    let history = &replicas[0]["reputation"]["history"];
    assert_eq!((&history[0]["event"], history.as_array().map(Vec::len)), (&json!("proven"), Some(1)));
    assert_eq!(get(&four, "/v1/assessments", "replica=0").0, 404);
    assert_eq!(get(&four, "/v1/assessments", "replica=two").0, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_says_who_is_trusted_who_is_shut_out_and_what_filters() {
    let four = remembering();
    let (_, body) = get(&four, "/v1/status", "");
    assert_eq!((&body["trusted"], &body["quarantined"]), (&json!([0, 1, 3]), &json!([2])));
    assert_eq!((&body["filter"], &body["filter_fallback"]), (&json!("off"), &Value::Null));
    assert_eq!((&body["fast_path"], &body["detector"]), (&json!("on"), &json!(true)));
    assert!(body["least_reputation"].as_f64() < Some(0.5), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_that_is_shut_out_is_let_in_once() {
    let four = remembering();
    let (_, body) = get(&four, "/v1/quarantine", "");
    let one = &body["quarantined"][0];
    assert_eq!((&one["id"], &one["name"], &one["strike"]), (&json!(2), &json!("replica-2"), &json!(1)));
    assert!(one["until_ms"].as_u64() > Some(wall_ms()), "{one}");

    let lifted = post(&four, "/v1/quarantine/lift", "replica=2");

    assert_eq!(lifted, (200, json!({ "replica": 0, "lifted": 2, "name": "replica-2" })));
    assert_eq!(get(&four, "/v1/quarantine", "").1["quarantined"], json!([]));
    let again = post(&four, "/v1/quarantine/lift", "replica=2");
    assert_eq!(again, (404, json!({ "error": "replica 2 is not shut out here" })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lifting_nobody_says_why() {
    let four = remembering();
    for (query, status, error) in [
        ("", 400, "expected `replica=ID`, the number of the replica to let in"),
        ("replica=all", 400, "expected `replica=ID`, the number of the replica to let in"),
        ("replica=4", 404, "the cluster has no replica 4; they go from 0 to 3"),
        ("replica=0", 404, "replica 0 is not shut out here"),
    ] {
        assert_eq!(post(&four, "/v1/quarantine/lift", query), (status, json!({ "error": error })), "{query}");
    }
    assert_eq!(four.replica(0).chain.plugins()[0].change("/v1/status", ""), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_is_listed_and_shown_as_it_is_verified() {
    let four = remembering();
    let listed = get(&four, "/v1/evidence", "").1;
    let name = "0000000001-equivocation-2.txt";
    let expected =
        json!([{ "name": name, "number": 1, "kind": "equivocation", "replica": 2, "claims_proof": true }]);
    assert_eq!(listed["evidence"], expected);
    let (status, shown) = get(&four, "/v1/evidence", &format!("name={name}"));
    let kept = fs::read_to_string(four.folder(0).join("evidence").join(name)).unwrap();
    assert_eq!((status, shown["text"].as_str()), (200, Some(kept.as_str())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_of_evidence_leads_out_of_its_folder() {
    let four = remembering();
    fs::write(four.folder(0).join("0000000009-equivocation-1.txt"), "outside").unwrap();
    for name in [
        "..%2F0000000009-equivocation-1.txt",
        "../reputation",
        "%2Fetc%2Fpasswd",
        "",
        ".",
        "%2E%2E%2Fevidence%2F0000000001-equivocation-2.txt",
    ] {
        assert_eq!(get(&four, "/v1/evidence", &format!("name={name}")).0, 404, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trust_has_an_edge_for_each_two_replicas() {
    let four = remembering();
    let (_, body) = get(&four, "/v1/trust", "");
    assert_eq!(body["edges"].as_array().map(Vec::len), Some(6));
    assert_eq!(body["standing"].as_array().map(Vec::len), Some(4));
    assert_eq!(body["edges"][0]["between"], json!([0, 1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filter_says_where_it_sits() {
    let mut four = Four::new(|_| {});
    four.start_with(0, settings(), |node| node.filter = peer_filter::Mode::Userspace);
    let (status, body) = get(&four, "/v1/filter", "");
    assert_eq!((status, &body["asked_for"], &body["kind"]), (200, &json!("userspace"), &json!("userspace")));
    assert_eq!(body["fallback"], Value::Null);
    assert_eq!(body["verdicts"].as_array().map(Vec::len), Some(Verdict::ALL.len()));
    assert_eq!(body["peers"].as_array().map(Vec::len), Some(3));
    assert_eq!(body["peers"][0]["reputation"], 0.5);
}

fn shown(show: impl FnOnce(&OpinionMetrics)) -> String {
    let metrics = Metrics::new();
    show(&OpinionMetrics::new(&metrics));
    metrics.encode()
}

#[test]
fn metrics_show_what_is_known_and_nothing_else() {
    let (detector, now) = convinced(&Setting::new());
    let trusted = ReplicaSet(0b1011);
    let text = shown(|metrics| metrics.show("example", &detector.assessments(now), trusted));
    for line in [
        "quorate_consensus_byzantine{cluster=\"example\",replica=\"1\"} 0",
        "quorate_consensus_byzantine{cluster=\"example\",replica=\"2\"} 1",
        "quorate_consensus_quarantined{cluster=\"example\",replica=\"2\"} 1",
        "quorate_consensus_indicator{cluster=\"example\",replica=\"2\",indicator=\"proven\"} 1",
        "quorate_consensus_offences_total{cluster=\"example\",replica=\"2\",offence=\"equivocation\",class=\"byzantine\"} 1",
        "quorate_consensus_pattern{cluster=\"example\",replica=\"2\",pattern=\"contradictory\"} 1",
        "quorate_consensus_action{cluster=\"example\",replica=\"2\",action=\"quarantine\"} 1",
        "quorate_consensus_confidence{cluster=\"example\",replica=\"2\"} 1.0",
        "quorate_consensus_reputation{cluster=\"example\",replica=\"1\"} 0.5",
        "quorate_consensus_trusted_replicas{cluster=\"example\"} 3",
        "quorate_consensus_labels_total{cluster=\"example\",replica=\"1\"} 0",
        "quorate_consensus_labels_total{cluster=\"example\",replica=\"2\"} 1",
        "quorate_consensus_labels_confirmed_total{cluster=\"example\",replica=\"2\"} 1",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
    for absent in [
        "accuracy_ratio{",
        "participation_ratio{",
        "vote_latency_seconds{",
        "offence=\"flood\"",
        "replica=\"0\"",
    ] {
        assert!(!text.contains(absent), "{absent}\n{text}");
    }
}

#[test]
fn what_has_gone_shows_zero() {
    let (detector, now) = convinced(&Setting::new());
    let mut assessments = detector.assessments(now);
    let text = shown(|metrics| {
        metrics.show("example", &assessments, ReplicaSet::EMPTY);
        assessments[1].indicators.retain(|indicator| *indicator != Indicator::Proven);
        (assessments[1].pattern, assessments[1].action) = (Pattern::Steady, Action::None);
        metrics.show("example", &assessments, ReplicaSet::EMPTY);
    });
    for gone in ["indicator=\"proven\"", "pattern=\"contradictory\"", "action=\"quarantine\""] {
        assert!(text.contains(&format!("replica=\"2\",{gone}}} 0\n")), "{gone} in {text}");
    }
    assert!(text.contains("replica=\"2\",action=\"none\"} 1\n"), "{text}");
}

#[test]
fn verdicts_that_cannot_come_have_no_series() {
    let statistics = |kind| FilterStatistics {
        kind,
        verdicts: Verdict::ALL.map(|verdict| VerdictCount { verdict, datagrams: 7, bytes: 70 }).into(),
        peers: Vec::new(),
        unknown: Vec::new(),
    };
    let text = |kind| shown(|metrics| metrics.show_filter("example", &statistics(kind)));
    let fragment = "quorate_filter_datagrams_total{cluster=\"example\",verdict=\"fragment\"} 7\n";
    assert!(text(Kind::Tc).contains(fragment) && !text(Kind::Socket).contains(fragment));
    assert!(
        text(Kind::Socket)
            .contains("quorate_filter_bytes_total{cluster=\"example\",verdict=\"established\"} 70\n")
    );
    assert!(text(Kind::Off).contains("quorate_filter_kind{cluster=\"example\",kind=\"off\"} 1\n"));
    assert!(!text(Kind::Off).contains("verdict="));
}

#[test]
fn counters_follow_what_only_grows_and_never_fall() {
    let text = shown(|metrics| {
        for datagrams in [5, 9, 3] {
            let verdicts = vec![VerdictCount { verdict: Verdict::UnknownSource, datagrams, bytes: 0 }];
            let statistics =
                FilterStatistics { kind: Kind::Userspace, verdicts, peers: vec![], unknown: vec![] };
            metrics.show_filter("example", &statistics);
        }
    });
    assert!(text.contains("verdict=\"unknown-source\"} 9\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_replica_shows_the_others() {
    let four = remembering();
    let line = "quorate_consensus_quarantined{cluster=\"example\",replica=\"2\"} 1\n";
    until("the quarantine shows", || four.replica(0).metrics.encode().contains(line)).await;
}

#[test]
fn early_answers_are_used_while_every_reputation_is_at_least_the_threshold() {
    let at_least = FastPath::AtLeast(0.9);
    assert_eq!([0.0, 0.89, 0.9, 1.0].map(|least| at_least.releases(least)), [false, false, true, true]);
    assert_eq!([0.0, 1.0].map(|least| FastPath::On.releases(least)), [true; 2]);
    assert_eq!([0.0, 1.0].map(|least| FastPath::Off.releases(least)), [false; 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_wait_for_their_certificate_while_a_reputation_is_too_low() {
    let mut four = Four::new(|_| {});
    for id in 0..4 {
        // Nobody is worth so much at first.
        four.start_with(id, settings(), |node| node.fast_path = FastPath::AtLeast(0.9));
    }
    four.presence(0, 4).await;
    let withheld = || four.replica(0).consensus.metrics.withheld.get();
    let mut asked = 0;
    while withheld() == 0 {
        let name = format!("{asked}.example.org.");
        four.all_see(&name, &address(&name, 1));
        let response = four.ask(0, &name, RecordType::A).await;
        assert!(response.certificate.as_ref().expect("a certificate").get().is_some());
        certified(&response).await;
        asked += 1;
        assert!(asked < 500, "no slot was fast");
    }
    assert_eq!(four.replica(0).consensus.metrics.early.get(), 0);
}

/// What `consensus` makes of the observers of a slot in which replica 3 saw 192.0.2.HOST, and all others 192.0.2.1.
fn judged(setting: &Setting, consensus: &Consensus, time_ms: u64, host: u8) -> Vec<(u8, bool)> {
    let question = question("www.example.org");
    let seen = [1, 1, 1, host].map(|host| address("www.example.org.", host));
    let leaf = setting.decision(&question, time_ms, &seen).leaf;
    let observed = seen.into_iter().zip(0..).map(|(seen, id)| setting.observed(id, &question, seen));
    let evidence = |(observed, id): (Observed, u8)| Evidence {
        replica: ReplicaId(id),
        time_ms,
        payload: observed.to_bytes(),
    };
    let evidence: Vec<Evidence> = observed.zip(0..).map(evidence).collect();
    let judged = consensus.judged(&operation(&question), &leaf, &evidence);
    judged.into_iter().map(|(replica, agreed)| (replica.0, agreed)).collect()
}

#[tokio::test]
async fn liar_about_a_stable_name_is_judged_wrong() {
    let setting = Setting::new();
    let consensus = Consensus::new(&setting.identity(0));
    for slot in 0..4 {
        judged(&setting, &consensus, 1_000_000 + slot * 20_000, 1);
    }
    let expected = vec![(0, true), (1, true), (2, true), (3, false)];
    assert_eq!(judged(&setting, &consensus, 1_100_000, 66), expected);
}

#[tokio::test]
async fn nobody_is_judged_with_the_detector_off() {
    let setting = Setting::new();
    let mut identity = setting.identity(0);
    identity.settings.detector = false;
    let consensus = Consensus::new(&identity);
    let all: Vec<_> =
        (0..6).flat_map(|slot| judged(&setting, &consensus, 1_000_000 + slot * 20_000, 1)).collect();
    assert_eq!(all, []);
}
