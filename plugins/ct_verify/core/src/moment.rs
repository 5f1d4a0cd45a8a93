//! Moments: milliseconds since 1970, as Certificate Transparency counts them.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use thiserror::Error;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted. Never read from a clock in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

/// The text is not a time as in RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected a time like `2026-08-01T00:00:00Z`, got `{0}`")]
pub struct MomentError(String);

impl Moment {
    /// The moment so many milliseconds after 1970 began.
    pub const fn from_milliseconds(milliseconds: u64) -> Self {
        Moment(milliseconds)
    }

    /// The moment so many seconds after 1970 began; earlier than 1970 counts as its begin.
    pub const fn from_seconds(seconds: i64) -> Self {
        if seconds < 0 { Moment(0) } else { Moment((seconds as u64).saturating_mul(1000)) }
    }

    /// Milliseconds since 1970 began.
    pub const fn milliseconds(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970 began.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This moment and so many seconds.
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Moment(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Whole seconds from `earlier` to this moment, none if it is not earlier.
    pub const fn seconds_since(self, earlier: Moment) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        let error = || MomentError(text.chars().take(TEXT_SHOWN_MAX).collect());
        let time = humantime::parse_rfc3339(text).map_err(|_| error())?;
        let since = time.duration_since(UNIX_EPOCH).map_err(|_| error())?;
        u64::try_from(since.as_millis()).map(Moment).map_err(|_| error())
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > LAST_WRITABLE {
            return write!(formatter, "{} ms after 1970", self.0);
        }
        let time = UNIX_EPOCH + Duration::from_millis(self.0);
        if self.0.is_multiple_of(1000) {
            write!(formatter, "{}", humantime::format_rfc3339_seconds(time))
        } else {
            write!(formatter, "{}", humantime::format_rfc3339_millis(time))
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// 9999-12-31T23:59:59Z: what comes later has no four-digit year.
const LAST_WRITABLE: u64 = 253_402_300_799_000;
/// How much of a wrong text an error repeats.
const TEXT_SHOWN_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2026-08-01T00:00:00Z",
            "2016-11-30T13:24:18.330Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(text.parse::<Moment>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_last_moment_there_is_can_be_shown() {
        assert_eq!(Moment(u64::MAX).to_string(), "18446744073709551615 ms after 1970");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
