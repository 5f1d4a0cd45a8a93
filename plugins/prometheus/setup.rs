//! Reads `prometheus`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use corefile::options::Options;
use corefile::{Diagnostic, Directive};

use super::counters::Counters;
use super::handler::Prometheus;
use crate::setup::{Block, Context, Service, once, service_address};

/// Asks for `GET /metrics`, and counts the block's queries.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(directive) = once(directives, diagnostics) else {
        return;
    };
    let mut options = Options::new(directive, diagnostics);
    let address = options.optional(service_address()).unwrap_or(ADDRESS);
    if options.finish() {
        let counters = Counters::new(&context.metrics, block.zone_list());
        block.plugins.push(Arc::new(Prometheus { counters }));
        block.services.push(Service::Metrics { address });
    }
}

/// CoreDNS's port.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9153);
