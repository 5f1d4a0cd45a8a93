//! Tests of `acl`: who gets what, at a glance and on the long way, from a cache too.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::chain::Chain;
use crate::error::ServeError;
use crate::plugin::{Glance, Plugin};
use crate::query::Query;
use crate::rehearsal::{Answered, Script, a, answer, glance, messages, plugins, query, set_up, wire};
use crate::response::Response;
use crate::testing_blocks;
use crate::view::QueryView;

/// The plugins of `text`, and `last` behind them.
fn chain(text: &str, last: Arc<dyn Plugin>) -> Chain {
    let (said, mut plugins) = set_up(text, |block| block.plugins.clone());
    assert_eq!(said, [""; 0]);
    plugins.push(last);
    Chain::new(plugins)
}

fn from(address: &str, query: Query) -> Query {
    let mut query = query;
    query.client.address.set_ip(address.parse::<IpAddr>().unwrap());
    query
}

fn script() -> Arc<Script> {
    Script::new([Ok(answer(vec![a("www.example.org.", 300, 1)]))])
}

/// What a client at `address` gets on the long way, as a word.
async fn outcome(chain: &Chain, address: &str, name: &str, qtype: RecordType) -> &'static str {
    match chain.serve(&from(address, query(name, qtype))).await {
        Ok(Response { rcode: ResponseCode::Refused, extended_errors, .. })
            if extended_errors[0].code == 15 =>
        {
            "block"
        }
        Ok(Response { extended_errors, answers, .. })
            if answers.is_empty() && extended_errors[0].code == 17 =>
        {
            "filter"
        }
        Ok(_) => "allow",
        Err(ServeError::Dropped) => "drop",
        Err(error) => panic!("{error}"),
    }
}

/// What the plugins say to a client at `address` at a glance, when what is behind them could answer.
fn glanced(chain: &Chain, address: &str, name: &str, qtype: RecordType) -> Glance {
    let query = from(address, query(name, qtype));
    let (wire, mut reply) = (wire(&query), Vec::new());
    let view = QueryView::parse(&wire, &query.client, query.received).unwrap();
    let glance = chain.glance(&view, &mut reply, query.received);
    assert_eq!(reply.is_empty(), glance != Glance::Answered);
    glance
}

const RULES: &str = "acl example.org {
    allow net 192.0.2.0/28 2001:db8::/32
    block type TXT AAAA net 192.0.2.0/24
    filter type ANY MX net *
    drop net 198.51.100.0/24
}
acl sub.example.org example.net {
    block
}";

const CASES: &[(&str, &str, RecordType, &str)] = &[
    ("192.0.2.1", "www.example.org.", RecordType::TXT, "allow"),
    ("192.0.2.16", "www.example.org.", RecordType::TXT, "block"),
    ("192.0.2.16", "WWW.Example.Org.", RecordType::TXT, "block"),
    ("::ffff:192.0.2.16", "www.example.org.", RecordType::TXT, "block"),
    ("192.0.2.16", "www.example.org.", RecordType::A, "allow"),
    ("192.0.2.16", "www.example.org.", RecordType::MX, "filter"),
    ("198.51.100.9", "www.example.org.", RecordType::A, "drop"),
    ("198.51.100.9", "www.example.org.", RecordType::MX, "filter"),
    ("198.51.100.9", "www.example.com.", RecordType::A, "allow"),
    ("2001:db8::9", "www.example.org.", RecordType::MX, "allow"),
    // a rule that allows ends it for all directives
    ("192.0.2.1", "x.sub.example.org.", RecordType::A, "allow"),
    ("192.0.2.16", "x.sub.example.org.", RecordType::A, "block"),
    ("192.0.2.1", "example.net.", RecordType::A, "block"),
];

#[tokio::test]
async fn first_rule_that_matches_decides_on_the_long_way() {
    let chain = chain(RULES, script());
    for (address, name, qtype, expected) in CASES {
        assert_eq!(outcome(&chain, address, name, *qtype).await, *expected, "{address} {name} {qtype}");
    }
    assert_eq!(outcome(&chain, "192.0.2.16", "example.org.", RecordType::ANY).await, "filter");
}

#[test]
fn glance_says_the_same_and_lets_only_the_allowed_see_what_is_behind() {
    let chain = chain(RULES, Arc::new(Answered(0)));
    for (address, name, qtype, expected) in CASES {
        let expected = match *expected {
            "allow" => Glance::Answered,
            "drop" => Glance::Silent,
            _ => Glance::Ask,
        };
        assert_eq!(glanced(&chain, address, name, *qtype), expected, "{address} {name} {qtype}");
    }
}

#[tokio::test]
async fn cached_answer_stays_at_a_glance_for_the_allowed_and_is_kept_from_the_blocked() {
    let script = script();
    let chain = chain("cache\nacl {\nallow net 192.0.2.1\nblock\n}", script.clone());
    let ask = |address| from(address, query("www.example.org.", RecordType::A));
    assert_eq!(outcome(&chain, "192.0.2.1", "www.example.org.", RecordType::A).await, "allow");
    assert!(glance(&chain, &ask("192.0.2.1")).is_some(), "it is cached");
    assert!(glance(&chain, &ask("192.0.2.2")).is_none());
    assert_eq!(outcome(&chain, "192.0.2.2", "www.example.org.", RecordType::A).await, "block");
    assert_eq!(script.calls(), 1);
}

#[tokio::test]
async fn certificate_is_kept_from_whom_its_answer_is_kept() {
    let rules =
        "acl {\nblock type AAAA net 192.0.2.0/24\n}\nacl inside.example.org {\nallow type TXT MX\nblock\n}";
    let (long, short) = (chain(rules, script()), chain(rules, Arc::new(Answered(0))));
    for (name, expected) in [
        ("_certificate._aaaa.www.example.org.", "block"),
        ("_Certificate._AAAA.www.example.org.", "block"),
        ("_certificate._mx.www.example.org.", "allow"),
        ("_certificate.www.example.org.", "allow"),
        ("_certificate._mx.inside.example.org.", "allow"),
        ("_certificate.inside.example.org.", "block"),
        ("_certificate._a.www.inside.example.org.", "block"),
    ] {
        assert_eq!(outcome(&long, "192.0.2.1", name, RecordType::TXT).await, expected, "{name}");
        assert_eq!(glanced(&short, "192.0.2.1", name, RecordType::TXT), Glance::Ask, "{name}");
    }
}

#[tokio::test]
async fn queries_are_counted_once_whichever_way_they_take() {
    let text = "acl {\nallow net 192.0.2.1\nfilter net 192.0.2.2\ndrop net 192.0.2.3\nblock\n}";
    let (served, _) = testing_blocks::set_up(&format!(". {{\n{text}\n}}\n"), Path::new(".")).unwrap();
    let mut plugins = served[0].chain.plugins().to_vec();
    plugins.push(Arc::new(Answered(0)));
    let chain = Chain::new(plugins);
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"] {
        let asked = from(address, query("www.example.org.", RecordType::A));
        if glanced(&chain, address, "www.example.org.", RecordType::A) == Glance::Ask {
            chain.serve(&asked).await.unwrap();
        }
    }
    let text = served[0].metrics.encode();
    for action in ["allowed", "blocked", "filtered", "dropped"] {
        let line = format!("quorate_acl_requests_total{{zones=\".\",action=\"{action}\"}} 1\n");
        assert!(text.contains(&line), "{action}: {text}");
    }
}

#[test]
fn zone_that_no_query_of_the_block_lies_in_is_warned_of() {
    let text = "example.org {\nacl example.com www.example.org org {\nblock\n}\n}\n";
    let (_, said) = testing_blocks::set_up(text, Path::new(".")).unwrap();
    assert_eq!(said, ["Corefile:2:1: warning: acl: `example.com.` lies outside of the server block's zones"]);
}

#[test]
fn rules_that_are_none_are_errors_with_their_place() {
    assert_eq!(
        plugins("acl {\nblock\n}\nacl example.org {\nallow\n}"),
        ["acl"],
        "all directives are one plugin"
    );
    for (text, expected) in [
        ("acl", "Corefile:2:1: error: acl: expected at least one rule"),
        ("acl {\n}", "Corefile:2:1: error: acl: expected at least one rule"),
        ("acl {\ndeny net *\n}", "Corefile:3:1: error: acl: unknown property `deny`"),
        (
            "acl {\nblock 192.0.2.1\n}",
            "Corefile:3:7: error: acl: block: expected `type` or `net`, got `192.0.2.1`",
        ),
        (
            "acl {\nblock net\n}",
            "Corefile:3:7: error: acl: block: expected `*` or a network, such as `192.0.2.0/24`, or an address behind `net`, got nothing",
        ),
        (
            "acl {\nblock net type A\n}",
            "Corefile:3:7: error: acl: block: expected `*` or a network, such as `192.0.2.0/24`, or an address behind `net`, got nothing",
        ),
        ("acl {\nblock type AA\n}", "Corefile:3:12: error: acl: block: expected a record type, got `AA`"),
        (
            "acl {\nblock net 192.0.2.0/33\n}",
            "Corefile:3:11: error: acl: block: expected a network, such as `192.0.2.0/24`, or an address, got `192.0.2.0/33`",
        ),
        (
            "acl {\nallow net 192.0.2.9/24\n}",
            "Corefile:3:11: warning: acl: allow: `192.0.2.9/24` has bits behind its prefix",
        ),
        ("acl {\nallow\nblock net *\n}", "Corefile:4:1: warning: acl: block: is never reached"),
        ("acl a..b {\nblock\n}", "Corefile:2:5: error: acl: expected a zone or network, got `a..b`"),
    ] {
        assert_eq!(messages(text), [expected], "{text}");
    }
}
