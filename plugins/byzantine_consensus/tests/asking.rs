//! Which queries are questions to the cluster, and which questions `_certificate` names stand for.

use std::str::FromStr;

use certificate::delivery::OPTION_CODE;
use hickory_proto::rr::{DNSClass, Name, RecordType};

use super::four::{Four, patient, settings};
use super::setting::question;
use super::upstream::{Says, address};
use crate::byzantine_consensus::handler::ByzantineConsensus;
use crate::byzantine_consensus::judge::key;
use crate::byzantine_consensus::question::{certificate_question, is_meta};
use crate::chain::Chain;
use crate::error::ServeError;
use crate::query::Query;
use crate::rehearsal::{a, query};

const NAME: &str = "www.example.org.";

fn asked(name: &str) -> Option<String> {
    certificate_question(&Name::from_str(name).unwrap()).map(|question| question.to_string())
}

#[test]
fn certificate_name_without_a_type_means_a() {
    assert_eq!(asked("_certificate.www.example.org.").as_deref(), Some("www.example.org. IN A"));
}

#[test]
fn certificate_name_may_say_its_type() {
    assert_eq!(asked("_certificate._mx.example.org.").as_deref(), Some("example.org. IN MX"));
    assert_eq!(asked("_certificate._type65280.example.org.").as_deref(), Some("example.org. IN TYPE65280"));
}

#[test]
fn underscore_labels_that_are_no_types_of_data_belong_to_the_name() {
    for (name, expected) in [
        ("_certificate._tcp.example.org.", "_tcp.example.org. IN A"),
        ("_certificate._axfr.example.org.", "_axfr.example.org. IN A"),
        ("_certificate._type250.example.org.", "_type250.example.org. IN A"),
    ] {
        assert_eq!(asked(name).as_deref(), Some(expected));
    }
}

#[test]
fn other_names_ask_for_no_certificate() {
    assert_eq!(asked("www.example.org."), None);
    assert_eq!(asked("www._certificate.example.org."), None);
}

#[test]
fn transfers_and_the_like_are_not_agreed_on() {
    for (qtype, expected) in [
        (RecordType::AXFR, true),
        (RecordType::IXFR, true),
        (RecordType::OPT, true),
        (RecordType::ZERO, true),
        (RecordType::A, false),
        (RecordType::ANY, false),
        (RecordType::CAA, false),
        (RecordType::from(127), false),
        (RecordType::from(65280), false),
    ] {
        assert_eq!(is_meta(qtype), expected, "{qtype}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_classes_and_meta_types_go_down_the_chain() {
    // One replica alone decides nothing, so every answer here is one of the chain.
    let mut four = Four::new(|_| {});
    four.start(0, settings());
    four.one_sees(0, NAME, Says::This(address(NAME, 1)));
    let chaos = Query { qclass: DNSClass::CH, ..query(NAME, RecordType::A) };
    for query in [chaos, query(NAME, RecordType::AXFR)] {
        assert_eq!(four.replica(0).serve(&patient(query)).await.unwrap().answers, [a(NAME, 300, 1)]);
    }
    let certificate =
        Query { qclass: DNSClass::CH, ..query(&format!("_certificate.{NAME}"), RecordType::TXT) };
    four.replica(0).serve(&patient(certificate)).await.unwrap();
    assert_eq!(four.replica(0).consensus.waiting.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_carried_by_the_option_of_the_configuration() {
    let four = Four::running_with(|_| {}, |settings| settings.option_code = 65_400).await;
    four.all_see(NAME, &address(NAME, 1));
    four.ask(0, NAME, RecordType::A).await;
    let held = four.replica(0).consensus.store.get(&key(&question(NAME))).expect("it is kept");
    assert_eq!(held.certificate.certification().option_code(), 65_400);
    assert_ne!(OPTION_CODE, 65_400);
}

#[tokio::test]
async fn replica_that_has_not_started_says_so() {
    let four = Four::new(|_| {});
    let plugin = ByzantineConsensus::new(settings(), four.identity(0), Default::default());
    let chain = Chain::new(vec![std::sync::Arc::new(plugin)]);
    let text = "the replica has not started";
    assert_eq!(chain.plugins()[0].ready(), Err(text.to_owned()));
    let error = chain.serve(&query(NAME, RecordType::A)).await.unwrap_err();
    assert_eq!(error, ServeError::NotReady(text.to_owned()));
}
