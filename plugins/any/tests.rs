//! Tests of `any`.

use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, RecordType};

use super::handler::Any;
use crate::chain::Chain;
use crate::query::Query;
use crate::rehearsal::{Answered, Script, a, answer, glance, messages, plugins, query, serve};

#[tokio::test]
async fn any_gets_one_record_that_names_the_rfc() {
    let response = serve("any\nwhoami", &query("WWW.example.org.", RecordType::ANY)).await.unwrap();
    let answers: Vec<String> = response.answers.iter().map(ToString::to_string).collect();
    assert_eq!(answers, ["www.example.org. 8482 IN HINFO ANY obsoleted See RFC 8482"]);
    assert_eq!((response.rcode, response.authoritative), (ResponseCode::NoError, false));
    assert!(response.additionals.is_empty() && response.authorities.is_empty());
}

#[tokio::test]
async fn other_types_and_classes_go_on() {
    let script = Script::new([Ok(answer(vec![a("www.example.org.", 300, 1)]))]);
    let chain = Chain::new(vec![Arc::new(Any), script.clone()]);
    for (asked, qtype) in [
        (query("www.example.org.", RecordType::A), RecordType::A),
        (query("www.example.org.", RecordType::HINFO), RecordType::HINFO),
        (Query { qclass: DNSClass::CH, ..query("www.example.org.", RecordType::ANY) }, RecordType::ANY),
    ] {
        assert_eq!(chain.serve(&asked).await.unwrap().answers.len(), 1);
        assert_eq!(script.last_query().qtype, qtype);
    }
    assert_eq!(script.calls(), 3);
}

#[test]
fn hits_at_a_glance_pass() {
    let chain = Chain::new(vec![Arc::new(Any), Arc::new(Answered(0))]);
    assert!(glance(&chain, &query("example.org.", RecordType::A)).is_some());
}

#[test]
fn directive_takes_nothing() {
    assert_eq!((messages("any"), plugins("any")), (vec![], vec!["any"]));
    assert_eq!(
        messages("any thing"),
        ["Corefile:2:5: error: any: expected the end of the line, got `thing`"]
    );
    assert_eq!(messages("any\nany"), ["Corefile:3:1: error: any: expected at most once in a server block"]);
}
