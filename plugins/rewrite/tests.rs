//! Tests of `rewrite`: what is asked, what comes back, and what is said of certificates.

use std::sync::Arc;

use certificate::{Judged, Remark};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{PTR, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::chain::Chain;
use crate::error::{ExtendedError, ServeError};
use crate::query::Query;
use crate::rehearsal::{
    Script, a, answer, certified, cname, glance, messages, plugins, query, records, set_up,
};
use crate::response::Response;

/// The plugins of `text`, and `script` behind them.
fn chain(text: &str, script: Arc<Script>) -> Chain {
    let (said, mut plugins) = set_up(text, |block| block.plugins.clone());
    assert_eq!(said, [""; 0]);
    plugins.push(script);
    Chain::new(plugins)
}

fn texts(response: &Response) -> Vec<String> {
    let sections = [&response.answers, &response.authorities, &response.additionals];
    sections.into_iter().flatten().map(ToString::to_string).collect()
}

/// What is asked behind `text`, and the records that come back, for a question for A.
async fn asked(text: &str, name: &str, records: Vec<Record>) -> (String, Vec<String>) {
    let script = Script::new([Ok(answer(records))]);
    let response = chain(text, script.clone()).serve(&query(name, RecordType::A)).await.unwrap();
    let asked = script.last_query();
    assert_eq!(asked.name, asked.name_as_asked, "both names of the question are the new one");
    (format!("{} {}", asked.name, asked.qtype), texts(&response))
}

#[tokio::test]
async fn name_is_replaced_by_each_kind_of_pattern() {
    for (rule, name, expected) in [
        ("name www.example.org host.example.net", "www.example.org.", "host.example.net. A"),
        ("name exact WWW.example.org Host.example.net.", "wWw.example.org.", "host.example.net. A"),
        ("name www.example.org host.example.net", "x.www.example.org.", "x.www.example.org. A"),
        ("name prefix old- new-", "old-1.example.org.", "new-1.example.org. A"),
        ("name prefix old- \"\"", "old-1.example.org.", "1.example.org. A"),
        ("name suffix .example.org .example.net", "www.example.org.", "www.example.net. A"),
        ("name suffix .example.org .", "www.example.org.", "www. A"),
        ("name substring .sub. .", "www.sub.example.org.", "www.example.org. A"),
        (
            r"name regex ^(.*)-(\d+)\.example\.org\.$ {1}.{2}.example.net",
            "www-7.example.org.",
            "www.7.example.net. A",
        ),
        (
            r"name regex ^(.*)-(\d+)\.example\.org\.$ {1}.{2}.example.net",
            "www.example.org.",
            "www.example.org. A",
        ),
        ("type A AAAA", "www.example.org.", "www.example.org. AAAA"),
        ("type TXT AAAA", "www.example.org.", "www.example.org. A"),
    ] {
        let (asked, _) = asked(&format!("rewrite {rule}"), name, Vec::new()).await;
        assert_eq!(asked, expected, "{rule}");
    }
}

#[tokio::test]
async fn labels_keep_every_byte_that_no_rule_is_about() {
    let script = Script::new([Ok(answer(Vec::new()))]);
    let chain = chain("rewrite name suffix .old.example.org .example.net", script.clone());
    for label in [&b"32/27"[..], b"a.b", b"a\\b", b" \x00\xc8\xff", b"-", b"*", b"_443"] {
        let name = |rest: &[&[u8]]| Name::from_labels([&[label], rest].concat()).unwrap();
        let asked = Query { name: name(&[b"old", b"example", b"org"]), ..query(".", RecordType::A) };
        chain.serve(&asked).await.unwrap();
        let found = script.last_query().name;
        assert_eq!(found, name(&[b"example", b"net"]), "{label:?}");
        assert!(found.iter().next() == Some(label), "{found}");
    }
}

#[tokio::test]
async fn first_rule_that_matches_ends_it_unless_it_goes_on() {
    let rules = "rewrite name suffix .org .net\nrewrite name suffix .net .com\nrewrite type A AAAA";
    assert_eq!(asked(rules, "a.org.", Vec::new()).await.0, "a.net. A");
    assert_eq!(asked(rules, "a.net.", Vec::new()).await.0, "a.com. A");
    assert_eq!(asked(rules, "a.example.", Vec::new()).await.0, "a.example. AAAA");
    let going = rules.replace("rewrite name", "rewrite continue name");
    assert_eq!(asked(&going, "a.org.", Vec::new()).await.0, "a.com. AAAA");
}

#[tokio::test]
async fn rule_may_stand_in_a_block() {
    let rule = "rewrite stop {\nname regex (.*)\\.example\\.org {1}.example.net\nanswer name (.*)\\.example\\.net {1}.example.org\n}";
    let (asked, records) = asked(rule, "www.example.org.", vec![a("www.example.net.", 300, 1)]).await;
    assert_eq!(
        (&*asked, records),
        ("www.example.net. A", vec!["www.example.org. 300 IN A 192.0.2.1".to_owned()])
    );
}

#[tokio::test]
async fn owners_come_back_as_they_were_asked_for_where_the_rule_says_so() {
    let records =
        || vec![cname("www.example.net.", 300, "host.example.net."), a("host.example.net.", 300, 1)];
    let given = texts(&answer(records()));
    for (rule, expected) in [
        // the whole name always comes back, and nothing else
        (
            "name exact www.example.org www.example.net",
            ["www.example.org. 300 IN CNAME host.example.net.", "host.example.net. 300 IN A 192.0.2.1"],
        ),
        ("name suffix .example.org .example.net", [&*given[0], &*given[1]]),
        (
            "name suffix .example.org .example.net answer auto",
            ["www.example.org. 300 IN CNAME host.example.org.", "host.example.org. 300 IN A 192.0.2.1"],
        ),
        (
            r"name regex ^www\.example\.org\.$ www.example.net answer name ^www\.example\.net\.$ www.example.org",
            ["www.example.org. 300 IN CNAME host.example.net.", "host.example.net. 300 IN A 192.0.2.1"],
        ),
        (
            r"name suffix .example.org .example.net answer name ^www\.(.*) x.{1} answer value ^host\.(.*) y.{1}",
            ["x.example.net. 300 IN CNAME y.example.net.", "host.example.net. 300 IN A 192.0.2.1"],
        ),
    ] {
        assert_eq!(
            asked(&format!("rewrite {rule}"), "www.example.org.", records()).await.1,
            expected,
            "{rule}"
        );
    }
}

#[tokio::test]
async fn change_in_the_midst_of_a_name_is_undone_for_that_name_alone() {
    let rule = "rewrite name substring .sub. . answer auto";
    let records = vec![a("ns.example.org.", 300, 1), a("www.other.example.org.", 300, 2)];
    let (asked, records) = asked(rule, "ns.sub.example.org.", records).await;
    assert_eq!(asked, "ns.example.org. A");
    assert_eq!(
        records,
        ["ns.sub.example.org. 300 IN A 192.0.2.1", "www.other.example.org. 300 IN A 192.0.2.2"]
    );
}

#[tokio::test]
async fn expressions_are_undone_for_the_name_that_was_asked_for() {
    let rule = r"rewrite name regex ^(.*)-x\.example\.org\.$ {1}.example.net answer auto";
    let (_, records) = asked(rule, "www-x.example.org.", vec![a("www.example.net.", 300, 1)]).await;
    assert_eq!(records, ["www-x.example.org. 300 IN A 192.0.2.1"]);
}

#[tokio::test]
async fn names_with_any_byte_in_answers_come_back_whole() {
    let names =
        |zone: &[u8]| Name::from_labels([b"My Printer", &b"_ipp"[..], b"_tcp", zone, b"org"]).unwrap();
    let owner = Name::from_ascii("_ipp._tcp.new.org.").unwrap();
    let records = vec![Record::from_rdata(owner, 300, RData::PTR(PTR(names(b"new"))))];
    let script = Script::new([Ok(answer(records))]);
    let chain = chain("rewrite name suffix .old.org .new.org answer auto", script);
    let response = chain.serve(&query("_ipp._tcp.old.org.", RecordType::PTR)).await.unwrap();
    let RData::PTR(target) = &response.answers[0].data else { panic!("{response:?}") };
    assert_eq!(target.0.to_lowercase(), names(b"old").to_lowercase());
}

#[tokio::test]
async fn what_is_said_of_a_new_target_is_said_of_the_answer() {
    let mut found = Response::new(ResponseCode::ServFail, "test");
    found.truncated = true;
    found.remark = Some(Remark::new(Judged::Invalid, 15, "held back"));
    found.extended_errors.push(ExtendedError { code: 3, text: "stale".into() });
    let mut first = answer(vec![cname("www.example.org.", 300, "old.example.net.")]);
    first.remark = Some(Remark::new(Judged::Valid, 0, "all holds"));
    let chain = chain("rewrite cname old.example.net new.example.net", Script::new([Ok(first), Ok(found)]));
    let response = chain.serve(&query("www.example.org.", RecordType::A)).await.unwrap();
    assert!(response.truncated && response.is_withheld());
    assert_eq!(response.told().collect::<Vec<_>>(), [(15, "held back"), (3, "stale")]);
}

#[tokio::test]
async fn answers_are_undone_from_the_last_rule_to_the_first() {
    let rules =
        "rewrite continue name suffix .org .net answer auto\nrewrite name suffix .net .com answer auto";
    let (asked, records) = asked(rules, "a.org.", vec![a("a.com.", 300, 1)]).await;
    assert_eq!((&*asked, &*records[0]), ("a.com. A", "a.org. 300 IN A 192.0.2.1"));
}

#[tokio::test]
async fn names_in_data_are_replaced_in_all_types_that_hold_one() {
    let name = |text: &str| Name::from_ascii(text).unwrap();
    let record = |data| Record::from_rdata(name("x.example.com."), 300, data);
    let records = vec![
        record(RData::PTR(PTR(name("host.example.net.")))),
        record(RData::SRV(SRV::new(1, 2, 3, name("host.example.net.")))),
        record(RData::SRV(SRV::new(1, 2, 3, name("host.example.com.")))),
    ];
    let rule =
        "rewrite name suffix .example.org .example.net answer value (.*)\\.example\\.net {1}.example.org";
    let (_, records) = asked(rule, "www.example.org.", records).await;
    assert_eq!(
        records,
        [
            "x.example.com. 300 IN PTR host.example.org.",
            "x.example.com. 300 IN SRV 1 2 3 host.example.org.",
            "x.example.com. 300 IN SRV 1 2 3 host.example.com.",
        ]
    );
}

#[tokio::test]
async fn ttls_come_within_their_bounds() {
    for (bounds, expected) in
        [("60", [60, 60]), ("30-300", [30, 300]), ("30-", [30, 900]), ("-300", [5, 300])]
    {
        let rule = format!("rewrite ttl suffix .example.org {bounds}");
        let records = vec![a("www.example.org.", 5, 1), a("www.example.org.", 900, 2)];
        let (_, records) = asked(&rule, "www.example.org.", records).await;
        let ttls = records.iter().map(|record| record.split(' ').nth(1).unwrap().parse::<u32>().unwrap());
        assert_eq!(ttls.collect::<Vec<_>>(), expected, "{bounds}");
    }
    let (_, untouched) =
        asked("rewrite ttl example.org 60", "www.example.org.", vec![a("x.org.", 5, 1)]).await;
    assert_eq!(untouched, ["x.org. 5 IN A 192.0.2.1"]);
}

#[tokio::test]
async fn rcode_is_replaced_in_answers_and_in_failures_but_a_drop_stays_one() {
    let rule = "rewrite rcode regex .*\\.example\\.org SERVFAIL NXDOMAIN";
    let failed = ServeError::Upstream("none answers".into());
    for (given, expected) in [
        (Ok(Response::new(ResponseCode::ServFail, "test")), Ok(ResponseCode::NXDomain)),
        (Ok(Response::new(ResponseCode::NoError, "test")), Ok(ResponseCode::NoError)),
        (Err(failed), Ok(ResponseCode::NXDomain)),
        (Err(ServeError::NoPlugin), Err(ServeError::NoPlugin)),
        (Err(ServeError::Dropped), Err(ServeError::Dropped)),
    ] {
        let chain = chain(rule, Script::new([given]));
        let got = chain.serve(&query("www.example.org.", RecordType::A)).await;
        assert_eq!(got.map(|response| response.rcode), expected);
    }
    let refused =
        chain("rewrite rcode www.example.org REFUSED NOERROR", Script::new([Err(ServeError::Dropped)]));
    let got = refused.serve(&query("www.example.org.", RecordType::A)).await;
    assert_eq!(got.unwrap_err(), ServeError::Dropped);
}

#[tokio::test]
async fn alias_leads_to_another_target_which_is_looked_up() {
    let script = Script::new([
        Ok(answer(vec![cname("www.example.org.", 300, "old.example.net."), a("old.example.net.", 300, 1)])),
        Ok(answer(vec![a("new.example.net.", 60, 2)])),
    ]);
    let chain = chain("rewrite cname exact old.example.net new.example.net", script.clone());
    let response = chain.serve(&query("www.example.org.", RecordType::A)).await.unwrap();
    assert_eq!(
        texts(&response),
        ["www.example.org. 300 IN CNAME new.example.net.", "new.example.net. 60 IN A 192.0.2.2"]
    );
    assert_eq!((script.calls(), script.last_query().name.to_string()), (2, "new.example.net.".to_owned()));
}

#[tokio::test]
async fn alias_to_another_target_is_left_alone() {
    let script =
        Script::new([Ok(certified(answer(vec![cname("www.example.org.", 300, "host.example.net.")])))]);
    let chain =
        chain("rewrite cname old.example.net new.example.net\nrewrite ttl x.example.org 5", script.clone());
    let response = chain.serve(&query("www.example.org.", RecordType::A)).await.unwrap();
    assert_eq!(script.calls(), 1);
    assert!(response.certificate.is_some());
}

#[tokio::test]
async fn certificate_goes_when_the_answer_is_not_what_was_signed() {
    for (rule, stays) in [
        // the question alone: the certificate names the one that was agreed on, and the records are those that it covers
        ("name suffix .example.org .example.net", true),
        ("type A AAAA", true),
        ("ttl www.example.org -60", true),
        ("ttl www.example.org 300", true),
        ("rcode www.example.org SERVFAIL NOERROR", true),
        ("name www.example.com www.example.net", true),
        ("name www.example.org www.example.net", false),
        ("name suffix .example.org .example.net answer auto", false),
        ("ttl www.example.org 301-", false),
        ("rcode www.example.org NOERROR NXDOMAIN", false),
    ] {
        let mut response = certified(answer(vec![a("www.example.net.", 300, 1)]));
        response.authentic_data = true;
        let chain = chain(&format!("rewrite {rule}"), Script::new([Ok(response)]));
        let response = chain.serve(&query("www.example.org.", RecordType::A)).await.unwrap();
        assert_eq!(response.certificate.is_some(), stays, "{rule}");
        let is_same_question = rule.starts_with("ttl") || rule.starts_with("rcode") || rule.contains(".com");
        assert_eq!(response.authentic_data, stays && is_same_question, "AD: {rule}");
    }
}

#[tokio::test]
async fn signatures_go_with_what_they_signed() {
    let zone = "www.example.net. 300 IN A 192.0.2.1\n\
        www.example.net. 300 IN RRSIG A 13 3 300 20300101000000 20200101000000 1 example.net. AAAA\n";
    let records = records(zone);
    for (rule, count) in [("name suffix .org .net", 2), ("name www.example.org www.example.net", 1)] {
        let (_, left) = asked(&format!("rewrite {rule}"), "www.example.org.", records.clone()).await;
        assert_eq!(left.len(), count, "{rule}");
    }
}

#[tokio::test]
async fn cached_answers_are_to_the_question_that_was_asked() {
    let script = Script::new([Ok(answer(vec![a("host.example.net.", 300, 1)]))]);
    let chain = chain("cache\nrewrite name www.example.org host.example.net", script.clone());
    let asked = query("www.example.org.", RecordType::A);
    chain.serve(&asked).await.unwrap();
    let reply = glance(&chain, &asked).expect("it is cached");
    let reply = hickory_proto::op::Message::from_vec(&reply).unwrap();
    assert_eq!(reply.answers[0].to_string(), "www.example.org. 300 IN A 192.0.2.1");
    assert_eq!(glance(&chain, &query("host.example.net.", RecordType::A)), None);
}

#[tokio::test]
async fn what_becomes_no_name_fails() {
    let long = "a".repeat(60);
    let rule = format!("rewrite name substring z {long}");
    let chain = chain(&rule, Script::new([Ok(answer(Vec::new()))]));
    assert!(chain.serve(&query("z.example.org.", RecordType::A)).await.is_ok());
    for name in ["zz.example.org.", "z.z.z.z.z.example.org."] {
        let error = chain.serve(&query(name, RecordType::A)).await.unwrap_err();
        assert_eq!(error.rcode(), ResponseCode::ServFail, "{name}");
    }
}

#[test]
fn rules_that_are_none_are_errors_with_their_place() {
    assert_eq!(
        plugins("rewrite type A AAAA\nrewrite name a b"),
        ["rewrite"],
        "all directives are one plugin"
    );
    for (text, expected) in [
        (
            "rewrite",
            "Corefile:2:8: error: rewrite: expected `name`, `type`, `ttl`, `rcode` or `cname`, got the end of the line",
        ),
        (
            "rewrite class CH IN",
            "Corefile:2:9: error: rewrite: expected `name`, `type`, `ttl`, `rcode` or `cname`, got `class`",
        ),
        (
            "rewrite stop go a b",
            "Corefile:2:14: error: rewrite: expected `name`, `type`, `ttl`, `rcode` or `cname`, got `go`",
        ),
        ("rewrite type A", "Corefile:2:15: error: rewrite: expected a record type, got the end of the line"),
        ("rewrite type A B", "Corefile:2:16: error: rewrite: expected a record type, got `B`"),
        ("rewrite type A AAAA TXT", "Corefile:2:21: error: rewrite: expected the end of the line, got `TXT`"),
        ("rewrite name a..b c", "Corefile:2:14: error: rewrite: expected a name, got `a..b`"),
        (
            "rewrite name suffix .a",
            "Corefile:2:23: error: rewrite: expected a part of a name, got the end of the line",
        ),
        ("rewrite name regex (a b", "Corefile:2:20: error: rewrite: expected a regular expression, got `(a`"),
        ("rewrite name regex (a) {2}", "Corefile:2:24: error: rewrite: `{2}`: the expression has 1 groups"),
        (
            "rewrite name regex ^WWW a",
            "Corefile:2:20: warning: rewrite: an upper-case letter in `^WWW` matches nothing",
        ),
        (
            "rewrite name a b answer owner",
            "Corefile:2:25: error: rewrite: expected `auto`, `name` or `value`, got `owner`",
        ),
        (
            "rewrite ttl a 5-3",
            "Corefile:2:15: error: rewrite: expected a TTL, or bounds such as `30-300`, got `5-3`",
        ),
        (
            "rewrite ttl a -",
            "Corefile:2:15: error: rewrite: expected a TTL, or bounds such as `30-300`, got `-`",
        ),
        (
            "rewrite ttl a 2147483648",
            "Corefile:2:15: error: rewrite: expected a TTL, or bounds such as `30-300`, got `2147483648`",
        ),
        ("rewrite rcode a SERVFAIL 11", "Corefile:2:26: error: rewrite: expected an rcode, got `11`"),
        (
            "rewrite {\nname a b {\nx\n}\n}",
            "Corefile:3:1: error: rewrite: expected words of one rule, got a block within its block",
        ),
    ] {
        assert_eq!(messages(text).first().map(String::as_str), Some(expected), "{text}");
    }
}

#[test]
fn expressions_are_bounded() {
    let long = format!("rewrite name regex {} b", "a".repeat(10_001));
    assert!(messages(&long)[0].contains("expected a regular expression"), "too long");
    assert!(
        messages("rewrite name regex (a{1000}){1000} b")[0].contains("expected a regular expression"),
        "too large"
    );
}
