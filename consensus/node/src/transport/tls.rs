//! Who is at the other end: TLS 1.3 with raw public keys (RFC 7250) on both sides, pinned to the cluster file.
//!
//! No certificate is parsed, no name is looked up, nothing expires: a peer is its transport key. Neither tickets nor early data
//! exist, so a connection proves its key anew each time and nothing of it can be replayed.

use std::sync::Arc;

use certificate::{Cluster, PublicKey, ReplicaId, TransportKey};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme,
};

use super::ids::random;

/// The application protocol of peers.
pub(crate) const ALPN: &[u8] = b"quorate-peer/1";

/// The server name that TLS asks a client for. Never sent.
pub(crate) const SERVER_NAME: &str = "peer.invalid";

/// The transport keys of all other replicas, and what proves our own.
pub(crate) struct Identities {
    provider: Arc<CryptoProvider>,
    own: Arc<CertifiedKey>,
    peers: Vec<(ReplicaId, Vec<u8>)>,
}

impl Identities {
    /// Takes the keys of all members but `me`.
    ///
    /// Errors: when the TLS library does not take our key.
    pub(crate) fn new(cluster: &Cluster, me: ReplicaId, key: &TransportKey) -> Result<Identities, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let private = PrivatePkcs8KeyDer::from(key.to_pkcs8_der().to_vec());
        let signer = provider.key_provider.load_private_key(private.into())?;
        let own = CertifiedKey::new(vec![CertificateDer::from(key.public_key().to_spki_der())], signer);
        let others = cluster.members.iter().filter(|member| member.id != me);
        let peers = others.map(|member| (member.id, member.transport_key.to_spki_der())).collect();
        Ok(Identities { provider, own: Arc::new(own), peers })
    }

    /// What we demand of those who dial us: to be any other replica.
    pub(crate) fn server(&self) -> Result<Arc<QuicServerConfig>, Error> {
        let accepted = self.peers.iter().map(|(_, spki)| spki.clone()).collect();
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(self.pinned(accepted))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(self.own.clone())));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        let config = QuicServerConfig::try_from(config);
        Ok(Arc::new(config.expect("the ring provider has the cipher suite of QUIC's first packets")))
    }

    /// What we demand of `peer` when we dial it: its own key and no other.
    pub(crate) fn client(&self, peer: &PublicKey) -> Result<Arc<QuicClientConfig>, Error> {
        let mut config = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(self.pinned(vec![peer.to_spki_der()]))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(self.own.clone())));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.enable_sni = false;
        config.resumption = rustls::client::Resumption::disabled();
        config.enable_early_data = false;
        let config = QuicClientConfig::try_from(config);
        Ok(Arc::new(config.expect("the ring provider has the cipher suite of QUIC's first packets")))
    }

    /// Which replica a finished handshake has proven the other end to be.
    pub(crate) fn replica(&self, connection: &quinn::Connection) -> Option<ReplicaId> {
        let presented = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let spki = presented.first()?;
        self.peers.iter().find(|(_, key)| key == spki.as_ref()).map(|(replica, _)| *replica)
    }

    /// What makes keys and numbers here.
    pub(crate) fn provider(&self) -> Arc<CryptoProvider> {
        self.provider.clone()
    }

    /// A number that nobody can guess.
    pub(crate) fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        random(&self.provider, &mut bytes);
        u64::from_be_bytes(bytes)
    }

    fn pinned(&self, accepted: Vec<Vec<u8>>) -> Arc<Pinned> {
        Arc::new(Pinned { provider: self.provider.clone(), accepted })
    }
}

/// Accepts the keys in a list and no certificate.
#[derive(Debug)]
struct Pinned {
    provider: Arc<CryptoProvider>,
    accepted: Vec<Vec<u8>>,
}

impl Pinned {
    fn check(&self, presented: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), Error> {
        if others.is_empty() && self.accepted.iter().any(|key| key == presented.as_ref()) {
            return Ok(());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(
            message,
            &key,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(presented, others).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        presented: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(presented, others).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
