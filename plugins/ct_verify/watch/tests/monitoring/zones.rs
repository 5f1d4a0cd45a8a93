//! A new certificate against what its zone says.

use ct_log::{Authority, Kind};
use ct_watch::names::{Caa, NameTable, TlsaAnswer};
use transparency::digest::Sha256;
use transparency::skeleton::Skeleton;

use crate::case::{Case, told, zone_names};

const WWW: &str = "www.example.org";

async fn case(issuers: &[&str], names: NameTable) -> Case {
    Case::with(&[Kind::Rfc6962], issuers, names, |_| {}).await
}

fn caa(tag: &str, value: &str) -> Caa {
    Caa { critical: false, tag: tag.to_owned(), value: value.to_owned() }
}

fn key_record(key: [u8; 32]) -> TlsaAnswer {
    TlsaAnswer { records: vec![[&[3, 1, 1][..], &key].concat()], validated: Some(true) }
}

#[tokio::test]
async fn an_issuer_that_is_not_expected_is_told_of() {
    let case = case(&["Birch"], zone_names()).await;
    case.log_one(WWW);
    case.round().await;
    assert_eq!(case.told(), [told("new_certificate", WWW), told("unexpected_issuer", WWW)]);
    assert!(case.events()[1].grave && case.events()[1].text.contains("Alder"), "{}", case.events()[1].text);
}

#[tokio::test]
async fn an_issuer_is_known_by_its_key_as_well() {
    let clock = ct_log::Clock::at("2026-08-01T00:00:00Z");
    let authority = Authority::new("Birch CA", &clock);
    let key = Skeleton::parse(authority.issuer_der()).unwrap().key_hash();
    let case = case(&[&format!("sha256:{key}")], zone_names()).await;
    // Another authority first, the expected one then.
    case.log_one(WWW);
    authority.leaf("mail.example.org").issue(&[&case.logs[0]]);
    case.round().await;
    let expected = [
        told("new_certificate", WWW),
        told("unexpected_issuer", WWW),
        told("new_certificate", "mail.example.org"),
    ];
    assert_eq!(case.told(), expected);
}

#[tokio::test]
async fn caa_that_forbids_all_speaks_against_any_issuer() {
    let mut names = zone_names();
    names.caa.insert("example.org".to_owned(), vec![caa("issue", ";"), caa("iodef", "mailto:a@example.org")]);
    let case = case(&[], names).await;
    case.log_one(WWW);
    case.round().await;
    assert_eq!(case.told(), [told("new_certificate", WWW), told("unexpected_issuer", WWW)]);
    assert_eq!(case.events()[1].facts["compared"]["caa"]["owner"], "example.org");
}

#[tokio::test]
async fn caa_that_lists_authorities_is_shown_and_not_compared() {
    let mut names = zone_names();
    names.caa.insert("example.org".to_owned(), vec![caa("issue", "ca.example.net; policy=ev")]);
    names.caa.insert("org".to_owned(), vec![caa("issue", ";")]);
    let case = case(&[], names).await;
    case.log_one(WWW);
    case.round().await;
    assert_eq!(case.told(), [told("new_certificate", WWW)]);
    assert_eq!(case.events()[0].facts["compared"]["caa"]["authorities"][0], "ca.example.net");
}

#[tokio::test]
async fn wildcards_are_issued_by_issuewild() {
    let mut names = zone_names();
    names.caa.insert("example.org".to_owned(), vec![caa("issue", "ca.example.net"), caa("issuewild", ";")]);
    let case = case(&[], names).await;
    case.log_one(WWW);
    case.log_one("*.example.org");
    case.round().await;
    let expected = [
        told("new_certificate", WWW),
        told("new_certificate", "*.example.org"),
        told("unexpected_issuer", "*.example.org"),
    ];
    assert_eq!(case.told(), expected);
}

#[tokio::test]
async fn a_key_that_no_tlsa_record_has_is_told_of() {
    let mut names = zone_names();
    names.tlsa.insert("_443._tcp.www.example.org".to_owned(), key_record([7; 32]));
    let case = case(&[], names).await;
    case.log_one(WWW);
    case.log_one("mail.example.org");
    case.round().await;
    let expected =
        [told("new_certificate", WWW), told("unknown_key", WWW), told("new_certificate", "mail.example.org")];
    assert_eq!(case.told(), expected);
}

#[tokio::test]
async fn a_key_that_is_declared_or_served_is_known() {
    let clock = ct_log::Clock::at("2026-08-01T00:00:00Z");
    let authority = Authority::new("Alder CA", &clock);
    let log = ct_log::TestLog::start("other", Kind::Rfc6962, &clock);
    let issued = authority.leaf(WWW).issue(&[&log]);
    let key = Skeleton::parse(issued.der()).unwrap().key_hash();
    let mut names = zone_names();
    names.tlsa.insert("_443._tcp.www.example.org".to_owned(), key_record(key.0));
    let declared = case(&[], names).await;
    declared.logs[0]
        .add_chain(&[issued.chain.clone(), vec![authority.root_der().to_vec()]].concat())
        .unwrap();
    declared.round().await;
    assert_eq!(declared.told(), [told("new_certificate", WWW)]);
    assert_eq!(declared.events()[0].facts["compared"]["key"], "declared");

    let mut names = zone_names();
    names.tlsa.insert("_443._tcp.www.example.org".to_owned(), key_record([7; 32]));
    let mut served = case(&[], names).await;
    served.served = vec![Sha256([1; 32]), key];
    served.restart();
    served.logs[0].add_chain(&[issued.chain.clone(), vec![authority.root_der().to_vec()]].concat()).unwrap();
    served.round().await;
    assert_eq!(served.events()[0].facts["compared"]["key"], "served");
}

#[tokio::test]
async fn a_name_that_the_zone_does_not_have_is_told_of() {
    let case = case(&["alder"], zone_names()).await;
    case.log_one("shadow.example.org");
    case.log_one("*.example.org");
    case.round().await;
    let shadow = "shadow.example.org";
    let expected = [
        told("new_certificate", shadow),
        told("unknown_name", shadow),
        told("new_certificate", "*.example.org"),
    ];
    assert_eq!(case.told(), expected);
}

#[tokio::test]
async fn without_answers_of_dns_nothing_is_held_against_a_certificate() {
    let mut names = zone_names();
    names.silent = ["www.example.org", "_443._tcp.www.example.org", "example.org"].map(str::to_owned).into();
    let case = case(&[], names).await;
    case.log_one(WWW);
    case.round().await;
    assert_eq!(case.told(), [told("new_certificate", WWW)]);
    let compared = &case.events()[0].facts["compared"];
    assert_eq!((&compared["key"], &compared["caa"]["state"]), (&"unknown".into(), &"unknown".into()));
}

#[tokio::test]
async fn other_names_of_a_certificate_do_not_hide_ours() {
    let case = case(&[], zone_names()).await;
    let others: Vec<String> = (0..50).map(|number| format!("host{number}.example.net")).collect();
    let mut others: Vec<&str> = others.iter().map(String::as_str).collect();
    others.push("WWW.Example.ORG");
    case.authority.leaf("first.example.net").also_for(&others).issue(&[&case.logs[0]]);
    case.round().await;
    assert_eq!(case.told(), [told("new_certificate", WWW)]);
}
