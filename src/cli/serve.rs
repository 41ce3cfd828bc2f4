//! `crosspoint serve`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::arguments::{Log, LogFormat, Serve};
use super::notify::{self, News};
use super::{Unusable, http};
use crate::api::Keys;
use crate::config;
use crate::gateway::Gateway;
use crate::sip::Transport;
use crate::telemetry::{self, Format, Settings};

pub(super) async fn run(arguments: Serve) -> Result<ExitCode, Unusable> {
    logging(&arguments.log, "info")?;
    // From here on it is a request; without a listener it would end the process.
    let hangups = signal(SignalKind::hangup()).map_err(Unusable::new)?;
    let loaded = match config::load(&arguments.config, &environment()) {
        Ok(loaded) => loaded,
        Err(error @ config::LoadError::Findings(_)) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(2));
        }
        Err(error) => return Err(Unusable::new(error)),
    };
    let listener = http::bind(loaded.config.http.listen)?;
    let certificates = http::certificates(&loaded.config)?;
    let gateway = Gateway::start(&loaded.config, loaded.plan).await.map_err(Unusable::new)?;
    // After it, so that what cannot start leaves no key behind.
    let access = http::access(&loaded.config)?;
    let keys = Arc::clone(&access.keys);
    let http = http::start(listener, &gateway, (access, certificates), None)?;
    let sip = |transport| gateway.sip_addr(transport).map(|address| address.to_string());
    tracing::info!(
        http = %http.address,
        sip_udp = sip(Transport::Udp),
        sip_tcp = sip(Transport::Tcp),
        sip_tls = sip(Transport::Tls),
        "ready"
    );
    notify::tell(News::Ready);
    let reloads =
        tokio::spawn(reload_on_signal(gateway.clone(), (arguments.config, keys), hangups));
    survive_file_size_limit();
    let stop = http::StopSignals::new();
    let mut stop = stop.map_err(Unusable::new)?;
    stop.next().await;
    notify::tell(News::Stopping);
    reloads.abort();
    // Cancellation safe: a drain that is given up leaves nothing undone that the stop does not do.
    tokio::select! {
        () = gateway.drain() => {}
        () = stop.next() => tracing::info!("a second signal: calls end now"),
    }
    gateway.stop(PATIENCE).await;
    http.stop().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// A write beyond the limit of a file's size (`ulimit -f`) is an error like that of a full disk, which
/// the spool outlives, and not the end of every call: once handled, the signal does nothing more.
fn survive_file_size_limit() {
    /// signal(7), on every architecture of Linux but MIPS and PA-RISC.
    const SIGXFSZ: i32 = 25;
    if let Err(error) = signal(SignalKind::from_raw(SIGXFSZ)) {
        tracing::warn!(%error, "a file size limit would end the gateway");
    }
}

/// SIGHUP reads the dial plan, certificates and keys again. Everything else of the configuration needs a new
/// start.
async fn reload_on_signal(
    gateway: Gateway,
    (config, keys): (PathBuf, Arc<Keys>),
    mut hangups: Signal,
) {
    // Cancellation safe: a signal loses nothing.
    while hangups.recv().await.is_some() {
        tracing::info!(
            "SIGHUP: the dial plan, its rates and certificates are read again, and the keys of the API; users, trunks and all other \
             settings stay as they were at the start"
        );
        notify::tell(News::Reloading);
        let gateway = gateway.clone();
        let own = gateway.clone();
        let certificates = tokio::task::spawn_blocking(move || own.reload_certificates()).await;
        if let Ok(Err(error)) = certificates {
            tracing::error!(%error, "certificates were not read again; the old ones serve");
        }
        let (path, own) = (config.clone(), Arc::clone(&keys));
        let keys = move || http::reload_keys(&path, &environment(), &own);
        // What is wrong is in the log already.
        let _ = tokio::task::spawn_blocking(keys).await;
        let _ = tokio::task::spawn_blocking(move || gateway.reload_plan()).await;
        notify::tell(News::Ready);
    }
}

/// Starts the log as the command line says.
pub(super) fn logging(log: &Log, level: &str) -> Result<(), Unusable> {
    let format = match log.log_format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let level = log.log_level.clone().unwrap_or_else(|| level.to_owned());
    telemetry::init(&Settings { format, level }).map_err(Unusable::new)
}

/// The variables of the process that are text.
pub(super) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// How long calls may take to end when the gateway stops.
const PATIENCE: Duration = Duration::from_secs(5);
