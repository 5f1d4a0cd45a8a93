//! Tests of `erratic`.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, RecordType};

use crate::chain::Chain;
use crate::error::ServeError;
use crate::query::Query;
use crate::rehearsal::{messages, plugins, query, set_up};

fn chain(text: &str) -> Chain {
    let (told, chain) = set_up(text, |block| Chain::new(block.plugins.clone()));
    assert_eq!(told, [""; 0]);
    chain
}

/// What happens to four queries: `-` for nothing, `.` for an answer, `t` for a truncated one; then the milliseconds that they took.
async fn pattern(text: &str) -> (String, u128) {
    let (chain, started) = (chain(text), tokio::time::Instant::now());
    let mut told = String::new();
    for _ in 0..4 {
        told.push(match chain.serve(&query("www.example.org.", RecordType::A)).await {
            Ok(response) if response.truncated => 't',
            Ok(_) => '.',
            Err(error) => {
                assert_eq!(error, ServeError::Dropped);
                '-'
            }
        });
    }
    (told, started.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn one_query_in_so_many_is_treated_badly() {
    for (text, expected) in [
        ("erratic", ("-.-.", 0)),
        ("erratic {\n drop 3\n}", ("-..-", 0)),
        ("erratic {\n drop 0\n}", ("....", 0)),
        ("erratic {\n truncate\n}", ("t.t.", 0)),
        ("erratic {\n truncate 3\n drop 4\n}", ("-..t", 0)),
        ("erratic {\n delay\n}", ("....", 200)),
        ("erratic {\n delay 1 20ms\n}", ("....", 80)),
        ("erratic {\n large\n}", ("-.-.", 0)),
    ] {
        assert_eq!(pattern(text).await, (expected.0.to_owned(), expected.1), "{text}");
    }
}

async fn answers(text: &str, qtype: RecordType) -> (ResponseCode, Vec<String>) {
    let response = chain(text).serve(&query("www.example.org.", qtype)).await.unwrap();
    (response.rcode, response.answers.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn addresses_are_the_same_for_all_names_and_other_types_fail() {
    let quiet = "erratic {\n drop 0\n}";
    let (rcode, records) = answers(quiet, RecordType::A).await;
    assert_eq!(
        (rcode, records),
        (ResponseCode::NoError, vec!["www.example.org. 0 IN A 192.0.2.53".to_owned()])
    );
    assert_eq!(answers(quiet, RecordType::AAAA).await.1, ["www.example.org. 0 IN AAAA 2001:db8::53"]);
    assert_eq!(answers(quiet, RecordType::TXT).await, (ResponseCode::ServFail, vec![]));
    let (_, large) = answers("erratic {\n drop 0\n large\n}", RecordType::A).await;
    assert_eq!((large.len(), &*large[29]), (30, "www.example.org. 0 IN A 192.0.2.82"));
}

#[tokio::test]
async fn other_classes_are_others() {
    let chaos = Query { qclass: DNSClass::CH, ..query("www.example.org.", RecordType::A) };
    assert_eq!(chain("erratic").serve(&chaos).await.unwrap_err(), ServeError::NoPlugin);
}

#[test]
fn options_are_read() {
    assert_eq!((messages("erratic"), plugins("erratic")), (vec![], vec!["erratic"]));
    for (text, expected) in [
        ("erratic now", "Corefile:2:9: error: erratic: expected the end of the line, got `now`"),
        (
            "erratic {\n drop x\n}",
            "Corefile:3:7: error: erratic: drop: expected a number from 0 to 1000000, got `x`",
        ),
        (
            "erratic {\n delay 1 2h\n}",
            "Corefile:3:10: error: erratic: delay: expected a duration from 0s to 1m, got `2h`",
        ),
        (
            "erratic {\n large 3\n}",
            "Corefile:3:8: error: erratic: large: expected the end of the line, got `3`",
        ),
        ("erratic\nerratic", "Corefile:3:1: error: erratic: expected at most once in a server block"),
    ] {
        assert_eq!(messages(text), [expected]);
    }
}
