//! `/v1/certificates`: a certified answer that is held, and why it is what it is.

use agreement::{Observation, Observed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certificate::codec::Decode;
use certificate::leaf::Question;
use certificate::{Remark, ReplicaId};
use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use super::parameters::parameter;
use super::{Answer, ids, refuse};
use crate::byzantine_consensus::consensus::{Consensus, wall_ms};
use crate::byzantine_consensus::judge::key;
use crate::byzantine_consensus::store::Held;
use crate::response::Certified;

/// `GET /v1/certificates?name=NAME&type=TYPE`: the decision about a question that is held, with the observations behind it.
pub fn certificate(consensus: &Consensus, query: &str) -> Answer {
    let Some(name) = parameter(query, "name") else {
        return refuse(400, "expected `name=NAME`, such as `/v1/certificates?name=www.example.org&type=A`");
    };
    let rtype = parameter(query, "type").map_or_else(|| "A".to_owned(), |rtype| rtype.to_ascii_uppercase());
    let number = || rtype.strip_prefix("TYPE")?.parse::<u16>().ok();
    let Some(qtype) = rtype.parse::<RecordType>().map(u16::from).ok().or_else(number) else {
        return refuse(400, "expected `type=TYPE`, such as `type=AAAA`");
    };
    let Ok(question) = Question::parse(&name, qtype) else {
        return refuse(400, "expected a domain name after `name=`");
    };
    let with_do = Question { flags: Question::DNSSEC_OK, ..question.clone() };
    let held = consensus.store.get(&key(&question)).or_else(|| consensus.store.get(&key(&with_do)));
    match held {
        Some(held) => match held.certificate.get() {
            Some(certified) => (200, explained(consensus, &held, &certified)),
            None => refuse(404, "the answer is certain, but its certificate is not complete yet; ask again"),
        },
        None => refuse(404, "no decision about this question is held here; ask for it with `dig` first"),
    }
}

fn explained(consensus: &Consensus, held: &Held, certified: &Certified) -> Value {
    let leaf = &held.leaf;
    let certificate = &certified.answer.certificate;
    let observed: Vec<(ReplicaId, u64, Observed)> = held
        .evidence
        .iter()
        .filter_map(|one| Some((one.replica, one.time_ms, Observed::from_bytes(&one.payload).ok()?)))
        .collect();
    let observations: Vec<Observation<'_>> = observed
        .iter()
        .map(|(replica, time_ms, observed)| Observation { replica: *replica, time_ms: *time_ms, observed })
        .collect();
    let explanation = agreement::explain::explain(&consensus.cluster, leaf, &observations);
    let parts = explanation.iter().flat_map(|explanation| &explanation.parts);
    let views = explanation.iter().flat_map(|explanation| &explanation.views);
    json!({
        "question": leaf.question().map(ToString::to_string),
        "class": leaf.class.to_string(),
        "policy": leaf.policy.to_string(),
        "zone": explanation.as_ref().map(|explanation| &explanation.zone),
        "quorum": explanation.as_ref().map(|explanation| explanation.quorum),
        "threshold": explanation.as_ref().map(|explanation| explanation.threshold),
        "single_path": leaf.single_path,
        "slot": certificate.header.sequence.0,
        "view": certificate.view.0,
        "signers": ids(certificate.signers),
        "time_ms": leaf.time_ms,
        "not_after_ms": leaf.not_after_ms,
        "holds": held.holds(wall_ms()),
        "remark": leaf.remark().as_ref().map(shown),
        "answer": parts.map(|part| json!({
            "record": part.text, "seen_by": ids(part.now), "seen_before_by": ids(part.history),
        })).collect::<Vec<_>>(),
        "observations": views.map(|view| json!({
            "replica": view.replica.0, "name": view.name, "upstream_group": view.upstream_group,
            "time_ms": view.time_ms, "saw": view.saw, "counted": view.counted, "supports": view.supports,
            "remark": view.remark.as_ref().map(shown),
        })).collect::<Vec<_>>(),
        "certificate": STANDARD.encode(&certified.bytes),
    })
}

fn shown(remark: &Remark) -> Value {
    json!({ "judged": remark.judged.word(), "info_code": remark.info_code, "text": remark.text })
}
