//! What clients see: answers with certificates, as they are, with a word beside them, or withheld as a whole.

use system_tests::program::{run, stderr, stdout};
use system_tests::scene::REPLICAS;

use super::answer::Answer;
use super::court::{Court, LOG_LIST, NO_AUDIT, SETTINGS};

fn session() -> Court {
    Court::in_session(&format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}"))
}

/// What `ct-verify` tells, with its INFO-CODE: the first thing, and once.
fn told(answer: &Answer) -> &str {
    let ours = answer.told.iter().filter(|told| told.contains("ct-verify")).count();
    assert_eq!(ours, 1, "{answer:?}");
    &answer.told[0]
}

#[test]
fn flagged_answers_come_whole_and_say_alike_everywhere_what_is_wrong() {
    let court = session();
    let good = court.ask_patiently(0, "good.example.org", "CERT");
    assert_eq!((good.status.as_str(), good.records.len(), &good.told[..]), ("NOERROR", 2, &[][..]));
    for (name, kind, records, conclusion, reason) in [
        ("bad.example.org", "CERT", 2, "CERT invalid: ", "too_few_logs"),
        ("spoiled.example.org", "CERT", 2, "CERT invalid: ", "too_few_logs"),
        ("mixed.example.org", "CERT", 3, "CERT invalid: ", "too_few_logs"),
        ("alone.example.org", "CERT", 1, "CERT indeterminate: ", "issuer_unknown"),
        ("_443._tcp.bad.example.org", "TLSA", 1, "TLSA invalid: ", "too_few_logs"),
    ] {
        let first = court.ask_patiently(0, name, kind);
        assert_eq!((first.status.as_str(), first.records.len()), ("NOERROR", records), "{name}: {first:?}");
        let begin = format!("0 (Other): (ct-verify: {conclusion}");
        assert!(told(&first).starts_with(&begin) && told(&first).contains(reason), "{name}: {first:?}");
        // From the cache of this replica, and as the others have it.
        for id in 0..REPLICAS {
            assert_eq!(court.ask_patiently(id, name, kind), first, "{name}, replica {id}");
        }
    }
    for (name, kind) in
        [("good.example.org", "A"), ("bad.example.org", "A"), ("_25._tcp.mail.example.org", "TLSA")]
    {
        let answer = court.ask_patiently(1, name, kind);
        assert_eq!(
            (answer.status.as_str(), answer.records.len(), &answer.told[..]),
            ("NOERROR", 1, &[][..]),
            "{name}"
        );
    }
}

#[test]
fn enforced_answers_are_whole_or_servfail_and_never_say_that_there_are_none() {
    let court = session();
    for (name, kind, why) in [
        ("bad.enforced.example.org", "CERT", "CERT invalid: "),
        ("spoiled.enforced.example.org", "CERT", "CERT invalid: "),
        ("mixed.enforced.example.org", "CERT", "CERT invalid: "),
        ("_443._tcp.bad.enforced.example.org", "TLSA", "TLSA invalid: "),
        ("alone.closed.example.org", "CERT", "CERT indeterminate: "),
    ] {
        for id in [0, 3, 0] {
            let answer = court.ask_patiently(id, name, kind);
            assert_eq!((answer.status.as_str(), answer.records.len()), ("SERVFAIL", 0), "{name}: {answer:?}");
            let begin = format!("15 (Blocked): (ct-verify: {why}");
            assert!(told(&answer).starts_with(&begin), "{name}: {answer:?}");
        }
    }
    for (name, kind, records) in [
        ("good.enforced.example.org", "CERT", 2),
        ("bad.enforced.example.org", "A", 1),
        ("_25._tcp.mail.enforced.example.org", "TLSA", 1),
        ("_465._tcp.mail.enforced.example.org", "TLSA", 1),
        ("_25._tcp.mail.closed.example.org", "TLSA", 1),
        ("bad.off.example.org", "CERT", 2),
        ("mixed.off.example.org", "CERT", 3),
    ] {
        let answer = court.ask_patiently(2, name, kind);
        assert_eq!(
            (answer.status.as_str(), answer.records.len(), &answer.told[..]),
            ("NOERROR", records, &[][..]),
            "{name}"
        );
    }
    let alone = court.ask_patiently(1, "alone.enforced.example.org", "CERT");
    assert_eq!((alone.status.as_str(), alone.records.len()), ("NOERROR", 1), "what cannot be judged passes");
    assert!(told(&alone).starts_with("0 (Other)") && told(&alone).contains("indeterminate"), "{alone:?}");
}

#[test]
fn certificate_of_an_answer_carries_the_remark_and_verifies_offline() {
    let court = session();
    let server = format!("@127.0.0.1:{}", court.cluster.dns(1));
    for (name, class, words) in [
        ("good.example.org", "records", "ct-verify: CERT valid"),
        ("bad.example.org", "records", "ct-verify: CERT invalid: "),
        ("bad.enforced.example.org", "failure", "ct-verify: CERT invalid: "),
    ] {
        court.ask_patiently(1, name, "CERT");
        let saved = court.cluster.dir.join("answer.qrt");
        let (saved, cluster) = (saved.to_str().unwrap(), court.cluster_file());
        let asked = run(&[
            "query",
            name,
            "CERT",
            &server,
            "--cluster",
            &cluster,
            "--min-class",
            class,
            "--save",
            saved,
        ]);
        assert_eq!(asked.status.code(), Some(0), "{name}: {}{}", stdout(&asked), stderr(&asked));
        assert!(stdout(&asked).contains(words), "{name}: {}", stdout(&asked));
        let verified = run(&[
            "verify",
            saved,
            "--cluster",
            &cluster,
            "--name",
            name,
            "--type",
            "CERT",
            "--min-class",
            class,
        ]);
        assert_eq!(verified.status.code(), Some(0), "{name}: {}{}", stdout(&verified), stderr(&verified));
        assert!(stdout(&verified).contains(words), "{name}: {}", stdout(&verified));
    }
}

#[test]
fn without_a_list_of_logs_nothing_is_called_good_and_nothing_blocked() {
    let mut court = Court::files(&format!("{SETTINGS}{NO_AUDIT}"));
    court.cluster.start_all();
    for name in ["good.example.org", "bad.enforced.example.org"] {
        let answer = court.ask_patiently(0, name, "CERT");
        assert_eq!((answer.status.as_str(), answer.records.len()), ("NOERROR", 2), "{name}");
        assert!(told(&answer).contains("ct-verify: CERT indeterminate: no_log_list"), "{name}: {answer:?}");
    }
    let closed = court.ask_patiently(0, "good.closed.example.org", "CERT");
    assert_eq!((closed.status.as_str(), closed.records.len()), ("SERVFAIL", 0));
}
