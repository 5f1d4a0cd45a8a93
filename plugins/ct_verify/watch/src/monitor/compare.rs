//! A new certificate, compared with what the zone itself says: who may issue, which keys are known, which names exist.
//!
//! A CAA record names an authority by a domain, a certificate by a distinguished name, and nothing ties the two together; so CAA alone
//! speaks against an issuer only when it forbids all. Whom else the operator expects is said in the configuration.

use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;
use transparency::digest::Sha256;
use transparency::tlsa::{Matching, Selector, Tlsa, Usage};

use super::announced::Announced;
use super::zones::Zone;
use crate::names::{Caa, Names};

/// What the comparison of a certificate with its zone gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Whether the operator expects this issuer; `None` when nothing is said about issuers.
    pub issuer_expected: Option<bool>,
    /// What CAA records say.
    pub caa: CaaState,
    /// What is known of the key.
    pub key: KeyState,
    /// Which names exist.
    pub names: NameState,
}

/// What CAA records say of a certificate's names, the strictest of all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum CaaState {
    /// DNS gave no answer.
    Unknown,
    /// Anybody may issue.
    Absent,
    /// These authorities may issue, by their domains; not compared with the issuer.
    Listed {
        /// Where the records are.
        owner: String,
        /// The domains.
        authorities: Vec<String>,
    },
    /// Nobody may issue.
    Forbidden {
        /// Where the records are.
        owner: String,
    },
}

/// What is known of a certificate's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// A TLSA record of one of its names has it.
    Declared,
    /// A server of one of its names was seen with it.
    Served,
    /// TLSA records of its names have other keys only.
    NotDeclared,
    /// No record says anything that can be compared with a key.
    Undeclared,
    /// DNS gave no answer.
    Unknown,
}

/// Which of a certificate's names exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum NameState {
    /// All that were asked for.
    Exist,
    /// These do not.
    Missing {
        /// The names.
        names: Vec<String>,
    },
    /// DNS gave no answer.
    Unknown,
}

impl Comparison {
    /// What stands out, as codes of events, with a text each.
    pub fn findings(&self) -> Vec<(&'static str, String)> {
        let mut findings = Vec::new();
        if self.issuer_expected == Some(false) {
            findings.push(("unexpected_issuer", "issued by none of the expected issuers".to_owned()));
        } else if let CaaState::Forbidden { owner } = &self.caa {
            findings.push(("unexpected_issuer", format!("CAA records of `{owner}` let nobody issue")));
        }
        if self.key == KeyState::NotDeclared {
            findings.push(("unknown_key", "TLSA records of its names have other keys only".to_owned()));
        }
        if let NameState::Missing { names } = &self.names {
            findings.push(("unknown_name", format!("DNS does not have {}", names.join(", "))));
        }
        findings
    }
}

/// Compares a certificate for these names of the zone, in normal form; at most the first [`NAMES_COMPARED_MAX`] are asked for.
pub(super) async fn compare(
    zone: &Zone,
    announced: &Announced,
    names: &[String],
    dns: &dyn Names,
    served: &(dyn Fn(&str) -> Vec<Sha256> + Send + Sync),
) -> Comparison {
    let names = &names[..names.len().min(NAMES_COMPARED_MAX)];
    let mut caa = None;
    for name in names {
        let state = caa_of(name, dns).await;
        caa = caa.max(Some(state));
    }
    Comparison {
        issuer_expected: zone.is_expected(announced),
        caa: caa.unwrap_or(CaaState::Unknown),
        key: key_state(announced, names, dns, served).await,
        names: name_state(names, dns).await,
    }
}

/// The CAA records in force for a name: those of the nearest name above that has any. RFC 8659 §3.
async fn caa_of(name: &str, dns: &dyn Names) -> CaaState {
    let (wild, mut owner) = match name.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, name),
    };
    for _ in 0..CLIMB_MAX {
        match timeout(ANSWER_MAX, dns.caa(owner)).await {
            Ok(Ok(records)) if records.is_empty() => {}
            Ok(Ok(records)) => return caa_state(owner, &records, wild),
            Ok(Err(_)) | Err(_) => return CaaState::Unknown,
        }
        match owner.split_once('.') {
            Some((_, parent)) => owner = parent,
            None => return CaaState::Absent,
        }
    }
    CaaState::Absent
}

/// What one CAA RRset says. RFC 8659 §4.2, §4.3.
fn caa_state(owner: &str, records: &[Caa], wild: bool) -> CaaState {
    let of = |tag: &str| -> Vec<String> {
        let tagged = records.iter().filter(|record| record.tag.eq_ignore_ascii_case(tag));
        tagged
            .map(|record| record.value.split(';').next().unwrap_or_default().trim().to_lowercase())
            .collect()
    };
    let mut authorities = if wild { of("issuewild") } else { Vec::new() };
    if authorities.is_empty() {
        authorities = of("issue");
    }
    if authorities.is_empty() {
        return CaaState::Absent;
    }
    authorities.retain(|authority| !authority.is_empty());
    authorities.truncate(AUTHORITIES_SHOWN_MAX);
    let owner = owner.to_owned();
    if authorities.is_empty() {
        CaaState::Forbidden { owner }
    } else {
        CaaState::Listed { owner, authorities }
    }
}

async fn key_state(
    announced: &Announced,
    names: &[String],
    dns: &dyn Names,
    served: &(dyn Fn(&str) -> Vec<Sha256> + Send + Sync),
) -> KeyState {
    if names.iter().any(|name| served(name).contains(&announced.key_sha256)) {
        return KeyState::Served;
    }
    let (mut others, mut vague, mut unknown) = (false, false, false);
    // Which server a wildcard's key is for, nobody knows.
    for name in names.iter().filter(|name| !name.starts_with("*.")) {
        for port in KEY_PORTS {
            let asked = timeout(ANSWER_MAX, dns.tlsa(&format!("_{port}._tcp.{name}"))).await;
            let Ok(Ok(answer)) = asked else {
                unknown = true;
                continue;
            };
            for record in answer.records.iter().filter_map(|rdata| Tlsa::read(rdata).ok()) {
                match has_key(&record, announced) {
                    Some(true) => return KeyState::Declared,
                    Some(false) => others = true,
                    None => vague = true,
                }
            }
        }
    }
    match (unknown, others && !vague) {
        (true, _) => KeyState::Unknown,
        (false, true) => KeyState::NotDeclared,
        (false, false) => KeyState::Undeclared,
    }
}

/// Whether a record has the certificate's key; `None` when it is about something else.
fn has_key(record: &Tlsa<'_>, announced: &Announced) -> Option<bool> {
    if !matches!(record.usage, Usage::DaneEe | Usage::PkixEe) || record.selector != Selector::Key {
        return None;
    }
    match record.matching {
        Matching::Sha256 => Some(record.data == announced.key_sha256.0),
        Matching::Sha512 => announced.key_sha512.as_ref().map(|key| record.data == key),
        Matching::Full => Some(Sha256::of(record.data) == announced.key_sha256),
    }
}

async fn name_state(names: &[String], dns: &dyn Names) -> NameState {
    let mut missing = Vec::new();
    let mut unknown = false;
    for name in names {
        let asked = name.strip_prefix("*.").unwrap_or(name);
        match timeout(ANSWER_MAX, dns.exists(asked)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => missing.push(name.clone()),
            Ok(Err(_)) | Err(_) => unknown = true,
        }
    }
    match (missing.is_empty(), unknown) {
        (false, _) => NameState::Missing { names: missing },
        (true, true) => NameState::Unknown,
        (true, false) => NameState::Exist,
    }
}

/// How many names of one certificate are asked for.
pub const NAMES_COMPARED_MAX: usize = 4;
/// How many owners are asked for CAA records, on the way up from one name.
const CLIMB_MAX: usize = 16;
const AUTHORITIES_SHOWN_MAX: usize = 16;
/// Whose TLSA records are compared with new keys: web and mail.
const KEY_PORTS: [u16; 2] = [443, 25];
/// How long DNS has for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
