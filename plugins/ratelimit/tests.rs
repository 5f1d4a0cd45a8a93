//! Tests of `ratelimit`: who is limited, when, and what the others notice.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;

use crate::chain::Chain;
use crate::error::ServeError;
use crate::plugin::{Glance, Plugin};
use crate::query::{Query, Transport};
use crate::rehearsal::{Answered, Script, a, answer, messages, plugins, query_at, wire, with_edns};
use crate::response::Response;
use crate::testing_blocks;
use crate::view::QueryView;

/// The plugins of `text` and `last` behind them, what they count, and a time at which their buckets are full.
fn chain(text: &str, last: Arc<dyn Plugin>) -> (Chain, Arc<crate::metrics::Metrics>, Instant) {
    let (served, said) = testing_blocks::set_up(&format!(". {{\n{text}\n}}\n"), Path::new(".")).unwrap();
    assert_eq!(said, [""; 0]);
    let mut plugins = served[0].chain.plugins().to_vec();
    plugins.push(last);
    (Chain::new(plugins), served[0].metrics.clone(), Instant::now())
}

fn from(address: &str, received: Instant) -> Query {
    let mut query = query_at("www.example.org.", RecordType::A, received);
    query.client.address.set_ip(address.parse::<IpAddr>().unwrap());
    query
}

fn script() -> Arc<Script> {
    Script::new([Ok(answer(vec![a("www.example.org.", 300, 1)]))])
}

/// What a client gets on the long way: `a`nswer, `t`runcation or `-`, silence.
async fn letter(chain: &Chain, query: &Query) -> char {
    match chain.serve(query).await {
        Ok(Response { truncated: true, answers, rcode: ResponseCode::NoError, .. }) if answers.is_empty() => {
            't'
        }
        Ok(_) => 'a',
        Err(ServeError::Dropped) => '-',
        Err(error) => panic!("{error}"),
    }
}

async fn letters(chain: &Chain, query: &Query, count: usize) -> String {
    let mut letters = String::new();
    for _ in 0..count {
        letters.push(letter(chain, query).await);
    }
    letters
}

/// The same at a glance, `?` for a query that takes the long way.
fn glanced(chain: &Chain, query: &Query, count: usize) -> String {
    let wire = wire(query);
    let letter = |_| {
        let mut reply = Vec::new();
        let view = QueryView::parse(&wire, &query.client, query.received).unwrap();
        match chain.glance(&view, &mut reply, query.received) {
            Glance::Answered if Message::from_vec(&reply).unwrap().metadata.truncation => 't',
            Glance::Answered => 'a',
            Glance::Silent => '-',
            Glance::Ask | Glance::Pass => '?',
        }
    };
    (0..count).map(letter).collect()
}

#[tokio::test]
async fn replies_beyond_the_rate_are_dropped_but_for_one_in_slip() {
    for (slip, expected) in [(0, "aaa------"), (1, "aaatttttt"), (2, "aaat-t-t-"), (3, "aaat--t--")] {
        let (chain, _, now) = chain(&format!("ratelimit 3 {{\nslip {slip}\n}}"), script());
        assert_eq!(letters(&chain, &from("192.0.2.1", now), 9).await, expected);
        let later = now + Duration::from_millis(334);
        assert_eq!(letters(&chain, &from("192.0.2.1", later), 1).await, "a", "a third of a second later");
    }
}

#[test]
fn replies_at_a_glance_are_paid_for_and_limited_without_the_long_way() {
    let (chain, _, now) = chain("ratelimit 3", Arc::new(Answered(0)));
    assert_eq!(glanced(&chain, &from("192.0.2.1", now), 9), "aaat-t-t-");
}

#[tokio::test]
async fn query_that_takes_both_ways_is_paid_for_once() {
    let (chain, _, now) = chain("ratelimit 4", script());
    let asked = from("192.0.2.1", now);
    for _ in 0..4 {
        let both = (glanced(&chain, &asked, 1), letters(&chain, &asked, 1).await);
        assert_eq!(both, ("?".to_owned(), "a".to_owned()));
    }
    assert_eq!(glanced(&chain, &asked, 1), "t");
}

#[tokio::test]
async fn network_shares_a_bucket_and_another_has_its_own() {
    for (text, one, neighbour, stranger) in [
        ("ratelimit 2", "192.0.2.1", "192.0.2.200", "192.0.3.1"),
        ("ratelimit 2", "2001:db8:0:1::1", "2001:db8:0:ff::1", "2001:db8:0:100::1"),
        ("ratelimit 2", "192.0.2.1", "::ffff:192.0.2.2", "198.51.100.1"),
        ("ratelimit 2 {\nprefix 32 64\n}", "192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("ratelimit 2 {\nprefix 32 64\n}", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"),
    ] {
        let (chain, _, now) = chain(text, script());
        assert_eq!(letters(&chain, &from(one, now), 2).await, "aa");
        assert_eq!(letters(&chain, &from(neighbour, now), 1).await, "t", "{one} and {neighbour}");
        assert_eq!(letters(&chain, &from(stranger, now), 2).await, "aa", "{one} and {stranger}");
    }
}

#[tokio::test]
async fn proven_addresses_and_exempt_networks_are_not_limited_and_pay_nothing() {
    let (chain, _, now) = chain("ratelimit 1 {\nexempt 198.51.100.0/24 2001:db8::/32\n}", script());
    let asked = from("192.0.2.1", now);
    for transport in [Transport::Tcp, Transport::Tls, Transport::Quic, Transport::Https] {
        let mut asked = asked.clone();
        asked.client.transport = transport;
        asked.address_proven = true;
        assert_eq!(letters(&chain, &asked, 5).await, "aaaaa", "{transport:?}");
        assert_eq!(glanced(&chain, &asked, 5), "?????", "{transport:?}");
    }
    let with_cookie = Query { address_proven: true, ..asked.clone() };
    assert_eq!(letters(&chain, &with_cookie, 5).await, "aaaaa");
    for address in ["198.51.100.7", "2001:db8::7"] {
        assert_eq!(letters(&chain, &from(address, now), 5).await, "aaaaa", "{address}");
    }
    assert_eq!(letters(&chain, &asked, 2).await, "at", "the bucket was still full");
}

#[test]
fn truncated_reply_at_a_glance_is_well_formed_and_no_longer_than_the_query() {
    let (chain, _, now) = chain("bufsize 900\nratelimit 1 {\nslip 1\n}", Arc::new(Answered(0)));
    let plain = from("192.0.2.1", now);
    assert_eq!(glanced(&chain, &plain, 2), "at");
    let unusual = Query { recursion_desired: false, checking_disabled: true, ..plain.clone() };
    for asked in [plain.clone(), with_edns(plain, true), unusual] {
        let (wire, mut reply) = (wire(&asked), Vec::new());
        let view = QueryView::parse(&wire, &asked.client, now).unwrap();
        assert_eq!(chain.glance(&view, &mut reply, now), Glance::Answered);
        assert!(reply.len() <= wire.len(), "{} for {}", reply.len(), wire.len());
        let (said, query) = (Message::from_vec(&reply).unwrap(), Message::from_vec(&wire).unwrap());
        assert!(said.metadata.truncation && said.answers.is_empty());
        assert_eq!((said.metadata.id, &said.queries), (query.metadata.id, &query.queries));
        assert_eq!(said.metadata.recursion_desired, asked.recursion_desired);
        assert_eq!(said.metadata.checking_disabled, asked.checking_disabled);
        let opt = |message: &Message| message.edns.as_ref().map(|edns| edns.flags().dnssec_ok);
        assert_eq!(opt(&said), opt(&query));
        assert!(said.edns.is_none_or(|edns| edns.max_payload() == 900));
    }
}

#[tokio::test]
async fn queries_that_were_too_many_are_counted() {
    let (chain, metrics, now) = chain("ratelimit 1", script());
    let asked = from("192.0.2.1", now);
    assert_eq!(letters(&chain, &asked, 4).await, "at-t");
    assert_eq!(glanced(&chain, &asked, 1), "-");
    let text = metrics.encode();
    for action in ["dropped", "slipped"] {
        let line = format!("quorate_ratelimit_limited_total{{zones=\".\",action=\"{action}\"}} 2\n");
        assert!(text.contains(&line), "{action}: {text}");
    }
}

#[test]
fn rate_has_to_be_there_and_numbers_have_bounds() {
    assert_eq!(plugins("ratelimit 100 {\nburst 300\nslip 0\nprefix 32 64\nexempt ::1\n}"), ["ratelimit"]);
    for (text, expected) in [
        (
            "ratelimit",
            "Corefile:2:10: error: ratelimit: expected replies a second from 1 to 50000, got the end of the line",
        ),
        (
            "ratelimit 0",
            "Corefile:2:11: error: ratelimit: expected replies a second from 1 to 50000, got `0`",
        ),
        (
            "ratelimit 5 {\nburst 0\n}",
            "Corefile:3:7: error: ratelimit: burst: expected a number from 1 to 1000000, got `0`",
        ),
        (
            "ratelimit 5 {\nslip -1\n}",
            "Corefile:3:6: error: ratelimit: slip: expected a number from 0 to 100, got `-1`",
        ),
        (
            "ratelimit 5 {\nprefix 24\n}",
            "Corefile:3:10: error: ratelimit: prefix: expected a number from 1 to 128, got the end of the line",
        ),
        (
            "ratelimit 5 {\nprefix 33 56\n}",
            "Corefile:3:8: error: ratelimit: prefix: expected a number from 1 to 32, got `33`",
        ),
        (
            "ratelimit 5\nratelimit 6",
            "Corefile:3:1: error: ratelimit: expected at most once in a server block",
        ),
    ] {
        assert_eq!(messages(text).first().map(String::as_str), Some(expected), "{text}");
    }
}
