//! Targets: which server is looked at, and what is said to it before TLS begins.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

/// A server that is looked at. Shown as `name:port`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    host: String,
    port: u16,
    protocol: Protocol,
}

/// What comes before TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Nothing.
    Tls,
    /// SMTP, and in it STARTTLS. RFC 3207.
    Smtp,
}

/// The text names no target.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    /// The host is no DNS name.
    #[error("expected a host name, got `{0}`")]
    Host(String),
    /// The port is none.
    #[error("expected a port from 1 to 65535, got `{0}`")]
    Port(String),
}

impl Target {
    /// A target at this port that is spoken to by this protocol, whatever the port is usually for.
    ///
    /// # Errors
    /// [`TargetError`] when the host is no DNS name.
    pub fn new(host: &str, port: u16, protocol: Protocol) -> Result<Self, TargetError> {
        let bare = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if !is_host(&bare) {
            return Err(TargetError::Host(shown(host)));
        }
        Ok(Target { host: bare, port, protocol })
    }

    /// The host's name, without a dot at its end.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What is said before TLS begins.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The owner of the target's TLSA records. RFC 6698 §3.
    pub fn tlsa_owner(&self) -> String {
        format!("_{}._tcp.{}", self.port, self.host)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    /// `NAME` or `NAME:PORT`; without a port, 443. Ports 25 and 587 are spoken to by SMTP.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (host, port) = text.rsplit_once(':').unwrap_or((text, "443"));
        let number = port.parse::<u16>().ok().filter(|number| *number > 0);
        let number = number.ok_or_else(|| TargetError::Port(shown(port)))?;
        let protocol = if matches!(number, 25 | 587) { Protocol::Smtp } else { Protocol::Tls };
        Target::new(host, number, protocol)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Whether this is a DNS name of a host, and no address.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        (1..=63).contains(&label.len()) && plain && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

fn shown(text: &str) -> String {
    text.chars().take(TEXT_SHOWN_MAX).collect()
}

const TEXT_SHOWN_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_in_one_form() {
        let target: Target = "WWW.Example.Org.:8443".parse().unwrap();
        assert_eq!(
            (target.to_string(), target.protocol()),
            ("www.example.org:8443".to_owned(), Protocol::Tls)
        );
        let mail: Target = "mx.example.org:25".parse().unwrap();
        assert_eq!(
            (mail.tlsa_owner(), mail.protocol()),
            ("_25._tcp.mx.example.org".to_owned(), Protocol::Smtp)
        );
        assert_eq!("example.org".parse::<Target>().unwrap().port(), 443);
    }

    #[test]
    fn addresses_and_other_texts_are_no_targets() {
        for text in [
            "192.0.2.1",
            "192.0.2.1:443",
            "[2001:db8::1]:443",
            "",
            ":443",
            "a..b",
            "-a.org",
            "a b.org",
            "a.org:0",
            "a.org:65536",
            "a.org:",
            "a.org/x",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        assert!(format!("{}.org", "a".repeat(64)).parse::<Target>().is_err());
    }
}
