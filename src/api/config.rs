//! `/v1/trunks` and `/v1/users`: the configuration in force and how it stands.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::Deserialize;

use super::body::{self, Name, bad};
use super::calls::List;
use super::page::{Page, Text, Which};
use super::{Api, Problem, TrunkReport, TrunkView, UserView};
use crate::base::{E164, TrunkId};
use crate::signaling::ErrorCode;

/// The trunks and how each stands.
#[utoipa::path(get, path = "/v1/trunks", tag = "configuration", params(Which),
    responses((status = 200, description = "By name", body = List<TrunkView>)))]
pub(super) async fn trunks(State(api): State<Api>, page: Page<Text>) -> Json<List<TrunkView>> {
    page.rising(api.backend.trunks(), |trunk| Text(trunk.id.to_string()))
}

/// One trunk.
#[utoipa::path(get, path = "/v1/trunks/{id}", tag = "configuration", params(("id" = TrunkId, Path)),
    responses((status = 200, description = "The trunk", body = TrunkView)))]
pub(super) async fn trunk(
    State(api): State<Api>,
    Name(id): Name,
) -> Result<Json<TrunkView>, Problem> {
    let found = api.backend.trunks().into_iter().find(|trunk| trunk.id.as_str() == id);
    found.map(Json).ok_or_else(no_trunk)
}

/// What to test.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestTrunk {
    /// A number to call; without one no call is placed.
    call: Option<String>,
}

/// Tests a trunk: located, asked, registered, and called where a number is given.
#[utoipa::path(post, path = "/v1/trunks/{id}/actions/test", tag = "configuration",
    request_body = Option<TestTrunk>, params(("id" = TrunkId, Path)),
    responses((status = 200, description = "What was found", body = TrunkReport)))]
pub(super) async fn test_trunk(
    State(api): State<Api>,
    Name(id): Name,
    body: Body,
) -> Result<Json<TrunkReport>, Problem> {
    let test: TestTrunk = body::json_or_nothing(body).await?;
    let number = test.call.map(|number| number.parse::<E164>());
    let number = number.transpose().map_err(|error| bad(format!("call: {error}")))?;
    let id: TrunkId = id.parse().map_err(|_| no_trunk())?;
    api.backend.test_trunk(&id, number).await.map(Json).ok_or_else(no_trunk)
}

/// The users of the configuration, who of them is there, and who talks.
#[utoipa::path(get, path = "/v1/users", tag = "configuration", params(Which),
    responses((status = 200, description = "By name", body = List<UserView>)))]
pub(super) async fn users(State(api): State<Api>, page: Page<Text>) -> Json<List<UserView>> {
    page.rising(api.backend.users(), |user| Text(user.id.to_string()))
}

/// One user.
#[utoipa::path(get, path = "/v1/users/{user}", tag = "configuration",
    params(("user" = crate::base::UserId, Path)),
    responses((status = 200, description = "The user", body = UserView)))]
pub(super) async fn user(
    State(api): State<Api>,
    Name(name): Name,
) -> Result<Json<UserView>, Problem> {
    let found = api.backend.users().into_iter().find(|user| user.id.as_str() == name);
    found.map(Json).ok_or_else(no_user)
}

pub(super) fn no_user() -> Problem {
    Problem::saying(ErrorCode::RequestNotFound, "There is no such user.")
}

fn no_trunk() -> Problem {
    Problem::saying(ErrorCode::RequestNotFound, "There is no such trunk.")
}
