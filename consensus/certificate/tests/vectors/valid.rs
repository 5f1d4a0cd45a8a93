//! Certificates that verify, at the edges of what may.

use certificate::codec::{Decode as _, Encode as _};
use certificate::leaf::{Class, Leaf, Outcome};
use certificate::verify::{FUTURE_MS_MAX, GRACE_MS};
use certificate::{CertifiedAnswer, MessageType, View, merkle};
use serde_json::{Value, json};

use crate::support::{Fixture, TIME, every_outcome, hex, question, rrset};
use crate::{Case, Clusters, merge};

fn cases(clusters: &Clusters) -> Vec<Case> {
    let four = &clusters.four;
    let mut cases = Vec::new();
    let names = [
        "positive",
        "cname-chain",
        "nxdomain",
        "nodata",
        "nxdomain-behind-cname",
        "failure",
        "no-agreement",
        "class-records",
        "class-corroborated-ttl-0",
        "secure-single-path-do",
        "any",
        "dangling-cname",
        "validate",
    ];
    let leaves = every_outcome(four);
    assert_eq!(leaves.len(), names.len());
    for (index, name) in names.iter().enumerate() {
        cases.push(Case::new(name, "n4", &four.certify(&leaves, index)));
    }
    cases.push(Case::new("alone-in-its-slot", "n4", &four.certify(&[four.positive()], 0)));
    for (name, index) in [("first-of-fifty", 0), ("last-of-fifty", 49)] {
        cases.push(Case::new(name, "n4", &four.certify(&fifty(four), index)));
    }
    cases.push(Case::new(
        "last-of-fifty",
        "n31",
        &clusters.thirty_one.certify(&fifty(&clusters.thirty_one), 49),
    ));
    for (cluster, fixture) in clusters.all() {
        cases.push(Case::new("cname-chain", cluster, &fixture.certify(&every_outcome(fixture), 1)));
    }
    let mut later = four.certify(&[four.positive()], 0);
    later.certificate = four.sign(later.certificate.header, View(7), MessageType::Commit, &[0, 2, 3]);
    cases.push(Case::new("other-view-and-signers", "n4", &later));
    let positive = four.certify(&leaves, 0);
    let end = positive.leaf.not_after_ms;
    let with = |name, change: &dyn Fn(&mut Case)| {
        let mut case = Case::new(name, "n4", &positive);
        change(&mut case);
        case
    };
    cases.push(with("any-question", &|case| case.question = None));
    cases.push(with("at-its-end", &|case| (case.now_ms, case.grace_ms) = (end, 0)));
    cases.push(with("within-grace", &|case| case.now_ms = end + GRACE_MS));
    cases.push(with("verifier-clock-behind", &|case| case.now_ms = TIME + 3 - FUTURE_MS_MAX));
    cases.push(with("class-as-asked", &|case| case.min_class = Class::Strong));
    cases
}

fn fifty(fixture: &Fixture) -> Vec<Leaf> {
    let leaf = |i: u8| {
        let name = format!("host-{i}.example.org");
        let set = rrset(&name, 1, 300, &[&[192, 0, 2, i]]);
        fixture.leaf(question(&name, 1), Class::Strong, 300, Outcome::Answer(vec![set]))
    };
    (0..50).map(leaf).collect()
}

pub fn to_json(clusters: &Clusters) -> Value {
    let cases = cases(clusters).into_iter().map(|case| {
        let verified = case.verify(clusters).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let answer = CertifiedAnswer::from_bytes(&case.bytes).unwrap();
        let leaf = answer.leaf.to_bytes();
        let signers: Vec<u8> = verified.signers.iter().map(|id| id.0).collect();
        merge(
            case.to_json(),
            json!({
                "class": verified.class.name(),
                "zone": hex(&verified.zone),
                "signers": signers,
                "remaining_ms": verified.remaining_ms,
                "in_grace": verified.in_grace,
                "header_digest": answer.certificate.header.digest().to_string(),
                "commit_preimage": hex(&answer.certificate.commit_preimage()),
                "leaf": hex(&leaf),
                "leaf_digest": merkle::leaf_digest(&leaf).to_string(),
                "reference": hex(&answer.reference()),
            }),
        )
    });
    Value::Array(cases.collect())
}
