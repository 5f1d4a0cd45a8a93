//! The test vectors beside `FORMAT.md`: made here from fixed seeds, and held to what is committed.
//!
//! A change of the format turns `committed_vectors_are_what_this_crate_makes` red. To write new ones: `QUORATE_BLESS=1`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod invalid;
#[path = "../support/mod.rs"]
mod support;
mod valid;

use certificate::codec::{Decode as _, Encode as _};
use certificate::delivery::{self, Carried};
use certificate::leaf::{Class, Question};
use certificate::name::Presentation;
use certificate::verify::{GRACE_MS, verify};
use certificate::{CertifiedAnswer, Cluster, Digest, Epoch, VerifyError};
use serde_json::{Value, json};
use support::{Fixture, TIME, every_outcome, hex};

/// The clusters of the vectors, by name.
struct Clusters {
    four: Fixture,
    four_epoch_2: Fixture,
    five: Fixture,
    seven: Fixture,
    thirty_one: Fixture,
}

impl Clusters {
    fn new() -> Clusters {
        let four = Fixture::four();
        let mut four_epoch_2 = Fixture::new(42, 4, 1);
        four_epoch_2.cluster.epoch = Epoch(2);
        four_epoch_2.cluster.cluster_id = Some(four.cluster.id());
        let mut thirty_one = Fixture::new(31, 31, 10);
        thirty_one.cluster.members[30].address = "[2001:db8::30]:5380".parse().unwrap();
        Clusters { four, four_epoch_2, five: Fixture::new(5, 5, 1), seven: Fixture::new(7, 7, 2), thirty_one }
    }

    fn all(&self) -> [(&'static str, &Fixture); 5] {
        [
            ("n4", &self.four),
            ("n4-epoch-2", &self.four_epoch_2),
            ("n5", &self.five),
            ("n7", &self.seven),
            ("n31", &self.thirty_one),
        ]
    }

    fn fixture(&self, name: &str) -> &Fixture {
        self.all().into_iter().find(|(known, _)| *known == name).unwrap().1
    }
}

/// One certificate, and what is asked of it.
struct Case {
    name: String,
    cluster: &'static str,
    bytes: Vec<u8>,
    question: Option<Question>,
    now_ms: u64,
    grace_ms: u64,
    min_class: Class,
}

impl Case {
    fn new(name: &str, cluster: &'static str, answer: &CertifiedAnswer) -> Case {
        Case {
            name: name.to_owned(),
            cluster,
            bytes: answer.to_bytes(),
            question: answer.leaf.question().cloned(),
            now_ms: TIME + 1000,
            grace_ms: GRACE_MS,
            min_class: Class::NoAgreement,
        }
    }

    fn verify(&self, clusters: &Clusters) -> Result<certificate::Verified, VerifyError> {
        let answer = CertifiedAnswer::from_bytes(&self.bytes)?;
        let cluster = &clusters.fixture(self.cluster).cluster;
        verify(&answer, cluster, self.question.as_ref(), self.now_ms, self.grace_ms, self.min_class)
    }

    fn to_json(&self) -> Value {
        let question = self.question.as_ref().map(|question| {
            json!({
                "name": Presentation(&question.name).to_string(),
                "type": question.qtype,
                "class": question.qclass,
                "flags": question.flags,
                "encoded": hex(&question.to_bytes()),
            })
        });
        json!({
            "name": self.name,
            "cluster": self.cluster,
            "certificate": hex(&self.bytes),
            "question": question,
            "now_ms": self.now_ms,
            "grace_ms": self.grace_ms,
            "min_class": self.min_class.name(),
        })
    }
}

fn merge(mut left: Value, right: Value) -> Value {
    let Value::Object(right) = right else { panic!("expected an object") };
    left.as_object_mut().unwrap().extend(right);
    left
}

fn clusters_json(clusters: &Clusters) -> Value {
    let mut all: Vec<Value> = clusters
        .all()
        .iter()
        .map(|(name, fixture)| cluster_json(name, &fixture.cluster.to_toml(), &fixture.cluster))
        .collect();
    all.push(cluster_json("n4-terse", &terse(&clusters.four.cluster), &clusters.four.cluster));
    Value::Array(all)
}

/// The same cluster as `cluster.to_toml()` writes, but as another person may write it: replicas backwards, defaults left out.
fn terse(cluster: &Cluster) -> String {
    let mut text = "faults=1\nepoch = 0x1\nname = 'example'\nttl-max='3600s'\n".to_owned();
    for member in cluster.members.iter().rev() {
        text += &format!(
            "[[replica]]\nupstream-group='{}'\naddress='{}'\nid={}\ntransport-key='{}'\npublic-key='{}'\nname='{}'\n",
            member.upstream_group,
            member.address,
            member.id,
            member.transport_key,
            member.public_key,
            member.name
        );
    }
    text += "[agreement]\n";
    for (zone, policy) in cluster.policies.iter().filter(|(zone, _)| zone.len() > 1) {
        let name = Presentation(zone).to_string().to_ascii_uppercase();
        text += &format!("'{}' = '{policy}'\n", name.trim_end_matches('.'));
    }
    text
}

fn cluster_json(name: &str, toml: &str, cluster: &Cluster) -> Value {
    assert_eq!(Cluster::parse(toml, name).as_ref(), Ok(cluster));
    json!({
        "name": name,
        "toml": toml,
        "canonical": hex(&cluster.to_bytes()),
        "digest": cluster.digest().to_string(),
        "cluster_id": cluster.id().to_string(),
        "quorum": cluster.replicas.quorum(),
    })
}

/// How the first valid certificate travels, and the history of two slots.
fn delivery_json(clusters: &Clusters) -> Value {
    let four = &clusters.four;
    let answer = four.certify(&every_outcome(four), 0);
    let bytes = answer.to_bytes();
    let reference = answer.reference();
    let strings = delivery::to_txt(&answer);
    assert_eq!(delivery::from_txt(&strings), Ok(bytes.clone()));
    let carried = Carried::from_option(&reference).unwrap();
    assert_eq!(carried.to_option(), reference);
    let header = answer.certificate.header;
    let first = header.extend_history(Digest::ZERO);
    let mut empty = header.clone();
    empty.sequence = header.sequence.next();
    empty.kinds = certificate::Kinds::default();
    empty.entries = 0;
    empty.leaves_root = Digest::ZERO;
    empty.observations_root = Digest::ZERO;
    json!({
        "certificate": hex(&bytes),
        "option_with_certificate": hex(&Carried::Certificate(bytes).to_option()),
        "option_with_reference": hex(&reference),
        "txt": strings,
        "history": [
            { "header": hex(&header.to_bytes()), "digest": header.digest().to_string(), "history": first.to_string() },
            { "header": hex(&empty.to_bytes()), "digest": empty.digest().to_string(),
              "history": empty.extend_history(first).to_string() },
        ],
    })
}

#[test]
#[allow(clippy::disallowed_methods, reason = "vectors are files")]
fn committed_vectors_are_what_this_crate_makes() {
    let clusters = Clusters::new();
    for (file, made) in [
        ("clusters.json", clusters_json(&clusters)),
        ("valid.json", valid::to_json(&clusters)),
        ("invalid.json", invalid::to_json(&clusters)),
        ("delivery.json", delivery_json(&clusters)),
    ] {
        let path = format!("{}/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
        if std::env::var_os("QUORATE_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "vectors/{file} differs; the format has changed, or write it with QUORATE_BLESS=1"
        );
    }
}
