//! `GET /v1/rtc`: the signalling WebSocket, handed to its driver.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;

use crate::signaling::socket::Server;

/// The route of the signalling WebSocket.
pub fn rtc(server: Server) -> Router {
    Router::new().route("/v1/rtc", get(upgrade)).with_state(server)
}

async fn upgrade(
    State(server): State<Server>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    server.upgrade(upgrade, &headers, peer)
}
