//! What an operation and its decision say, as JSON for people and programs.

use certificate::OperationKind;
use certificate::leaf::Leaf;
use serde_json::{Value, json};
use transparency::digest::Sha256;
use transparency::operation::{
    Agreed, Answer, CertificateSubject, InputSubject, ProbeSubject, Seen, ValidateSubject,
};
use transparency::revocation::RevocationMode;

use crate::validator::Task;

/// The decision on a task: what it was about under `subject`, and what was agreed on under `verdict`, `seen` or `answer`.
pub fn explain(task: &Task, leaf: &Leaf) -> Value {
    match task.kind {
        OperationKind::Validate => match ValidateSubject::decode(&task.subject) {
            Ok(ValidateSubject::Certificate(subject)) => {
                json!({ "subject": certificate(&subject), "verdict": Agreed::decode(&leaf.verdict).ok() })
            }
            Ok(ValidateSubject::Probe(ProbeSubject { target, period_seconds, slot })) => {
                let seen = Seen::decode(&leaf.verdict).ok();
                let subject = json!({ "target": target, "period_seconds": period_seconds, "slot": slot });
                json!({ "subject": subject, "seen": seen })
            }
            Err(_) => Value::Null,
        },
        OperationKind::UpdateInputs => match InputSubject::decode(&task.subject) {
            Ok(InputSubject { kind, digest }) => {
                let answer = match Answer::decode(&leaf.verdict) {
                    Some(Answer::Accepted) => json!("accepted"),
                    Some(Answer::Refused(code)) => json!({ "refused": code }),
                    None => Value::Null,
                };
                json!({ "subject": { "input": kind.word(), "digest": digest }, "answer": answer })
            }
            Err(_) => Value::Null,
        },
        _ => Value::Null,
    }
}

fn certificate(subject: &CertificateSubject) -> Value {
    let digest = |digest: Option<Sha256>| digest.map(|digest| digest.to_string());
    json!({
        "chain": subject.chain,
        "name": subject.name,
        "purpose": subject.purpose,
        "at": subject.at(),
        "policy": subject.policy.to_string(),
        "revocation": revocation_word(subject.revocation),
        "log_list": digest(subject.log_list),
        "roots": subject.trust,
        "revocation_lists": digest(subject.lists),
    })
}

/// The word in the Corefile.
pub fn revocation_word(mode: RevocationMode) -> &'static str {
    match mode {
        RevocationMode::Off => "off",
        RevocationMode::Soft => "soft",
        RevocationMode::Required => "require",
    }
}
