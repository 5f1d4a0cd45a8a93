//! An authority for tests: a root, an authority under it that issues, and revocation lists of both.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use time::OffsetDateTime;
use transparency::Moment;

use crate::clock::Clock;
use crate::leaf::Leaf;
use crate::serve::locked;

/// A certification authority with keys of its own. Root and issuing authority live from 2020 to 2045.
#[derive(Debug)]
pub struct Authority {
    name: String,
    pub(crate) clock: Clock,
    root: Signer,
    issuing: Signer,
    next_serial: AtomicU64,
    revoked: Mutex<Vec<(u64, Moment)>>,
}

/// A certificate and the key that signs in its name.
#[derive(Debug)]
struct Signer {
    der: Vec<u8>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes an authority whose certificates name it so.
    ///
    /// # Panics
    /// When the machine has no randomness.
    pub fn new(name: &str, clock: &Clock) -> Self {
        let (root_key, key) = (new_key(), new_key());
        let params = authority_params(&format!("{name} Root"), ROOT_SERIAL);
        let root = params.self_signed(&root_key).expect("names are text");
        let root =
            Signer { der: root.der().to_vec(), pem: root.pem(), issuer: Issuer::new(params, root_key) };
        let params = authority_params(&format!("{name} Issuing CA"), ISSUING_SERIAL);
        let issuing = params.signed_by(&key, &root.issuer).expect("names are text");
        let issuing =
            Signer { der: issuing.der().to_vec(), pem: issuing.pem(), issuer: Issuer::new(params, key) };
        Authority {
            name: name.to_owned(),
            clock: clock.clone(),
            root,
            issuing,
            next_serial: AtomicU64::new(1),
            revoked: Mutex::default(),
        }
    }

    /// What its certificates name it, without `Root` and `Issuing CA`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins a certificate for this name: a server's, for 90 days from a day ago on.
    pub fn leaf(&self, name: &str) -> Leaf<'_> {
        Leaf::new(self, name, self.next_serial.fetch_add(1, Ordering::Relaxed))
    }

    /// The root, DER.
    pub fn root_der(&self) -> &[u8] {
        &self.root.der
    }

    /// The root, PEM.
    pub fn root_pem(&self) -> &str {
        &self.root.pem
    }

    /// The certificate of the authority that issues, DER.
    pub fn issuer_der(&self) -> &[u8] {
        &self.issuing.der
    }

    /// The certificate of the authority that issues, PEM.
    pub fn issuer_pem(&self) -> &str {
        &self.issuing.pem
    }

    /// The data of a CERT record with the certificate of the authority that issues, in presentation form.
    pub fn issuer_cert_record(&self) -> String {
        cert_record(&self.issuing.der)
    }

    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuing.issuer
    }

    /// Revokes the certificate with this serial number, as of now.
    pub fn revoke(&self, serial: u64) {
        locked(&self.revoked).push((serial, self.clock.now()));
    }

    /// The revocation list of the authority that issues, DER: of now, for a week.
    ///
    /// # Panics
    /// When the machine has no randomness.
    pub fn crl(&self) -> Vec<u8> {
        self.crl_of(self.clock.now())
    }

    /// The same, made at another time: who judges for whole minutes wants lists that are older.
    ///
    /// # Panics
    /// When the machine has no randomness.
    pub fn crl_of(&self, made: Moment) -> Vec<u8> {
        Authority::sign_crl(&self.issuing, &locked(&self.revoked).clone(), made)
    }

    /// The revocation list of the root, DER: empty, of now, for a week.
    ///
    /// # Panics
    /// When the machine has no randomness.
    pub fn root_crl(&self) -> Vec<u8> {
        self.root_crl_of(self.clock.now())
    }

    /// The same, made at another time.
    ///
    /// # Panics
    /// When the machine has no randomness.
    pub fn root_crl_of(&self, made: Moment) -> Vec<u8> {
        Authority::sign_crl(&self.root, &[], made)
    }

    fn sign_crl(signer: &Signer, revoked: &[(u64, Moment)], made: Moment) -> Vec<u8> {
        let entry = |(serial, time): &(u64, Moment)| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time(*time),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time(made),
            next_update: date_time(made.plus_seconds(CRL_LIFETIME_SECONDS)),
            crl_number: SerialNumber::from(made.seconds()),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&signer.issuer).expect("authorities here may sign lists");
        list.der().to_vec()
    }
}

fn authority_params(common_name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2045, 1, 1));
    params
}

/// The data of a CERT record of type 1, PKIX.
pub(crate) fn cert_record(der: &[u8]) -> String {
    format!("1 0 0 {}", STANDARD.encode(der))
}

pub(crate) fn new_key() -> KeyPair {
    KeyPair::generate().expect("the machine has randomness")
}

/// The time as certificates write it: whole seconds.
pub(crate) fn date_time(moment: Moment) -> OffsetDateTime {
    date_time_ymd(1970, 1, 1) + Duration::from_secs(moment.seconds())
}

const CRL_LIFETIME_SECONDS: u64 = 7 * 86_400;
/// Serial numbers of authorities; leaves count from 1.
const ROOT_SERIAL: u64 = 1_000_000;
const ISSUING_SERIAL: u64 = 1_000_001;
