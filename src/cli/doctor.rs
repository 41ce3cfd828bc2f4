//! `crosspoint doctor`: what a new installation trips over, and a call on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use super::arguments::{Doctor, Output};
use super::selftest::{self, Folder};
use super::{Unusable, demo, serve};
use crate::doctor::{Asked, Report, examine};
use crate::selftest::{Check, brief};

pub(super) async fn run(arguments: Doctor, output: Output) -> Result<ExitCode, Unusable> {
    serve::logging(&arguments.log, "error")?;
    let variables = serve::environment();
    let asked =
        Asked { config: &arguments.config, variables: &variables, host: arguments.host.as_deref() };
    let mut report = examine(&asked).await;
    if !arguments.no_call && report.usable {
        match call().await {
            Ok(checks) => told(&checks, &mut report),
            Err(error) => report.fail(
                CALL,
                error.to_string(),
                "a gateway on loopback must start on this machine: `crosspoint demo` says more",
            ),
        }
    }
    if arguments.json || output == Output::Json {
        let text = serde_json::to_string_pretty(&report).map_err(Unusable::new)?;
        println!("{text}");
    } else {
        print!("{}", report.text());
    }
    Ok(ExitCode::from(report.exit()))
}

/// A call through a gateway and a carrier of its own, all on loopback: codecs, DTLS, SRTP and threads
/// work on this machine.
async fn call() -> Result<Vec<Check>, Unusable> {
    let folder = Folder::new("doctor")?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let running = demo::start(any, &folder.0.join("doctor.db")).await?;
    let options = selftest::own(&running, |_| {})?;
    let report = brief(&options).await;
    running.stop().await;
    Ok(report.checks)
}

fn told(checks: &[Check], report: &mut Report) {
    for check in checks {
        let name = format!("{CALL}: {}", check.name);
        let figures = check.measured.iter().map(|(name, value)| format!("{name} {value}"));
        let figures = figures.collect::<Vec<_>>().join(", ");
        match (&check.error, check.ok) {
            (None, true) => report.ok(name, figures),
            (error, _) => report.fail(
                name,
                error.clone().unwrap_or(figures),
                "nothing but this machine is in its way: is it overloaded, or does a local firewall \
                 filter loopback? `crosspoint selftest` measures more",
            ),
        }
    }
}

const CALL: &str = "call on loopback";
