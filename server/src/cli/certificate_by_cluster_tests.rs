//! What a replica may return, and what is believed of it.

use std::net::SocketAddr;

use agreement::canonical::Reading;
use agreement::statement::decide;
use agreement::{Dnssec, NoProofs, Observation, Observed, ObservedOutcome, Said, Statement};
use certificate::codec::Encode;
use certificate::leaf::Question;
use certificate::{
    Digest, Judged, Member, MessageType, OperationKind, QuorumCertificate, Remark, ReplicaId, ReplicaSet,
    SeedKey, Sequence, SlotHeader, View, merkle,
};
use clap::Parser;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use transparency::operation::{Answer, InputKind, InputSubject};
use transparency::revocation::RevocationMode;

use super::*;
use crate::cli::certificate::CertificateCommand;
use crate::cli::certificates::describe as describe_leaf;

/// 2026-11-22T15:06:00Z, in milliseconds.
const TIME: u64 = 1_795_359_960_000;
const MINUTE: u32 = (TIME / 60_000) as u32;

fn seeds(first: u8) -> Vec<SeedKey> {
    (0..4).map(|id| SeedKey::new([first + id; 32])).collect()
}

fn cluster(seeds: &[SeedKey]) -> Cluster {
    let members = seeds.iter().zip(0u8..).map(|(seed, id)| Member {
        id: ReplicaId(id),
        name: format!("replica-{id}"),
        address: ([192, 0, 2, id + 1], 5380).into(),
        public_key: seed.signing_key().public_key(),
        transport_key: seed.transport_key().public_key(),
        upstream_group: format!("isp-{id}"),
        group: 0,
    });
    Cluster::new("example", 1, members.collect()).unwrap()
}

fn chain() -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from(vec![0x30; 100]), CertificateDer::from(vec![0x31; 7])]
}

fn subject_of(chain: &[CertificateDer<'_>]) -> CertificateSubject {
    CertificateSubject {
        chain: Sha256::of(&encode_chain(chain)),
        name: Some("www.example.org".to_owned()),
        purpose: Purpose::Server,
        at_minutes: MINUTE,
        policy: Policy::Chrome2026,
        revocation: RevocationMode::Soft,
        log_list: Some(Sha256::of(b"list")),
        trust: Sha256::of(b"roots"),
        lists: None,
    }
}

fn agreed() -> Agreed {
    let text = r#"{"verdict":"invalid","reasons":["not_enough_logs"],"outcome":"not_compliant","sct_status":["valid"],"counted_logs":1,"operators":["A"],"revocation":"unknown","score":{"total":0,"chain":0,"policy":0,"inclusion":0,"revocation":0,"networks":0},"digest":"0000000000000000000000000000000000000000000000000000000000000000"}"#;
    let value: Value = serde_json::from_str(text).unwrap();
    serde_json::from_value(value).unwrap()
}

/// What the replicas with these secrets certify when all say `said` of a subject.
fn certify(seeds: &[SeedKey], kind: OperationKind, subject: &[u8], said: Said) -> Vec<u8> {
    let statement = Statement { ttl: 60, said };
    let statements: Vec<_> = (0..4).map(|id| (ReplicaId(id), TIME, statement.clone())).collect();
    certify_leaf(seeds, &decide(&cluster(seeds), kind, subject, &statements))
}

/// A leaf alone in its slot, as the replicas with these secrets certify it.
fn certify_leaf(seeds: &[SeedKey], leaf: &Leaf) -> Vec<u8> {
    let (cluster, kind) = (cluster(seeds), leaf.kind());
    let leaves = [leaf.to_bytes()];
    let header = SlotHeader {
        sequence: Sequence(7),
        kinds: [kind].into_iter().collect(),
        entries: 1,
        leaves_root: merkle::root(&leaves),
        observations_root: Digest::ZERO,
        time_ms: TIME,
        cluster_digest: cluster.digest(),
        prefix_sequence: Sequence(6),
        prefix_digest: Digest::ZERO,
    };
    let domain = cluster.domain();
    let preimage = domain.vote_preimage(MessageType::Commit, View(0), header.sequence, header.digest());
    let signatures = seeds[..3].iter().map(|seed| seed.signing_key().sign(&preimage)).collect();
    let certificate =
        QuorumCertificate { domain, view: View(0), header, signers: ReplicaSet(0b0111), signatures };
    let proof = merkle::proof(&leaves, 0);
    CertifiedAnswer { certificate, index: 0, proof, leaf: leaf.clone() }.to_bytes()
}

fn validation(subject: CertificateSubject, said: Said) -> Vec<u8> {
    let subject = ValidateSubject::Certificate(subject).encode().unwrap();
    certify(&seeds(1), OperationKind::Validate, &subject, said)
}

fn verdict() -> Said {
    Said::Verdict(agreed().encode())
}

/// Asks for `chain()` at a server that nobody is at.
fn asked<'a>(server: &'a Server, chain: &'a [CertificateDer<'a>]) -> Asked<'a> {
    Asked {
        server,
        cluster: Path::new("cluster.toml"),
        chain,
        name: Some("WWW.example.org"),
        purpose: Purpose::Server,
        at: Moment::from_milliseconds(TIME + 59_999),
        policy: None,
        save: None,
        json: false,
    }
}

/// What is made of `bytes` by who asked so.
fn proven(bytes: &[u8], change: impl Fn(&mut Asked<'_>)) -> Result<Proven, String> {
    let (server, chain) = ("@192.0.2.1:9153".parse().unwrap(), chain());
    let mut asked = asked(&server, &chain);
    change(&mut asked);
    prove(&asked, &cluster(&seeds(1)), bytes, TIME + 1000).map_err(|error| error.to_string())
}

#[test]
fn verdict_that_a_quorum_signed_is_shown_with_what_it_was_judged_by() {
    let bytes = validation(subject_of(&chain()), verdict());
    let proven = proven(&bytes, |_| {}).unwrap();
    let text = describe(&proven, &cluster(&seeds(1)));
    for part in [
        "invalid\n",
        "not enough logs\n",
        "ct         not compliant, 1 log counts, of A\n",
        "policy     chrome-2026, revocation soft\n",
        "class      strong (policy corroborated)\n",
        "signers    replica-0, replica-1, replica-2\n",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let json = shown(&proven, &cluster(&seeds(1)));
    assert_eq!((&json["verdict"], &json["agreed"]["outcome"]), (&json!("invalid"), &json!("not_compliant")));
    assert_eq!(json["certificate"]["judgement"]["about"]["name"], json!("www.example.org"));
}

/// What a replica returned beside a certificate.
fn local(promises: [&str; 2], networks: Value) -> Option<Local> {
    let stamps = promises
        .map(|word| json!({ "status": "valid", "log": "A\u{1b}[2J", "counts": true, "inclusion": word }));
    let score =
        json!({ "total": 80, "chain": 30, "policy": 30, "inclusion": 0, "revocation": 10, "networks": 10 });
    let local = json!({
        "verdict": "valid", "reasons": ["\u{1b}[2J"], "inclusion": "pending", "timestamps": stamps, "networks": networks, "score": score,
    });
    Some(serde_json::from_value(local).unwrap())
}

#[test]
fn what_one_replica_alone_knows_is_shown_as_that_and_decides_nothing() {
    let bytes = validation(subject_of(&chain()), verdict());
    let bare = proven(&bytes, |_| {}).unwrap();
    assert!(!describe(&bare, &cluster(&seeds(1))).contains("this replica alone"));
    assert_eq!(shown(&bare, &cluster(&seeds(1)))["local"], Value::Null);
    let local = local(["proved", "pending"], json!({ "agreeing": 3, "looked": 4 }));
    let proven = Proven { local, ..bare };
    let text = describe(&proven, &cluster(&seeds(1)));
    assert!(text.starts_with("invalid\n"), "the word of the quorum: {text}");
    let lines = "local      this replica alone: valid, promises of logs: 1 pending, 1 proved, seen from 3 of 4 networks, score 80 of 100\n           \
                 not part of the certificate: nobody has signed it\n";
    assert!(text.ends_with(lines), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let json = shown(&proven, &cluster(&seeds(1)));
    let invalid =
        proven.local.clone().map(|local| Local { verdict: Conclusion::Invalid, networks: None, ..local });
    let text = describe(&Proven { local: invalid, ..proven }, &cluster(&seeds(1)));
    assert!(
        text.contains("alone: invalid (\u{fffd}[2J), promises of logs: 1 pending, 1 proved, score"),
        "{text:?}"
    );
    assert_eq!((&json["verdict"], &json["local"]["verdict"]), (&json!("invalid"), &json!("valid")));
    assert_eq!(json["local"]["score"]["networks"], json!(10));
}

#[test]
fn name_is_asked_for_as_the_replica_reads_it() {
    let bytes = validation(subject_of(&chain()), verdict());
    assert!(proven(&bytes, |asked| asked.name = Some("www.Example.org.")).is_ok());
    assert!(proven(&bytes, |asked| asked.name = Some("www.example.org..")).is_err());
    assert!(proven(&bytes, |asked| asked.name = Some("")).is_err());
    let nameless = CertificateSubject { name: None, ..subject_of(&chain()) };
    let bytes = validation(nameless, verdict());
    assert!(proven(&bytes, |asked| asked.name = Some("")).is_ok(), "no name, as without the option");
    assert!(proven(&bytes, |asked| asked.name = Some(".")).is_err());
}

#[test]
fn what_a_quorum_signed_cannot_steer_a_terminal() {
    let steers = || "A\u{1b}[2J\u{202e}B\n".to_owned();
    let agreed = Agreed { operators: vec![steers()], reasons: vec![steers()], ..agreed() };
    let bytes = validation(subject_of(&chain()), Said::Verdict(agreed.encode()));
    let proven = proven(&bytes, |_| {}).unwrap();
    let saved = verified(&bytes);
    for text in [describe(&proven, &cluster(&seeds(1))), saved] {
        assert!(text.contains("of A\u{fffd}[2J\u{fffd}B\u{fffd}\n"), "{text:?}");
        let steers = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(steers, None, "{text:?}");
    }
}

#[test]
fn verdict_on_something_else_is_not_believed() {
    let other = [CertificateDer::from(vec![0x30; 99])];
    for (change, expected) in [
        (
            CertificateSubject { chain: subject_of(&other).chain, ..subject_of(&chain()) },
            "expected the chain",
        ),
        (
            CertificateSubject { name: Some("example.org".into()), ..subject_of(&chain()) },
            "expected the name `WWW.example.org`, found the name `example.org`",
        ),
        (CertificateSubject { name: None, ..subject_of(&chain()) }, "found no name"),
        (
            CertificateSubject { purpose: Purpose::Email, ..subject_of(&chain()) },
            "expected the purpose server, found the purpose email",
        ),
        (CertificateSubject { at_minutes: MINUTE - 1, ..subject_of(&chain()) }, "expected the minute of"),
    ] {
        let error = proven(&validation(change, verdict()), |_| {}).err().unwrap();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let bytes = validation(subject_of(&chain()), verdict());
    let error = proven(&bytes, |asked| asked.policy = Some(&Policy::Apple)).err().unwrap();
    assert!(error.contains("expected the policy apple, found the policy chrome-2026"), "{error}");
    assert!(proven(&bytes, |asked| asked.policy = Some(&Policy::Chrome2026)).is_ok());
}

#[test]
fn verdict_that_the_cluster_did_not_sign_is_not_believed() {
    let subject = ValidateSubject::Certificate(subject_of(&chain())).encode().unwrap();
    let others = certify(&seeds(50), OperationKind::Validate, &subject, verdict());
    assert!(proven(&others, |_| {}).err().unwrap().contains("does not verify"));
    let mut changed = validation(subject_of(&chain()), verdict());
    let at = changed.windows(7).position(|bytes| bytes == b"invalid").unwrap();
    changed[at..at + 7].copy_from_slice(b"  valid");
    assert!(proven(&changed, |_| {}).err().unwrap().contains("does not verify"));
    assert!(proven(b"QRT", |_| {}).err().unwrap().contains("does not verify"));
}

#[test]
fn decision_about_an_input_is_none_about_a_certificate() {
    let subject = ValidateSubject::Certificate(subject_of(&chain())).encode().unwrap();
    let bytes = certify(&seeds(1), OperationKind::UpdateInputs, &subject, verdict());
    assert!(proven(&bytes, |_| {}).err().unwrap().contains("expected a certificate, found something else"));
}

#[test]
fn what_replicas_cannot_judge_is_indeterminate() {
    let bytes = validation(subject_of(&chain()), Said::CannotJudge("no log list".to_owned()));
    let proven = proven(&bytes, |_| {}).unwrap();
    assert!(proven.agreed.is_none());
    let text = describe(&proven, &cluster(&seeds(1)));
    assert!(text.starts_with("indeterminate: enough replicas cannot judge it\n"), "{text}");
}

/// What `quorate verify` shows of a decision.
fn verified(bytes: &[u8]) -> String {
    let answer = CertifiedAnswer::from_bytes(bytes).unwrap();
    let cluster = cluster(&seeds(1));
    let verdict = verify(&answer, &cluster, None, TIME + 1000, 0, Class::NoAgreement);
    describe_leaf(&answer, &cluster, &verdict)
}

#[test]
fn saved_decisions_are_shown_readably() {
    let text = verified(&validation(subject_of(&chain()), verdict()));
    assert!(text.starts_with("verdict    valid\nabout      certificate for www.example.org"), "{text}");
    assert!(text.contains("answer     invalid\n           not enough logs\n"), "{text}");
    let input = InputSubject { kind: InputKind::LogList, digest: Sha256::of(b"list") };
    for (answer, expected) in [
        (Answer::Accepted, "answer     accepted: in force\n"),
        (Answer::Refused("older".into()), "answer     refused: older\n"),
    ] {
        let bytes =
            certify(&seeds(1), OperationKind::UpdateInputs, &input.encode(), Said::Verdict(answer.encode()));
        let text = verified(&bytes);
        let about = format!("about      input {}, sha256 {}\n", input.kind.word(), input.digest);
        assert!(text.contains(&about) && text.contains(expected), "{text}");
    }
    let unknown = certify(&seeds(1), OperationKind::Validate, b"\xff", Said::Verdict(b"?".to_vec()));
    assert!(verified(&unknown).contains("answer     agreed on, in a form that is not known here\n"));
}

#[test]
fn remark_on_an_answer_is_shown() {
    let (seeds, question) = (seeds(1), Question::parse("www.example.org", 37).unwrap());
    let text = "ct-verify: CERT invalid: not_enough_logs";
    let remark = Some(Remark::new(Judged::Invalid, 15, text));
    let observed = [0, 1, 2, 3].map(|id| {
        let reading = Reading { remark: remark.clone(), ..Reading::bare(ObservedOutcome::Failure(2)) };
        let group = cluster(&seeds).member(ReplicaId(id)).unwrap().group;
        Observed::compose(reading, Dnssec::Indeterminate, group, Vec::new(), 512)
    });
    let observation = |(id, observed)| Observation { replica: ReplicaId(id), time_ms: TIME, observed };
    let observations: Vec<_> = (0..4).zip(&observed).map(observation).collect();
    let leaf = agreement::decide(&cluster(&seeds), &question, &observations, &NoProofs).leaf;
    let bytes = certify_leaf(&seeds, &leaf);
    let shown = verified(&bytes);
    assert!(
        shown.contains(&format!("answer     SERVFAIL, agreed on\nremark     invalid: {text}\n")),
        "{shown}"
    );
    let answer = CertifiedAnswer::from_bytes(&bytes).unwrap();
    let verdict = verify(&answer, &cluster(&seeds), Some(&question), TIME, 0, Class::NoAgreement);
    let json = to_json(&answer, &cluster(&seeds), &verdict);
    assert_eq!((&json["remark"]["text"], &json["judgement"]), (&json!(text), &Value::Null));
}

#[tokio::test]
async fn certificates_alone_are_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"-----END CERTIFICATE-----\n") || request.len() < 400 {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).await.unwrap();
            request.extend_from_slice(&part[..length]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        String::from_utf8(request).unwrap()
    });
    let (server, chain) = (format!("@{address}").parse().unwrap(), chain());
    let asked = asked(&server, &chain);
    post_pem(&asked.server.0, &path(&asked), pem(&chain)).await.unwrap();
    let request = serving.await.unwrap();
    let target = format!(
        "POST /v1/certificates/validate?purpose=server&at={}&name=WWW.example.org ",
        u64::from(MINUTE) * 60
    );
    assert!(request.starts_with(&target), "{request}");
    assert!(request.contains("content-type: application/x-pem-file\r\n"), "{request}");
    assert_eq!(request.matches("-----BEGIN CERTIFICATE-----\n").count(), 2);
    assert!(request.lines().all(|line| line.len() <= 100));
}

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: CertificateCommand,
}

#[test]
fn certificate_is_judged_here_or_by_a_cluster() {
    let parse = |words: &str| {
        let words = ["certificate", "check", "chain.pem"].into_iter().chain(words.split_whitespace());
        Arguments::try_parse_from(words).map(|arguments| drop(arguments.command))
    };
    for right in [
        "--offline",
        "--offline --log-list list.json --policy apple",
        "--cluster cluster.toml @127.0.0.1:9153",
        "--cluster cluster.toml @localhost --name www.example.org --policy apple --save file --json",
    ] {
        assert!(parse(right).is_ok(), "{right}");
    }
    for wrong in [
        "",
        "--cluster cluster.toml",
        "@127.0.0.1:9153",
        "--offline @127.0.0.1:9153",
        "--offline --cluster cluster.toml @127.0.0.1:9153",
        "--offline --save file",
        "--cluster cluster.toml 127.0.0.1:9153",
        "--cluster cluster.toml @127.0.0.1:9153 --log-list list.json",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
