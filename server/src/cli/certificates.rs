//! What `query` and `verify` share: reading a certificate in any form in which people have it, and showing it.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use agreement::present;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certificate::codec::Decode;
use certificate::delivery::{TXT_VERSION, from_txt};
use certificate::leaf::{Class, Denial, Leaf, Outcome, RrSet};
use certificate::timestamp::Timestamp;
use certificate::verify::{Verified, VerifyError};
use certificate::{CertifiedAnswer, Cluster, ReplicaSet};
use serde_json::{Value, json};
use thiserror::Error;

use super::judgement;

/// The longest file that is read as a certificate; the longest certificate is some 70 kB, or twice that in hexadecimal.
const INPUT_BYTES_MAX: u64 = 1 << 20;

/// How dig and kdig print the option.
const OPTION_LABELS: [&str; 2] = ["OPT=65321:", "Option (65321):"];

/// Why a command that verifies has no verdict.
#[derive(Debug, Error)]
pub enum InputError {
    /// A file cannot be read.
    #[error("`{}`", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The cluster file is none.
    #[error("{0}")]
    Cluster(String),
    /// The input holds no certificate in any form.
    #[error("expected a certificate (binary, base64, hexadecimal, or dig's output), found none")]
    NoCertificate,
    /// The bytes are no certificate.
    #[error("{0}")]
    Malformed(VerifyError),
}

impl InputError {
    /// The exit code: 1 for what is no certificate, 64 for what cannot be judged at all.
    pub fn exit_code(&self) -> u8 {
        match self {
            InputError::NoCertificate | InputError::Malformed(_) => 1,
            InputError::File { .. } | InputError::Cluster(_) => super::USAGE,
        }
    }
}

/// Reads the cluster file at `path`.
pub fn read_cluster(path: &Path) -> Result<Cluster, InputError> {
    let text =
        fs::read_to_string(path).map_err(|source| InputError::File { path: path.to_owned(), source })?;
    Cluster::parse(&text, &path.display().to_string()).map_err(|errors| {
        InputError::Cluster(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

/// Reads a certificate from the file at `path`, or from standard input when it is `-`.
pub fn read_certificate(path: &Path) -> Result<CertifiedAnswer, InputError> {
    let failed = |source| InputError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().take(INPUT_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        fs::File::open(path)
            .and_then(|file| file.take(INPUT_BYTES_MAX).read_to_end(&mut bytes))
            .map_err(failed)?;
    }
    let bytes = certificate_bytes(&bytes).ok_or(InputError::NoCertificate)?;
    CertifiedAnswer::from_bytes(&bytes).map_err(|error| InputError::Malformed(error.into()))
}

/// Finds the certificate in what people save: the binary file, its base64 or hexadecimal form, the strings of a `_certificate` TXT
/// record, or dig's line about the EDNS option.
fn certificate_bytes(input: &[u8]) -> Option<Vec<u8>> {
    if input.starts_with(b"QRT") {
        return Some(input.to_vec());
    }
    let text = std::str::from_utf8(input).ok()?;
    let words: Vec<&str> =
        text.split(|c: char| c == '"' || c.is_whitespace()).filter(|word| !word.is_empty()).collect();
    if let Some(start) = words.iter().position(|word| *word == TXT_VERSION) {
        return from_txt(&words[start..]).ok();
    }
    // The first byte says what follows: 1 a certificate, 2 only a reference.
    if let Some(option) = OPTION_LABELS.iter().find_map(|label| text.split_once(label)) {
        let digits = option.1.split(['(', '\n']).next()?;
        return hexadecimal(digits)
            .filter(|bytes| bytes.first() == Some(&1))
            .map(|bytes| bytes[1..].to_vec());
    }
    let compact: String = text.split_whitespace().collect();
    hexadecimal(&compact).or_else(|| STANDARD.decode(compact).ok())
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    Some(digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
}

/// The answer and what the certificate shows, for people.
pub fn describe(
    answer: &CertifiedAnswer,
    cluster: &Cluster,
    verdict: &Result<Verified, VerifyError>,
) -> String {
    let leaf = &answer.leaf;
    let proven = is_proven(verdict);
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        let _ = writeln!(text, "{label:<10} {value}");
    };
    line("verdict", verdict_line(verdict));
    if !proven {
        line("", "what follows is claimed by the bytes, and by nobody known:".to_owned());
    }
    if let Some(question) = leaf.question() {
        line("question", question.to_string());
        line("answer", outcome_word(leaf));
    } else {
        judgement::lines(leaf).into_iter().for_each(|(label, value)| line(label, value));
    }
    for rrset in chain(leaf) {
        for rdata in &rrset.rdatas {
            line("", present::record(rrset, rdata));
        }
    }
    if let Some(remark) = leaf.remark() {
        line("remark", format!("{}: {}", remark.judged.word(), remark.text));
    }
    text += &describe_proof(answer, cluster, proven);
    text
}

/// What the certificate shows of its making, for people; names of replicas only when it is `proven`.
pub fn describe_proof(answer: &CertifiedAnswer, cluster: &Cluster, proven: bool) -> String {
    let (leaf, header) = (&answer.leaf, &answer.certificate.header);
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        let _ = writeln!(text, "{label:<10} {value}");
    };
    let single_path = if leaf.single_path { ", single-path: too few upstream groups" } else { "" };
    line("class", format!("{} (policy {}{single_path})", leaf.class, leaf.policy));
    let domain = answer.certificate.domain;
    let cluster_name = if proven { cluster.name.clone() } else { domain.cluster_id.to_string() };
    line("cluster", format!("{cluster_name}, epoch {}", domain.epoch));
    line("slot", format!("{} in view {}", header.sequence, answer.certificate.view));
    let known = proven.then_some(cluster);
    line("signers", names(answer.certificate.signers, known));
    line("support", format!("{} of the {} that observed", names(leaf.support, known), leaf.observers.len()));
    line("seen", Timestamp(leaf.time_ms).to_string());
    line("holds", format!("until {} (TTL {} s when it was seen)", Timestamp(leaf.not_after_ms), leaf.ttl));
    text
}

/// Whether the signatures were found to be those of the cluster: also of an answer that has expired or is of too low a class.
fn is_proven(verdict: &Result<Verified, VerifyError>) -> bool {
    match verdict {
        Ok(_) | Err(VerifyError::Expired { .. } | VerifyError::ClassTooLow { .. }) => true,
        Err(_) => false,
    }
}

fn verdict_line(verdict: &Result<Verified, VerifyError>) -> String {
    match verdict {
        Ok(verified) if verified.in_grace => "valid (expired, but within the grace)".to_owned(),
        Ok(_) => "valid".to_owned(),
        Err(error) => format!("{}: {error}", error.code()),
    }
}

/// The same as one JSON object.
pub fn to_json(
    answer: &CertifiedAnswer,
    cluster: &Cluster,
    verdict: &Result<Verified, VerifyError>,
) -> Value {
    let leaf = &answer.leaf;
    let header = &answer.certificate.header;
    let records: Vec<String> = chain(leaf)
        .iter()
        .flat_map(|rrset| rrset.rdatas.iter().map(|rdata| present::record(rrset, rdata)))
        .collect();
    let ids = |set: ReplicaSet| set.iter().map(|id| id.0).collect::<Vec<_>>();
    json!({
        "question": leaf.question().map(ToString::to_string),
        "answer": outcome_word(leaf),
        "records": records,
        "judgement": leaf.question().is_none().then(|| judgement::to_json(leaf)),
        "remark": leaf.remark().as_ref().map(judgement::remark_json),
        "class": leaf.class.to_string(),
        "policy": leaf.policy.to_string(),
        "single_path": leaf.single_path,
        "cluster": cluster.name,
        "epoch": answer.certificate.domain.epoch.0,
        "view": answer.certificate.view.0,
        "slot": header.sequence.0,
        "signers": ids(answer.certificate.signers),
        "support": ids(leaf.support),
        "observers": ids(leaf.observers),
        "time_ms": leaf.time_ms,
        "not_after_ms": leaf.not_after_ms,
        "ttl": leaf.ttl,
        "valid": verdict.is_ok(),
        "proven": is_proven(verdict),
        "error": verdict.as_ref().err().map(|error| json!({ "code": error.code(), "text": error.to_string() })),
    })
}

/// Reads the word for a class.
pub fn parse_class(text: &str) -> Result<Class, String> {
    Class::ALL.into_iter().find(|class| class.name() == text).ok_or_else(|| {
        let known: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
        format!("expected one of {}, got `{text}`", known.join(", "))
    })
}

/// Replicas by their names in the cluster file, or by number where the file says nothing about them.
fn names(set: ReplicaSet, cluster: Option<&Cluster>) -> String {
    if set.is_empty() {
        return "none".to_owned();
    }
    let member = |id| cluster.and_then(|cluster| cluster.member(id));
    let name = |id| member(id).map_or_else(|| format!("replica {id}"), |member| member.name.clone());
    set.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn outcome_word(leaf: &Leaf) -> String {
    match &leaf.outcome {
        Outcome::Answer(_) => "NOERROR".to_owned(),
        Outcome::Negative { denial: Denial::NxDomain, .. } => "NXDOMAIN".to_owned(),
        Outcome::Negative { denial: Denial::NoData, .. } => "NODATA".to_owned(),
        Outcome::Failure(5) => "REFUSED, agreed on".to_owned(),
        Outcome::Failure(_) => "SERVFAIL, agreed on".to_owned(),
        Outcome::None if leaf.class > Class::Failure => "a verdict".to_owned(),
        Outcome::None => "no agreement".to_owned(),
    }
}

fn chain(leaf: &Leaf) -> &[RrSet] {
    leaf.outcome.rrsets().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = b"QRT\x01\x01\x02";

    #[test]
    fn certificate_is_found_in_every_form_that_people_save() {
        let hex = "515254010102";
        let base64 = STANDARD.encode(BYTES);
        let (first, second) = base64.split_at(3);
        for form in [
            hex.to_owned(),
            format!("{base64}\n"),
            format!("\"v=quorate1\" \"class=strong\" \"cert={first}\" \"{second}\"\n"),
            "; <<>> DiG <<>> +ednsopt=65321:01\n; OPT=65321: 01 51 52 54 01 01 02 (\"..QRT...\")\n;; QUESTION".to_owned(),
            ";; Option (65321): 01515254010102\n".to_owned(),
        ] {
            assert_eq!(certificate_bytes(form.as_bytes()).as_deref(), Some(BYTES), "{form}");
        }
        assert_eq!(certificate_bytes(BYTES).as_deref(), Some(BYTES));
    }

    #[test]
    fn reference_from_an_option_is_no_certificate() {
        assert_eq!(certificate_bytes(b"; OPT=65321: 02 51 52 (\"\")"), None);
    }
}
