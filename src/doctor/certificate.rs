//! Certificates that are in files: readable, the right key beside them, valid now and for a while, for
//! which names.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::report::Report;
use crate::config::Config;

/// Every certificate of ours; `host` is the name that browsers will use.
pub(super) fn check(config: &Config, host: Option<&str>, now_unix: Duration, report: &mut Report) {
    let file = |name: &str| config.directory.join(name);
    match &config.http.tls {
        Some(own) => {
            let name = host.map(str::to_owned);
            one("certificate: http", [file(&own.cert), file(&own.key)], name, now_unix, report);
        }
        None if config.http.acme.is_some() => acme(config, host, report),
        None if config.http.listen.ip().is_loopback() => {
            report
                .ok("certificate: http", "none needed: the page is on loopback, or behind a proxy");
        }
        None => report.warn(
            "certificate: http",
            "none, and HTTP is open to the network: browsers give such a page no microphone",
            "[http] tls = { cert = \"…\", key = \"…\" }, or a proxy with a certificate and \
             listen = \"127.0.0.1:8080\"",
        ),
    }
    if let Some(own) = &config.sip.tls {
        one("certificate: sip", [file(&own.cert), file(&own.key)], None, now_unix, report);
    }
    for trunk in config.trunks.values() {
        if let Some((cert, key)) = &trunk.tls.identity {
            let check = format!("certificate: trunk {}", trunk.id);
            one(&check, [file(cert), file(key)], None, now_unix, report);
        }
    }
}

/// It cannot be seen from here whether the authority comes through; what it needs can.
fn acme(config: &Config, host: Option<&str>, report: &mut Report) {
    let Some(own) = &config.http.acme else { return };
    let check = "certificate: http";
    let found = format!("by ACME for {}, kept in {}", own.domain, own.folder.display());
    let port = config.http.listen.port();
    if host.is_some_and(|host| !host.eq_ignore_ascii_case(&own.domain)) {
        report.fail(check, found, "[http.acme] domain is the name that browsers use");
    } else if port != 443 {
        report.warn(
            check,
            format!("{found}; the authority comes to port 443, and HTTP listens on {port}"),
            "listen = \"0.0.0.0:443\", or forward TCP 443 to it as it is (TLS-ALPN-01, RFC 8737)",
        );
    } else {
        report.ok(check, found);
    }
}

fn one(
    check: &str,
    [cert, key]: [impl AsRef<Path>; 2],
    host: Option<String>,
    now_unix: Duration,
    report: &mut Report,
) {
    let (cert, key) = (cert.as_ref(), key.as_ref());
    let shown = cert.display();
    let chain = match chain(cert) {
        Ok(chain) => chain,
        Err(error) => {
            let fix = "PEM: our own certificate first, then those that lead to its root";
            return report.fail(check, format!("{shown}: {error}"), fix);
        }
    };
    if let Err(error) = pair(&chain, key) {
        let found = format!("{} does not fit {shown}: {error}", key.display());
        return report.fail(check, found, "the private key of this very certificate, in PEM");
    }
    let Ok(leaf) = Certificate::from_der(&chain[0]) else {
        return report.fail(check, format!("{shown}: no X.509 certificate"), "get another one");
    };
    let validity = leaf.tbs_certificate().validity();
    let (from, until) =
        (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
    let renew = "renew it; Crosspoint reads the files again when they change";
    if until <= now_unix {
        let days = (now_unix - until).as_secs() / DAY_S;
        return report.fail(check, format!("{shown}: over since {days} days"), renew);
    }
    if from > now_unix {
        return report.fail(check, format!("{shown}: not valid yet"), "is our clock right?");
    }
    let names = names(&leaf);
    if let Some(host) = host.filter(|host| !names.iter().any(|name| is_for(name, host))) {
        return report.fail(
            check,
            format!("{shown}: for {}, not for {host}", words(&names)),
            "get one for the name that browsers use",
        );
    }
    let days = (until - now_unix).as_secs() / DAY_S;
    let found = format!("{shown}: for {}, {days} days left, its key fits", words(&names));
    if until - now_unix < SOON.min((until - from) / 4) {
        report.warn(check, found, renew);
    } else if chain.len() == 1
        && leaf.tbs_certificate().issuer() != leaf.tbs_certificate().subject()
    {
        report.warn(
            check,
            format!("{found}, alone in its file"),
            "if an intermediate authority signed it, add that authority's certificate behind it: \
             browsers may fetch it, SIP peers do not",
        );
    } else {
        report.ok(check, found);
    }
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| error.to_string())?;
    if chain.is_empty() {
        return Err("no certificate in it".to_owned());
    }
    Ok(chain)
}

fn pair(chain: &[CertificateDer<'static>], key: &Path) -> Result<(), String> {
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?.with_no_client_auth();
    builder.with_single_cert(chain.to_vec(), key).map(drop).map_err(|error| error.to_string())
}

/// What the certificate is for (RFC 6125: the common name counts no more).
fn names(leaf: &Certificate) -> Vec<String> {
    let Ok(Some((_, names))) = leaf.tbs_certificate().get_extension::<SubjectAltName>() else {
        return Vec::new();
    };
    let name = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
        GeneralName::IpAddress(octets) => {
            let octets = octets.as_bytes();
            let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
            address.ok().map(|own| own.to_string())
        }
        _ => None,
    };
    names.0.iter().filter_map(name).collect()
}

/// RFC 6125 6.4.3: a star is the whole leftmost label.
fn is_for(name: &str, host: &str) -> bool {
    if let Some(parent) = name.strip_prefix("*.") {
        return host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent));
    }
    name.eq_ignore_ascii_case(host)
}

fn words(names: &[String]) -> String {
    if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") }
}

const DAY_S: u64 = 86_400;
/// Let's Encrypt renews with 30 days left; shorter-lived ones with a quarter of their time.
const SOON: Duration = Duration::from_secs(21 * DAY_S);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_label() {
        for (name, host, fits) in [
            ("a.example", "A.example", true),
            ("*.example", "a.example", true),
            ("*.example", "a.b.example", false),
            ("*.example", "example", false),
            ("192.0.2.1", "192.0.2.1", true),
        ] {
            assert_eq!(is_for(name, host), fits, "{name} {host}");
        }
    }
}
