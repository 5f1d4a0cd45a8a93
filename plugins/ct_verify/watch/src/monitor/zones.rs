//! The operator's zones: which names of a certificate belong to them, and who may issue for them.

use reqwest::Url;
use thiserror::Error;
use transparency::digest::Sha256;

use super::announced::Announced;

/// A zone that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its name in lower case and A-labels, without a dot at its end.
    name: String,
    /// Who may issue; empty when the operator has not said so.
    issuers: Vec<IssuerRule>,
}

/// One issuer that may issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerRule {
    /// An issuer whose name contains this text, whatever the case: an organisation, a common name.
    Name(String),
    /// An issuer with this public key.
    Key(Sha256),
}

/// What the operator wrote is no zone, or no issuer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ZoneError {
    /// Not a DNS name.
    #[error("expected a zone, got `{0}`")]
    Name(String),
    /// Not a text, and not `sha256:` with 64 hexadecimal digits.
    #[error("expected a part of an issuer's name, or `sha256:` and 64 hexadecimal digits, got `{0}`")]
    Issuer(String),
}

impl Zone {
    /// A zone, and who may issue for it. International names are turned into A-labels.
    ///
    /// # Errors
    /// [`ZoneError`] when the name is no DNS name, or an issuer is none.
    pub fn new(name: &str, issuers: &[&str]) -> Result<Self, ZoneError> {
        let ascii = normal(name).filter(|name| !name.starts_with("*.") && !name.is_empty());
        let name = ascii.ok_or_else(|| ZoneError::Name(name.chars().take(80).collect()))?;
        let issuers = issuers.iter().map(|issuer| IssuerRule::read(issuer)).collect::<Result<_, _>>()?;
        Ok(Zone { name, issuers })
    }

    /// The zone's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether one may issue who is not expected; `None` when nothing is expected.
    pub fn is_expected(&self, announced: &Announced) -> Option<bool> {
        let fits = |rule: &IssuerRule| match rule {
            IssuerRule::Name(part) => announced.issuer.to_lowercase().contains(part),
            IssuerRule::Key(key) => announced.issuer_key_sha256 == Some(*key),
        };
        if self.issuers.is_empty() { None } else { Some(self.issuers.iter().any(fits)) }
    }

    /// Whether a certificate with this name, in normal form, is for a name in the zone.
    fn covers(&self, name: &str) -> bool {
        let below = |name: &str| name.strip_suffix(&self.name).is_some_and(|front| front.ends_with('.'));
        let wildcard_over_apex = || {
            let parent = self.name.split_once('.').map(|(_, parent)| parent);
            name.strip_prefix("*.").is_some_and(|rest| Some(rest) == parent)
        };
        name == self.name || below(name) || wildcard_over_apex()
    }
}

impl IssuerRule {
    fn read(text: &str) -> Result<Self, ZoneError> {
        let error = || ZoneError::Issuer(text.chars().take(80).collect());
        match text.strip_prefix("sha256:") {
            None if text.trim().is_empty() => Err(error()),
            None => Ok(IssuerRule::Name(text.to_lowercase())),
            Some(digits) => digest_from_hex(digits).map(IssuerRule::Key).ok_or_else(error),
        }
    }
}

/// All zones that are watched.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    zones: Vec<Zone>,
}

impl Zones {
    /// These zones; where one lies in another, the inner one decides.
    pub fn new(mut zones: Vec<Zone>) -> Self {
        zones.sort_by_key(|zone| std::cmp::Reverse(zone.name.len()));
        zones.dedup();
        Zones { zones }
    }

    /// The zone of a certificate's first name that is in any, and all such names of that zone in normal form, at most
    /// [`NAMES_MATCHED_MAX`].
    pub fn find(&self, names: &[String]) -> Option<(&Zone, Vec<String>)> {
        let normal: Vec<String> = names.iter().filter_map(|name| normal(name)).collect();
        self.zones.iter().find_map(|zone| {
            let covered = normal.iter().filter(|name| zone.covers(name)).take(NAMES_MATCHED_MAX);
            let covered: Vec<String> = covered.cloned().collect();
            (!covered.is_empty()).then_some((zone, covered))
        })
    }

    /// The zone that these bytes mention anywhere: for certificates that cannot be read.
    pub fn mentioned(&self, bytes: &[u8]) -> Option<&Zone> {
        self.zones.iter().find(|zone| {
            let name = zone.name.as_bytes();
            bytes.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name))
        })
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }

    /// The zones' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.zones.iter().map(Zone::name)
    }
}

/// A DNS name in lower case and A-labels, without a dot at its end; `None` if it is none. A leading `*.` stays.
fn normal(name: &str) -> Option<String> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    let (star, rest) = bare.strip_prefix("*.").map_or(("", bare), |rest| ("*.", rest));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*');
    if rest.bytes().all(plain) {
        let labels = rest.split('.').all(|label| (1..=63).contains(&label.len()));
        return labels.then(|| format!("{star}{}", rest.to_ascii_lowercase()));
    }
    if rest.is_ascii() {
        return None;
    }
    // What a browser makes of the host of a URL is the A-label form.
    let url = Url::parse(&format!("https://{rest}/")).ok()?;
    Some(format!("{star}{}", url.domain()?))
}

/// The digest that 64 hexadecimal digits are.
pub(super) fn digest_from_hex(text: &str) -> Option<Sha256> {
    let pairs = text.as_bytes().chunks_exact(2);
    let whole = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes: Option<Vec<u8>> =
        pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    if whole { Sha256::from_slice(&bytes?) } else { None }
}

/// How many names of one certificate are compared with the zone.
pub const NAMES_MATCHED_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(zone: &str, name: &str) -> bool {
        let zones = Zones::new(vec![Zone::new(zone, &[]).unwrap()]);
        zones.find(&[name.to_owned()]).is_some()
    }

    #[test]
    fn names_in_the_zone_are_found_whatever_their_case() {
        for name in
            ["example.org", "WWW.Example.ORG", "*.example.org", "a.b.example.org.", "*.org", "_x.example.org"]
        {
            assert!(found("Example.org.", name), "{name}");
        }
        for name in ["example.com", "badexample.org", "example.org.evil.net", "org", "*.com", "*.b.org", ""] {
            assert!(!found("example.org", name), "{name}");
        }
    }

    #[test]
    fn international_names_are_compared_as_a_labels() {
        assert!(found("bücher.example.org", "www.xn--bcher-kva.example.org"));
        assert!(found("xn--bcher-kva.example.org", "BÜCHER.example.org"));
    }

    #[test]
    fn the_inner_zone_decides() {
        let zones = Zones::new(vec![
            Zone::new("example.org", &[]).unwrap(),
            Zone::new("in.example.org", &["Alder"]).unwrap(),
        ]);
        let (zone, names) = zones.find(&["a.in.example.org".to_owned(), "example.org".to_owned()]).unwrap();
        assert_eq!((zone.name(), names), ("in.example.org", vec!["a.in.example.org".to_owned()]));
    }

    #[test]
    fn unreadable_bytes_that_mention_a_zone_are_noticed() {
        let zones = Zones::new(vec![Zone::new("example.org", &[]).unwrap()]);
        assert!(zones.mentioned(b"\x00\x01www.EXAMPLE.org\xff").is_some());
        assert!(zones.mentioned(b"example.net").is_none());
    }

    #[test]
    fn zones_and_issuers_that_are_none_are_refused() {
        for zone in ["", ".", "*.example.org", "a..b", "a b.org"] {
            assert!(Zone::new(zone, &[]).is_err(), "{zone}");
        }
        assert!(Zone::new("example.org", &["sha256:abcd"]).is_err());
        assert!(Zone::new("example.org", &[" "]).is_err());
        assert!(Zone::new("example.org", &[&format!("sha256:{}", "0a".repeat(32))]).is_ok());
    }
}
