//! Names to addresses for background requests, and the rule that stands between an answer and a connection.
//!
//! The addresses that are checked are those that are connected to: the name is not asked a second time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

use crate::address::is_public;

/// Finds the addresses of a host.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The addresses of this host.
    ///
    /// # Errors
    /// When the name has none, or nobody answers.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// A host has an address that background work may not reach.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{host}` has the address {address}, which is not of the public network")]
pub struct Forbidden {
    /// The host.
    pub host: String,
    /// The first such address.
    pub address: IpAddr,
}

/// Checks the addresses of a host: one that is not public forbids all, for it shows that the name is not what it claims to be.
///
/// # Errors
/// [`Forbidden`] with the first address that is not public, unless private ones are allowed.
pub fn check_addresses(host: &str, addresses: &[IpAddr], allow_private: bool) -> Result<(), Forbidden> {
    let inner = addresses.iter().find(|address| !allow_private && !is_public(**address));
    inner.map_or(Ok(()), |address| Err(Forbidden { host: host.to_owned(), address: *address }))
}

/// Stands between a resolver and the connections of the HTTP client.
pub(crate) struct Guard {
    pub resolver: Arc<dyn Resolver>,
    pub allow_private: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, allow_private) = (self.resolver.clone(), self.allow_private);
        Box::pin(async move {
            let mut addresses = resolver.addresses(name.as_str()).await?;
            check_addresses(name.as_str(), &addresses, allow_private)?;
            addresses.truncate(ADDRESSES_MAX);
            // The port is that of the URL.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// How many addresses of one host are tried.
const ADDRESSES_MAX: usize = 4;
