//! The HTTP side of a running gateway: listener, router, orderly end.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Unusable;
use crate::api::{
    self, Access, AcmeOrder, AcmeWork, Admin, Api, Certificates, Demo, GatewayBackend, Holder,
    Keys, OperatorKey, Served,
};
use crate::base::{Permission, Secret};
use crate::config::{self, AdminAccess, Config};
use crate::gateway::Gateway;

/// HTTP that serves until it is stopped.
pub(super) struct Http {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Binds; done before anything else starts, so that a taken port leaves no trace.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, Unusable> {
    listen(address)
        .map_err(|error| Unusable::new(format_args!("HTTP cannot listen on {address}: {error}")))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    // Inherited by every connection. Bounded, so that what a slow peer has taken shows soon: a third of
    // it makes room for the next write.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Who may use the surface, as the configuration says; the operator's key is made where there is none.
pub(super) fn access(config: &Config) -> Result<Access, Unusable> {
    let file = Path::new(&config.http.operator_key_file);
    let operator = match api::operator_key(file) {
        Ok((key, OperatorKey::Made)) => {
            tracing::info!(file = %file.display(), "the operator's key for /admin was made");
            Some(key)
        }
        Ok((key, OperatorKey::Found)) => Some(key),
        Err(error) => {
            let file = file.display();
            let message = format_args!("[http] operator_key_file {file}: {error}");
            if config.http.admin == AdminAccess::Key && config.api_keys.is_empty() {
                return Err(Unusable::new(message));
            }
            tracing::warn!("{message}; nobody can log in to /admin with it");
            None
        }
    };
    let keys = Keys::new(named(config));
    keys.replace(Holder::Operator, operator.map(of_operator));
    Ok(Access {
        admin: match config.http.admin {
            AdminAccess::Loopback => Admin::LoopbackOnly,
            AdminAccess::Key => Admin::WithKey,
        },
        keys: Arc::new(keys),
        allowed_origins: config.http.allowed_origins.clone(),
    })
}

/// Reads the keys again: those that the configuration names now, and the operator's. What cannot be read
/// stays as it was, which an error in the log says. Waits for the disk.
pub(super) fn reload_keys(path: &Path, variables: &BTreeMap<String, String>, keys: &Keys) {
    let config = match config::load_settings(path, variables) {
        Ok((config, _)) => config,
        Err(error) => {
            tracing::error!(%error, "the keys of the API were not read again; the old ones stay in force");
            return;
        }
    };
    keys.replace(Holder::Program, named(&config));
    let file = Path::new(&config.http.operator_key_file);
    match api::read_operator_key(file) {
        Ok(key) => keys.replace(Holder::Operator, [of_operator(key)]),
        Err(error) => {
            let file = file.display();
            tracing::error!(%file, %error, "the operator's key was not read again; the old one stays in force");
        }
    }
    let named: Vec<&str> = config.api_keys.keys().map(String::as_str).collect();
    tracing::info!(keys = named.join(" "), "the keys of the API were read again");
}

type Named = (String, Secret<String>, Vec<Permission>);

fn named(config: &Config) -> impl Iterator<Item = Named> {
    let keys = config.api_keys.iter();
    keys.map(|(name, own)| (name.clone(), own.key.clone(), own.permissions.clone()))
}

fn of_operator(key: Secret<String>) -> Named {
    ("operator".to_owned(), key, Permission::ALL.to_vec())
}

/// Where the certificate of HTTP comes from, and what keeps it up to date.
pub(super) enum Source {
    Files(Arc<Certificates>),
    Authority(Arc<Certificates>, Box<AcmeWork>),
}

/// The certificate of HTTP, where the configuration names one.
pub(super) fn certificates(config: &Config) -> Result<Option<Source>, Unusable> {
    let file = |name: &str| config.directory.join(name);
    if let Some(acme) = &config.http.acme {
        let order = AcmeOrder {
            domain: acme.domain.clone(),
            contact: acme.contact.clone(),
            folder: acme.folder.clone(),
            directory: acme.directory.clone(),
            ca: acme.ca.as_deref().map(file),
        };
        let own = Certificates::by_acme(&order);
        let (own, work) =
            own.map_err(|error| Unusable::new(format_args!("[http] acme: {error}")))?;
        return Ok(Some(Source::Authority(Arc::new(own), Box::new(work))));
    }
    let Some(tls) = &config.http.tls else { return Ok(None) };
    let own = Certificates::load(file(&tls.cert), file(&tls.key));
    own.map(|own| Some(Source::Files(Arc::new(own))))
        .map_err(|error| Unusable::new(format_args!("[http] tls: {error}")))
}

/// Reads the certificate again when its files have changed.
async fn watch(own: Arc<Certificates>) {
    let look = |own: Arc<Certificates>| tokio::task::spawn_blocking(move || own.written());
    let Ok(mut before) = look(own.clone()).await else { return };
    loop {
        tokio::time::sleep(CERTIFICATE_LOOK).await;
        let Ok(written) = look(own.clone()).await else { return };
        if written == before {
            continue;
        }
        let reading = own.clone();
        match tokio::task::spawn_blocking(move || reading.reload()).await {
            Ok(Ok(())) => {
                before = written;
                tracing::info!("the certificate of HTTP was read again");
            }
            // Both files are seldom written at once: the next look may find them whole.
            Ok(Err(error)) => {
                tracing::warn!(%error, "the certificate of HTTP was not read again; the old one serves");
            }
            Err(_) => return,
        }
    }
}

/// Serves a gateway.
pub(super) fn start(
    listener: TcpListener,
    gateway: &Gateway,
    (access, certificates): (Access, Option<Source>),
    demo: Option<Demo>,
) -> Result<Http, Unusable> {
    let address = listener.local_addr().map_err(Unusable::new)?;
    let backend = Arc::new(GatewayBackend::new(gateway.clone(), demo));
    let api = Api::new(backend, gateway.store(), gateway.metrics());
    let router = api::router(api, access, api::rtc(gateway.server().clone()));
    let served = Served { router, metrics: gateway.metrics() };
    let (stop, stopped) = oneshot::channel();
    let stopped = async {
        // A dropped sender stops it, too.
        let _ = stopped.await;
    };
    let task = match certificates {
        None => tokio::spawn(api::serve(listener, served, stopped, PATIENCE)),
        Some(source) => {
            let own = match source {
                Source::Files(own) => {
                    tokio::spawn(watch(own.clone()));
                    own
                }
                Source::Authority(own, work) => {
                    tokio::spawn(work.run());
                    own
                }
            };
            tokio::spawn(api::serve_tls(listener, own, served, stopped, PATIENCE))
        }
    };
    Ok(Http { address, stop, task })
}

impl Http {
    /// Takes no more requests and waits for those in progress.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(PATIENCE * 2, self.task).await;
    }
}

/// SIGTERM and Ctrl-C, each as often as it comes.
pub(super) struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignals {
    pub(super) fn new() -> std::io::Result<StopSignals> {
        use tokio::signal::unix::{SignalKind, signal};
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(StopSignals { terminate: signal(terminate)?, interrupt: signal(interrupt)? })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        // Cancellation safe: a signal that comes meanwhile is the one waited for.
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits for SIGTERM or Ctrl-C.
pub(super) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    // Cancellation safe: a signal that comes meanwhile is the one waited for.
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Octets; Linux takes twice as much. Enough for 1 MB/s to a browser 200 ms away.
const SEND_BUFFER: u32 = 192 * 1024;
const BACKLOG: u32 = 1024;
const CERTIFICATE_LOOK: Duration = Duration::from_secs(2);
/// How long a request in progress may take when the gateway stops.
const PATIENCE: Duration = Duration::from_secs(2);
