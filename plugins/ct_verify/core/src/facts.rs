//! What a certificate says of itself, read by x509-parser: for people, for names and dates, and for where its lists are.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::digest::Sha256;
use crate::moment::Moment;
use crate::skeleton::Skeleton;

/// What a certificate says of itself. Nothing of it has been verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// SHA-256 of the certificate.
    pub sha256: Sha256,
    /// SHA-256 of its public key with algorithm.
    pub key_sha256: Sha256,
    /// Whose it is.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// From when on it is valid.
    pub not_before: Moment,
    /// Until when it is valid, that second included.
    pub not_after: Moment,
    /// Subject alternative names: DNS names, addresses, mail addresses; the first [`NAMES_SHOWN_MAX`].
    pub names: Vec<String>,
    /// Whether it may issue others.
    pub is_ca: bool,
    /// Whether it is, as its extended key usage says, for servers; `None` when it says nothing.
    pub for_servers: Option<bool>,
    /// Where its revocation lists are; the first [`URLS_MAX`].
    pub crl_urls: Vec<String>,
    /// Where its issuer's certificate is; the first [`URLS_MAX`].
    pub issuer_urls: Vec<String>,
    #[serde(skip)]
    pub(crate) signs_crls: bool,
}

impl Facts {
    /// Reads what a certificate says of itself.
    ///
    /// # Errors
    /// A text, when x509-parser cannot read it.
    pub fn read(certificate: &Skeleton<'_>) -> Result<Self, String> {
        let (rest, parsed) = X509Certificate::from_der(certificate.der).map_err(|error| text_of(&error))?;
        if !rest.is_empty() {
            return Err("bytes are left after the certificate".to_owned());
        }
        let mut facts = Facts {
            sha256: certificate.fingerprint(),
            key_sha256: certificate.key_hash(),
            subject: shown(&parsed.subject().to_string()),
            issuer: shown(&parsed.issuer().to_string()),
            serial: parsed
                .raw_serial()
                .iter()
                .take(SERIAL_BYTES_SHOWN_MAX)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            not_before: Moment::from_seconds(parsed.validity().not_before.timestamp()),
            not_after: Moment::from_seconds(parsed.validity().not_after.timestamp()),
            names: Vec::new(),
            is_ca: false,
            for_servers: None,
            crl_urls: Vec::new(),
            issuer_urls: Vec::new(),
            signs_crls: true,
        };
        parsed.extensions().iter().for_each(|extension| facts.take_in(extension.parsed_extension()));
        Ok(facts)
    }

    /// notAfter less notBefore, in seconds.
    pub fn lifetime_seconds(&self) -> u64 {
        self.not_after.seconds_since(self.not_before)
    }

    fn take_in(&mut self, extension: &ParsedExtension<'_>) {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => {
                self.names = names.general_names.iter().filter_map(name_text).take(NAMES_SHOWN_MAX).collect();
            }
            ParsedExtension::BasicConstraints(constraints) => self.is_ca = constraints.ca,
            ParsedExtension::KeyUsage(usage) => self.signs_crls = usage.crl_sign(),
            ParsedExtension::ExtendedKeyUsage(usage) => {
                self.for_servers = Some(usage.server_auth || usage.any);
            }
            ParsedExtension::CRLDistributionPoints(points) => {
                let full = points.iter().filter_map(|point| match &point.distribution_point {
                    Some(DistributionPointName::FullName(names)) => Some(names),
                    _ => None,
                });
                self.crl_urls = full.flatten().filter_map(url).take(URLS_MAX).collect();
            }
            ParsedExtension::AuthorityInfoAccess(access) => {
                let issuers = access.iter().filter(|entry| entry.access_method == CA_ISSUERS);
                self.issuer_urls =
                    issuers.filter_map(|entry| url(&entry.access_location)).take(URLS_MAX).collect();
            }
            _ => {}
        }
    }
}

fn url(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::URI(url) = name { Some(shown(url)) } else { None }
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) => Some(shown(name)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|octets| Ipv4Addr::from(octets).to_string());
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(|octets| Ipv6Addr::from(octets).to_string())).ok()
        }
        _ => None,
    }
}

/// At most so much of a text from a certificate.
fn shown(text: &str) -> String {
    text.chars().take(TEXT_SHOWN_MAX).collect()
}

fn text_of<E: std::fmt::Debug>(error: &x509_parser::nom::Err<E>) -> String {
    match error {
        x509_parser::nom::Err::Incomplete(_) => "the bytes end too early".to_owned(),
        x509_parser::nom::Err::Error(error) | x509_parser::nom::Err::Failure(error) => {
            shown(&format!("{error:?}"))
        }
    }
}

/// How many names a verdict shows.
pub const NAMES_SHOWN_MAX: usize = 100;
/// How many URLs of each kind are taken from a certificate.
pub const URLS_MAX: usize = 8;
const TEXT_SHOWN_MAX: usize = 512;
const SERIAL_BYTES_SHOWN_MAX: usize = 32;
/// 1.3.6.1.5.5.7.48.2.
const CA_ISSUERS: x509_parser::oid_registry::Oid<'static> =
    x509_parser::oid_registry::asn1_rs::oid!(1.3.6.1.5.5.7.48.2);
