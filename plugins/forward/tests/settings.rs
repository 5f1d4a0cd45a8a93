//! What cannot be meant.

use std::path::Path;

use crate::testing_blocks::set_up;

fn errors(text: &str) -> Vec<String> {
    set_up(text, Path::new("/")).err().unwrap_or_default()
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (line, expected) in [
        ("forward .", "expected an upstream, got the end of the line"),
        ("forward . https://192.0.2.1", "upstreams are asked by `dns://` or `tls://`, got `https://`"),
        ("forward . dns.example.org", "expected an IP address or a file"),
        ("forward . 192.0.2.300", "expected an upstream, got `192.0.2.300`"),
        (
            "forward . 192.0.2.1 {\n tls_servername dns.example.org\n }",
            "expected upstreams over TLS, got none",
        ),
        ("forward . tls://192.0.2.1%..", "expected a server's name behind `%`"),
        ("forward . 192.0.2.1 {\n next BOGUS\n }", "next: expected `NOERROR`"),
        ("forward . tls://192.0.2.1 {\n tls /nowhere.pem\n }", "/nowhere.pem"),
        ("forward . 192.0.2.1 {\n max_age 5s\n }", "unknown property `max_age`"),
    ] {
        let found = errors(&format!(". {{\n {line}\n}}\n"));
        assert!(found.iter().any(|error| error.contains(expected)), "{line}: {found:?}");
    }
    let many = |count: usize| (0..count).map(|last| format!(" 192.0.2.{last}")).collect::<String>();
    assert!(errors(&format!(". {{\n forward .{}\n}}\n", many(15))).is_empty());
    assert!(
        errors(&format!(". {{\n forward .{}\n}}\n", many(16)))[0].contains("at most 15 upstreams, got 16")
    );
}

#[test]
fn an_address_whose_end_looks_like_a_port_gives_a_warning() {
    let (_, warnings) = set_up(". {\n forward . 2001:db8::1:53\n}\n", Path::new("/")).expect("no error");
    assert!(warnings[0].contains("is an address without a port"), "{warnings:?}");
}
