//! Why an upstream gave no answer that can be used.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// Why an exchange with an upstream failed.
#[derive(Clone, Debug, Error)]
pub enum ExchangeError {
    /// It was silent.
    #[error("no answer within {}", seconds(*.0))]
    Silent(Duration),
    /// No connection, or it broke.
    #[error("{0}")]
    Network(Arc<io::Error>),
    /// It closed the connection with our query open.
    #[error("closed the connection")]
    Closed,
    /// What it sent is no message.
    #[error("sent a malformed message")]
    Malformed,
}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> ExchangeError {
        ExchangeError::Network(Arc::new(error))
    }
}

/// `2 s`, or `350 ms` where that says more.
fn seconds(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis()) {
        (seconds, 0) if seconds > 0 => format!("{seconds} s"),
        _ => format!("{} ms", duration.as_millis()),
    }
}
