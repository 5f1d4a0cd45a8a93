//! Verdicts that were given already, by content: certificates, policy, inputs and hour. Not by name, so that one certificate under many
//! names is judged once; its name is looked at each time, which costs little.

use std::sync::Arc;

use moka::sync::Cache;
use rustls_pki_types::CertificateDer;
use transparency::chain::Purpose;
use transparency::digest::Sha256;
use transparency::revocation::RevocationMode;
use transparency::{Moment, Policy, Question, Verdict, judge};

use super::inputs::Materials;
use super::metrics::CtMetrics;

/// Judges, and remembers.
pub struct Verdicts {
    policy: Policy,
    revocation: RevocationMode,
    cache: Cache<Sha256, Arc<Verdict>>,
    metrics: CtMetrics,
}

impl Verdicts {
    /// Remembers at most `capacity` verdicts.
    pub fn new(policy: Policy, revocation: RevocationMode, capacity: u64, metrics: CtMetrics) -> Verdicts {
        Verdicts { policy, revocation, cache: Cache::new(capacity), metrics }
    }

    /// The verdict on a chain as that of a server with this name; remembered for the rest of the hour. The flag says whether it is new.
    pub fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        name: &str,
        materials: &Materials,
        now: Moment,
    ) -> (Verdict, bool) {
        let key = self.key(chain, materials, now);
        let known = self.cache.get(&key);
        let is_new = known.is_none();
        let verdict = known.unwrap_or_else(|| {
            let question =
                Question { chain, name: None, purpose: Purpose::Server, audited: &[], networks: None };
            let pinned = (&self.policy, self.revocation);
            let verdict = Arc::new(materials.pinned(pinned, |pinned| judge(&question, pinned, now)));
            if holds_for_the_hour(&verdict, now) {
                self.cache.insert(key, verdict.clone());
            }
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

/// Whether nothing that time brings within the hour changes the verdict: the certificate begins or ends, a timestamp or a list comes of age.
fn holds_for_the_hour(verdict: &Verdict, now: Moment) -> bool {
    let hour = now.seconds() / HOUR_SECONDS;
    let is_within = |moment: Moment| moment.seconds() / HOUR_SECONDS == hour;
    let ends = verdict.certificate.as_ref().map(|facts| [facts.not_before, facts.not_after]);
    let promised = verdict.ct.scts.iter().filter_map(|sct| sct.timestamp);
    !ends.into_iter().flatten().chain(promised).any(is_within)
}

const HOUR_SECONDS: u64 = 3600;
