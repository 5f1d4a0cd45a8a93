//! Statements: their bytes, and what is decided from them. No liar gets a verdict that no honest replica said, and no order matters.

#![allow(clippy::unwrap_used, reason = "a test that cannot be arranged should fail")]

mod world;

use std::collections::BTreeMap;

use agreement::decide::{FAILURE_TTL_SECONDS, NO_AGREEMENT_TTL_SECONDS};
use agreement::observation::{PAYLOAD_BYTES_MIN, payload_bytes_max};
use agreement::statement::{
    FORMAT, STATEMENT_REST_BYTES, Said, Statement, WHY_BYTES_MAX, check, decide, settled,
};
use agreement::{CheckError, NoProofs, explain::explain, testimonies};
use certificate::codec::{Decode, DecodeError, Encode};
use certificate::leaf::VERDICT_BYTES_MAX;
use certificate::{Class, Cluster, Leaf, OperationKind, Outcome, Policy, ReplicaId, Subject};
use world::{NOW_MS, Numbers, cluster, four, ids, permutations, verifies};

use OperationKind::{UpdateInputs, Validate};

const SHAPES: [(u32, u32); 4] = [(4, 1), (5, 1), (6, 1), (7, 2)];
const SUBJECT: &[u8] = b"a chain, by its digest";

type Row = (ReplicaId, u64, Statement);

fn says(verdict: &str) -> Statement {
    Statement { ttl: 300, said: Said::Verdict(verdict.as_bytes().to_vec()) }
}

fn cannot() -> Statement {
    Statement::cannot_judge("log list 0011aabb is not in force here")
}

/// One statement a replica, numbered in order, all at `NOW_MS`.
fn rows(statements: &[Statement]) -> Vec<Row> {
    let numbered = statements.iter().enumerate();
    numbered.map(|(id, statement)| (ReplicaId(id as u8), NOW_MS, statement.clone())).collect()
}

/// The leaf, of a form that the format accepts and of which a certificate verifies.
fn leaf_of(cluster: &Cluster, kind: OperationKind, rows: &[Row]) -> Leaf {
    let leaf = decide(cluster, kind, SUBJECT, rows);
    assert_eq!(Leaf::from_bytes(&leaf.to_bytes()).as_ref(), Ok(&leaf));
    assert_eq!((leaf.kind(), leaf.subject.operation_bytes()), (kind, SUBJECT.to_vec()));
    assert_eq!(Some(leaf.policy), Policy::of_statements(kind));
    leaf
}

fn decided(cluster: &Cluster, kind: OperationKind, statements: &[Statement]) -> (Class, String) {
    let leaf = leaf_of(cluster, kind, &rows(statements));
    (leaf.class, String::from_utf8(leaf.verdict).unwrap())
}

// Bytes.

fn examples() -> Vec<Statement> {
    let longest = Statement { ttl: u32::MAX, said: Said::Verdict(vec![0xff; VERDICT_BYTES_MAX]) };
    let why = Statement::cannot_judge(&"x".repeat(WHY_BYTES_MAX));
    vec![says("{}"), says("accepted"), longest, cannot(), why, Statement::cannot_judge("")]
}

#[test]
fn statement_reads_back_to_itself() {
    for statement in examples() {
        assert_eq!(Statement::from_bytes(&statement.to_bytes()), Ok(statement));
    }
}

#[test]
fn bytes_of_a_statement_are_those_of_the_format() {
    assert_eq!(says("ab").to_bytes(), [FORMAT, 0, 0, 1, 44, 1, 0, 2, b'a', b'b']);
    assert_eq!(Statement::cannot_judge("no").to_bytes(), [FORMAT, 0, 0, 0, 5, 2, 0, 2, b'n', b'o']);
    assert_eq!(says("ab").to_bytes().len(), STATEMENT_REST_BYTES + 2);
}

#[test]
fn every_cut_statement_and_trailing_byte_is_refused() {
    for statement in examples() {
        let bytes = statement.to_bytes();
        for length in 0..bytes.len() {
            assert!(Statement::from_bytes(&bytes[..length]).is_err(), "{length}");
        }
        let trailing = DecodeError::TrailingBytes { offset: bytes.len(), found: 1 };
        assert_eq!(Statement::from_bytes(&[bytes, vec![0]].concat()), Err(trailing));
    }
}

#[test]
fn whatever_decodes_encodes_to_the_same_bytes() {
    for statement in [says("accepted"), cannot()] {
        let bytes = statement.to_bytes();
        for at in 0..bytes.len() {
            for change in 1..=255 {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                if let Ok(read) = Statement::from_bytes(&changed) {
                    assert_eq!(read.to_bytes(), changed, "byte {at} ^ {change}");
                }
            }
        }
    }
}

#[test]
fn empty_and_too_long_verdicts_and_reasons_are_refused() {
    let accepted = |statement: Statement| Statement::from_bytes(&statement.to_bytes()).is_ok();
    let verdict = |length| accepted(Statement { ttl: 1, said: Said::Verdict(vec![1; length]) });
    assert_eq!([0, 1, VERDICT_BYTES_MAX, VERDICT_BYTES_MAX + 1].map(verdict), [false, true, true, false]);
    let why = |length| accepted(Statement { ttl: 1, said: Said::CannotJudge("x".repeat(length)) });
    assert_eq!([0, WHY_BYTES_MAX, WHY_BYTES_MAX + 1].map(why), [true, true, false]);
}

#[test]
fn reason_is_printable_ascii_and_a_verdict_any_bytes() {
    for byte in 0..=255 {
        let mut reason = cannot().to_bytes();
        *reason.last_mut().unwrap() = byte;
        assert_eq!(Statement::from_bytes(&reason).is_ok(), (b' '..=b'~').contains(&byte), "{byte}");
        let mut verdict = says("accepted").to_bytes();
        *verdict.last_mut().unwrap() = byte;
        assert!(Statement::from_bytes(&verdict).is_ok(), "{byte}");
    }
}

#[test]
fn unknown_formats_and_tags_are_refused() {
    for byte in 0..=255 {
        let mut format = says("accepted").to_bytes();
        format[0] = byte;
        assert_eq!(Statement::from_bytes(&format).is_ok(), byte == FORMAT, "{byte}");
        let mut tag = says("accepted").to_bytes();
        tag[5] = byte;
        assert_eq!(Statement::from_bytes(&tag).is_ok(), byte == 1 || byte == 2, "{byte}");
    }
}

#[test]
fn reason_is_cut_to_what_the_format_allows() {
    let statement = Statement::cannot_judge(&"ü".repeat(1000));
    assert_eq!(statement.said, Said::CannotJudge("?".repeat(WHY_BYTES_MAX)));
}

// The door.

#[test]
fn door_accepts_what_honest_replicas_say() {
    let mut tight = four(Policy::Records);
    tight.batch_bytes = 1;
    assert_eq!(payload_bytes_max(&tight), PAYLOAD_BYTES_MIN);
    for cluster in [four(Policy::Records), tight, cluster(31, 10, Policy::Records)] {
        for statement in examples() {
            let sent = statement.clone().within(&cluster);
            assert_eq!(check(&cluster, ReplicaId(3), &sent.to_bytes()), Ok(sent.clone()));
            let fits = statement.to_bytes().len() <= payload_bytes_max(&cluster);
            assert!(if fits { sent == statement } else { sent.verdict().is_none() }, "{statement:?}");
        }
    }
}

#[test]
fn what_cannot_be_sent_is_said_to_be_unjudged() {
    let cluster = four(Policy::Records);
    let room = payload_bytes_max(&cluster) - STATEMENT_REST_BYTES;
    for (said, has_verdict) in [
        (Said::Verdict(vec![]), false),
        (Said::Verdict(vec![1; room]), true),
        (Said::Verdict(vec![1; room + 1]), false),
        (Said::Verdict(vec![1; 1 << 20]), false),
        (Said::CannotJudge("\n\u{e4}".repeat(10_000)), false),
    ] {
        let sent = Statement { ttl: 7, said }.within(&cluster);
        assert_eq!(sent.verdict().is_some(), has_verdict);
        assert_eq!(check(&cluster, ReplicaId(0), &sent.to_bytes()), Ok(sent));
    }
}

#[test]
fn door_refuses_strangers_long_payloads_other_formats_and_garbage() {
    let cluster = four(Policy::Records);
    let refusal = |replica: u8, payload: &[u8]| check(&cluster, ReplicaId(replica), payload).unwrap_err();
    let bytes = says("accepted").to_bytes();
    assert_eq!(refusal(4, &bytes), CheckError::UnknownReplica(ReplicaId(4)));
    let expected = payload_bytes_max(&cluster);
    let long = vec![FORMAT; expected + 1];
    assert_eq!(refusal(0, &long), CheckError::TooLong { expected, found: expected + 1 });
    assert_eq!(refusal(0, &[2, 0, 0]), CheckError::Format { found: 2 });
    for payload in [&[][..], &[FORMAT], &bytes[..9], &[&bytes[..], &[0]].concat()] {
        assert!(matches!(refusal(0, payload), CheckError::Decode(_)), "{payload:?}");
    }
    let mut numbers = Numbers(5);
    for _ in 0..50_000 {
        let length = numbers.below(60) as usize;
        let mut garbage: Vec<u8> = (0..length).map(|_| numbers.below(256) as u8).collect();
        if let Some(format) = garbage.first_mut() {
            *format = FORMAT;
        }
        if let Ok(read) = check(&cluster, ReplicaId(0), &garbage) {
            assert_eq!(read.to_bytes(), garbage);
        }
    }
}

// The decision.

#[test]
fn quorum_of_equal_verdicts_is_strong_and_a_majority_corroborated() {
    for (n, f) in SHAPES {
        let cluster = cluster(n, f, Policy::Bypass);
        let (quorum, weak) = (cluster.replicas.quorum(), f as usize + 1);
        for count in quorum..=n as usize {
            for holders in 0..=count {
                let mut statements = vec![says("valid"); holders];
                statements.extend((holders..count).map(|other| says(&format!("other {other}"))));
                let expected = match holders {
                    _ if holders >= quorum => Class::Strong,
                    _ if holders > count / 2 && holders >= weak => Class::Corroborated,
                    _ => Class::NoAgreement,
                };
                let verdict = if expected == Class::NoAgreement { "" } else { "valid" };
                let found = decided(&cluster, Validate, &statements);
                assert_eq!(found, (expected, verdict.to_owned()), "n {n}, {holders} of {count}");
                let strict = if expected == Class::Strong { expected } else { Class::NoAgreement };
                assert_eq!(decided(&cluster, UpdateInputs, &statements).0, strict, "n {n}");
            }
        }
    }
}

#[test]
fn enough_that_cannot_judge_is_a_certified_failure() {
    for (n, f) in SHAPES {
        let cluster = cluster(n, f, Policy::Records);
        let quorum = cluster.replicas.quorum();
        for count in quorum..=n as usize {
            for unable in 0..=count {
                let mut statements = vec![cannot(); unable];
                statements.extend((unable..count).map(|other| says(&format!("other {other}"))));
                for (kind, threshold) in
                    [(Validate, (count / 2 + 1).max(f as usize + 1)), (UpdateInputs, quorum)]
                {
                    let leaf = leaf_of(&cluster, kind, &rows(&statements));
                    let fails = unable >= threshold;
                    assert_eq!(leaf.class == Class::Failure, fails, "n {n}, {kind:?}, {unable} of {count}");
                    if fails {
                        assert_eq!((leaf.outcome, leaf.ttl), (Outcome::Failure(2), FAILURE_TTL_SECONDS));
                        assert_eq!((leaf.support.len(), leaf.verdict), (unable, vec![]));
                    }
                }
            }
        }
    }
}

#[test]
fn reasons_are_never_compared() {
    let statements: Vec<Statement> = ["one", "two", "three"].map(Statement::cannot_judge).to_vec();
    assert_eq!(decided(&four(Policy::Records), Validate, &statements).0, Class::Failure);
    let spoken: Vec<Statement> = ["one", "two"].map(Statement::cannot_judge).to_vec();
    let leaf = leaf_of(&four(Policy::Records), Validate, &rows(&[spoken, vec![says("one"); 2]].concat()));
    assert_eq!((leaf.class, leaf.verdict), (Class::NoAgreement, vec![]));
}

#[test]
fn disagreement_is_no_agreement_for_a_second() {
    let leaf = leaf_of(&four(Policy::Records), Validate, &rows(&[says("valid"), says("invalid"), cannot()]));
    assert_eq!((leaf.class, &leaf.outcome), (Class::NoAgreement, &Outcome::None));
    assert_eq!((leaf.ttl, leaf.not_after_ms), (NO_AGREEMENT_TTL_SECONDS, NOW_MS + 1000));
    assert_eq!((ids(leaf.support), ids(leaf.observers)), (vec![], vec![0, 1, 2]));
}

#[test]
fn fewer_than_a_quorum_decide_nothing() {
    for (n, f) in SHAPES {
        let cluster = cluster(n, f, Policy::Records);
        for count in 0..cluster.replicas.quorum() {
            for statement in [says("valid"), cannot()] {
                let leaf = leaf_of(&cluster, Validate, &rows(&vec![statement; count]));
                assert_eq!(leaf.class, Class::NoAgreement, "n {n}, {count}");
            }
        }
    }
}

#[test]
fn life_is_the_least_of_the_supporters_and_at_most_ttl_max() {
    let cluster = four(Policy::Records);
    let with = |ttls: [u32; 4]| {
        let mut statements: Vec<Statement> = ttls.map(|ttl| Statement { ttl, ..says("valid") }).to_vec();
        statements[3].said = Said::Verdict(b"other".to_vec());
        let leaf = leaf_of(&cluster, Validate, &rows(&statements));
        assert_eq!(leaf.not_after_ms, leaf.time_ms + u64::from(leaf.ttl) * 1000);
        leaf.ttl
    };
    assert_eq!(with([300, 200, 400, 1]), 200);
    assert_eq!(with([300, 0, 400, 500]), 0);
    assert_eq!(with([u32::MAX; 4]), cluster.ttl_max_s);
}

#[test]
fn statement_far_from_the_median_does_not_count() {
    let cluster = four(Policy::Records);
    let window = cluster.observation_window_ms;
    let mut rows = rows(&[says("valid"), says("valid"), says("valid"), says("valid")]);
    rows[3].1 = NOW_MS + window + 1;
    let leaf = leaf_of(&cluster, UpdateInputs, &rows);
    assert_eq!((leaf.class, ids(leaf.support), leaf.time_ms), (Class::Strong, vec![0, 1, 2], NOW_MS));
    assert_eq!(ids(leaf.observers), [0, 1, 2, 3]);
    rows[2].1 = NOW_MS - window - 1;
    assert_eq!(leaf_of(&cluster, UpdateInputs, &rows).class, Class::NoAgreement);
    rows[2].1 = NOW_MS - window;
    assert_eq!(leaf_of(&cluster, UpdateInputs, &rows).class, Class::Strong);
}

#[test]
fn time_of_a_leaf_is_the_lower_median_and_no_liar_moves_it_beyond_the_honest() {
    let cluster = four(Policy::Records);
    let mut all = rows(&vec![says("valid"); 4]);
    all.iter_mut().zip([9000, 100, 300, 200]).for_each(|(row, offset_ms)| row.1 += offset_ms);
    assert_eq!(leaf_of(&cluster, Validate, &all).time_ms, NOW_MS + 200);
    for offset_ms in [i64::MIN / 4, -9_000, -1, 1, 9_000, 1 << 40] {
        let mut three = rows(&vec![says("valid"); 3]);
        three[1].1 = NOW_MS + 50;
        three[0].1 = NOW_MS.saturating_add_signed(offset_ms);
        let time_ms = decide(&cluster, Validate, SUBJECT, &three).time_ms;
        assert!((NOW_MS..=NOW_MS + 50).contains(&time_ms), "{offset_ms}");
    }
}

#[test]
fn stranger_and_second_statement_of_one_replica_do_not_count() {
    let cluster = four(Policy::Records);
    let mut two_and_a_stranger = rows(&vec![says("valid"); 3]);
    two_and_a_stranger[2].0 = ReplicaId(9);
    let leaf = leaf_of(&cluster, Validate, &two_and_a_stranger);
    assert_eq!((leaf.class, ids(leaf.observers)), (Class::NoAgreement, vec![0, 1]));
    let mut twice = rows(&[says("valid"), says("valid"), cannot()]);
    twice.push((ReplicaId(2), NOW_MS + 1, says("valid")));
    let leaf = leaf_of(&cluster, Validate, &twice);
    assert_eq!((leaf.class, ids(leaf.support)), (Class::Corroborated, vec![0, 1]));
    twice.push((ReplicaId(2), NOW_MS - 1, says("valid")));
    assert_eq!(leaf_of(&cluster, Validate, &twice).class, Class::Strong);
}

#[test]
fn groups_and_single_path_are_those_of_the_supporters() {
    let mut cluster = four(Policy::Records);
    cluster.members.iter_mut().zip([0, 0, 1, 2]).for_each(|(member, group)| member.group = group);
    let rows = |verdicts: [&str; 4]| rows(&verdicts.map(says));
    let alone = decide(&cluster, Validate, SUBJECT, &rows(["a", "a", "b", "c"])[..3]);
    assert_eq!((alone.class, alone.groups, alone.single_path), (Class::Corroborated, 0b001, true));
    let wide = decide(&cluster, Validate, SUBJECT, &rows(["a", "b", "a", "a"]));
    assert_eq!((wide.class, wide.groups, wide.single_path), (Class::Strong, 0b111, false));
    let none = decide(&cluster, Validate, SUBJECT, &rows(["a", "b", "c", "d"]));
    assert_eq!((none.class, none.groups, none.single_path), (Class::NoAgreement, 0, false));
}

/// Every way in which `count` replicas can say one of `choices`.
fn every_vector(choices: &[Statement], count: usize, mut visit: impl FnMut(&[Statement])) {
    for code in 0..choices.len().pow(count as u32) {
        let choice = |at: usize| choices[code / choices.len().pow(at as u32) % choices.len()].clone();
        visit(&(0..count).map(choice).collect::<Vec<_>>());
    }
}

#[test]
fn liars_never_get_a_verdict_that_no_honest_replica_said() {
    for (n, f) in SHAPES {
        let cluster = cluster(n, f, Policy::Records);
        let quorum = cluster.replicas.quorum();
        let honest = (n - f) as usize;
        every_vector(&[says("a"), says("b"), cannot()], honest, |said| {
            let mut all = rows(&[said.to_vec(), vec![says("lie"); f as usize]].concat());
            for (id, row) in all.iter_mut().enumerate() {
                row.1 += 10 * id as u64;
            }
            for subset in 0u32..1 << n {
                if (subset.count_ones() as usize) < quorum {
                    continue;
                }
                let chosen: Vec<Row> = all.iter().filter(|row| subset >> row.0.0 & 1 == 1).cloned().collect();
                for kind in [Validate, UpdateInputs] {
                    let leaf = decide(&cluster, kind, SUBJECT, &chosen);
                    owes(&cluster, kind, &chosen, &leaf);
                    assert_ne!(leaf.verdict, b"lie", "{chosen:?}");
                }
            }
        });
    }
}

/// What every decision owes, told from the statements alone.
fn owes(cluster: &Cluster, kind: OperationKind, chosen: &[Row], leaf: &Leaf) {
    let quorum = cluster.replicas.quorum();
    let needed = if kind == UpdateInputs { quorum } else { chosen.len() / 2 + 1 };
    let mut holders: BTreeMap<Option<&[u8]>, usize> = BTreeMap::new();
    chosen.iter().for_each(|(_, _, said)| *holders.entry(said.verdict()).or_default() += 1);
    let most = holders.iter().find(|(_, count)| **count >= needed);
    match (most, leaf.class) {
        (None, Class::NoAgreement) => {}
        (Some((None, count)), Class::Failure) => assert_eq!(leaf.support.len(), *count),
        (Some((Some(verdict), count)), Class::Strong | Class::Corroborated) => {
            assert_eq!((leaf.verdict.as_slice(), leaf.support.len()), (*verdict, *count));
            assert_eq!(leaf.class == Class::Strong, *count >= quorum);
            assert!(*count > cluster.replicas.faults());
        }
        _ => panic!("{leaf:?} of {chosen:?}"),
    }
}

#[test]
fn every_order_gives_the_same_leaf() {
    let cluster = four(Policy::Records);
    every_vector(&[says("a"), says("b"), cannot(), Statement { ttl: 1, ..says("a") }], 4, |said| {
        let mut rows = rows(said);
        rows.iter_mut().zip([0, 700, 300, 20_000]).for_each(|(row, offset_ms)| row.1 += offset_ms);
        rows.push((ReplicaId(1), NOW_MS + 700, says("b")));
        for kind in [Validate, UpdateInputs] {
            let first = decide(&cluster, kind, SUBJECT, &rows);
            let waiting = settled(&cluster, kind, &rows);
            permutations(&mut rows.clone(), 0, &mut |order| {
                assert_eq!(decide(&cluster, kind, SUBJECT, order), first, "{order:?}");
                assert_eq!(settled(&cluster, kind, order), waiting, "{order:?}");
            });
        }
    });
}

#[test]
fn what_is_decided_verifies() {
    for (n, f) in SHAPES {
        let cluster = cluster(n, f, Policy::Records);
        let quorum = cluster.replicas.quorum();
        let split: Vec<Statement> = (0..n).map(|id| says(&format!("verdict {id}"))).collect();
        let majority = [vec![says("valid"); quorum - 1], vec![cannot(); n as usize + 1 - quorum]].concat();
        for statements in [vec![says("valid"); n as usize], vec![cannot(); n as usize], split, majority] {
            for kind in [Validate, UpdateInputs] {
                let leaf = leaf_of(&cluster, kind, &rows(&statements));
                assert!(verifies(&cluster, &leaf), "{leaf:?}");
            }
        }
    }
}

#[test]
fn quorum_that_agrees_or_cannot_judge_is_settled() {
    for (n, f) in SHAPES {
        let cluster = cluster(n, f, Policy::Records);
        let quorum = cluster.replicas.quorum();
        for kind in [Validate, UpdateInputs] {
            let is_settled = |statements: Vec<Statement>| settled(&cluster, kind, &rows(&statements));
            assert!(is_settled(vec![says("valid"); quorum]));
            assert!(is_settled(vec![cannot(); quorum]));
            assert!(!is_settled(vec![says("valid"); quorum - 1]));
            assert!(!is_settled([vec![says("valid"); quorum - 1], vec![cannot()]].concat()));
            assert!(!is_settled([vec![cannot(); quorum - 1], vec![says("valid")]].concat()));
        }
        for kind in [OperationKind::Null, OperationKind::Resolve, OperationKind::NewEpoch] {
            assert!(!settled(&cluster, kind, &rows(&vec![says("valid"); quorum])));
        }
    }
    let cluster = four(Policy::Records);
    let mut late = rows(&vec![says("valid"); 3]);
    late[2].1 += cluster.observation_window_ms + 1;
    assert!(!settled(&cluster, Validate, &late));
}

#[test]
fn policy_of_the_cluster_file_has_no_say() {
    let statements = [says("valid"), says("valid"), says("other")];
    for policy in Policy::ALL {
        assert_eq!(decided(&four(policy), Validate, &statements).0, Class::Corroborated, "{policy}");
        assert_eq!(decided(&four(policy), UpdateInputs, &statements).0, Class::NoAgreement, "{policy}");
    }
}

#[test]
fn statements_have_no_testimonies_and_no_account() {
    let cluster = four(Policy::Records);
    let leaf = leaf_of(&cluster, Validate, &rows(&vec![says("valid"); 4]));
    assert!(matches!(leaf.subject, Subject::Validate(_)));
    assert_eq!(testimonies(&cluster, &leaf, &[], &NoProofs), []);
    assert_eq!(explain(&cluster, &leaf, &[]), None);
}
