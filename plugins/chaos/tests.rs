//! Tests of `chaos`.

use std::sync::Arc;

use hickory_proto::rr::{DNSClass, RecordType};

use super::handler::Chaos;
use crate::chain::Chain;
use crate::error::ServeError;
use crate::query::Query;
use crate::rehearsal::{Answered, glance, messages, plugins, query, serve};

fn chaos(name: &str, qtype: RecordType) -> Query {
    Query { qclass: DNSClass::CH, ..query(name, qtype) }
}

async fn told(text: &str, name: &str) -> Vec<String> {
    let response = serve(text, &chaos(name, RecordType::TXT)).await.unwrap();
    assert_eq!(response.origin, "chaos");
    response.answers.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn version_and_authors_are_those_of_the_directive() {
    let text = "chaos \"Example DNS 1.0\" b@example.org a@example.org";
    for name in ["version.bind.", "VERSION.server."] {
        assert_eq!(told(text, name).await, [format!("{} 0 CH TXT Example DNS 1.0", name.to_lowercase())]);
    }
    assert_eq!(
        told(text, "authors.bind.").await,
        ["authors.bind. 0 CH TXT b@example.org", "authors.bind. 0 CH TXT a@example.org"]
    );
}

#[tokio::test]
async fn version_is_the_programs_unless_said_otherwise_and_authors_are_none() {
    let version = concat!("version.bind. 0 CH TXT Quorate-", env!("CARGO_PKG_VERSION"));
    assert_eq!(told("chaos", "version.bind.").await, [version]);
    assert_eq!(told("chaos", "authors.bind.").await, [""; 0]);
}

#[tokio::test]
async fn host_is_told_under_both_names() {
    for name in ["hostname.bind.", "id.server."] {
        assert_eq!(told("chaos", name).await, [format!("{name} 0 CH TXT {}", crate::host::name())]);
    }
}

#[tokio::test]
async fn other_types_have_no_data_and_other_names_of_the_class_are_refused() {
    let response = serve("chaos\nwhoami", &chaos("version.bind.", RecordType::A)).await.unwrap();
    assert_eq!((response.origin, response.answers.len()), ("chaos", 0));
    let refused = serve("chaos\nwhoami", &chaos("www.example.org.", RecordType::TXT)).await;
    assert_eq!(refused.unwrap_err(), ServeError::Refused("no such name of class CH".into()));
}

#[tokio::test]
async fn questions_of_class_in_go_on() {
    let response = serve("chaos\nwhoami", &query("version.bind.", RecordType::TXT)).await.unwrap();
    assert_eq!(response.origin, "whoami");
}

#[test]
fn hits_at_a_glance_pass_in_class_in_alone() {
    let plugin = Chaos { version: "1".into(), authors: vec![], host: "h".into() };
    let chain = Chain::new(vec![Arc::new(plugin), Arc::new(Answered(0))]);
    assert!(glance(&chain, &query("version.bind.", RecordType::TXT)).is_some());
    assert!(glance(&chain, &chaos("version.bind.", RecordType::TXT)).is_none());
}

#[test]
fn texts_must_fit_a_record() {
    assert_eq!((messages("chaos v1 me you"), plugins("chaos")), (vec![], vec!["chaos"]));
    assert_eq!(messages("chaos \"\""), ["Corefile:2:7: error: chaos: expected a version, got ``"]);
    assert_eq!(messages(&format!("chaos {}", "v".repeat(255))), [""; 0]);
    assert_eq!(messages(&format!("chaos v {}", "v".repeat(256))).len(), 1);
    assert_eq!(messages(&format!("chaos v{}", " a".repeat(101))).len(), 1);
    assert_eq!(
        messages("chaos\nchaos"),
        ["Corefile:3:1: error: chaos: expected at most once in a server block"]
    );
}
