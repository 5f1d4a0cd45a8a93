//! Lists of CT logs, schema version 3: who runs which log, with what key, in which state.
//!
//! Decides which logs of a list can be used at all; which timestamps count is for `policy.rs`. The list is the operator's file:
//! what is wrong with one log sets that log aside, what is wrong with the whole refuses it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use thiserror::Error;

use crate::digest::{LogId, Sha256};
use crate::log_key::{LogKey, LogKeyError};
use crate::log_list_json::{ListJson, OperatorJson};
use crate::moment::{Moment, MomentError};

/// A list of logs that has been read and checked.
#[derive(Debug, Clone)]
pub struct LogList {
    identity: LogListIdentity,
    logs: BTreeMap<LogId, CtLog>,
    denied: BTreeMap<LogId, CtLog>,
    set_aside: Vec<SetAside>,
}

/// Which list this is: goes into every verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogListIdentity {
    /// `version` as the list says.
    pub version: String,
    /// `log_list_timestamp`: when the list was made.
    pub timestamp: Moment,
    /// SHA-256 of the list's bytes.
    pub digest: Sha256,
    /// How many of its logs can be used.
    pub logs: usize,
}

/// One log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CtLog {
    /// Its key, and so its identity.
    pub key: LogKey,
    /// Its name for people.
    pub description: String,
    /// Who runs it now.
    pub operator: String,
    /// Who ran it before, each until the time beside it, the earliest first.
    pub previous_operators: Vec<(String, Moment)>,
    /// Its state, and since when; `None` when the list does not say.
    pub state: Option<State>,
    /// Which interface it has, and where.
    pub interface: Interface,
    /// Maximum merge delay, in seconds.
    pub mmd_seconds: u64,
    /// Certificates that expire from the first moment on and before the second belong here.
    pub temporal_interval: Option<(Moment, Moment)>,
}

/// How a log is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interface {
    /// RFC 6962 §4, below this URL.
    Rfc6962 {
        /// The log's URL.
        url: String,
    },
    /// C2SP static-ct-api.
    StaticCt {
        /// Where certificates are handed in; without its scheme, the origin of checkpoints.
        submission_url: String,
        /// Where checkpoints and tiles are.
        monitoring_url: String,
    },
}

/// The state of a log and when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Which state.
    pub kind: StateKind,
    /// Since when.
    pub since: Moment,
}

/// The states of schema version 3, in the order of a log's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StateKind {
    /// Asked for, not looked at yet: counts for nothing.
    Pending,
    /// Will be usable.
    Qualified,
    /// In use.
    Usable,
    /// Takes nothing in any more.
    Readonly,
    /// What it signed before still counts, beside others.
    Retired,
    /// Counts for nothing.
    Rejected,
}

/// A log of the list that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The name that the list gives it.
    pub description: String,
    /// Why.
    pub why: SetAsideWhy,
}

/// Why a log of the list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SetAsideWhy {
    /// The key is not base64.
    #[error("its key is not base64")]
    KeyText,
    /// The key is none that a log may have.
    #[error(transparent)]
    Key(#[from] LogKeyError),
    /// The identity is not the digest of the key.
    #[error("its `log_id` is not the digest of its key")]
    Id,
    /// Its private key has been published, so that anybody can sign for it.
    #[error("its private key is public")]
    Denied,
    /// A time in it is none.
    #[error(transparent)]
    Time(#[from] MomentError),
}

/// Why a list is refused as a whole.
#[derive(Debug, Error)]
pub enum LogListError {
    /// Longer than any list.
    #[error("the log list has more than {LOG_LIST_BYTES_MAX} bytes")]
    TooLong,
    /// Not JSON, or not of schema version 3.
    #[error("expected a log list of schema version 3")]
    Json(#[from] serde_json::Error),
    /// Its own time is none.
    #[error("`log_list_timestamp`: {0}")]
    Timestamp(MomentError),
    /// Two logs have one identity.
    #[error("log `{0}` stands in the list twice")]
    Duplicate(LogId),
    /// More logs than anybody knows.
    #[error("the list has more than {LOGS_MAX} logs")]
    TooManyLogs,
    /// No log that could be used.
    #[error("the list has no log that can be used")]
    Empty,
}

impl LogList {
    /// Reads a list.
    ///
    /// # Errors
    /// [`LogListError`] when it is none, or contradicts itself.
    pub fn parse(bytes: &[u8]) -> Result<Self, LogListError> {
        if bytes.len() > LOG_LIST_BYTES_MAX {
            return Err(LogListError::TooLong);
        }
        let json: ListJson = serde_json::from_slice(bytes)?;
        let timestamp = json.log_list_timestamp.parse().map_err(LogListError::Timestamp)?;
        let (mut logs, mut denied, mut set_aside) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (operator, log) in json.operators.iter().flat_map(OperatorJson::logs) {
            if logs.len() + set_aside.len() == LOGS_MAX {
                return Err(LogListError::TooManyLogs);
            }
            match log.read(operator) {
                Ok(log) if is_denied(&log.key.id()) => {
                    set_aside
                        .push(SetAside { description: log.description.clone(), why: SetAsideWhy::Denied });
                    denied.insert(log.key.id(), log);
                }
                Ok(log) => {
                    let id = log.key.id();
                    if logs.insert(id, log).is_some() {
                        return Err(LogListError::Duplicate(id));
                    }
                }
                Err(why) => set_aside.push(SetAside { description: log.description.clone(), why }),
            }
        }
        if logs.is_empty() {
            return Err(LogListError::Empty);
        }
        let version = json.version.unwrap_or_default();
        let identity = LogListIdentity { version, timestamp, digest: Sha256::of(bytes), logs: logs.len() };
        Ok(LogList { identity, logs, denied, set_aside })
    }

    /// Which list this is.
    pub fn identity(&self) -> &LogListIdentity {
        &self.identity
    }

    /// The log with this identity. Never one whose private key is public.
    pub fn log(&self, id: &LogId) -> Option<&CtLog> {
        self.logs.get(id)
    }

    /// The log with this identity, if its private key is public: to say so, never to count it.
    pub fn denied_log(&self, id: &LogId) -> Option<&CtLog> {
        self.denied.get(id)
    }

    /// All logs that can be used, by identity.
    pub fn logs(&self) -> impl Iterator<Item = &CtLog> {
        self.logs.values()
    }

    /// Logs of the list that cannot be used, and why.
    pub fn set_aside(&self) -> &[SetAside] {
        &self.set_aside
    }

    /// Whether browsers would no longer enforce by this list at that time.
    pub fn is_stale(&self, now: Moment) -> bool {
        self.identity.timestamp.plus_seconds(LOG_LIST_AGE_MAX_SECONDS) < now
    }
}

impl CtLog {
    /// Who ran the log at that time.
    pub fn operator_at(&self, time: Moment) -> &str {
        let before = self.previous_operators.iter().find(|(_, until)| time < *until);
        before.map_or(&self.operator, |(name, _)| name)
    }

    /// Whether the log has the static-ct interface.
    pub fn is_static(&self) -> bool {
        matches!(self.interface, Interface::StaticCt { .. })
    }

    /// The origin line that the log's checkpoints must have: its submission URL without scheme and closing slash.
    pub fn origin(&self) -> &str {
        let (Interface::Rfc6962 { url } | Interface::StaticCt { submission_url: url, .. }) = &self.interface;
        let bare = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(url);
        bare.strip_suffix('/').unwrap_or(bare)
    }
}

/// Whether anybody can sign in the name of this log, because its private key was published.
///
/// Chrome's Certificate Transparency team published the keys of two logs and adds them to the lists that it serves to others.
pub fn is_denied(id: &LogId) -> bool {
    DENIED.contains(&id.0.0)
}

/// `9EGV1vAOLbVUNcrdV3iS5T4VrUFwWPh44U/2uRh0FYk=` and `si9+3rWvav5QPeBAgbLXTBJThJL+3yyypSZQPO9TztI=`.
const DENIED: [[u8; 32]; 2] = [
    [
        0xf4, 0x41, 0x95, 0xd6, 0xf0, 0x0e, 0x2d, 0xb5, 0x54, 0x35, 0xca, 0xdd, 0x57, 0x78, 0x92, 0xe5, 0x3e,
        0x15, 0xad, 0x41, 0x70, 0x58, 0xf8, 0x78, 0xe1, 0x4f, 0xf6, 0xb9, 0x18, 0x74, 0x15, 0x89,
    ],
    [
        0xb2, 0x2f, 0x7e, 0xde, 0xb5, 0xaf, 0x6a, 0xfe, 0x50, 0x3d, 0xe0, 0x40, 0x81, 0xb2, 0xd7, 0x4c, 0x12,
        0x53, 0x84, 0x92, 0xfe, 0xdf, 0x2c, 0xb2, 0xa5, 0x26, 0x50, 0x3c, 0xef, 0x53, 0xce, 0xd2,
    ],
];

/// What a new list may not do to the one in use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UpdateProblem {
    /// It is older.
    #[error("the new list is of {new}, the one in use of {old}")]
    Older {
        /// When the list in use was made.
        old: Moment,
        /// When the new one was made.
        new: Moment,
    },
    /// Too many logs that count are gone.
    #[error("{gone} logs that counted are gone, at most {allowed} may go at once")]
    Vanished {
        /// How many are gone.
        gone: usize,
        /// How many may go.
        allowed: usize,
    },
    /// A log that was out is in again.
    #[error("log `{log}` was {old:?} and would be {new:?}")]
    Backwards {
        /// The log.
        log: LogId,
        /// Its state now.
        old: StateKind,
        /// Its state in the new list.
        new: StateKind,
    },
    /// More of what a retired log signed would count.
    #[error("log `{log}` was retired on {old} and would be on {new}")]
    RetiredLater {
        /// The log.
        log: LogId,
        /// When it was retired.
        old: Moment,
        /// When it was retired as the new list says.
        new: Moment,
    },
    /// Too few operators are left to satisfy any policy.
    #[error("only {0} operators have a log that counts")]
    FewOperators(usize),
}

/// Whether a new list may take the place of the one in use; the caller keeps the old one if not.
///
/// `vanished_max` is how many logs that count today may be missing. Logs that are retired or out may go at any time.
///
/// # Errors
/// All that speaks against it.
pub fn check_update(old: &LogList, new: &LogList, vanished_max: usize) -> Result<(), Vec<UpdateProblem>> {
    let mut problems = Vec::new();
    if new.identity.timestamp < old.identity.timestamp {
        problems.push(UpdateProblem::Older { old: old.identity.timestamp, new: new.identity.timestamp });
    }
    let counts = |log: &&CtLog| log.state.is_some_and(|state| is_current(state.kind));
    let gone = old.logs().filter(counts).filter(|log| new.log(&log.key.id()).is_none()).count();
    if gone > vanished_max {
        problems.push(UpdateProblem::Vanished { gone, allowed: vanished_max });
    }
    for (id, log) in &old.logs {
        let (Some(old), Some(new)) = (log.state, new.log(id).and_then(|log| log.state)) else { continue };
        if StateKind::Retired <= old.kind && new.kind < old.kind {
            problems.push(UpdateProblem::Backwards { log: *id, old: old.kind, new: new.kind });
        } else if (old.kind, new.kind) == (StateKind::Retired, StateKind::Retired) && old.since < new.since {
            problems.push(UpdateProblem::RetiredLater { log: *id, old: old.since, new: new.since });
        }
    }
    let operators: BTreeSet<&str> = new.logs().filter(counts).map(|log| log.operator.as_str()).collect();
    if operators.len() < OPERATORS_MIN {
        problems.push(UpdateProblem::FewOperators(operators.len()));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Whether a log in this state is one of today's.
pub(crate) fn is_current(kind: StateKind) -> bool {
    matches!(kind, StateKind::Qualified | StateKind::Usable | StateKind::Readonly)
}

/// How long a list may be, in bytes. The real one of January 2026 has 54 kB.
pub const LOG_LIST_BYTES_MAX: usize = 4 << 20;
/// How many logs a list may have. The real one of January 2026 has 75.
pub const LOGS_MAX: usize = 1024;
/// How old a list may be, in seconds: browsers stop enforcing after 70 days.
pub const LOG_LIST_AGE_MAX_SECONDS: u64 = 70 * 86_400;
/// How many former operators of one log are looked at.
pub const PREVIOUS_OPERATORS_MAX: usize = 16;
/// How many operators with a log that counts a new list must have: what every policy asks for.
const OPERATORS_MIN: usize = 2;
