//! What a word may say: how it is called in messages, and how it is read.

use std::fmt::Display;

/// A word was not what was expected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// What to do about it, if more can be said than what was expected.
    pub hint: Option<String>,
}

impl Mismatch {
    /// Returns a mismatch that says no more than what was expected.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a mismatch with a hint.
    pub fn with_hint(hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()) }
    }
}

/// A warning about a word that can be read: message and hint.
type Caution = (String, String);

type Read<T> = Box<dyn Fn(&str) -> Result<(T, Option<Caution>), Mismatch>>;

/// A kind of word: `a number from 1 to 10`.
pub struct Value<T> {
    noun: String,
    /// What follows the noun: ` from 1 to 10`.
    bounds: String,
    read: Read<T>,
}

impl<T: 'static> Value<T> {
    /// Returns a kind of word called `noun` (with its article) that `read` understands.
    ///
    /// ```
    /// use corefile::options::{Mismatch, Value};
    ///
    /// let even = Value::new("an even number", |text: &str| match text.parse::<u32>() {
    ///     Ok(number) if number % 2 == 0 => Ok(number),
    ///     Ok(number) => Err(Mismatch::with_hint(format!("{} is even", number + 1))),
    ///     Err(_) => Err(Mismatch::new()),
    /// });
    /// assert_eq!(even.expected(), "an even number");
    /// ```
    pub fn new(noun: impl Into<String>, read: impl Fn(&str) -> Result<T, Mismatch> + 'static) -> Self {
        let read = move |text: &str| read(text).map(|value| (value, None));
        Self { noun: noun.into(), bounds: String::new(), read: Box::new(read) }
    }

    /// Returns the value with `bounds` behind its noun; they stay when [`Value::named`] renames it.
    pub(super) fn bounded(mut self, least: impl Display, most: impl Display, unit: &str) -> Self {
        self.bounds = format!(" from {least} to {most}{unit}");
        self
    }

    /// Returns the value with a check that may warn about what was read: message and hint.
    #[must_use]
    pub fn cautious(self, check: impl Fn(&str, &T) -> Option<(String, String)> + 'static) -> Self {
        let inner = self.read;
        let read = move |text: &str| {
            let (value, caution) = inner(text)?;
            let caution = caution.or_else(|| check(text, &value));
            Ok((value, caution))
        };
        Self { read: Box::new(read), ..self }
    }

    /// Returns the value called `noun`: `integer(1..=9).named("a weight")` expects "a weight from 1 to 9".
    #[must_use]
    pub fn named(self, noun: impl Into<String>) -> Self {
        Self { noun: noun.into(), ..self }
    }

    /// Returns the value as `change` makes it.
    #[must_use]
    pub fn map<U: 'static>(self, change: impl Fn(T) -> U + 'static) -> Value<U> {
        let inner = self.read;
        let read = move |text: &str| inner(text).map(|(value, caution)| (change(value), caution));
        Value { noun: self.noun, bounds: self.bounds, read: Box::new(read) }
    }
}

impl<T> Value<T> {
    /// Returns what to write after "expected".
    pub fn expected(&self) -> String {
        format!("{}{}", self.noun, self.bounds)
    }

    /// Reads `text`; beside the value a warning, if there is one.
    pub(super) fn read(&self, text: &str) -> Result<(T, Option<Caution>), Mismatch> {
        (self.read)(text)
    }
}
