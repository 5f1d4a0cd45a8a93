//! Certificates with timestamps in them, made the real way: pre-certificate, timestamps of logs, certificate. RFC 6962 §3.1.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    CertificateParams, CrlDistributionPoint, CustomExtension, DnType, ExtendedKeyUsagePurpose, KeyPair,
    SerialNumber,
};
use ring::digest::{SHA256, SHA512, digest};
use transparency::Moment;
use transparency::skeleton::Skeleton;

use crate::authority::{Authority, cert_record, date_time, new_key};
use crate::clock::Clock;
use crate::entry::vector;
use crate::log::TestLog;

/// A certificate that is to be issued.
#[derive(Debug)]
pub struct Leaf<'a> {
    authority: &'a Authority,
    params: CertificateParams,
    serial: u64,
    key: KeyPair,
    embeds: Embeds,
}

/// What becomes of the timestamps that the logs gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Embeds {
    All,
    None,
    /// All, the first with a wrong bit in its signature.
    FirstSpoiled,
}

/// A certificate that was issued, with its key.
#[derive(Debug)]
pub struct Issued {
    /// The certificate, then its issuers without the root, DER; one alone when it signed itself.
    pub chain: Vec<Vec<u8>>,
    /// The private key, PKCS#8 in PEM.
    pub key_pem: String,
    /// Its serial number.
    pub serial: u64,
    /// The pre-certificate; empty when it signed itself.
    pub precertificate: Vec<u8>,
    /// The timestamps that the logs gave, whether they were embedded or not.
    pub scts: Vec<Vec<u8>>,
}

impl<'a> Leaf<'a> {
    pub(crate) fn new(authority: &'a Authority, name: &str, serial: u64) -> Self {
        let params = server_params(name, serial, &authority.clock);
        Leaf { authority, params, serial, key: new_key(), embeds: Embeds::All }
    }

    /// For these names beside the first.
    ///
    /// # Panics
    /// When one is no name.
    #[must_use]
    pub fn also_for(mut self, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let more = CertificateParams::new(names).expect("names of hosts");
        self.params.subject_alt_names.extend(more.subject_alt_names);
        self
    }

    /// For so many days, less a second, from this time on.
    #[must_use]
    pub fn valid(mut self, from: Moment, days: u64) -> Self {
        set_validity(&mut self.params, from, days);
        self
    }

    /// With this key, not one of its own.
    #[must_use]
    pub fn with_key(mut self, key: KeyPair) -> Self {
        self.key = key;
        self
    }

    /// Says that its revocation list is at this URL.
    #[must_use]
    pub fn with_crl_at(mut self, url: &str) -> Self {
        self.params.crl_distribution_points.push(CrlDistributionPoint { uris: vec![url.to_owned()] });
        self
    }

    /// Says that its issuer's certificate is at this URL.
    #[must_use]
    pub fn with_issuer_at(mut self, url: &str) -> Self {
        let url = vector(1, url.as_bytes());
        let access = [&CA_ISSUERS[..], &[0x86], &url].concat();
        let content = sequence(&sequence(&access));
        self.params.custom_extensions.push(CustomExtension::from_oid_content(AUTHORITY_INFO_ACCESS, content));
        self
    }

    /// Without the timestamps that the logs give for it.
    #[must_use]
    pub fn without_scts(mut self) -> Self {
        self.embeds = Embeds::None;
        self
    }

    /// With a wrong bit in the signature of the first timestamp.
    #[must_use]
    pub fn with_bad_sct(mut self) -> Self {
        self.embeds = Embeds::FirstSpoiled;
        self
    }

    /// Hands a pre-certificate to the logs and issues the certificate with their timestamps, in the order of the logs.
    ///
    /// # Panics
    /// When a log refuses it.
    pub fn issue(self, logs: &[&TestLog]) -> Issued {
        let issuer = self.authority.issuer_der().to_vec();
        let precertificate = self.signed(Some(poison()));
        let chain = [precertificate, issuer.clone(), self.authority.root_der().to_vec()];
        let give = |log: &&TestLog| log.add_pre_chain(&chain).expect("the log takes this authority's in");
        let scts: Vec<Vec<u8>> = logs.iter().map(give).collect();
        let mut embedded = scts.clone();
        match self.embeds {
            Embeds::All => {}
            Embeds::None => embedded.clear(),
            Embeds::FirstSpoiled => {
                if let Some(last) = embedded.first_mut().and_then(|sct| sct.last_mut()) {
                    *last ^= 1;
                }
            }
        }
        let list = (!embedded.is_empty()).then(|| sct_list(&embedded));
        let certificate = self.signed(list);
        let [precertificate, ..] = chain;
        let key_pem = self.key.serialize_pem();
        Issued { chain: vec![certificate, issuer], key_pem, serial: self.serial, precertificate, scts }
    }

    fn signed(&self, extension: Option<CustomExtension>) -> Vec<u8> {
        let mut params = self.params.clone();
        params.use_authority_key_identifier_extension = true;
        params.custom_extensions.extend(extension);
        let signed = params.signed_by(&self.key, self.authority.issuer());
        signed.expect("the machine has randomness").der().to_vec()
    }
}

impl Issued {
    /// A certificate for this name that signed itself: what DANE-EE allows.
    ///
    /// # Panics
    /// When it is no name.
    pub fn self_signed(name: &str, clock: &Clock) -> Self {
        let key = new_key();
        let certificate =
            server_params(name, 1, clock).self_signed(&key).expect("the machine has randomness");
        Issued {
            chain: vec![certificate.der().to_vec()],
            key_pem: key.serialize_pem(),
            serial: 1,
            precertificate: Vec::new(),
            scts: Vec::new(),
        }
    }

    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.chain[0]
    }

    /// The certificate and its issuers without the root, PEM.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(|der| pem(der)).collect()
    }

    /// The certificate alone, PEM.
    pub fn leaf_pem(&self) -> String {
        pem(self.der())
    }

    /// The data of a CERT record with this certificate, in presentation form: `1 0 0 MII…`. RFC 4398 §2.2.
    pub fn cert_record(&self) -> String {
        cert_record(self.der())
    }

    /// The data of a TLSA record for this certificate, in presentation form: `3 1 1 0a1b…`. RFC 6698 §2.2.
    ///
    /// # Panics
    /// When selector or matching type is none.
    pub fn tlsa_record(&self, usage: u8, selector: u8, matching: u8) -> String {
        let skeleton = Skeleton::parse(self.der()).expect("rcgen made it");
        let selected = match selector {
            0 => skeleton.der,
            1 => skeleton.spki,
            _ => panic!("selector {selector} is none"),
        };
        let data = match matching {
            0 => selected.to_vec(),
            1 => digest(&SHA256, selected).as_ref().to_vec(),
            2 => digest(&SHA512, selected).as_ref().to_vec(),
            _ => panic!("matching type {matching} is none"),
        };
        let mut text = format!("{usage} {selector} {matching} ");
        data.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a String takes all text"));
        text
    }
}

fn server_params(name: &str, serial: u64, clock: &Clock) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name of a host");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let yesterday = Moment::from_milliseconds(clock.now().milliseconds().saturating_sub(DAY_MILLISECONDS));
    set_validity(&mut params, yesterday, 90);
    params
}

/// One second less than whole days, as authorities count them.
fn set_validity(params: &mut CertificateParams, from: Moment, days: u64) {
    params.not_before = date_time(from);
    params.not_after = date_time(from.plus_seconds(days * 86_400 - 1));
}

fn poison() -> CustomExtension {
    let mut poison = CustomExtension::from_oid_content(POISON, vec![5, 0]);
    poison.set_criticality(true);
    poison
}

fn sct_list(scts: &[Vec<u8>]) -> CustomExtension {
    let list = vector(2, &scts.iter().flat_map(|sct| vector(2, sct)).collect::<Vec<u8>>());
    CustomExtension::from_oid_content(SCT_LIST, element(OCTET_STRING, &list))
}

fn sequence(body: &[u8]) -> Vec<u8> {
    element(SEQUENCE, body)
}

/// One element of DER, of fewer than 65 536 bytes.
fn element(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16).to_be_bytes();
    match body.len() {
        0..=127 => [&[tag, length[1]][..], body].concat(),
        128..=255 => [&[tag, 0x81, length[1]][..], body].concat(),
        _ => [&[tag, 0x82][..], &length, body].concat(),
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        lines.push_str(&String::from_utf8_lossy(line));
        lines.push('\n');
    }
    lines + "-----END CERTIFICATE-----\n"
}

const DAY_MILLISECONDS: u64 = 86_400_000;
const OCTET_STRING: u8 = 4;
const SEQUENCE: u8 = 0x30;
const SCT_LIST: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
const POISON: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 3];
const AUTHORITY_INFO_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
/// OBJECT IDENTIFIER 1.3.6.1.5.5.7.48.2.
const CA_ISSUERS: [u8; 10] = [6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];
