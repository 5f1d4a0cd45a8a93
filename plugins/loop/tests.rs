//! Tests of `loop`, whose upstream is a plugin that hands what it gets to the same chain again.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use tokio::time::timeout;

use super::handler::Loop;
use crate::chain::{Chain, Next};
use crate::error::ServeError;
use crate::fatal::Fatal;
use crate::metrics::Metrics;
use crate::plugin::Plugin;
use crate::query::{Client, Query};
use crate::rehearsal::{Script, client, denial, messages, plugins, query, soa};
use crate::response::Response;

/// An upstream that forwards to the server that asks it.
#[derive(Default)]
struct Mirror {
    chain: OnceLock<Chain>,
}

#[async_trait]
impl Plugin for Mirror {
    fn name(&self) -> &'static str {
        "mirror"
    }

    async fn serve(&self, asked: &Query, _next: Next) -> Result<Response, ServeError> {
        let chain = self.chain.get().expect("the chain is there");
        chain.serve(&Query { client: Client { ..client() }, ..asked.clone() }).await
    }
}

/// A chain of `loop` and `upstream`, what it tells, and what it counts.
fn chain(upstream: Arc<dyn Plugin>) -> (Chain, Arc<Fatal>, Metrics) {
    let (fatal, metrics) = (Arc::new(Fatal::default()), Metrics::new());
    let zones = [Name::from_ascii("example.org.").unwrap()];
    let plugin = Loop::new(&zones, fatal.clone(), &metrics);
    (Chain::new(vec![Arc::new(plugin), upstream]), fatal, metrics)
}

/// Longer than all questions take.
const LATER: Duration = Duration::from_secs(60);

fn no_such_name() -> Result<Response, ServeError> {
    Ok(denial(ResponseCode::NXDomain, soa("example.org.", 300, 300)))
}

#[tokio::test(start_paused = true)]
async fn query_that_comes_back_is_told_and_nothing_is_forwarded_any_more() {
    let mirror = Arc::new(Mirror::default());
    let (chain, fatal, metrics) = chain(mirror.clone());
    let _ = mirror.chain.set(chain.clone());
    chain.start().unwrap();
    let reason = timeout(LATER, fatal.heard()).await.expect("it is told");
    assert!(
        reason.starts_with(
            "loop: a query of zone `example.org.` that was forwarded came back from 192.0.2.1 over udp; "
        ),
        "{reason}"
    );
    let refused = chain.serve(&query("www.example.org.", RecordType::A)).await.unwrap_err();
    assert_eq!(refused, ServeError::Internal("what this server forwards comes back to it".into()));
    assert_eq!(chain.plugins()[0].ready(), Err("what is forwarded comes back".into()));
    assert!(metrics.encode().contains("quorate_loops_total 1\n"));
    assert!(timeout(LATER, fatal.heard()).await.is_err(), "once");
}

#[tokio::test(start_paused = true)]
async fn without_a_loop_one_answer_settles_it() {
    let upstream = Script::new([no_such_name()]);
    let (chain, fatal, _) = chain(upstream.clone());
    chain.start().unwrap();
    assert!(timeout(LATER, fatal.heard()).await.is_err());
    assert_eq!((upstream.calls(), chain.plugins()[0].ready()), (1, Ok(())));
    let probe = upstream.last_query();
    assert_eq!(probe.qtype, RecordType::HINFO);
    assert!(probe.name.to_string().starts_with("loop-") && probe.name.to_string().ends_with(".example.org."));
    assert_eq!(probe.name.iter().next().unwrap().len(), 5 + 32, "128 bits of chance");
}

#[tokio::test(start_paused = true)]
async fn upstream_that_is_not_there_yet_is_asked_again() {
    let failed = || Err(ServeError::Upstream("upstream `192.0.2.9:53`: no answer".into()));
    let upstream = Script::new([failed(), failed(), no_such_name()]);
    let (chain, fatal, _) = chain(upstream.clone());
    chain.start().unwrap();
    assert!(timeout(LATER, fatal.heard()).await.is_err());
    assert_eq!(upstream.calls(), 3);
    let silent = Script::new([failed()]);
    let (chain, fatal, _) = self::chain(silent.clone());
    chain.start().unwrap();
    assert!(timeout(LATER, fatal.heard()).await.is_err());
    assert_eq!(silent.calls(), 5, "and not for ever");
}

#[tokio::test(start_paused = true)]
async fn strangers_cannot_make_it_see_a_loop() {
    let upstream = Script::new([no_such_name()]);
    let (chain, fatal, _) = chain(upstream.clone());
    chain.start().unwrap();
    // Now sightings count, and the first question is yet to be asked.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let forged = format!("loop-{:032x}.example.org.", 1);
    for _ in 0..10 {
        chain.serve(&query(&forged, RecordType::HINFO)).await.unwrap();
    }
    assert!(timeout(LATER, fatal.heard()).await.is_err(), "a name like ours is not ours");
    let probe = Script::new([no_such_name()]);
    let (chain, fatal, _) = self::chain(probe.clone());
    chain.start().unwrap();
    tokio::time::sleep(LATER).await;
    let ours = probe.last_query().name.to_string();
    chain.serve(&query(&ours, RecordType::HINFO)).await.expect("it is handed on");
    assert!(timeout(LATER, fatal.heard()).await.is_err(), "our own name means nothing later");
}

#[tokio::test(start_paused = true)]
async fn chain_that_forwards_nothing_is_settled_at_once() {
    let upstream = Script::new([Err(ServeError::NoPlugin)]);
    let (chain, fatal, _) = chain(upstream.clone());
    chain.start().unwrap();
    assert!(timeout(LATER, fatal.heard()).await.is_err());
    assert_eq!(upstream.calls(), 1);
}

#[test]
fn directive_takes_nothing() {
    assert_eq!((messages("loop"), plugins("loop")), (vec![], vec!["loop"]));
    assert_eq!(messages("loop 3"), ["Corefile:2:6: error: loop: expected the end of the line, got `3`"]);
    assert_eq!(
        messages("loop\nloop"),
        ["Corefile:3:1: error: loop: expected at most once in a server block"]
    );
}
