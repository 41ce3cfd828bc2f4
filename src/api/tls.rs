//! The certificate of HTTP, from files (read again when they have changed) or of an authority: connections that are open go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// A certificate with its key, in PEM files.
pub struct Certificates {
    /// Certificate and key; none where the certificate renews itself.
    files: Option<[PathBuf; 2]>,
    current: ArcSwap<ServerConfig>,
}

/// Why a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct CertificateError {
    file: String,
    reason: String,
}

impl Certificates {
    /// Reads both files. Waits for the disk.
    ///
    /// # Errors
    /// One of them is missing or broken, or they do not belong together.
    pub fn load(cert: PathBuf, key: PathBuf) -> Result<Certificates, CertificateError> {
        let current = ArcSwap::from_pointee(read(&cert, &key)?);
        Ok(Certificates { files: Some([cert, key]), current })
    }

    /// Reads them again. Waits for the disk.
    ///
    /// # Errors
    /// As [`Certificates::load`]; the old ones serve.
    pub fn reload(&self) -> Result<(), CertificateError> {
        if let Some([cert, key]) = &self.files {
            self.current.store(Arc::new(read(cert, key)?));
        }
        Ok(())
    }

    /// When the files were written. Waits for the disk.
    pub fn written(&self) -> [Option<SystemTime>; 2] {
        let written = |file: &PathBuf| fs::metadata(file).and_then(|own| own.modified()).ok();
        self.files.as_ref().map_or([None; 2], |files| files.each_ref().map(written))
    }

    /// One that looks after itself.
    pub(super) fn of_config(config: ServerConfig) -> Certificates {
        Certificates { files: None, current: ArcSwap::from_pointee(config) }
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }
}

impl CertificateError {
    pub(super) fn of(file: &Path, reason: String) -> CertificateError {
        CertificateError { file: file.display().to_string(), reason }
    }
}

fn read(cert: &Path, key: &Path) -> Result<ServerConfig, CertificateError> {
    let of = CertificateError::of;
    let chain =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| of(cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(of(cert, "no certificate in it (PEM)".to_owned()));
    }
    let own = PrivateKeyDer::from_pem_file(key).map_err(|error| of(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| of(cert, error.to_string()))?;
    let mut config = builder
        .with_no_client_auth()
        .with_single_cert(chain, own)
        .map_err(|error| of(cert, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
