//! Tests of `errors`.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::handler::Errors;
use super::limit::{LINES_PER_SECOND_MAX, Limit, Verdict};
use crate::chain::Chain;
use crate::error::{ExtendedError, ServeError};
use crate::query::Query;
use crate::rehearsal::{Answered, Script, answer, glance, messages, plugins, query};
use crate::response::Response;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn keep(query: &Query, error: &str, left_out: u64) {
    LINES.with_borrow_mut(|lines| lines.push(format!("{} {} {error} {left_out}", query.name, query.qtype)));
}

async fn lines(result: Result<Response, ServeError>) -> Vec<String> {
    let chain = Chain::new(vec![Arc::new(Errors::new(keep)), Script::new([result.clone()])]);
    let served = chain.serve(&query("example.org.", RecordType::A)).await;
    assert_eq!(served.map(|_| ()), result.map(|_| ()), "handed on unchanged");
    LINES.take()
}

#[tokio::test]
async fn failure_is_logged_with_its_question() {
    let failed = Err(ServeError::Upstream("upstream `192.0.2.9:53`: no answer".into()));
    assert_eq!(lines(failed).await, ["example.org. A upstream `192.0.2.9:53`: no answer 0"]);
}

/// An answer with SERVFAIL and these extended errors.
fn servfail(errors: &[(u16, &str)]) -> Result<Response, ServeError> {
    let mut response = Response::new(ResponseCode::ServFail, "byzantine-consensus");
    response.extended_errors =
        errors.iter().map(|&(code, text)| ExtendedError { code, text: text.into() }).collect();
    Ok(response)
}

#[tokio::test]
async fn answer_with_servfail_is_logged_once_with_what_it_says() {
    for (errors, cause) in [
        (&[(0, "2 of 4 replicas agree"), (22, "")][..], ": 2 of 4 replicas agree; extended error 22"),
        (&[], ""),
        (&[(23, "two\nlines\x1b[2J")], ": two\u{fffd}lines\u{fffd}[2J"),
    ] {
        let line = format!("example.org. A SERVFAIL from byzantine-consensus{cause} 0");
        assert_eq!(lines(servfail(errors)).await, [line]);
    }
    let long = "x".repeat(60_000);
    assert!(lines(servfail(&[(0, &long)])).await[0].len() < 400, "no client or upstream fills the log");
}

#[tokio::test]
async fn answers_and_what_is_not_served_are_not_logged() {
    assert_eq!(lines(Ok(answer(vec![]))).await, [""; 0]);
    assert_eq!(lines(Err(ServeError::Refused("transfers are not served".into()))).await, [""; 0]);
    assert_eq!(lines(Err(ServeError::NoPlugin)).await, [""; 0]);
    assert_eq!(lines(Ok(Response::new(ResponseCode::NXDomain, "file"))).await, [""; 0]);
    assert_eq!(lines(Ok(Response::new(ResponseCode::Refused, "forward"))).await, [""; 0]);
}

#[test]
fn hits_at_a_glance_pass() {
    let chain = Chain::new(vec![Arc::new(Errors::new(keep)), Arc::new(Answered(0))]);
    assert!(glance(&chain, &query("example.org.", RecordType::A)).is_some());
}

#[test]
fn flood_of_errors_gives_so_many_lines_a_second_and_a_count() {
    let (mut limit, now) = (Limit::default(), Instant::now());
    for _ in 0..LINES_PER_SECOND_MAX {
        assert_eq!(limit.judge(now), Verdict::Log { left_out: 0 });
    }
    for _ in 0..7 {
        assert_eq!(limit.judge(now + Duration::from_millis(999)), Verdict::LeaveOut);
    }
    assert_eq!(limit.judge(now + Duration::from_secs(1)), Verdict::Log { left_out: 7 });
    assert_eq!(limit.judge(now + Duration::from_secs(1)), Verdict::Log { left_out: 0 });
}

#[test]
fn directive_takes_nothing() {
    assert_eq!((messages("errors"), plugins("errors")), (vec![], vec!["errors"]));
    assert_eq!(
        messages("errors {\n stacktrace\n}"),
        ["Corefile:3:2: error: errors: unknown property `stacktrace`"]
    );
}
