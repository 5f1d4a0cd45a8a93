//! What an upstream is called in the Corefile: an address, a scheme and an address, or a file with `nameserver` lines.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// Where to forward to, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Address and port.
    pub address: SocketAddr,
    /// Over TLS; with the name that stands behind `%`, if one does.
    pub tls: Option<Option<String>>,
}

/// What a word for an upstream is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spelling<'w> {
    /// An address with or without a port, to be read with this default port, over plain DNS.
    Plain(&'w str),
    /// As before, over TLS, with the name behind `%`.
    Tls(&'w str, Option<&'w str>),
    /// A scheme that is none of ours.
    OtherScheme(&'w str),
    /// Something else, which may be a file.
    Path(&'w str),
}

/// The port of plain DNS.
pub const PLAIN_PORT: u16 = 53;

/// The port of DNS over TLS. RFC 7858 §3.1.
pub const TLS_PORT: u16 = 853;

/// Takes scheme and name off `word`. `tls://192.0.2.1%name:853` and `tls://[2001:db8::1]:853%name` are both understood: the
/// address is given back without its name by `join`.
pub fn spelling(word: &str) -> Spelling<'_> {
    match word.split_once("://") {
        Some(("dns", rest)) => Spelling::Plain(rest),
        Some(("tls", rest)) => match rest.split_once('%') {
            Some((address, name)) => Spelling::Tls(address, Some(name)),
            None => Spelling::Tls(rest, None),
        },
        Some((scheme, _)) => Spelling::OtherScheme(scheme),
        None if word.starts_with('[') || looks_like_address(word) => Spelling::Plain(word),
        None => Spelling::Path(word),
    }
}

/// Whether a word without a scheme is meant as an address, right or wrong, rather than as a file.
fn looks_like_address(word: &str) -> bool {
    let is_digits =
        |text: &str| text.chars().all(|letter| letter.is_ascii_digit() || letter == '.' || letter == ':');
    word.parse::<IpAddr>().is_ok() || is_digits(word) || word.parse::<SocketAddr>().is_ok()
}

/// Splits the port off the name behind `%`: `name:853`.
pub fn name_and_port(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (name, None),
    }
}

/// `address` with `port` behind it, as `socket_address` reads it.
pub fn join(address: &str, port: Option<&str>) -> String {
    match port {
        None => address.to_owned(),
        Some(port) if address.parse::<Ipv6Addr>().is_ok() => format!("[{address}]:{port}"),
        Some(port) => format!("{address}:{port}"),
    }
}

/// The addresses of the `nameserver` lines of a file in the form of `resolv.conf`. Addresses with a scope (`%eth0`) are left out.
///
/// Errors: the file cannot be read, in words.
pub fn nameservers(path: &Path) -> Result<Vec<SocketAddr>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        Some(SocketAddr::new(address.parse().ok()?, PLAIN_PORT))
    };
    Ok(text.lines().filter_map(server).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_names_and_files_are_told_apart() {
        assert_eq!(spelling("192.0.2.1"), Spelling::Plain("192.0.2.1"));
        assert_eq!(spelling("[2001:db8::1]:53"), Spelling::Plain("[2001:db8::1]:53"));
        assert_eq!(spelling("192.0.2.300:53"), Spelling::Plain("192.0.2.300:53"));
        assert_eq!(spelling("dns://192.0.2.1:5353"), Spelling::Plain("192.0.2.1:5353"));
        assert_eq!(spelling("tls://192.0.2.1"), Spelling::Tls("192.0.2.1", None));
        assert_eq!(
            spelling("tls://192.0.2.1%dns.example.org"),
            Spelling::Tls("192.0.2.1", Some("dns.example.org"))
        );
        assert_eq!(spelling("https://192.0.2.1"), Spelling::OtherScheme("https"));
        assert_eq!(spelling("/etc/resolv.conf"), Spelling::Path("/etc/resolv.conf"));
        assert_eq!(spelling("dns.example.org"), Spelling::Path("dns.example.org"));
    }

    #[test]
    fn ports_behind_names_go_back_to_the_address() {
        assert_eq!(name_and_port("dns.example.org:8853"), ("dns.example.org", Some("8853")));
        assert_eq!(join("2001:db8::1", Some("8853")), "[2001:db8::1]:8853");
        assert_eq!(join("192.0.2.1", Some("8853")), "192.0.2.1:8853");
    }

    #[test]
    fn nameserver_lines_are_read_and_others_are_not() {
        let directory = tempfile::tempdir().expect("a folder");
        let path = directory.path().join("resolv.conf");
        let text = "# comment\nsearch example.org\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver fe80::1%eth0\n";
        std::fs::write(&path, text).expect("written");
        let expected: Vec<SocketAddr> = ["192.0.2.1:53", "[2001:db8::1]:53"]
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect();
        assert_eq!(nameservers(&path), Ok(expected));
        assert!(nameservers(&directory.path().join("gone")).is_err());
    }
}
