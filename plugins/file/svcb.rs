//! Service parameters of SVCB and HTTPS records, from presentation form to wire form. RFC 9460 §2.1, §7 and appendix A.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::lexer::unescape;

/// The wire form of `key=value` words, sorted by key.
///
/// Errors: unknown or repeated keys, values that are not of their key, `mandatory` keys that are missing.
pub fn service_parameters(words: &[&str]) -> Result<Vec<u8>, String> {
    let mut parameters: Vec<(u16, Vec<u8>)> = Vec::with_capacity(words.len());
    for word in words {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(unquoted(value))),
            None => (*word, None),
        };
        let key = key_number(name).ok_or_else(|| format!("unknown service parameter `{name}`"))?;
        if parameters.iter().any(|(known, _)| *known == key) {
            return Err(format!("service parameter `{name}` is given twice"));
        }
        let bytes = parameter_value(key, value).map_err(|message| format!("{name}: {message}"))?;
        parameters.push((key, bytes));
    }
    parameters.sort();
    require_mandatory(&parameters)?;
    let mut wire = Vec::new();
    for (key, value) in parameters {
        let length =
            u16::try_from(value.len()).map_err(|_| "a value holds at most 65535 bytes".to_owned())?;
        wire.extend(key.to_be_bytes());
        wire.extend(length.to_be_bytes());
        wire.extend(value);
    }
    Ok(wire)
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value)
}

fn key_number(name: &str) -> Option<u16> {
    Some(match name {
        "mandatory" => 0,
        "alpn" => 1,
        "no-default-alpn" => 2,
        "port" => 3,
        "ipv4hint" => 4,
        "ech" => 5,
        "ipv6hint" => 6,
        "dohpath" => 7,
        "ohttp" => 8,
        _ => return name.strip_prefix("key")?.parse().ok().filter(|key| *key != u16::MAX),
    })
}

fn parameter_value(key: u16, value: Option<&str>) -> Result<Vec<u8>, String> {
    if matches!(key, 2 | 8) {
        return if value.is_none() { Ok(Vec::new()) } else { Err("takes no value".to_owned()) };
    }
    let Some(value) = value else {
        return if key > 8 { Ok(Vec::new()) } else { Err("expected `=` and a value".to_owned()) };
    };
    match key {
        0 => {
            let mut keys = Vec::new();
            for name in value.split(',') {
                keys.push(
                    key_number(name)
                        .filter(|key| *key != 0)
                        .ok_or_else(|| format!("unknown key `{name}`"))?,
                );
            }
            keys.sort_unstable();
            Ok(keys.into_iter().flat_map(u16::to_be_bytes).collect())
        }
        1 => {
            let mut wire = Vec::new();
            for protocol in comma_list(&unescape(value)?)? {
                let length = u8::try_from(protocol.len())
                    .map_err(|_| "a protocol holds at most 255 bytes".to_owned())?;
                if length == 0 {
                    return Err("a protocol cannot be empty".to_owned());
                }
                wire.push(length);
                wire.extend(protocol);
            }
            Ok(wire)
        }
        3 => value
            .parse::<u16>()
            .map(|port| port.to_be_bytes().to_vec())
            .map_err(|_| format!("expected a port, got `{value}`")),
        4 => addresses::<Ipv4Addr>(value).map(|all| all.iter().flat_map(Ipv4Addr::octets).collect()),
        5 => BASE64.decode(value).map_err(|error| format!("not base64: {error}")),
        6 => addresses::<Ipv6Addr>(value).map(|all| all.iter().flat_map(Ipv6Addr::octets).collect()),
        _ => Ok(unescape(value)?),
    }
}

fn addresses<A: std::str::FromStr>(value: &str) -> Result<Vec<A>, String> {
    value
        .split(',')
        .map(|word| word.parse().map_err(|_| format!("expected an address, got `{word}`")))
        .collect()
}

/// Splits at commas; `\,` and `\\` are a comma and a backslash of a value. RFC 9460 appendix A.1.
fn comma_list(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut values = vec![Vec::new()];
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        let last = values.last_mut().expect("it begins with one and only grows");
        match byte {
            b',' => values.push(Vec::new()),
            b'\\' => last.push(*rest.next().ok_or("`\\` at the end of a list")?),
            _ => last.push(byte),
        }
    }
    Ok(values)
}

fn require_mandatory(parameters: &[(u16, Vec<u8>)]) -> Result<(), String> {
    let Some((0, mandatory)) = parameters.first() else { return Ok(()) };
    for key in mandatory.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])) {
        if !parameters.iter().any(|(known, _)| *known == key) {
            return Err(format!("key {key} is mandatory but missing"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_sorted_by_key() {
        let wire = service_parameters(&["port=53", "alpn=h2"]);
        assert_eq!(wire.as_deref(), Ok(&b"\x00\x01\x00\x03\x02h2\x00\x03\x00\x02\x00\x35"[..]));
    }

    #[test]
    fn alpn_list_is_that_of_the_rfcs_appendix() {
        // RFC 9460 appendix D.2, figure 10.
        let wire = service_parameters(&[r#"alpn="f\\\\oo\\,bar,h2""#]);
        assert_eq!(wire.as_deref(), Ok(&b"\x00\x01\x00\x0c\x08f\\oo,bar\x02h2"[..]));
    }

    #[test]
    fn parameters_that_contradict_are_refused() {
        for words in [
            &["mandatory=port"][..],
            &["port=1", "port=2"],
            &["port"],
            &["no-default-alpn=1"],
            &["bogus=1"],
            &["alpn="],
        ] {
            assert!(service_parameters(words).is_err(), "{words:?}");
        }
        assert!(service_parameters(&["mandatory=port", "port=1"]).is_ok());
        assert!(service_parameters(&["key667=hello"]).is_ok());
    }
}
