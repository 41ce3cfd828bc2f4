//! Whom the system believes, and a TLS client that believes somebody.

use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

/// The system's certificate authorities, as distributions keep them. One that cannot be parsed is left out;
/// a system without any believes nobody, which every handshake then says.
pub fn authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// A client of TLS 1.2 and 1.3 that believes these authorities; who it is itself is yet to be said.
pub fn client_trusting(roots: RootCertStore) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the cipher suites of both versions")
        .with_root_certificates(roots)
}
