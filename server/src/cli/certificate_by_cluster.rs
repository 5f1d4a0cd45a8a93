//! `quorate certificate check --cluster`: has a cluster judge a certificate, and believes nobody but the quorum that signed what it decided.
//!
//! The replica that is asked is not trusted: the signatures are checked by the cluster file, and what they are about against the own chain, name, purpose,
//! time and policy, so that no replica passes the verdict on another certificate off as that on this one. What it says that it alone knows is shown
//! as that, and decides nothing.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certificate::codec::Decode;
use certificate::leaf::{Class, Leaf};
use certificate::verify::{GRACE_MS, VerifyError, verify};
use certificate::{CertifiedAnswer, Cluster};
use rustls_pki_types::CertificateDer;
use serde::Deserialize as _;
use serde_json::{Value, json};
use thiserror::Error;
use transparency::chain::Purpose;
use transparency::content::encode_chain;
use transparency::digest::Sha256;
use transparency::local::Local;
use transparency::operation::{Agreed, AgreedError, CertificateSubject, ValidateSubject};
use transparency::{Conclusion, Moment, Policy};

use super::admin_client::{AdminAddress, AdminClientError, parameter, post_pem};
use super::certificates::{InputError, describe_proof, read_cluster, to_json};
use super::judgement::{local_lines, subject_lines, verdict_lines, word};
use super::verify::now_ms;

/// The replica to ask, as `@HOST[:PORT]`: its admin listener.
#[derive(Clone, Debug)]
pub struct Server(AdminAddress);

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Server, String> {
        let address = text.strip_prefix('@').ok_or(format!("expected `@HOST:PORT`, got `{text}`"))?;
        address.parse().map(Server)
    }
}

/// What is asked, and of whom.
pub struct Asked<'a> {
    /// The replica.
    pub server: &'a Server,
    /// The cluster file that is trusted.
    pub cluster: &'a Path,
    /// The certificate, then its issuers.
    pub chain: &'a [CertificateDer<'a>],
    /// The name that it must be for.
    pub name: Option<&'a str>,
    /// What it is to be used for.
    pub purpose: Purpose,
    /// For which time.
    pub at: Moment,
    /// Which policy it must have been judged by; any when not given.
    pub policy: Option<&'a Policy>,
    /// Where the quorum's certificate is kept.
    pub save: Option<&'a Path>,
    /// Whether to print JSON.
    pub json: bool,
}

/// Why nothing is proven about a certificate.
#[derive(Debug, Error)]
pub enum AskError {
    /// The cluster file.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The file for the quorum's certificate.
    #[error("`{}`", path.display())]
    Save {
        /// Its path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The replica cannot be asked, or has no decision.
    #[error(transparent)]
    Replica(#[from] AdminClientError),
    /// What the replica returned holds no quorum certificate.
    #[error("expected a quorum certificate from the replica, found none")]
    NoCertificate,
    /// The quorum's certificate does not verify.
    #[error("what the replica returned does not verify: {0}")]
    Unproven(VerifyError),
    /// It is about something else.
    #[error("what the replica returned is about something else: expected {expected}, found {found}")]
    OtherSubject {
        /// What was asked.
        expected: String,
        /// What the quorum signed.
        found: String,
    },
    /// The verdict is of another release.
    #[error("what the cluster agreed on cannot be read: {0}")]
    Verdict(#[source] AgreedError),
}

impl AskError {
    /// The exit code: 64 for files, 3 when nothing is proven.
    pub fn exit_code(&self) -> u8 {
        match self {
            AskError::Input(_) | AskError::Save { .. } => super::USAGE,
            _ => NOT_PROVEN,
        }
    }
}

/// What a quorum has signed about the certificate.
struct Proven {
    answer: CertifiedAnswer,
    subject: CertificateSubject,
    /// `None` when replicas could not judge it, or did not agree.
    agreed: Option<Agreed>,
    /// What the replica says that it found by itself. Nobody has signed it.
    local: Option<Local>,
}

/// Asks, verifies, prints, and returns the exit code.
///
/// Errors: nothing is proven.
pub fn check(asked: &Asked<'_>) -> Result<u8, AskError> {
    let cluster = read_cluster(asked.cluster)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime of one thread needs no more than the program has");
    let returned = runtime.block_on(post_pem(&asked.server.0, &path(asked), pem(asked.chain)))?;
    let bytes = returned["certificate"].as_str().and_then(|text| STANDARD.decode(text).ok());
    let bytes = bytes.ok_or(AskError::NoCertificate)?;
    let local = Local::deserialize(&returned["validation"]["local"]).ok();
    let proven = Proven { local, ..prove(asked, &cluster, &bytes, now_ms())? };
    if let Some(path) = asked.save {
        fs::write(path, &bytes).map_err(|source| AskError::Save { path: path.to_owned(), source })?;
    }
    if asked.json {
        println!("{}", shown(&proven, &cluster));
    } else {
        print!("{}", describe(&proven, &cluster));
    }
    Ok(match proven.agreed.map(|agreed| agreed.verdict) {
        Some(Conclusion::Valid) => 0,
        Some(Conclusion::Invalid) => 1,
        Some(Conclusion::Indeterminate) | None => 2,
    })
}

fn path(asked: &Asked<'_>) -> String {
    let minute = u64::from(CertificateSubject::minute(asked.at));
    let mut path =
        format!("/v1/certificates/validate?purpose={}&at={}", parameter(&word(&asked.purpose)), minute * 60);
    if let Some(name) = asked.name {
        let _ = write!(path, "&name={}", parameter(name));
    }
    path
}

/// The certificates alone: the file may hold other things, a key among them.
fn pem(chain: &[CertificateDer<'_>]) -> String {
    let mut pem = String::new();
    for certificate in chain {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = STANDARD.encode(certificate);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, behind) = rest.split_at(rest.len().min(PEM_LINE_CHARS));
            pem.push_str(line);
            pem.push('\n');
            rest = behind;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

fn prove(asked: &Asked<'_>, cluster: &Cluster, bytes: &[u8], now_ms: u64) -> Result<Proven, AskError> {
    let answer =
        CertifiedAnswer::from_bytes(bytes).map_err(|error| AskError::Unproven(VerifyError::from(error)))?;
    verify(&answer, cluster, None, now_ms, GRACE_MS, Class::NoAgreement).map_err(AskError::Unproven)?;
    let subject = subject(asked, &answer.leaf)?;
    let agreed = match answer.leaf.class {
        Class::NoAgreement | Class::Failure => None,
        _ => Some(Agreed::decode(&answer.leaf.verdict).map_err(AskError::Verdict)?),
    };
    Ok(Proven { answer, subject, agreed, local: None })
}

/// What the leaf is about, if that is what was asked.
fn subject(asked: &Asked<'_>, leaf: &Leaf) -> Result<CertificateSubject, AskError> {
    let is_validation = leaf.kind() == certificate::OperationKind::Validate;
    let decoded = ValidateSubject::decode(&leaf.subject.operation_bytes()).ok().filter(|_| is_validation);
    let other = |expected: String, found: String| Err(AskError::OtherSubject { expected, found });
    let Some(ValidateSubject::Certificate(subject)) = decoded else {
        return other("a certificate".to_owned(), "something else".to_owned());
    };
    let chain = Sha256::of(&encode_chain(asked.chain));
    if subject.chain != chain {
        return other(format!("the chain {chain}"), format!("the chain {}", subject.chain));
    }
    let named = |name: Option<&str>| name.map_or("no name".to_owned(), |name| format!("the name `{name}`"));
    let name = asked.name.filter(|name| !name.is_empty());
    let same_name = match (name, subject.name.as_deref()) {
        // A replica reads a name without the dot at its end, and in lower case.
        (Some(asked), Some(found)) => {
            let bare = asked.strip_suffix('.').unwrap_or(asked);
            bare.eq_ignore_ascii_case(found)
        }
        (asked, found) => asked == found,
    };
    if !same_name {
        return other(named(asked.name), named(subject.name.as_deref()));
    }
    if subject.purpose != asked.purpose {
        return other(
            format!("the purpose {}", word(&asked.purpose)),
            format!("the purpose {}", word(&subject.purpose)),
        );
    }
    if subject.at_minutes != CertificateSubject::minute(asked.at) {
        return other(format!("the minute of {}", asked.at), subject.at().to_string());
    }
    match asked.policy {
        Some(policy) if *policy != subject.policy => {
            other(format!("the policy {policy}"), format!("the policy {}", subject.policy))
        }
        _ => Ok(subject),
    }
}

fn conclusion(proven: &Proven) -> String {
    match (&proven.agreed, proven.answer.leaf.class) {
        (Some(agreed), _) => word(&agreed.verdict),
        (None, Class::Failure) => "indeterminate: enough replicas cannot judge it".to_owned(),
        (None, _) => "indeterminate: replicas do not agree".to_owned(),
    }
}

fn describe(proven: &Proven, cluster: &Cluster) -> String {
    let mut text = format!("{}\n", conclusion(proven));
    let lines = proven.agreed.iter().flat_map(|agreed| verdict_lines(agreed).into_iter().skip(1));
    for (label, value) in lines.chain(subject_lines(&proven.subject)) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:<10} {value}");
    }
    text += &describe_proof(&proven.answer, cluster, true);
    for (label, value) in proven.local.iter().flat_map(local_lines) {
        let _ = writeln!(text, "{label:<10} {value}");
    }
    text
}

fn shown(proven: &Proven, cluster: &Cluster) -> Value {
    let verdict = proven.agreed.as_ref().map_or(Conclusion::Indeterminate, |agreed| agreed.verdict);
    // It was verified to come here.
    let verified = verify(&proven.answer, cluster, None, proven.answer.leaf.time_ms, 0, Class::NoAgreement);
    json!({
        "verdict": verdict,
        "agreed": proven.agreed,
        "certificate": to_json(&proven.answer, cluster, &verified),
        "local": proven.local,
    })
}

/// The exit code when no quorum says anything about the certificate.
const NOT_PROVEN: u8 = 3;
/// Characters of a line of PEM. RFC 7468 §2
const PEM_LINE_CHARS: usize = 64;

#[cfg(test)]
#[path = "certificate_by_cluster_tests.rs"]
mod tests;
