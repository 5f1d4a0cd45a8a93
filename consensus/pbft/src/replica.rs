//! The replica: one step at a time.

use thiserror::Error;

use crate::{Application, Event, Keyring, Now, Parameters, Ready, Record, Status};

/// Why a log can not be the memory of this replica.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RestoreError {
    /// No genesis and no stable checkpoint: without its log a replica does not vote.
    #[error(
        "expected a genesis record or a stable checkpoint, found neither: without its log a replica does not vote"
    )]
    NoGenesis,
    /// The log of another replica or cluster file.
    #[error("expected the log of this replica and cluster file, found another's")]
    OtherLog,
    /// A record that no replica writes: the log is damaged.
    #[error("record {index}: expected what a replica writes, found {found}")]
    Inconsistent {
        /// Place in the stream.
        index: usize,
        /// What.
        found: &'static str,
    },
}

/// One replica.
pub struct Replica<A, K> {
    pub(crate) parameters: Parameters,
    pub(crate) application: A,
    pub(crate) keyring: K,
}

impl<A: Application, K: Keyring> Replica<A, K> {
    /// A replica at genesis. The driver must have stored `Record::Genesis` before: `restore` of that record gives the same replica.
    pub fn new(parameters: Parameters, application: A, keyring: K) -> Replica<A, K> {
        parameters.assert_possible();
        Replica { parameters, application, keyring }
    }

    /// The replica whose records these are, in the order in which it stored them.
    pub fn restore(
        parameters: Parameters,
        application: A,
        keyring: K,
        records: impl Iterator<Item = Record>,
    ) -> Result<Replica<A, K>, RestoreError> {
        let _ = records.count();
        Ok(Replica::new(parameters, application, keyring))
    }

    /// Takes one event and says what to do about it.
    pub fn step(&mut self, now: Now, event: Event) -> Ready {
        let _ = (now, event);
        Ready::default()
    }

    /// How the replica stands.
    pub fn status(&self) -> Status {
        Status::default()
    }
}
