//! From responses to values: which responses say the same, and which say nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot be arranged should fail")]

mod world;

use agreement::canonical::{self, Unusable};
use agreement::{CHAIN_LINKS_MAX, ObservedOutcome, extra};
use certificate::{Denial, Question, RrSet};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::BinDecodable;
use world::{outcome, question, read, response, wire, www};

const NOERROR: ResponseCode = ResponseCode::NoError;
const NXDOMAIN: ResponseCode = ResponseCode::NXDomain;
const SOA: &str = "example.org. 300 SOA ns.example.org. hostmaster.example.org. 7 3600 600 86400 60";

fn rrset(owner: &str, rtype: u16, ttl: u32, rdatas: &[&[u8]]) -> RrSet {
    let rdatas = rdatas.iter().map(|rdata| rdata.to_vec()).collect();
    RrSet { owner: wire(owner), rtype, rclass: 1, ttl, rdatas }
}

fn with_flags(flags: u8) -> Question {
    Question { flags, ..www() }
}

#[test]
fn question_is_the_query_in_lower_case_with_its_two_bits() {
    let query = Query::query(Name::from_ascii("WWW.Example.ORG.").unwrap(), RecordType::A);
    assert_eq!(canonical::question(&query, false, false), www());
    assert_eq!(canonical::question(&query, true, false), with_flags(Question::DNSSEC_OK));
    assert_eq!(canonical::question(&query, false, true), with_flags(Question::CHECKING_DISABLED));
}

#[test]
fn order_case_duplicates_and_irrelevant_records_do_not_matter() {
    let plain = outcome(&www(), &["www.example.org. 60 A 192.0.2.1", "www.example.org. 60 A 192.0.2.2"]);
    let noisy = outcome(
        &www(),
        &[
            "mail.example.org. 5 A 192.0.2.9",
            "WWW.Example.ORG. 60 A 192.0.2.2",
            "www.example.org. 60 A 192.0.2.1",
            "www.example.org. 60 TXT \"beside\"",
            "www.EXAMPLE.org. 60 A 192.0.2.2",
        ],
    );
    assert_eq!(plain, noisy);
    let expected = rrset("www.example.org", 1, 60, &[&[192, 0, 2, 1], &[192, 0, 2, 2]]);
    assert_eq!(plain, ObservedOutcome::Answer(vec![expected]));
}

#[test]
fn golden_canonical_forms() {
    let cases: [(u16, &str, &[u8]); 8] = [
        (15, "www.example.org. 60 MX 10 MAIL.Example.ORG.", b"\x00\x0a\x04mail\x07example\x03org\x00"),
        (33, "www.example.org. 60 SRV 1 2 5380 SIP.example.org.", b"\x00\x01\x00\x02\x15\x04\x03sip\x07example\x03org\x00"),
        (
            6,
            "www.example.org. 60 SOA NS.example.org. Host.example.org. 1 2 3 4 5",
            b"\x02ns\x07example\x03org\x00\x04host\x07example\x03org\x00\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05",
        ),
        (16, "www.example.org. 60 TXT \"Keep THE Case\" \"two\"", b"\x0dKeep THE Case\x03two"),
        (65280, "www.example.org. 60 TYPE65280 \\# 0341424300ff", b"\x03ABC\x00\xff"),
        (65, "www.example.org. 60 HTTPS 1 . alpn=h2,h3 port=8443", b"\x00\x01\x00\x00\x01\x00\x06\x02h2\x02h3\x00\x03\x00\x02\x20\xfb"),
        (2, "www.example.org. 60 NS NS1.Example.ORG.", b"\x03ns1\x07example\x03org\x00"),
        (257, "www.example.org. 60 CAA 0 issue \"CA.example.org\"", b"\x00\x05issueCA.example.org"),
    ];
    for (rtype, line, golden) in cases {
        let expected = ObservedOutcome::Answer(vec![rrset("www.example.org", rtype, 60, &[golden])]);
        assert_eq!(outcome(&question("www.example.org", rtype), &[line]), expected, "{line}");
    }
}

#[test]
fn compressed_and_uncompressed_wire_give_the_same_value() {
    let mx = question("example.org", 15);
    let lines = ["example.org. 60 MX 10 mail.example.org.", "example.org. 60 MX 5 Mail2.EXAMPLE.org."];
    let sent = response(&mx, NOERROR, &lines);
    let received = Message::from_bytes(&sent.to_vec().unwrap()).unwrap();
    assert_eq!(canonical::read(&mx, &received), canonical::read(&mx, &sent));
}

#[test]
fn lesser_ttl_of_an_rrset_counts_and_the_highest_bit_means_zero() {
    let differing = outcome(&www(), &["www.example.org. 60 A 192.0.2.1", "www.example.org. 30 A 192.0.2.2"]);
    assert_eq!(differing.rrsets()[0].ttl, 30);
    let negative_number = outcome(&www(), &["www.example.org. 2147483648 A 192.0.2.1"]);
    assert_eq!(negative_number.rrsets()[0].ttl, 0);
}

#[test]
fn chain_is_followed_from_the_asked_name_whatever_the_order() {
    let lines = [
        "c.example.org. 10 A 192.0.2.3",
        "b.example.org. 20 CNAME C.example.org.",
        "x.example.org. 5 A 192.0.2.66",
        "www.example.org. 30 CNAME b.example.org.",
    ];
    let expected = vec![
        rrset("www.example.org", 5, 30, &[&wire("b.example.org")]),
        rrset("b.example.org", 5, 20, &[&wire("c.example.org")]),
        rrset("c.example.org", 1, 10, &[&[192, 0, 2, 3]]),
    ];
    assert_eq!(outcome(&www(), &lines), ObservedOutcome::Answer(expected));
}

#[test]
fn alias_that_was_asked_for_is_the_answer_and_is_not_followed() {
    let lines = ["www.example.org. 30 CNAME b.example.org.", "b.example.org. 20 A 192.0.2.1"];
    let alias = rrset("www.example.org", 5, 30, &[&wire("b.example.org")]);
    assert_eq!(
        outcome(&question("www.example.org", 5), &lines),
        ObservedOutcome::Answer(vec![alias.clone()])
    );
    assert_eq!(outcome(&question("www.example.org", 255), &lines), ObservedOutcome::Answer(vec![alias]));
}

#[test]
fn any_returns_every_rrset_of_the_name_by_type_and_signatures_beside_it() {
    let any = Question { flags: Question::DNSSEC_OK, ..question("www.example.org", 255) };
    let signature = "www.example.org. 60 TYPE46 \\# 000108030000003c6a0000006900000000010000";
    let lines = ["www.example.org. 60 TXT \"t\"", signature, "www.example.org. 60 A 192.0.2.1"];
    let reading = read(&any, NOERROR, &lines).unwrap();
    assert_eq!(reading.outcome.rrsets().iter().map(|rrset| rrset.rtype).collect::<Vec<_>>(), [1, 16]);
    assert_eq!(extra::decode(&reading.extra).unwrap().len(), 1);
}

#[test]
fn loop_of_aliases_says_nothing() {
    let lines = ["www.example.org. 30 CNAME b.example.org.", "b.example.org. 30 CNAME www.example.org."];
    assert_eq!(read(&www(), NOERROR, &lines), Err(Unusable::Loop));
    assert_eq!(read(&www(), NOERROR, &["www.example.org. 30 CNAME www.example.org."]), Err(Unusable::Loop));
}

#[test]
fn chain_of_more_links_than_the_bound_says_nothing() {
    let lines: Vec<String> = (0..=CHAIN_LINKS_MAX)
        .map(|link| {
            let owner = if link == 0 { "www".to_owned() } else { format!("n{link}") };
            format!("{owner}.example.org. 30 CNAME n{}.example.org.", link + 1)
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(read(&www(), NOERROR, &lines), Err(Unusable::ChainTooLong));
    assert_eq!(outcome(&www(), &lines[..CHAIN_LINKS_MAX]).rrsets().len(), CHAIN_LINKS_MAX);
}

#[test]
fn two_aliases_of_one_name_say_nothing() {
    let lines = ["www.example.org. 30 CNAME b.example.org.", "www.example.org. 30 CNAME c.example.org."];
    assert_eq!(read(&www(), NOERROR, &lines), Err(Unusable::TwoAliases));
}

#[test]
fn chain_that_ends_nowhere_is_an_answer_of_its_links() {
    let lines = ["www.example.org. 30 CNAME b.example.org."];
    let alias = rrset("www.example.org", 5, 30, &[&wire("b.example.org")]);
    assert_eq!(outcome(&www(), &lines), ObservedOutcome::Answer(vec![alias]));
}

#[test]
fn dname_makes_the_alias_that_a_server_left_out() {
    let dname = "old.example.org. 40 DNAME new.example.org.";
    let target = "www.new.example.org. 20 A 192.0.2.1";
    let asked = question("www.old.example.org", 1);
    let made = outcome(&asked, &[dname, target]);
    let given = outcome(&asked, &[dname, "www.old.example.org. 40 CNAME www.new.example.org.", target]);
    let without = outcome(&asked, &["www.old.example.org. 40 CNAME www.new.example.org.", target]);
    assert_eq!(made, given);
    assert_eq!(made, without);
    assert_eq!(made.rrsets()[0], rrset("www.old.example.org", 5, 40, &[&wire("www.new.example.org")]));
    let itself = Question { qtype: 39, ..question("old.example.org", 1) };
    assert_eq!(outcome(&itself, &[dname]).rrsets()[0].rtype, 39);
}

#[test]
fn denials_are_reduced_to_kind_zone_and_minimum() {
    let other_serial = SOA.replace(" 7 ", " 8 ");
    let ours = read(&www(), NXDOMAIN, &["--", SOA]).unwrap();
    let theirs = read(&www(), NXDOMAIN, &["--", &other_serial]).unwrap();
    assert_eq!(ours.outcome, theirs.outcome);
    assert_ne!(ours.extra, theirs.extra);
    let expected = ObservedOutcome::Negative {
        chain: vec![],
        denial: Denial::NxDomain,
        zone: wire("example.org"),
        minimum: 60,
        ttl: 60,
    };
    assert_eq!(ours.outcome, expected);
    let nodata = read(&www(), NOERROR, &["--", SOA]).unwrap().outcome;
    assert!(matches!(nodata, ObservedOutcome::Negative { denial: Denial::NoData, .. }));
    assert!(!nodata.same_value(&expected));
}

#[test]
fn denial_holds_for_the_lesser_of_the_soas_ttl_and_minimum() {
    let ttl = |line: &str| match read(&www(), NXDOMAIN, &["--", line]).unwrap().outcome {
        ObservedOutcome::Negative { ttl, .. } => ttl,
        other => panic!("{other:?}"),
    };
    assert_eq!(ttl("example.org. 300 SOA ns.example.org. h.example.org. 7 3600 600 86400 60"), 60);
    assert_eq!(ttl("example.org. 30 SOA ns.example.org. h.example.org. 7 3600 600 86400 60"), 30);
}

#[test]
fn denial_at_the_end_of_a_chain_keeps_the_chain() {
    let lines = ["www.example.org. 30 CNAME gone.example.org.", "--", SOA];
    match read(&www(), NXDOMAIN, &lines).unwrap().outcome {
        ObservedOutcome::Negative { chain, denial: Denial::NxDomain, .. } => assert_eq!(chain.len(), 1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn denial_without_a_soa_of_an_enclosing_zone_is_not_cached() {
    let elsewhere = "example.net. 300 SOA ns.example.net. h.example.net. 7 3600 600 86400 60";
    for lines in [&[][..], &["--", elsewhere]] {
        let reading = read(&www(), NXDOMAIN, lines).unwrap();
        let expected = ObservedOutcome::Negative {
            chain: vec![],
            denial: Denial::NxDomain,
            zone: wire("."),
            minimum: 0,
            ttl: 0,
        };
        assert_eq!(reading.outcome, expected);
        assert!(reading.extra.is_empty());
    }
}

#[test]
fn referral_is_no_denial() {
    let lines = ["--", "example.org. 300 NS ns.example.org."];
    assert_eq!(read(&www(), NOERROR, &lines), Err(Unusable::Referral));
}

#[test]
fn response_that_contradicts_itself_or_is_cut_or_is_not_ours_says_nothing() {
    let answer = ["www.example.org. 60 A 192.0.2.1"];
    assert_eq!(read(&www(), NXDOMAIN, &answer), Err(Unusable::Contradiction));
    let mut cut = response(&www(), NOERROR, &answer);
    cut.metadata.truncation = true;
    assert_eq!(canonical::read(&www(), &cut), Err(Unusable::Truncated));
    let other = response(&question("other.example.org", 1), NOERROR, &answer);
    assert_eq!(canonical::read(&www(), &other), Err(Unusable::OtherQuestion));
    assert_eq!(read(&question("www.example.org", 252), NOERROR, &answer), Err(Unusable::MetaType(252)));
    let every_class = Question { qclass: 255, ..www() };
    assert_eq!(read(&every_class, NOERROR, &answer), Err(Unusable::MetaClass(255)));
}

#[test]
fn records_of_another_class_are_no_answer() {
    let mut message = response(&www(), NOERROR, &["www.example.org. 60 A 192.0.2.1", "--", SOA]);
    message.answers[0].dns_class = hickory_proto::rr::DNSClass::CH;
    let reading = canonical::read(&www(), &message).unwrap();
    assert!(matches!(reading.outcome, ObservedOutcome::Negative { denial: Denial::NoData, .. }));
}

#[test]
fn rcodes_are_refused_or_servfail() {
    for (rcode, expected) in [
        (ResponseCode::Refused, 5),
        (ResponseCode::ServFail, 2),
        (ResponseCode::FormErr, 2),
        (ResponseCode::BADVERS, 2),
    ] {
        assert_eq!(read(&www(), rcode, &[]).unwrap().outcome, ObservedOutcome::Failure(expected), "{rcode}");
    }
}

#[test]
fn relevant_record_without_canonical_form_spoils_the_answer_and_an_irrelevant_one_does_not() {
    let rp = question("www.example.org", 17);
    let pointers = "TYPE17 \\# c00cc00c";
    let relevant = format!("www.example.org. 60 {pointers}");
    assert!(matches!(read(&rp, NOERROR, &[&relevant]), Err(Unusable::Rdata(_))));
    let lines = ["www.example.org. 60 A 192.0.2.1", &relevant];
    assert_eq!(outcome(&www(), &lines).rrsets().len(), 1);
}

#[test]
fn signatures_stand_beside_the_answer_only_for_who_asks_and_only_those_of_what_is_served() {
    let signature = |owner: &str, covers: &str| {
        format!("{owner} 60 TYPE46 \\# {covers}08030000003c6a0000006900000000010000")
    };
    let ours = signature("www.example.org.", "0001");
    let others = signature("mail.example.org.", "0001");
    let of_txt = signature("www.example.org.", "0010");
    let lines = ["www.example.org. 60 A 192.0.2.1", &ours, &others, &of_txt];
    let plain = read(&with_flags(0), NOERROR, &lines).unwrap();
    let dnssec = read(&with_flags(Question::DNSSEC_OK), NOERROR, &lines).unwrap();
    assert_eq!(plain.outcome, dnssec.outcome);
    assert!(plain.extra.is_empty());
    let beside = extra::decode(&dnssec.extra).unwrap();
    assert_eq!(beside.len(), 1);
    assert_eq!((beside[0].owner.clone(), beside[0].rtype), (wire("www.example.org"), 46));
}

#[test]
fn proof_of_a_denial_stands_beside_it() {
    let nsec = "a.example.org. 60 TYPE47 \\# 017a076578616d706c65036f72670000014000";
    let signature = "a.example.org. 60 TYPE46 \\# 002f08030000003c6a0000006900000000010000";
    let lines = ["--", SOA, nsec, signature];
    let reading = read(&with_flags(Question::DNSSEC_OK), NXDOMAIN, &lines).unwrap();
    let types: Vec<u16> = extra::decode(&reading.extra).unwrap().iter().map(|record| record.rtype).collect();
    assert_eq!(types, [46, 47, 6]);
    let plain = read(&www(), NXDOMAIN, &lines).unwrap();
    assert_eq!(extra::decode(&plain.extra).unwrap().len(), 1);
}

#[test]
fn everything_read_passes_the_door() {
    let cases: [(&[&str], ResponseCode); 5] = [
        (&["www.example.org. 60 A 192.0.2.1"], NOERROR),
        (&["www.example.org. 30 CNAME b.example.org.", "b.example.org. 20 A 192.0.2.1"], NOERROR),
        (&["www.example.org. 30 CNAME b.example.org."], NOERROR),
        (&["--", SOA], NXDOMAIN),
        (&[], NXDOMAIN),
    ];
    for (lines, rcode) in cases {
        let outcome = read(&www(), rcode, lines).unwrap().outcome;
        assert!(canonical::answers(&www(), &outcome), "{lines:?}");
        assert!(
            !canonical::answers(&question("other.example.net", 1), &outcome) || lines.is_empty(),
            "{lines:?}"
        );
    }
}
