//! What can be wrong with a cluster file, in the words of the person who wrote it.

use std::fmt;

use thiserror::Error;

use crate::ReplicaId;
use crate::keys::KeyError;
use crate::name::NameError;
use crate::replicas::ReplicasError;

/// One mistake in a cluster file or in a file of settings for one. Printed as `cluster.toml:LINE:COLUMN: what is wrong`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ClusterError {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line itself, for a caret below it.
    pub line_text: String,
    /// What is wrong.
    pub kind: ClusterErrorKind,
}

impl ClusterError {
    /// The mistake, the line below it, and a caret below that.
    pub fn render(&self) -> String {
        // Tabs stay tabs, so that the caret stands below its place.
        let before: String = self.line_text.chars().take(self.column - 1).collect();
        let blank: String = before.chars().map(|c| if c == '\t' { c } else { ' ' }).collect();
        let number = format!("{:>5}", self.line);
        let edge = " ".repeat(number.len());
        format!("{self}\n{number} | {}\n{edge} | {blank}^", self.line_text)
    }
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.kind)
    }
}

/// What is wrong with a cluster file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClusterErrorKind {
    /// Not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key that this version does not know.
    #[error("unknown key `{key}`{}", hint(suggestion))]
    UnknownKey {
        /// What stands there.
        key: String,
        /// The known key that is most like it.
        suggestion: Option<String>,
    },
    /// A key without a default is not there.
    #[error("expected the key `{key}`, found none")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value of another type.
    #[error("{key}: expected {expected}, found a value of type {found}")]
    WrongType {
        /// The key.
        key: String,
        /// What would have been right.
        expected: &'static str,
        /// The type in TOML's words.
        found: &'static str,
    },
    /// A number beyond its bounds.
    #[error("{key}: expected a number from {least} to {most}, found `{found}`")]
    Range {
        /// The key.
        key: &'static str,
        /// The least that is allowed.
        least: u64,
        /// The most that is allowed.
        most: u64,
        /// What stands there.
        found: String,
    },
    /// Not a duration, or one beyond its bounds.
    #[error(
        "{key}: expected a duration from {least} to {most}, such as `500ms`, `10s`, `10m` or `1h`, found `{found}`"
    )]
    Duration {
        /// The key.
        key: &'static str,
        /// The shortest that is allowed.
        least: String,
        /// The longest that is allowed.
        most: String,
        /// What stands there.
        found: String,
    },
    /// A name with characters that could be misread, or of a wrong length.
    #[error("{key}: expected 1 to 63 letters, digits, `-`, `_` or `.`, found `{found}`")]
    Name {
        /// The key.
        key: &'static str,
        /// What stands there.
        found: String,
    },
    /// Not the address of a peer.
    #[error(
        "address: expected an IP address and a port that peers can reach, such as `192.0.2.10:5380`, found `{found}`"
    )]
    Address {
        /// What stands there.
        found: String,
    },
    /// Not a usable key.
    #[error("{key}: {source}")]
    Key {
        /// The key of the file.
        key: &'static str,
        /// Why it cannot be used.
        source: KeyError,
    },
    /// Two replicas share what must be their own.
    #[error("{what} `{value}` is already used in line {first_line}")]
    Duplicate {
        /// The kind of value.
        what: &'static str,
        /// The value.
        value: String,
        /// The line of its first use.
        first_line: usize,
    },
    /// Ids must be 0, 1, ... n-1.
    #[error("id: expected the ids 0 to {} without a gap, found `{found}`", count.saturating_sub(1))]
    Gap {
        /// n
        count: usize,
        /// The id beyond them.
        found: u64,
    },
    /// Numbers that no cluster can have.
    #[error(transparent)]
    Replicas(#[from] ReplicasError),
    /// A policy that this version does not know.
    #[error(
        "expected `strong`, `corroborated`, `records`, `dnssec`, `observe` or `bypass`, found `{found}`{}",
        hint(suggestion)
    )]
    Policy {
        /// What stands there.
        found: String,
        /// The policy that is most like it.
        suggestion: Option<String>,
    },
    /// A policy that can be verified, and by which no replica of this version can decide.
    #[error(
        "policy `dnssec` needs a DNSSEC validator, which this version has not: nothing in the zone would be answered; \
         the strictest policy that it has is `strong`"
    )]
    NoValidator,
    /// A key of the cluster file that is no setting of a new cluster.
    #[error("`{key}` is no setting: {instead}")]
    NoSetting {
        /// The key.
        key: &'static str,
        /// Where it comes from.
        instead: &'static str,
    },
    /// Settings of a replica that the new cluster does not have.
    #[error("id: expected 0 to {}, for {count} replicas (`--replicas`), found `{found}`", count.saturating_sub(1))]
    NoSuchReplica {
        /// n
        count: usize,
        /// What stands there.
        found: u64,
    },
    /// The name that another replica gets for want of one.
    #[error("name `{name}` is what replica {other} is called, which has no name here")]
    NameOfAnother {
        /// The name.
        name: String,
        /// The other one.
        other: ReplicaId,
    },
    /// The key of a policy is no domain name.
    #[error("zone `{zone}`: {source}")]
    Zone {
        /// What stands there.
        zone: String,
        /// Why it is no name.
        source: NameError,
    },
    /// Two spellings of one zone.
    #[error("zone `{zone}` has a policy already")]
    ZoneTwice {
        /// The zone as it is spelt here.
        zone: String,
    },
    /// More policies than the format can hold.
    #[error("expected at most {} zones, found {found}", super::POLICIES_MAX)]
    TooManyZones {
        /// How many there are.
        found: usize,
    },
    /// The first epoch names itself.
    #[error("cluster-id: expected none in epoch 1, whose digest is the id of the cluster")]
    ClusterIdInFirstEpoch,
    /// Later epochs name the first.
    #[error("cluster-id: expected the digest of epoch 1, 64 hexadecimal digits, found {found}")]
    ClusterId {
        /// What stands there.
        found: String,
    },
    /// A batch must fit a message, with room for what stands around it.
    #[error(
        "batch-bytes: expected at most {most}, so that a batch fits a message of {message_size} bytes, found `{found}`"
    )]
    BatchTooLarge {
        /// The most that is allowed.
        most: u32,
        /// The size of a message.
        message_size: u32,
        /// What stands there.
        found: u32,
    },
    /// A question must fit a batch with an observation of every replica.
    #[error(
        "batch-bytes: expected at least {least}, so that a batch holds an observation of each of {replicas} replicas, found `{found}`"
    )]
    BatchTooSmall {
        /// The least that is allowed.
        least: u32,
        /// n
        replicas: usize,
        /// What stands there.
        found: u32,
    },
    /// A message must hold what a replica signs at once, and a batch with an observation of every replica.
    #[error(
        "message-size: expected from {least} to {most}, so that a message holds the observations that a replica signs at once, \
         and a batch with one of each of {replicas} replicas, found `{found}`"
    )]
    MessageSize {
        /// The least that is allowed.
        least: u32,
        /// The most that is allowed.
        most: u32,
        /// n
        replicas: usize,
        /// What stands there.
        found: u64,
    },
    /// The slots in flight must fit between two checkpoints.
    #[error(
        "checkpoint-interval: expected at least {pipeline}, as many slots as `pipeline` lets be in flight, found `{found}`"
    )]
    IntervalTooShort {
        /// How many slots may be in flight.
        pipeline: u32,
        /// What stands there.
        found: u64,
    },
}

fn hint(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|word| format!("; did you mean `{word}`?")).unwrap_or_default()
}
