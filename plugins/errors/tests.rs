//! Tests of `errors`.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;

use super::handler::Errors;
use super::limit::{LINES_PER_SECOND_MAX, Limit, Verdict};
use crate::chain::Chain;
use crate::error::ServeError;
use crate::query::Query;
use crate::rehearsal::{Answered, Script, answer, glance, messages, plugins, query};
use crate::response::Response;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn keep(query: &Query, error: &ServeError, left_out: u64) {
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

#[tokio::test]
async fn answers_and_what_is_not_served_are_not_logged() {
    assert_eq!(lines(Ok(answer(vec![]))).await, [""; 0]);
    assert_eq!(lines(Err(ServeError::Refused("transfers are not served".into()))).await, [""; 0]);
    assert_eq!(lines(Err(ServeError::NoPlugin)).await, [""; 0]);
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
