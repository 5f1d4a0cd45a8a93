//! A leaf as rustls-webpki takes it.
//!
//! The library refuses a certificate whose list of timestamps is no OCTET STRING. That is for the logs' part of a verdict to say,
//! not for the chain's; so such a list is hidden from the library, while the signature is verified over the original bytes.

use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error};

use crate::der::{self, Reader};
use crate::precertificate::{sct_list, tbs_without_scts};
use crate::sct::{ListError, parse_extension};
use crate::skeleton::Skeleton;

/// A leaf, with its list of timestamps hidden if the library would stumble over it.
pub(crate) struct Presented<'a> {
    certificate: CertificateDer<'a>,
    /// The TBSCertificate that the library sees, and the one that was signed; `None` when they are the same.
    swapped: Option<(Vec<u8>, &'a [u8])>,
}

impl<'a> Presented<'a> {
    pub fn new(leaf: &Skeleton<'a>) -> Self {
        let list = sct_list(leaf).ok().flatten();
        let stumbles = list.is_some_and(|list| parse_extension(list) == Err(ListError::NotOctetString));
        if let Some(tbs) = stumbles.then(|| tbs_without_scts(leaf).ok()).flatten()
            && let Some(certificate) = with_tbs(leaf, &tbs)
        {
            return Presented { certificate: certificate.into(), swapped: Some((tbs, leaf.tbs)) };
        }
        Presented { certificate: leaf.der.into(), swapped: None }
    }

    /// Reads the leaf by the library, and hands it on with the algorithms that verify its signature.
    pub fn look<T>(
        &self,
        look: impl FnOnce(&EndEntityCert<'_>, &[&dyn SignatureVerificationAlgorithm]) -> T,
    ) -> Result<T, Error> {
        let leaf = EndEntityCert::try_from(&self.certificate)?;
        let Some((seen, signed)) = &self.swapped else { return Ok(look(&leaf, ALL_VERIFICATION_ALGS)) };
        let swapping: Vec<Swapping<'_>> =
            ALL_VERIFICATION_ALGS.iter().map(|inner| Swapping { inner: *inner, seen, signed }).collect();
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            swapping.iter().map(|one| one as _).collect();
        Ok(look(&leaf, &algorithms))
    }
}

/// The certificate with another TBSCertificate.
fn with_tbs(leaf: &Skeleton<'_>, tbs: &[u8]) -> Option<Vec<u8>> {
    let mut fields = Reader::new(der::only(leaf.der, der::SEQUENCE).ok()?.body);
    fields.expect(der::SEQUENCE).ok()?;
    Some(der::element(der::SEQUENCE, &[tbs, fields.rest()]))
}

/// A signature algorithm that verifies what was signed when it is shown what the library saw.
#[derive(Debug)]
struct Swapping<'a> {
    inner: &'static dyn SignatureVerificationAlgorithm,
    seen: &'a [u8],
    signed: &'a [u8],
}

impl SignatureVerificationAlgorithm for Swapping<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let message = if message == self.seen { self.signed } else { message };
        self.inner.verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.signature_alg_id()
    }
}
