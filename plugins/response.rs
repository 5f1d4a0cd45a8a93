//! The answer of a plugin: sections and flags, and where it came from. The engine turns it into a message.

use certificate::Remark;
use certificate::certified::CertifiedAnswer;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::opt::EdnsOption;

use crate::certification::Certification;
use crate::error::ExtendedError;

/// A quorum certificate beside an answer, ready to be sent.
#[derive(Debug)]
pub struct Certified {
    /// The certificate.
    pub answer: CertifiedAnswer,
    /// Its encoding, as `quorate verify` reads it.
    pub bytes: Vec<u8>,
    /// The 33 bytes that stand for it over UDP, the same from every replica.
    pub reference: [u8; 33],
    /// The EDNS option that asks for it and carries it; 65321 unless configured.
    pub option_code: u16,
}

/// What a plugin answers. TTLs are as of now.
#[derive(Clone, Debug)]
pub struct Response {
    /// The result code.
    pub rcode: ResponseCode,
    /// AA
    pub authoritative: bool,
    /// RA
    pub recursion_available: bool,
    /// AD: DNSSEC validated this. Never set for mere agreement.
    pub authentic_data: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The additional section, without OPT.
    pub additionals: Vec<Record>,
    /// Extended errors, RFC 8914.
    pub extended_errors: Vec<ExtendedError>,
    /// Further EDNS options for a client that sent EDNS.
    pub options: Vec<EdnsOption>,
    /// The certificate, when a quorum signed this answer or is about to.
    pub certificate: Option<Certification>,
    /// What a plugin found out about the content of the answer; a cluster agrees on it beside the answer.
    pub remark: Option<Remark>,
    /// The plugin that made the answer: for logs and metrics.
    pub origin: &'static str,
    /// How long it may be cached at most, in seconds, where records do not say it: certified failures, stale answers. `Some(0)`: not at all.
    pub cache_ttl_s: Option<u32>,
}

impl Response {
    /// An empty answer with `rcode`, made by the plugin `origin`.
    pub fn new(rcode: ResponseCode, origin: &'static str) -> Response {
        Response {
            rcode,
            authoritative: false,
            recursion_available: false,
            authentic_data: false,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            extended_errors: Vec::new(),
            options: Vec::new(),
            certificate: None,
            remark: None,
            origin,
            cache_ttl_s: None,
        }
    }
}
