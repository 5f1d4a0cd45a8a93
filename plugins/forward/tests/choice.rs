//! Which upstream is asked, how often, and when the next.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::{mpsc, watch};

use super::scripted::*;
use crate::chain::Chain;
use crate::error::ServeError;
use crate::forward::metrics::ForwardMetrics;
use crate::forward::{Forward, handler, policy, upstream};
use crate::metrics::Metrics;
use crate::testing_blocks::{ask, question, set_up};

#[tokio::test]
async fn silence_and_a_closed_port_lead_to_the_next_upstream() {
    let dead = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let silent = Upstream::start(silent(), silent()).await;
    let alive = Upstream::start(answers(1), answers(1)).await;
    let targets = format!("{dead} {} {}", silent.address, alive.address);
    let chain = chain(&targets, "policy sequential\n read_timeout 200ms");
    assert_eq!(addresses(&asked(&chain).await.expect("an answer")), ["www.example.org. 192.0.2.1"]);
    chain.stop();
}

#[tokio::test]
async fn the_last_upstreams_fault_is_told_when_none_answers() {
    let upstream = Upstream::start(silent(), silent()).await;
    let chain = forward(&[&upstream], "read_timeout 10ms");
    let error = asked(&chain).await.expect_err("silence");
    assert_eq!(error.to_string(), format!("upstream {}: no answer within 10 ms", upstream.address));
    chain.stop();
}

#[tokio::test]
async fn the_deadline_of_the_query_ends_all_attempts() {
    let upstream = Upstream::start(silent(), silent()).await;
    let chain = forward(&[&upstream], "");
    let started = Instant::now();
    soon(question("www.example.org.", RecordType::A), &chain, Duration::from_millis(30))
        .await
        .expect_err("silence");
    assert!(started.elapsed() < Duration::from_secs(30), "the read time-out alone is 30 s");
    chain.stop();
}

#[tokio::test]
async fn attempts_are_twice_the_upstreams() {
    let upstream =
        Upstream::start(script(|query, _| vec![with_rcode(query, ResponseCode::ServFail)]), silent()).await;
    let response =
        asked(&forward(&[&upstream, &upstream], "failover SERVFAIL")).await.expect("the last answer");
    assert_eq!((response.rcode, upstream.counts().0), (ResponseCode::ServFail, 2));
    let silent = Upstream::start(silent(), silent()).await;
    let chain = forward(
        &[&silent, &silent],
        "read_timeout 5ms\n max_fails 0\n health_check 1h domain probe.example.org",
    );
    asked(&chain).await.expect_err("silence");
    chain.stop();
    // Two upstreams are asked twice each, and each may have been probed once.
    assert!((4..=6).contains(&silent.counts().0), "{:?}", silent.counts());
}

#[tokio::test]
async fn failover_asks_the_next_upstream() {
    let refusing =
        Upstream::start(script(|query, _| vec![with_rcode(query, ResponseCode::Refused)]), silent()).await;
    let alive = Upstream::start(answers(1), silent()).await;
    let chain = forward(&[&refusing, &alive], "policy sequential\n failover SERVFAIL REFUSED");
    assert_eq!(addresses(&asked(&chain).await.expect("an answer")), ["www.example.org. 192.0.2.1"]);
    let chain = forward(&[&refusing, &alive], "policy sequential\n failover SERVFAIL");
    assert_eq!(asked(&chain).await.expect("an answer").rcode, ResponseCode::Refused);
}

#[tokio::test]
async fn next_asks_the_next_forward_and_no_other_plugin() {
    let missing =
        Upstream::start(script(|query, _| vec![with_rcode(query, ResponseCode::NXDomain)]), silent()).await;
    let alive = Upstream::start(answers(1), silent()).await;
    let text = |zone: &str| {
        let (missing, alive) = (missing.address, alive.address);
        format!(". {{\n forward . {missing} {{\n next NXDOMAIN\n }}\n forward {zone} {alive}\n}}\n")
    };
    let chain = crate::testing_blocks::chain(&text("."), Path::new("/"));
    assert_eq!(addresses(&asked(&chain).await.expect("an answer")), ["www.example.org. 192.0.2.1"]);
    let chain = crate::testing_blocks::chain(&text("example.net"), Path::new("/"));
    assert_eq!(asked(&chain).await.expect("the first answer").rcode, ResponseCode::NXDomain);
    let text = format!(". {{\n forward . {} {{\n next NXDOMAIN\n }}\n whoami\n}}\n", missing.address);
    let chain = crate::testing_blocks::chain(&text, Path::new("/"));
    assert_eq!(asked(&chain).await.expect("the first answer").rcode, ResponseCode::NXDomain);
}

#[tokio::test]
async fn excepted_and_foreign_names_go_on() {
    let upstream = Upstream::start(answers(1), silent()).await;
    let text =
        format!(". {{\n forward example.org {} {{\n except sub.example.org\n }}\n}}\n", upstream.address);
    let chain = crate::testing_blocks::chain(&text, Path::new("/"));
    asked(&chain).await.expect("an answer");
    for name in ["a.sub.example.org.", "example.net."] {
        assert_eq!(ask(&chain, name, RecordType::A).await.expect_err("nobody"), ServeError::NoPlugin);
    }
}

#[tokio::test]
async fn more_queries_than_max_concurrent_are_refused() {
    let (arrived, mut arrives) = mpsc::unbounded_channel();
    let udp = script(move |_, _| {
        arrived.send(()).expect("received");
        Vec::new()
    });
    let upstream = Upstream::start(udp, silent()).await;
    let chain = Arc::new(forward(&[&upstream], "max_concurrent 1"));
    let first = tokio::spawn({
        let chain = chain.clone();
        async move { asked(&chain).await }
    });
    arrives.recv().await.expect("the first query");
    let error = asked(&chain).await.expect_err("too many");
    assert_eq!(
        (error.rcode(), error.to_string()),
        (ResponseCode::Refused, "more than 1 queries wait for upstreams".to_owned())
    );
    first.abort();
}

#[tokio::test]
async fn an_upstream_that_fails_probes_is_left_out_until_it_lives_again() {
    let (alive, is_alive) = watch::channel(false);
    let (probed, mut probes) = mpsc::unbounded_channel();
    let udp = script(move |query, _| {
        if query.queries[0].query_type() == RecordType::NS {
            probed.send(query.clone()).expect("received");
        }
        if *is_alive.borrow() { vec![address(query, 1)] } else { vec![vec![0; 3]] }
    });
    let failing = Upstream::start(udp, silent()).await;
    let spare = Upstream::start(answers(2), silent()).await;
    let mut served = {
        let text = format!(
            ". {{\n forward . {} {} {{\n policy sequential\n read_timeout 200ms\n max_fails 1\n health_check 1ms no_rec domain probe.example.org\n }}\n}}\n",
            failing.address, spare.address
        );
        set_up(&text, Path::new("/")).expect("no error").0
    };
    let served = served.remove(0);
    let chain = &served.chain;
    let first = asked(chain).await.expect("an answer");
    assert_eq!(addresses(&first), ["www.example.org. 192.0.2.2"]);
    let probe = probes.recv().await.expect("a probe");
    assert_eq!(probe.queries[0].name().to_ascii().to_lowercase(), "probe.example.org.");
    assert!(!probe.metadata.recursion_desired, "no_rec");

    // The second probe begins after the first has failed: from then on it is down.
    probes.recv().await.expect("another probe");
    let before = failing.counts().0;
    asked(chain).await.expect("an answer");
    assert!(failing.counts().0 - before <= 1, "at most a probe, but no query");
    assert!(served.metrics.encode().contains("quorate_forward_healthcheck_failures_total"));

    alive.send(true).expect("received");
    let back = async {
        while addresses(&asked(chain).await.expect("an answer")) != ["www.example.org. 192.0.2.1"] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.expect("it is asked again");
    chain.stop();
}

#[tokio::test]
async fn when_all_are_down_one_is_asked_anyway_unless_failfast() {
    let udp = script(|query, _| {
        if query.queries[0].query_type() == RecordType::NS { Vec::new() } else { vec![address(query, 1)] }
    });
    for (failfast, is_answered) in [("", true), ("failfast_all_unhealthy_upstreams", false)] {
        let upstream = upstream::Upstream::new(
            Upstream::start(udp.clone(), silent()).await.address,
            upstream::Protocol::Plain,
            upstream::Manner {
                expire: Duration::from_secs(10),
                probe_interval: Duration::from_millis(1),
                probe_name: Name::root(),
                probe_recursive: true,
                probe_by_stream: true,
            },
            ForwardMetrics::new(&Metrics::new()),
        );
        let upstream = Arc::new(upstream);
        let settings = handler::Settings {
            from: vec![Name::root()],
            except: Vec::new(),
            force_tcp: false,
            prefer_udp: false,
            max_fails: 1,
            policy: policy::Policy::Sequential,
            max_concurrent: 0,
            read_timeout: Duration::from_secs(2),
            attempts_max: 2,
            failover: Vec::new(),
            next: Vec::new(),
            next_on_nodata: false,
            failfast: !failfast.is_empty(),
        };
        upstream.mark_down();
        let metrics = ForwardMetrics::new(&Metrics::new());
        let forward = Forward::new(settings, vec![upstream.clone()], metrics.clone());
        let chain = Chain::new(vec![Arc::new(forward)]);
        assert_eq!(asked(&chain).await.is_ok(), is_answered);
        assert_eq!(metrics.all_down.get(), 1);
    }
}
