//! Runs the router on a listener. A peer has 10 s for its headers, and bounded room for them.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service;

use super::Certificates;

/// Serves until `stop` is done, then lets requests in progress finish for at most
/// `patience`. Upgraded sockets (WebSocket) belong to their own driver and are not waited for.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    patience: Duration,
) {
    run(listener, router, stop, patience, HEADER_TIME).await;
}

/// The same over TLS.
pub async fn serve_tls(
    listener: TcpListener,
    certificates: Arc<Certificates>,
    router: Router,
    stop: impl Future<Output = ()>,
    patience: Duration,
) {
    run_over(listener, Some(certificates), router, stop, patience, HEADER_TIME).await;
}

/// [`serve`] with another time for a peer's headers.
pub(super) async fn run(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    patience: Duration,
    header_time: Duration,
) {
    run_over(listener, None, router, stop, patience, header_time).await;
}

async fn run_over(
    listener: TcpListener,
    certificates: Option<Arc<Certificates>>,
    router: Router,
    stop: impl Future<Output = ()>,
    patience: Duration,
    header_time: Duration,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stopping, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        // Cancel safe: `accept` and `join_next` lose nothing when another branch is taken.
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Beyond the bound a peer is closed at once: those inside are served.
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                    let (router, stopped) = (router.clone(), stopped.clone());
                    let acceptor = certificates.as_ref().map(|own| own.acceptor());
                    connections.spawn(async move {
                        let _ = stream.set_nodelay(true);
                        let open = (peer, router, stopped, header_time);
                        match acceptor {
                            None => connection(stream, Wire::Plain, open).await,
                            Some(acceptor) => {
                                // Who does not shake hands in time is let go like who sends no headers.
                                let shaken = acceptor.accept(stream);
                                match tokio::time::timeout(header_time, shaken).await {
                                    Ok(Ok(stream)) => connection(stream, Wire::Tls, open).await,
                                    Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
                                    Err(_) => {}
                                }
                            }
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of descriptors, most of all: wait for some to come back.
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    drop(stopping);
    let finish = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(patience, finish).await;
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// As it is.
    Plain,
    /// Nobody on the way could read it.
    Tls,
}

type Open = (SocketAddr, Router, watch::Receiver<()>, Duration);

async fn connection<S>(stream: S, wire: Wire, (peer, router, mut stopped, header_time): Open)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(wire);
        let router = router.clone();
        async move {
            // A router is always ready and never fails.
            let mut service = router.into_service::<Body>();
            service.call(request.map(Body::new)).await
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(header_time)
        .max_buf_size(MAX_BUFFER)
        .max_headers(MAX_HEADERS);
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(connection);
    // Cancel safe: the connection is polled again until it is done.
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection broke");
    }
}

/// The security defaults: the first message of a peer within 10 s.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Room for a request's head; the router itself refuses headers of more than 8 KiB.
const MAX_BUFFER: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;
const MAX_CONNECTIONS: usize = 8192;
