//! In what condition a log is.

use serde::Serialize;

/// In what condition a log is, as this replica sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "condition", content = "why", rename_all = "snake_case")]
pub enum Condition {
    /// Nobody has asked it yet.
    Unasked,
    /// Its head is new, and grows out of the one before.
    Ok,
    /// It answers, but its head is older than it may be.
    Behind(String),
    /// It does not answer, or not in time, or too much, or not what was asked.
    Unreachable(String),
    /// It signed what it must not, or shows what it has not signed.
    Lying(String),
}

impl Condition {
    /// The code of the event that tells of it.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Condition::Unasked => "log_unasked",
            Condition::Ok => "log_ok",
            Condition::Behind(_) => "log_behind",
            Condition::Unreachable(_) => "log_unreachable",
            Condition::Lying(_) => "log_lying",
        }
    }
}
