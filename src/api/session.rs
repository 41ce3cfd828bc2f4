//! `/v1/session`: a browser logs in with a key and gets a cookie that scripts cannot read.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::access::{Door, asker, session_cookie};
use super::attempts::Way;
use super::keys::{SESSION, Who};
use super::serve::Wire;
use super::{Problem, body};
use crate::base::Permission;
use crate::signaling::ErrorCode;

/// A key.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogIn {
    key: String,
}

/// Who is logged in.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Session {
    /// The key's name in the configuration, or `operator`.
    name: String,
    /// What it may do.
    #[schema(value_type = Vec<String>)]
    permissions: Vec<Permission>,
}

impl From<Who> for Session {
    fn from(who: Who) -> Session {
        Session { name: who.name, permissions: who.permissions }
    }
}

/// Logs a browser in with a key.
#[utoipa::path(post, path = "/v1/session", tag = "session", request_body = LogIn, security(()),
    responses((status = 201, description = "Logged in; the cookie is set", body = Session)))]
pub(super) async fn log_in(
    State(door): State<Arc<Door>>,
    wire: Option<Extension<Wire>>,
    request: Request,
) -> Result<Response, Problem> {
    let peer = asker(&request);
    let LogIn { key } = body::json(request.into_body()).await?;
    let now = Instant::now();
    door.attempts.may_try(now, peer)?;
    let Some((cookie, who)) = door.access.keys.log_in(now, &key) else {
        door.attempts.failed(now, peer, Way::Login);
        return Err(Problem::new(ErrorCode::AuthKeyInvalid));
    };
    tracing::info!(key = who.name, %peer, "logged in");
    Ok((StatusCode::CREATED, set(&cookie, SESSION.as_secs(), wire), Json(Session::from(who)))
        .into_response())
}

/// Who is logged in.
#[utoipa::path(get, path = "/v1/session", tag = "session", security(()),
    responses((status = 200, description = "Whose cookie it is", body = Session)))]
pub(super) async fn show(
    State(door): State<Arc<Door>>,
    headers: HeaderMap,
) -> Result<Json<Session>, Problem> {
    let cookie = session_cookie(&headers);
    let who = cookie.and_then(|cookie| door.access.keys.of_session(Instant::now(), cookie));
    who.map(|who| Json(who.into())).ok_or_else(|| Problem::new(ErrorCode::AuthKeyRequired))
}

/// Logs out.
#[utoipa::path(delete, path = "/v1/session", tag = "session", security(()),
    responses((status = 204, description = "Logged out")))]
pub(super) async fn log_out(
    State(door): State<Arc<Door>>,
    wire: Option<Extension<Wire>>,
    headers: HeaderMap,
) -> Response {
    if let Some(cookie) = session_cookie(&headers) {
        door.access.keys.log_out(cookie);
    }
    (StatusCode::NO_CONTENT, set("", 0, wire)).into_response()
}

/// RFC 6265 4.1: for this site's own requests only, and not for scripts.
fn set(cookie: &str, seconds: u64, wire: Option<Extension<Wire>>) -> HeaderMap {
    let secure = match wire {
        Some(Extension(Wire::Tls)) => "; Secure",
        _ => "",
    };
    let text = format!(
        "{}={cookie}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}",
        super::access::COOKIE
    );
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(header::SET_COOKIE, value);
    }
    headers
}
