//! What metrics say of background work: by block, now, and after a reload.

use std::path::Path;
use std::sync::Arc;

use super::{at, context_of, set_up_in};
use crate::chain::Chain;
use crate::ct_verify::CtVerify;
use crate::metrics::Metrics;
use crate::plugin::Plugin;
use crate::setup::Context;

/// The plugin in the block of a zone that looks at these servers, at work.
fn started(context: &Context, zone: &str, targets: &str) -> (Arc<CtVerify>, Chain) {
    let (messages, plugin) = set_up_in(context, zone, &format!("probe {targets}"), at(super::AUGUST));
    let plugin = Arc::new(plugin.unwrap_or_else(|| panic!("{messages:?}")));
    let chain = Chain::new(vec![plugin.clone() as Arc<dyn Plugin>]);
    chain.start().unwrap();
    (plugin, chain)
}

fn configuration(metrics: &Arc<Metrics>) -> Context {
    context_of(Path::new("."), metrics.clone())
}

/// The lines of this metric with a number that is not zero, without its name.
fn told(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = metrics.encode();
    let lines = text.lines().filter_map(|line| line.strip_prefix(name));
    lines.filter(|line| line.starts_with('{') && !line.ends_with(" 0")).map(ToOwned::to_owned).collect()
}

fn count(plugin: &CtVerify) {
    plugin.core.background().unwrap().watch().context().events.count("heads_verified");
}

#[tokio::test]
async fn each_block_has_its_own_numbers() {
    let metrics = Arc::default();
    let context = configuration(&metrics);
    let (_org, org_chain) = started(&context, "example.org.", "www.example.org");
    let (_net, net_chain) = started(&context, "example.net.", "www.example.net mail.example.net:25");
    let expected = [
        "{zones=\"example.net.\",outcome=\"undecided\"} 2",
        "{zones=\"example.org.\",outcome=\"undecided\"} 1",
    ];
    assert_eq!(told(&metrics, "quorate_ct_probe_targets"), expected);
    let text = metrics.encode();
    for line in [
        "quorate_ct_evidence{zones=\"example.org.\"} 0",
        "quorate_ct_logs{zones=\"example.org.\",condition=\"ok\"} 0",
    ] {
        assert!(text.contains(line), "{text}");
    }
    org_chain.stop();
    net_chain.stop();
}

#[tokio::test]
async fn blocks_for_the_same_zones_are_told_of_together() {
    let metrics = Arc::default();
    let context = configuration(&metrics);
    let (_one, one_chain) = started(&context, "example.org.", "www.example.org");
    let (_other, other_chain) = started(&context, "example.org.", "www.example.org mail.example.org:25");
    let expected = ["{zones=\"example.org.\",outcome=\"undecided\"} 3"];
    assert_eq!(told(&metrics, "quorate_ct_probe_targets"), expected);
    one_chain.stop();
    other_chain.stop();
}

#[tokio::test]
async fn reload_leaves_no_gauges_of_blocks_that_are_gone() {
    let metrics = Arc::default();
    let before = configuration(&metrics);
    let (_org, org_chain) = started(&before, "example.org.", "www.example.org");
    let (_net, net_chain) = started(&before, "example.net.", "www.example.net");
    let (_new, new_chain) = started(&configuration(&metrics), "example.org.", "a.example.org b.example.org");
    let expected = ["{zones=\"example.org.\",outcome=\"undecided\"} 2"];
    assert_eq!(told(&metrics, "quorate_ct_probe_targets"), expected, "while both are at work");
    org_chain.stop();
    net_chain.stop();
    assert_eq!(told(&metrics, "quorate_ct_probe_targets"), expected);
    new_chain.stop();
    assert!(!metrics.encode().contains("quorate_ct_probe_targets"), "nor a word of what it would be");
}

#[tokio::test]
async fn reload_that_comes_to_nothing_leaves_the_numbers_of_before() {
    let metrics = Arc::default();
    let (_old, old_chain) = started(&configuration(&metrics), "example.org.", "www.example.org");
    let (_new, new_chain) = started(&configuration(&metrics), "example.net.", "www.example.net");
    new_chain.stop();
    let expected = ["{zones=\"example.org.\",outcome=\"undecided\"} 1"];
    assert_eq!(told(&metrics, "quorate_ct_probe_targets"), expected);
    old_chain.stop();
}

#[tokio::test]
async fn counters_go_on_over_a_reload() {
    let metrics = Arc::default();
    let (old, old_chain) = started(&configuration(&metrics), "example.org.", "www.example.org");
    count(&old);
    count(&old);
    let (new, new_chain) = started(&configuration(&metrics), "example.org.", "www.example.org");
    count(&new);
    let expected = ["{zones=\"example.org.\",code=\"heads_verified\"} 3"];
    assert_eq!(told(&metrics, "quorate_ct_background_events_total"), expected);
    old_chain.stop();
    old_chain.stop();
    assert_eq!(told(&metrics, "quorate_ct_background_events_total"), expected);
    new_chain.stop();
    assert_eq!(told(&metrics, "quorate_ct_background_events_total"), expected);
}
