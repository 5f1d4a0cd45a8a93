//! How a query or a plugin fails. The engine alone turns these into rcodes and extended errors.

use std::time::Duration;

use hickory_proto::op::ResponseCode;
use thiserror::Error;

/// An extended DNS error, RFC 8914: INFO-CODE and EXTRA-TEXT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    /// INFO-CODE
    pub code: u16,
    /// EXTRA-TEXT, for people.
    pub text: String,
}

/// INFO-CODEs of RFC 8914 §4 that we use.
pub mod code {
    /// Other Error
    pub const OTHER: u16 = 0;
    /// Stale Answer
    pub const STALE_ANSWER: u16 = 3;
    /// DNSSEC Bogus
    pub const DNSSEC_BOGUS: u16 = 6;
    /// Cached Error
    pub const CACHED_ERROR: u16 = 13;
    /// Not Ready
    pub const NOT_READY: u16 = 14;
    /// Blocked
    pub const BLOCKED: u16 = 15;
    /// Filtered
    pub const FILTERED: u16 = 17;
    /// Prohibited
    pub const PROHIBITED: u16 = 18;
    /// Stale NXDOMAIN Answer
    pub const STALE_NXDOMAIN: u16 = 19;
    /// Not Authoritative
    pub const NOT_AUTHORITATIVE: u16 = 20;
    /// Not Supported
    pub const NOT_SUPPORTED: u16 = 21;
    /// No Reachable Authority
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;
    /// Network Error
    pub const NETWORK_ERROR: u16 = 23;
    /// Invalid Data
    pub const INVALID_DATA: u16 = 24;
}

/// Why the chain has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ServeError {
    /// The chain ended without an answer.
    #[error("no plugin answers for this name")]
    NoPlugin,
    /// The client gets no reply at all: silence over UDP, the end of a connection.
    #[error("dropped without a reply")]
    Dropped,
    /// The name or the client is none of ours.
    #[error("{0}")]
    Refused(String),
    /// The deadline passed.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// No upstream gave an answer that can be used. The text says which one and why; it is for the log, never for clients.
    #[error("{0}")]
    Upstream(String),
    /// A part of this server is not ready, or too busy.
    #[error("{0}")]
    NotReady(String),
    /// Replicas did not agree, or too few answered. The text holds the counts.
    #[error("{0}")]
    NoAgreement(String),
    /// A fault of this server itself, such as zone data that contradicts itself.
    #[error("{0}")]
    Internal(String),
}

impl ServeError {
    /// The rcode a client gets; for `Dropped`, what logs say instead.
    pub fn rcode(&self) -> ResponseCode {
        match self {
            ServeError::NoPlugin | ServeError::Refused(_) | ServeError::Dropped => ResponseCode::Refused,
            ServeError::TimedOut(_)
            | ServeError::Upstream(_)
            | ServeError::NotReady(_)
            | ServeError::NoAgreement(_)
            | ServeError::Internal(_) => ResponseCode::ServFail,
        }
    }

    /// The extended error a client gets. It names no address and no error of the system: those are for the operator.
    pub fn extended_error(&self) -> ExtendedError {
        let code = match self {
            ServeError::NoPlugin => code::NOT_AUTHORITATIVE,
            ServeError::Refused(_) | ServeError::Dropped => code::PROHIBITED,
            ServeError::TimedOut(_) => code::NETWORK_ERROR,
            ServeError::Upstream(_) => code::NO_REACHABLE_AUTHORITY,
            ServeError::NotReady(_) => code::NOT_READY,
            ServeError::NoAgreement(_) | ServeError::Internal(_) => code::OTHER,
        };
        let text = match self {
            ServeError::Upstream(_) => "no upstream gave an answer".to_owned(),
            ServeError::NoPlugin
            | ServeError::Refused(_)
            | ServeError::Dropped
            | ServeError::TimedOut(_)
            | ServeError::NotReady(_)
            | ServeError::NoAgreement(_)
            | ServeError::Internal(_) => self.to_string(),
        };
        ExtendedError { code, text }
    }
}

/// Why a plugin cannot start although its configuration was accepted.
#[derive(Debug, Error)]
#[error("{plugin}: {message}")]
pub struct StartError {
    /// The plugin's directive.
    pub plugin: &'static str,
    /// What is wrong, and what to do about it.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_not_told_which_upstream_failed_and_how() {
        let error = ServeError::Upstream("upstream 192.0.2.9:53: Connection refused (os error 111)".into());
        let told = ExtendedError { code: 22, text: "no upstream gave an answer".into() };
        assert_eq!(error.extended_error(), told);
        assert!(error.to_string().contains("192.0.2.9:53"), "the log is");
    }
}
