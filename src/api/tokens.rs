//! `POST /v1/client-tokens`: a page's token, minted by a program that knows its user.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Api, MintedToken, Problem};
use crate::base::UserId;
use crate::signaling::{Claims, ErrorCode, MAX_TTL_S, Scope};

/// What a token is to say.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenRequest {
    /// The user.
    sub: UserId,
    /// When it ends, in seconds since 1970; `ttl_s` from now otherwise.
    exp: Option<u64>,
    /// How long it lasts, in seconds; default and maximum one hour.
    ttl_s: Option<u64>,
    /// What it allows: `call:out`, `call:in`; both where nothing is said.
    #[serde(default = "both_ways")]
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    /// The only caller numbers it may use; left out: those of the user.
    callers: Option<Vec<String>>,
    /// The only values it may dial, as they are meant in the user's country; one that ends in `*` is
    /// the start of some (`+4930*`, `60*`). Left out: those of the dial plan.
    destinations: Option<Vec<String>>,
    /// The longest that a call may last, in seconds.
    max_call_s: Option<u64>,
}

/// What is taken back: one token, or all of a user.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeRequest {
    token: Option<String>,
    sub: Option<UserId>,
}

/// Mints a token for a user of the configuration.
#[utoipa::path(post, path = "/v1/client-tokens", tag = "tokens", request_body = TokenRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters")),
    responses((status = 201, description = "The token", body = MintedToken)))]
pub(super) async fn mint(State(api): State<Api>, body: Body) -> Result<Response, Problem> {
    let bad = |words: String| Problem::saying(ErrorCode::RequestBadValue, words);
    let request: TokenRequest = super::body::json(body).await?;
    if !api.backend.knows_user(&request.sub) {
        return Err(bad(format!("there is no user {:?}", request.sub)));
    }
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let exp = match (request.exp, request.ttl_s) {
        (Some(_), Some(_)) => return Err(bad("exp and ttl_s exclude each other".into())),
        (Some(exp), None) => exp,
        (None, ttl_s) => now_s.saturating_add(ttl_s.unwrap_or(MAX_TTL_S)),
    };
    if request.max_call_s == Some(0) {
        return Err(bad("max_call_s must be 1 or more".into()));
    }
    let some = |name: &str, list: Option<Vec<String>>| match list {
        Some(list) if list.is_empty() => {
            Err(bad(format!("{name} is empty, which would allow nothing; leave it out for all")))
        }
        list => Ok(list.unwrap_or_default()),
    };
    let claims = Claims {
        scopes: request.scopes,
        callers: some("callers", request.callers)?,
        destinations: some("destinations", request.destinations)?,
        max_call_s: request.max_call_s,
        ..Claims::new(request.sub, exp)
    };
    let token = api.backend.mint(&claims).map_err(|error| bad(error.to_string()))?;
    let expires_at = i64::try_from(exp).ok().and_then(|s| Timestamp::from_second(s).ok());
    let minted =
        MintedToken { token, sub: claims.sub, expires_at: expires_at.unwrap_or(Timestamp::MAX) };
    Ok((StatusCode::CREATED, Json(minted)).into_response())
}

/// Takes back one token, or all tokens of a user that were made up to now. Pages that have them are
/// closed with 4401, and their calls end.
#[utoipa::path(post, path = "/v1/client-tokens/actions/revoke", tag = "tokens",
    request_body = RevokeRequest, responses((status = 204, description = "Taken back")))]
pub(super) async fn revoke(State(api): State<Api>, body: Body) -> Result<Response, Problem> {
    let bad = |words: String| Problem::saying(ErrorCode::RequestBadValue, words);
    let request: RevokeRequest = super::body::json(body).await?;
    match (request.token, request.sub) {
        (Some(token), None) if api.backend.revoke_token(&token) => {}
        (Some(_), None) => return Err(bad("the token is not one of this gateway's".into())),
        (None, Some(user)) if api.backend.knows_user(&user) => api.backend.revoke_user(&user),
        (None, Some(user)) => return Err(bad(format!("there is no user {user:?}"))),
        _ => return Err(bad("either token or sub".into())),
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn both_ways() -> Vec<Scope> {
    vec![Scope::CallOut, Scope::CallIn]
}
