//! Reads `adversary NAME [TIME]`, which only a program for tests knows: a replica that misbehaves on purpose.

use corefile::options::{self, Options};
use node::NodeConfig;

/// The ways to misbehave on purpose.
pub(super) const ADVERSARIES: [&str; 6] = ["equivocator", "flooder", "forger", "late", "replayer", "silent"];

/// How a replica misbehaves.
#[cfg(feature = "adversary")]
pub type Vice = node::adversary::Vice;

/// How a replica misbehaves: in no way that this program knows.
#[cfg(not(feature = "adversary"))]
pub type Vice = std::convert::Infallible;

/// Reads the option; `late` may say how late.
#[cfg(feature = "adversary")]
pub(super) fn adversary(options: &mut Options<'_>) -> Option<Vice> {
    use std::time::Duration;

    use node::adversary::LATE_MAX;

    options.property("adversary", |line| {
        let name = line.required(options::one_of(ADVERSARIES.map(|name| (name, name))))?;
        let vice = name.parse().expect("the names of adversaries are those of vices");
        Some(match vice {
            Vice::Late(by) => Vice::Late(
                line.optional(options::duration(Duration::from_millis(1)..=LATE_MAX)).unwrap_or(by),
            ),
            other => other,
        })
    })
}

/// Refuses the option: this is a program for use.
#[cfg(not(feature = "adversary"))]
pub(super) fn adversary(options: &mut Options<'_>) -> Option<Vice> {
    options.property("adversary", |line| {
        let word = line.peek().map_or_else(|| line.span().clone(), |word| word.span.clone());
        line.required(options::one_of(ADVERSARIES.map(|name| (name, ()))))?;
        let hint = "`cargo build --release --features adversary` makes one, for tests alone: it misbehaves on purpose";
        let message = "expected a program that was built with the feature `adversary`, this one was not";
        line.error_with_hint(&word, message, hint);
        None
    })
}

/// Tells the node how to misbehave.
#[cfg(feature = "adversary")]
pub(super) fn tell(config: &mut NodeConfig, vice: Option<Vice>) {
    config.adversary = vice;
}

/// There is nothing to tell: no vice can be had.
#[cfg(not(feature = "adversary"))]
pub(super) fn tell(_: &mut NodeConfig, _: Option<Vice>) {}
