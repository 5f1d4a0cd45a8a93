//! Reads `health`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use corefile::options::{Options, duration};
use corefile::{Diagnostic, Directive};

use crate::setup::{Block, Context, Service, once, service_address};

/// Asks for `GET /health`.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    _context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(directive) = once(directives, diagnostics) else {
        return;
    };
    let mut options = Options::new(directive, diagnostics);
    let address = options.optional(service_address()).unwrap_or(ADDRESS);
    let lameduck = options.value("lameduck", duration(Duration::ZERO..=LAMEDUCK_MAX)).unwrap_or_default();
    if options.finish() {
        block.services.push(Service::Health { address, lameduck });
    }
}

/// CoreDNS's port.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);
/// Longer, a stop is taken for a hang.
const LAMEDUCK_MAX: Duration = Duration::from_secs(300);
