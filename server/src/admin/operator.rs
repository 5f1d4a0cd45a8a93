//! Who may change something over HTTP: a person or a script on this machine, and nothing that speaks for somebody else.
//!
//! There are no passwords here. What protects is that the request comes from this machine and that no web page can have made it: a browser runs on the
//! operator's machine, too, and sends what any page asks it to.

use std::net::IpAddr;

use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName};

/// The header that a request for a change must carry, whatever it says.
///
/// An HTML form cannot set it, and a script of another site may only after a preflight (Fetch Standard §4.8), which is never answered here.
pub const OPERATOR: HeaderName = HeaderName::from_static("quorate-operator");

/// What proxies add to a request that they pass on.
const PROXIES: [HeaderName; 3] =
    [FORWARDED, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("via")];

/// Whether a request with these headers, from `client`, may change something.
///
/// Errors: why not, with what to do.
pub fn admit(client: IpAddr, headers: &HeaderMap) -> Result<(), &'static str> {
    if !client.to_canonical().is_loopback() {
        return Err(
            "changes are made from the machine itself: run `quorate quarantine` there, or reach it by ssh",
        );
    }
    if PROXIES.iter().any(|name| headers.contains_key(name)) {
        return Err("expected a request from this machine, got one that a proxy passed on");
    }
    if !headers.contains_key(OPERATOR) {
        return Err("expected the header `Quorate-Operator: yes`, which no web page can send; found none");
    }
    if !names_this_machine(headers) {
        return Err(
            "expected `Host` to be a loopback address or `localhost`: a web page may have had its name point here",
        );
    }
    Ok(())
}

/// Whether a web page may have had its name point to a listener that is meant for this machine alone, to read what is told there (DNS rebinding): the
/// request is addressed by a name, not by an address or `localhost`. Browsers always say by which.
pub fn is_rebound(listener: IpAddr, headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).filter(|_| listener.to_canonical().is_loopback()) else {
        return false;
    };
    let authority = host.to_str().ok().and_then(|host| host.parse::<http::uri::Authority>().ok());
    authority.is_none_or(|authority| {
        let name = authority.host().trim_matches(['[', ']']);
        !name.eq_ignore_ascii_case("localhost") && name.parse::<IpAddr>().is_err()
    })
}

/// Whether the request is addressed to this machine by a name that nobody else controls. A site whose name is made to point to 127.0.0.1 (DNS rebinding)
/// may set any header, since to the browser it is the same site; its own name is what gives it away.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let name = authority.host().trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: [u8; 4] = [127, 0, 0, 1];

    /// What is said to a request from `client` with these headers.
    fn said(client: IpAddr, headers: &[(&'static str, &'static str)]) -> Option<&'static str> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value")));
        admit(client, &headers.collect()).err()
    }

    #[test]
    fn operator_on_this_machine_is_admitted() {
        for (client, host) in [
            (IpAddr::from(HERE), "127.0.0.1:9153"),
            (IpAddr::from(HERE), "localhost:9153"),
            (IpAddr::from(HERE), "LOCALHOST"),
            ("::1".parse().unwrap(), "[::1]:9153"),
            ("::ffff:127.0.0.1".parse().unwrap(), "127.0.0.1"),
        ] {
            assert_eq!(said(client, &[("host", host), ("quorate-operator", "yes")]), None, "{host}");
        }
    }

    #[test]
    fn client_of_another_machine_is_refused() {
        for client in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1", "::"] {
            let why = said(client.parse().unwrap(), &[("host", "127.0.0.1"), ("quorate-operator", "yes")]);
            assert!(
                why.is_some_and(|why| why.starts_with("changes are made from the machine itself")),
                "{client}"
            );
        }
    }

    #[test]
    fn form_of_a_web_page_is_refused() {
        let why = said(HERE.into(), &[("host", "127.0.0.1:9153"), ("content-type", "text/plain")]);
        assert!(why.is_some_and(|why| why.contains("`Quorate-Operator: yes`")), "{why:?}");
    }

    #[test]
    fn page_whose_name_points_to_this_machine_is_refused() {
        for host in
            ["rebound.example.org:9153", "127.0.0.1.example.org", "192.0.2.1", "localhost.example.org", ""]
        {
            let why = said(HERE.into(), &[("host", host), ("quorate-operator", "yes")]);
            assert!(why.is_some_and(|why| why.contains("`Host`")), "{host}");
        }
        assert!(said(HERE.into(), &[("quorate-operator", "yes")]).is_some());
    }

    #[test]
    fn name_that_points_to_a_listener_of_this_machine_alone_is_none_of_its_names() {
        let rebound = |listener: &str, host: &str| {
            let headers = [(HOST, host.parse().expect("a value"))].into_iter().collect();
            is_rebound(listener.parse().unwrap(), &headers)
        };
        for host in ["rebound.example.org:9153", "127.0.0.1.example.org", "localhost.example.org", "", "a b"]
        {
            assert!(rebound("127.0.0.1", host) && rebound("::1", host), "{host}");
            assert!(
                !rebound("0.0.0.0", host) && !rebound("192.0.2.1", host),
                "{host}: others may know it by a name"
            );
        }
        for host in ["127.0.0.1:9153", "LOCALHOST", "[::1]:9153", "192.0.2.1"] {
            assert!(!rebound("127.0.0.1", host), "{host}");
        }
        assert!(!is_rebound(HERE.into(), &HeaderMap::new()), "no browser");
    }

    #[test]
    fn proxy_on_this_machine_speaks_for_others() {
        for header in ["forwarded", "x-forwarded-for", "via"] {
            let why = said(
                HERE.into(),
                &[("host", "localhost"), ("quorate-operator", "yes"), (header, "192.0.2.1")],
            );
            assert!(why.is_some_and(|why| why.contains("proxy")), "{header}");
        }
    }
}
