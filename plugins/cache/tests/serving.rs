//! The plugin in a chain: what it answers, and what it asks.

use std::sync::Arc;
use std::time::Duration;

use certificate::{Judged, Remark};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsOption};
use hickory_proto::rr::{Name, RecordType};
use tokio::task::JoinSet;

use crate::cache::entry::{Keeping, Prefetch};
use crate::cache::handler::{Cache, Config};
use crate::cache::lifetime::{Bounds, Lifetimes};
use crate::cache::metrics::Counters;
use crate::cache::store::Capacity;
use crate::chain::Chain;
use crate::error::ServeError;
use crate::metrics::Metrics;
use crate::query::Query;
use crate::rehearsal::{Script, a, answer, certified, denial, glance, query, soa, with_edns};
use crate::response::Response;
use crate::zones::Zones;

/// A chain of a cache and `script`.
struct Bench {
    chain: Chain,
    counters: Counters,
    script: Arc<Script>,
}

fn config() -> Config {
    Config {
        zones: Zones::new(vec![Name::root()]),
        lifetimes: Lifetimes {
            success: Bounds { ttl_max_s: 3600, ttl_min_s: 0 },
            denial: Bounds { ttl_max_s: 1800, ttl_min_s: 0 },
            failure_s: 5,
        },
        capacity: Capacity { success: 1000, denial: 1000, bytes: 64 << 20 },
        prefetch: None,
        keeping: Keeping { stale_window: Duration::ZERO, keep_ttl: false },
        verify: false,
        success_disabled: None,
        denial_disabled: None,
        payload_max: 1232,
    }
}

fn stale(verify: bool) -> Config {
    Config {
        keeping: Keeping { stale_window: Duration::from_secs(3600), keep_ttl: false },
        verify,
        ..config()
    }
}

fn bench(config: Config, script: Arc<Script>) -> Bench {
    let counters = Counters::new(&Metrics::new(), ".");
    let cache = Arc::new(Cache::new(config, counters.clone()));
    Bench { chain: Chain::new(vec![cache, script.clone()]), counters, script }
}

impl Bench {
    async fn ask(&self, query: &Query) -> Result<Response, ServeError> {
        self.chain.serve(query).await
    }

    /// Asks for the A records of example.org now.
    async fn ask_a(&self) -> Result<Response, ServeError> {
        self.ask(&query("example.org.", RecordType::A)).await
    }

    fn glance_a(&self) -> Option<Message> {
        let reply = glance(&self.chain, &query("example.org.", RecordType::A))?;
        Some(Message::from_vec(&reply).unwrap())
    }
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

/// Lets tasks that were spawned go on as far as they can.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn one(ttl: u32, last: u8) -> Result<Response, ServeError> {
    Ok(answer(vec![a("example.org.", ttl, last)]))
}

fn failed() -> Result<Response, ServeError> {
    Err(ServeError::Upstream("upstream `192.0.2.9:53`: no answer".into()))
}

#[tokio::test(start_paused = true)]
async fn second_query_is_answered_at_a_glance_with_aged_ttl() {
    let bench = bench(config(), Script::new([one(300, 1)]));
    assert!(bench.glance_a().is_none(), "a miss takes the long way");
    assert_eq!(bench.ask_a().await.unwrap().answers[0].ttl, 300);
    pass(100).await;
    assert_eq!(bench.glance_a().unwrap().answers, [a("example.org.", 200, 1)]);
    let response = bench.ask_a().await.unwrap();
    assert_eq!((response.answers[0].ttl, response.origin), (200, "cache"));
    assert_eq!(bench.script.calls(), 1);
    assert_eq!((bench.counters.requests.get(), bench.counters.misses.get()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn expired_answer_is_looked_up_anew() {
    let bench = bench(config(), Script::new([one(300, 1), one(300, 2)]));
    bench.ask_a().await.unwrap();
    pass(300).await;
    assert!(bench.glance_a().is_none());
    assert_eq!(bench.ask_a().await.unwrap().answers[0].data, a("example.org.", 0, 2).data);
}

#[tokio::test(start_paused = true)]
async fn lookup_says_what_the_key_says_and_no_more() {
    let bench = bench(config(), Script::new([one(300, 1)]));
    let mut asked = with_edns(query("eXample.org.", RecordType::A), true);
    let subnet = EdnsOption::Subnet(ClientSubnet::new([192, 0, 2, 0].into(), 24, 0));
    Arc::make_mut(asked.edns.as_mut().unwrap()).options_mut().insert(subnet);
    bench.ask(&asked).await.unwrap();
    let sent = bench.script.last_query();
    assert_eq!(sent.name_as_asked.to_string(), "example.org.");
    assert!(sent.edns.unwrap().options().as_ref().is_empty(), "a subnet's answer is not everybody's");
    assert!(sent.authentic_data, "for those who will ask for AD");
}

#[tokio::test(start_paused = true)]
async fn query_with_options_takes_the_long_way_and_is_a_hit_there() {
    let bench = bench(config(), Script::new([one(300, 1)]));
    bench.ask_a().await.unwrap();
    let mut asked = with_edns(query("example.org.", RecordType::A), false);
    assert!(glance(&bench.chain, &asked).is_some());
    let cookie = EdnsOption::Unknown(10, vec![1; 8]);
    Arc::make_mut(asked.edns.as_mut().unwrap()).options_mut().insert(cookie);
    assert!(glance(&bench.chain, &asked).is_none());
    assert_eq!(bench.ask(&asked).await.unwrap().origin, "cache");
}

#[tokio::test(start_paused = true)]
async fn names_outside_the_zones_go_by() {
    let zones = Zones::new(vec!["example.net.".parse().unwrap()]);
    let bench = bench(Config { zones, ..config() }, Script::new([one(300, 1)]));
    bench.ask_a().await.unwrap();
    bench.ask_a().await.unwrap();
    assert_eq!((bench.script.calls(), bench.counters.requests.get()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn meta_types_go_by() {
    let denied = denial(ResponseCode::NoError, soa("example.org.", 300, 60));
    let bench = bench(config(), Script::new([Ok(denied)]));
    for _ in 0..2 {
        bench.ask(&query("example.org.", RecordType::ANY)).await.unwrap();
    }
    assert_eq!(bench.script.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn case_makes_no_difference_at_a_glance() {
    let bench = bench(config(), Script::new([one(300, 1)]));
    bench.ask_a().await.unwrap();
    assert!(glance(&bench.chain, &query("eXAMPLE.Org.", RecordType::A)).is_some());
}

#[tokio::test(start_paused = true)]
async fn denial_is_kept_for_its_minimum_and_counted_as_denial() {
    let bench =
        bench(config(), Script::new([Ok(denial(ResponseCode::NXDomain, soa("example.org.", 300, 60)))]));
    bench.ask_a().await.unwrap();
    pass(59).await;
    let message = bench.glance_a().unwrap();
    assert_eq!((message.metadata.response_code, message.authorities[0].ttl), (ResponseCode::NXDomain, 1));
    assert_eq!(bench.counters.hits(crate::cache::lifetime::Kind::Denial).get(), 1);
    pass(1).await;
    assert!(bench.glance_a().is_none());
}

#[tokio::test(start_paused = true)]
async fn failed_lookup_is_remembered_and_says_so() {
    let bench = bench(config(), Script::new([failed(), one(300, 1)]));
    assert_eq!(bench.ask_a().await.unwrap_err(), failed().unwrap_err());
    let response = bench.ask_a().await.unwrap();
    assert_eq!(response.rcode, ResponseCode::ServFail);
    assert_eq!(response.extended_errors.iter().map(|error| error.code).collect::<Vec<_>>(), [22, 13]);
    assert_eq!(bench.glance_a().unwrap().metadata.response_code, ResponseCode::ServFail);
    assert_eq!(bench.script.calls(), 1);
    pass(5).await;
    assert_eq!(bench.ask_a().await.unwrap().rcode, ResponseCode::NoError);
}

#[tokio::test(start_paused = true)]
async fn answer_from_the_cache_keeps_its_remark() {
    let remark = Remark::new(Judged::Invalid, 15, "ct-verify: CERT invalid: not_enough_logs");
    let flagged = one(300, 1).map(|response| Response { remark: Some(remark.clone()), ..response });
    let bench = bench(config(), Script::new([flagged]));
    for _ in 0..2 {
        let response = bench.ask_a().await.unwrap();
        assert_eq!(response.remark.as_ref(), Some(&remark));
    }
    assert_eq!(bench.script.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn refusals_and_overload_say_nothing_of_the_name_and_are_not_remembered() {
    for error in [ServeError::NoPlugin, ServeError::Refused("no".into()), ServeError::NotReady("busy".into())]
    {
        let bench = bench(config(), Script::new([Err(error)]));
        bench.ask_a().await.unwrap_err();
        bench.ask_a().await.unwrap_err();
        assert_eq!(bench.script.calls(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn kinds_can_be_disabled_by_zone() {
    let here = || Some(Zones::new(vec!["example.org.".parse().unwrap()]));
    let denied = || Ok(denial(ResponseCode::NXDomain, soa("example.org.", 300, 60)));
    for (config, script, calls) in [
        (Config { success_disabled: here(), ..config() }, Script::new([one(300, 1)]), 2),
        (Config { denial_disabled: here(), ..config() }, Script::new([one(300, 1)]), 1),
        (Config { denial_disabled: here(), ..config() }, Script::new([denied()]), 2),
    ] {
        let bench = bench(config, script);
        bench.ask_a().await.unwrap();
        bench.ask_a().await.unwrap();
        assert_eq!(bench.script.calls(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn equal_questions_share_one_lookup() {
    let bench = Arc::new(bench(config(), Script::gated([one(0, 1)])));
    let mut queries = JoinSet::new();
    for _ in 0..100 {
        let bench = bench.clone();
        queries.spawn(async move { bench.ask_a().await });
    }
    settle().await;
    assert_eq!(bench.script.calls(), 1);
    bench.script.gate.add_permits(1);
    let answers = queries.join_all().await;
    assert_eq!(answers.len(), 100);
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().answers == [a("example.org.", 0, 1)]));
    assert_eq!((bench.counters.misses.get(), bench.counters.coalesced.get()), (100, 99));
}

#[tokio::test(start_paused = true)]
async fn question_that_asks_for_recursion_does_not_wait_for_one_that_does_not() {
    let bench = Arc::new(bench(config(), Script::gated([one(300, 1)])));
    let mut queries = JoinSet::new();
    for recursion_desired in [false, true] {
        let bench = bench.clone();
        let query = Query { recursion_desired, ..query("example.org.", RecordType::A) };
        queries.spawn(async move { bench.ask(&query).await });
    }
    settle().await;
    assert_eq!(bench.script.calls(), 2);
    bench.script.gate.add_permits(2);
    queries.join_all().await;
}

#[tokio::test(start_paused = true)]
async fn client_that_goes_away_takes_no_answer_from_others() {
    let bench = Arc::new(bench(config(), Script::gated([one(300, 1)])));
    let ask = || {
        let bench = bench.clone();
        tokio::spawn(async move { bench.ask_a().await })
    };
    let first = ask();
    settle().await;
    let second = ask();
    settle().await;
    first.abort();
    bench.script.gate.add_permits(1);
    assert!(second.await.unwrap().is_ok());
    assert_eq!(bench.script.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_deadline() {
    let bench = Arc::new(bench(config(), Script::gated([one(300, 1)])));
    let begun = tokio::time::Instant::now();
    let early = {
        let bench = bench.clone();
        tokio::spawn(async move { bench.ask_a().await })
    };
    settle().await;
    pass(1).await;
    assert!(matches!(early.await.unwrap(), Err(ServeError::TimedOut(_))));
    assert!(begun.elapsed() < Duration::from_millis(2100), "{:?}", begun.elapsed());
    assert_eq!(
        bench.glance_a().unwrap().metadata.response_code,
        ResponseCode::ServFail,
        "and it is remembered"
    );
}

#[tokio::test(start_paused = true)]
async fn plugin_that_minds_the_deadline_is_heard() {
    struct Minds;
    #[async_trait::async_trait]
    impl crate::plugin::Plugin for Minds {
        fn name(&self) -> &'static str {
            "minds"
        }
        async fn serve(&self, query: &Query, _: crate::chain::Next) -> Result<Response, ServeError> {
            tokio::time::sleep_until(query.deadline.into()).await;
            Err(ServeError::NoAgreement("2 of 3".into()))
        }
    }
    let cache = Cache::new(config(), Counters::new(&Metrics::new(), "."));
    let chain = Chain::new(vec![Arc::new(cache), Arc::new(Minds)]);
    let answer = chain.serve(&query("example.org.", RecordType::A)).await;
    assert_eq!(answer.unwrap_err(), ServeError::NoAgreement("2 of 3".into()));
}

#[tokio::test(start_paused = true)]
async fn lookup_that_ends_in_a_panic_wakes_those_who_wait() {
    struct Panics;
    #[async_trait::async_trait]
    impl crate::plugin::Plugin for Panics {
        fn name(&self) -> &'static str {
            "panics"
        }
        async fn serve(&self, _: &Query, _: crate::chain::Next) -> Result<Response, ServeError> {
            panic!("on purpose")
        }
    }
    let cache = Cache::new(config(), Counters::new(&Metrics::new(), "."));
    let chain = Chain::new(vec![Arc::new(cache), Arc::new(Panics)]);
    let answer = chain.serve(&query("example.org.", RecordType::A)).await;
    assert!(matches!(answer, Err(ServeError::Internal(_))));
}

#[tokio::test(start_paused = true)]
async fn popular_answer_is_looked_up_before_its_time_is_over() {
    let prefetch = Some(Prefetch { hits: 2, gap: Duration::from_secs(60), percent: 20 });
    let bench = bench(Config { prefetch, ..config() }, Script::new([one(100, 1), one(100, 2)]));
    bench.ask_a().await.unwrap();
    pass(50).await;
    assert!(bench.glance_a().is_some());
    pass(40).await;
    assert!(bench.glance_a().is_none(), "the long way begins the lookup");
    assert_eq!(bench.ask_a().await.unwrap().answers[0].ttl, 10, "and answers from the cache meanwhile");
    settle().await;
    assert_eq!((bench.script.calls(), bench.counters.prefetch.get()), (2, 1));
    assert_eq!(bench.glance_a().unwrap().answers, [a("example.org.", 100, 2)]);
}

#[tokio::test(start_paused = true)]
async fn stale_answer_is_served_at_once_and_refreshed_behind() {
    let bench = bench(stale(false), Script::new([one(100, 1), one(100, 2)]));
    bench.ask_a().await.unwrap();
    pass(200).await;
    let response = bench.ask_a().await.unwrap();
    assert_eq!(response.answers, [a("example.org.", 30, 1)]);
    assert_eq!(response.extended_errors[0].code, 3);
    settle().await;
    assert_eq!(bench.glance_a().unwrap().answers, [a("example.org.", 100, 2)]);
    assert_eq!((bench.script.calls(), bench.counters.served_stale.get()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn answer_that_is_held_back_does_not_come_out_stale() {
    for verify in [false, true] {
        let remark = Some(Remark::new(Judged::Invalid, 15, "ct-verify: CERT invalid: revoked"));
        let withheld = Response { remark, ..Response::new(ResponseCode::ServFail, "test") };
        let bench = bench(stale(verify), Script::new([one(100, 1), Ok(withheld)]));
        bench.ask_a().await.unwrap();
        pass(200).await;
        let first = bench.ask_a().await.unwrap();
        assert_eq!(
            first.rcode == ResponseCode::ServFail,
            verify,
            "without `verify` it is found behind the query"
        );
        settle().await;
        assert_eq!(bench.glance_a().unwrap().metadata.response_code, ResponseCode::ServFail);
        pass(10).await;
        assert!(bench.glance_a().is_none(), "nothing is left to serve");
    }
}

#[tokio::test(start_paused = true)]
async fn stale_answer_outlives_failing_refreshes_one_every_half_minute() {
    let bench = bench(stale(false), Script::new([one(100, 1), failed()]));
    bench.ask_a().await.unwrap();
    pass(200).await;
    for _ in 0..10 {
        assert_eq!(bench.ask_a().await.unwrap().answers, [a("example.org.", 30, 1)]);
        settle().await;
    }
    assert_eq!(bench.script.calls(), 2);
    let message = Message::from_vec(
        &glance(&bench.chain, &with_edns(query("example.org.", RecordType::A), false))
            .expect("between refreshes"),
    )
    .unwrap();
    assert_eq!(message.answers[0].ttl, 30);
    let option = message.edns.unwrap().options().as_ref()[0].1.clone();
    assert_eq!(option, EdnsOption::Unknown(15, vec![0, 3]));
    pass(30).await;
    assert!(bench.glance_a().is_none(), "the long way begins the next refresh");
    bench.ask_a().await.unwrap();
    settle().await;
    assert_eq!(bench.script.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn stale_certified_answer_keeps_its_certificate() {
    let fresh = certified(answer(vec![a("example.org.", 100, 1)]));
    let bench = bench(stale(false), Script::new([Ok(fresh), failed()]));
    bench.ask_a().await.unwrap();
    pass(200).await;
    let response = bench.ask_a().await.unwrap();
    assert!(response.certificate.is_some() && response.extended_errors[0].code == 3);
}

#[tokio::test(start_paused = true)]
async fn verify_prefers_a_new_answer_to_a_stale_one() {
    let bench = bench(stale(true), Script::new([one(100, 1), one(100, 2)]));
    bench.ask_a().await.unwrap();
    pass(200).await;
    assert_eq!(bench.ask_a().await.unwrap().answers, [a("example.org.", 100, 2)]);
}

#[tokio::test(start_paused = true)]
async fn verify_serves_stale_when_the_lookup_fails_or_takes_too_long() {
    for second in [failed(), Ok(Response::new(ResponseCode::ServFail, "test"))] {
        let bench = bench(stale(true), Script::new([one(100, 1), second]));
        bench.ask_a().await.unwrap();
        pass(200).await;
        assert_eq!(bench.ask_a().await.unwrap().answers, [a("example.org.", 30, 1)]);
    }
    let bench = bench(stale(true), Script::gated([one(100, 1), one(100, 2)]));
    bench.script.gate.add_permits(1);
    bench.ask_a().await.unwrap();
    pass(200).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(bench.ask_a().await.unwrap().answers, [a("example.org.", 30, 1)]);
    assert!(begun.elapsed() <= Duration::from_millis(1801), "{:?}", begun.elapsed());
    bench.script.gate.add_permits(1);
    settle().await;
    assert_eq!(bench.glance_a().unwrap().answers, [a("example.org.", 100, 2)], "the late answer is kept");
}

#[tokio::test(start_paused = true)]
async fn dnssec_answers_are_kept_apart() {
    let bench = bench(config(), Script::new([one(300, 1), one(300, 2)]));
    bench.ask_a().await.unwrap();
    let dnssec = with_edns(query("example.org.", RecordType::A), true);
    assert!(glance(&bench.chain, &dnssec).is_none());
    assert_eq!(bench.ask(&dnssec).await.unwrap().answers[0].data, a("example.org.", 0, 2).data);
    assert!(bench.script.last_query().dnssec_ok());
}
