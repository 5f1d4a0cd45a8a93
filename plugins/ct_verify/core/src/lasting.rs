//! Until when a verdict holds: certificates end, timestamps and lists come of age, and none of that is in the bytes that were judged.

use rustls_pki_types::CertificateDer;

use crate::chain::{NOT_BEFORE_TOLERANCE_SECONDS, helpers};
use crate::facts::Facts;
use crate::judge::{LOG_LIST_FUTURE_TOLERANCE_SECONDS, Pinned};
use crate::log_list::LOG_LIST_AGE_MAX_SECONDS;
use crate::moment::Moment;
use crate::revocation::THIS_UPDATE_TOLERANCE_SECONDS;
use crate::sct_check::SCT_FUTURE_TOLERANCE_SECONDS;
use crate::skeleton::Skeleton;
use crate::verdict::Verdict;

/// The first moment after `now` at which the verdict on this chain may be another one though nothing else has changed. `None` when there is none.
pub fn holds_until(
    chain: &[CertificateDer<'_>],
    verdict: &Verdict,
    pinned: &Pinned<'_>,
    now: Moment,
) -> Option<Moment> {
    let mut turns: Vec<Moment> = Vec::new();
    let helpers = helpers(chain, pinned.intermediates);
    for certificate in chain.first().into_iter().chain(&helpers) {
        if let Some(facts) = Skeleton::parse(certificate).ok().and_then(|read| Facts::read(&read).ok()) {
            let begins = before(facts.not_before, NOT_BEFORE_TOLERANCE_SECONDS);
            turns.extend([begins, facts.not_before, facts.not_after]);
        }
    }
    let promised = verdict.ct.scts.iter().filter_map(|sct| sct.timestamp);
    turns.extend(promised.flat_map(|time| [time, before(time, SCT_FUTURE_TOLERANCE_SECONDS)]));
    if let Some(list) = pinned.log_list {
        let made = list.identity().timestamp;
        turns.push(made.plus_seconds(LOG_LIST_AGE_MAX_SECONDS));
        turns.push(before(made, LOG_LIST_FUTURE_TOLERANCE_SECONDS));
    }
    for (this_update, next_update) in pinned.crls.dates() {
        turns.push(before(this_update, THIS_UPDATE_TOLERANCE_SECONDS));
        turns.extend(next_update);
    }
    // Some of these still hold at that moment, some no longer: one second later none does.
    let all = turns.into_iter().flat_map(|turn| [turn, turn.plus_seconds(1)]);
    all.filter(|turn| now < *turn).min()
}

fn before(moment: Moment, seconds: u64) -> Moment {
    Moment::from_milliseconds(moment.milliseconds().saturating_sub(seconds.saturating_mul(1000)))
}
