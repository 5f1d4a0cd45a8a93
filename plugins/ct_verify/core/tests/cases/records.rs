//! CERT, TLSA and SMIMEA records, and OpenSSL's cases of DANE.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use transparency::cert_record::{CertContent, CertRecordError, read_cert};
use transparency::chain::Trust;
use transparency::dane::{DaneOutcome, check_dane};
use transparency::facts::Facts;
use transparency::log_list::LogList;
use transparency::revocation::{CrlSet, RevocationMode};
use transparency::roots::{Intermediates, RootKind, RootStore, anchors_from_pem, certificates_from_pem};
use transparency::rrset::{Finding, RecordType, judge_rrset};
use transparency::skeleton::Skeleton;
use transparency::tlsa::{Advice, Tlsa, TlsaError, advise};
use transparency::{Conclusion, Moment, Pinned, Policy};

use crate::place::{chain, data, json, own};

fn hex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn roots(pem: &[u8]) -> RootStore {
    RootStore::new(
        "test",
        anchors_from_pem(pem).unwrap().into_iter().map(|anchor| (anchor, RootKind::Public)),
    )
}

fn cert_word(rdata: &[u8]) -> String {
    match read_cert(rdata) {
        Ok(CertContent::X509(_)) => "x509".to_owned(),
        Ok(CertContent::Other(kind)) => serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn synthetic_records_are_read_as_expected() {
    let Some(data) = data() else { return };
    let records = json(data.join("synthetic/dns/records.json"));
    let records = records["records"].as_array().unwrap();
    for record in records {
        let (id, rdata, expect) = (&record["id"], hex(&record["rdata_hex"]), &record["expect"]);
        if record["type"] == "CERT" {
            let expected = expect["kind"].as_str().unwrap_or_else(|| expect["verdict"].as_str().unwrap());
            assert_eq!(cert_word(&rdata), expected, "{id}");
            if let (Some(is_ca), Ok(CertContent::X509(read))) = (expect["is_ca"].as_bool(), read_cert(&rdata))
            {
                assert_eq!(Facts::read(&read).unwrap().is_ca, is_ca, "{id}");
            }
            continue;
        }
        let read = Tlsa::read(&rdata);
        if let Some(verdict) = expect["verdict"].as_str() {
            assert_eq!(read.unwrap_err().to_string(), verdict, "{id}");
            continue;
        }
        let read = read.unwrap();
        assert_eq!(read.usage as u64, expect["usage"].as_u64().unwrap(), "{id}");
        assert_eq!(read.certificate().is_some(), expect["has_cert"], "{id}");
        if let Some(applies) = expect["ct_applies"].as_bool() {
            assert_eq!(read.usage.wants_public_trust(), applies, "{id}");
        }
        let case = expect["matches_chain_case"].as_str().unwrap_or("ok-90d-two-operators");
        let chain = chain(data.join(format!("synthetic/chains/{case}.pem")));
        let depth = chain.iter().position(|one| read.matches(&Skeleton::parse(one).unwrap()));
        if expect.get("matches_chain_case").is_some() {
            let below = if matches!(read.usage as u8, 1 | 3) { 0 } else { 1 };
            let expected = expect["matches_chain_case"].is_string().then_some(below);
            assert_eq!(depth, expected, "{id}");
        }
    }
    println!("{} records", records.len());
    assert!(records.len() > 35);
}

#[test]
fn synthetic_sets_are_judged_as_a_whole() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic");
    let roots = roots(&std::fs::read(folder.join("roots.pem")).unwrap());
    let list = LogList::parse(&std::fs::read(folder.join("log_list.json")).unwrap()).unwrap();
    let pem = std::fs::read(folder.join("intermediates.pem")).unwrap();
    let intermediates = Intermediates::new(certificates_from_pem(&pem, 10).unwrap());
    let none = Intermediates::default();
    let records = json(folder.join("dns/records.json"));
    let record = |id: &str| {
        let records = records["records"].as_array().unwrap();
        hex(&records.iter().find(|record| record["id"] == id).unwrap()["rdata_hex"])
    };
    let judged = |owner: &str, kind, ids: &[&str], intermediates: &Intermediates| {
        let rdata: Vec<Vec<u8>> = ids.iter().map(|id| record(id)).collect();
        let rdata: Vec<&[u8]> = rdata.iter().map(Vec::as_slice).collect();
        let pinned = Pinned {
            policy: &Policy::Chrome2026,
            log_list: Some(&list),
            roots: &roots,
            intermediates,
            crls: &CrlSet::default(),
            revocation: RevocationMode::Soft,
            private_roots_need_logs: false,
        };
        judge_rrset((owner, kind), &rdata, &pinned, "2026-08-01T00:00:00Z".parse().unwrap())
    };
    let (www, cert, tlsa) = ("www.pub.example.", RecordType::Cert, RecordType::Tlsa);
    let conclusion = |ids: &[&str]| judged(www, cert, ids, &none).verdict;
    assert_eq!(conclusion(&["cert-pkix-good", "cert-pkix-good-issuer"]), Conclusion::Valid);
    assert_eq!(conclusion(&["cert-pkix-good"]), Conclusion::Indeterminate, "the issuer is not known");
    assert_eq!(judged(www, cert, &["cert-pkix-good"], &intermediates).verdict, Conclusion::Valid);
    for bad in [
        "cert-pkix-tampered-sct",
        "cert-pkix-expired",
        "cert-pkix-not-der",
        "cert-pkix-trailing",
        "cert-short-rdata",
    ] {
        assert_eq!(
            conclusion(&["cert-pkix-good", "cert-pkix-good-issuer", bad]),
            Conclusion::Invalid,
            "{bad}"
        );
    }
    for other in ["cert-pgp", "cert-ipkix", "cert-uri-private", "cert-crl-in-cert"] {
        assert_eq!(conclusion(&[other]), Conclusion::Valid, "{other}");
    }
    let https = |id| judged("_443._tcp.www.pub.example.", tlsa, &[id], &intermediates);
    assert_eq!(https("tlsa-100-fullcert").verdict, Conclusion::Valid);
    assert!(matches!(https("tlsa-100-fullcert").findings[0], Finding::Judged(_)));
    let tampered = judged("_443._tcp.tamp.pub.example.", tlsa, &["tlsa-100-tampered-sct"], &intermediates);
    assert_eq!(tampered.verdict, Conclusion::Invalid);
    for untouched in [
        "tlsa-300-selfsigned",
        "tlsa-300-fullcert",
        "tlsa-200-fullcert",
        "tlsa-311-nomatch",
        "tlsa-111-sha256",
    ] {
        let verdict = judged("_25._tcp.mx.pub.example.", tlsa, &[untouched], &none);
        assert!(matches!(verdict.findings[0], Finding::Untouched(_)), "{untouched}");
        assert_eq!(verdict.verdict, Conclusion::Valid, "{untouched}");
    }
    assert_eq!(https("tlsa-selector-9").verdict, Conclusion::Valid, "clients pass it over, too");
    let smimea = judged("hash._smimecert.pub.example.", RecordType::Smimea, &["smimea-300"], &none);
    assert!(matches!(smimea.findings[0], Finding::Untouched(_)));
    let many = judged(www, cert, &["cert-pgp"; 17], &none);
    assert_eq!((many.verdict, &many.findings[16]), (Conclusion::Indeterminate, &Finding::NotLookedAt));
}

#[test]
fn malformed_records_are_refused() {
    assert_eq!(read_cert(&[0, 1, 0, 0]).unwrap_err(), CertRecordError::Rdata);
    assert_eq!(Tlsa::read(&[3, 0, 0, 1, 2]).unwrap_err(), TlsaError::Certificate);
    assert_eq!(Tlsa::read(&[3, 1, 0, 1, 2]).unwrap_err(), TlsaError::Key);
    assert_eq!(Tlsa::read(&[4, 1, 1, 1]).unwrap_err(), TlsaError::Usage);
}

#[test]
fn an_operator_hears_of_records_that_will_break() {
    let digest = [&[3, 1, 1][..], &[7; 32]].concat();
    let authority = [&[2, 1, 1][..], &[7; 32]].concat();
    let read = |rdata: &[&[u8]]| advise(&rdata.iter().map(|rdata| Tlsa::read(rdata)).collect::<Vec<_>>());
    assert_eq!(read(&[&digest]), Some(Advice::NoSuccessor));
    assert_eq!(read(&[&digest, &digest]), None);
    assert_eq!(read(&[&authority]), None);
    assert_eq!(read(&[&digest, &[3, 1, 9, 1]]), Some(Advice::SomeUnusable));
    assert_eq!(read(&[&[3, 1, 9, 1]]), Some(Advice::NoneUsable));
    assert_eq!(read(&[]), None);
}

#[test]
fn dane_blocks_of_openssl_end_as_openssl_ends_them() {
    let Some(data) = data() else { return };
    let file = json(data.join("dane-openssl/danetest.json"));
    let roots = roots(file["trust_anchors_pem"].as_str().unwrap().as_bytes());
    let intermediates = Intermediates::default();
    let now: Moment = "2026-08-01T00:00:00Z".parse().unwrap();
    let mut wrong = Vec::new();
    let blocks = file["blocks"].as_array().unwrap();
    for (number, block) in blocks.iter().enumerate() {
        let rdata: Vec<Vec<u8>> = block["tlsa"].as_array().unwrap().iter().map(rdata).collect();
        let records: Vec<Tlsa<'_>> = rdata.iter().map(|rdata| Tlsa::read(rdata).unwrap()).collect();
        let chain: Vec<CertificateDer<'static>> =
            block["chain_pem"].as_array().unwrap().iter().map(pem).collect();
        let names: &[&str] = if block["no_name_checks"] == true { &[] } else { &["example.com"] };
        let trust = Trust { roots: &roots, intermediates: &intermediates };
        let found = match check_dane(&records, &chain, names, trust, now) {
            DaneOutcome::Matched { depth, .. } => (0, depth as i64),
            DaneOutcome::NameMismatch { depth, .. } => (62, depth as i64),
            DaneOutcome::NoMatch | DaneOutcome::Malformed => (65, -1),
        };
        let expected =
            (block["openssl_verify_result"].as_i64().unwrap(), block["match_depth"].as_i64().unwrap());
        if found != expected {
            wrong.push((number, found, expected));
        }
    }
    println!("{} DANE blocks", blocks.len());
    assert!(wrong.is_empty(), "(block, found, expected): {wrong:?}");
}

fn pem(value: &Value) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(value.as_str().unwrap().as_bytes()).unwrap()
}

fn rdata(record: &Value) -> Vec<u8> {
    let field = |name: &str| record[name].as_u64().unwrap() as u8;
    let mut rdata = vec![field("usage"), field("selector"), field("matching_type")];
    rdata.extend(hex(&record["data_hex"]));
    rdata
}

#[test]
fn own_records_are_judged_as_a_whole_and_dane_usages_let_be() {
    let folder = own();
    let roots = roots(&std::fs::read(folder.join("roots.pem")).unwrap());
    let list = LogList::parse(&std::fs::read(folder.join("log_list.json")).unwrap()).unwrap();
    let (none, now) = (Intermediates::default(), "2026-08-01T00:00:00Z".parse().unwrap());
    let pinned = Pinned {
        policy: &Policy::Chrome2026,
        log_list: Some(&list),
        roots: &roots,
        intermediates: &none,
        crls: &CrlSet::default(),
        revocation: RevocationMode::Soft,
        private_roots_need_logs: false,
    };
    let (good, bad) = (chain(folder.join("chains/good.pem")), chain(folder.join("chains/bad-flipped.pem")));
    let with = |head: &[u8], content: &[u8]| [head, content].concat();
    let cert = |content: &[u8]| with(&[0, 1, 0, 0, 0], content);
    let judged = |owner, kind, rdata: &[Vec<u8>]| {
        judge_rrset((owner, kind), &rdata.iter().map(Vec::as_slice).collect::<Vec<_>>(), &pinned, now)
    };
    let set = [cert(&good[0]), cert(&good[1])];
    assert_eq!(judged("good.example.org.", RecordType::Cert, &set).verdict, Conclusion::Valid);
    assert_eq!(judged("other.example.org.", RecordType::Cert, &set).verdict, Conclusion::Invalid);
    let set = [cert(&good[0]), cert(&good[1]), cert(&bad[0])];
    assert_eq!(judged("good.example.org.", RecordType::Cert, &set).verdict, Conclusion::Invalid);
    for (usage, expected) in [(1, false), (2, true), (3, true)] {
        let verdict =
            judged("_443._tcp.bad-flipped.example.org.", RecordType::Tlsa, &[with(&[usage, 0, 0], &bad[0])]);
        assert_eq!(matches!(verdict.findings[0], Finding::Untouched(_)), expected, "usage {usage}");
    }
    let many = judged("good.example.org.", RecordType::Cert, &vec![with(&[0, 3, 0, 0, 0], b"pgp"); 17]);
    assert_eq!((many.verdict, &many.findings[16]), (Conclusion::Indeterminate, &Finding::NotLookedAt));
    assert_eq!(Tlsa::read(&with(&[3, 1, 1], &[7; 31])).unwrap_err(), TlsaError::DigestLength);
    assert_eq!(Tlsa::read(&with(&[3, 1, 2], &[7; 32])).unwrap_err(), TlsaError::DigestLength);

    let trust = Trust { roots: &roots, intermediates: &none };
    let dane = |rdata: &[u8], names: &[&str]| {
        check_dane(&[Tlsa::read(rdata).unwrap()], &good[..1], names, trust, now)
    };
    let names = ["good.example.org"];
    let carried = with(&[0, 0, 0], &good[1]);
    assert_eq!(dane(&carried, &names), DaneOutcome::Matched { record: 0, depth: 1 });
    assert_eq!(dane(&carried, &["other.example.org"]), DaneOutcome::NameMismatch { record: 0, depth: 1 });
    assert_eq!(dane(&with(&[2, 0, 0], &good[1]), &names), DaneOutcome::Matched { record: 0, depth: 1 });
    assert_eq!(dane(&with(&[1, 0, 0], &good[0]), &names), DaneOutcome::NoMatch, "no issuer, no public trust");
    assert_eq!(
        dane(&with(&[3, 0, 0], &good[0]), &["other.example.org"]),
        DaneOutcome::Matched { record: 0, depth: 0 }
    );
    assert_eq!(dane(&with(&[3, 0, 0], &bad[0]), &names), DaneOutcome::NoMatch);
    assert_eq!(dane(&with(&[2, 0, 0], &bad[0]), &names), DaneOutcome::NoMatch);
}
