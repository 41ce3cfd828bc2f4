//! Runs the router on a listener. A peer has 10 s for its headers, and bounded room for them; it takes
//! some of each answer within 10 s, and one address has a part of the places only.

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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

use super::Certificates;
use super::places::{Bounds, Place, Places, Standing};
use super::watched::{Answering, Watched};
use crate::telemetry::Metrics;

/// What a listener serves.
pub struct Served {
    /// The whole surface.
    pub router: Router,
    /// Where it is counted who was refused: `crosspoint_drops_total`.
    pub metrics: Arc<Metrics>,
}

/// What a peer may take, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From the connection, or the last answer, to the end of a request's headers.
    pub(super) headers: Duration,
    /// As long may a peer take no byte of what is written for it.
    pub(super) writing: Duration,
    pub(super) places: Bounds,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { headers: SLOW, writing: SLOW, places: Bounds::default() }
    }
}

/// Serves until `stop` is done, then lets requests in progress finish for at most
/// `patience`. Upgraded sockets (WebSocket) belong to their own driver and are not waited for.
pub async fn serve(
    listener: TcpListener,
    served: Served,
    stop: impl Future<Output = ()>,
    patience: Duration,
) {
    run(listener, None, served, stop, patience, Limits::default()).await;
}

/// The same over TLS.
pub async fn serve_tls(
    listener: TcpListener,
    certificates: Arc<Certificates>,
    served: Served,
    stop: impl Future<Output = ()>,
    patience: Duration,
) {
    run(listener, Some(certificates), served, stop, patience, Limits::default()).await;
}

/// [`serve`] or [`serve_tls`] with other limits.
pub(super) async fn run(
    listener: TcpListener,
    certificates: Option<Arc<Certificates>>,
    Served { router, metrics }: Served,
    stop: impl Future<Output = ()>,
    patience: Duration,
    limits: Limits,
) {
    let places = Places::new(limits.places);
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
                    let place = match places.take(peer.ip()) {
                        Ok(place) => place,
                        Err(full) => {
                            metrics.dropped(full.reason(), 1);
                            continue;
                        }
                    };
                    if place.displaced {
                        metrics.dropped("http-displaced", 1);
                    }
                    let (router, stopped) = (router.clone(), stopped.clone());
                    let counted = Arc::clone(&metrics);
                    let stalled = move || counted.dropped("http-stalled", 1);
                    let _ = stream.set_nodelay(true);
                    let stream = Watched::new(stream, limits.writing, place.standing(), stalled);
                    let acceptor = certificates.as_ref().map(|own| own.acceptor());
                    let open = Open { peer, router, stopped, limits };
                    connections.spawn(accepted_by(place, stream, acceptor, open));
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

struct Open {
    peer: SocketAddr,
    router: Router,
    stopped: watch::Receiver<()>,
    limits: Limits,
}

async fn accepted_by(
    place: Place,
    stream: Watched<TcpStream>,
    acceptor: Option<TlsAcceptor>,
    open: Open,
) {
    let standing = place.standing();
    let served = async {
        match acceptor {
            None => connection(stream, Wire::Plain, place.standing(), open).await,
            Some(acceptor) => {
                // Who does not shake hands in time is let go like who sends no headers.
                let shaken = acceptor.accept(stream);
                match tokio::time::timeout(open.limits.headers, shaken).await {
                    Ok(Ok(stream)) => connection(stream, Wire::Tls, place.standing(), open).await,
                    Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
                    Err(_) => {}
                }
            }
        }
    };
    // Cancel safe: a connection that makes room for another is not taken up again.
    tokio::select! {
        () = served => {}
        () = standing.left() => {}
    }
    drop(place);
}

async fn connection<S>(stream: S, wire: Wire, standing: Arc<Standing>, open: Open)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Open { peer, router, mut stopped, limits } = open;
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(wire);
        let router = router.clone();
        let in_progress = standing.request();
        async move {
            // A router is always ready and never fails.
            let mut service = router.into_service::<Body>();
            let answer = service.call(request.map(Body::new)).await;
            answer.map(|answer| answer.map(|body| Answering::new(body, in_progress)))
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
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

/// The security defaults: slow and idle peers are closed after 10 s.
const SLOW: Duration = Duration::from_secs(10);
/// Room for a request's head; the router itself refuses headers of more than 8 KiB.
const MAX_BUFFER: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;
