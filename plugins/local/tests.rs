//! Tests of `local`.

use std::sync::Arc;

use hickory_proto::rr::{DNSClass, RecordType};
use prometheus_client::metrics::counter::Counter;

use super::handler::Local;
use crate::chain::Chain;
use crate::query::Query;
use crate::rehearsal::{Answered, Script, answer, glance, messages, plugins, query};

/// Whether names that begin with `localhost` mean this host.
const PREFIX: bool = true;

/// A chain that ends in an empty answer which is not ours.
fn chain(prefix: bool) -> Chain {
    let other = Script::new([Ok(answer(vec![]))]);
    Chain::new(vec![Arc::new(Local::new(prefix, Counter::default())), other])
}

/// Rcode and records of the answer; `other` when it is not ours.
async fn told(chain: &Chain, name: &str, qtype: RecordType) -> Vec<String> {
    let response = chain.serve(&query(name, qtype)).await.unwrap();
    if response.origin != "local" {
        return vec!["other".to_owned()];
    }
    assert!(response.authoritative);
    let records = response.answers.iter().chain(&response.authorities).map(ToString::to_string);
    std::iter::once(response.rcode.to_string()).chain(records).collect()
}

const SOA: &str = "604800 IN SOA localhost. root.localhost. 1 0 0 0 604800";

#[tokio::test]
async fn localhost_and_all_below_it_are_this_host() {
    let chain = chain(!PREFIX);
    for name in ["localhost.", "LOCALHOST.", "a.b.localhost."] {
        let lower = name.to_lowercase();
        let a = format!("{lower} 604800 IN A 127.0.0.1");
        assert_eq!(told(&chain, name, RecordType::A).await, ["No Error", &a]);
        let aaaa = format!("{lower} 604800 IN AAAA ::1");
        assert_eq!(told(&chain, name, RecordType::AAAA).await, ["No Error", &aaaa]);
        let denial = format!("localhost. {SOA}");
        assert_eq!(told(&chain, name, RecordType::MX).await, ["No Error", &denial]);
    }
    assert_eq!(
        told(&chain, "localhost.", RecordType::NS).await,
        ["No Error", "localhost. 604800 IN NS localhost."]
    );
    assert_eq!(told(&chain, "localhost.", RecordType::SOA).await[1], format!("localhost. {SOA}"));
    assert_eq!(
        told(&chain, "a.localhost.", RecordType::NS).await[1],
        format!("localhost. {SOA}"),
        "no zone of its own"
    );
}

#[tokio::test]
async fn addresses_of_the_host_are_localhost_and_the_rest_of_their_zones_is_empty() {
    let chain = chain(!PREFIX);
    let six = format!("1.{}ip6.arpa.", "0.".repeat(31));
    for name in ["1.0.0.127.in-addr.arpa.", &six] {
        let expected = format!("{name} 604800 IN PTR localhost.");
        assert_eq!(told(&chain, name, RecordType::PTR).await, ["No Error", &expected]);
    }
    let denial = |zone: &str| format!("{zone} {SOA}");
    for (name, rcode, zone) in [
        ("1.0.0.127.in-addr.arpa.", "No Error", "127.in-addr.arpa."),
        ("0.0.127.in-addr.arpa.", "No Error", "127.in-addr.arpa."),
        ("127.in-addr.arpa.", "No Error", "127.in-addr.arpa."),
        ("2.0.0.127.in-addr.arpa.", "Non-Existent Domain", "127.in-addr.arpa."),
        ("x.0.in-addr.arpa.", "Non-Existent Domain", "0.in-addr.arpa."),
        ("255.255.255.255.in-addr.arpa.", "Non-Existent Domain", "255.in-addr.arpa."),
    ] {
        assert_eq!(told(&chain, name, RecordType::A).await, [rcode, &denial(zone)], "{name}");
    }
    assert_eq!(
        told(&chain, "0.in-addr.arpa.", RecordType::NS).await,
        ["No Error", "0.in-addr.arpa. 604800 IN NS localhost."]
    );
}

#[tokio::test]
async fn name_that_begins_with_localhost_is_others_unless_asked_for() {
    let name = "localhost.example.org.";
    assert_eq!(told(&chain(!PREFIX), name, RecordType::A).await, ["other"]);
    let a = format!("{name} 604800 IN A 127.0.0.1");
    assert_eq!(told(&chain(PREFIX), name, RecordType::A).await, ["No Error", &a]);
    let denial = format!("{name} {SOA}");
    assert_eq!(told(&chain(PREFIX), name, RecordType::TXT).await, ["No Error", &denial]);
    assert_eq!(told(&chain(PREFIX), "localhosts.example.org.", RecordType::A).await, ["other"]);
}

#[tokio::test]
async fn other_names_and_classes_are_others() {
    let chain = chain(!PREFIX);
    for name in [".", "example.org.", "mylocalhost.", "1.2.0.192.in-addr.arpa.", "127.example.org."] {
        assert_eq!(told(&chain, name, RecordType::A).await, ["other"], "{name}");
    }
    let chaos = Query { qclass: DNSClass::CH, ..query("localhost.", RecordType::A) };
    assert_eq!(chain.serve(&chaos).await.unwrap().origin, "test");
}

#[test]
fn cached_answers_pass_at_a_glance_but_not_for_names_of_this_host() {
    let passes = |prefix: bool, name: &str| {
        let local = Local::new(prefix, Counter::default());
        let chain = Chain::new(vec![Arc::new(local), Arc::new(Answered(0))]);
        glance(&chain, &query(name, RecordType::A)).is_some()
    };
    assert!(passes(!PREFIX, "www.example.org.") && passes(PREFIX, "www.example.org.") && passes(PREFIX, "."));
    assert!(!passes(!PREFIX, "localHOST.") && !passes(!PREFIX, "1.0.0.127.in-addr.arpa."));
    assert!(passes(!PREFIX, "localhost.example.org.") && !passes(PREFIX, "LocalHost.example.org."));
}

#[test]
fn options_are_read() {
    assert_eq!((messages("local"), plugins("local")), (vec![], vec!["local"]));
    assert_eq!(messages("local {\n localhost_prefix off\n}"), [""; 0]);
    assert_eq!(
        messages("local {\n localhost_prefix yes\n}"),
        ["Corefile:3:19: error: local: localhost_prefix: expected `on` or `off`, got `yes`"]
    );
    assert_eq!(messages("local me"), ["Corefile:2:7: error: local: expected the end of the line, got `me`"]);
    assert_eq!(
        messages("local\nlocal"),
        ["Corefile:3:1: error: local: expected at most once in a server block"]
    );
}

#[test]
fn clients_are_judged_before_they_are_answered() {
    let text = "local\nratelimit 10\nacl {\n drop\n}";
    assert_eq!(
        plugins(text),
        ["acl", "ratelimit", "local"],
        "unlike CoreDNS, which answers whomever it drops"
    );
}
