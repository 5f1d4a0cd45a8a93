//! Reads a request for a validation: chain, name, purpose, time; and makes an operation of it by the inputs in force.

use bytes::Bytes;
use certificate::OperationKind;
use rustls_pki_types::CertificateDer;
use transparency::Moment;
use transparency::chain::Purpose;
use transparency::content::{CHAIN_CERTIFICATES_MAX, encode_chain};
use transparency::operation::{
    CLOCK_DIFFERENCE_MINUTES_MAX, CertificateSubject, InputKind, NAME_BYTES_MAX, ValidateSubject,
};
use transparency::roots::certificates_from_pem;
use transparency::skeleton::Skeleton;

use super::handler::Core;
use crate::validator::{Refusal, Task};

/// What was asked for.
#[derive(Debug)]
struct Asked {
    name: Option<String>,
    purpose: Purpose,
    at: Moment,
}

impl Core {
    /// The operation that a request asks for. The chain is among the content from now on.
    pub fn composed(&self, query: &str, body: &[u8], now_ms: u64) -> Result<Task, Refusal> {
        let asked = read_query(query, Moment::from_milliseconds(now_ms))?;
        let chain = read_chain(body)?;
        let digest = |kind| {
            let in_force = self.in_force.now(kind).map(|decided| decided.digest);
            in_force.or_else(|| self.own.materials().input(kind).map(|input| input.digest()))
        };
        let subject = CertificateSubject {
            chain: self.chains.put(Bytes::from(encode_chain(&chain))),
            name: asked.name,
            purpose: asked.purpose,
            at_minutes: CertificateSubject::minute(asked.at),
            policy: self.settings.policy,
            revocation: self.settings.revocation,
            log_list: digest(InputKind::LogList),
            trust: digest(InputKind::Trust).ok_or_else(|| refusal(503, "there are no roots"))?,
            lists: digest(InputKind::Lists),
        };
        let subject = ValidateSubject::Certificate(subject).encode();
        let subject = subject.ok_or_else(|| refusal(400, "the name or the policy is too long"))?;
        Ok(Task { kind: OperationKind::Validate, subject })
    }
}

fn read_query(query: &str, now: Moment) -> Result<Asked, Refusal> {
    let mut asked = Asked { name: None, purpose: Purpose::Server, at: now };
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "name" if value.is_empty() => {}
            "name" => asked.name = Some(read_name(&value)?),
            "purpose" => asked.purpose = read_purpose(&value)?,
            "at" => asked.at = read_time(&value)?,
            other => {
                let why = format!("expected `name`, `purpose` or `at`, got `{}`", shown(other));
                return Err(refusal(400, why));
            }
        }
    }
    let apart = CertificateSubject::minute(asked.at).abs_diff(CertificateSubject::minute(now));
    if apart > CLOCK_DIFFERENCE_MINUTES_MAX {
        let why = format!(
            "expected a time within {CLOCK_DIFFERENCE_MINUTES_MAX} minutes of {now}, got {}",
            asked.at
        );
        return Err(refusal(400, why));
    }
    Ok(asked)
}

fn read_name(text: &str) -> Result<String, Refusal> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    let is_name =
        !bare.is_empty() && bare.len() <= NAME_BYTES_MAX && bare.bytes().all(|b| b.is_ascii_graphic());
    if is_name {
        Ok(bare.to_ascii_lowercase())
    } else {
        Err(refusal(400, format!("expected a DNS name in ASCII or an address, got `{}`", shown(text))))
    }
}

fn read_purpose(text: &str) -> Result<Purpose, Refusal> {
    let all = [Purpose::Server, Purpose::Client, Purpose::Email, Purpose::Any];
    let found = all.into_iter().find(|purpose| purpose.word() == text);
    found.ok_or_else(|| {
        refusal(400, format!("expected `server`, `client`, `email` or `any`, got `{}`", shown(text)))
    })
}

fn read_time(text: &str) -> Result<Moment, Refusal> {
    let seconds = text.parse::<i64>().ok().filter(|seconds| *seconds >= 0).map(Moment::from_seconds);
    seconds.or_else(|| text.parse().ok()).ok_or_else(|| {
        refusal(
            400,
            format!(
                "expected seconds since 1970 or a time like `2026-08-01T00:00:00Z`, got `{}`",
                shown(text)
            ),
        )
    })
}

/// The certificates of the body: PEM, or one in DER. The first must be one that can be taken apart.
fn read_chain(body: &[u8]) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    if body.is_empty() {
        return Err(refusal(400, "expected a certificate, got an empty body"));
    }
    let chain = if body.first() == Some(&DER_SEQUENCE) {
        vec![CertificateDer::from(body.to_vec())]
    } else {
        certificates_from_pem(body, CHAIN_CERTIFICATES_MAX)
            .map_err(|error| refusal(400, error.to_string()))?
    };
    match chain.first().map(|leaf| Skeleton::parse(leaf)) {
        Some(Ok(_)) => Ok(chain),
        _ => Err(refusal(400, "expected a certificate in PEM or DER, got something else")),
    }
}

fn refusal(status: u16, why: impl Into<String>) -> Refusal {
    Refusal { status, why: why.into() }
}

fn shown(text: &str) -> String {
    text.chars().take(TEXT_SHOWN_MAX).collect()
}

/// The first byte of DER, which PEM never has.
const DER_SEQUENCE: u8 = 0x30;
/// How much of a wrong text an error repeats.
const TEXT_SHOWN_MAX: usize = 80;
