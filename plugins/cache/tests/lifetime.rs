//! What may be kept and for how long, and what that does to TTLs.

use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::cache::lifetime::{Admitted, Bounds, Kind, Lifetimes};
use crate::rehearsal::{a, answer, certified, cname, denial, soa};
use crate::response::Response;

const LIFETIMES: Lifetimes = Lifetimes {
    success: Bounds { ttl_max_s: 3600, ttl_min_s: 0 },
    denial: Bounds { ttl_max_s: 1800, ttl_min_s: 0 },
    failure_s: 5,
};

const FLOORED: Lifetimes = Lifetimes {
    success: Bounds { ttl_max_s: 3600, ttl_min_s: 60 },
    denial: Bounds { ttl_max_s: 1800, ttl_min_s: 60 },
    failure_s: 5,
};

fn admit(response: &mut Response) -> Option<Admitted> {
    LIFETIMES.admit(response, RecordType::A)
}

fn kept(kind: Kind, seconds: u64) -> Option<Admitted> {
    Some(Admitted { kind, lifetime: Duration::from_secs(seconds) })
}

#[test]
fn answer_is_kept_until_its_first_ttl_runs_out() {
    let mut response = answer(vec![cname("www.example.org.", 300, "example.org."), a("example.org.", 60, 1)]);
    response.additionals.push(a("ns.example.org.", 50, 2));
    assert_eq!(admit(&mut response), kept(Kind::Success, 50));
}

#[test]
fn ttls_above_the_cap_are_lowered_from_the_first_answer_on() {
    let mut response = answer(vec![a("example.org.", 90_000, 1)]);
    assert_eq!(admit(&mut response), kept(Kind::Success, 3600));
    assert_eq!(response.answers[0].ttl, 3600);
}

#[test]
fn ttl_zero_is_not_kept() {
    assert_eq!(admit(&mut answer(vec![a("example.org.", 0, 1)])), None);
}

#[test]
fn truncated_answer_is_not_kept() {
    let mut response = Response { truncated: true, ..answer(vec![a("example.org.", 300, 1)]) };
    assert_eq!(admit(&mut response), None);
    response.truncated = false;
    assert_eq!(admit(&mut response), kept(Kind::Success, 300));
}

#[test]
fn ttls_are_not_raised_unless_told() {
    let mut response = answer(vec![a("example.org.", 1, 1)]);
    assert_eq!(admit(&mut response), kept(Kind::Success, 1));
    assert_eq!(FLOORED.admit(&mut response, RecordType::A), kept(Kind::Success, 60));
    assert_eq!(response.answers[0].ttl, 60);
}

#[test]
fn ttls_of_certified_answers_are_never_raised() {
    let mut response = certified(answer(vec![a("example.org.", 1, 1)]));
    assert_eq!(FLOORED.admit(&mut response, RecordType::A), kept(Kind::Success, 1));
    assert_eq!(response.answers[0].ttl, 1);
    let mut response = certified(denial(ResponseCode::NXDomain, soa("example.org.", 1, 1)));
    assert_eq!(FLOORED.admit(&mut response, RecordType::A), kept(Kind::Denial, 1));
}

#[test]
fn denial_is_kept_for_the_lesser_of_soa_ttl_and_minimum() {
    for (ttl, minimum, expected) in [(300, 60, 60), (60, 300, 60), (9000, 9000, 1800)] {
        let mut response = denial(ResponseCode::NXDomain, soa("example.org.", ttl, minimum));
        assert_eq!(admit(&mut response), kept(Kind::Denial, expected), "SOA {ttl} {minimum}");
        assert_eq!(u64::from(response.authorities[0].ttl), expected, "and says so to the client");
    }
    assert_eq!(
        admit(&mut denial(ResponseCode::NoError, soa("example.org.", 300, 60))),
        kept(Kind::Denial, 60)
    );
}

#[test]
fn alias_of_a_denial_bounds_it() {
    let mut response = denial(ResponseCode::NXDomain, soa("example.org.", 300, 300));
    response.answers.push(cname("www.example.org.", 20, "gone.example.org."));
    assert_eq!(admit(&mut response), kept(Kind::Denial, 20));
}

#[test]
fn denial_without_soa_is_not_kept() {
    for rcode in [ResponseCode::NXDomain, ResponseCode::NoError] {
        assert_eq!(admit(&mut Response::new(rcode, "test")), None, "{rcode}");
    }
    let alias = vec![cname("www.example.org.", 300, "elsewhere.example.org.")];
    assert_eq!(admit(&mut answer(alias)), None, "an alias that leads nowhere");
}

#[test]
fn alias_that_was_asked_for_is_an_answer() {
    let mut response = answer(vec![cname("www.example.org.", 300, "example.org.")]);
    assert_eq!(LIFETIMES.admit(&mut response, RecordType::CNAME), kept(Kind::Success, 300));
}

#[test]
fn failure_is_kept_as_configured_and_from_one_second_to_five_minutes() {
    let failed = |cache_ttl_s| Response { cache_ttl_s, ..Response::new(ResponseCode::ServFail, "test") };
    assert_eq!(admit(&mut failed(None)), kept(Kind::Failure, 5));
    assert_eq!(admit(&mut failed(Some(2))), kept(Kind::Failure, 2));
    assert_eq!(admit(&mut failed(Some(30))), kept(Kind::Failure, 30));
    assert_eq!(admit(&mut failed(Some(9000))), kept(Kind::Failure, 300));
    assert_eq!(admit(&mut failed(Some(0))), None, "unless it forbids it");
    let hasty = Lifetimes { failure_s: 0, ..LIFETIMES };
    assert_eq!(hasty.admit(&mut failed(None), RecordType::A), kept(Kind::Failure, 1));
}

#[test]
fn other_rcodes_are_kept_only_when_they_say_for_how_long() {
    for rcode in [ResponseCode::Refused, ResponseCode::FormErr, ResponseCode::NotImp] {
        assert_eq!(admit(&mut Response::new(rcode, "test")), None, "{rcode}");
    }
    let mut refused = Response { cache_ttl_s: Some(10), ..Response::new(ResponseCode::Refused, "test") };
    assert_eq!(admit(&mut refused), kept(Kind::Failure, 10));
    let mut extended = Response { cache_ttl_s: Some(10), ..Response::new(ResponseCode::BADVERS, "test") };
    assert_eq!(admit(&mut extended), None, "no room in the header");
}

#[test]
fn word_of_the_plugin_shortens_and_forbids() {
    let told = |cache_ttl_s| Response { cache_ttl_s, ..answer(vec![a("example.org.", 300, 1)]) };
    assert_eq!(admit(&mut told(Some(30))), kept(Kind::Success, 30));
    assert_eq!(admit(&mut told(Some(900))), kept(Kind::Success, 300), "never longer");
    assert_eq!(admit(&mut told(Some(0))), None);
}
