//! The order of the checks: files first, then the machine, then what is asked over the network.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::network::{self, Gateway};
use super::report::Report;
use super::{certificate, host, records, trunks, turn};
use crate::config::{self, Config, LoadError};
use crate::store::is_held;

/// What is to be looked at.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The configuration.
    pub config: &'a Path,
    /// The environment of the process.
    pub variables: &'a BTreeMap<String, String>,
    /// The name that browsers will use, where it is to be checked.
    pub host: Option<&'a str>,
}

/// Looks at everything. Takes some seconds, more where a server is silent.
pub async fn examine(asked: &Asked<'_>) -> Report {
    let mut report = Report::new();
    let Some(config) = configuration(asked, &mut report) else { return report };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    host::check(&config, now, &mut report);
    certificate::check(&config, asked.host, now, &mut report);
    if let Some(host) = asked.host {
        name(host, &mut report).await;
    }
    let settings = config.store.settings();
    let gateway = if is_held(&settings) { Gateway::Runs } else { Gateway::Stands };
    network::ports(&config, gateway, &mut report);
    records::check(&config, now, &mut report).await;
    let seen = turn::check(&config, now.as_secs(), &mut report).await;
    if config.ice.servers.is_empty() && !config.http.listen.ip().is_loopback() {
        report.warn(
            "ice servers",
            "none: pages behind strict firewalls get no sound",
            "[ice] servers = [{ urls = [\"turn:HOST:3478\"], secret_file = \"…\" }]",
        );
    }
    network::advertised(&config, seen, &mut report);
    trunks::check(&config, &mut report).await;
    report
}

fn configuration(asked: &Asked<'_>, report: &mut Report) -> Option<Config> {
    let check = "configuration";
    let shown = asked.config.display();
    match config::load(asked.config, asked.variables) {
        Ok(loaded) => {
            let own = &loaded.config;
            let found = format!(
                "{shown}: {} trunks, {} users, plan {}",
                own.trunks.len(),
                own.users.len(),
                own.dialplan
            );
            match loaded.plan.plan.warnings() {
                [] => report.ok(check, found),
                [first, ..] => report.warn(
                    check,
                    format!("{found}; {first}"),
                    format!("crosspoint config check {shown} has all of it"),
                ),
            }
            if own.auth.token_secret.is_none() {
                report.warn(
                    "token secret",
                    "none: one is made at each start, and no page's token outlives it",
                    "head -c 32 /dev/urandom | base64 > token.key, then [auth] token_secret_file",
                );
            } else {
                report.ok("token secret", "there, and long enough");
            }
            Some(loaded.config)
        }
        Err(error) => {
            report.usable = !matches!(error, LoadError::Unreadable(_));
            let fix = match report.usable {
                true => "correct the lines named; `crosspoint config schema` has every key",
                false => "--config FILE; the README has one to begin with",
            };
            report.fail(check, error.to_string().replace('\n', "; "), fix);
            None
        }
    }
}

/// The name that browsers use is one that this machine finds, too.
async fn name(host: &str, report: &mut Report) {
    let check = format!("name {host}");
    match tokio::net::lookup_host((host, 443)).await {
        Ok(found) => {
            let addresses: Vec<String> = found.map(|own| own.ip().to_string()).collect();
            report.ok(check, format!("is {}", addresses.join(", ")));
        }
        Err(error) => {
            report.fail(check, format!("is not found: {error}"), "give it an A or AAAA record")
        }
    }
}
