//! The payload of an observation: one encoding for one value, bounds, and what happens to an answer that is too large.

#![allow(clippy::unwrap_used, reason = "a test that cannot be arranged should fail")]

mod world;

use agreement::canonical::Reading;
use agreement::observation::{
    HISTORY_RECORDS_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MIN, RECORDS_MAX, RRSETS_MAX, Seen,
    payload_bytes_max,
};
use agreement::payload::{FORMAT_PLAIN, FORMAT_REMARKED};
use agreement::{CheckError, Dnssec, Observed, ObservedOutcome, check, extra};
use certificate::codec::{Decode, Encode};
use certificate::remark::REMARK_BYTES_MAX;
use certificate::{Policy, Question, Remark, ReplicaId, RrSet};
use hickory_proto::op::ResponseCode;
use world::{
    Numbers, addresses, four, history, nxdomain, outcome, question, read, remark, remarked, saw, wire, www,
};

const SOA: &str = "example.org. 300 SOA ns.example.org. hostmaster.example.org. 7 3600 600 86400 60";

fn examples() -> Vec<Observed> {
    let chain = ["www.example.org. 30 CNAME b.example.org.", "b.example.org. 20 A 192.0.2.1"];
    let denial = read(&www(), ResponseCode::NXDomain, &["--", SOA]).unwrap();
    vec![
        saw(addresses(&[1, 2, 3], 60)),
        saw(outcome(&www(), &chain)),
        Observed { extra: denial.extra, ..saw(denial.outcome) },
        Observed {
            dnssec: Dnssec::Bogus,
            history: history(&[4, 5], 60, 1000),
            ..saw(ObservedOutcome::TimedOut)
        },
        saw(ObservedOutcome::Failure(5)),
        saw(ObservedOutcome::TooLarge),
        Observed { history: history(&[4], 60, 1000), ..remarked(saw(addresses(&[1], 60)), "ct-verify: x") },
        remarked(saw(ObservedOutcome::Failure(2)), "ct-verify: CERT invalid: not_enough_logs"),
    ]
}

/// A reading of a TXT record of `bytes` bytes, with a SOA's worth of records beside it.
fn large(bytes: usize) -> Reading {
    let rdata = vec![0; bytes];
    let rrset = RrSet { owner: www().name, rtype: 16, rclass: 1, ttl: 60, rdatas: vec![rdata] };
    Reading::bare(ObservedOutcome::Answer(vec![rrset]))
}

fn compose(reading: Reading, bytes_max: usize) -> Observed {
    Observed::compose(reading, Dnssec::Indeterminate, 0, history(&[1, 2, 3], 60, 1000), bytes_max)
}

#[test]
fn payload_reads_back_to_itself() {
    for observed in examples() {
        assert_eq!(Observed::from_bytes(&observed.to_bytes()), Ok(observed));
    }
}

#[test]
fn every_cut_payload_is_refused() {
    for observed in examples() {
        let bytes = observed.to_bytes();
        for length in 0..bytes.len() {
            assert!(Observed::from_bytes(&bytes[..length]).is_err(), "{length} of {observed:?}");
        }
        assert!(Observed::from_bytes(&[bytes, vec![0]].concat()).is_err());
    }
}

#[test]
fn whatever_decodes_encodes_to_the_same_bytes() {
    let mut numbers = Numbers(1);
    let mut accepted = 0;
    for _ in 0..4000 {
        for observed in examples() {
            let mut bytes = observed.to_bytes();
            for _ in 0..=numbers.below(2) {
                let at = numbers.below(bytes.len() as u64) as usize;
                bytes[at] = numbers.below(256) as u8;
            }
            if let Ok(decoded) = Observed::from_bytes(&bytes) {
                accepted += 1;
                assert_eq!(decoded.to_bytes(), bytes);
            }
        }
    }
    assert!(accepted > 100, "the changes must leave some payloads valid, {accepted} were");
}

#[test]
fn payload_that_is_not_canonical_is_refused() {
    let refused = |observed: &Observed, claim: &str| {
        assert!(Observed::from_bytes(&observed.to_bytes()).is_err(), "{claim}");
    };
    let upper = RrSet {
        owner: www().name,
        rtype: 15,
        rclass: 1,
        ttl: 60,
        rdatas: vec![b"\x00\x0a\x01A\x00".to_vec()],
    };
    refused(&saw(ObservedOutcome::Answer(vec![upper])), "upper case inside data");
    let short = RrSet { owner: www().name, rtype: 1, rclass: 1, ttl: 60, rdatas: vec![vec![192, 0, 2]] };
    refused(&saw(ObservedOutcome::Answer(vec![short])), "an address of three bytes");
    let records: Vec<Vec<u8>> =
        (0..=RECORDS_MAX as u16).map(|number| number.to_be_bytes().to_vec()).collect();
    let many = RrSet { owner: www().name, rtype: 16, rclass: 1, ttl: 60, rdatas: records };
    refused(&saw(ObservedOutcome::Answer(vec![many])), "more records than the bound");
    let set = addresses(&[1], 60).rrsets()[0].clone();
    refused(&saw(ObservedOutcome::Answer(vec![set; RRSETS_MAX + 1])), "more RRsets than the bound");
    refused(&saw(ObservedOutcome::Failure(3)), "an rcode that is no failure");
    refused(
        &Observed { extra: vec![1, 2, 3], ..saw(addresses(&[1], 60)) },
        "records beside it that are none",
    );
}

#[test]
fn history_out_of_order_twice_or_above_its_bound_is_refused() {
    let refused = |seen: Vec<Seen>, claim: &str| {
        let observed = Observed { history: seen, ..saw(ObservedOutcome::TimedOut) };
        assert!(Observed::from_bytes(&observed.to_bytes()).is_err(), "{claim}");
    };
    let mut reversed = history(&[1, 2], 60, 1000);
    reversed[0].records.reverse();
    refused(reversed, "records out of order");
    let once = history(&[1], 60, 1000);
    refused([once.clone(), once.clone()].concat(), "an RRset twice");
    let mut twice = once;
    let record = twice[0].records[0].clone();
    twice[0].records.push(record);
    refused(twice, "a record twice");
    refused(
        history(&(0..=HISTORY_RECORDS_MAX as u8).collect::<Vec<u8>>(), 60, 1000),
        "more records than the bound",
    );
}

#[test]
fn payload_above_the_bound_of_all_clusters_is_refused() {
    let reading = large(PAYLOAD_BYTES_MAX);
    let observed = Observed { extra: reading.extra, ..saw(reading.outcome) };
    assert!(Observed::from_bytes(&observed.to_bytes()).is_err());
}

#[test]
fn garbage_never_panics_the_door() {
    let mut numbers = Numbers(2);
    let (cluster, question) = (four(Policy::Records), www());
    for _ in 0..50_000 {
        let length = numbers.below(200) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| numbers.below(256) as u8).collect();
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        let _ = check(&cluster, &question, ReplicaId(0), &bytes);
        let _ = extra::decode(&bytes);
    }
}

#[test]
fn answer_larger_than_a_payload_is_observed_as_too_large() {
    let room = PAYLOAD_BYTES_MAX - compose(large(0), PAYLOAD_BYTES_MAX).to_bytes().len();
    let history_bytes = saw(ObservedOutcome::TimedOut);
    let without =
        Observed { history: history(&[1, 2, 3], 60, 1000), ..history_bytes.clone() }.to_bytes().len()
            - history_bytes.to_bytes().len();
    let fits = compose(large(room + without), PAYLOAD_BYTES_MAX);
    assert!(matches!(fits.outcome, ObservedOutcome::Answer(_)));
    assert!(fits.history.is_empty());
    assert_eq!(fits.to_bytes().len(), PAYLOAD_BYTES_MAX);
    let over = compose(large(room + without + 1), PAYLOAD_BYTES_MAX);
    assert_eq!(over.outcome, ObservedOutcome::TooLarge);
    assert_eq!(over.history.len(), 1);
}

#[test]
fn answer_with_more_records_than_the_bound_is_too_large() {
    let rdatas = (0..=RECORDS_MAX as u16).map(|number| number.to_be_bytes().to_vec()).collect();
    let rrset = RrSet { owner: www().name, rtype: 16, rclass: 1, ttl: 60, rdatas };
    let reading = Reading::bare(ObservedOutcome::Answer(vec![rrset]));
    assert_eq!(compose(reading, PAYLOAD_BYTES_MAX).outcome, ObservedOutcome::TooLarge);
}

#[test]
fn history_gives_way_first_oldest_first_and_repeats_nothing() {
    let mut seen = history(&[1, 2, 3], 60, 1000);
    seen[0].records[1].last_seen_ms += 500;
    let reading = Reading::bare(addresses(&[1], 60));
    let all = Observed::compose(reading.clone(), Dnssec::Indeterminate, 0, seen.clone(), PAYLOAD_BYTES_MAX);
    let kept = |observed: &Observed| -> Vec<u8> {
        observed.history.iter().flat_map(|set| &set.records).map(|record| record.rdata[3]).collect()
    };
    assert_eq!(kept(&all), [2, 3]);
    let one_less = all.to_bytes().len() - 1;
    let tight = Observed::compose(reading, Dnssec::Indeterminate, 0, seen, one_less);
    assert_eq!(kept(&tight), [2]);
    assert_eq!(tight.outcome, all.outcome);
}

#[test]
fn history_is_bounded_by_count() {
    let seen = history(&(0..=255).collect::<Vec<u8>>(), 60, 1000);
    let reading = Reading::bare(ObservedOutcome::TimedOut);
    let observed = Observed::compose(reading, Dnssec::Indeterminate, 0, seen, PAYLOAD_BYTES_MAX);
    assert_eq!(observed.history[0].records.len(), HISTORY_RECORDS_MAX);
    assert_eq!(Observed::from_bytes(&observed.to_bytes()), Ok(observed));
}

#[test]
fn signatures_give_way_together_and_the_soa_of_a_denial_never() {
    let dnssec = Question { flags: Question::DNSSEC_OK, ..www() };
    let nsec = "a.example.org. 60 TYPE47 \\# 017a076578616d706c65036f72670000014000";
    let reading = read(&dnssec, ResponseCode::NXDomain, &["--", SOA, nsec]).unwrap();
    let whole = Observed::compose(reading.clone(), Dnssec::Indeterminate, 0, vec![], PAYLOAD_BYTES_MAX);
    let bytes = whole.to_bytes().len();
    let tight = Observed::compose(reading.clone(), Dnssec::Indeterminate, 0, vec![], bytes - 1);
    assert_eq!(tight.outcome, whole.outcome);
    let types: Vec<u16> = extra::decode(&tight.extra).unwrap().iter().map(|record| record.rtype).collect();
    assert_eq!(types, [6]);
    let tighter = Observed::compose(reading, Dnssec::Indeterminate, 0, vec![], tight.to_bytes().len() - 1);
    assert_eq!(tighter.outcome, ObservedOutcome::TooLarge);
    assert!(tighter.extra.is_empty());
}

#[test]
fn payloads_of_all_replicas_fit_a_batch() {
    assert_eq!(payload_bytes_max(&four(Policy::Records)), PAYLOAD_BYTES_MAX);
    let thirty_one = world::cluster(31, 10, Policy::Records);
    let bytes = payload_bytes_max(&thirty_one);
    assert!((PAYLOAD_BYTES_MIN..PAYLOAD_BYTES_MAX).contains(&bytes));
    let least = certificate::cluster::batch_bytes_min(31) as usize;
    let more = bytes - PAYLOAD_BYTES_MIN;
    assert!(least + 31 * more <= thirty_one.batch_bytes as usize);
    assert!(least + 31 * (more + 1) > thirty_one.batch_bytes as usize, "the room is used");
}

#[test]
fn door_accepts_what_honest_replicas_compose() {
    let cluster = four(Policy::Records);
    for observed in examples() {
        assert_eq!(check(&cluster, &www(), ReplicaId(0), &observed.to_bytes()), Ok(observed));
    }
}

#[test]
fn door_refuses_a_claimed_group_that_the_cluster_file_does_not_give() {
    let cluster = four(Policy::Records);
    let payload = Observed { group: 1, ..saw(addresses(&[1], 60)) }.to_bytes();
    let refused = check(&cluster, &www(), ReplicaId(0), &payload);
    assert_eq!(refused, Err(CheckError::Group { expected: 0, found: 1 }));
    assert!(check(&cluster, &www(), ReplicaId(1), &payload).is_ok());
    assert_eq!(
        check(&cluster, &www(), ReplicaId(4), &payload),
        Err(CheckError::UnknownReplica(ReplicaId(4)))
    );
}

#[test]
fn door_refuses_an_answer_to_another_question() {
    let cluster = four(Policy::Records);
    let other_type = question("www.example.org", 28);
    let other_name = question("mail.example.org", 1);
    let payload = saw(addresses(&[1], 60)).to_bytes();
    for asked in [other_type, other_name] {
        let refused = check(&cluster, &asked, ReplicaId(0), &payload);
        assert_eq!(refused, Err(CheckError::OtherQuestion(asked)));
    }
    let zone_elsewhere = ObservedOutcome::Negative {
        chain: vec![],
        denial: certificate::Denial::NxDomain,
        zone: wire("example.net"),
        minimum: 0,
        ttl: 0,
    };
    let payload = saw(zone_elsewhere).to_bytes();
    assert!(matches!(check(&cluster, &www(), ReplicaId(0), &payload), Err(CheckError::OtherQuestion(_))));
}

#[test]
fn door_refuses_records_beside_an_answer_that_are_not_its_own() {
    let cluster = four(Policy::Records);
    let denial = read(&www(), ResponseCode::NXDomain, &["--", SOA]).unwrap();
    let cases = [
        ("a SOA beside an answer", addresses(&[1], 60), denial.extra.clone()),
        ("a SOA of another MINIMUM", nxdomain(61, 61), denial.extra.clone()),
        ("a SOA of another TTL", nxdomain(60, 59), denial.extra.clone()),
        ("a denial without its SOA", nxdomain(60, 60), vec![]),
        ("a SOA beside a failure", ObservedOutcome::Failure(2), denial.extra),
    ];
    for (case, outcome, extra) in cases {
        let payload = Observed { extra, ..saw(outcome) }.to_bytes();
        assert_eq!(check(&cluster, &www(), ReplicaId(0), &payload), Err(CheckError::Extra), "{case}");
    }
}

#[test]
fn door_refuses_dnssec_records_that_nobody_asked_for() {
    let dnssec = Question { flags: Question::DNSSEC_OK, ..www() };
    let signature = "www.example.org. 60 TYPE46 \\# 000108030000003c6a0000006900000000010000";
    let reading =
        read(&dnssec, ResponseCode::NoError, &["www.example.org. 60 A 192.0.2.1", signature]).unwrap();
    let payload = Observed { extra: reading.extra, ..saw(reading.outcome) }.to_bytes();
    let cluster = four(Policy::Records);
    assert!(check(&cluster, &dnssec, ReplicaId(0), &payload).is_ok());
    assert_eq!(check(&cluster, &www(), ReplicaId(0), &payload), Err(CheckError::Extra));
}

#[test]
fn door_refuses_more_bytes_than_the_cluster_allows() {
    let mut cluster = four(Policy::Records);
    cluster.batch_bytes = 1;
    let payload = compose(large(PAYLOAD_BYTES_MIN), PAYLOAD_BYTES_MAX).to_bytes();
    let txt = question("www.example.org", 16);
    let refused = check(&cluster, &txt, ReplicaId(0), &payload);
    assert_eq!(refused, Err(CheckError::TooLong { expected: PAYLOAD_BYTES_MIN, found: payload.len() }));
}

#[test]
fn payload_without_a_remark_has_the_bytes_of_releases_that_know_of_none() {
    let bytes = saw(addresses(&[1], 60)).to_bytes();
    let rrset = addresses(&[1], 60).rrsets()[0].to_bytes();
    assert_eq!(bytes, [&[1, 0, 0, 1, 0, 1][..], &rrset, &[0, 0, 0, 0]].concat());
}

#[test]
fn remark_stands_at_the_end_and_the_format_says_so() {
    let plain = saw(addresses(&[1], 60));
    let bytes = remarked(plain.clone(), "ab").to_bytes();
    let expected = [&[FORMAT_REMARKED], &plain.to_bytes()[1..], &remark("ab").to_bytes()].concat();
    assert_eq!((plain.to_bytes()[0], bytes), (FORMAT_PLAIN, expected));
}

#[test]
fn payload_with_a_broken_remark_is_refused() {
    let bytes = remarked(saw(addresses(&[1], 60)), "ab").to_bytes();
    let length = bytes.len();
    let refused = |change: &dyn Fn(&mut Vec<u8>), claim: &str| {
        let mut changed = bytes.clone();
        change(&mut changed);
        assert!(Observed::from_bytes(&changed).is_err(), "{claim}");
    };
    refused(&|bytes| bytes[0] = FORMAT_PLAIN, "a remark that the format does not announce");
    refused(&|bytes| bytes.truncate(length - 6), "an announced remark that is not there");
    refused(&|bytes| bytes[length - 1] = b'\n', "a line feed in the text");
    refused(&|bytes| bytes[length - 1] = 0xff, "a byte that is not ASCII");
    refused(&|bytes| bytes[length - 6] = 0, "no conclusion");
    refused(&|bytes| bytes.extend(remark("cd").to_bytes()), "two remarks");
}

#[test]
fn door_tells_a_format_of_another_release_from_broken_bytes() {
    let cluster = four(Policy::Records);
    for (payload, expected) in [(vec![0], 0), (vec![3], 3), (vec![255; 100], 255)] {
        let refused = check(&cluster, &www(), ReplicaId(0), &payload);
        assert_eq!(refused, Err(CheckError::Format { found: expected }));
    }
    for payload in [vec![], vec![FORMAT_PLAIN], vec![FORMAT_REMARKED]] {
        let refused = check(&cluster, &www(), ReplicaId(0), &payload);
        assert!(matches!(refused, Err(CheckError::Decode(_))), "{payload:?}");
    }
}

#[test]
fn door_refuses_a_remark_where_no_response_was_seen() {
    let cluster = four(Policy::Records);
    let zone = certificate::name::ROOT.to_vec();
    let denial = certificate::Denial::NxDomain;
    let denied = ObservedOutcome::Negative { chain: vec![], denial, zone, minimum: 0, ttl: 0 };
    for (outcome, accepted) in [
        (addresses(&[1], 60), true),
        (denied, true),
        (ObservedOutcome::Failure(2), true),
        (ObservedOutcome::TimedOut, false),
        (ObservedOutcome::TooLarge, false),
    ] {
        let payload = remarked(saw(outcome.clone()), "ct-verify: x").to_bytes();
        let checked = check(&cluster, &www(), ReplicaId(0), &payload);
        assert_eq!(checked.is_ok(), accepted, "{outcome:?}");
        assert!(accepted || checked == Err(CheckError::Remark));
        let reading = Reading { remark: Some(remark("ct-verify: x")), ..Reading::bare(outcome) };
        assert_eq!(compose(reading, PAYLOAD_BYTES_MAX).remark.is_some(), accepted);
    }
}

#[test]
fn remark_gives_way_to_the_answer_and_nothing_else_but_the_history_and_dnssec_to_it() {
    let longest = || Some(remark(&"x".repeat(200)));
    let read = |bytes: usize| Reading { remark: longest(), ..large(bytes) };
    let bare = Observed { history: vec![], ..compose(large(0), PAYLOAD_BYTES_MAX) }.to_bytes().len();
    let room = PAYLOAD_BYTES_MAX - bare;
    let beside = compose(read(room - REMARK_BYTES_MAX), PAYLOAD_BYTES_MAX);
    assert_eq!((beside.remark.clone(), beside.history.len()), (longest(), 0));
    assert_eq!(beside.to_bytes().len(), PAYLOAD_BYTES_MAX);
    let without = compose(read(room - REMARK_BYTES_MAX + 1), PAYLOAD_BYTES_MAX);
    assert_eq!((without.remark, &without.outcome), (None, &read(room - REMARK_BYTES_MAX + 1).outcome));
    assert_eq!(compose(read(room + 1), PAYLOAD_BYTES_MAX).outcome, ObservedOutcome::TooLarge);
    let dnssec = Question { flags: Question::DNSSEC_OK, ..www() };
    let signature = "www.example.org. 60 TYPE46 \\# 000108030000003c6a0000006900000000010000";
    let lines = ["www.example.org. 60 A 192.0.2.1", signature];
    let signed = world::read(&dnssec, ResponseCode::NoError, &lines).unwrap();
    let reading = Reading { remark: longest(), ..signed };
    let whole = Observed::compose(reading.clone(), Dnssec::Indeterminate, 0, vec![], PAYLOAD_BYTES_MAX);
    assert!(!whole.extra.is_empty() && whole.remark.is_some());
    let tight = Observed::compose(reading, Dnssec::Indeterminate, 0, vec![], whole.to_bytes().len() - 1);
    assert!(tight.extra.is_empty() && tight.remark == longest());
}

#[test]
fn remark_is_no_part_of_the_value() {
    let one = remarked(saw(addresses(&[1], 60)), "one");
    let other = Observed { remark: None::<Remark>, ..one.clone() };
    assert!(one.outcome.same_value(&other.outcome));
}
