//! Tests of configurations: what is an error, where, and what a good one asks for.

use tempfile::TempDir;

use super::*;
use crate::testing::certificate;

/// The findings in a Corefile of this text, `CERT` and `KEY` replaced by the files of a certificate.
fn findings(text: &str) -> Findings {
    let dir = TempDir::new().unwrap();
    let (_files, tls, _) = certificate();
    let text = text
        .replace("CERT", &tls.certificate.display().to_string())
        .replace("KEY", &tls.key.display().to_string());
    let path = dir.path().join("Corefile");
    std::fs::write(&path, text).unwrap();
    load(&path, 53, &Lasting::default())
}

/// Line, column and text of each error, the folder taken off.
fn errors(text: &str) -> Vec<String> {
    let findings = findings(text);
    assert_eq!(findings.configuration.is_none(), corefile::has_errors(&findings.diagnostics));
    let errors = findings.diagnostics.iter().filter(|found| found.is_error());
    let line = |found: &Diagnostic| format!("{}:{} {}", found.span.line, found.span.column, found.message);
    errors.map(|found| without_folder(&line(found))).collect()
}

/// `text` with `/folders/Corefile` written as `Corefile`.
fn without_folder(text: &str) -> String {
    let short = |word: &str| {
        word.rsplit_once("/Corefile").map_or(word.to_owned(), |(_, rest)| format!("Corefile{rest}"))
    };
    text.split(' ').map(short).collect::<Vec<_>>().join(" ")
}

fn listeners(text: &str) -> Vec<String> {
    let configuration = findings(text).configuration.expect("no errors");
    configuration.listeners.keys().map(ToString::to_string).collect()
}

#[test]
fn blocks_share_the_listener_of_their_address_and_port() {
    let text = "example.org example.net:1053 {\n whoami\n}\n. {\n whoami\n}\n";
    assert_eq!(listeners(text), ["dns://[::]:53", "dns://[::]:1053"]);
    let bound = ". {\n bind 127.0.0.1 ::1\n whoami\n}\n";
    assert_eq!(listeners(bound), ["dns://127.0.0.1:53", "dns://[::1]:53"]);
}

#[test]
fn zone_that_is_defined_twice_is_an_error_at_the_second() {
    let text = ". {\n whoami\n}\nexample.org {\n whoami\n}\nexample.net EXAMPLE.org {\n whoami\n}\n";
    assert_eq!(
        errors(text),
        ["7:13 cannot serve dns://example.org.:53: it is already defined at Corefile:4"]
    );
}

#[test]
fn one_zone_on_two_ports_or_addresses_is_no_error() {
    assert!(errors(".:53 .:54 {\n whoami\n}\n").is_empty());
    let bound = ". {\n bind 127.0.0.1\n whoami\n}\n. {\n bind 127.0.0.2\n whoami\n}\n";
    assert!(errors(bound).is_empty());
}

#[test]
fn bound_block_beside_an_unbound_one_on_its_port_is_an_error() {
    let text = "com {\n bind 127.0.0.1\n whoami\n}\norg {\n whoami\n}\n";
    assert_eq!(
        errors(text),
        ["5:1 cannot listen on dns://[::]:53: it overlaps dns://127.0.0.1:53 of Corefile:1"]
    );
    assert!(errors("com {\n bind 127.0.0.1\n whoami\n}\norg:54 {\n whoami\n}\n").is_empty());
}

#[test]
fn transports_that_need_the_same_socket_cannot_share_a_port() {
    let text = "tls://.:853 {\n tls CERT KEY\n whoami\n}\nhttps://.:853 {\n tls CERT KEY\n whoami\n}\n";
    assert_eq!(
        errors(text),
        ["5:1 cannot listen on https://[::]:853: it overlaps tls://[::]:853 of Corefile:1"]
    );
    let udp_beside_tcp = "tls://. quic://. {\n tls CERT KEY\n whoami\n}\n";
    assert_eq!(listeners(udp_beside_tcp), ["tls://[::]:853", "quic://[::]:853"]);
}

#[test]
fn encrypted_block_needs_a_certificate() {
    let text = ". tls://. quic://. {\n whoami\n}\n";
    assert_eq!(errors(text), ["1:3 cannot serve tls://.:853: expected a `tls` directive in this block"]);
    let findings = findings(text);
    assert!(findings.diagnostics[0].hint.as_ref().unwrap().contains("tls CERTIFICATE KEY"));
}

#[test]
fn certificate_that_cannot_be_read_is_the_only_error() {
    let text = "tls://. {\n tls no.pem KEY\n whoami\n}\n";
    let errors = errors(text);
    assert!(errors.len() == 1 && errors[0].starts_with("2:6 tls: cannot read "), "{errors:?}");
}

#[test]
fn block_without_a_plugin_gets_a_warning() {
    let told = |text: &str| {
        let told: Vec<_> = findings(text).diagnostics.iter().map(|found| found.to_string()).collect();
        told.iter().map(|line| without_folder(line)).collect::<Vec<_>>()
    };
    let warning = "Corefile:1:1: warning: serves nothing: every query is refused";
    for text in [". { }\n", ". {\n bind 127.0.0.1\n}\n"] {
        assert_eq!(told(text), [warning], "{text}");
    }
    assert!(told(". {\n whoami\n}\n").is_empty());
    for wrong in ["forward", "nosuch"] {
        let told = told(&format!(". {{\n {wrong}\n}}\n"));
        assert!(told.iter().all(|line| line.contains(": error: ")), "an error says enough: {told:?}");
    }
}

#[test]
fn all_errors_of_all_blocks_are_told_at_once_in_the_order_of_the_file() {
    let text = "https://. {\n whoami\n}\nexample.org {\n cache zero\n nosuch\n}\nexample.org {\n whoami\n}\n";
    let lines: Vec<String> =
        errors(text).iter().map(|error| error.split(' ').next().unwrap().to_owned()).collect();
    assert!(lines.contains(&"1:1".to_owned()) && lines.contains(&"8:1".to_owned()), "{lines:?}");
    let places: Vec<u32> =
        lines.iter().map(|line| line.split(':').next().unwrap().parse().unwrap()).collect();
    assert!(places.is_sorted() && places.len() >= 3, "{lines:?}");
}

#[test]
fn empty_file_is_an_error() {
    assert_eq!(errors("# nothing\n"), ["0:0 expected at least one server block"]);
}

#[test]
fn blocks_that_watch_differently_are_an_error_and_one_is_enough() {
    let reload = |text: &str| findings(text).configuration.expect("no errors").reload;
    assert_eq!(reload("a. {\n whoami\n}\nb. {\n reload off\n whoami\n}\n"), Some(Reload::Off));
    assert_eq!(reload("a. {\n reload off\n whoami\n}\nb. {\n reload off\n whoami\n}\n"), Some(Reload::Off));
    assert_eq!(
        errors("a. {\n reload\n whoami\n}\nb. {\n reload 5s\n whoami\n}\n"),
        ["6:2 reload: expected the same as at Corefile:2"]
    );
}

#[test]
fn quic_connection_outlives_the_longest_query() {
    let idle = |text: &str| {
        let plans = findings(text).configuration.expect("no errors").listeners;
        plans.values().map(|plan| plan.idle_timeout.as_secs()).collect::<Vec<_>>()
    };
    let both = "quic://. tls://.:8853 {\n tls CERT KEY\n whoami\n LINE\n}\n";
    assert_eq!(idle(&both.replace("LINE", "")), [10, 10]);
    let mut longer = idle(&both.replace("LINE", "cancel 20s"));
    longer.sort_unstable();
    assert_eq!(longer, [10, 22]);
}
