//! A certificate from an authority that speaks ACME (RFC 8555), got and renewed by itself: the challenge is
//! TLS-ALPN-01 (RFC 8737), answered on the listener of HTTPS itself. The only file that names rustls-acme.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_acme::caches::DirCache;
use rustls_acme::{AcmeConfig, AcmeState, EventOk};

use super::Certificates;
use super::tls::CertificateError;
use crate::host::{self, make_private_folder};

/// What is asked of the authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeOrder {
    /// The name that the certificate is for.
    pub domain: String,
    /// Whom the authority writes to, an e-mail address.
    pub contact: String,
    /// Where account and certificate are kept; made where it is not there.
    pub folder: PathBuf,
    /// The authority's directory; `None` is Let's Encrypt's.
    pub directory: Option<String>,
    /// The authority that the directory's own certificate is believed by (a PEM file); the system's
    /// without.
    pub ca: Option<PathBuf>,
}

/// Gets the certificate and renews it for as long as it runs.
pub struct AcmeWork {
    state: AcmeState<std::io::Error, std::io::Error>,
    domain: String,
}

impl Certificates {
    /// A certificate of an authority. Until it is there handshakes fail; the work has to run. Waits for the
    /// disk.
    ///
    /// # Errors
    /// `ca` cannot be read, or the folder not be made.
    pub fn by_acme(order: &AcmeOrder) -> Result<(Certificates, AcmeWork), CertificateError> {
        let folder = &order.folder;
        make_private_folder(folder)
            .map_err(|error| CertificateError::of(folder, error.to_string()))?;
        let directory = order.directory.as_deref().unwrap_or(LETS_ENCRYPT);
        let config = AcmeConfig::new_with_client_config([&order.domain], client(order)?)
            .contact([format!("mailto:{}", order.contact)])
            .cache(DirCache::new(folder.clone()))
            .directory(directory);
        let state = config.state();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| CertificateError::of(folder, error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(state.resolver());
        // RFC 8737 4: who asks for acme-tls/1 is the authority, shown the challenge's own certificate.
        server.alpn_protocols = vec![b"http/1.1".to_vec(), b"acme-tls/1".to_vec()];
        let work = AcmeWork { state, domain: order.domain.clone() };
        Ok((Certificates::of_config(server), work))
    }
}

impl AcmeWork {
    /// Orders, renews, keeps; tries again by itself, ever slower, where the authority refuses.
    pub async fn run(mut self) {
        let domain = self.domain;
        // Cancel safe: what was ordered is ordered again at the next start.
        while let Some(event) = self.state.next().await {
            match event {
                Ok(EventOk::DeployedNewCert) => {
                    tracing::info!(domain, "ACME: a new certificate serves");
                }
                Ok(EventOk::DeployedCachedCert) => {
                    tracing::info!(domain, "ACME: the certificate that was kept serves");
                }
                Ok(_) => {}
                Err(error) => tracing::error!(
                    domain,
                    %error,
                    "ACME: no certificate yet; does the name lead to this machine's port 443, and is it \
                     let through from everywhere?"
                ),
            }
        }
    }
}

fn client(order: &AcmeOrder) -> Result<Arc<ClientConfig>, CertificateError> {
    let roots = match &order.ca {
        None => host::authorities(),
        Some(file) => {
            let of = |error: String| CertificateError::of(file, error);
            let read = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let mut roots = RootCertStore::empty();
            for certificate in read.map_err(|error| of(error.to_string()))? {
                roots.add(certificate).map_err(|error| of(error.to_string()))?;
            }
            roots
        }
    };
    Ok(Arc::new(host::client_trusting(roots).with_no_client_auth()))
}

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
