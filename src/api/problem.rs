//! Errors as RFC 9457 `application/problem+json` with a stable code of the one registry.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::signaling::ErrorCode;

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: ErrorCode,
    detail: Option<String>,
    extension: Option<(&'static str, serde_json::Value)>,
    retry_after: Option<u32>,
}

impl Problem {
    /// A problem with the words of its code.
    pub fn new(code: ErrorCode) -> Problem {
        Problem { code, detail: None, extension: None, retry_after: None }
    }

    /// A problem with more exact words. They never repeat secrets, digits or numbers.
    pub fn saying(code: ErrorCode, detail: impl Into<String>) -> Problem {
        Problem { detail: Some(detail.into()), ..Problem::new(code) }
    }

    /// The same with a member of its own (RFC 9457 3.2).
    #[must_use]
    pub fn with(self, name: &'static str, value: serde_json::Value) -> Problem {
        Problem { extension: Some((name, value)), ..self }
    }

    /// The same with the seconds after which to come back (RFC 9110 10.2.3).
    #[must_use]
    pub fn after(self, seconds: u32) -> Problem {
        Problem { retry_after: Some(seconds), ..self }
    }

    fn status(&self) -> StatusCode {
        match self.code {
            ErrorCode::RequestBadValue => StatusCode::BAD_REQUEST,
            ErrorCode::RequestNotFound => StatusCode::NOT_FOUND,
            ErrorCode::RequestMethod => StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::RequestConflict => StatusCode::PRECONDITION_FAILED,
            ErrorCode::RequestPrecondition => StatusCode::PRECONDITION_REQUIRED,
            ErrorCode::RequestBadPlan => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::AuthKeyRequired | ErrorCode::AuthKeyInvalid => StatusCode::UNAUTHORIZED,
            ErrorCode::AuthPermission => StatusCode::FORBIDDEN,
            ErrorCode::RequestKeyReused | ErrorCode::CallInvalidNumber => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            ErrorCode::RequestInProgress | ErrorCode::CallUnreachable => StatusCode::CONFLICT,
            ErrorCode::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            ErrorCode::CallLimit | ErrorCode::RequestTooManyFailures => {
                StatusCode::TOO_MANY_REQUESTS
            }
            ErrorCode::RequestLocalOnly
            | ErrorCode::AuthOrigin
            | ErrorCode::AuthForbidden
            | ErrorCode::CallBlocked
            | ErrorCode::CallCallerId => StatusCode::FORBIDDEN,
            ErrorCode::ServerRecords | ErrorCode::ServerDraining | ErrorCode::ServerOverloaded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A refused request (RFC 9457); some have further members.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body<'a> {
    /// `urn:crosspoint:error:` and the code with `:` for `/`; docs/errors.md explains it.
    r#type: String,
    /// One sentence for people.
    title: &'a str,
    /// The status of the answer.
    status: u16,
    /// `area/name`; never changes its meaning.
    #[schema(value_type = String)]
    code: ErrorCode,
    /// More exact words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// Whether the same may succeed later.
    retryable: bool,
    #[serde(flatten)]
    #[schema(ignore)]
    extension: std::collections::BTreeMap<&'static str, &'a serde_json::Value>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: self.code.urn(),
            title: self.code.message(),
            status: self.status().as_u16(),
            code: self.code,
            detail: self.detail.as_deref(),
            retryable: self.code.retryable(),
            extension: self.extension.iter().map(|(name, value)| (*name, value)).collect(),
        };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status(), [(header::CONTENT_TYPE, kind)], json).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
