//! The same certified answer over every transport.

use system_tests::clients::{answers, dig, kdig, python};
use system_tests::cluster::Demo;
use system_tests::program::{run, stderr, stdout};

const NAME: &str = "www.example.org";

#[test]
fn every_transport_gives_the_same_certified_answer() {
    let demo = Demo::start(&[]);
    let ports = demo.ports(0);
    let udp = answers(&dig(ports.dns, &[NAME, "A"]));
    assert!(!udp.is_empty(), "{}", dig(ports.dns, &[NAME, "A"]));
    let others = [
        ("TCP", answers(&dig(ports.dns, &[NAME, "A", "+tcp"]))),
        ("TLS", answers(&kdig(ports.tls, &[NAME, "A", "+tls"]))),
        ("QUIC", answers(&kdig(ports.quic, &[NAME, "A", "+quic"]))),
        ("HTTPS", answers(&kdig(ports.https, &[NAME, "A", "+https"]))),
        ("another replica", answers(&dig(demo.ports(3).dns, &[NAME, "A"]))),
    ];
    for (transport, answer) in others {
        assert_eq!(answer, udp, "over {transport}");
    }
}

#[test]
fn every_transport_carries_the_certificate_to_those_who_ask() {
    let demo = Demo::start(&[]);
    let ports = demo.ports(1);
    let port = |port: u16| port.to_string();
    let cluster = demo.cluster_file();
    let output = python(
        "ask.py",
        &[&cluster, &port(ports.dns), &port(ports.tls), &port(ports.quic), &port(ports.https)],
    );
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn query_command_verifies_and_shows_who_signed() {
    let demo = Demo::start(&["--replicas", "5"]);
    let server = format!("@127.0.0.1:{}", demo.ports(2).dns);
    for (name, rtype, shown) in [
        (NAME, "A", "NOERROR"),
        ("nosuch.example.org", "A", "NXDOMAIN"),
        (NAME, "MX", "NODATA"),
        ("example.org", "MX", "NOERROR"),
    ] {
        let output = run(&["query", name, rtype, &server, "--cluster", &demo.cluster_file()]);
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
        assert!(text.contains(shown) && text.starts_with("verdict    valid"), "{text}");
        assert!(text.contains("class      strong") && text.contains("signers    replica-"), "{text}");
    }
}
