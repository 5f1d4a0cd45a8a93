//! What `hosts` answers, through the chain.

use std::fs;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tempfile::TempDir;

use crate::chain::Chain;
use crate::error::ServeError;
use crate::response::Response;
use crate::testing_blocks::{ask, chain, set_up};

const HOSTS: &str = "192.0.2.1 a.example.org\n2001:db8::1 a.example.org\n192.0.2.2 b.example.net\n";

fn served(corefile: &str) -> (TempDir, Chain) {
    let directory = tempfile::tempdir().expect("a folder");
    fs::write(directory.path().join("hosts"), HOSTS).expect("written");
    let chain = chain(corefile, directory.path());
    (directory, chain)
}

async fn answered(chain: &Chain, name: &str, rtype: RecordType) -> Response {
    ask(chain, name, rtype).await.expect("an answer")
}

fn data(response: &Response) -> Vec<String> {
    response.answers.iter().map(|record| format!("{} {} {}", record.name, record.ttl, record.data)).collect()
}

#[tokio::test]
async fn names_and_addresses_are_answered_both_ways_with_authority() {
    let (_directory, chain) =
        served(". {\n hosts hosts {\n ttl 60\n 192.0.2.3 c.example.org d.example.org\n }\n}\n");
    let response = answered(&chain, "a.example.org.", RecordType::A).await;
    assert_eq!(data(&response), ["a.example.org. 60 192.0.2.1"]);
    assert!(response.authoritative);
    assert_eq!(
        data(&answered(&chain, "a.example.org.", RecordType::AAAA).await),
        ["a.example.org. 60 2001:db8::1"]
    );
    assert_eq!(
        data(&answered(&chain, "3.2.0.192.in-addr.arpa.", RecordType::PTR).await),
        ["3.2.0.192.in-addr.arpa. 60 c.example.org.", "3.2.0.192.in-addr.arpa. 60 d.example.org."]
    );
}

#[tokio::test]
async fn other_types_of_a_known_name_are_nodata() {
    let (_directory, chain) = served(". {\n hosts hosts\n}\n");
    for rtype in [RecordType::MX, RecordType::ANY, RecordType::PTR] {
        let response = answered(&chain, "a.example.org.", rtype).await;
        assert_eq!(
            (response.rcode, response.answers.len(), response.authoritative),
            (ResponseCode::NoError, 0, true)
        );
    }
    let response = answered(&chain, "b.example.net.", RecordType::AAAA).await;
    assert_eq!((response.rcode, response.answers.len()), (ResponseCode::NoError, 0));
}

#[tokio::test]
async fn unknown_names_fail_unless_they_fall_through() {
    let (_directory, chain) = served(". {\n hosts hosts . {\n fallthrough example.net\n }\n}\n");
    let response = answered(&chain, "gone.example.org.", RecordType::A).await;
    assert_eq!((response.rcode, response.cache_ttl_s), (ResponseCode::ServFail, Some(0)));
    let error = ask(&chain, "gone.example.net.", RecordType::A).await.expect_err("nobody behind");
    assert_eq!(error, ServeError::NoPlugin);
}

#[tokio::test]
async fn addresses_without_a_name_always_go_on_and_no_reverse_has_none() {
    let (_directory, chain) = served(". {\n hosts hosts\n}\n");
    let error = ask(&chain, "9.2.0.192.in-addr.arpa.", RecordType::PTR).await.expect_err("nobody behind");
    assert_eq!(error, ServeError::NoPlugin);
    let (_directory, chain) = served(". {\n hosts hosts {\n no_reverse\n }\n}\n");
    ask(&chain, "1.2.0.192.in-addr.arpa.", RecordType::PTR).await.expect_err("nobody behind");
}

#[tokio::test]
async fn names_outside_the_zones_go_on_but_addresses_need_no_zone() {
    let (_directory, chain) = served(". {\n hosts hosts example.org\n}\n");
    ask(&chain, "b.example.net.", RecordType::A).await.expect_err("nobody behind");
    assert_eq!(answered(&chain, "2.2.0.192.in-addr.arpa.", RecordType::PTR).await.answers.len(), 1);
}

#[tokio::test]
async fn unsupported_types_fall_through_where_that_is_said() {
    let (_directory, chain) = served(". {\n hosts hosts {\n fallthrough_unsupported\n }\n}\n");
    ask(&chain, "a.example.org.", RecordType::TXT).await.expect_err("nobody behind");
    assert_eq!(answered(&chain, "a.example.org.", RecordType::A).await.answers.len(), 1);
}

#[tokio::test]
async fn a_changed_file_is_read_again_and_a_lost_one_leaves_the_corefiles_lines() {
    let (directory, chain) = served(". {\n hosts hosts {\n reload 1ms\n 192.0.2.3 c.example.org\n }\n}\n");
    chain.start().expect("started");
    let file = directory.path().join("hosts");
    let until = async |name: &str, rcode| {
        while answered(&chain, name, RecordType::A).await.rcode != rcode {
            tokio::task::yield_now().await;
        }
    };
    let changes = async {
        fs::write(&file, "192.0.2.9 new.example.org and-more\n").expect("written");
        until("new.example.org.", ResponseCode::NoError).await;
        fs::remove_file(&file).expect("removed");
        until("new.example.org.", ResponseCode::ServFail).await;
    };
    tokio::time::timeout(Duration::from_secs(20), changes).await.expect("it is seen");
    assert_eq!(answered(&chain, "c.example.org.", RecordType::A).await.answers.len(), 1);
    chain.stop();
}

#[test]
fn lines_that_are_none_are_errors_and_a_missing_file_is_a_warning() {
    let directory = tempfile::tempdir().expect("a folder");
    let errors = |text: &str| set_up(text, directory.path()).err().unwrap_or_default();
    for (block, expected) in [
        ("192.0.2.300 a", "expected an IP address or a property, got `192.0.2.300`"),
        ("192.0.2.1", "each a host's name"),
        ("192.0.2.1 a..b", "expected a host's name, got `a..b`"),
        ("ttl 0", "expected a TTL from 1 to 65535 seconds, got `0`"),
        ("fallthru", "expected an IP address or a property, got `fallthru`"),
    ] {
        let found = errors(&format!(". {{\n hosts {{\n {block}\n }}\n}}\n"));
        assert!(found.iter().any(|error| error.contains(expected)), "{block}: {found:?}");
    }
    assert!(errors(". {\n hosts\n hosts\n}\n")[0].contains("at most once"));
    let (_, warnings) = set_up(". {\n hosts gone\n}\n", directory.path()).expect("no error");
    assert!(warnings[0].contains("does not exist yet"), "{warnings:?}");
}
