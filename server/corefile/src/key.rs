//! A word before a server block -> the keys it stands for: scheme, zone or network, port.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::{
    diagnostic::{Diagnostic, Report, quote},
    reverse::reverse_zones,
    suggest::suggest,
    tree::{Key, Scheme, Word},
    zone::{is_host_style, zone_name},
};

/// Returns the keys of `word`: none after an error, several for a network that splits.
///
/// A port belongs to its own word only; `dns_port` is that of `dns://` words without one.
pub(crate) fn keys(word: &Word, dns_port: u16, report: &mut Report) -> Vec<Key> {
    match read(word, dns_port) {
        Ok(keys) => {
            report_style(word, &keys, report);
            keys
        }
        Err(error) => {
            report.push(*error);
            Vec::new()
        }
    }
}

type Refused = Box<Diagnostic>;

fn refuse(word: &Word, message: impl Into<String>, hint: impl Into<String>) -> Refused {
    Box::new(Diagnostic::error(&word.span, message).with_hint(hint))
}

fn read(word: &Word, dns_port: u16) -> Result<Vec<Key>, Refused> {
    let text = word.text.as_str();
    if text.contains(',') {
        let message = format!("expected one zone, got {}", quote(text));
        return Err(refuse(word, message, "put a blank after each comma"));
    }
    if !word.quoted && (starts_glued(text) || ends_glued(text)) {
        let message = format!("expected a zone, got {}", quote(text));
        return Err(refuse(word, message, "put blanks around braces"));
    }
    let (scheme, rest) = scheme(word)?;
    refuse_address(word, rest)?;
    let (name, port) = name_and_port(word, rest)?;
    let zones = match reverse_zones(name) {
        Some(Ok(zones)) => zones,
        Some(Err(fault)) => {
            let message =
                format!("expected a prefix length from 0 to {}, got {}", fault.longest, quote(name));
            return Err(refuse(word, message, "write a network as ADDRESS/LENGTH"));
        }
        None if name.contains(':') => return Err(stray_colon(word, name)),
        None => vec![zone_name(name).map_err(|fault| {
            let message = format!("expected a zone, got {}: {fault}", quote(name));
            refuse(word, message, fault.hint())
        })?],
    };
    let port = port.unwrap_or_else(|| scheme.default_port(dns_port));
    Ok(zones.into_iter().map(|zone| Key { scheme, zone, port, span: word.span.clone() }).collect())
}

fn starts_glued(text: &str) -> bool {
    text.starts_with('{') && !text.starts_with("{{")
}

fn ends_glued(text: &str) -> bool {
    text.ends_with('{') && !text.ends_with("{{")
}

/// Splits the scheme off.
fn scheme(word: &Word) -> Result<(Scheme, &str), Refused> {
    let Some((name, rest)) = word.text.split_once("://") else {
        return Ok((Scheme::Dns, &word.text));
    };
    if let Some(scheme) = Scheme::ALL.into_iter().find(|scheme| scheme.as_str().eq_ignore_ascii_case(name)) {
        return Ok((scheme, rest));
    }
    let known = Scheme::ALL.map(Scheme::as_str);
    let hint = match (name, suggest(name, &known)) {
        ("https3" | "h3", _) => "DNS over HTTP/3 is not offered; use `https://` or `quic://`".to_owned(),
        ("grpc", _) => "DNS over gRPC is not offered; use `https://` or `quic://`".to_owned(),
        ("udp" | "tcp", _) => "`dns://`, or no scheme at all, is DNS over UDP and TCP".to_owned(),
        (_, Some(meant)) => format!("did you mean `{meant}://`?"),
        (_, None) => "use `dns://`, `tls://`, `quic://` or `https://`".to_owned(),
    };
    let message = format!("expected a known scheme, got {}", quote(&format!("{name}://")));
    Err(refuse(word, message, hint))
}

/// Refuses an address: CoreDNS would silently serve the zone `127.0.0.1.`, or take the end of an IPv6 address
/// for a port.
fn refuse_address(word: &Word, text: &str) -> Result<(), Refused> {
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let before_port = text.rsplit_once(':').and_then(|(name, _)| name.parse::<Ipv4Addr>().ok());
    let address: Option<IpAddr> = bracketed
        .unwrap_or(text)
        .parse()
        .ok()
        .or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
        .or_else(|| before_port.map(IpAddr::V4));
    let Some(address) = address else { return Ok(()) };
    let length = if address.is_ipv4() { 32 } else { 128 };
    let message = format!("expected a zone, got the address {}", quote(text));
    let hint = format!(
        "to listen on an address use `bind {address}` in the block; its reverse zone is `{address}/{length}`"
    );
    Err(refuse(word, message, hint))
}

/// Splits the port off: digits after the last colon.
fn name_and_port<'a>(word: &Word, text: &'a str) -> Result<(&'a str, Option<u16>), Refused> {
    let (name, port) = match text.rsplit_once(':') {
        Some((_, "")) => {
            let message = format!("expected a port after the last colon of {}", quote(text));
            return Err(refuse(word, message, "leave the colon out for the default port"));
        }
        Some((name, digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port = digits.parse::<u16>().map_err(|_| {
                let message = format!("expected a port from 0 to 65535, got {}", quote(digits));
                refuse(word, message, "a port stands after the last colon")
            })?;
            (name, Some(port))
        }
        _ => (text, None),
    };
    if name.is_empty() {
        let message = format!("expected a zone, got {}", quote(&word.text));
        let hint = match port {
            Some(port) => format!("write `.:{port}` for the root zone"),
            None => "the root zone is written `.`".to_owned(),
        };
        return Err(refuse(word, message, hint));
    }
    // The start of such a network cannot be told from a port.
    if (name.starts_with(':') || name.starts_with('0')) && name.matches(':').count() > 1 {
        let message = format!("expected a network that begins with a digit from 1 to f, got {}", quote(name));
        return Err(refuse(word, message, "leave leading zeros out, or write the zone, `... .ip6.arpa`"));
    }
    Ok((name, port))
}

/// Says why a colon is left over: CoreDNS would make it part of the name.
fn stray_colon(word: &Word, name: &str) -> Refused {
    let (_, tail) = name.rsplit_once(':').expect("the caller saw a colon");
    let digits = tail.bytes().all(|byte| byte.is_ascii_digit());
    if digits {
        let message = format!("expected a zone and one port, got {}", quote(&word.text));
        return refuse(word, message, "a network is written ADDRESS/LENGTH, a port stands behind it");
    }
    let message = format!("expected a port after the colon, got {}", quote(tail));
    refuse(word, message, "a port is a number from 0 to 65535")
}

/// Warns of names that no host can have: allowed, but mostly a slip.
fn report_style(word: &Word, keys: &[Key], report: &mut Report) {
    let Some(odd) = keys.iter().find(|key| !is_host_style(&key.zone)) else { return };
    let message = format!("{} is no usual name of a zone", quote(&odd.zone));
    let warning = Diagnostic::warning(&word.span, message);
    report.push(match odd.zone.strip_prefix("*.") {
        Some(parent) => warning.with_hint(format!("a zone holds all names below it: `{parent}` covers them")),
        None => warning.with_hint("host names have letters, digits and hyphens only (RFC 1123 §2.1)"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Span;

    fn keys_of(text: &str) -> Result<Vec<String>, String> {
        let span = Span { file: std::path::Path::new("f").into(), line: 1, column: 1, length: 1 };
        let mut report = Report::default();
        let found = keys(&Word { text: text.to_owned(), quoted: false, span }, 1053, &mut report);
        match report.has_errors() {
            false => Ok(found.iter().map(ToString::to_string).collect()),
            true => Err(report.finish(&[]).remove(0).message),
        }
    }

    #[test]
    fn scheme_sets_the_default_port_and_the_parameter_only_that_of_dns() {
        for (text, expected) in [
            ("example.org", "dns://example.org.:1053"),
            ("EXAMPLE.ORG", "dns://example.org.:1053"),
            ("example.org.", "dns://example.org.:1053"),
            ("dns://example.org:53", "dns://example.org.:53"),
            ("tls://example.org", "tls://example.org.:853"),
            ("quic://example.org", "quic://example.org.:853"),
            ("https://example.org", "https://example.org.:443"),
            ("TLS://.", "tls://.:853"),
            ("https://.:80", "https://.:80"),
            (".:0", "dns://.:0"),
            ("0.2.0.192.in-addr.arpa:53", "dns://0.2.0.192.in-addr.arpa.:53"),
            ("32/27.2.0.192.in-addr.arpa", "dns://32/27.2.0.192.in-addr.arpa.:1053"),
        ] {
            assert_eq!(keys_of(text), Ok(vec![expected.to_owned()]), "{text}");
        }
    }

    #[test]
    fn networks_become_reverse_zones_with_scheme_and_port_of_their_word() {
        assert_eq!(keys_of("10.0.0.0/8:53"), Ok(vec!["dns://10.in-addr.arpa.:53".to_owned()]));
        assert_eq!(
            keys_of("tls://10.0.0.0/15:5300"),
            Ok(vec!["tls://0.10.in-addr.arpa.:5300".to_owned(), "tls://1.10.in-addr.arpa.:5300".to_owned()])
        );
        assert_eq!(keys_of("2001:db8::/32"), Ok(vec!["dns://8.b.d.0.1.0.0.2.ip6.arpa.:1053".to_owned()]));
        assert_eq!(keys_of("2001:db8::/32:53"), Ok(vec!["dns://8.b.d.0.1.0.0.2.ip6.arpa.:53".to_owned()]));
    }

    #[test]
    fn what_coredns_would_misread_is_refused() {
        for (text, message) in [
            ("example.org,example.com:1053", "expected one zone, got `example.org,example.com:1053`"),
            ("grpc://example.org", "expected a known scheme, got `grpc://`"),
            ("htps://example.org", "expected a known scheme, got `htps://`"),
            (".:", "expected a port after the last colon of `.:`"),
            (":53", "expected a zone, got `:53`"),
            (".:65536", "expected a port from 0 to 65535, got `65536`"),
            ("example.org:http", "expected a port after the colon, got `http`"),
            ("127.0.0.1:53", "expected a zone, got the address `127.0.0.1:53`"),
            ("2001:db8::1", "expected a zone, got the address `2001:db8::1`"),
            ("[2001:db8::1]:53", "expected a zone, got the address `[2001:db8::1]:53`"),
            ("10.0.0.0/33", "expected a prefix length from 0 to 32, got `10.0.0.0/33`"),
            (
                "::fFFF:B:F/115",
                "expected a network that begins with a digit from 1 to f, got `::fFFF:B:F/115`",
            ),
            (
                "0064:ff9b::/96",
                "expected a network that begins with a digit from 1 to f, got `0064:ff9b::/96`",
            ),
            ("a..b", "expected a zone, got `a..b`: a label is empty"),
            ("{whoami", "expected a zone, got `{whoami`"),
            ("\u{fffd}\n:", "expected a port after the last colon of `\u{fffd}\\n:`"),
        ] {
            assert_eq!(keys_of(text), Err(message.to_owned()), "{text}");
        }
    }
}
