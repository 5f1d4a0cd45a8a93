//! What an operator sets. All other weights are constants beside the rule that uses them.

/// How the detector judges.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settings {
    /// Whether statistics are kept and judged. When not, proven faults alone are acted on.
    pub enabled: bool,
    /// The reputation of a replica that nothing is known of, 0 to 1; scores decay towards it.
    pub prior: f64,
    /// Below this reputation is an indicator, 0 to 1.
    pub threshold: f64,
    /// After so long half of what lies between a score and the prior is left, in milliseconds.
    pub half_life_ms: u64,
}

/// The reputation of a replica that nothing is known of.
pub const PRIOR: f64 = 0.5;

/// Below this reputation is an indicator, unless the operator says otherwise.
pub const THRESHOLD: f64 = 0.5;

/// Half a day: a night without queries does not make strangers of friends, and a bad day is forgotten within a week.
pub const HALF_LIFE_MS: u64 = 12 * 3_600_000;

impl Default for Settings {
    fn default() -> Settings {
        Settings { enabled: true, prior: PRIOR, threshold: THRESHOLD, half_life_ms: HALF_LIFE_MS }
    }
}

impl Settings {
    /// The same with numbers that can only be right: what is not between 0 and 1 becomes the nearest, what is no number the default.
    pub(crate) fn sound(self) -> Settings {
        let unit =
            |value: f64, otherwise: f64| if value.is_nan() { otherwise } else { value.clamp(0.0, 1.0) };
        Settings {
            prior: unit(self.prior, PRIOR),
            threshold: unit(self.threshold, THRESHOLD),
            half_life_ms: self.half_life_ms.max(1000),
            ..self
        }
    }
}
