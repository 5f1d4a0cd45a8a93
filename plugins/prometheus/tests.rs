//! Tests of `prometheus`.

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::counters::Counters;
use super::handler::Prometheus;
use crate::chain::Chain;
use crate::error::ServeError;
use crate::metrics::Metrics;
use crate::plugin::{Glance, Plugin};
use crate::query::{Query, Transport};
use crate::rehearsal::{Answered, Script, glance, messages, plugins, query, set_up};
use crate::response::Response;
use crate::setup::Service;

/// A chain of `prometheus` and `plugin`, and what is counted.
fn counted(plugin: Arc<dyn Plugin>) -> (Chain, Metrics) {
    let metrics = Metrics::new();
    let counters = Counters::new(&metrics, "example.org.".into());
    (Chain::new(vec![Arc::new(Prometheus { counters }), plugin]), metrics)
}

/// Lines of the text format that are not zero.
fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = metrics.encode();
    let ours = text.lines().filter(|line| line.starts_with(name) && !line.ends_with(" 0"));
    let mut lines: Vec<_> = ours.map(|line| line.replace("zones=\"example.org.\",", "")).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn queries_are_counted_by_transport_and_type_and_answers_by_rcode_and_plugin() {
    let (chain, metrics) = counted(Script::new([
        Ok(Response::new(ResponseCode::NXDomain, "file")),
        Err(ServeError::NotReady("busy".into())),
    ]));
    let asked = query("example.org.", RecordType::AAAA);
    chain.serve(&asked).await.unwrap();
    let client = crate::query::Client { transport: Transport::Tls, ..asked.client };
    chain.serve(&Query { client, qtype: RecordType::Unknown(999), ..asked }).await.unwrap_err();
    assert_eq!(
        lines(&metrics, "quorate_dns_requests_total"),
        [
            "quorate_dns_requests_total{proto=\"tls\",type=\"other\"} 1",
            "quorate_dns_requests_total{proto=\"udp\",type=\"AAAA\"} 1",
        ]
    );
    assert_eq!(
        lines(&metrics, "quorate_dns_responses_total"),
        [
            "quorate_dns_responses_total{rcode=\"NXDOMAIN\",plugin=\"file\"} 1",
            "quorate_dns_responses_total{rcode=\"SERVFAIL\",plugin=\"\"} 1",
        ]
    );
}

#[tokio::test]
async fn hits_at_a_glance_are_counted_too() {
    let (chain, metrics) = counted(Arc::new(Answered(3)));
    assert!(glance(&chain, &query("example.org.", RecordType::A)).is_some());
    assert_eq!(
        lines(&metrics, "quorate_dns_requests_total"),
        ["quorate_dns_requests_total{proto=\"udp\",type=\"A\"} 1"]
    );
    assert_eq!(
        lines(&metrics, "quorate_dns_responses_total"),
        ["quorate_dns_responses_total{rcode=\"NXDOMAIN\",plugin=\"cache\"} 1"]
    );
    assert_eq!(lines(&metrics, "quorate_dns_request_duration_seconds_count").len(), 1);
}

#[tokio::test]
async fn queries_without_a_reply_are_counted_and_answers_to_them_are_not() {
    struct Dropping;
    #[async_trait::async_trait]
    impl Plugin for Dropping {
        fn name(&self) -> &'static str {
            "dropping"
        }
        fn glance(&self, _: &crate::view::QueryView<'_>, _: &mut Vec<u8>) -> Glance {
            Glance::Silent
        }
        async fn serve(&self, _: &Query, _: crate::chain::Next) -> Result<Response, ServeError> {
            Err(ServeError::Dropped)
        }
    }
    let (chain, metrics) = counted(Arc::new(Dropping));
    let asked = query("example.org.", RecordType::A);
    assert!(glance(&chain, &asked).is_none());
    chain.serve(&asked).await.unwrap_err();
    assert_eq!(
        lines(&metrics, "quorate_dns_requests_total"),
        ["quorate_dns_requests_total{proto=\"udp\",type=\"A\"} 2"]
    );
    assert_eq!(lines(&metrics, "quorate_dns_responses_total"), [""; 0]);
}

#[test]
fn plugin_itself_has_no_answer() {
    let (wire, asked) = (crate::rehearsal::wire(&query(".", RecordType::A)), query(".", RecordType::A));
    let view = crate::view::QueryView::parse(&wire, &asked.client, asked.received).unwrap();
    let prometheus = Prometheus { counters: Counters::new(&Metrics::new(), ".".into()) };
    assert_eq!(prometheus.glance(&view, &mut Vec::new()), Glance::Pass);
}

#[test]
fn durations_fall_into_the_bucket_that_bounds_them() {
    let metrics = Metrics::new();
    let durations = super::histogram::Durations::default();
    metrics.metric("d", "durations", || durations.clone());
    for micros in [0, 16, 17, 20_000_000] {
        durations.observe(Duration::from_micros(micros));
    }
    let text = metrics.encode();
    for line in [
        "d_sum 20.000033",
        "d_count 4",
        "d_bucket{le=\"0.000016\"} 2",
        "d_bucket{le=\"0.000032\"} 3",
        "d_bucket{le=\"8.388608\"} 3",
        "d_bucket{le=\"+Inf\"} 4",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
}

#[test]
fn address_is_read() {
    let asked = |text: &str| {
        let read = |service: &Service| match service {
            Service::Metrics { address } => Some(address.to_string()),
            _ => None,
        };
        set_up(text, |block| block.services.iter().filter_map(read).collect::<Vec<_>>()).1
    };
    assert_eq!(asked("prometheus"), ["127.0.0.1:9153"]);
    assert_eq!(asked("prometheus :9153"), ["0.0.0.0:9153"]);
    assert_eq!(plugins("prometheus"), ["prometheus"]);
    assert_eq!(messages("prometheus :9153 {\n runtime_metrics\n}").len(), 1);
}
