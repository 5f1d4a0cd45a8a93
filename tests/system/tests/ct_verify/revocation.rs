//! Revocation lists by URL: a new one comes into force after the next look, and what it revokes is told of or withheld from then on.

use std::fs;

use system_tests::scene::REPLICAS;

use super::answer::Answer;
use super::court::{Court, LOG_LIST, NO_AUDIT, SETTINGS};

/// Whether the answer comes whole, and nothing is told of it.
fn is_good(answer: &Answer) -> bool {
    (answer.status.as_str(), answer.records.len(), answer.told.len()) == ("NOERROR", 2, 0)
}

/// Whether `ct-verify` tells this once, with the code: that the certificate is revoked.
fn is_told(answer: &Answer, code: &str) -> bool {
    let ours: Vec<&String> = answer.told.iter().filter(|told| told.contains("ct-verify")).collect();
    matches!(&ours[..], [told] if told.starts_with(code) && told.contains("CERT invalid: revoked"))
}

/// Whether the answer comes whole, flagged as revoked.
fn is_flagged(answer: &Answer) -> bool {
    (answer.status.as_str(), answer.records.len()) == ("NOERROR", 2) && is_told(answer, "0 (Other): ")
}

/// Whether nothing of the answer comes, because it is revoked.
fn is_withheld(answer: &Answer) -> bool {
    (answer.status.as_str(), answer.records.len()) == ("SERVFAIL", 0) && is_told(answer, "15 (Blocked): ")
}

/// Every replica flags and withholds the certificate of this label from now on, and no other.
fn every_replica_knows_as_revoked(court: &Court, label: &str) {
    for id in 0..REPLICAS {
        court.ask_until(id, (&format!("{label}.example.org"), "CERT"), is_flagged);
        court.ask_until(id, (&format!("{label}.enforced.example.org"), "CERT"), is_withheld);
        let good = court.ask_patiently(id, "good.enforced.example.org", "CERT");
        assert!(is_good(&good), "replica {id}: {good:?}");
    }
}

/// Starts a cluster with a log list and revocation lists in force that were made an hour ago, from URLs in `settings`.
fn with_lists(settings: &str) -> Court {
    let mut court = Court::files(settings);
    let hour_ago = court.seconds_ago(3600);
    court.site.put("/ca.crl", court.authority.crl_of(hour_ago));
    court.site.put("/root.crl", court.authority.root_crl_of(hour_ago));
    court.site.put("/log_list.json", court.list(1));
    court.cluster.start_all();
    for input in ["log_list", "roots", "revocation"] {
        (0..REPLICAS).for_each(|id| court.waits_for(id, input));
    }
    court
}

/// Has the certificates of this label revoked, by a list that is put where `path` says.
fn revoke(court: &Court, label: &str, path: &str) {
    for mode in ["", ".enforced"] {
        court.authority.revoke(court.issued[&format!("{label}{mode}")].serial);
    }
    court.site.put(path, court.authority.crl());
}

const FROM_URLS: &str =
    "        refresh 10s\n        crl SITE/ca.crl SITE/root.crl\n        intermediates issuer.pem\n";

#[test]
fn a_certificate_is_flagged_and_withheld_once_the_list_at_the_url_revokes_it() {
    let court = with_lists(&format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}{FROM_URLS}"));
    for (id, name) in [(0, "leaving.example.org"), (1, "leaving.enforced.example.org")] {
        let answer = court.ask_patiently(id, name, "CERT");
        assert!(is_good(&answer), "{name}: {answer:?}");
    }
    let before = court.in_force(0, "revocation").unwrap();
    revoke(&court, "leaving", "/ca.crl");
    court.waits_for_successor("revocation", &before);
    every_replica_knows_as_revoked(&court, "leaving");
    let checked = court.check(2, &court.issued["leaving"].chain_pem(), "leaving.example.org");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.code() == Some(1) && said.contains("\"revoked\""), "{checked:?}");
}

#[test]
fn a_list_that_only_the_certificate_names_is_fetched_behind_its_first_answer() {
    let mut court = Court::files(&format!("{SETTINGS}{LOG_LIST}{NO_AUDIT}        fetch 127.0.0.1\n"));
    revoke(&court, "listed", "/named.crl");
    court.cluster.start_all();
    (0..REPLICAS).for_each(|id| court.waits_for(id, "log_list"));
    assert_eq!(court.site.control().asked("named.crl"), 0, "nobody has seen the certificate");
    let first = court.ask_patiently(0, "listed.enforced.example.org", "CERT");
    assert!(is_good(&first), "nothing is fetched while a query waits: {first:?}");
    (0..REPLICAS).for_each(|id| court.waits_for(id, "revocation"));
    every_replica_knows_as_revoked(&court, "listed");
}

#[test]
fn what_is_revoked_stays_so_over_a_restart_while_no_list_is_to_be_had() {
    let by_url = "        log-list SITE/log_list.json\n";
    let mut court = with_lists(&format!("{SETTINGS}{by_url}{NO_AUDIT}{FROM_URLS}"));
    let before = court.in_force(0, "revocation").unwrap();
    revoke(&court, "leaving", "/ca.crl");
    court.waits_for_successor("revocation", &before);
    let all: Vec<_> = (0..REPLICAS).map(|id| court.keeps_in_force(id)).collect();
    // From now on the site keeps everybody waiting, and what replicas had fetched themselves is gone.
    court.site.lie(ct_log::Lie::Hold);
    for id in 0..REPLICAS {
        court.cluster.kill_replica(id);
        fs::remove_file(court.cluster.folder(id).join("ct/log-list.json")).unwrap();
        fs::remove_dir_all(court.cluster.folder(id).join("ct/crls")).unwrap();
    }
    court.cluster.start_all();
    every_replica_knows_as_revoked(&court, "leaving");
    let after: Vec<_> = (0..REPLICAS).map(|id| court.keeps_in_force(id)).collect();
    assert_eq!(after, all);
    assert!(
        court.site.control().wait_until_asked("/log_list.json", REPLICAS),
        "they ask, beside the queries"
    );
    let held = court.transparency(0).unwrap();
    assert_eq!(held["own"]["log_list"], serde_json::Value::Null, "{held}");
}
