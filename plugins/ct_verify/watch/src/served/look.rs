//! One look at a server: resolve, connect, shake hands, keep the chain.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use thiserror::Error;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use transparency::chain::CHAIN_MAX;

use super::client::client;
use super::metered::Metered;
use super::smtp::{self, SmtpError};
use super::target::{Protocol, Target};
use crate::address::is_public;
use crate::names::{Names, NamesError};

/// How looks are taken.
#[derive(Debug, Clone)]
pub struct Looking {
    /// Whether inner addresses may be reached, too.
    pub allow_private: bool,
    /// How long one look may take, with all its addresses.
    pub deadline: Duration,
    client: Arc<ClientConfig>,
}

/// What a server served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// All addresses that its name had, sorted.
    pub addresses: Vec<IpAddr>,
    /// The one that was connected to.
    pub address: IpAddr,
    /// Its certificates in the order it sent them, the leaf first.
    pub chain: Vec<CertificateDer<'static>>,
}

/// Why nothing was seen.
#[derive(Debug, Error)]
pub enum LookError {
    /// DNS gave no answer.
    #[error(transparent)]
    Names(#[from] NamesError),
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// The name leads to inner addresses only.
    #[error("{0} is no address of the public Internet")]
    NotPublic(IpAddr),
    /// Nobody answers at any of its addresses.
    #[error("{address}: no connection")]
    Connect {
        /// The address tried last.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    Deadline(Duration),
    /// A mail server did not go over to TLS.
    #[error(transparent)]
    Smtp(#[from] SmtpError),
    /// It sent more than a handshake takes.
    #[error("more than {HANDSHAKE_BYTES_MAX} bytes before the handshake was over")]
    TooMuch,
    /// The handshake came to nothing.
    #[error("handshake: {0}")]
    Handshake(#[source] io::Error),
    /// The server showed no certificate.
    #[error("the server showed no certificate")]
    NoCertificate,
    /// The server showed more certificates than are looked at.
    #[error("the server sent more than {CHAIN_MAX} certificates")]
    ChainTooLong,
}

impl LookError {
    /// The kind of the error, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            LookError::Names(_) => "no_dns_answer",
            LookError::NoAddress => "no_address",
            LookError::NotPublic(_) => "not_public",
            LookError::Connect { .. } => "no_connection",
            LookError::Deadline(_) => "deadline",
            LookError::Smtp(_) => "smtp",
            LookError::TooMuch => "too_many_bytes",
            LookError::Handshake(_) => "handshake",
            LookError::NoCertificate => "no_certificate",
            LookError::ChainTooLong => "chain_too_long",
        }
    }
}

impl Looking {
    /// Looks with a deadline each; inner addresses are reached only if allowed.
    pub fn new(allow_private: bool, deadline: Duration) -> Self {
        Looking { allow_private, deadline, client: client() }
    }
}

/// Looks at a target once. The addresses of its name are tried one after the other until one connects.
///
/// # Errors
/// [`LookError`] when no chain was seen.
pub async fn look(target: &Target, names: &dyn Names, looking: &Looking) -> Result<Served, LookError> {
    let looked = timeout(looking.deadline, look_without_deadline(target, names, looking)).await;
    looked.unwrap_or(Err(LookError::Deadline(looking.deadline)))
}

async fn look_without_deadline(
    target: &Target,
    names: &dyn Names,
    looking: &Looking,
) -> Result<Served, LookError> {
    let mut addresses = names.addresses(target.host()).await?;
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(ADDRESSES_MAX);
    let allowed: Vec<IpAddr> =
        addresses.iter().copied().filter(|address| looking.allow_private || is_public(*address)).collect();
    match (addresses.first(), allowed.is_empty()) {
        (None, _) => return Err(LookError::NoAddress),
        (Some(inner), true) => return Err(LookError::NotPublic(*inner)),
        (Some(_), false) => {}
    }
    let (stream, address) = connect(&allowed, target.port(), looking.deadline).await?;
    let chain = shake_hands(target, stream, looking).await?;
    Ok(Served { addresses, address, chain })
}

/// Connects to the first address that answers. Each but the last has its share of the time.
async fn connect(
    addresses: &[IpAddr],
    port: u16,
    deadline: Duration,
) -> Result<(TcpStream, IpAddr), LookError> {
    let share = deadline / (addresses.len() as u32 + 1);
    let mut last = LookError::NoAddress;
    for address in addresses {
        let address = SocketAddr::new(*address, port);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, address.ip())),
            Ok(Err(source)) => last = LookError::Connect { address, source },
            Err(_) => last = LookError::Connect { address, source: io::ErrorKind::TimedOut.into() },
        }
    }
    Err(last)
}

async fn shake_hands(
    target: &Target,
    stream: TcpStream,
    looking: &Looking,
) -> Result<Vec<CertificateDer<'static>>, LookError> {
    let local = stream.local_addr().map_err(LookError::Handshake)?;
    let mut stream = Metered::new(stream, HANDSHAKE_BYTES_MAX);
    if target.protocol() == Protocol::Smtp {
        smtp::start_tls(&mut stream, local).await?;
    }
    let name = ServerName::try_from(target.host().to_owned());
    let name = name.map_err(|_| LookError::NoAddress)?;
    let connecting = TlsConnector::from(Arc::clone(&looking.client)).connect(name, stream);
    let mut session = match connecting.into_fallible().await {
        Ok(session) => session,
        Err((_, stream)) if stream.is_spent() => return Err(LookError::TooMuch),
        Err((error, _)) => return Err(LookError::Handshake(error)),
    };
    let chain = session.get_ref().1.peer_certificates().unwrap_or_default();
    let chain: Vec<CertificateDer<'static>> = chain.iter().take(CHAIN_MAX + 1).cloned().collect();
    if target.protocol() == Protocol::Smtp {
        // A mail server that hears nothing more writes a complaint into its log.
        drop(session.write_all(b"QUIT\r\n").await);
    }
    drop(session.shutdown().await);
    match chain.len() {
        0 => Err(LookError::NoCertificate),
        count if count > CHAIN_MAX => Err(LookError::ChainTooLong),
        _ => Ok(chain),
    }
}

/// How many addresses of one name are tried.
pub const ADDRESSES_MAX: usize = 8;
/// How many bytes are read from a server, the handshake and what comes before it together.
pub const HANDSHAKE_BYTES_MAX: usize = 192 << 10;
