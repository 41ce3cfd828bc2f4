//! Whether a peer can be reached by a stream, and why not: for who looks for what is wrong with a trunk.
//! A stream of its own is opened and closed again; nothing is said on it.

use std::io::ErrorKind;
use std::time::Duration;

use rustls::CertificateError;
use rustls::Error as RustlsError;

use super::{Handle, plain};
use crate::sip::command::{Destination, Transport};

/// Why a peer is not reached by TCP or TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// The machine is there, and nothing listens at this port.
    #[error("nothing listens there: check host and port of `target`")]
    Refused,
    /// No word, within four seconds.
    #[error("it does not answer: is the address right, and does a firewall let us through?")]
    Silent,
    /// What listens there is no TLS.
    #[error(
        "what listens there speaks no TLS: is the port that of TLS, or `transport` another one?"
    )]
    NoTls,
    /// Its certificate is not for the name that it has to prove.
    #[error(
        "its certificate is for {presented}, not for {expected}: set `tls.name`, or correct `target`"
    )]
    Name {
        /// What it has to be for.
        expected: String,
        /// What it is for.
        presented: String,
    },
    /// Its certificate is signed by somebody who is not believed.
    #[error("its certificate is signed by nobody that is believed: name its authority as `tls.ca`")]
    Authority,
    /// Its certificate is over, or not yet valid.
    #[error(
        "its certificate is not valid at this time: it has to be renewed, or our clock is wrong"
    )]
    Expired,
    /// It ended the handshake.
    #[error(
        "it ended the TLS handshake ({0}): does it want a certificate of ours (`tls.cert`, `tls.key`)?"
    )]
    Alert(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Handle {
    /// Opens a stream to a peer as a request would, with the handshake of TLS, and closes it. By UDP
    /// nothing is tried: there is nothing to open.
    ///
    /// # Errors
    /// Why it was not opened.
    pub async fn reach(&self, destination: &Destination) -> Result<(), Unreached> {
        let opened = async {
            match destination.transport {
                Transport::Udp => Ok(()),
                Transport::Tcp => plain(destination.address).await.map(|_| ()),
                Transport::Tls => {
                    let unknown =
                        || std::io::Error::other("no trunk says whose certificate is right");
                    let (connector, name) =
                        self.tls.connector(destination.tls).ok_or_else(unknown)?;
                    let stream = plain(destination.address).await?;
                    connector.connect(name, stream).await.map(|_| ())
                }
            }
        };
        match tokio::time::timeout(PATIENCE, opened).await {
            Ok(opened) => opened.map_err(|error| why(&error)),
            Err(_) => Err(Unreached::Silent),
        }
    }
}

fn why(error: &std::io::Error) -> Unreached {
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>());
    match (of_tls, error.kind()) {
        (Some(error), _) => why_tls(error),
        (None, ErrorKind::ConnectionRefused) => Unreached::Refused,
        (
            None,
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable,
        ) => Unreached::Silent,
        // In the middle of a handshake.
        (None, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
            Unreached::Alert("it closed the connection".to_owned())
        }
        (None, _) => Unreached::Other(error.to_string()),
    }
}

fn why_tls(error: &RustlsError) -> Unreached {
    match error {
        RustlsError::InvalidCertificate(certificate) => match certificate {
            CertificateError::NotValidForNameContext { expected, presented } => Unreached::Name {
                expected: expected.to_str().into_owned(),
                presented: match presented.is_empty() {
                    true => "no name".to_owned(),
                    false => presented.iter().map(|own| bare(own)).collect::<Vec<_>>().join(", "),
                },
            },
            // The second is an authority of the same name with another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Unreached::Authority
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Unreached::Expired,
            _ => Unreached::Other(error.to_string()),
        },
        RustlsError::InvalidMessage(_) => Unreached::NoTls,
        RustlsError::AlertReceived(alert) => Unreached::Alert(format!("{alert:?}")),
        _ => Unreached::Other(error.to_string()),
    }
}

/// A name without the words around it: `DnsName("a.example")`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// As long as an operator waits gladly.
const PATIENCE: Duration = Duration::from_secs(4);
