//! Reads `cache`.

use std::sync::Arc;
use std::time::Duration;

use corefile::options::{Options, Value, duration, integer, one_of, percentage, seconds, size};
use corefile::{Diagnostic, Directive};
use hickory_proto::rr::Name;

use super::entry::{Keeping, Prefetch};
use super::handler::{Cache, Config};
use super::lifetime::{Bounds, FAILURE_S_MAX, FAILURE_S_MIN, Lifetimes};
use super::metrics::Counters;
use super::store::Capacity;
use crate::setup::{Block, Context, once};
use crate::zones;
use crate::zones::Zones;

/// Puts a cache into the chain.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(directive) = once(directives, diagnostics) else {
        return;
    };
    if let Some((config, zones)) = read(directive, block, diagnostics) {
        let counters = Counters::new(&context.metrics, &zones);
        block.plugins.push(Arc::new(Cache::new(config, counters)));
    }
}

/// Reads the directive: the configuration, and its zones as they stand in metrics.
fn read(
    directive: &Directive,
    block: &Block<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<(Config, String)> {
    let mut options = Options::new(directive, diagnostics);
    let is_ttl = |word: &str| word.starts_with(|first: char| first.is_ascii_digit()) && !word.contains('.');
    let ttl_max_s = options.optional_if(is_ttl, ttl(1));
    let zones = match options.rest(0.., zones::zones()).concat() {
        named if named.is_empty() => block.zones.clone(),
        named => named,
    };
    let success = options.property("success", |line| Some(read_share(line, SUCCESS.capped(ttl_max_s))));
    let denial = options.property("denial", |line| Some(read_share(line, DENIAL.capped(ttl_max_s))));
    let success = success.unwrap_or(SUCCESS.capped(ttl_max_s));
    let denial = denial.unwrap_or(DENIAL.capped(ttl_max_s));
    let prefetch = options.property("prefetch", read_prefetch);
    let stale = options.property("serve_stale", |line| Some(read_stale(line)));
    let failure_s = options.property("servfail", read_servfail).unwrap_or(FAILURE_S);
    let disabled = read_disabled(&mut options, &zones);
    let bytes = options.value("capacity", size(BYTES_MIN..=BYTES_MAX)).unwrap_or(BYTES);
    let (stale_window, verify) = stale.unwrap_or((Duration::ZERO, false));
    let keep_ttl = options.flag("keepttl");
    let text = zones.iter().map(Name::to_string).collect::<Vec<_>>().join(",");
    let config = Config {
        zones: Zones::new(zones.clone()),
        lifetimes: Lifetimes { success: success.ttls, denial: denial.ttls, failure_s },
        capacity: Capacity { success: success.entries, denial: denial.entries, bytes },
        prefetch,
        keeping: Keeping { stale_window, keep_ttl },
        verify,
        success_disabled: disabled.0,
        denial_disabled: disabled.1,
        payload_max: block.settings.udp_payload_max.unwrap_or(PAYLOAD_MAX),
    };
    options.finish().then_some((config, text))
}

/// `success CAP [TTL] [MINTTL]`, and `denial` likewise.
#[derive(Clone, Copy)]
struct Share {
    entries: u64,
    ttls: Bounds,
}

impl Share {
    /// The share if the directive's own TTL is `ttl_max_s`: it stands for both kinds, as in CoreDNS.
    fn capped(mut self, ttl_max_s: Option<u32>) -> Share {
        self.ttls.ttl_max_s = ttl_max_s.unwrap_or(self.ttls.ttl_max_s);
        self
    }
}

fn read_share(line: &mut Options<'_>, default: Share) -> Share {
    let entries = line.required(integer(1..=ENTRIES_MAX)).unwrap_or(default.entries);
    let ttl_max_s = line.optional(ttl(1)).unwrap_or(default.ttls.ttl_max_s);
    let span = line.peek().map(|word| word.span.clone());
    let ttl_min_s = line.optional(ttl(0)).unwrap_or(default.ttls.ttl_min_s);
    if let Some(span) = span.filter(|_| ttl_min_s > ttl_max_s) {
        line.error(&span, format!("expected at most the largest TTL, {ttl_max_s} s, got {ttl_min_s} s"));
    }
    Share { entries, ttls: Bounds { ttl_max_s, ttl_min_s } }
}

/// `prefetch N [DUR [PCT%]]`
fn read_prefetch(line: &mut Options<'_>) -> Option<Prefetch> {
    let hits = line.required(integer(1..=u32::MAX))?;
    let gap = line.optional(duration(Duration::from_secs(1)..=DAY)).unwrap_or(PREFETCH_GAP);
    let percent = line.optional(percentage(10..=90)).unwrap_or(PREFETCH_PERCENT);
    Some(Prefetch { hits, gap, percent: percent.into() })
}

/// `serve_stale [DUR] [immediate|verify]`: the window, and whether to ask first.
fn read_stale(line: &mut Options<'_>) -> (Duration, bool) {
    let is_window = |word: &str| word.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let window = line.optional_if(is_window, duration(Duration::from_secs(1)..=STALE_WINDOW_MAX));
    let verify = line.optional(one_of([("immediate", false), ("verify", true)]));
    (window.unwrap_or(STALE_WINDOW), verify.unwrap_or(false))
}

/// `servfail DUR`
fn read_servfail(line: &mut Options<'_>) -> Option<u32> {
    let word = line.peek().cloned();
    let told = line.required(seconds(0..=FAILURE_S_MAX))?;
    if told < FAILURE_S_MIN {
        let span = word.as_ref().map_or(line.span(), |word| &word.span).clone();
        line.warning(
            &span,
            "failures are remembered for 1 s at least, got `0`",
            "RFC 9520 §3.2: write `servfail 1s`",
        );
    }
    Some(told.max(FAILURE_S_MIN))
}

/// `disable success|denial [ZONES]`: whose records, and whose denials are not kept.
fn read_disabled(options: &mut Options<'_>, all: &[Name]) -> (Option<Zones>, Option<Zones>) {
    let (mut success, mut denial): (Vec<Name>, Vec<Name>) = Default::default();
    options.properties(&["disable"], |line| {
        let is_success = line.required(one_of([("success", true), ("denial", false)]))?;
        let mut zones = line.rest(0.., zones::zones()).concat();
        if zones.is_empty() {
            zones = all.to_vec();
        }
        let disabled = if is_success { &mut success } else { &mut denial };
        disabled.extend(zones);
        Some(())
    });
    let some = |zones: Vec<Name>| (!zones.is_empty()).then(|| Zones::new(zones));
    (some(success), some(denial))
}

fn ttl(least: u32) -> Value<u32> {
    seconds(least..=TTL_MAX_S).named("a TTL")
}

/// What is kept of records unless told otherwise.
const SUCCESS: Share = Share { entries: 100_000, ttls: Bounds { ttl_max_s: 3600, ttl_min_s: 0 } };
/// What is kept of denials unless told otherwise.
const DENIAL: Share = Share { entries: 50_000, ttls: Bounds { ttl_max_s: 1800, ttl_min_s: 0 } };
/// Bytes of both together.
const BYTES: u64 = 128 << 20;
const BYTES_MIN: u64 = 1 << 20;
const BYTES_MAX: u64 = 1 << 40;
const ENTRIES_MAX: u64 = 1 << 30;
/// How long failures are remembered, as in CoreDNS.
const FAILURE_S: u32 = 5;
/// Largest TTL that can be configured: a week, RFC 8767 §4.
const TTL_MAX_S: u32 = 604_800;
const PREFETCH_GAP: Duration = Duration::from_secs(60);
const PREFETCH_PERCENT: u8 = 10;
/// How long answers are served after their time, as in CoreDNS.
const STALE_WINDOW: Duration = Duration::from_secs(3600);
/// RFC 8767 §5: from one to three days.
const STALE_WINDOW_MAX: Duration = Duration::from_secs(3 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);
/// Longest reply over UDP unless `bufsize` says otherwise. DNS flag day 2020
const PAYLOAD_MAX: u16 = 1232;
