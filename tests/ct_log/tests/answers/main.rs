//! What a test log answers, read by crate `transparency` as by anybody who trusts no log; and by Debian's certspotter.

// A test that goes wrong here says where.
#![allow(clippy::unwrap_used)]

mod ask;
mod certspotter;
mod host;
mod issuing;
mod lies;
mod rfc6962;
mod static_ct;

use std::sync::LazyLock;

use ct_log::{Authority, Clock, Issued, Kind, TestLog};

/// A log, an authority whose certificates it holds, and the clock of both.
struct Scene {
    clock: Clock,
    log: TestLog,
    authority: Authority,
    issued: Vec<Issued>,
}

impl Scene {
    /// With so many entries, merged one by one.
    fn with(kind: Kind, entries: usize) -> Self {
        let clock = Clock::at("2026-08-01T00:00:00Z");
        let log = TestLog::start("alder", kind, &clock);
        let mut scene = Scene { authority: authority(&clock), clock, log, issued: Vec::new() };
        for _ in 0..entries {
            scene.issue();
            scene.log.merge();
        }
        scene
    }

    /// Issues one more certificate, a second later.
    fn issue(&mut self) {
        self.clock.advance(1);
        let name = format!("host-{}.example.org", self.issued.len());
        self.issued.push(self.authority.leaf(&name).issue(&[&self.log]));
    }
}

fn authority(clock: &Clock) -> Authority {
    Authority::new("Alder", clock)
}

/// An RSA key is costly to make and openssl may be missing: once for all tests.
static HAS_OPENSSL: LazyLock<bool> = LazyLock::new(|| ct_log::key::PrivateKey::rsa().is_some());
