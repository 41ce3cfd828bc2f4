//! The description of the API (OpenAPI 3.1), made from the handlers and their types.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

use super::{
    calls, cdrs, config, dialplan, events, health, ivr_runs, pcap, recordings, session, timeline,
    tokens, voicemails, webhooks,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Crosspoint",
        description = "A telephony gateway between WebRTC and SIP. Times are RFC 3339 UTC, durations \
                       in ms, numbers E.164. Every error is `application/problem+json` with a stable \
                       `code`; lists page by cursor; a POST may carry an `Idempotency-Key`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        calls::list, calls::start, calls::show, calls::trace, calls::quality, calls::hang_up,
        calls::hold, calls::unhold, calls::dtmf, calls::play, calls::transfer, calls::message,
        pcap::signalling, pcap::pcap,
        timeline::digits, timeline::events, events::follow,
        cdrs::list, cdrs::show,
        voicemails::list, voicemails::show, voicemails::audio, voicemails::remove,
        recordings::list, recordings::show, recordings::audio, recordings::remove,
        recordings::record,
        ivr_runs::keep, ivr_runs::list, ivr_runs::show,
        config::trunks, config::trunk, config::test_trunk, config::users, config::user,
        dialplan::show, dialplan::versions, dialplan::put, dialplan::check, dialplan::explain, dialplan::release,
        webhooks::list, webhooks::deliveries, webhooks::redeliver,
        tokens::mint, tokens::revoke,
        session::log_in, session::show, session::log_out,
        health::healthz, health::readyz, health::metrics, describe,
    ),
    components(schemas(super::problem::Body)),
    security(("key" = []), ("login" = [])),
    tags(
        (name = "calls", description = "Calls that are on, and what happens"),
        (name = "records", description = "Calls that were"),
        (name = "recordings", description = "What was said in calls"),
        (name = "tests of menus", description = "Runs of `crosspoint ivr run`"),
        (name = "configuration", description = "Trunks, users, the dial plan"),
        (name = "tokens", description = "What pages sign in with"),
        (name = "session", description = "The operator\u{2019}s login"),
        (name = "operations", description = "Health and metrics"),
    ),
)]
struct Description;

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn describe() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document()).into_response()
}

/// The description as text; the same bytes each time.
pub fn document() -> String {
    let mut api = Description::openapi();
    let components = api.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    let bearer = bearer.description(Some("A key of the configuration, or the operator\u{2019}s."));
    components.add_security_scheme("key", SecurityScheme::Http(bearer.build()));
    let cookie = ApiKeyValue::with_description(super::access::COOKIE, "Of `POST /v1/session`.");
    components.add_security_scheme("login", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    for item in api.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        operations.into_iter().flatten().for_each(refusals);
    }
    let mut text = api.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Whatever is asked for may be refused, always in the same form.
fn refusals(operation: &mut Operation) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let problem = ResponseBuilder::new()
        .description("Refused")
        .content("application/problem+json", content)
        .build();
    for status in ["4XX", "5XX"] {
        let responses = &mut operation.responses.responses;
        responses.insert(status.to_owned(), RefOr::T(problem.clone()));
    }
}
