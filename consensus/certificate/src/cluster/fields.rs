//! Reads single values of the cluster file and collects what is wrong with them, each with its place.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ClusterError, ClusterErrorKind};
use crate::PublicKey;

/// A table and where it starts, for keys that are missing from it.
#[derive(Clone, Copy)]
pub(super) struct Section<'t, 'i> {
    pub table: &'t DeTable<'i>,
    pub offset: usize,
}

/// A value and where it stands, in bytes from the start of the file.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub value: T,
    pub offset: usize,
}

/// The text that is being read and the errors so far.
pub(super) struct Fields<'f> {
    text: &'f str,
    file: &'f str,
    errors: Vec<ClusterError>,
}

impl<'f> Fields<'f> {
    pub fn new(text: &'f str, file: &'f str) -> Fields<'f> {
        Fields { text, file, errors: Vec::new() }
    }

    /// Notes an error at a byte offset.
    pub fn refuse(&mut self, offset: usize, kind: ClusterErrorKind) {
        let (line, column, line_text) = self.place(offset);
        let file = self.file.to_owned();
        self.errors.push(ClusterError { file, line, column, line_text, kind });
    }

    /// The line of a byte offset.
    pub fn line(&self, offset: usize) -> usize {
        self.place(offset).0
    }

    /// The errors in the order of the file.
    pub fn into_errors(mut self) -> Vec<ClusterError> {
        self.errors.sort_by_key(|error| (error.line, error.column));
        self.errors
    }

    fn place(&self, offset: usize) -> (usize, usize, String) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[start..].chars().count() + 1;
        (line, column, self.text[start..].lines().next().unwrap_or_default().to_owned())
    }

    /// Refuses keys outside `known`, and says which one may have been meant.
    pub fn refuse_unknown(&mut self, section: Section<'_, '_>, known: &[&str]) {
        for key in section.table.keys() {
            let text = key.get_ref().as_ref();
            if !known.contains(&text) {
                let suggestion = most_like(text, known);
                self.refuse(
                    key.span().start,
                    ClusterErrorKind::UnknownKey { key: text.to_owned(), suggestion },
                );
            }
        }
    }

    /// The value of `key`, or an error that it is missing.
    pub fn required<'t, 'i>(
        &mut self,
        section: Section<'t, 'i>,
        key: &'static str,
    ) -> Option<&'t Spanned<DeValue<'i>>> {
        let value = section.table.get(key);
        if value.is_none() {
            self.refuse(section.offset, ClusterErrorKind::Missing { key });
        }
        value
    }

    /// A text that must be there.
    pub fn string(&mut self, section: Section<'_, '_>, key: &'static str) -> Option<Located<String>> {
        let value = self.required(section, key)?;
        self.as_string(key, value, "a string")
    }

    /// `value` as a text; `key` is what the error calls it.
    pub fn as_string(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        expected: &'static str,
    ) -> Option<Located<String>> {
        match value.get_ref() {
            DeValue::String(text) => Some(Located { value: text.to_string(), offset: value.span().start }),
            _ => {
                self.refuse_type(key, value, expected);
                None
            }
        }
    }

    /// Notes that a value has a wrong type.
    pub fn refuse_type(&mut self, key: &str, value: &Spanned<DeValue<'_>>, expected: &'static str) {
        let found = value.get_ref().type_str();
        self.refuse(value.span().start, ClusterErrorKind::WrongType { key: key.to_owned(), expected, found });
    }

    /// A whole number that must be there.
    pub fn required_number(
        &mut self,
        section: Section<'_, '_>,
        key: &'static str,
        least: u64,
        most: u64,
    ) -> Option<Located<u64>> {
        let value = self.required(section, key)?;
        let DeValue::Integer(integer) = value.get_ref() else {
            self.refuse_type(key, value, "a whole number");
            return None;
        };
        let offset = value.span().start;
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if (least..=most).contains(&number) => Some(Located { value: number, offset }),
            _ => {
                let found = integer.to_string();
                self.refuse(offset, ClusterErrorKind::Range { key, least, most, found });
                None
            }
        }
    }

    /// A whole number, or `default` when it is not there (or wrong, which is noted).
    pub fn number(
        &mut self,
        section: Section<'_, '_>,
        key: &'static str,
        least: u64,
        most: u64,
        default: u64,
    ) -> u64 {
        if !section.table.contains_key(key) {
            return default;
        }
        self.required_number(section, key, least, most).map_or(default, |number| number.value)
    }

    /// A duration in milliseconds, or `default` when it is not there (or wrong, which is noted). `unit` must divide it.
    pub fn duration(&mut self, section: Section<'_, '_>, key: &'static str, bounds: &Bounds) -> u64 {
        if !section.table.contains_key(key) {
            return bounds.default;
        }
        let Some(text) = self.string(section, key) else { return bounds.default };
        match duration_ms(&text.value) {
            Some(ms) if (bounds.least..=bounds.most).contains(&ms) && ms % bounds.unit == 0 => ms,
            _ => {
                let (least, most) = (duration_text(bounds.least), duration_text(bounds.most));
                self.refuse(text.offset, ClusterErrorKind::Duration { key, least, most, found: text.value });
                bounds.default
            }
        }
    }

    /// A name for people that must be there.
    pub fn name(&mut self, section: Section<'_, '_>, key: &'static str) -> Option<Located<String>> {
        let name = self.string(section, key)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if (1..=63).contains(&name.value.len()) && name.value.bytes().all(allowed) {
            return Some(name);
        }
        self.refuse(name.offset, ClusterErrorKind::Name { key, found: name.value });
        None
    }

    /// A name for people, when it is there.
    pub fn optional_name(&mut self, section: Section<'_, '_>, key: &'static str) -> Option<Located<String>> {
        if section.table.contains_key(key) { self.name(section, key) } else { None }
    }

    /// A public key that must be there.
    pub fn public_key(&mut self, section: Section<'_, '_>, key: &'static str) -> Option<Located<PublicKey>> {
        let text = self.string(section, key)?;
        match PublicKey::parse(&text.value) {
            Ok(value) => Some(Located { value, offset: text.offset }),
            Err(source) => {
                self.refuse(text.offset, ClusterErrorKind::Key { key, source });
                None
            }
        }
    }
}

/// What a duration may be, in milliseconds.
pub(super) struct Bounds {
    pub least: u64,
    pub most: u64,
    pub unit: u64,
    pub default: u64,
}

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads one whole number and one unit: `500ms`, `10s`, `10m`, `1h`, `7d`.
fn duration_ms(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes a duration in the greatest unit that divides it.
pub(super) fn duration_text(ms: u64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let fits = UNITS.iter().rev().find(|(_, factor)| ms.is_multiple_of(*factor));
    let (unit, factor) = fits.expect("one millisecond divides everything");
    format!("{}{unit}", ms / factor)
}

/// The word of `known` that differs least from `word`, when it differs little.
pub(super) fn most_like(word: &str, known: &[&str]) -> Option<String> {
    let distances = known.iter().map(|candidate| (distance(word, candidate), *candidate));
    let (least, candidate) = distances.min()?;
    (least <= 1 + candidate.len() / 4).then(|| candidate.to_owned())
}

/// The Levenshtein distance: how many characters must be put in, taken out or changed.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (i, left) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, right) in right.chars().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_one_number_and_one_unit() {
        for (text, ms) in [
            ("0s", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("10m", 600_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(duration_ms(text), Some(ms));
            assert_eq!(duration_text(ms), text);
        }
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "1h30m",
            "10 s",
            "10S",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(duration_ms(text), None, "{text}");
        }
    }

    #[test]
    fn misspelt_words_have_a_suggestion_and_foreign_ones_none() {
        let known = ["batch-entries", "batch-bytes", "pipeline", "id"];
        assert_eq!(most_like("batch_entries", &known).as_deref(), Some("batch-entries"));
        assert_eq!(most_like("pipline", &known).as_deref(), Some("pipeline"));
        assert_eq!(most_like("colour", &known), None);
    }
}
