//! What `cache` accepts, and what it says of what it does not.

use crate::rehearsal::{messages, plugins};

#[test]
fn every_form_of_the_syntax_is_accepted() {
    for text in [
        "cache",
        "cache 300",
        "cache 5m example.org 192.0.2.0/24",
        "cache example.org",
        "cache {\n success 5000\n denial 2500 60\n}",
        "cache 60 {\n success 5000 3600 5\n denial 2500 1800 0\n prefetch 10\n servfail 10s\n keepttl\n capacity 64M\n}",
        "cache {\n prefetch 10 1m\n serve_stale\n}",
        "cache {\n prefetch 10 1m 15%\n serve_stale 1h\n disable success\n}",
        "cache {\n serve_stale 1h verify\n disable denial example.org\n disable success\n}",
        "cache {\n serve_stale immediate\n}",
    ] {
        assert_eq!((messages(text), plugins(text)), (vec![], vec!["cache"]), "{text}");
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (text, expected) in [
        ("cache 0", "Corefile:2:7: error: cache: expected a TTL from 1 to 604800 seconds, got `0`"),
        ("cache 300 bad..name", "Corefile:2:11: error: cache: expected a zone or network, got `bad..name`"),
        (
            "cache {\n success\n}",
            "Corefile:3:9: error: cache: success: expected a number from 1 to 1073741824, got the end of the line",
        ),
        (
            "cache {\n success 10 60 90\n}",
            "Corefile:3:16: error: cache: success: expected at most the largest TTL, 60 s, got 90 s",
        ),
        (
            "cache {\n prefetch 10 1m 5%\n}",
            "Corefile:3:17: error: cache: prefetch: expected a percentage from 10 to 90%, got `5%`",
        ),
        (
            "cache {\n serve_stale 1h later\n}",
            "Corefile:3:17: error: cache: serve_stale: expected `immediate` or `verify`, got `later`",
        ),
        (
            "cache {\n servfail 6m\n}",
            "Corefile:3:11: error: cache: servfail: expected a time from 0 to 300 seconds, got `6m`",
        ),
        ("cache {\n sucess 10\n}", "Corefile:3:2: error: cache: unknown property `sucess`"),
        ("cache\ncache", "Corefile:3:1: error: cache: expected at most once in a server block"),
    ] {
        assert_eq!(messages(text), [expected], "{text}");
    }
}

#[test]
fn servfail_zero_is_taken_for_one_second_with_a_warning() {
    let text = "cache {\n servfail 0\n}";
    let expected =
        "Corefile:3:11: warning: cache: servfail: failures are remembered for 1 s at least, got `0`";
    assert_eq!((messages(text), plugins(text)), (vec![expected.to_string()], vec!["cache"]));
}
