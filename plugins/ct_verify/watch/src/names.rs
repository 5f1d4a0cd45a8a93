//! What background work asks of DNS. Implemented by who has a DNS server at hand; this crate knows no DNS.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use async_trait::async_trait;
use thiserror::Error;

/// Answers of DNS, as this replica itself gets them. Names are in presentation form, without a dot at the end.
#[async_trait]
pub trait Names: Send + Sync + 'static {
    /// The addresses of a host, IPv4 and IPv6; empty when it has none.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NamesError>;

    /// The TLSA records of an owner such as `_443._tcp.www.example.org`; none when there are none.
    async fn tlsa(&self, owner: &str) -> Result<TlsaAnswer, NamesError>;

    /// The CAA records of exactly this owner; none when there are none. Climbing towards the root is up to the caller.
    async fn caa(&self, owner: &str) -> Result<Vec<Caa>, NamesError>;

    /// Whether the name exists, with whatever records.
    async fn exists(&self, name: &str) -> Result<bool, NamesError>;
}

/// TLSA records of one owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsaAnswer {
    /// The data of each record, as on the wire.
    pub records: Vec<Vec<u8>>,
    /// Whether DNSSEC proves them; without that, no client may use them (RFC 7671 §2.1). `None` when who answers has the zone itself and
    /// never says.
    pub validated: Option<bool>,
}

/// One CAA record. RFC 8659 §4.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caa {
    /// Whether an authority that does not know the tag must not issue.
    pub critical: bool,
    /// `issue`, `issuewild`, `iodef` or another, in lower case.
    pub tag: String,
    /// For `issue` and `issuewild`: the authority's domain, and perhaps parameters after `;`.
    pub value: String,
}

/// DNS gave no answer that says yes or no.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{name}`: {why}")]
pub struct NamesError {
    /// The name that was asked for.
    pub name: String,
    /// Why: a timeout, SERVFAIL.
    pub why: String,
}

/// Names out of a table: for tests, and for whoever has no DNS at hand. What is not in it does not exist.
#[derive(Debug, Default)]
pub struct NameTable {
    /// Addresses by host.
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
    /// TLSA records by owner.
    pub tlsa: BTreeMap<String, TlsaAnswer>,
    /// CAA records by owner.
    pub caa: BTreeMap<String, Vec<Caa>>,
    /// Names that exist without being in any other table.
    pub others: BTreeSet<String>,
    /// Names for which nobody answers.
    pub silent: BTreeSet<String>,
}

impl NameTable {
    fn answer<T: Clone + Default>(&self, table: &BTreeMap<String, T>, name: &str) -> Result<T, NamesError> {
        if self.silent.contains(name) {
            return Err(NamesError { name: name.to_owned(), why: "nobody answers".to_owned() });
        }
        Ok(table.get(name).cloned().unwrap_or_default())
    }
}

#[async_trait]
impl Names for NameTable {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NamesError> {
        self.answer(&self.addresses, host)
    }

    async fn tlsa(&self, owner: &str) -> Result<TlsaAnswer, NamesError> {
        self.answer(&self.tlsa, owner)
    }

    async fn caa(&self, owner: &str) -> Result<Vec<Caa>, NamesError> {
        self.answer(&self.caa, owner)
    }

    async fn exists(&self, name: &str) -> Result<bool, NamesError> {
        self.answer(&self.addresses, name)?;
        let below = |known: &String| known == name || known.ends_with(&format!(".{name}"));
        let mut known =
            self.addresses.keys().chain(self.tlsa.keys()).chain(self.caa.keys()).chain(&self.others);
        Ok(known.any(below))
    }
}
