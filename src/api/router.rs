//! The whole HTTP surface: which path is answered by whom, and for whom.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use tokio::sync::Semaphore;

use super::access::Door;
use super::attempts::Attempts;
use super::idempotency::{self, Answers};
use super::{
    Access, Backend, Problem, access, calls, cdrs, config, dialplan, events, health, ivr_runs,
    openapi, pages, pcap, recordings, session, timeline, tokens, voicemails, webhooks,
};
use crate::base::Permission;
use crate::signaling::ErrorCode;
use crate::store::Store;
use crate::telemetry::Metrics;

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    /// The gateway.
    pub backend: Arc<dyn Backend>,
    /// The records.
    pub store: Arc<Store>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    pub(super) followers: Arc<Semaphore>,
}

impl Api {
    /// A gateway with its records and its metrics.
    pub fn new(backend: Arc<dyn Backend>, store: Arc<Store>, metrics: Arc<Metrics>) -> Api {
        Api { backend, store, metrics, followers: events::places() }
    }
}

/// The router. `rtc` is the gateway's own part, `GET /v1/rtc`; it gets the same guard and headers.
/// Peers' addresses come from `ConnectInfo<SocketAddr>`; without one a peer counts as a stranger.
pub fn router(api: Api, access: Access, rtc: Router) -> Router {
    let attempts = Attempts::new(Arc::clone(&api.metrics));
    let door = Arc::new(Door { access, attempts });
    let answers = Arc::new(Answers::default());
    // Who may do it, then whether it was done before.
    let may = |permission: Permission, routes: Router<Api>| {
        routes
            .route_layer(from_fn_with_state(Arc::clone(&answers), idempotency::layer))
            .route_layer(from_fn_with_state((Arc::clone(&door), permission), access::authorize))
    };
    let calls_read = Router::new()
        .route("/v1/calls", get(calls::list))
        .route("/v1/calls/{id}", get(calls::show))
        .route("/v1/calls/{id}/trace", get(calls::trace))
        .route("/v1/calls/{id}/quality", get(calls::quality))
        .route("/v1/calls/{id}/dtmf", get(timeline::digits))
        .route("/v1/calls/{id}/events", get(timeline::events))
        .route("/v1/calls/{id}/signalling", get(pcap::signalling))
        .route("/v1/calls/{id}/pcap", get(pcap::pcap))
        .route("/v1/events", get(events::follow));
    let calls_write = Router::new()
        .route("/v1/calls", post(calls::start))
        .route("/v1/calls/{id}/actions/hangup", post(calls::hang_up))
        .route("/v1/calls/{id}/actions/hold", post(calls::hold))
        .route("/v1/calls/{id}/actions/unhold", post(calls::unhold))
        .route("/v1/calls/{id}/actions/dtmf", post(calls::dtmf))
        .route("/v1/calls/{id}/actions/play", post(calls::play))
        .route("/v1/calls/{id}/actions/transfer", post(calls::transfer))
        .route("/v1/calls/{id}/actions/message", post(calls::message));
    let records =
        Router::new().route("/v1/cdrs", get(cdrs::list)).route("/v1/cdrs/{id}", get(cdrs::show));
    let recordings_read = Router::new()
        .route("/v1/recordings", get(recordings::list))
        .route("/v1/recordings/{id}", get(recordings::show))
        .route("/v1/recordings/{id}/audio", get(recordings::audio))
        .route("/v1/voicemails", get(voicemails::list))
        .route("/v1/voicemails/{id}", get(voicemails::show))
        .route("/v1/voicemails/{id}/audio", get(voicemails::audio));
    let recordings_write = Router::new()
        .route("/v1/recordings/{id}", delete(recordings::remove))
        .route("/v1/voicemails/{id}", delete(voicemails::remove))
        .route("/v1/calls/{id}/actions/record", post(recordings::record));
    let ivr_read = Router::new()
        .route("/v1/ivr-runs", get(ivr_runs::list))
        .route("/v1/ivr-runs/{id}", get(ivr_runs::show));
    let ivr_write = Router::new().route("/v1/ivr-runs", post(ivr_runs::keep));
    let config_read = Router::new()
        .route("/v1/dialplan", get(dialplan::show))
        .route("/v1/dialplan/versions", get(dialplan::versions))
        .route("/v1/dialplan/check", post(dialplan::check))
        .route("/v1/dialplan/explain", post(dialplan::explain))
        .route("/v1/users", get(config::users))
        .route("/v1/users/{user}", get(config::user))
        .route("/v1/webhooks", get(webhooks::list))
        .route("/v1/webhooks/{name}/deliveries", get(webhooks::deliveries))
        .route("/v1/trunks", get(config::trunks))
        .route("/v1/trunks/{id}", get(config::trunk));
    let config_write = Router::new()
        .route("/v1/dialplan", put(dialplan::put))
        .route(
            "/v1/webhooks/{name}/deliveries/{delivery}/actions/redeliver",
            post(webhooks::redeliver),
        )
        .route("/v1/users/{user}/actions/release", post(dialplan::release))
        .route("/v1/trunks/{id}/actions/test", post(config::test_trunk));
    let tokens = Router::new()
        .route("/v1/client-tokens", post(tokens::mint))
        .route("/v1/client-tokens/actions/revoke", post(tokens::revoke));
    let metrics = Router::new().route("/metrics", get(health::metrics));
    let admin = may(Permission::CallsRead, calls_read)
        .merge(may(Permission::CallsWrite, calls_write))
        .merge(may(Permission::RecordsRead, records))
        .merge(may(Permission::RecordingsRead, recordings_read))
        .merge(may(Permission::RecordingsWrite, recordings_write))
        .merge(may(Permission::IvrRead, ivr_read))
        .merge(may(Permission::IvrWrite, ivr_write))
        .merge(may(Permission::ConfigRead, config_read))
        .merge(may(Permission::ConfigWrite, config_write))
        .merge(may(Permission::TokensWrite, tokens))
        .merge(may(Permission::MetricsRead, metrics));
    let login = Router::new()
        .route("/v1/session", get(session::show).post(session::log_in).delete(session::log_out))
        .with_state(Arc::clone(&door));
    let near = Router::new()
        .merge(login)
        .merge(pages::admin())
        .route_layer(from_fn_with_state(Arc::clone(&door), access::near_enough));
    let demo = Router::new()
        .route("/phone.json", get(demo_phone))
        .route_layer(from_fn(access::always_local));
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/openapi.json", get(openapi::describe))
        .merge(admin)
        .merge(demo)
        .with_state(api)
        .merge(near)
        .merge(pages::routes())
        .merge(rtc)
        .fallback(async || Problem::new(ErrorCode::RequestNotFound))
        .method_not_allowed_fallback(async || Problem::new(ErrorCode::RequestMethod))
        .layer(from_fn_with_state(door, access::guard))
}

/// What the web phone of a demo starts with.
async fn demo_phone(State(api): State<Api>) -> Response {
    match api.backend.demo_phone() {
        Some(phone) => axum::Json(phone).into_response(),
        None => Problem::new(ErrorCode::RequestNotFound).into_response(),
    }
}
