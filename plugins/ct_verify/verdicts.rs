//! Verdicts that were given already, by content: certificates, policy, inputs and hour. Not by name, so that one certificate under many
//! names is judged once; its name is looked at each time, which costs little.

use std::sync::Arc;

use moka::sync::Cache;
use rustls_pki_types::CertificateDer;
use transparency::chain::Purpose;
use transparency::digest::Sha256;
use transparency::lasting::holds_until;
use transparency::revocation::RevocationMode;
use transparency::{Moment, Policy, Question, Verdict, judge};

use super::inputs::Materials;
use super::metrics::CtMetrics;

/// A verdict, and from when on it may be another one.
type Known = (Arc<Verdict>, Option<Moment>);

/// Judges, and remembers.
pub struct Verdicts {
    policy: Policy,
    revocation: RevocationMode,
    cache: Cache<Sha256, Known>,
    metrics: CtMetrics,
}

impl Verdicts {
    /// Remembers at most `capacity` verdicts.
    pub fn new(policy: Policy, revocation: RevocationMode, capacity: u64, metrics: CtMetrics) -> Verdicts {
        Verdicts { policy, revocation, cache: Cache::new(capacity), metrics }
    }

    /// The verdict on a chain as that of a server with this name; remembered for the rest of the hour, or
    /// until time alone may change it. The flag says whether it is new.
    pub fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        name: &str,
        materials: &Materials,
        now: Moment,
    ) -> (Verdict, bool) {
        let key = self.key(chain, materials, now);
        let is_lasting = |known: &Known| known.1.is_none_or(|until| now < until);
        let known = self.cache.get(&key).filter(is_lasting).map(|(verdict, _)| verdict);
        let is_new = known.is_none();
        let verdict = known.unwrap_or_else(|| {
            let question =
                Question { chain, name: None, purpose: Purpose::Server, audited: &[], networks: None };
            let pinned = (&self.policy, self.revocation);
            let (verdict, until) = materials.pinned(pinned, |pinned| {
                let verdict = judge(&question, pinned, now);
                let until = holds_until(chain, &verdict, pinned, now);
                (Arc::new(verdict), until)
            });
            self.cache.insert(key, (verdict.clone(), until));
            verdict
        });
        let counter = if is_new { &self.metrics.cache_misses } else { &self.metrics.cache_hits };
        counter.inc();
        let named =
            chain.first().map_or_else(|| Verdict::clone(&verdict), |leaf| verdict.for_name(leaf, name));
        (named, is_new)
    }

    fn key(&self, chain: &[CertificateDer<'_>], materials: &Materials, now: Moment) -> Sha256 {
        let certificates: Vec<Sha256> = chain.iter().map(|one| Sha256::of(one)).collect();
        let inputs = materials.digests();
        let hour = (now.seconds() / HOUR_SECONDS).to_be_bytes();
        let pieces = certificates.iter().chain(&inputs).map(|digest| &digest.0[..]);
        Sha256::of_pieces(&pieces.chain([&hour[..]]).collect::<Vec<_>>())
    }
}

const HOUR_SECONDS: u64 = 3600;

#[cfg(test)]
mod tests {
    use super::super::tests::{MATERIALS, chain, plugin};
    use super::*;

    #[test]
    fn verdict_is_remembered_until_the_certificate_ends() {
        let plugin = plugin(&format!("{MATERIALS}intermediates chains/good.pem"));
        let (materials, good) = (plugin.core.own.materials(), chain("good"));
        let is_new = |time: &str| {
            let now = format!("2026-08-29T23:{time}Z").parse().unwrap();
            plugin.core.verdicts.judge(&good[..1], "good.example.org", &materials, now).1
        };
        assert_eq!(["30:00", "59:58", "59:59"].map(is_new), [true, false, true]);
    }

    #[test]
    fn verdict_holds_until_the_first_of_what_it_hangs_on_comes_of_age() {
        let lines = format!("{MATERIALS}intermediates chains/good.pem\n");
        let until = |lines: &str, now: &str| {
            let (plugin, good, now) = (plugin(lines), chain("good"), now.parse().unwrap());
            let materials = plugin.core.own.materials();
            let (verdict, _) = plugin.core.verdicts.judge(&good[..1], "good.example.org", &materials, now);
            let by = (&plugin.core.settings.policy, plugin.core.settings.revocation);
            let until = materials.pinned(by, |pinned| holds_until(&good[..1], &verdict, pinned, now));
            until.unwrap().to_string()
        };
        let (august, later) = ("2026-08-01T00:00:00Z", "2026-09-01T00:00:00Z");
        assert_eq!(until(&lines, august), "2026-08-29T23:59:59Z", "the certificate");
        assert_eq!(until(&format!("{lines}crl crl/current.crl"), august), "2026-08-20T00:00:00Z", "a list");
        assert_eq!(until(&lines, later), "2026-10-08T00:00:00Z", "the logs");
    }
}
