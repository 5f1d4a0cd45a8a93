//! Certificates that verify, at the edges of what may.

use certificate::codec::{Decode as _, Encode as _};
use certificate::leaf::{Class, Leaf, Outcome, Policy};
use certificate::remark::REMARK_TEXT_BYTES_MAX;
use certificate::verify::{FUTURE_MS_MAX, GRACE_MS};
use certificate::{CertifiedAnswer, Denial, Judged, MessageType, Remark, View, merkle};
use serde_json::{Value, json};

use crate::support::{Fixture, TIME, every_outcome, flagged, hex, question, rrset, wire};
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
        "answer-with-remark",
        "failure-with-remark",
        "update",
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
    for (name, leaf) in beside_answers(four) {
        cases.push(Case::new(name, "n4", &four.certify(&[leaf], 0)));
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

/// Remarks at the edges of what may be, and what becomes of operations that are no questions.
fn beside_answers(four: &Fixture) -> [(&'static str, Leaf); 8] {
    let asked = || question("nothing.example.org", 52);
    let zone = wire("example.org");
    let denial = Outcome::Negative { chain: Vec::new(), denial: Denial::NoData, zone, minimum: 60 };
    let with = |remark: Remark, leaf: Leaf| Leaf { verdict: remark.to_bytes(), ..leaf };
    let longest = Remark::new(Judged::Valid, u16::MAX, &" ~".repeat(REMARK_TEXT_BYTES_MAX / 2));
    let leaves = every_outcome(four);
    let undecided = |class, outcome| Leaf {
        subject: four.validated(class).subject,
        policy: Policy::Corroborated,
        ..four.leaf(asked(), class, 1, outcome)
    };
    [
        ("denial-with-remark", with(flagged(), four.leaf(asked(), Class::Strong, 60, denial))),
        ("records-with-remark", with(flagged(), leaves[7].clone())),
        ("secure-with-remark", with(flagged(), leaves[9].clone())),
        ("remark-of-200-bytes", with(longest, four.positive())),
        ("remark-without-text", with(Remark::new(Judged::Valid, 0, ""), four.positive())),
        ("validate-corroborated", four.validated(Class::Corroborated)),
        ("validate-that-nobody-can-judge", undecided(Class::Failure, Outcome::Failure(2))),
        ("validate-without-agreement", undecided(Class::NoAgreement, Outcome::None)),
    ]
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
