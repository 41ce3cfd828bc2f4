//! TLS for SIP (RFC 3261 26.3, RFC 5922): who we are and whom we believe, read from files, and read
//! again without a restart. Streams that are open keep what they began with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::base::Network;
use crate::host;
use crate::sip::command::TlsPeer;

/// Our side of TLS.
#[derive(Debug, Clone, Default)]
pub struct TlsConfig {
    /// What peers that connect to us are shown; needed where TLS is listened on.
    pub server: Option<TlsServer>,
    /// Peers that we connect to; a [`TlsPeer`] is a place in this list.
    pub peers: Vec<TlsPeerConfig>,
}

/// A certificate with its key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The certificate, then those that lead to its root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What peers that connect to us are shown and asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsServer {
    /// Who we are.
    pub identity: TlsIdentity,
    /// Peers have to show a certificate of this authority (a PEM file); none is asked for without.
    pub client_ca: Option<PathBuf>,
}

/// A peer that we connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsPeerConfig {
    /// The domain or address that its certificate has to be for (RFC 5922 7.1): the one that was
    /// configured, whatever DNS has made of it.
    pub name: String,
    /// The authority that is believed (a PEM file); those of the system without.
    pub ca: Option<PathBuf>,
    /// What we show when the peer asks who we are.
    pub identity: Option<TlsIdentity>,
    /// Where it connects to us from: requests that cannot use its stream open one to this peer.
    pub networks: Vec<Network>,
}

/// Why TLS cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds not what it should.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key do not fit, or cannot be used.
    #[error("{path}: the certificate cannot be used: {reason}")]
    Certificate {
        /// The certificate.
        path: String,
        /// Why.
        reason: String,
    },
    /// No name that a certificate could be for.
    #[error("{0:?} is no name that a certificate could be for")]
    Name(String),
    /// TLS is listened on without a certificate.
    #[error("listening on tls needs a certificate and its key: [sip.tls] cert and key")]
    NoCertificate,
}

/// Everything that TLS needs at run time.
#[derive(Debug)]
pub(in crate::sip) struct Tls {
    config: TlsConfig,
    server: ArcSwapOption<ServerConfig>,
    peers: Vec<(ServerName<'static>, ArcSwapOption<ClientConfig>)>,
}

impl Tls {
    /// Reads all files.
    pub(in crate::sip) fn new(config: TlsConfig) -> Result<Tls, TlsError> {
        let names = config.peers.iter().map(|peer| {
            let name = ServerName::try_from(peer.name.clone());
            let name = name.map_err(|_| TlsError::Name(peer.name.clone()))?;
            Ok((name, ArcSwapOption::empty()))
        });
        let peers = names.collect::<Result<_, TlsError>>()?;
        let tls = Tls { config, server: ArcSwapOption::empty(), peers };
        tls.reload()?;
        Ok(tls)
    }

    /// Reads all files again; with an error everything stays as it was.
    pub(in crate::sip) fn reload(&self) -> Result<(), TlsError> {
        let server = self.config.server.as_ref().map(server_config).transpose()?;
        let peers: Vec<ClientConfig> =
            self.config.peers.iter().map(client_config).collect::<Result<_, TlsError>>()?;
        self.server.store(server.map(Arc::new));
        for ((_, own), read) in self.peers.iter().zip(peers) {
            own.store(Some(Arc::new(read)));
        }
        Ok(())
    }

    /// When the newest of the files was written: another value means to read them again.
    pub(in crate::sip) fn written(&self) -> Vec<Option<SystemTime>> {
        let identity = |own: &TlsIdentity| [own.cert.clone(), own.key.clone()];
        let server = self
            .config
            .server
            .iter()
            .flat_map(|own| identity(&own.identity).into_iter().chain(own.client_ca.clone()));
        let peers = self.config.peers.iter().flat_map(|own| {
            own.identity.iter().flat_map(identity).chain(own.ca.clone()).collect::<Vec<_>>()
        });
        let written = |path: PathBuf| std::fs::metadata(path).and_then(|own| own.modified()).ok();
        server.chain(peers).map(written).collect()
    }

    /// For peers that connect to us; `None` without a certificate.
    pub(in crate::sip) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.server.load_full().map(TlsAcceptor::from)
    }

    /// For a peer that we connect to, with the name that its certificate must be for.
    pub(in crate::sip) fn connector(
        &self,
        peer: TlsPeer,
    ) -> Option<(TlsConnector, ServerName<'static>)> {
        let (name, config) = self.peers.get(usize::from(peer.0))?;
        Some((TlsConnector::from(config.load_full()?), name.clone()))
    }

    /// Which peer connects from this address.
    pub(in crate::sip) fn peer_at(&self, address: std::net::IpAddr) -> TlsPeer {
        let at = |own: &TlsPeerConfig| own.networks.iter().any(|n| n.contains(address));
        let place = self.config.peers.iter().position(at);
        place.and_then(|n| u16::try_from(n).ok()).map_or(TlsPeer::UNKNOWN, TlsPeer)
    }
}

fn server_config(server: &TlsServer) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certificate = |error: rustls::Error| TlsError::Certificate {
        path: server.identity.cert.display().to_string(),
        reason: error.to_string(),
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(certificate)?;
    let builder = match &server.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let roots = Arc::new(roots(ca)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            let verifier = verifier.map_err(|error| file(ca, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = identity(&server.identity)?;
    builder.with_single_cert(chain, key).map_err(certificate)
}

fn client_config(peer: &TlsPeerConfig) -> Result<ClientConfig, TlsError> {
    let roots = match &peer.ca {
        Some(ca) => roots(ca)?,
        None => host::authorities(),
    };
    let failed = |error: rustls::Error| {
        let path = peer.identity.as_ref().map(|own| own.cert.display().to_string());
        TlsError::Certificate { path: path.unwrap_or_default(), reason: error.to_string() }
    };
    let builder = host::client_trusting(roots);
    match &peer.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(own) => {
            let (chain, key) = identity(own)?;
            builder.with_client_auth_cert(chain, key).map_err(failed)
        }
    }
}

fn identity(
    own: &TlsIdentity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = certificates(&own.cert)?;
    let key = PrivateKeyDer::from_pem_file(&own.key).map_err(|error| file(&own.key, error))?;
    Ok((chain, key))
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| file(path, error))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| file(path, error))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| file(path, error))?;
    match found.is_empty() {
        true => Err(file(path, "no certificate in it (PEM)")),
        false => Ok(found),
    }
}

fn file(path: &Path, reason: impl std::fmt::Display) -> TlsError {
    TlsError::File { path: path.display().to_string(), reason: reason.to_string() }
}
