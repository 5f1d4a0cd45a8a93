//! What the cluster agreed on beside answers to questions: about a certificate, a server or an input; for people and as JSON.
//!
//! Subjects and verdicts are those of `transparency`; the cluster carries them unread. All of it stands in the leaf, so the quorum's signatures cover it.

use std::collections::BTreeMap;

use certificate::leaf::{Class, Leaf};
use certificate::{OperationKind, Remark};
use serde::Serialize;
use serde_json::{Value, json};
use transparency::digest::Sha256;
use transparency::local::Local;
use transparency::operation::{
    Agreed, Answer, CertificateSubject, InputSubject, ProbeSubject, Seen, ValidateSubject,
};
use transparency::sct_check::SctStatus;
use transparency::verdict::Conclusion;

/// What a leaf that answers no question is about.
enum About {
    Certificate(CertificateSubject),
    Server(ProbeSubject),
    Input(InputSubject),
    /// Of another release, or of a plugin that is not known here.
    Unknown(OperationKind),
}

/// What was agreed on.
enum Said {
    Verdict(Box<Agreed>),
    Seen(Seen),
    Answer(Answer),
    /// Nothing, and why.
    Nothing(&'static str),
}

/// What a leaf that answers no question says, as labels and texts.
pub fn lines(leaf: &Leaf) -> Vec<(&'static str, String)> {
    let mut lines = about_lines(&about(leaf));
    lines.extend(match said(leaf) {
        Said::Verdict(agreed) => verdict_lines(&agreed),
        Said::Seen(seen) => vec![
            ("answer", format!("all saw the same, its chain {}", word(&seen.chain))),
            ("served", format!("certificate sha256 {}", seen.leaf)),
            ("key", format!("sha256 {}", seen.key)),
        ],
        Said::Answer(Answer::Accepted) => vec![("answer", "accepted: in force".to_owned())],
        Said::Answer(Answer::Refused(code)) => vec![("answer", format!("refused: {code}"))],
        Said::Nothing(why) => vec![("answer", why.to_owned())],
    });
    lines
}

/// What was agreed on about a certificate, for people.
pub fn verdict_lines(agreed: &Agreed) -> Vec<(&'static str, String)> {
    let mut lines = vec![("answer", word(&agreed.verdict))];
    lines.extend(agreed.reasons.iter().map(|code| ("", plain(&code.replace('_', " ")))));
    let logs = if agreed.counted_logs == 1 { "log counts" } else { "logs count" };
    let operators = match agreed.operators.join(", ") {
        none if none.is_empty() => none,
        operators => format!(", of {operators}"),
    };
    let (outcome, counted) = (word(&agreed.outcome), agreed.counted_logs);
    lines.push(("ct", plain(&format!("{outcome}, {counted} {logs}{operators}"))));
    lines.push(("revocation", word(&agreed.revocation)));
    lines.push(("score", format!("{} of 100; decide by the verdict, not by this", agreed.score.total)));
    lines
}

/// What one replica says that it alone knows of a certificate, for people.
pub fn local_lines(local: &Local) -> Vec<(&'static str, String)> {
    let mut words: BTreeMap<String, usize> = BTreeMap::new();
    let signed = local.timestamps.iter().filter(|stamp| stamp.status == SctStatus::Valid);
    signed.for_each(|stamp| *words.entry(word(&stamp.inclusion)).or_default() += 1);
    let promises: Vec<String> = words.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let promises = if promises.is_empty() { "none".to_owned() } else { promises.join(", ") };
    let networks = local.networks.map_or(String::new(), |networks| {
        format!(", seen from {} of {} networks", networks.agreeing, networks.looked)
    });
    let codes: Vec<&str> = local.reasons.iter().take(LOCAL_REASONS_MAX).map(String::as_str).collect();
    let why = match local.verdict {
        Conclusion::Valid => String::new(),
        _ => plain(&format!(" ({})", codes.join(", ").replace('_', " "))),
    };
    let (verdict, score) = (word(&local.verdict), local.score.total);
    vec![
        (
            "local",
            format!(
                "this replica alone: {verdict}{why}, promises of logs: {promises}{networks}, score {score} of 100"
            ),
        ),
        ("", "not part of the certificate: nobody has signed it".to_owned()),
    ]
}

/// What a certificate was judged by, for people.
pub fn subject_lines(subject: &CertificateSubject) -> Vec<(&'static str, String)> {
    let name = subject.name.as_ref().map_or(String::new(), |name| format!(" for {name}"));
    let list = |digest: &Option<Sha256>| digest.map_or("none".to_owned(), |digest| digest.to_string());
    vec![
        ("about", format!("certificate{name}, purpose {}, chain {}", word(&subject.purpose), subject.chain)),
        ("judged for", subject.at().to_string()),
        ("policy", format!("{}, revocation {}", subject.policy, revocation_word(subject))),
        ("log list", list(&subject.log_list)),
        ("roots", subject.trust.to_string()),
        ("crls", list(&subject.lists)),
    ]
}

/// The same as JSON: `about` and `said`, the latter `null` without a verdict.
pub fn to_json(leaf: &Leaf) -> Value {
    let about = match about(leaf) {
        About::Certificate(subject) => certificate_json(&subject),
        About::Server(probe) => {
            let (from, seconds) = (probe.begin(), probe.period_seconds);
            json!({ "kind": "server", "target": probe.target, "from": from, "seconds": seconds })
        }
        About::Input(subject) => {
            json!({ "kind": "input", "input": subject.kind.word(), "digest": subject.digest })
        }
        About::Unknown(_) => json!({ "kind": "unknown" }),
    };
    let said = match said(leaf) {
        Said::Verdict(agreed) => json!(*agreed),
        Said::Seen(seen) => json!(seen),
        Said::Answer(Answer::Accepted) => json!("accepted"),
        Said::Answer(Answer::Refused(code)) => json!({ "refused": code }),
        Said::Nothing(_) => Value::Null,
    };
    json!({ "about": about, "said": said })
}

/// A remark as JSON.
pub fn remark_json(remark: &Remark) -> Value {
    json!({ "judged": remark.judged.word(), "info_code": remark.info_code, "text": remark.text })
}

/// A text of others on one line of a terminal: what would steer it, or turn the direction of writing (UAX #9 §2), is replaced.
fn plain(text: &str) -> String {
    text.replace(|c: char| c.is_control() || TURNS.contains(&c), "\u{fffd}")
}

/// The word that JSON has for a value, spaces for underscores.
pub fn word(value: &impl Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().replace('_', " ")
}

fn about(leaf: &Leaf) -> About {
    let kind = leaf.kind();
    let bytes = leaf.subject.operation_bytes();
    let known = match kind {
        OperationKind::Validate => match ValidateSubject::decode(&bytes) {
            Ok(ValidateSubject::Certificate(subject)) => Some(About::Certificate(subject)),
            Ok(ValidateSubject::Probe(probe)) => Some(About::Server(probe)),
            Err(_) => None,
        },
        OperationKind::UpdateInputs => InputSubject::decode(&bytes).ok().map(About::Input),
        OperationKind::Null | OperationKind::Resolve | OperationKind::NewEpoch => None,
    };
    known.unwrap_or(About::Unknown(kind))
}

fn said(leaf: &Leaf) -> Said {
    match leaf.class {
        Class::NoAgreement => return Said::Nothing("no agreement"),
        Class::Failure => return Said::Nothing("could not be judged, agreed on"),
        _ => {}
    }
    let known = match about(leaf) {
        About::Certificate(_) => {
            Agreed::decode(&leaf.verdict).ok().map(|agreed| Said::Verdict(agreed.into()))
        }
        About::Server(_) => Seen::decode(&leaf.verdict).ok().map(Said::Seen),
        About::Input(_) => Answer::decode(&leaf.verdict).map(Said::Answer),
        About::Unknown(_) => None,
    };
    known.unwrap_or(Said::Nothing("agreed on, in a form that is not known here"))
}

fn about_lines(about: &About) -> Vec<(&'static str, String)> {
    match about {
        About::Certificate(subject) => subject_lines(subject),
        About::Server(probe) => {
            let (target, from, seconds) = (&probe.target, probe.begin(), probe.period_seconds);
            vec![("about", format!("server {target}, looked at within {seconds} s from {from}"))]
        }
        About::Input(subject) => {
            vec![("about", format!("input {}, sha256 {}", subject.kind.word(), subject.digest))]
        }
        About::Unknown(OperationKind::UpdateInputs) => {
            vec![("about", "an input that is not known here".to_owned())]
        }
        About::Unknown(_) => vec![("about", "something that is not known here".to_owned())],
    }
}

fn certificate_json(subject: &CertificateSubject) -> Value {
    json!({
        "kind": "certificate",
        "chain": subject.chain,
        "name": subject.name,
        "purpose": subject.purpose,
        "at": subject.at(),
        "policy": subject.policy.to_string(),
        "revocation": revocation_word(subject),
        "log_list": subject.log_list,
        "roots": subject.trust,
        "crls": subject.lists,
    })
}

fn revocation_word(subject: &CertificateSubject) -> &'static str {
    use transparency::revocation::RevocationMode;
    match subject.revocation {
        RevocationMode::Off => "off",
        RevocationMode::Soft => "soft",
        RevocationMode::Required => "required",
    }
}

/// How many reasons of one replica are shown to people.
const LOCAL_REASONS_MAX: usize = 8;
/// The characters that turn the direction of writing.
const TURNS: [char; 12] = [
    '\u{061c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];
