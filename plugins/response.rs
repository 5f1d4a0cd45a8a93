//! The answer of a plugin: sections and flags, and where it came from. The engine turns it into a message.

use certificate::certified::CertifiedAnswer;
use certificate::{Judged, Remark};
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
    /// TC: more is to be had over a stream. Such an answer is not cached.
    pub truncated: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The additional section, without OPT.
    pub additionals: Vec<Record>,
    /// Extended errors, RFC 8914. What a remark says is not among them; `told` adds it.
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
            truncated: false,
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

    /// What a client is told beside the answer, as INFO-CODE and text of RFC 8914: first the remark, unless it says that all holds, then the
    /// extended errors. Whoever writes a reply asks here, so that a reply from a cache says the same as the first one.
    pub fn told(&self) -> impl Iterator<Item = (u16, &str)> {
        let remark = self.remark.iter().filter(|remark| remark.judged != Judged::Valid);
        let remark = remark.map(|remark| (remark.info_code, remark.text.as_str()));
        remark.chain(self.extended_errors.iter().map(|error| (error.code, error.text.as_str())))
    }

    /// Whether an answer was there and is held back for what was found in it: a SERVFAIL that nobody may get around by an older answer.
    pub fn is_withheld(&self) -> bool {
        let found = self.remark.as_ref().is_some_and(|remark| remark.judged != Judged::Valid);
        self.rcode == ResponseCode::ServFail && found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::{a, answer};

    #[test]
    fn remark_is_told_first_unless_all_holds() {
        let mut response = answer(vec![a("www.example.org.", 300, 1)]);
        response.extended_errors.push(ExtendedError { code: 3, text: "stale".into() });
        for (judged, expected) in [
            (Judged::Valid, vec![(3, "stale")]),
            (Judged::Invalid, vec![(15, "found"), (3, "stale")]),
            (Judged::Indeterminate, vec![(15, "found"), (3, "stale")]),
        ] {
            response.remark = Some(Remark::new(judged, 15, "found"));
            assert_eq!(response.told().collect::<Vec<_>>(), expected, "{judged:?}");
        }
    }
}
