//! The HTTP side of a running gateway: listener, router, orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Unusable;
use crate::api::{self, Access, Api, Demo, GatewayBackend};
use crate::gateway::Gateway;

/// HTTP that serves until it is stopped.
pub(super) struct Http {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Binds; done before anything else starts, so that a taken port leaves no trace.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Unusable> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Unusable::new(format_args!("HTTP cannot listen on {address}: {error}")))
}

/// Serves a gateway.
pub(super) fn start(
    listener: TcpListener,
    gateway: &Gateway,
    allowed_origins: Vec<String>,
    demo: Option<Demo>,
) -> Result<Http, Unusable> {
    let address = listener.local_addr().map_err(Unusable::new)?;
    let api = Api {
        backend: Arc::new(GatewayBackend::new(gateway.clone(), demo)),
        store: gateway.store(),
        metrics: gateway.metrics(),
    };
    let access = Access { allowed_origins, ..Access::default() };
    let router = api::router(api, access, api::rtc(gateway.server().clone()));
    let (stop, stopped) = oneshot::channel();
    let stopped = async {
        // A dropped sender stops it, too.
        let _ = stopped.await;
    };
    let task = tokio::spawn(api::serve(listener, router, stopped, PATIENCE));
    Ok(Http { address, stop, task })
}

impl Http {
    /// Takes no more requests and waits for those in progress.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(PATIENCE * 2, self.task).await;
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

/// How long a request in progress may take when the gateway stops.
const PATIENCE: Duration = Duration::from_secs(2);
