//! Reads `ready`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use corefile::options::{Options, one_of};
use corefile::{Diagnostic, Directive};

use crate::setup::{Block, Context, Service, once, service_address};

/// Asks for `GET /ready`.
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
    options.property("monitor", |line| {
        let span = line.span().clone();
        if line.required(one_of([("continuously", false), ("until-ready", true)]))? {
            line.warning(&span, "has no effect", "plugins are asked each time");
        }
        Some(())
    });
    if options.finish() {
        block.services.push(Service::Ready { address });
    }
}

/// CoreDNS's port.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8181);
