//! `/v1/certificates`: certified answers that are held, by question, reference or slot, and why each is what it is.

use agreement::{Observation, Observed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certificate::certified::REFERENCE_TAG;
use certificate::codec::Decode;
use certificate::leaf::Question;
use certificate::{Remark, ReplicaId, Sequence};
use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use super::parameters::parameter;
use super::{Answer, hexadecimal, ids, refuse};
use crate::byzantine_consensus::consensus::{Consensus, wall_ms};
use crate::byzantine_consensus::judge::key;
use crate::byzantine_consensus::store::Held;
use crate::response::Certified;

/// `GET /v1/certificates?name=NAME&type=TYPE`: the decision about a question that is held, with the observations behind it.
/// `GET /v1/certificates?slot=N`: all of a slot that are held.
pub fn certificate(consensus: &Consensus, query: &str) -> Answer {
    let name = match (parameter(query, "name"), parameter(query, "slot")) {
        (Some(name), None) => name,
        (None, Some(slot)) => return of_slot(consensus, &slot),
        (Some(_), Some(_)) => return refuse(400, "expected `name=NAME` or `slot=NUMBER`, found both"),
        (None, None) => {
            return refuse(
                400,
                "expected `name=NAME`, such as `/v1/certificates?name=www.example.org&type=A`, or `slot=NUMBER`",
            );
        }
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

/// `GET /v1/certificates/REFERENCE`: the certified answer whose reference a client got over UDP, in hexadecimal.
pub fn redeemed(consensus: &Consensus, reference: &str) -> Answer {
    let Some(reference) = read_reference(reference) else {
        return refuse(
            400,
            "expected a reference: the 66 hexadecimal digits, the first two `02`, that the EDNS option held",
        );
    };
    let held = consensus.store.referenced(&reference);
    match held.and_then(|held| Some((held.certificate.get()?, held))) {
        Some((certified, held)) => (200, explained(consensus, &held, &certified)),
        None => refuse(
            404,
            "no certificate of this reference is held here, or not any more; another replica may hold it",
        ),
    }
}

fn of_slot(consensus: &Consensus, slot: &str) -> Answer {
    let Ok(sequence) = slot.parse::<u64>().map(Sequence) else {
        return refuse(400, "expected `slot=NUMBER`, such as `slot=1042`");
    };
    let held = consensus.store.of_slot(sequence);
    if held.is_empty() {
        let executed = consensus.node().status().replica.executed;
        return refuse(
            404,
            format!(
                "no certificate of slot {sequence} is held here, or not any more; the last slot is {executed}"
            ),
        );
    }
    let complete = held.iter().filter_map(|held| Some((held, held.certificate.get()?)));
    let shown: Vec<Value> =
        complete.map(|(held, certified)| explained(consensus, held, &certified)).collect();
    (200, json!({ "slot": sequence.0, "certificates": shown }))
}

fn read_reference(text: &str) -> Option<[u8; 33]> {
    let digits = text.as_bytes();
    let mut reference = [0; 33];
    if digits.len() != 2 * reference.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, digits) in reference.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    (reference[0] == REFERENCE_TAG).then_some(reference)
}

fn explained(consensus: &Consensus, held: &Held, certified: &Certified) -> Value {
    let leaf = &held.leaf;
    let certificate = &certified.answer.certificate;
    let observed: Vec<(ReplicaId, u64, Observed)> = held
        .evidence
        .iter()
        .filter_map(|one| Some((one.replica, one.time_ms, Observed::from_bytes(&one.payload).ok()?)))
        .collect();
    let seen: Vec<Observation<'_>> = observed
        .iter()
        .map(|(replica, time_ms, observed)| Observation { replica: *replica, time_ms: *time_ms, observed })
        .collect();
    let explanation = agreement::explain::explain(&consensus.cluster, leaf, &seen);
    let parts = explanation.iter().flat_map(|explanation| &explanation.parts);
    let views = explanation.iter().flat_map(|explanation| &explanation.views);
    let observations: Vec<Value> = views
        .map(|view| {
            json!({
                "replica": view.replica.0, "name": view.name, "upstream_group": view.upstream_group,
                "time_ms": view.time_ms, "saw": view.saw, "counted": view.counted, "supports": view.supports,
                "remark": view.remark.as_ref().map(shown),
            })
        })
        .collect();
    // Who hands an answer out gives the certificate without the observations: then nobody's support is known here but as the leaf names it.
    let is_known = !held.evidence.is_empty();
    let known = |value: Value| if is_known { value } else { Value::Null };
    let mut body = json!({
        "reference": hexadecimal(&certified.reference),
        "question": leaf.question().map(ToString::to_string),
        "class": leaf.class.to_string(),
        "policy": leaf.policy.to_string(),
        "zone": explanation.as_ref().map(|explanation| &explanation.zone),
        "quorum": explanation.as_ref().map(|explanation| explanation.quorum),
        "threshold": known(json!(explanation.as_ref().map(|explanation| explanation.threshold))),
        "single_path": leaf.single_path,
        "slot": certificate.header.sequence.0,
        "view": certificate.view.0,
        "signers": ids(certificate.signers),
        "time_ms": leaf.time_ms,
        "not_after_ms": leaf.not_after_ms,
        "holds": held.holds(wall_ms()),
        "remark": leaf.remark().as_ref().map(shown),
        "answer": parts.map(|part| json!({
            "record": part.text, "seen_by": known(json!(ids(part.now))), "seen_before_by": known(json!(ids(part.history))),
        })).collect::<Vec<_>>(),
        "support": ids(leaf.support),
        "observers": ids(leaf.observers),
        "observations": known(json!(observations)),
        "certificate": STANDARD.encode(&certified.bytes),
    });
    if !is_known {
        let slot = certificate.header.sequence;
        let why = format!(
            "another replica handed this answer out, without the observations; a replica that took part in slot {slot} may have them"
        );
        body["why"] = json!(why);
    }
    body
}

fn shown(remark: &Remark) -> Value {
    json!({ "judged": remark.judged.word(), "info_code": remark.info_code, "text": remark.text })
}
