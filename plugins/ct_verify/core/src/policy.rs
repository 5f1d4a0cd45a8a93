//! Policies: how many timestamps of which logs a certificate needs.
//!
//! Decides which timestamps count and whether they suffice. Their signatures have been checked before (`sct_check.rs`);
//! what a failed policy does to an answer is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::digest::LogId;
use crate::log_list::{StateKind, is_current, is_denied};
use crate::reason::Reason;
use crate::sct_check::{SctStatus, SctVerdict};

/// A named policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Chrome's, as published on 2026-04-15: no RFC 6962 log is asked for.
    #[default]
    Chrome2026,
    /// Apple's.
    Apple,
    /// The operator's own.
    Custom(Requirements),
}

/// What a policy asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirements {
    /// Distinct logs for a certificate that does not live long.
    pub min_logs: u32,
    /// Distinct logs for one that does.
    pub min_logs_long: u32,
    /// A certificate lives long when its notAfter is later than its notBefore by more than this, in seconds.
    pub long_after_seconds: u64,
    /// Distinct operators, each as it was at the timestamp's time.
    pub min_operators: u32,
    /// Logs that are qualified, usable or read-only now.
    pub require_current: u32,
    /// Logs with the interface of RFC 6962.
    pub require_rfc6962: u32,
    /// At most so many logs of one operator count: for a certificate that does not live long, and for one that does.
    pub per_operator: Option<(u32, u32)>,
}

/// What came of applying a policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// Distinct logs that count.
    pub logs: BTreeSet<LogId>,
    /// Their operators.
    pub operators: BTreeSet<String>,
    /// What is missing; empty when the policy is satisfied.
    pub missing: Vec<Reason>,
}

/// The text names no policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// No such name.
    #[error("expected `chrome-2026`, `apple` or `custom:...`, got `{0}`")]
    Name(String),
    /// A setting of a custom policy that there is not.
    #[error(
        "expected `min_logs`, `min_logs_long`, `long_after`, `min_operators`, `require_current` or `require_rfc6962`, got `{0}`"
    )]
    Setting(String),
    /// A setting without a number.
    #[error("{setting}: expected a number{}, got `{value}`", if setting == "long_after" { " of days like `180d`" } else { "" })]
    Value {
        /// Which setting.
        setting: String,
        /// What stands there.
        value: String,
    },
}

impl Policy {
    /// What the policy asks for.
    pub fn requirements(&self) -> Requirements {
        match self {
            Policy::Chrome2026 => CHROME_2026,
            Policy::Apple => APPLE,
            Policy::Custom(requirements) => *requirements,
        }
    }

    /// Applies the policy: marks the timestamps that count and says what is missing.
    ///
    /// `lifetime_seconds` is notAfter less notBefore.
    pub fn count(&self, scts: &mut [SctVerdict], lifetime_seconds: u64) -> Counted {
        let asked = self.requirements();
        let long = asked.long_after_seconds < lifetime_seconds;
        let mut logs: BTreeMap<LogId, Admitted> = BTreeMap::new();
        for sct in scts {
            let Some(admitted) = Admitted::of(sct) else { continue };
            sct.counts = true;
            logs.entry(admitted.log).or_insert(admitted);
        }
        let needed = |least: u32, counted: usize| (counted < least as usize).then_some(least as usize);
        let operators: BTreeSet<String> = logs.values().map(|log| log.operator.clone()).collect();
        let current = logs.values().filter(|log| log.current).count();
        let rfc6962 = logs.values().filter(|log| log.rfc6962).count();
        let counted = limited(&logs, asked.per_operator.map(|(short, more)| if long { more } else { short }));
        let mut missing = Vec::new();
        if let Some(needed) = needed(if long { asked.min_logs_long } else { asked.min_logs }, counted) {
            missing.push(Reason::TooFewLogs { counted, needed });
        }
        if let Some(needed) = needed(asked.min_operators, operators.len()) {
            missing.push(Reason::TooFewOperators { counted: operators.len(), needed });
        }
        if let Some(needed) = needed(asked.require_current, current) {
            missing.push(Reason::TooFewCurrentLogs { counted: current, needed });
        }
        if let Some(needed) = needed(asked.require_rfc6962, rfc6962) {
            missing.push(Reason::TooFewRfc6962Logs { counted: rfc6962, needed });
        }
        Counted { logs: logs.into_keys().collect(), operators, missing }
    }
}

/// A log that counts through one of its timestamps.
struct Admitted {
    log: LogId,
    operator: String,
    current: bool,
    rfc6962: bool,
}

impl Admitted {
    /// A timestamp counts when it is valid and its log is one of today's, or was retired after it.
    fn of(sct: &SctVerdict) -> Option<Self> {
        let (log, state, timestamp) = (sct.log_id?, sct.state?, sct.timestamp?);
        let current = is_current(state.kind);
        let before_retirement = state.kind == StateKind::Retired && timestamp < state.since;
        let counts = sct.status == SctStatus::Valid && !is_denied(&log) && (current || before_retirement);
        let operator = sct.operator.clone()?;
        counts.then_some(Admitted { log, operator, current, rfc6962: sct.rfc6962 })
    }
}

/// How many logs count when no operator may have more than `most` of them.
fn limited(logs: &BTreeMap<LogId, Admitted>, most: Option<u32>) -> usize {
    let Some(most) = most else { return logs.len() };
    let mut of_operator: BTreeMap<&str, usize> = BTreeMap::new();
    logs.values().for_each(|log| *of_operator.entry(&log.operator).or_default() += 1);
    of_operator.values().map(|count| (*count).min(most as usize)).sum()
}

/// Timestamps of retired logs that no other log confirms: every other one is dated after the retirement.
///
/// Chromium does not count them; the published policy does. A leaked key of a retired log would make such timestamps.
pub fn suspected_backdating(scts: &[SctVerdict]) -> Vec<usize> {
    let valid = |sct: &&SctVerdict| sct.status == SctStatus::Valid;
    let of_today = |sct: &&SctVerdict| sct.state.is_some_and(|state| is_current(state.kind));
    let Some(first) = scts.iter().filter(valid).filter(of_today).filter_map(|sct| sct.timestamp).min() else {
        return Vec::new();
    };
    let retired = |sct: &SctVerdict| {
        sct.counts && sct.state.is_some_and(|state| state.kind == StateKind::Retired && state.since <= first)
    };
    scts.iter().enumerate().filter(|(_, sct)| retired(sct)).map(|(position, _)| position).collect()
}

impl FromStr for Policy {
    type Err = PolicyError;

    /// `chrome-2026`, `apple`, or `custom:` and settings like `min_logs=2,long_after=180d`; what is not said is as in `chrome-2026`.
    fn from_str(text: &str) -> Result<Self, PolicyError> {
        match text {
            "chrome-2026" => return Ok(Policy::Chrome2026),
            "apple" => return Ok(Policy::Apple),
            _ => {}
        }
        let settings = if text == "custom" { Some("") } else { text.strip_prefix("custom:") };
        let settings = settings.ok_or_else(|| PolicyError::Name(text.to_owned()))?;
        let mut requirements = CHROME_2026;
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            requirements.set(name, value)?;
        }
        Ok(Policy::Custom(requirements))
    }
}

impl Requirements {
    /// Changes one setting, named as in [`PolicyError::Setting`].
    ///
    /// # Errors
    /// [`PolicyError`] when there is no such setting, or the value is no number.
    pub fn set(&mut self, setting: &str, value: &str) -> Result<(), PolicyError> {
        let error = || PolicyError::Value { setting: setting.to_owned(), value: value.to_owned() };
        if setting == "long_after" {
            let days: u32 = value.strip_suffix('d').and_then(|days| days.parse().ok()).ok_or_else(error)?;
            self.long_after_seconds = u64::from(days) * DAY_SECONDS;
            return Ok(());
        }
        let field = match setting {
            "min_logs" => &mut self.min_logs,
            "min_logs_long" => &mut self.min_logs_long,
            "min_operators" => &mut self.min_operators,
            "require_current" => &mut self.require_current,
            "require_rfc6962" => &mut self.require_rfc6962,
            _ => return Err(PolicyError::Setting(setting.to_owned())),
        };
        *field = value.parse().map_err(|_| error())?;
        Ok(())
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Policy::Chrome2026 => formatter.write_str("chrome-2026"),
            Policy::Apple => formatter.write_str("apple"),
            Policy::Custom(asked) => write!(
                formatter,
                "custom:min_logs={},min_logs_long={},long_after={}d,min_operators={},require_current={},require_rfc6962={}",
                asked.min_logs,
                asked.min_logs_long,
                asked.long_after_seconds / DAY_SECONDS,
                asked.min_operators,
                asked.require_current,
                asked.require_rfc6962,
            ),
        }
    }
}

const DAY_SECONDS: u64 = 86_400;
/// Source: Chrome Certificate Transparency Policy, 2026-04-15.
const CHROME_2026: Requirements = Requirements {
    min_logs: 2,
    min_logs_long: 3,
    long_after_seconds: 180 * DAY_SECONDS,
    min_operators: 2,
    require_current: 1,
    require_rfc6962: 0,
    per_operator: None,
};
/// Source: Apple's Certificate Transparency policy, support.apple.com/103214.
const APPLE: Requirements =
    Requirements { min_operators: 0, require_rfc6962: 1, per_operator: Some((1, 2)), ..CHROME_2026 };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sha256;
    use crate::inclusion::Inclusion;
    use crate::log_list::State;
    use crate::moment::Moment;

    /// A valid timestamp of the log and operator with these names, made at second 1 000; the state began at second `since`.
    fn sct(log: &str, operator: &str, (kind, since): (StateKind, i64), rfc6962: bool) -> SctVerdict {
        SctVerdict {
            status: SctStatus::Valid,
            log_id: Some(LogId(Sha256::of(log.as_bytes()))),
            log: None,
            operator: Some(operator.to_owned()),
            log_state: None,
            rfc6962,
            timestamp: Some(Moment::from_seconds(1_000)),
            leaf_index: None,
            leaf_hash: None,
            counts: false,
            inclusion: Inclusion::NotChecked,
            state: Some(State { kind, since: Moment::from_seconds(since) }),
        }
    }

    fn missing(policy: Policy, scts: &[SctVerdict]) -> Vec<&'static str> {
        let counted = policy.count(&mut scts.to_vec(), 90 * DAY_SECONDS);
        counted.missing.iter().map(Reason::code).collect()
    }

    #[test]
    fn retired_logs_alone_do_not_suffice() {
        let retired = (StateKind::Retired, 2_000);
        let scts = [sct("a", "Alder", retired, true), sct("b", "Birch", retired, true)];
        assert_eq!(missing(Policy::Chrome2026, &scts), ["too_few_current_logs"]);
    }

    #[test]
    fn apple_asks_for_a_log_with_the_old_interface_and_limits_each_operator() {
        let usable = (StateKind::Usable, 0);
        let tiled = [sct("a", "Alder", usable, false), sct("b", "Birch", usable, false)];
        assert_eq!(missing(Policy::Chrome2026, &tiled), [""; 0]);
        assert_eq!(missing(Policy::Apple, &tiled), ["too_few_rfc6962_logs"]);
        let one_operator = [sct("a", "Alder", usable, true), sct("b", "Alder", usable, true)];
        assert_eq!(missing(Policy::Apple, &one_operator), ["too_few_logs"]);
    }

    #[test]
    fn pending_rejected_and_unstated_logs_count_for_nothing() {
        let usable = sct("a", "Alder", (StateKind::Usable, 0), true);
        for kind in [StateKind::Pending, StateKind::Rejected] {
            let scts = [usable.clone(), sct("b", "Birch", (kind, 0), true)];
            assert_eq!(missing(Policy::Chrome2026, &scts), ["too_few_logs", "too_few_operators"], "{kind:?}");
        }
        let unstated = SctVerdict { state: None, ..sct("b", "Birch", (StateKind::Usable, 0), true) };
        assert_eq!(missing(Policy::Chrome2026, &[usable, unstated]), ["too_few_logs", "too_few_operators"]);
    }

    #[test]
    fn a_retired_log_that_nobody_confirms_is_suspected() {
        let late = Some(Moment::from_seconds(3_000));
        let retired = sct("a", "Alder", (StateKind::Retired, 2_000), true);
        let current = SctVerdict { timestamp: late, ..sct("b", "Birch", (StateKind::Usable, 0), true) };
        let mut scts = [retired.clone(), current.clone()];
        Policy::Chrome2026.count(&mut scts, 0);
        assert_eq!(suspected_backdating(&scts), [0]);
        let mut confirmed = [retired, SctVerdict { timestamp: Some(Moment::from_seconds(1_500)), ..current }];
        Policy::Chrome2026.count(&mut confirmed, 0);
        assert!(suspected_backdating(&confirmed).is_empty());
    }

    #[test]
    fn every_policy_reads_what_it_writes() {
        for text in ["chrome-2026", "apple", "custom", "custom:min_logs=4,long_after=90d,require_rfc6962=1"] {
            let policy: Policy = text.parse().unwrap();
            assert_eq!(policy.to_string().parse::<Policy>().unwrap(), policy, "{text}");
        }
    }

    #[test]
    fn unknown_names_settings_and_values_are_refused() {
        assert!(matches!("chrome".parse::<Policy>(), Err(PolicyError::Name(_))));
        assert!(matches!("custom:logs=2".parse::<Policy>(), Err(PolicyError::Setting(_))));
        assert!(matches!("custom:min_logs=-2".parse::<Policy>(), Err(PolicyError::Value { .. })));
        assert!(matches!("custom:long_after=180".parse::<Policy>(), Err(PolicyError::Value { .. })));
    }
}
