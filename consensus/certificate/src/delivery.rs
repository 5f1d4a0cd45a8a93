//! How a certificate travels inside DNS: an EDNS option for those who ask for it, and TXT strings for everybody's `dig`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::certified::REFERENCE_TAG;
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::timestamp::Timestamp;
use crate::{CertifiedAnswer, Digest};

/// The EDNS option that carries certificates, unless the Corefile names another: private use (RFC 6891 §9).
pub const OPTION_CODE: u16 = 65_321;

/// The first byte of an option that carries a certificate.
pub const CERTIFICATE_TAG: u8 = 1;

/// The first string of a TXT record that carries a certificate.
pub const TXT_VERSION: &str = "v=quorate1";

const TXT_CERTIFICATE: &str = "cert=";

/// The longest string in a TXT record. RFC 1035 §3.3.14.
const TXT_STRING_BYTES_MAX: usize = 255;

/// What a query asks for in its option: one byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Wanted {
    /// The certificate, or nothing when it cannot be sent.
    Certificate = 1,
    /// The reference only.
    Reference = 2,
    /// The certificate; when it cannot be sent, the reference.
    Either = 3,
}

impl Encode for Wanted {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(*self as u8);
    }
}

impl Decode for Wanted {
    fn decode(reader: &mut Reader<'_>) -> Result<Wanted, DecodeError> {
        let offset = reader.offset();
        match reader.u8()? {
            1 => Ok(Wanted::Certificate),
            2 => Ok(Wanted::Reference),
            3 => Ok(Wanted::Either),
            byte => Err(Reader::invalid(offset, "option flags", "1 to 3", u64::from(byte))),
        }
    }
}

/// What a response carries in its option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Carried {
    /// `0x01` and the bytes of a certificate, which are not looked at here.
    Certificate(Vec<u8>),
    /// `0x02` and the digest of a reference, see `CertifiedAnswer::reference`.
    Reference(Digest),
}

impl Carried {
    /// The data of the option.
    pub fn to_option(&self) -> Vec<u8> {
        match self {
            Carried::Certificate(bytes) => [&[CERTIFICATE_TAG], bytes.as_slice()].concat(),
            Carried::Reference(digest) => [&[REFERENCE_TAG], digest.0.as_slice()].concat(),
        }
    }

    /// Reads the data of the option.
    pub fn from_option(data: &[u8]) -> Result<Carried, DecodeError> {
        let mut reader = Reader::new(data);
        match reader.u8()? {
            CERTIFICATE_TAG => Ok(Carried::Certificate(data[1..].to_vec())),
            REFERENCE_TAG => {
                let digest = Digest::decode(&mut reader)?;
                reader.finish()?;
                Ok(Carried::Reference(digest))
            }
            tag => Err(Reader::invalid(0, "option tag", "1 or 2", u64::from(tag))),
        }
    }
}

/// The strings of the TXT record at `_certificate.NAME`: what it says for people, then the certificate in base64.
///
/// Only the certificate counts; the rest repeats what is in it.
pub fn to_txt(answer: &CertifiedAnswer) -> Vec<String> {
    let header = &answer.certificate.header;
    let signers: Vec<String> = answer.certificate.signers.iter().map(|id| id.to_string()).collect();
    let mut strings = vec![
        TXT_VERSION.to_owned(),
        format!("class={}", answer.leaf.class),
        format!("slot={}", header.sequence),
        format!("signers={}", signers.join(",")),
        format!("time={}", Timestamp(answer.leaf.time_ms)),
        format!("not-after={}", Timestamp(answer.leaf.not_after_ms)),
    ];
    let mut rest = format!("{TXT_CERTIFICATE}{}", STANDARD.encode(answer.to_bytes()));
    while rest.len() > TXT_STRING_BYTES_MAX {
        let tail = rest.split_off(TXT_STRING_BYTES_MAX);
        strings.push(std::mem::replace(&mut rest, tail));
    }
    strings.push(rest);
    strings
}

/// Why the strings of a TXT record carry no certificate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TxtError {
    /// Another TXT record, or another version.
    #[error("expected `{TXT_VERSION}` as the first string")]
    Version,
    /// No string begins with `cert=`.
    #[error("expected a string that starts with `{TXT_CERTIFICATE}`, found none")]
    Missing,
    /// What follows `cert=` is not base64 (RFC 4648 §4, with padding).
    #[error("expected base64 after `{TXT_CERTIFICATE}`")]
    Base64,
}

/// The bytes of the certificate in the strings of a TXT record.
pub fn from_txt<S: AsRef<[u8]>>(strings: &[S]) -> Result<Vec<u8>, TxtError> {
    let mut strings = strings.iter().map(AsRef::as_ref);
    if strings.next() != Some(TXT_VERSION.as_bytes()) {
        return Err(TxtError::Version);
    }
    let mut rest = strings.skip_while(|string| !string.starts_with(TXT_CERTIFICATE.as_bytes()));
    let mut text = rest.next().ok_or(TxtError::Missing)?[TXT_CERTIFICATE.len()..].to_vec();
    text.extend(rest.flatten());
    STANDARD.decode(text).map_err(|_| TxtError::Base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wish_is_exactly_one_known_byte() {
        for wanted in [Wanted::Certificate, Wanted::Reference, Wanted::Either] {
            assert_eq!(Wanted::from_bytes(&[wanted as u8]), Ok(wanted));
        }
        for data in [&[][..], &[0], &[4], &[1, 0]] {
            assert!(Wanted::from_bytes(data).is_err(), "{data:?}");
        }
    }

    #[test]
    fn option_carries_a_certificate_or_a_reference() {
        for carried in [Carried::Certificate(vec![1, 2, 3]), Carried::Reference(Digest::of(b"leaf"))] {
            assert_eq!(Carried::from_option(&carried.to_option()), Ok(carried));
        }
        assert!(Carried::from_option(&[]).is_err());
        assert!(Carried::from_option(&[3]).is_err());
        assert!(Carried::from_option(&[2; 32]).is_err());
        assert!(Carried::from_option(&[2; 34]).is_err());
    }

    #[test]
    fn txt_without_version_certificate_or_base64_is_refused() {
        assert_eq!(from_txt::<&str>(&[]), Err(TxtError::Version));
        assert_eq!(from_txt(&["v=spf1", "cert=AAAA"]), Err(TxtError::Version));
        assert_eq!(from_txt(&["v=quorate1", "class=strong"]), Err(TxtError::Missing));
        assert_eq!(from_txt(&["v=quorate1", "cert=AAA"]), Err(TxtError::Base64));
        assert_eq!(from_txt(&["v=quorate1", "class=strong", "cert=AA", "AA"]), Ok(vec![0, 0, 0]));
    }
}
