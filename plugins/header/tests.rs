//! Tests of `header`: which flags change, on the way down and up, and what is refused.

use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::chain::Chain;
use crate::query::Query;
use crate::rehearsal::{Script, a, answer, certified, glance, messages, plugins, query, set_up};

fn chain(text: &str, script: Arc<Script>) -> Chain {
    let (said, mut plugins) = set_up(text, |block| block.plugins.clone());
    assert_eq!(said, [""; 0]);
    plugins.push(script);
    Chain::new(plugins)
}

/// AA, RA of the answer that `text` makes of one with these flags, and RD as it came to who made it.
async fn flags(text: &str, authoritative: bool, available: bool, desired: bool) -> (bool, bool, bool) {
    let mut response = certified(answer(vec![a("www.example.org.", 300, 1)]));
    (response.authoritative, response.recursion_available) = (authoritative, available);
    let script = Script::new([Ok(response)]);
    let asked = Query { recursion_desired: desired, ..query("www.example.org.", RecordType::A) };
    let response = chain(text, script.clone()).serve(&asked).await.unwrap();
    assert!(response.certificate.is_some() && response.answers.len() == 1, "flags and no more");
    (response.authoritative, response.recursion_available, script.last_query().recursion_desired)
}

#[tokio::test]
async fn flags_are_set_and_cleared_and_others_stay() {
    for before in [(false, false, false), (true, true, true), (true, false, true)] {
        let (aa, ra, rd) = before;
        let after = async |rules: &str| flags(&format!("header {{\n{rules}\n}}"), aa, ra, rd).await;
        assert_eq!(after("response set aa").await, (true, ra, rd));
        assert_eq!(after("response clear aa ra").await, (false, false, rd));
        assert_eq!(after("clear ra").await, (aa, false, rd), "a rule without a word is about answers");
        assert_eq!(after("query set rd").await, (aa, ra, true));
        assert_eq!(after("query clear rd\nset ra").await, (aa, true, false));
    }
}

#[tokio::test]
async fn last_rule_about_a_flag_decides_over_all_directives() {
    let text = "header {\nresponse set aa ra\nresponse clear aa\n}\nheader {\nresponse clear ra\n}";
    assert_eq!(flags(text, true, true, true).await, (false, false, true));
    assert_eq!(plugins(text), ["header"]);
}

#[tokio::test]
async fn cached_answers_have_the_flags_too() {
    let mut response = answer(vec![a("www.example.org.", 300, 1)]);
    response.authoritative = true;
    let chain = chain("cache\nheader {\nclear aa\nset ra\n}", Script::new([Ok(response)]));
    let asked = query("www.example.org.", RecordType::A);
    chain.serve(&asked).await.unwrap();
    let reply = glance(&chain, &asked).expect("it is cached");
    assert_eq!((reply[2] & 0x04, reply[3] & 0x80), (0, 0x80));
}

#[test]
fn other_flags_and_words_are_errors() {
    for (text, expected) in [
        ("header", "Corefile:2:1: error: header: expected at least one rule"),
        (
            "header response {\nset aa\n}",
            "Corefile:2:8: error: header: expected the end of the line, got `response`",
        ),
        (
            "header {\nresponse set\n}",
            "Corefile:3:1: error: header: response: expected `aa` or `ra`, got the end of the line",
        ),
        (
            "header {\nresponse add aa\n}",
            "Corefile:3:10: error: header: response: expected `set` or `clear`, got `add`",
        ),
        (
            "header {\nresponse set rd\n}",
            "Corefile:3:14: error: header: response: expected `aa` or `ra`, got `rd`",
        ),
        ("header {\nquery set aa\n}", "Corefile:3:11: error: header: query: expected `rd`, got `aa`"),
        ("header {\nset ad\n}", "Corefile:3:5: error: header: set: expected `aa` or `ra`, got `ad`"),
        ("header {\nreply set aa\n}", "Corefile:3:1: error: header: unknown property `reply`"),
    ] {
        assert_eq!(messages(text).first().map(String::as_str), Some(expected), "{text}");
    }
}
