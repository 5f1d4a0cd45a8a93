//! Certificates that must be refused, each for one reason.

use certificate::codec::Encode as _;
use certificate::leaf::{Class, Leaf, Outcome, Policy, Question, Subject};
use certificate::verify::{FUTURE_MS_MAX, GRACE_MS};
use certificate::{
    CertifiedAnswer, Denial, Digest, Epoch, MessageType, OperationKind, ReplicaSet, Sequence, View,
};
use serde_json::{Value, json};

use crate::support::{TIME, blocked, every_outcome, question, rrset, small_order_signature, wire};
use crate::{Case, Clusters, merge};

/// An invalid case and why it must be refused.
type Refused = (&'static str, Case, &'static str);

/// Bytes that are no certificate.
fn malformed_cases(clusters: &Clusters) -> Vec<Refused> {
    let four = &clusters.four;
    let answer = four.certify(&every_outcome(four), 0);
    let bytes = answer.to_bytes();
    let mut cases = Vec::new();
    let mut raw = |name, change: &dyn Fn(&mut Vec<u8>), why| {
        let mut case = Case::new(name, "n4", &answer);
        change(&mut case.bytes);
        cases.push(("malformed", case, why));
    };
    raw("empty", &|bytes| bytes.clear(), "no byte at all");
    raw("last-byte-missing", &|bytes| bytes.truncate(bytes.len() - 1), "truncated");
    raw("one-byte-more", &|bytes| bytes.push(0), "bytes after the leaf");
    raw("other-magic", &|bytes| bytes[0] = b'q', "magic is not `QRT`");
    raw("version-2", &|bytes| bytes[3] = 2, "unknown version");
    raw("scheme-2", &|bytes| bytes[4] = 2, "unknown scheme");
    let signers = 5 + 32 + 8 + 8 + 155;
    raw("signer-bit-31", &|bytes| bytes[signers] |= 0x80, "a bitmap of at most 31 replicas");
    raw("kinds-bit-5", &|bytes| bytes[5 + 48 + 8] |= 0x20, "unknown kind in the header");
    let proof_length = signers + 4 + 3 * 64 + 2;
    raw("proof-of-17", &|bytes| bytes[proof_length] = 17, "a proof has at most 16 digests");
    raw(
        "leaf-length-4-gib",
        &|bytes| bytes[proof_length + 1 + 4 * 32..][..4].fill(0xff),
        "length beyond the end",
    );
    assert_eq!(bytes[proof_length], 4);
    let mut signed = |name, change: fn(&mut Leaf), why| {
        let mut leaf = four.positive();
        change(&mut leaf);
        let mut case = Case::new(name, "n4", &four.certify(&[leaf], 0));
        case.question = None;
        cases.push(("malformed", case, why));
    };
    signed(
        "upper-case-question",
        |leaf| question_of(leaf).name[1] = b'W',
        "names are lower-case; signed nevertheless",
    );
    signed("question-flag-4", |leaf| question_of(leaf).flags = 4, "unknown flag of the question");
    signed("rdata-unsorted", |leaf| sets_of(leaf)[0].rdatas.reverse(), "RDATA must ascend");
    signed("rdata-twice", |leaf| sets_of(leaf)[0].rdatas = vec![vec![1]; 2], "RDATA must be unique");
    signed("no-rdata", |leaf| sets_of(leaf)[0].rdatas.clear(), "an RRset has a record");
    signed("no-rrset", |leaf| sets_of(leaf).clear(), "an answer has an RRset");
    signed(
        "answer-of-other-type",
        |leaf| sets_of(leaf)[0].rtype = 16,
        "the last RRset has the type asked for",
    );
    signed(
        "answer-of-other-owner",
        |leaf| sets_of(leaf)[0].owner = wire("a.org"),
        "the chain starts at the name asked for",
    );
    signed(
        "ttl-above-rrset",
        |leaf| (leaf.ttl, leaf.not_after_ms) = (301, TIME + 301_000),
        "TTL above that of the RRset",
    );
    signed("end-later-than-ttl", |leaf| leaf.not_after_ms += 1, "the end is time plus TTL");
    signed("answer-of-class-failure", |leaf| leaf.class = Class::Failure, "class and outcome differ");
    signed("verdict-on-answer", |leaf| leaf.verdict = b"trusted".to_vec(), "an answer has remarks only");
    signed(
        "rcode-3-as-failure",
        |leaf| (leaf.class, leaf.outcome) = (Class::Failure, Outcome::Failure(3)),
        "NXDOMAIN is no failure",
    );
    cases.extend(remark_cases(clusters));
    cases
}

/// Leaves whose verdict is not what its class and kind allow.
fn remark_cases(clusters: &Clusters) -> Vec<Refused> {
    let four = &clusters.four;
    let mut cases = Vec::new();
    let mut push = |name, leaf: Leaf, why| {
        let mut case = Case::new(name, "n4", &four.certify(&[leaf], 0));
        case.question = None;
        cases.push(("malformed", case, why));
    };
    let remarked = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut verdict = blocked().to_bytes();
        change(&mut verdict);
        Leaf { verdict, ..four.positive() }
    };
    let twice = |verdict: &mut Vec<u8>| verdict.extend(verdict.clone());
    push("two-remarks", remarked(&twice), "at most one remark");
    push("remark-and-a-byte", remarked(&|verdict| verdict.push(0)), "bytes after the remark");
    push("remark-cut", remarked(&|verdict| verdict.truncate(20)), "ends inside the text");
    push("remark-of-one-byte", remarked(&|verdict| verdict.truncate(1)), "a conclusion and nothing else");
    push("remark-conclusion-0", remarked(&|verdict| verdict[0] = 0), "unknown conclusion");
    push("remark-conclusion-4", remarked(&|verdict| verdict[0] = 4), "unknown conclusion");
    push("remark-with-line-feed", remarked(&|verdict| verdict[9] = b'\n'), "text below the space");
    push("remark-with-delete", remarked(&|verdict| verdict[9] = 0x7f), "text above the tilde");
    push("remark-in-latin-1", remarked(&|verdict| verdict[9] = 0xe9), "text that is not ASCII");
    let longer = |verdict: &mut Vec<u8>| {
        verdict.truncate(3);
        verdict.push(201);
        verdict.extend([b'a'; 201]);
    };
    push("remark-of-201-bytes", remarked(&longer), "text of more than 200 bytes");
    let verdict = blocked().to_bytes();
    let nothing = four.leaf(question("split.example.org", 1), Class::NoAgreement, 1, Outcome::None);
    push(
        "remark-on-no-agreement",
        Leaf { verdict: verdict.clone(), ..nothing },
        "there is nothing to remark on",
    );
    let mut failed = four.leaf(question("www.example.org", 1), Class::Failure, 5, Outcome::Failure(2));
    failed.subject = four.validated(Class::Strong).subject;
    failed.policy = Policy::Corroborated;
    push("validate-failure-with-remark", Leaf { verdict, ..failed }, "remarks are for answers");
    let undecided = Leaf { class: Class::NoAgreement, ..four.validated(Class::Strong) };
    push("validate-no-agreement-with-verdict", undecided, "there is no verdict without agreement");
    cases
}

fn question_of(leaf: &mut Leaf) -> &mut Question {
    match &mut leaf.subject {
        Subject::Resolve(question) => question,
        _ => panic!("expected a question"),
    }
}

fn sets_of(leaf: &mut Leaf) -> &mut Vec<certificate::RrSet> {
    match &mut leaf.outcome {
        Outcome::Answer(sets) => sets,
        _ => panic!("expected an answer"),
    }
}

/// Certificates of which the slot's signatures are wrong.
fn signature_cases(clusters: &Clusters) -> Vec<Refused> {
    let four = &clusters.four;
    let leaves = every_outcome(four);
    let answer = four.certify(&leaves, 0);
    let mut cases = Vec::new();
    let mut push = |error, name, change: &dyn Fn(&mut CertifiedAnswer), why| {
        let mut changed = answer.clone();
        change(&mut changed);
        cases.push((error, Case::new(name, "n4", &changed), why));
    };
    let sign = |answer: &mut CertifiedAnswer, phase, signers: &[u8]| {
        answer.certificate = four.sign(answer.certificate.header.clone(), View(0), phase, signers);
    };
    use MessageType::{Checkpoint, Commit, PrePrepare, Prepare};
    push("signer-count", "one-signature-less", &|answer| sign(answer, Commit, &[0, 1]), "q-1");
    push("signer-count", "one-signature-more", &|answer| sign(answer, Commit, &[0, 1, 2, 3]), "q+1");
    push("signer-count", "no-signature", &|answer| sign(answer, Commit, &[]), "nobody signed");
    push(
        "unknown-signer",
        "signer-outside",
        &|answer| answer.certificate.signers = ReplicaSet(0b1_0011),
        "n4 has no replica 4",
    );
    push(
        "signature",
        "one-signer-twice",
        &|answer| answer.certificate.signatures[1] = answer.certificate.signatures[0],
        "replica 0 twice",
    );
    push(
        "signature",
        "signatures-swapped",
        &|answer| answer.certificate.signatures.swap(0, 1),
        "not in the order of ids",
    );
    push(
        "signature",
        "signers-of-others",
        &|answer| answer.certificate.signers = ReplicaSet(0b1011),
        "replica 3 did not sign",
    );
    push(
        "signature",
        "signed-as-prepare",
        &|answer| sign(answer, Prepare, &[0, 1, 2]),
        "type 3 instead of 4",
    );
    push(
        "signature",
        "signed-as-pre-prepare",
        &|answer| sign(answer, PrePrepare, &[0, 1, 2]),
        "type 2 instead of 4",
    );
    push(
        "signature",
        "signed-as-checkpoint",
        &|answer| sign(answer, Checkpoint, &[0, 1, 2]),
        "type 5 instead of 4",
    );
    push("signature", "other-view", &|answer| answer.certificate.view = View(1), "view 0 was signed");
    push(
        "signature",
        "other-sequence",
        &|answer| answer.certificate.header.sequence = Sequence(1),
        "slot 1042 was signed",
    );
    push(
        "signature",
        "other-time",
        &|answer| answer.certificate.header.time_ms += 1,
        "another time was signed",
    );
    push(
        "signature",
        "other-entries",
        &|answer| answer.certificate.header.entries += 1,
        "another count was signed",
    );
    push(
        "signature",
        "other-observations",
        &|answer| answer.certificate.header.observations_root = Digest::ZERO,
        "other evidence was signed",
    );
    push(
        "signature",
        "other-prefix",
        &|answer| answer.certificate.header.prefix_digest = Digest::ZERO,
        "another history was signed",
    );
    push(
        "signature",
        "scalar-plus-order",
        &|answer| add_order(&mut answer.certificate.signatures[0].0),
        "S >= L: malleable",
    );
    push(
        "signature",
        "small-order-r",
        &|answer| {
            let preimage = answer.certificate.commit_preimage();
            answer.certificate.signatures[2] = small_order_signature(4, 2, &preimage);
        },
        "R is the neutral point; the equation of RFC 8032 holds",
    );
    push(
        "other-cluster",
        "other-cluster-id",
        &|answer| answer.certificate.domain.cluster_id.0[0] ^= 1,
        "cluster id changed",
    );
    push(
        "unknown-epoch",
        "relabelled-epoch",
        &|answer| answer.certificate.domain.epoch = Epoch(2),
        "n4 is epoch 1",
    );
    let other_file = |answer: &mut CertifiedAnswer| {
        answer.certificate.header.cluster_digest = Digest::of(b"another file");
        sign(answer, Commit, &[0, 1, 2]);
    };
    push(
        "other-cluster-file",
        "other-cluster-file",
        &other_file,
        "judged by another file of the same epoch, and signed",
    );
    let five = clusters.five.certify(&[clusters.five.positive()], 0);
    let mut two_f_plus_one = five.clone();
    two_f_plus_one.certificate = clusters.five.sign(five.certificate.header, View(0), Commit, &[0, 1, 2]);
    cases.push((
        "signer-count",
        Case::new("two-f-plus-one-of-five", "n5", &two_f_plus_one),
        "q of n = 5, f = 1 is 4",
    ));
    let second = clusters.four_epoch_2.certify(&[clusters.four_epoch_2.positive()], 0);
    cases.push((
        "unknown-epoch",
        Case::new("later-epoch", "n4", &second),
        "the keys of epoch 2 are not in this file",
    ));
    cases.push((
        "unknown-epoch",
        Case::new("earlier-epoch", "n4-epoch-2", &answer),
        "the keys of epoch 1 are not in this file",
    ));
    let seven = clusters.seven.certify(&[clusters.seven.positive()], 0);
    cases.push(("other-cluster", Case::new("of-another-cluster", "n4", &seven), "signed by another cluster"));
    cases
}

/// S + L instead of S. RFC 8032 §5.1.7.
fn add_order(signature: &mut [u8; 64]) {
    const ORDER: [u8; 16] =
        [0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14];
    let mut carry = 0;
    for (position, byte) in signature[32..].iter_mut().enumerate() {
        let order = match position {
            0..16 => u16::from(ORDER[position]),
            31 => 0x10,
            _ => 0,
        };
        let sum = u16::from(*byte) + order + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
}

/// Certificates whose leaf is not in the slot, is not what was asked, or no longer counts.
fn leaf_cases(clusters: &Clusters) -> Vec<Refused> {
    let four = &clusters.four;
    let leaves = every_outcome(four);
    let answer = four.certify(&leaves, 0);
    let mut cases = Vec::new();
    let mut push = |error, name, change: &dyn Fn(&mut CertifiedAnswer), why| {
        let mut changed = answer.clone();
        change(&mut changed);
        cases.push((error, Case::new(name, "n4", &changed), why));
    };
    let denied = four.leaf(
        question("www.example.org", 1),
        Class::Strong,
        300,
        Outcome::Negative {
            chain: Vec::new(),
            denial: Denial::NxDomain,
            zone: wire("example.org"),
            minimum: 300,
        },
    );
    push(
        "inclusion",
        "leaf-swapped",
        &|answer| answer.leaf = leaves[1].clone(),
        "the leaf of another question of the slot",
    );
    push(
        "inclusion",
        "nxdomain-for-answer",
        &|answer| answer.leaf = denied.clone(),
        "a denial in the place of the answer",
    );
    push(
        "inclusion",
        "proof-with-extra-node",
        &|answer| answer.proof.push(Digest::ZERO),
        "one digest too many",
    );
    push("inclusion", "proof-without-last-node", &|answer| answer.proof.truncate(3), "one digest missing");
    push("inclusion", "other-index", &|answer| answer.index = 1, "the index of its neighbour");
    push("inclusion", "index-beyond-slot", &|answer| answer.index = 16, "the slot has 16 leaves");
    let announce = |answer: &mut CertifiedAnswer| {
        let mut header = answer.certificate.header.clone();
        header.kinds = [OperationKind::Validate].into_iter().collect();
        answer.certificate = four.commit(header, View(0));
    };
    push("kind", "kind-not-announced", &announce, "the header announces no resolve");
    let mut ask = |error, name, index, change: &dyn Fn(&mut Case), why| {
        let mut case = Case::new(name, "n4", &four.certify(&leaves, index));
        change(&mut case);
        cases.push((error, case, why));
    };
    ask(
        "other-question",
        "other-type",
        0,
        &|case| case.question = Some(question("www.example.org", 28)),
        "A was asked and signed, AAAA is expected",
    );
    ask(
        "other-question",
        "other-name",
        0,
        &|case| case.question = Some(question("example.org", 1)),
        "another name is expected",
    );
    ask(
        "other-question",
        "other-class",
        0,
        &|case| case.question.as_mut().unwrap().qclass = 3,
        "another class is expected",
    );
    ask(
        "other-question",
        "other-flags",
        0,
        &|case| case.question.as_mut().unwrap().flags = 1,
        "an answer with DO is expected",
    );
    ask(
        "not-an-answer",
        "verdict-for-answer",
        12,
        &|case| case.question = Some(question("www.example.org", 1)),
        "an answer is expected",
    );
    let end = leaves[0].not_after_ms;
    ask("expired", "expired", 0, &|case| case.now_ms = end + GRACE_MS + 1, "one millisecond after the grace");
    ask(
        "expired",
        "expired-without-grace",
        0,
        &|case| (case.now_ms, case.grace_ms) = (end + 1, 0),
        "no grace was given",
    );
    ask(
        "expired",
        "expired-and-class-too-low",
        0,
        &|case| (case.now_ms, case.min_class) = (end + 9000, Class::Secure),
        "the time is checked before the class",
    );
    ask(
        "future",
        "from-the-future",
        0,
        &|case| case.now_ms = TIME + 2 - FUTURE_MS_MAX,
        "the slot's time is 60 001 ms ahead",
    );
    ask("class-too-low", "class-too-low", 0, &|case| case.min_class = Class::Secure, "strong is not secure");
    ask(
        "class-too-low",
        "no-agreement-for-an-answer",
        6,
        &|case| case.min_class = Class::Failure,
        "no agreement",
    );
    cases
}

/// Certificates that an honest quorum cannot have made.
fn contradiction_cases(clusters: &Clusters) -> Vec<Refused> {
    let four = &clusters.four;
    let mut cases = Vec::new();
    let mut push = |name, change: fn(&mut Leaf), why| {
        let mut leaf = four.positive();
        change(&mut leaf);
        cases.push(("contradiction", Case::new(name, "n4", &four.certify(&[leaf], 0)), why));
    };
    push("observer-outside", |leaf| leaf.observers.0 |= 1 << 4, "n4 has no replica 4");
    push("too-few-observers", |leaf| leaf.observers.0 = 0b0011, "fewer than q observations");
    push(
        "supporter-without-observation",
        |leaf| leaf.observers.0 = 0b1110,
        "replica 0 supports, but did not observe",
    );
    push(
        "too-few-supporters",
        |leaf| (leaf.support.0, leaf.groups) = (0b0011, 0b0011),
        "strong needs q supporters",
    );
    push("other-groups", |leaf| leaf.groups = 0b1111, "not the groups of the supporters");
    push("false-single-path", |leaf| leaf.single_path = true, "three groups are enough");
    push("other-policy", |leaf| leaf.policy = Policy::Records, "example.org is strong");
    push(
        "class-beyond-policy",
        |leaf| leaf.class = Class::Corroborated,
        "the policy strong gives no corroborated answer",
    );
    let set = rrset("www.example.org", 1, 7200, &[&[192, 0, 2, 1]]);
    let leaf = four.leaf(question("www.example.org", 1), Class::Strong, 3601, Outcome::Answer(vec![set]));
    cases.push((
        "contradiction",
        Case::new("ttl-beyond-cluster", "n4", &four.certify(&[leaf], 0)),
        "ttl-max is 3600 s",
    ));
    let mut leaf = four.leaf(question("split.example.org", 1), Class::Failure, 5, Outcome::Failure(2));
    (leaf.support.0, leaf.groups) = (1, 1);
    cases.push((
        "contradiction",
        Case::new("failure-of-one", "n4", &four.certify(&[leaf], 0)),
        "a failure needs f+1 supporters",
    ));
    cases.extend(statement_cases(clusters));
    cases
}

/// Verdicts and updates whose class, policy and supporters do not fit their kind.
fn statement_cases(clusters: &Clusters) -> Vec<Refused> {
    let four = &clusters.four;
    let mut cases = Vec::new();
    let mut push = |name, leaf: Leaf, why| {
        let (support, groups) = (leaf.support, four.cluster.groups_of(leaf.support));
        let single_path = groups.count_ones() < four.cluster.min_groups;
        let leaf = Leaf { support, groups, single_path, ..leaf };
        cases.push(("contradiction", Case::new(name, "n4", &four.certify(&[leaf], 0)), why));
    };
    let validated = || four.validated(Class::Strong);
    let strict = Leaf { policy: Policy::Strong, ..validated() };
    push("validate-of-policy-strong", strict, "the policy of a validate is corroborated");
    let records = Leaf { class: Class::Records, ..validated() };
    push("validate-of-class-records", records, "a verdict is agreed on as a whole");
    let secure = Leaf { class: Class::Secure, ..validated() };
    push("validate-of-class-secure", secure, "no verdict is DNSSEC-validated");
    let alone = Leaf { support: ReplicaSet(1), ..four.validated(Class::Corroborated) };
    push("validate-of-one", alone, "corroborated needs f+1 supporters");
    let loose = Leaf { policy: Policy::Corroborated, ..four.updated() };
    push("update-of-policy-corroborated", loose, "the policy of an update is strong");
    let few = Leaf { class: Class::Corroborated, ..four.updated() };
    push("update-of-class-corroborated", few, "an update needs q supporters");
    let secure = Leaf { class: Class::Secure, ..four.updated() };
    push("update-of-class-secure", secure, "no update is DNSSEC-validated");
    let two = Leaf { support: ReplicaSet(0b0011), ..four.updated() };
    push("update-of-two", two, "strong needs q supporters");
    cases
}

pub fn to_json(clusters: &Clusters) -> Value {
    let cases = [
        malformed_cases(clusters),
        signature_cases(clusters),
        leaf_cases(clusters),
        contradiction_cases(clusters),
    ];
    let cases = cases.into_iter().flatten().map(|(expected, case, why)| {
        let error = match case.verify(clusters) {
            Ok(_) => panic!("{}: accepted", case.name),
            Err(error) => error,
        };
        assert_eq!(error.code(), expected, "{}: {error}", case.name);
        merge(case.to_json(), json!({ "error": expected, "exit": error.exit_code(), "why": why }))
    });
    Value::Array(cases.collect())
}
