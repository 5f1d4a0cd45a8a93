//! What a log entry announces: whose certificate, for which names, by whom. Read from the bytes that the tree covers, and no others.

use ring::digest::{SHA512, digest};
use serde::Serialize;
use thiserror::Error;
use transparency::Moment;
use transparency::digest::Sha256;
use transparency::precertificate::{LogEntry, sct_list, tbs_without_scts};
use transparency::skeleton::Skeleton;
use x509_parser::certificate::TbsCertificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

/// A certificate that a log has announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Announced {
    /// SHA-256 of its TBSCertificate without poison and timestamps: the same for a pre-certificate and its certificate.
    pub tbs_sha256: Sha256,
    /// Whether the log has the pre-certificate rather than the certificate.
    pub is_precertificate: bool,
    /// All DNS names that it is for, as it has them.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// SHA-256 of the issuer's public key with algorithm; known of pre-certificates only.
    pub issuer_key_sha256: Option<Sha256>,
    /// SHA-256 of its own public key with algorithm.
    pub key_sha256: Sha256,
    /// SHA-512 of the same, as some TLSA records have it.
    #[serde(skip)]
    pub key_sha512: Option<Vec<u8>>,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// From when on it is valid.
    pub not_before: Option<Moment>,
    /// Until when it is valid.
    pub not_after: Option<Moment>,
}

/// The entry is not a certificate that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the certificate is malformed")]
pub struct Unreadable;

impl Announced {
    /// Reads an entry.
    ///
    /// # Errors
    /// [`Unreadable`] when it is no certificate, or its names cannot be read.
    pub fn read(entry: &LogEntry<'_>) -> Result<Self, Unreadable> {
        match entry {
            LogEntry::Precertificate { issuer_key_hash, tbs } => {
                let identity = Sha256::of(tbs);
                Self::of_tbs(tbs, identity, Some(*issuer_key_hash))
            }
            LogEntry::X509(der) => {
                let skeleton = Skeleton::parse(der).map_err(|_| Unreadable)?;
                let identity = match sct_list(&skeleton) {
                    Ok(Some(_)) => Sha256::of(&tbs_without_scts(&skeleton).map_err(|_| Unreadable)?),
                    Ok(None) => Sha256::of(skeleton.tbs),
                    Err(_) => return Err(Unreadable),
                };
                Self::of_tbs(skeleton.tbs, identity, None)
            }
        }
    }

    fn of_tbs(tbs: &[u8], identity: Sha256, issuer_key: Option<Sha256>) -> Result<Self, Unreadable> {
        let (rest, parsed) = TbsCertificate::from_der(tbs).map_err(|_| Unreadable)?;
        if !rest.is_empty() {
            return Err(Unreadable);
        }
        let mut names = Vec::new();
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(all) => {
                    names.extend(all.general_names.iter().filter_map(dns_name));
                }
                ParsedExtension::ParseError { .. } if extension.oid == SUBJECT_ALTERNATIVE_NAME => {
                    return Err(Unreadable);
                }
                _ => {}
            }
        }
        // Old clients take the common name for a host when there are no alternative names; so it is watched, too.
        let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        names.extend(common.filter(|name| name.contains('.') && !name.contains(' ')).map(str::to_owned));
        names.sort_unstable();
        names.dedup();
        let spki = parsed.public_key().raw;
        Ok(Announced {
            tbs_sha256: identity,
            is_precertificate: issuer_key.is_some(),
            names,
            issuer: shown(&parsed.issuer().to_string()),
            issuer_key_sha256: issuer_key,
            key_sha256: Sha256::of(spki),
            key_sha512: Some(digest(&SHA512, spki).as_ref().to_vec()),
            serial: parsed
                .raw_serial()
                .iter()
                .take(SERIAL_BYTES_MAX)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            not_before: Some(Moment::from_seconds(parsed.validity().not_before.timestamp())),
            not_after: Some(Moment::from_seconds(parsed.validity().not_after.timestamp())),
        })
    }
}

fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(name) = name { Some(shown(name)) } else { None }
}

/// At most so much of a text from a certificate: no DNS name is longer.
fn shown(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

const TEXT_MAX: usize = 512;
const SERIAL_BYTES_MAX: usize = 32;
/// 2.5.29.17.
const SUBJECT_ALTERNATIVE_NAME: x509_parser::oid_registry::Oid<'static> =
    x509_parser::oid_registry::asn1_rs::oid!(2.5.29.17);

#[cfg(test)]
mod tests {
    use ct_log::{Authority, Clock, Kind, TestLog};

    use super::*;

    fn certificate() -> Vec<u8> {
        let clock = Clock::at("2026-08-01T00:00:00Z");
        let log = TestLog::start("log", Kind::Rfc6962, &clock);
        let authority = Authority::new("Alder CA", &clock);
        authority.leaf("www.example.org").also_for(&["*.example.net"]).issue(&[&log]).der().to_vec()
    }

    #[test]
    fn a_certificate_is_read_whole() {
        let der = certificate();
        let announced = Announced::read(&LogEntry::X509(&der)).unwrap();
        assert_eq!(announced.names, ["*.example.net", "www.example.org"]);
        assert!(announced.issuer.contains("Alder CA"), "{}", announced.issuer);
        assert_eq!(announced.key_sha256, Skeleton::parse(&der).unwrap().key_hash());
        assert_eq!(announced.tbs_sha256, {
            let tbs = tbs_without_scts(&Skeleton::parse(&der).unwrap()).unwrap();
            let issuer_key_hash = Sha256([0; 32]);
            let entry = LogEntry::Precertificate { issuer_key_hash, tbs: &tbs };
            Announced::read(&entry).unwrap().tbs_sha256
        });
    }

    #[test]
    fn no_byte_and_no_cut_of_a_certificate_makes_the_reader_panic() {
        let der = certificate();
        for place in 0..der.len() {
            let mut changed = der.clone();
            for value in [0, 0x30, 0x80, 0xff, der[place] ^ 1] {
                changed[place] = value;
                let _read = Announced::read(&LogEntry::X509(&changed));
                let tbs = changed.get(4..).unwrap_or_default();
                let _read =
                    Announced::read(&LogEntry::Precertificate { issuer_key_hash: Sha256([0; 32]), tbs });
            }
            assert_eq!(Announced::read(&LogEntry::X509(&der[..place])), Err(Unreadable));
        }
    }

    #[test]
    fn alternative_names_that_cannot_be_read_make_it_unreadable() {
        let mut der = certificate();
        let at = der.windows(15).position(|window| window == b"www.example.org").unwrap();
        // The length of the name, beyond the end of all names.
        let at = at
            + der[at..]
                .windows(15)
                .skip(1)
                .position(|window| window == b"www.example.org")
                .map_or(0, |next| next + 1);
        der[at - 1] = 0x7f;
        assert_eq!(Announced::read(&LogEntry::X509(&der)), Err(Unreadable));
    }
}
