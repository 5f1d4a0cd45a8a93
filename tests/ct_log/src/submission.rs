//! What is handed in: chains of certificates and pre-certificates, read and cut. RFC 6962 §3.1 and §4.1.
//!
//! Names must fit from each certificate to its issuer, signatures are taken on trust: this log is for tests.

use transparency::digest::Sha256;
use transparency::precertificate::{
    is_precertificate, is_precertificate_signer, tbs_of_presigned, tbs_without_poison,
};
use transparency::skeleton::Skeleton;

use crate::entry::Subject;

/// Why a chain is not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// There is no certificate.
    Empty,
    /// The certificate at this place cannot be read.
    Malformed(usize),
    /// The certificate at this place was not issued by the next one.
    Issuer(usize),
    /// The chain does not end at a root of the log.
    Root,
    /// A pre-certificate was handed in as a certificate, or the other way round.
    Kind,
    /// The log takes nothing in any more.
    ReadOnly,
}

impl Refused {
    /// In words, for the client.
    pub fn text(&self) -> String {
        match self {
            Refused::Empty => "the chain is empty".to_owned(),
            Refused::Malformed(place) => format!("certificate {place} of the chain is malformed"),
            Refused::Issuer(place) => format!("certificate {place} was not issued by the one after it"),
            Refused::Root => "the chain does not end at a root of this log".to_owned(),
            Refused::Kind => "certificates and pre-certificates are handed in at different places".to_owned(),
            Refused::ReadOnly => "this log takes nothing in any more".to_owned(),
        }
    }
}

/// Reads a chain: the subject of the new entry, and its issuers up to a root.
///
/// With roots given, the chain must end at one, which is added when it is missing.
pub(crate) fn read_chain(
    chain: &[Vec<u8>],
    precertificate: bool,
    roots: &[Vec<u8>],
) -> Result<(Subject, Vec<Vec<u8>>), Refused> {
    let mut chain = chain.to_vec();
    let last = chain.last().ok_or(Refused::Empty)?;
    if !roots.is_empty() && !roots.contains(last) {
        let last = Skeleton::parse(last).map_err(|_| Refused::Malformed(chain.len() - 1))?;
        let issued = |root: &&Vec<u8>| Skeleton::parse(root).is_ok_and(|root| root.subject == last.issuer);
        let root = roots.iter().find(issued).ok_or(Refused::Root)?;
        chain.push(root.clone());
    }
    let read = |(place, der): (usize, &'_ Vec<u8>)| match Skeleton::parse(der) {
        Ok(_) => Ok(()),
        Err(_) => Err(Refused::Malformed(place)),
    };
    chain.iter().enumerate().try_for_each(read)?;
    let parsed: Vec<Skeleton<'_>> = chain.iter().flat_map(|der| Skeleton::parse(der)).collect();
    for (place, pair) in parsed.windows(2).enumerate() {
        if pair[0].issuer != pair[1].subject {
            return Err(Refused::Issuer(place));
        }
    }
    if is_precertificate(&parsed[0]) != precertificate {
        return Err(Refused::Kind);
    }
    let subject = if precertificate { cut(&parsed)? } else { Subject::Certificate(chain[0].clone()) };
    Ok((subject, chain[1..].to_vec()))
}

fn cut(chain: &[Skeleton<'_>]) -> Result<Subject, Refused> {
    let (leaf, issuer) = (&chain[0], chain.get(1).ok_or(Refused::Issuer(0))?);
    let (tbs, final_issuer) = if is_precertificate_signer(issuer) {
        (tbs_of_presigned(leaf, issuer), chain.get(2).ok_or(Refused::Issuer(1))?)
    } else {
        (tbs_without_poison(leaf), issuer)
    };
    Ok(Subject::Precertificate {
        der: leaf.der.to_vec(),
        tbs: tbs.map_err(|_| Refused::Malformed(0))?,
        issuer_key_hash: Sha256::of(final_issuer.spki),
    })
}
