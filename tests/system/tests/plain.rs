//! A plain server, asked by the clients that people have.

use std::process::Command;

use system_tests::clients::{answers, dig, kdig};
use system_tests::program::stdout;
use system_tests::server::{Server, free_port};

const ZONE: &str = "\
$ORIGIN example.org.
$TTL 300
@ SOA ns1 hostmaster 1 7200 3600 1209600 60
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.1
www A 192.0.2.2
*.w TXT wild
";

/// A server of the zone and of `whoami` below `example.net`, and its ports.
struct Plain {
    server: Server,
    dns: u16,
    encrypted: u16,
    https: u16,
}

impl Plain {
    fn start() -> Plain {
        let [dns, encrypted, https] = [(); 3].map(|()| free_port());
        let corefile = format!(
            "example.org:{dns} {{\n    file zone\n}}\nexample.net:{dns} {{\n    whoami\n}}\n\
             tls://.:{encrypted} quic://.:{encrypted} https://.:{https} {{\n    tls cert.pem key.pem\n    file zone example.org\n    whoami\n}}\n"
        );
        Plain { server: Server::start(&corefile, &[("zone", ZONE)]), dns, encrypted, https }
    }
}

#[test]
fn kdig_gets_the_zone_over_every_transport_with_the_certificate_checked() {
    let plain = Plain::start();
    let authority = format!("+tls-ca={}", plain.server.folder().join("cert.pem").display());
    let checked = ["+tls-hostname=127.0.0.1", &authority];
    for (how, port) in [
        ([&checked[..], &["+tls"]].concat(), plain.encrypted),
        ([&checked[..], &["+quic"]].concat(), plain.encrypted),
        ([&checked[..], &["+https"]].concat(), plain.https),
        ([&checked[..], &["+https", "+https-get"]].concat(), plain.https),
        (vec!["+notcp"], plain.dns),
        (vec!["+tcp"], plain.dns),
    ] {
        let printed = kdig(port, &[&how[..], &["www.example.org", "A"]].concat());
        assert_eq!(answers(&printed), ["A 192.0.2.1", "A 192.0.2.2"], "{how:?}: {printed}");
        let printed = kdig(port, &[&how[..], &["nosuch.example.org", "A"]].concat());
        let negative = printed.contains("status: NXDOMAIN") && printed.contains("Flags: qr aa rd;");
        assert!(negative, "{how:?}: {printed}");
    }
    // An address as the name that TLS asks for is a client's mistake, which must not fill the log.
    assert!(!plain.server.stderr().contains("WARN"), "{}", plain.server.stderr());
}

#[test]
fn dig_finds_nothing_to_complain_about() {
    let plain = Plain::start();
    let warned = |printed: &str| {
        printed
            .lines()
            .any(|line| line.to_lowercase().contains("warning") && !line.contains("recursion requested"))
    };
    for options in [
        &["+cookie"][..],
        &["+cookie", "+tcp", "+keepalive"],
        &["+dnssec", "+nsid", "+subnet=192.0.2.0/24"],
        &["+noedns"],
        &["+edns=1", "+ednsnegotiation"],
        &["+bufsize=512", "+cd", "+ad"],
        &["+norecurse", "+zflag"],
        &["+ednsopt=65001:00ff"],
    ] {
        let printed = dig(plain.dns, &[&["x.y.w.example.org", "TXT"], options].concat());
        assert_eq!(answers(&printed), ["TXT \"wild\""], "{options:?}: {printed}");
        assert!(!warned(&printed), "{options:?}: {printed}");
    }
    let cookie = dig(plain.dns, &["+cookie", "www.example.org"]);
    assert!(cookie.contains("(good)"), "{cookie}");
    let several = dig(
        plain.dns,
        &["+tcp", "+keepopen", "www.example.org", "A", "ns1.example.org", "A", "-x", "192.0.2.1"],
    );
    assert_eq!(several.matches("status: NOERROR").count(), 2, "{several}");
    assert_eq!(several.matches("status: REFUSED").count(), 1, "no zone holds the third name: {several}");
}

#[test]
fn dnsperf_loses_no_query() {
    let plain = Plain::start();
    let questions = "www.example.org A\na.w.example.org TXT\nwww.example.org AAAA\nanything.example.net A\n";
    let file = plain.server.folder().join("questions");
    std::fs::write(&file, questions).unwrap();
    // Over HTTPS dnsperf has room for one reply a connection, and lets the next one overwrite it.
    for (mode, port, seconds, clients, under_way) in [
        ("udp", plain.dns, "2", "8", "100"),
        ("tcp", plain.dns, "1", "8", "100"),
        ("dot", plain.encrypted, "1", "8", "100"),
        ("doh", plain.https, "1", "1", "1"),
    ] {
        let output = Command::new("dnsperf")
            .args(["-s", "127.0.0.1", "-p", &port.to_string(), "-m", mode, "-l", seconds, "-e"])
            .args(["-c", clients, "-q", under_way, "-d"])
            .arg(&file)
            .output()
            .expect("dnsperf is installed (tests/run does it)");
        let printed = stdout(&output);
        assert!(output.status.success(), "{mode}: {printed}");
        let number = |label: &str| -> f64 {
            let line = printed
                .lines()
                .find(|line| line.contains(label))
                .unwrap_or_else(|| panic!("{mode}: {printed}"));
            line.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or_else(|| panic!("{line}"))
        };
        assert_eq!(number("Queries lost:"), 0.0, "{mode}: {printed}");
        assert!(number("Queries completed:") >= 10.0, "{mode}: {printed}");
        let codes = printed.lines().find(|line| line.contains("Response codes:")).unwrap_or_default();
        assert!(codes.contains("NOERROR") && codes.contains("(100.00%)"), "{mode}: {codes}");
    }
}
