//! Values that are numbers, times, sizes and names.

use std::{fmt::Display, ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration};

use super::value::{Mismatch, Value};
use crate::suggest::suggest;

/// Any word that is not empty.
pub fn text() -> Value<String> {
    Value::new("a word", |text| if text.is_empty() { Err(Mismatch::new()) } else { Ok(text.to_owned()) })
}

/// The name of a file or folder, not looked at.
pub fn path() -> Value<PathBuf> {
    text().named("a path").map(PathBuf::from)
}

/// A decimal integer in `range`.
pub fn integer<N>(range: RangeInclusive<N>) -> Value<N>
where
    N: FromStr + PartialOrd + Display + Copy + 'static,
{
    let (least, most) = (*range.start(), *range.end());
    let read = move |text: &str| within(text.parse().ok(), &range);
    Value::new("a number", read).bounded(least, most, "")
}

/// A decimal number in `range`, such as `0.9`.
pub fn decimal(range: RangeInclusive<f64>) -> Value<f64> {
    let (least, most) = (*range.start(), *range.end());
    let read = move |text: &str| {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
        within(text.parse().ok().filter(|_| plain), &range)
    };
    Value::new("a number", read).bounded(least, most, "")
}

/// A whole percentage in `range`, with its sign: `10%`.
pub fn percentage(range: RangeInclusive<u8>) -> Value<u8> {
    let (least, most) = (*range.start(), *range.end());
    let read = move |text: &str| match text.strip_suffix('%') {
        Some(number) => within(number.parse().ok(), &range),
        None if text.parse::<u8>().is_ok() => Err(Mismatch::with_hint(format!("write `{text}%`"))),
        None => Err(Mismatch::new()),
    };
    Value::new("a percentage", read).bounded(least, most, "%")
}

/// `on` or `off`.
pub fn on_off() -> Value<bool> {
    let words = one_of([("on", true), ("off", false)]);
    Value::new(words.expected(), move |text| match text {
        "true" | "yes" | "1" => Err(Mismatch::with_hint("write `on`")),
        "false" | "no" | "0" => Err(Mismatch::with_hint("write `off`")),
        _ => words.read(text).map(|(value, _)| value),
    })
}

/// One of the words in `choices`, standing for the value beside it.
pub fn one_of<T: Clone + 'static>(choices: impl Into<Vec<(&'static str, T)>>) -> Value<T> {
    let choices = choices.into();
    let names: Vec<&'static str> = choices.iter().map(|(name, _)| *name).collect();
    let noun = match names.split_last() {
        Some((last, [])) => format!("`{last}`"),
        Some((last, rest)) => {
            let rest: Vec<String> = rest.iter().map(|name| format!("`{name}`")).collect();
            format!("{} or `{last}`", rest.join(", "))
        }
        None => "nothing".to_owned(),
    };
    Value::new(noun, move |text| match choices.iter().find(|(name, _)| *name == text) {
        Some((_, value)) => Ok(value.clone()),
        None => Err(Mismatch { hint: suggest(text, &names).map(|meant| format!("did you mean `{meant}`?")) }),
    })
}

/// A duration with units in `range`, as Go writes it: `500ms`, `10s`, `1h30m`, `0.5s`. `0` needs no unit.
pub fn duration(range: RangeInclusive<Duration>) -> Value<Duration> {
    let (least, most) = (shown(*range.start()), shown(*range.end()));
    let read = move |text: &str| match read_duration(text) {
        Some(read) => within(Some(read), &range),
        None if text.parse::<f64>().is_ok() => {
            Err(Mismatch::with_hint(format!("add a unit: `{text}s`, `{text}ms`, `{text}m`")))
        }
        None => Err(Mismatch::with_hint("a duration is written like `10s`, `500ms` or `1h30m`")),
    };
    Value::new("a duration", read).bounded(least, most, "")
}

/// A time in `range` of seconds: a number of seconds, or a duration with units.
pub fn duration_or_seconds(range: RangeInclusive<u64>) -> Value<Duration> {
    let (least, most) = (*range.start(), *range.end());
    let range = Duration::from_secs(least)..=Duration::from_secs(most);
    let read = move |text: &str| {
        let seconds = text.parse::<u64>().ok().map(Duration::from_secs);
        within(seconds.or_else(|| read_duration(text)), &range)
    };
    Value::new("a time", read).bounded(least, most, " seconds")
}

/// As [`duration_or_seconds`], whole seconds only: `300`, `5m`.
pub fn seconds(range: RangeInclusive<u32>) -> Value<u32> {
    let (least, most) = (*range.start(), *range.end());
    let read = move |text: &str| {
        let whole = read_duration(text).filter(|duration| duration.subsec_nanos() == 0);
        let units = whole.and_then(|duration| u32::try_from(duration.as_secs()).ok());
        within(text.parse().ok().or(units), &range)
    };
    Value::new("a time", read).bounded(least, most, " seconds")
}

/// A number of bytes in `range`: `512`, `64K`, `10MB`, `1GiB`; all units are powers of 1024.
pub fn size(range: RangeInclusive<u64>) -> Value<u64> {
    let (least, most) = (*range.start(), *range.end());
    Value::new("a size", move |text| match read_size(text) {
        Some(bytes) => within(Some(bytes), &range),
        None => Err(Mismatch::with_hint("a size is written like `512`, `64K` or `10M`")),
    })
    .bounded(least, most, " bytes")
}

fn within<N: PartialOrd>(number: Option<N>, range: &RangeInclusive<N>) -> Result<N, Mismatch> {
    number.filter(|number| range.contains(number)).ok_or_else(Mismatch::new)
}

/// Reads a duration in Go's form, or `None`. No signs; what is finer than a nanosecond is cut off.
fn read_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0_u128;
    while !rest.is_empty() {
        let number_length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_length);
        let unit_length = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_length);
        let unit = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        total = total.checked_add(nanoseconds(number, unit)?)?;
        rest = tail;
    }
    let nanoseconds = u64::try_from(total).ok().filter(|_| !text.is_empty())?;
    Some(Duration::from_nanos(nanoseconds))
}

/// Returns `number`, of digits with at most one dot, times `unit`.
fn nanoseconds(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits =
        |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok().map(u128::from) };
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = digits(fraction)?.checked_mul(unit)? / scale;
    digits(whole)?.checked_mul(unit)?.checked_add(part)
}

fn read_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Returns `duration` as an operator would write it.
fn shown(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let units = [
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    let fitting =
        units.into_iter().find(|(unit, _)| nanoseconds >= *unit && nanoseconds.is_multiple_of(*unit));
    match fitting {
        _ if nanoseconds == 0 => "0s".to_owned(),
        Some((unit, name)) => format!("{}{name}", nanoseconds / unit),
        None => format!("{nanoseconds}ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: 'static>(value: Value<T>, text: &str) -> Result<T, Option<String>> {
        value.read(text).map(|(value, _)| value).map_err(|mismatch| mismatch.hint)
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, expected) in [
            ("10s", Duration::from_secs(10)),
            ("1h30m", Duration::from_secs(5400)),
            ("500ms", Duration::from_millis(500)),
            ("0.5s", Duration::from_millis(500)),
            (".5s", Duration::from_millis(500)),
            ("1.s", Duration::from_secs(1)),
            ("2m0.25s", Duration::from_millis(120_250)),
            ("3us", Duration::from_micros(3)),
            ("3µs", Duration::from_micros(3)),
            ("7ns", Duration::from_nanos(7)),
            ("0", Duration::ZERO),
        ] {
            assert_eq!(read_duration(text), Some(expected), "{text}");
        }
        let wrong = [
            "",
            "5",
            "s",
            ".s",
            "1.2.3s",
            "5x",
            "1h30",
            "-5s",
            "5 s",
            "99999999999999999999h",
            "9999999999h",
        ];
        for text in wrong {
            assert_eq!(read_duration(text), None, "{text}");
        }
    }

    #[test]
    fn bounds_hold_at_both_ends_and_are_named() {
        let range = || duration(Duration::from_millis(100)..=Duration::from_secs(3600));
        assert_eq!(range().expected(), "a duration from 100ms to 1h");
        assert!(read(range(), "100ms").is_ok() && read(range(), "1h").is_ok());
        assert_eq!(read(range(), "99ms"), Err(None));
        assert_eq!(read(range(), "1h1ns"), Err(None));
        assert_eq!(read(range(), "5"), Err(Some("add a unit: `5s`, `5ms`, `5m`".to_owned())));

        assert_eq!(seconds(1..=86_400).named("a TTL").expected(), "a TTL from 1 to 86400 seconds");
        assert_eq!(read(seconds(1..=86_400), "0"), Err(None));
        assert_eq!(read(seconds(1..=86_400), "86400"), Ok(86_400));
        assert_eq!(read(seconds(1..=86_400), "5m"), Ok(300));
        assert_eq!(read(seconds(1..=86_400), "1500ms"), Err(None));
        assert_eq!(read(duration_or_seconds(1..=10), "1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(read(duration_or_seconds(1..=10), "11"), Err(None));
    }

    #[test]
    fn numbers_stay_within_their_type_and_range() {
        assert_eq!(read(integer(0..=u8::MAX), "255"), Ok(255));
        assert_eq!(read(integer(0..=u8::MAX), "256"), Err(None));
        assert_eq!(read(integer(-1..=5_i32), "-1"), Ok(-1));
        assert_eq!(read(decimal(0.0..=1.0), "0.9"), Ok(0.9));
        for text in ["1.1", "inf", "NaN", "1e-1", ""] {
            assert_eq!(read(decimal(0.0..=1.0), text), Err(None), "{text}");
        }
        assert_eq!(read(percentage(10..=90), "10%"), Ok(10));
        assert_eq!(read(percentage(10..=90), "91%"), Err(None));
        assert_eq!(read(percentage(10..=90), "50"), Err(Some("write `50%`".to_owned())));
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, expected) in
            [("512", 512), ("64K", 65_536), ("64KiB", 65_536), ("1mb", 1 << 20), ("2G", 2 << 30)]
        {
            assert_eq!(read_size(text), Some(expected), "{text}");
        }
        for text in ["", "K", "1.5M", "5T", "99999999999G", "-1"] {
            assert_eq!(read_size(text), None, "{text}");
        }
        assert_eq!(read(size(512..=4096), "511"), Err(None));
    }

    #[test]
    fn choices_are_listed_and_suggested() {
        let value = || one_of([("random", 1), ("round_robin", 2), ("sequential", 3)]);
        assert_eq!(value().expected(), "`random`, `round_robin` or `sequential`");
        assert_eq!(read(value(), "round_robin"), Ok(2));
        assert_eq!(read(value(), "roundrobin"), Err(Some("did you mean `round_robin`?".to_owned())));
        assert_eq!(read(on_off(), "on"), Ok(true));
        assert_eq!(read(on_off(), "yes"), Err(Some("write `on`".to_owned())));
        assert_eq!(read(on_off(), "of"), Err(Some("did you mean `off`?".to_owned())));
    }
}
