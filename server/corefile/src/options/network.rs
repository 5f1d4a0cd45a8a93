//! Values that are addresses and names of zones.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::value::{Mismatch, Value};
use crate::{reverse::reverse_zones, zone::zone_name};

/// An IP address.
pub fn address() -> Value<IpAddr> {
    Value::new("an IP address", |text| match text.parse() {
        Ok(address) => Ok(address),
        Err(_) if text.parse::<SocketAddr>().is_ok() => Err(Mismatch::with_hint("leave the port out")),
        Err(_) => Err(Mismatch::new()),
    })
}

/// An IP address with or without a port, `default_port` without: `192.0.2.1`, `192.0.2.1:53`,
/// `[2001:db8::1]:53`.
///
/// `2001:db8::1:53` is an address, with a warning that the port of an IPv6 address needs brackets.
pub fn socket_address(default_port: u16) -> Value<SocketAddr> {
    let read = move |text: &str| {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let bracketed = bare.and_then(|text| text.parse::<Ipv6Addr>().ok()).map(IpAddr::V6);
        let address = text.parse::<IpAddr>().ok().or(bracketed);
        let whole = address.map(|address| SocketAddr::new(address, default_port));
        whole.or_else(|| text.parse().ok()).ok_or_else(|| mismatch(text))
    };
    Value::new("an IP address with or without a port", read).cautious(|text, _| suspect_port(text))
}

fn mismatch(text: &str) -> Mismatch {
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
    match text.rsplit_once(':') {
        Some((host, port)) if is_address(host.trim_matches(['[', ']'])) && port.parse::<u16>().is_err() => {
            Mismatch::with_hint("a port is a number from 0 to 65535")
        }
        _ if text.contains("://") => Mismatch::with_hint("leave the scheme out"),
        _ => Mismatch::new(),
    }
}

/// Warns of an IPv6 address whose end looks like a port: `2001:db8::1:53`, but not `2001:db8::53`.
fn suspect_port(text: &str) -> Option<(String, String)> {
    text.parse::<Ipv6Addr>().ok()?;
    let (host, port) = text.rsplit_once(':')?;
    if !["53", "853", "443", "5353"].contains(&port) || host.parse::<Ipv6Addr>().is_err() {
        return None;
    }
    let message = format!("`{text}` is an address without a port, `{port}` is its last part");
    Some((message, format!("write `[{host}]:{port}` if a port is meant")))
}

/// A zone's name: lower-case, absolute, as [`zone_name`](crate::zone_name) returns it.
pub fn zone() -> Value<String> {
    Value::new("a zone", |text| {
        zone_name(text).map_err(|fault| Mismatch::with_hint(format!("{fault}; {}", fault.hint())))
    })
}

/// A zone's name, or a network, which stands for its reverse zones: at least one name.
pub fn network_zones() -> Value<Vec<String>> {
    Value::new("a zone or network", |text| match reverse_zones(text) {
        Some(Ok(zones)) => Ok(zones),
        Some(Err(fault)) => {
            Err(Mismatch::with_hint(format!("the prefix length goes from 0 to {}", fault.longest)))
        }
        None => zone_name(text)
            .map(|zone| vec![zone])
            .map_err(|fault| Mismatch::with_hint(format!("{fault}; {}", fault.hint()))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_is_optional_and_ipv6_needs_brackets_for_it() {
        let value = socket_address(853);
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1:853"),
            ("192.0.2.1:53", "192.0.2.1:53"),
            ("2001:db8::1", "[2001:db8::1]:853"),
            ("[2001:db8::1]", "[2001:db8::1]:853"),
            ("[2001:db8::1]:53", "[2001:db8::1]:53"),
        ] {
            let (read, caution) = value.read(text).unwrap();
            assert_eq!((read, caution), (expected.parse().unwrap(), None), "{text}");
        }
        for text in ["192.0.2.256", "dns.example.org", "[192.0.2.1]", "192.0.2.1:65536", ":53", ""] {
            assert!(value.read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn end_of_an_ipv6_address_that_looks_like_a_port_gives_a_warning() {
        let caution = |text: &str| socket_address(53).read(text).unwrap().1;
        assert_eq!(caution("2001:db8::1:53").unwrap().1, "write `[2001:db8::1]:53` if a port is meant");
        assert_eq!(caution("2001:db8::53"), None);
        assert_eq!(caution("2001:db8:0:0:0:0:0:53"), None);
    }

    #[test]
    fn networks_stand_for_their_reverse_zones() {
        let read = |text: &str| network_zones().read(text).map(|(zones, _)| zones);
        assert_eq!(read("192.0.2.0/24"), Ok(vec!["2.0.192.in-addr.arpa.".to_owned()]));
        assert_eq!(read("Example.org"), Ok(vec!["example.org.".to_owned()]));
        assert!(read("192.0.2.0/33").is_err() && read("a..b").is_err());
    }
}
