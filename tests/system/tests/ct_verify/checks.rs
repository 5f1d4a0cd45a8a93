//! `quorate certificate check --cluster`: a quorum judges a certificate by the lists that are in force, and signs what it found.

use std::fs;
use std::process::Output;

use ct_log::{Issued, log_list_json};
use system_tests::program::{stderr, stdout};
use transparency::digest::Sha256;

use super::court::{Court, LOG_LIST, NO_AUDIT, SETTINGS};

const VALID: i32 = 0;
const INVALID: i32 = 1;

fn said(output: &Output) -> String {
    format!("{}{}", stdout(output), stderr(output))
}

/// Has the chain judged by the cluster, and wants this exit code and these words.
fn expect(court: &Court, asked: usize, (issued, name): (&Issued, &str), code: i32, words: &[&str]) {
    let output = court.check(asked, &issued.chain_pem(), name);
    assert_eq!(output.status.code(), Some(code), "{name}: {}", said(&output));
    for word in words {
        assert!(stdout(&output).contains(word), "no `{word}` of {name} in {}", said(&output));
    }
}

#[test]
fn quorum_tells_good_certificates_from_revoked_and_misnamed_ones() {
    let mut court = Court::files(&format!(
        "{SETTINGS}{LOG_LIST}{NO_AUDIT}        revocation soft\n        crl ca.crl root.crl\n        intermediates issuer.pem\n"
    ));
    let logs = [&court.alder, &court.birch];
    let revoked = court.authority.leaf("revoked.example.org").issue(&logs);
    court.authority.revoke(revoked.serial);
    // Judged is for the minute that has begun.
    let hour_ago = transparency::Moment::from_seconds(court.clock.now().seconds() as i64 - 3600);
    let (crl, root_crl) = (court.authority.crl_of(hour_ago), court.authority.root_crl_of(hour_ago));
    for id in 0..4 {
        fs::write(court.cluster.folder(id).join("ca.crl"), &crl).unwrap();
        fs::write(court.cluster.folder(id).join("root.crl"), &root_crl).unwrap();
    }
    court.cluster.start_all();
    let digest = Sha256::of(court.list(1).as_bytes()).to_string();
    (0..4).for_each(|id| court.waits_for_list(id, &digest));
    for input in ["roots", "revocation"] {
        (0..4).for_each(|id| court.waits_for(id, input));
    }
    let good = &court.issued["good"];
    expect(&court, 0, (good, "good.example.org"), VALID, &["valid", "compliant"]);
    expect(&court, 3, (good, "good.example.org"), VALID, &["valid", "compliant"]);
    expect(&court, 1, (good, "other.example.org"), INVALID, &["invalid", "name_mismatch"]);
    expect(
        &court,
        2,
        (&revoked, "revoked.example.org"),
        INVALID,
        &["\"verdict\":\"invalid\"", "\"revoked\""],
    );
    expect(&court, 0, (&court.issued["bad"], "bad.example.org"), INVALID, &["invalid", "too_few_logs"]);
}

#[test]
fn replica_with_another_list_of_logs_changes_no_verdict() {
    let mut court = Court::files(&format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}"));
    // A list of logs of which nobody else has heard: by it the certificate would be bad.
    let others = [("cedar", ct_log::Kind::Rfc6962), ("dogwood", ct_log::Kind::StaticCt)]
        .map(|(name, kind)| ct_log::TestLog::start(name, kind, &court.clock).listed());
    let foreign = log_list_json(&court.days_ago(1), &others);
    court.write_list(3, &foreign);
    court.cluster.start_all();
    let digest = Sha256::of(court.list(1).as_bytes()).to_string();
    (0..3).for_each(|id| court.waits_for_list(id, &digest));
    (0..4).for_each(|id| court.waits_for(id, "roots"));
    let good = &court.issued["good"];
    for asked in 0..4 {
        expect(&court, asked, (good, "good.example.org"), VALID, &["valid", "compliant"]);
    }
    let in_force = court.list_in_force(3);
    assert_ne!(
        in_force,
        Some(Sha256::of(foreign.as_bytes()).to_string()),
        "one replica puts nothing in force"
    );
}

#[test]
fn verdict_of_two_replicas_is_none() {
    let mut court = Court::files(&format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}"));
    court.write_list(2, &court.list(2));
    court.write_list(3, &court.list(3));
    court.cluster.start_all();
    let good = &court.issued["good"];
    let output = court.check(0, &good.chain_pem(), "good.example.org");
    assert!(!matches!(output.status.code(), Some(VALID | INVALID)), "{}", said(&output));
}
