//! Judges an RRset that carries certificates: CERT, TLSA, SMIMEA. The verdict is about the whole set, never about a part of it.
//!
//! What the answer carries is all there is: nothing is fetched. What a record does not carry cannot be judged and is let be;
//! records whose meaning is "trust this, and ask nobody" are let be, too.

use rustls_pki_types::CertificateDer;
use serde::Serialize;

use crate::cert_record::{CertContent, CertKind, CertRecordError, read_cert};
use crate::chain::{CHAIN_MAX, Purpose};
use crate::facts::Facts;
use crate::judge::{Pinned, Question, judge};
use crate::moment::Moment;
use crate::skeleton::Skeleton;
use crate::tlsa::{Tlsa, TlsaError, Usage};
use crate::verdict::{Conclusion, Verdict};

/// The record types that carry certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordType {
    /// 37.
    Cert,
    /// 52.
    Tlsa,
    /// 53.
    Smimea,
}

/// What was found in one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "finding", content = "detail")]
pub enum Finding {
    /// A certificate for servers, judged.
    Judged(Box<Verdict>),
    /// A certificate of an authority, used to judge the others.
    Authority,
    /// No certificate that logs are asked for: of another kind, or not for servers.
    NotApplicable(Option<CertKind>),
    /// A TLSA or SMIMEA record that is well formed, and carries nothing to judge or asks for nothing to be judged.
    Untouched(Usage),
    /// A TLSA or SMIMEA record that nobody can use.
    Unusable(TlsaError),
    /// The data is not that of its type.
    MalformedRdata,
    /// What is said to be a certificate is none.
    MalformedCertificate,
    /// Beyond [`CERTIFICATES_PER_ANSWER_MAX`].
    NotLookedAt,
}

/// What came of an RRset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RrsetVerdict {
    /// The worst of its records.
    pub verdict: Conclusion,
    /// What was found in each record, in their order.
    pub findings: Vec<Finding>,
}

impl RecordType {
    /// The type with this number, if it carries certificates.
    pub fn from_number(number: u16) -> Option<Self> {
        match number {
            37 => Some(RecordType::Cert),
            52 => Some(RecordType::Tlsa),
            53 => Some(RecordType::Smimea),
            _ => None,
        }
    }
}

impl Finding {
    fn of_cert_error(error: CertRecordError) -> Self {
        match error {
            CertRecordError::Rdata => Finding::MalformedRdata,
            CertRecordError::Certificate => Finding::MalformedCertificate,
        }
    }

    fn of_tlsa_error(error: TlsaError) -> Self {
        match error {
            TlsaError::Rdata => Finding::MalformedRdata,
            TlsaError::Certificate => Finding::MalformedCertificate,
            _ => Finding::Unusable(error),
        }
    }

    /// What it means for the set. A record that clients pass over, too, spoils nothing.
    pub fn conclusion(&self) -> Conclusion {
        match self {
            Finding::Judged(verdict) => verdict.verdict,
            Finding::MalformedRdata | Finding::MalformedCertificate => Conclusion::Invalid,
            Finding::NotLookedAt => Conclusion::Indeterminate,
            Finding::Authority | Finding::NotApplicable(_) | Finding::Untouched(_) | Finding::Unusable(_) => {
                Conclusion::Valid
            }
        }
    }
}

/// Judges the RRset of this owner and type; `rdata` is that of each record.
pub fn judge_rrset(
    (owner, kind): (&str, RecordType),
    rdata: &[&[u8]],
    pinned: &Pinned<'_>,
    now: Moment,
) -> RrsetVerdict {
    judge_rrset_by((owner, kind), rdata, CERTIFICATES_PER_ANSWER_MAX, |chain, name| {
        let question =
            Question { chain, name: Some(name), purpose: Purpose::Server, audited: &[], networks: None };
        judge(&question, pinned, now)
    })
}

/// Judges the RRset of this owner and type, where the owner is the name that was asked for when that is an alias, by a judge who is given chain and name; at most the first `most` records that carry
/// certificates are shown to it.
pub fn judge_rrset_by(
    (owner, kind): (&str, RecordType),
    rdata: &[&[u8]],
    most: usize,
    mut by: impl FnMut(&[CertificateDer<'_>], &str) -> Verdict,
) -> RrsetVerdict {
    let authorities: Vec<&[u8]> = match kind {
        // With the certificate to be judged, no more than a chain may have.
        RecordType::Cert => {
            rdata.iter().take(most).filter_map(|rdata| authority(rdata)).take(CHAIN_MAX - 1).collect()
        }
        RecordType::Tlsa | RecordType::Smimea => Vec::new(),
    };
    let mut judged = |certificate: &Skeleton<'_>, name: &str| {
        let ours = std::iter::once(certificate.der).chain(authorities.iter().copied());
        let chain: Vec<CertificateDer<'_>> = ours.map(CertificateDer::from).collect();
        Finding::Judged(Box::new(by(&chain, name)))
    };
    let findings = rdata.iter().enumerate().map(|(number, rdata)| match kind {
        RecordType::Cert if most <= number => Finding::NotLookedAt,
        RecordType::Cert => match read_cert(rdata) {
            Err(error) => Finding::of_cert_error(error),
            Ok(CertContent::Other(kind)) => Finding::NotApplicable(Some(kind)),
            Ok(CertContent::X509(certificate)) => match Facts::read(&certificate) {
                Err(_) => Finding::MalformedCertificate,
                Ok(facts) if facts.is_ca => Finding::Authority,
                Ok(facts) if facts.for_servers != Some(true) => Finding::NotApplicable(None),
                Ok(_) => judged(&certificate, owner),
            },
        },
        // A record that asks for nothing to be judged costs nothing, and is let be wherever it stands.
        RecordType::Tlsa => match Tlsa::read(rdata) {
            Err(error) => Finding::of_tlsa_error(error),
            Ok(record) => match record.certificate().filter(|_| record.usage == Usage::PkixEe) {
                Some(_) if most <= number => Finding::NotLookedAt,
                Some(certificate) => judged(&certificate, base_domain(owner)),
                None => Finding::Untouched(record.usage),
            },
        },
        RecordType::Smimea => match Tlsa::read(rdata) {
            Err(error) => Finding::of_tlsa_error(error),
            Ok(record) => Finding::Untouched(record.usage),
        },
    });
    let findings: Vec<Finding> = findings.collect();
    let worst = findings.iter().map(Finding::conclusion).max_by_key(|conclusion| match conclusion {
        Conclusion::Valid => 0,
        Conclusion::Indeterminate => 1,
        Conclusion::Invalid => 2,
    });
    RrsetVerdict { verdict: worst.unwrap_or(Conclusion::Valid), findings }
}

/// The certificate of an authority in a CERT record.
fn authority<'a>(rdata: &&'a [u8]) -> Option<&'a [u8]> {
    match read_cert(rdata) {
        Ok(CertContent::X509(certificate)) => {
            Facts::read(&certificate).ok().filter(|facts| facts.is_ca).map(|_| certificate.der)
        }
        _ => None,
    }
}

/// The host behind the owner of a TLSA record: without port and protocol. RFC 6698 §3.
pub fn base_domain(owner: &str) -> &str {
    let after =
        |name| str::split_once(name, '.').filter(|(label, _)| label.starts_with('_')).map(|(_, rest)| rest);
    after(owner).and_then(after).unwrap_or(owner)
}

/// How many records of one answer are looked at.
pub const CERTIFICATES_PER_ANSWER_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_ask_for_nothing_are_let_be_however_many_there_are() {
        let record = [&[3, 1, 1][..], &[7; 32]].concat();
        let rdata = vec![&record[..]; CERTIFICATES_PER_ANSWER_MAX + 1];
        let verdict =
            judge_rrset_by(("_25._tcp.mx.example.org.", RecordType::Tlsa), &rdata, 1, |_, _| unreachable!());
        assert_eq!(verdict.verdict, Conclusion::Valid);
        assert!(verdict.findings.iter().all(|finding| *finding == Finding::Untouched(Usage::DaneEe)));
    }

    #[test]
    fn port_and_protocol_are_no_part_of_the_host() {
        assert_eq!(base_domain("_443._tcp.www.example.org."), "www.example.org.");
        assert_eq!(base_domain("www.example.org."), "www.example.org.");
        assert_eq!(base_domain("_tcp.example.org."), "_tcp.example.org.");
    }
}
