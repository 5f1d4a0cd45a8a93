//! Reads `ratelimit`.

use std::sync::Arc;
use std::time::Instant;

use corefile::options::{Options, integer};
use corefile::{Diagnostic, Directive};

use super::handler::{Config, Counters, RateLimit};
use crate::networks::{Networks, network};
use crate::setup::{Block, Context, once};

/// Puts `ratelimit` into the chain.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(directive) = once(directives, diagnostics) else { return };
    if let Some(config) = read(directive, block, diagnostics) {
        let counters = Counters::new(&context.metrics, &block.zone_list());
        block.plugins.push(Arc::new(RateLimit::new(config, counters, Instant::now())));
    }
}

fn read(directive: &Directive, block: &Block<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Config> {
    let mut options = Options::new(directive, diagnostics);
    let rate = options.required(integer(1..=RATE_MAX).named("replies a second"));
    let burst = options.value("burst", integer(1..=BURST_MAX));
    let slip = options.value("slip", integer(0..=SLIP_MAX)).unwrap_or(SLIP);
    let bits = options
        .property("prefix", |line| Some((line.required(integer(1..=32))?, line.required(integer(1..=128))?)));
    let (v4_bits, v6_bits) = bits.unwrap_or(BITS);
    let exempt = Networks::new(options.values("exempt", 1.., network()));
    let payload_max = block.settings.udp_payload_max.unwrap_or(PAYLOAD_MAX);
    options.finish().then_some(())?;
    let rate = rate?;
    Some(Config { rate, burst: burst.unwrap_or(rate), slip, v4_bits, v6_bits, exempt, payload_max })
}

/// Largest rate: beyond it, times in microseconds would be too coarse.
const RATE_MAX: u32 = 50_000;
/// Largest burst.
const BURST_MAX: u32 = 1_000_000;
/// Every second reply that is too many is sent truncated, as with BIND.
const SLIP: u32 = 2;
/// Largest distance of truncated replies.
const SLIP_MAX: u32 = 100;
/// What one holder has at least: a /24 of IPv4, a /56 of IPv6.
const BITS: (u8, u8) = (24, 56);
/// What the OPT record announces where no `bufsize` does.
const PAYLOAD_MAX: u16 = 1232;
