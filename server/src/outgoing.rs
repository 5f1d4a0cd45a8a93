//! What goes beside an answer in a reply: options, the certificate in the form that was asked for, and how long the reply may be.
//!
//! Whoever has not proven its address may be somebody else's victim: what multiplies a message is not for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use certificate::delivery::CERTIFICATE_TAG;
use plugins::{Certified, Client, Response, ServeError, Transport};
use tracing::debug;

use crate::cookie::{self, Checked};
use crate::edns::{CertificateForm, KEEPALIVE, NSID, Opt, PADDING};
use crate::engine::response_to;
use crate::message::{Asked, HEADER_BYTES};
use crate::reply::{self, Bounds, Reply};

/// A query as its reply must know it.
pub struct Outgoing<'a> {
    /// The query.
    pub asked: &'a Asked<'a>,
    /// Who asks.
    pub client: Client,
    /// What its cookie is worth, if it has one.
    pub cookie: Option<Checked>,
    /// Largest UDP reply in bytes.
    pub udp_payload_max: u16,
    /// What the server is called, for clients that ask.
    pub nsid: Option<&'a [u8]>,
    /// How long a connection may be idle, for clients that ask.
    pub idle_timeout: Duration,
    /// Whether no plugin saw the query: none has judged the client.
    pub refused: bool,
}

impl Outgoing<'_> {
    /// Whether the client has shown that it receives what is sent to its address.
    pub fn is_address_proven(&self) -> bool {
        !self.client.transport.is_datagram() || self.cookie.is_some_and(|cookie| cookie.proven)
    }

    /// Writes the reply, with the certificate in the form that the client asked for and the transport allows, if it is there at `until`.
    pub async fn reply(&self, response: &Response, until: Instant) -> Vec<u8> {
        let certificate = self.certificate(response, until).await;
        let wanted = certificate.as_ref().map(|(certified, form)| (certified.as_ref(), *form));
        let terse = self.must_be_terse(response);
        let mut opt = self.asked.envelope.edns.map(|edns| Opt::new(self.udp_payload_max, edns.dnssec_ok));
        if let (Some(opt), Some(cookie)) = (&mut opt, self.cookie) {
            opt.push(cookie::OPTION_CODE, cookie.reply.to_vec());
        }
        if let (Some(opt), Some(nsid)) = (&mut opt, self.nsid.filter(|_| !terse))
            && self.asked.option(NSID).is_some()
        {
            opt.push(NSID, nsid.to_vec());
        }
        // A whole certificate multiplies what an attacker sends in a victim's name; a cookie shows that nobody is a victim.
        if let Some((certified, CertificateForm::Full)) = wanted
            && self.is_address_proven()
        {
            let mut value = vec![CERTIFICATE_TAG];
            value.extend_from_slice(&certified.bytes);
            if let Some(reply) = self.write(response, opt.clone(), Some((certified.option_code, value))) {
                return reply.bytes;
            }
        }
        let reference = wanted.map(|(certified, _)| (certified.option_code, certified.reference.to_vec()));
        match self.write(response, opt.clone(), reference) {
            Some(reply) => reply.bytes,
            None => {
                let error = ServeError::Internal("the answer cannot be encoded".into());
                let reply = self.write(&response_to(&error, self.asked), opt, None);
                reply.map(|reply| reply.bytes).unwrap_or_default()
            }
        }
    }

    /// Whether the reply says no more than it must: nobody has judged the client, or somebody who did lets it know nothing but that it is to come over TCP;
    /// and its address may be a victim's.
    fn must_be_terse(&self, response: &Response) -> bool {
        let sections = [&response.answers, &response.authorities, &response.additionals];
        let is_slip = response.truncated && sections.iter().all(|section| section.is_empty());
        (self.refused || is_slip) && !self.is_address_proven()
    }

    /// The certificate, if the client asked for it: the one case in which an answer that is certain waits, for the commits of its slot. What is not there
    /// at `until` does not come with this reply.
    async fn certificate(
        &self,
        response: &Response,
        until: Instant,
    ) -> Option<(Arc<Certified>, CertificateForm)> {
        let certification = response.certificate.as_ref()?;
        let form = CertificateForm::asked(self.asked.option(certification.option_code())?)?;
        let complete = tokio::time::timeout_at(until.into(), certification.wait()).await;
        Some((complete.ok().flatten()?, form))
    }

    /// Writes the reply; `None` when it cannot be encoded, or when a whole certificate would cost records.
    fn write(
        &self,
        response: &Response,
        mut opt: Option<Opt>,
        certificate: Option<(u16, Vec<u8>)>,
    ) -> Option<Reply> {
        let (asked, bounds) = (self.asked, self.bounds());
        let whole = certificate.as_ref().is_some_and(|(_, value)| value[0] == CERTIFICATE_TAG);
        if let Some(opt) = &mut opt {
            if let Some((code, value)) = certificate {
                opt.push(code, value);
            }
            if matches!(self.client.transport, Transport::Tcp | Transport::Tls)
                && asked.option(KEEPALIVE).is_some()
            {
                let units = u16::try_from(self.idle_timeout.as_millis() / 100).unwrap_or(u16::MAX);
                opt.push(KEEPALIVE, units.to_be_bytes().to_vec());
            }
            self.push_words(opt, response);
            if whole && opt.length() + asked.envelope.question?.len() + HEADER_BYTES > bounds.bytes_max {
                return None;
            }
        }
        match reply::write(&asked.envelope, &asked.name, response, opt, bounds) {
            Ok(reply) if whole && reply.shortened => None,
            Ok(reply) => Some(reply),
            Err(error) => {
                debug!(name = %asked.name, %error, "answer cannot be encoded");
                None
            }
        }
    }

    /// Adds what plugins and the engine have to say beside the records.
    fn push_words(&self, opt: &mut Opt, response: &Response) {
        if self.must_be_terse(response) {
            opt.push_errors(response.told().map(|(code, _)| (code, "")));
        } else {
            response.options.iter().for_each(|option| opt.push_option(option));
            opt.push_errors(response.told());
        }
    }

    /// How long a reply may be. RFC 6891 §6.2.3: what a client says below 512 counts as 512.
    fn bounds(&self) -> Bounds {
        let transport = self.client.transport;
        let bytes_max = match (transport.is_datagram(), self.asked.envelope.edns) {
            (false, _) => u16::MAX,
            (true, None) => PLAIN_PAYLOAD,
            (true, Some(edns)) => {
                edns.payload_size.max(PLAIN_PAYLOAD).min(self.udp_payload_max.max(PLAIN_PAYLOAD))
            }
        };
        let encrypted = matches!(transport, Transport::Tls | Transport::Quic | Transport::Https);
        Bounds { bytes_max: usize::from(bytes_max), pad: encrypted && self.asked.option(PADDING).is_some() }
    }
}

/// Longest UDP reply to a client without EDNS. RFC 1035 §4.2.1
const PLAIN_PAYLOAD: u16 = 512;
