//! Tests of `loadbalance`: what changes places, at a glance and on the long way, and what stays; certificates still fit.

use std::collections::BTreeSet;

use certificate::{Class, Digest, Leaf, Outcome, Policy, Question, ReplicaSet, RrSet, Subject, name};
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{AAAA, MX};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::chain::Chain;
use crate::query::Query;
use crate::rehearsal::{Script, a, answer, cname, glance, messages, plugins, query, set_up};
use crate::response::Response;

/// The plugins of `text`, and one behind them that always gives `response`.
fn chain(text: &str, response: Response) -> Chain {
    let (said, mut plugins) = set_up(text, |block| block.plugins.clone());
    assert_eq!(said, [""; 0]);
    plugins.push(Script::new([Ok(response)]));
    Chain::new(plugins)
}

fn aaaa(owner: &str, last: u16) -> Record {
    let address = AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
    Record::from_rdata(Name::from_ascii(owner).unwrap(), 300, RData::AAAA(address))
}

fn mx(preference: u16, exchange: &str) -> Record {
    let data = MX::new(preference, Name::from_ascii(exchange).unwrap());
    Record::from_rdata(Name::from_ascii("example.org.").unwrap(), 300, RData::MX(data))
}

/// An alias, three addresses of what it leads to, and two of something else.
fn aliased() -> Response {
    let mut answers = vec![cname("www.example.org.", 300, "host.example.org.")];
    answers.extend([1, 2, 3].map(|last| a("host.example.org.", 300, last)));
    let mut response = answer(answers);
    response.additionals = [1, 2].map(|last| aaaa("ns.example.org.", last)).to_vec();
    response
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| format!("{} {} {}", record.name, record.record_type(), record.data)).collect()
}

/// The texts of answer and additional section over `times` times that `ask` is called.
async fn orders(times: usize, ask: impl AsyncFn() -> Message) -> BTreeSet<Vec<String>> {
    let mut orders = BTreeSet::new();
    for _ in 0..times {
        let message = ask().await;
        orders.insert([texts(&message.answers), texts(&message.additionals)].concat());
    }
    orders
}

/// The answer as a message, as the engine would write it.
fn message(query: &Query, response: Response) -> Message {
    use hickory_proto::op::{MessageType, OpCode};
    let mut message = Message::new(7, MessageType::Response, OpCode::Query);
    message.add_query(hickory_proto::op::Query::query(query.name_as_asked.clone(), query.qtype));
    message.answers = response.answers;
    message.additionals = response.additionals;
    message
}

async fn on_the_long_way(chain: &Chain, query: &Query) -> Message {
    message(query, chain.serve(query).await.unwrap())
}

fn at_a_glance(chain: &Chain, query: &Query) -> Message {
    Message::from_vec(&glance(chain, query).expect("it is cached")).unwrap()
}

/// Every order has the alias first, all addresses behind it, and the others behind them; both sets are seen in all orders.
fn assert_all_orders(orders: &BTreeSet<Vec<String>>) {
    for order in orders {
        assert_eq!(order[0], "www.example.org. CNAME host.example.org.");
        let mut addresses = order[1..4].to_vec();
        addresses.sort();
        let expected = [1, 2, 3].map(|last| format!("host.example.org. A 192.0.2.{last}"));
        assert_eq!(addresses, expected);
        let mut others = order[4..].to_vec();
        others.sort();
        assert_eq!(others, [1, 2].map(|last| format!("ns.example.org. AAAA 2001:db8::{last}")));
    }
    let firsts: BTreeSet<_> = orders.iter().map(|order| order[1..4].to_vec()).collect();
    let others: BTreeSet<_> = orders.iter().map(|order| order[4..].to_vec()).collect();
    assert_eq!((firsts.len(), others.len()), (6, 2));
}

/// So often that an order which comes once in six times is missed once in 10^15.
const OFTEN: usize = 200;

#[tokio::test]
async fn addresses_change_places_within_their_rrset_on_the_long_way() {
    let chain = chain("loadbalance", aliased());
    let asked = query("www.example.org.", RecordType::A);
    assert_all_orders(&orders(OFTEN, async || on_the_long_way(&chain, &asked).await).await);
}

#[tokio::test]
async fn addresses_change_places_in_cached_answers_at_a_glance() {
    let chain = chain("loadbalance round_robin\ncache", aliased());
    let asked = query("www.example.org.", RecordType::A);
    chain.serve(&asked).await.unwrap();
    assert_all_orders(&orders(OFTEN, async || at_a_glance(&chain, &asked)).await);
}

#[tokio::test]
async fn addresses_of_different_hosts_stay_with_them_on_both_ways() {
    let ns = |text: &str| {
        let server = hickory_proto::rr::rdata::NS(Name::from_ascii(text).unwrap());
        Record::from_rdata(Name::from_ascii("example.org.").unwrap(), 300, RData::NS(server))
    };
    let mut response = answer(vec![a("www.example.org.", 300, 1)]);
    response.authorities = vec![ns("ns1.example.org."), ns("ns2.example.org.")];
    response.additionals = vec![a("ns1.example.org.", 300, 51), a("ns2.example.org.", 300, 52)];
    let chain = chain("loadbalance\ncache", response);
    let asked = query("www.example.org.", RecordType::A);
    let long = orders(OFTEN, async || on_the_long_way(&chain, &asked).await).await;
    let short = orders(OFTEN, async || at_a_glance(&chain, &asked)).await;
    assert_eq!((long.len(), &long), (1, &short));
}

#[tokio::test]
async fn preferred_addresses_come_first_on_both_ways() {
    let response = answer([1, 2, 130, 131].map(|last| a("www.example.org.", 300, last)).to_vec());
    let chain = chain("cache\nloadbalance {\nprefer 192.0.2.128/25\n}", response);
    let asked = query("www.example.org.", RecordType::A);
    let long = orders(OFTEN, async || on_the_long_way(&chain, &asked).await).await;
    let short = orders(OFTEN, async || at_a_glance(&chain, &asked)).await;
    assert_eq!((long.len(), &long), (4, &short), "two orders of each half");
    for order in short {
        let mut first = order[..2].to_vec();
        first.sort();
        assert_eq!(first, ["www.example.org. A 192.0.2.130", "www.example.org. A 192.0.2.131"]);
    }
}

#[tokio::test]
async fn mail_exchangers_change_places_on_the_long_way_and_have_no_glance() {
    let response = answer(vec![mx(10, "mail.example.org."), mx(10, "other.example.org.")]);
    let chain = chain("loadbalance\ncache", response);
    let asked = query("example.org.", RecordType::MX);
    assert_eq!(orders(OFTEN, async || on_the_long_way(&chain, &asked).await).await.len(), 2);
    assert_eq!(glance(&chain, &asked), None);
}

#[tokio::test]
async fn other_records_and_the_order_of_rrsets_stay() {
    let txt = |text: &str| {
        let data = hickory_proto::rr::rdata::TXT::new(vec![text.to_owned()]);
        Record::from_rdata(Name::from_ascii("www.example.org.").unwrap(), 300, RData::TXT(data))
    };
    // two addresses, and one of another host between other records
    let answers = vec![
        a("www.example.org.", 300, 1),
        a("www.example.org.", 300, 3),
        txt("a"),
        txt("b"),
        a("host.example.org.", 300, 2),
    ];
    let chain = chain("loadbalance", answer(answers));
    let asked = query("www.example.org.", RecordType::ANY);
    let orders = orders(OFTEN, async || on_the_long_way(&chain, &asked).await).await;
    assert_eq!(orders.len(), 2);
    for order in orders {
        assert_eq!(
            order[2..],
            ["www.example.org. TXT a", "www.example.org. TXT b", "host.example.org. A 192.0.2.2"]
        );
    }
}

/// What a quorum signed about three addresses of `www.example.org.`.
fn leaf() -> Leaf {
    let owner = name::parse("www.example.org.").unwrap();
    let rdatas = vec![vec![192, 0, 2, 1], vec![192, 0, 2, 2], vec![192, 0, 2, 3]];
    let rrset = RrSet { owner: owner.clone(), rtype: 1, rclass: 1, ttl: 300, rdatas };
    Leaf {
        subject: Subject::Resolve(Question { name: owner, qtype: 1, qclass: 1, flags: 0 }),
        class: Class::Strong,
        policy: Policy::Strong,
        single_path: false,
        outcome: Outcome::Answer(vec![rrset]),
        extra_digest: Digest::ZERO,
        ttl: 300,
        time_ms: 1_000_000,
        not_after_ms: 1_300_000,
        support: ReplicaSet::EMPTY,
        groups: 0,
        observers: ReplicaSet::EMPTY,
        verdict: Vec::new(),
    }
}

#[tokio::test]
async fn certificate_fits_the_answer_in_every_order() {
    let leaf = leaf();
    let served = agreement::serve(&leaf, &[], leaf.time_ms);
    assert_eq!(served.answers.len(), 3);
    let chain = chain("loadbalance\ncache", answer(served.answers));
    let asked = query("www.example.org.", RecordType::A);
    let mut seen = BTreeSet::new();
    for _ in 0..OFTEN {
        for message in [on_the_long_way(&chain, &asked).await, at_a_glance(&chain, &asked)] {
            assert_eq!(agreement::matches(&leaf, &message, leaf.time_ms), Ok(()));
            seen.insert(texts(&message.answers));
        }
    }
    assert_eq!(seen.len(), 6);
    let mut other = on_the_long_way(&chain, &asked).await;
    other.answers.pop();
    assert!(agreement::matches(&leaf, &other, leaf.time_ms).is_err(), "this test can fail");
}

#[tokio::test]
async fn weights_decide_how_often_an_address_comes_first_and_cached_answers_take_the_long_way() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights");
    std::fs::write(&file, "host.example.org\n192.0.2.3 255\n").unwrap();
    let chain = chain(&format!("loadbalance weighted {}\ncache", file.display()), aliased());
    let asked = query("www.example.org.", RecordType::A);
    let mut heavy = 0;
    for _ in 0..OFTEN {
        let message = on_the_long_way(&chain, &asked).await;
        heavy += usize::from(texts(&message.answers)[1] == "host.example.org. A 192.0.2.3");
    }
    assert!(heavy > OFTEN * 9 / 10, "{heavy} of {OFTEN}, 255 of 257 are likely");
    assert_eq!(glance(&chain, &asked), None);
}

#[test]
fn file_of_weights_is_watched_and_its_errors_have_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights");
    std::fs::write(&file, "www.example.org\n192.0.2.1 0\n").unwrap();
    let text = format!("loadbalance weighted {}", file.display());
    let (said, watched) = set_up(&text, |block| block.settings.watched.contains_key(&file));
    assert!(watched);
    assert_eq!(
        said,
        [format!(
            "Corefile:2:22: error: loadbalance: `{}`: line 2: `192.0.2.1`: expected a weight from 1 to 255",
            file.display()
        )]
    );
}

#[test]
fn messages_that_are_cut_and_flipped_keep_their_length_and_end_nothing() {
    let asked = query("www.example.org.", RecordType::A);
    let response = answer([1, 2, 3].map(|last| a("www.example.org.", 300, last)).to_vec());
    let whole = message(&asked, response).to_vec().unwrap();
    for end in 0..whole.len() {
        for flip in 0..whole.len() {
            let mut cut = whole[..end].to_vec();
            if let Some(byte) = cut.get_mut(flip) {
                *byte ^= 0xc1;
            }
            let before = cut.len();
            super::wire::rearrange(&mut cut, 7, &[]);
            assert_eq!(cut.len(), before, "nothing but that it does not panic");
        }
    }
}

#[test]
fn directive_takes_a_policy_and_networks() {
    assert_eq!(plugins("loadbalance"), ["loadbalance"]);
    assert_eq!(plugins("loadbalance round_robin {\nprefer 192.0.2.0/24 2001:db8::/32\n}"), ["loadbalance"]);
    for (text, expected) in [
        (
            "loadbalance random",
            "Corefile:2:13: error: loadbalance: expected `round_robin` or `weighted`, got `random`",
        ),
        (
            "loadbalance weighted",
            "Corefile:2:21: error: loadbalance: expected a file of weights, got the end of the line",
        ),
        (
            "loadbalance weighted /nosuch/weights",
            "Corefile:2:22: error: loadbalance: `/nosuch/weights`: No such file or directory (os error 2)",
        ),
        (
            "loadbalance {\nprefer\n}",
            "Corefile:3:7: error: loadbalance: prefer: expected at least 1 argument (each a network, such as `192.0.2.0/24`, or an address), got 0",
        ),
        (
            "loadbalance\nloadbalance",
            "Corefile:3:1: error: loadbalance: expected at most once in a server block",
        ),
    ] {
        assert_eq!(messages(text), [expected], "{text}");
    }
}
