//! What zones answer, through the chain.

use std::fs;
use std::path::Path;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, Record, RecordType};
use tempfile::TempDir;

use super::lookup::{Answer, LookupError, Question, answer};
use super::master;
use super::zone::{Zone, Zones};
use crate::chain::Chain;
use crate::error::ServeError;
use crate::response::Response;
use crate::testing_blocks::{ask, chain, question, set_up};

const ZONE: &str = "\
$TTL 3600
@        SOA    ns1 host 7 7200 3600 1209600 300
         NS     ns1
         NS     ns.example.net.
         MX     10 mail
         A      192.0.2.1
ns1      A      192.0.2.53
         AAAA   2001:db8::53
mail     A      192.0.2.25
www      A      192.0.2.80
a1       CNAME  a2
a2       CNAME  www
out      CNAME  www.example.net.
nowhere  CNAME  gone
*.wild   TXT    \"wild\"
x.wild   A      192.0.2.7
*.cname  CNAME  www
host.ent.b.wild2 A 192.0.2.8
*.wild2  A      192.0.2.9
sub      NS     ns.sub
         NS     ns1
         DS     60485 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
ns.sub   A      192.0.2.54
secret.sub A    192.0.2.55
to       DNAME  target
www.target A    192.0.2.81
far      DNAME  example.net.
loop     DNAME  loop
l1       CNAME  l2
l2       CNAME  l1
srv      SRV    1 2 443 www
mixed    A      192.0.2.90
mixed 60 A      192.0.2.91
mixed    A      192.0.2.90
odd      TYPE65280 \\# 4 0a000001
";

fn zone(text: &str) -> Result<Zone, Vec<String>> {
    let origin = Name::from_ascii("example.org.").expect("a name");
    let read = master::parse(text, Path::new("db"), &origin, &|_| Err(std::io::ErrorKind::NotFound.into()));
    let read = read.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    Zone::build(&origin, read.records)
        .map_err(|faults| faults.into_iter().map(|fault| fault.message).collect())
}

struct One(std::sync::Arc<Zone>);

impl Zones for One {
    fn zone_for(&self, name: &[u8], _rtype: RecordType) -> Option<std::sync::Arc<Zone>> {
        super::name::is_within(name, self.0.origin()).then(|| self.0.clone())
    }
}

fn look(zone: &One, name: &str, rtype: RecordType, dnssec_ok: bool) -> Result<Answer, LookupError> {
    let name = Name::from_ascii(name).expect("a name");
    Ok(answer(zone, Question { name: &name, rtype, dnssec_ok })?.expect("the name is in the zone"))
}

fn ask_zone(name: &str, rtype: RecordType) -> Answer {
    look(&One(zone(ZONE).expect("a zone").into()), name, rtype, false).expect("no loop")
}

/// `owner type data`, without what is not asked for in most tests.
fn shown(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| format!("{} {} {}", record.name, record.record_type(), record.data)).collect()
}

fn owners_and_types(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| format!("{} {}", record.name, record.record_type())).collect()
}

#[test]
fn positive_answers_are_authoritative_and_without_authority() {
    let answer = ask_zone("www.example.org.", RecordType::A);
    assert!(answer.authoritative);
    assert_eq!(shown(&answer.answers), ["www.example.org. A 192.0.2.80"]);
    assert_eq!((answer.rcode, answer.authorities.len()), (ResponseCode::NoError, 0));
}

#[test]
fn absent_types_and_names_come_with_the_soa_at_its_negative_ttl() {
    for (name, rcode) in
        [("www.example.org.", ResponseCode::NoError), ("no.example.org.", ResponseCode::NXDomain)]
    {
        let answer = ask_zone(name, RecordType::MX);
        assert_eq!((answer.rcode, answer.answers.len(), answer.authoritative), (rcode, 0, true), "{name}");
        assert_eq!(owners_and_types(&answer.authorities), ["example.org. SOA"]);
        assert_eq!(answer.authorities[0].ttl, 300, "MINIMUM is less than the SOA's TTL: RFC 2308 §3");
    }
    assert_eq!(ask_zone("example.org.", RecordType::SOA).answers[0].ttl, 3600);
}

#[test]
fn aliases_are_followed_to_the_end_and_the_last_name_gives_the_rcode() {
    let answer = ask_zone("a1.example.org.", RecordType::A);
    assert_eq!(
        owners_and_types(&answer.answers),
        ["a1.example.org. CNAME", "a2.example.org. CNAME", "www.example.org. A"]
    );
    let answer = ask_zone("nowhere.example.org.", RecordType::A);
    assert_eq!(
        (answer.rcode, answer.answers.len(), answer.authorities.len()),
        (ResponseCode::NXDomain, 1, 1)
    );
    let answer = ask_zone("a1.example.org.", RecordType::CNAME);
    assert_eq!(answer.answers.len(), 1);
}

#[test]
fn alias_loops_are_errors() {
    let zone = One(zone(ZONE).expect("a zone").into());
    for name in ["l1.example.org.", "x.loop.example.org."] {
        look(&zone, name, RecordType::A, false).expect_err("a loop");
    }
}

#[test]
fn eight_aliases_are_followed_and_nine_are_not() {
    let chain = |length: u32| {
        let aliases: String = (0..length).map(|i| format!("n{i} CNAME n{}\n", i + 1)).collect();
        let zone = zone(&format!("$TTL 5\n@ SOA ns host 1 2 3 4 5\n{aliases}n{length} A 192.0.2.1\n"))
            .expect("a zone");
        look(&One(zone.into()), "n0.example.org.", RecordType::A, false)
    };
    assert_eq!(chain(8).expect("an answer").answers.len(), 9);
    chain(9).expect_err("too long");
}

#[test]
fn wildcards_stand_for_names_without_a_closer_match() {
    let text = |name| shown(&ask_zone(name, RecordType::TXT).answers);
    assert_eq!(text("a.wild.example.org."), ["a.wild.example.org. TXT wild"]);
    assert_eq!(text("b.a.wild.example.org."), ["b.a.wild.example.org. TXT wild"]);
    assert_eq!(text("*.wild.example.org."), ["*.wild.example.org. TXT wild"]);
    // RFC 4592 §2.2.1: a name that exists, and what is below it, is not covered.
    assert_eq!(ask_zone("x.wild.example.org.", RecordType::TXT).rcode, ResponseCode::NoError);
    assert_eq!(ask_zone("y.x.wild.example.org.", RecordType::TXT).rcode, ResponseCode::NXDomain);
    assert_eq!(ask_zone("wild.example.org.", RecordType::TXT).rcode, ResponseCode::NoError);
    assert_eq!(
        ask_zone("a.wild.example.org.", RecordType::A).rcode,
        ResponseCode::NoError,
        "NODATA at the wildcard"
    );
}

#[test]
fn empty_non_terminals_exist_and_keep_wildcards_away() {
    let answer = ask_zone("ent.b.wild2.example.org.", RecordType::A);
    assert_eq!((answer.rcode, answer.answers.len(), answer.authorities.len()), (ResponseCode::NoError, 0, 1));
    assert_eq!(ask_zone("z.b.wild2.example.org.", RecordType::A).rcode, ResponseCode::NXDomain);
    assert_eq!(
        shown(&ask_zone("z.wild2.example.org.", RecordType::A).answers),
        ["z.wild2.example.org. A 192.0.2.9"]
    );
}

#[test]
fn aliases_that_are_wildcards_are_followed() {
    let answer = ask_zone("any.cname.example.org.", RecordType::A);
    assert_eq!(owners_and_types(&answer.answers), ["any.cname.example.org. CNAME", "www.example.org. A"]);
}

#[test]
fn names_below_a_cut_get_a_referral_with_glue_and_without_authority() {
    for name in ["sub.example.org.", "secret.sub.example.org.", "a.b.sub.example.org."] {
        let answer = ask_zone(name, RecordType::A);
        assert!(!answer.authoritative, "{name}");
        assert_eq!((answer.rcode, answer.answers.len()), (ResponseCode::NoError, 0));
        assert_eq!(owners_and_types(&answer.authorities), ["sub.example.org. NS", "sub.example.org. NS"]);
        assert_eq!(
            owners_and_types(&answer.additionals),
            ["ns.sub.example.org. A", "ns1.example.org. A", "ns1.example.org. AAAA"]
        );
    }
}

#[test]
fn ds_is_answered_at_the_parent_side_of_a_cut() {
    let answer = ask_zone("sub.example.org.", RecordType::DS);
    assert!(answer.authoritative);
    assert_eq!(owners_and_types(&answer.answers), ["sub.example.org. DS"]);
    let below = ask_zone("x.sub.example.org.", RecordType::DS);
    assert!(!below.authoritative && below.answers.is_empty());
}

#[test]
fn dname_gives_itself_and_the_alias_that_it_means() {
    let answer = ask_zone("www.to.example.org.", RecordType::A);
    assert_eq!(
        owners_and_types(&answer.answers),
        ["to.example.org. DNAME", "www.to.example.org. CNAME", "www.target.example.org. A"]
    );
    assert_eq!(answer.answers[1].ttl, 3600);
    // The owner itself is not redirected: RFC 6672 §2.3.
    assert_eq!(ask_zone("to.example.org.", RecordType::A).authorities.len(), 1);
    assert_eq!(
        owners_and_types(&ask_zone("to.example.org.", RecordType::DNAME).answers),
        ["to.example.org. DNAME"]
    );
    let outside = ask_zone("www.far.example.org.", RecordType::A);
    assert_eq!(outside.outside, Some(Name::from_ascii("www.example.net.").expect("a name")));
}

#[test]
fn substitution_that_makes_too_long_a_name_is_yxdomain() {
    let long = ["a".repeat(60), "b".repeat(60), "c".repeat(60)].join(".");
    let zone = zone(&format!("$TTL 5\n@ SOA ns host 1 2 3 4 5\nd DNAME {long}\n")).expect("a zone");
    let name = format!("{}.d.example.org.", "e".repeat(60));
    let answer = look(&One(zone.into()), &name, RecordType::A, false).expect("no loop");
    assert_eq!((answer.rcode, answer.answers.len()), (ResponseCode::YXDomain, 1));
}

#[test]
fn targets_in_the_zone_bring_their_addresses() {
    assert_eq!(
        owners_and_types(&ask_zone("example.org.", RecordType::MX).additionals),
        ["mail.example.org. A"]
    );
    assert_eq!(
        owners_and_types(&ask_zone("srv.example.org.", RecordType::SRV).additionals),
        ["www.example.org. A"]
    );
    assert_eq!(
        owners_and_types(&ask_zone("example.org.", RecordType::NS).additionals),
        ["ns1.example.org. A", "ns1.example.org. AAAA"]
    );
}

#[test]
fn any_gives_one_set() {
    let answer = ask_zone("example.org.", RecordType::ANY);
    assert_eq!(shown(&answer.answers), ["example.org. A 192.0.2.1"]);
    assert_eq!(
        owners_and_types(&ask_zone("a1.example.org.", RecordType::ANY).answers),
        ["a1.example.org. CNAME"]
    );
    assert_eq!(ask_zone("no.example.org.", RecordType::ANY).rcode, ResponseCode::NXDomain);
}

#[test]
fn sets_have_one_ttl_and_no_doublets() {
    let answer = ask_zone("mixed.example.org.", RecordType::A);
    assert_eq!(answer.answers.iter().map(|record| record.ttl).collect::<Vec<_>>(), [60, 60]);
}

#[test]
fn unknown_types_are_served() {
    let answer = ask_zone("odd.example.org.", RecordType::Unknown(65280));
    assert_eq!(answer.answers.len(), 1);
}

#[test]
fn records_that_contradict_each_other_are_refused() {
    for (text, expected) in [
        ("www A 192.0.2.1\nwww CNAME a\n", "has a CNAME and also a record of type A"),
        ("www CNAME a\nwww CNAME b\n", "more than one CNAME record"),
        ("www DNAME a\nwww DNAME b\n", "more than one DNAME record"),
        ("@ SOA ns host 2 2 3 4 5\n", "more than one SOA record"),
        ("www SOA ns host 2 2 3 4 5\n", "SOA record at www.example.org."),
    ] {
        let faults = zone(&format!("$TTL 5\n@ SOA ns host 1 2 3 4 5\n{text}")).expect_err(text);
        assert!(faults[0].contains(expected), "{faults:?}");
    }
    assert!(zone("a 5 A 192.0.2.1\n").expect_err("no SOA")[0].contains("expected one SOA"));
}

#[test]
fn a_name_that_is_not_there_costs_no_more_than_one_that_is() {
    let hosts: String = (0..10_000).map(|number| format!("h{number} A 192.0.2.1\n")).collect();
    let zone = One(zone(&format!("$TTL 5\n@ SOA ns host 1 2 3 4 5\n{hosts}")).expect("a zone").into());
    let probes = |name: &str, rtype| look(&zone, name, rtype, true).expect("no loop").probes;
    assert_eq!(zone.0.names(), 10_001);
    assert_eq!(probes("h77.example.org.", RecordType::A), 2);
    assert_eq!(probes("h77.example.org.", RecordType::MX), 2);
    assert_eq!(probes("nx.example.org.", RecordType::A), 3);
    let deep = format!("{}nx.example.org.", "a.".repeat(100));
    assert_eq!(probes(&deep, RecordType::A), 3, "it stops at the first name that is not there");
}

const SIGNED: &str = "\
$TTL 3600
@       SOA   ns host 1 2 3 4 300
        RRSIG SOA 13 2 3600 20270101000000 20261101000000 1 @ AQID
        NSEC  a SOA RRSIG NSEC
        RRSIG NSEC 13 2 300 20270101000000 20261101000000 1 @ AQID
a       A     192.0.2.1
        RRSIG A 13 3 3600 20270101000000 20261101000000 1 @ AQID
        NSEC  x.ent A RRSIG NSEC
        RRSIG NSEC 13 3 300 20270101000000 20261101000000 1 @ AQID
x.ent   A     192.0.2.2
        NSEC  sub A NSEC
sub     NS    ns.example.net.
        NSEC  *.w NS NSEC
*.w     A     192.0.2.3
        NSEC  @ A NSEC
";

fn signed(name: &str, rtype: RecordType) -> Answer {
    look(&One(zone(SIGNED).expect("a zone").into()), name, rtype, true).expect("no loop")
}

#[test]
fn signatures_come_only_when_they_are_wanted() {
    assert_eq!(
        owners_and_types(&signed("a.example.org.", RecordType::A).answers),
        ["a.example.org. A", "a.example.org. RRSIG"]
    );
    let zone = One(zone(SIGNED).expect("a zone").into());
    let plain = look(&zone, "a.example.org.", RecordType::A, false).expect("no loop");
    assert_eq!(owners_and_types(&plain.answers), ["a.example.org. A"]);
}

#[test]
fn signed_negative_answers_carry_their_proof() {
    let proofs = |name, rtype| -> Vec<String> {
        let records = signed(name, rtype).authorities;
        records
            .iter()
            .filter(|record| record.record_type() == RecordType::NSEC)
            .map(|record| record.name.to_string())
            .collect()
    };
    // RFC 4035 §3.1.3.1 to 3.1.3.4.
    assert_eq!(proofs("a.example.org.", RecordType::MX), ["a.example.org."]);
    assert_eq!(proofs("b.example.org.", RecordType::A), ["a.example.org.", "example.org."]);
    assert_eq!(proofs("ent.example.org.", RecordType::A), ["a.example.org."]);
    assert_eq!(proofs("q.w.example.org.", RecordType::A), ["*.w.example.org."]);
    assert_eq!(proofs("q.w.example.org.", RecordType::MX), ["*.w.example.org."]);
    assert_eq!(proofs("z.sub.example.org.", RecordType::A), ["sub.example.org."]);
}

#[test]
fn hashed_proofs_are_those_of_rfc_5155() {
    // The zone and the answers of RFC 5155 appendix A and B, without signatures.
    let origin = Name::from_ascii("example.").expect("a name");
    let text = "$TTL 3600\n@ SOA ns1 bugs.x.w 1 3600 300 3600000 3600\n@ NS ns1\na NS ns1.a\nai A 192.0.2.9\nns1 A 192.0.2.1\n\
        *.w MX 1 ai\nx.w MX 1 xx\nx.y.w MX 1 xx\nxx A 192.0.2.10\nc NS ns1.c\n\
        0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG\n\
        2t7b4g4vsa5smi47k61mv5bv1a22bojr NSEC3 1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG\n\
        2vptu5timamqttgl4luu9kg21e0aor3s NSEC3 1 1 12 aabbccdd 35mthgpgcu1qg68fab165klnsnk3dpvl MX RRSIG\n\
        35mthgpgcu1qg68fab165klnsnk3dpvl NSEC3 1 1 12 aabbccdd b4um86eghhds6nea196smvmlo4ors995 NS DS RRSIG\n\
        b4um86eghhds6nea196smvmlo4ors995 NSEC3 1 1 12 aabbccdd gjeqe526plbf1g8mklp59enfd789njgi MX RRSIG\n\
        gjeqe526plbf1g8mklp59enfd789njgi NSEC3 1 1 12 aabbccdd ji6neoaepv8b5o6k4ev33abha8ht9fgc HINFO A AAAA RRSIG\n\
        ji6neoaepv8b5o6k4ev33abha8ht9fgc NSEC3 1 1 12 aabbccdd k8udemvp1j2f7eg6jebps17vp3n8i58h\n\
        k8udemvp1j2f7eg6jebps17vp3n8i58h NSEC3 1 1 12 aabbccdd q04jkcevqvmu85r014c7dkba38o0ji5r\n\
        q04jkcevqvmu85r014c7dkba38o0ji5r NSEC3 1 1 12 aabbccdd r53bq7cc2uvmubfu5ocmm6pers9tk9en A RRSIG\n\
        r53bq7cc2uvmubfu5ocmm6pers9tk9en NSEC3 1 1 12 aabbccdd t644ebqk9bibcna874givr6joj62mlhv MX RRSIG\n\
        t644ebqk9bibcna874givr6joj62mlhv NSEC3 1 1 12 aabbccdd 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A HINFO AAAA RRSIG\n";
    let read = master::parse(text, Path::new("db"), &origin, &|_| Err(std::io::ErrorKind::NotFound.into()))
        .expect("records");
    let zone = One(Zone::build(&origin, read.records).expect("a zone").into());
    let proofs = |name, rtype| -> Vec<String> {
        let records = look(&zone, name, rtype, true).expect("no loop").authorities;
        let proofs = records.iter().filter(|record| record.record_type() == RecordType::NSEC3);
        proofs
            .map(|record| {
                record
                    .name
                    .iter()
                    .next()
                    .map(|label| String::from_utf8_lossy(&label[..4]).into_owned())
                    .unwrap_or_default()
            })
            .collect()
    };
    assert_eq!(proofs("a.c.x.w.example.", RecordType::A), ["b4um", "0p9m", "35mt"], "B.1");
    assert_eq!(proofs("ns1.example.", RecordType::MX), ["2t7b"], "B.2");
    assert_eq!(proofs("y.w.example.", RecordType::A), ["ji6n"], "B.2.1");
    assert_eq!(proofs("mc.c.example.", RecordType::MX), ["0p9m", "35mt"], "B.3");
    assert_eq!(proofs("a.z.w.example.", RecordType::MX), ["q04j"], "B.4");
    assert_eq!(proofs("a.z.w.example.", RecordType::AAAA), ["k8ud", "q04j", "r53b"], "B.5");
    let hidden =
        look(&zone, "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.", RecordType::NSEC3, false).expect("no loop");
    assert_eq!(hidden.rcode, ResponseCode::NXDomain, "§7.2.8");
}

// Through the chain.

fn served(corefile: &str) -> (TempDir, Chain) {
    let directory = tempfile::tempdir().expect("a folder");
    fs::write(directory.path().join("db"), ZONE).expect("written");
    let chain = chain(corefile, directory.path());
    (directory, chain)
}

async fn answered(chain: &Chain, name: &str, rtype: RecordType) -> Response {
    ask(chain, name, rtype).await.expect("an answer")
}

#[tokio::test]
async fn names_of_other_zones_go_on_and_transfers_are_refused() {
    let (_directory, chain) = served("example.org {\n file db\n}\n");
    assert_eq!(ask(&chain, "example.net.", RecordType::A).await.expect_err("nobody"), ServeError::NoPlugin);
    let transfer = ask(&chain, "example.org.", RecordType::AXFR).await.expect_err("refused");
    assert_eq!(transfer.rcode(), ResponseCode::Refused);
}

#[tokio::test]
async fn an_alias_out_of_all_zones_stands_alone_when_nobody_knows_its_target() {
    let (_directory, chain) = served("example.org {\n file db\n}\n");
    let response = answered(&chain, "out.example.org.", RecordType::A).await;
    assert_eq!(owners_and_types(&response.answers), ["out.example.org. CNAME"]);
    assert_eq!((response.rcode, response.authoritative), (ResponseCode::NoError, true));
}

#[tokio::test]
async fn an_alias_into_another_zone_of_the_block_is_followed() {
    let directory = tempfile::tempdir().expect("a folder");
    fs::write(directory.path().join("db"), ZONE).expect("written");
    fs::write(directory.path().join("net"), "@ 5 SOA ns host 1 2 3 4 5\nwww A 192.0.2.99\n")
        .expect("written");
    let chain = chain(". {\n file net example.net\n file db example.org\n}\n", directory.path());
    let response = answered(&chain, "out.example.org.", RecordType::A).await;
    assert_eq!(owners_and_types(&response.answers), ["out.example.org. CNAME", "www.example.net. A"]);
}

#[tokio::test]
async fn ds_of_a_zone_is_asked_of_the_zone_above_it() {
    let directory = tempfile::tempdir().expect("a folder");
    fs::write(directory.path().join("db"), ZONE).expect("written");
    fs::write(directory.path().join("sub"), "@ 5 SOA ns host 1 2 3 4 5\n@ A 192.0.2.99\n").expect("written");
    let chain = chain(". {\n file sub sub.example.org\n file db example.org\n}\n", directory.path());
    let parent = answered(&chain, "sub.example.org.", RecordType::DS).await;
    assert_eq!(owners_and_types(&parent.answers), ["sub.example.org. DS"]);
    let child = answered(&chain, "sub.example.org.", RecordType::A).await;
    assert_eq!(shown(&child.answers), ["sub.example.org. A 192.0.2.99"]);
}

#[tokio::test]
async fn missing_names_fall_through_only_where_that_is_said() {
    let (_directory, chain) = served("example.org {\n file db {\n fallthrough wild2.example.org\n }\n}\n");
    let missing = ask(&chain, "z.b.wild2.example.org.", RecordType::A).await;
    assert_eq!(missing.expect_err("nobody behind"), ServeError::NoPlugin);
    assert_eq!(answered(&chain, "no.example.org.", RecordType::A).await.rcode, ResponseCode::NXDomain);
    assert_eq!(
        answered(&chain, "b.wild2.example.org.", RecordType::A).await.rcode,
        ResponseCode::NoError,
        "NODATA stays"
    );
}

#[tokio::test]
async fn only_class_in_is_answered() {
    let (_directory, chain) = served("example.org {\n file db\n}\n");
    let mut question = question("www.example.org.", RecordType::A);
    question.qclass = hickory_proto::rr::DNSClass::CH;
    assert_eq!(chain.serve(&question).await.expect_err("nobody"), ServeError::NoPlugin);
}

#[test]
fn faults_of_zone_files_are_errors_at_their_place() {
    let directory = tempfile::tempdir().expect("a folder");
    let bad = directory.path().join("bad");
    fs::write(&bad, "@ 5 SOA ns host 1 2 3 4 5\nwww A 192.0.2.999\n").expect("written");
    let errors = set_up("example.org {\n file bad\n file gone example.net\n}\n", directory.path())
        .err()
        .expect("errors");
    assert_eq!(
        errors[0],
        format!("{}:2:7: error: expected an IPv4 address, got `192.0.2.999`", bad.display())
    );
    assert!(
        errors[1].starts_with("Corefile:3:2: error: file: ")
            && errors[1].contains("cannot read the zone file"),
        "{}",
        errors[1]
    );
}

#[test]
fn two_files_for_one_zone_are_an_error_and_records_outside_a_warning() {
    let directory = tempfile::tempdir().expect("a folder");
    fs::write(directory.path().join("db"), "@ 5 SOA ns host 1 2 3 4 5\nns.example.net. A 192.0.2.1\n")
        .expect("written");
    let errors = set_up("example.org {\n file db\n file db\n}\n", directory.path()).err().expect("errors");
    assert!(errors.iter().any(|error| error.contains("expected one file for example.org.")), "{errors:?}");
    let (_, warnings) = set_up("example.org {\n file db\n}\n", directory.path()).expect("no error");
    assert!(warnings[0].contains("left out 1 records outside of example.org."), "{warnings:?}");
}

#[test]
fn a_changed_file_is_taken_over_and_a_broken_one_is_not() {
    use super::handler::{Seen, ServedZone, refresh};
    use super::source::load;
    let directory = tempfile::tempdir().expect("a folder");
    let (file, part) = (directory.path().join("db"), directory.path().join("part"));
    fs::write(&file, "@ 5 SOA ns host 1 2 3 4 5\n$INCLUDE part\n").expect("written");
    fs::write(&part, "a A 192.0.2.1\n").expect("written");
    let origin = Name::from_ascii("example.org.").expect("a name");
    let loaded = load(&file, &origin).expect("a zone");
    let served = ServedZone {
        origin,
        file,
        reload: None,
        fallthrough: Vec::new(),
        zone: arc_swap::ArcSwap::from_pointee(loaded.zone),
        seen: std::sync::Mutex::new(Seen { stamps: loaded.stamps, error: None }),
    };
    let names = || served.zone.load().names();
    let before = served.zone.load_full();
    refresh(&served);
    assert!(std::sync::Arc::ptr_eq(&before, &served.zone.load_full()), "a file as it was is not read again");

    fs::write(&part, "a A 192.0.2.1\nb A 192.0.2.2\n").expect("written");
    refresh(&served);
    assert_eq!(names(), 3, "a change of an included file is seen");

    fs::write(&part, "a A 192.0.2.1\nb A broken and longer\n").expect("written");
    refresh(&served);
    assert_eq!(names(), 3, "the old zone is kept");
    assert!(
        served
            .seen
            .lock()
            .expect("not poisoned")
            .error
            .as_ref()
            .is_some_and(|error| error.contains("part:2:5"))
    );

    fs::remove_file(&part).expect("removed");
    refresh(&served);
    assert_eq!(names(), 3);

    fs::write(&part, "").expect("written");
    refresh(&served);
    assert_eq!(names(), 1, "it is taken over once it is right again");
}

#[tokio::test]
async fn the_running_plugin_takes_over_a_changed_file() {
    let (directory, chain) = served("example.org {\n file db {\n reload 1ms\n }\n}\n");
    chain.start().expect("started");
    fs::write(directory.path().join("db"), "@ 5 SOA ns host 8 2 3 4 5\nnew A 192.0.2.77\n").expect("written");
    let taken_over = async {
        while answered(&chain, "new.example.org.", RecordType::A).await.rcode != ResponseCode::NoError {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), taken_over).await.expect("taken over");
    chain.stop();
}

#[test]
fn the_zone_of_the_example_loads_under_any_name() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../zones/example.org.zone");
    for origin in ["example.org.", "example.net."] {
        let loaded = super::source::load(&file, &Name::from_ascii(origin).expect("a name"));
        let loaded = loaded.unwrap_or_else(|errors| panic!("{}", errors[0]));
        assert_eq!(loaded.outside, None);
        let zone = One(loaded.zone.into());
        for (name, rtype) in [("large", RecordType::TXT), ("many", RecordType::A)] {
            let name = Name::from_ascii(format!("{name}.{origin}")).expect("a name");
            let answer = answer(&zone, Question { name: &name, rtype, dnssec_ok: false });
            let answer = answer.expect("no loop").expect("in the zone");
            let mut message = hickory_proto::op::Message::query();
            message.add_answers(answer.answers);
            assert!(message.to_vec().expect("encoded").len() > 1232, "{name} needs TCP");
        }
    }
}
