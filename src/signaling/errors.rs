//! The one registry of error codes: what a page, a REST client and the documentation are told.
//!
//! A code is `area/name` and never changes its meaning. The client library's list
//! (`web/client/codes.ts`) and `docs/errors.md` are rendered from here and `tests/error_registry.rs` holds
//! them equal.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::base::Cause;

/// Who raises a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RaisedBy {
    /// The gateway, in a reply or as the reason of a close.
    Gateway,
    /// The client library, in the page.
    Page,
}

macro_rules! registry {
    ($($variant:ident, $code:literal, $retry:ident, $by:ident, $words:literal;)*) => {
        /// A stable error code, `area/name`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $words] $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the registry.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            fn row(self) -> Row {
                match self {
                    $(ErrorCode::$variant => Row {
                        code: $code,
                        retryable: registry!($retry),
                        by: RaisedBy::$by,
                        words: $words,
                    },)*
                }
            }
        }
    };
    (retry) => { true };
    (final) => { false };
}

#[rustfmt::skip]
registry! {
    AuthRequired,       "auth/required",              final, Gateway, "The first message must be `hello` with a token, within 5 seconds.";
    AuthInvalid,        "auth/invalid",               final, Gateway, "The token is not one of this gateway's.";
    AuthExpired,        "auth/expired",               retry, Gateway, "The token has expired; get a new one.";
    AuthRevoked,        "auth/revoked",               final, Gateway, "The token was taken back; log in again.";
    AuthForbidden,      "auth/forbidden",             final, Gateway, "The token does not allow this.";
    AuthOrigin,         "auth/origin",                final, Gateway, "Pages of this origin may not use this gateway.";
    AuthKeyRequired,    "auth/key-required",          final, Gateway, "This needs a login or a key: `Authorization: Bearer` and the key.";
    AuthKeyInvalid,     "auth/key-invalid",           final, Gateway, "The key is not one of this gateway's.";
    AuthPermission,     "auth/permission",            final, Gateway, "The key does not allow this.";
    ProtocolBadMessage, "protocol/bad-message",       final, Gateway, "The message is not as the protocol wants it.";
    ProtocolUnknown,    "protocol/unknown-type",      final, Gateway, "This gateway does not know a message of this type.";
    ProtocolRate,       "protocol/too-many-messages", retry, Gateway, "More than 50 messages a second were sent.";
    RequestBadValue,    "request/bad-value",          final, Gateway, "A value in the request cannot be used.";
    RequestNotFound,    "request/not-found",          final, Gateway, "There is nothing at this address.";
    RequestMethod,      "request/method-not-allowed", final, Gateway, "This cannot be done at this address.";
    RequestTooLarge,    "request/too-large",          final, Gateway, "The request is larger than is taken here.";
    RequestTimeout,     "request/timeout",            retry, Gateway, "The request did not arrive in time.";
    RequestLocalOnly,   "request/local-only",         final, Gateway, "This is answered only on the gateway's own machine.";
    RequestConflict,    "request/conflict",           final, Gateway, "It has changed since it was read; read it again.";
    RequestPrecondition,"request/precondition-required", final, Gateway, "The request must say what it changes: `If-Match` with the hash.";
    RequestBadPlan,     "request/bad-plan",           final, Gateway, "The dial plan has mistakes; the old one stays in force.";
    RequestKeyReused,   "request/idempotency-key-reused", final, Gateway, "The `Idempotency-Key` was used for another request.";
    RequestInProgress,  "request/in-progress",        retry, Gateway, "The same request is still on its way.";
    RequestTooManyFailures, "request/too-many-failures", retry, Gateway, "Too many wrong keys came from this address; come back later.";
    SignalUnknownCall,  "signal/unknown-call",        final, Gateway, "This session has no call of that id.";
    SignalCallIdTaken,  "signal/call-id-taken",       final, Gateway, "The call id was already used for another call.";
    SignalWrongState,   "signal/wrong-state",         final, Gateway, "The call is not in a state in which this can be done.";
    SignalStaleSession, "signal/stale-session",       final, Gateway, "The session to resume is no longer kept.";
    SignalUnreachable,  "signal/unreachable",         retry, Page,    "The gateway cannot be reached.";
    SignalLost,         "signal/connection-lost",     retry, Page,    "The connection to the gateway was lost.";
    SignalTimeout,      "signal/timeout",             retry, Page,    "The gateway did not answer in time.";
    SignalClosed,       "signal/closed",              final, Page,    "The phone was closed.";
    CallInvalidNumber,  "call/invalid-number",        final, Gateway, "This is not a complete number.";
    CallUnallocated,    "call/unallocated",           final, Gateway, "This number does not exist.";
    CallBlocked,        "call/blocked-by-dialplan",   final, Gateway, "The dial plan does not allow this call.";
    CallCallerId,       "call/caller-id-not-allowed", final, Gateway, "This caller number is not yours to use.";
    CallLimit,          "call/limit-reached",         retry, Gateway, "A limit on calls is reached.";
    CallUnreachable,    "call/unreachable",           retry, Gateway, "The called party cannot be reached at the moment.";
    CallTrunkFailed,    "call/trunk-failed",          retry, Gateway, "The telephone network did not take the call.";
    CallEnded,          "call/ended",                 final, Gateway, "The call has ended.";
    CallAborted,        "call/aborted",               final, Page,    "The call was given up before the gateway took it.";
    MediaBadSdp,        "media/bad-sdp",              final, Gateway, "The session description cannot be used.";
    MediaNoCodec,       "media/no-common-codec",      final, Gateway, "The two sides have no codec in common.";
    MediaNoDigits,      "media/no-digits",            final, Gateway, "The telephone side takes digits in no way that it is set up for.";
    MediaRestart,       "media/restart-refused",      final, Gateway, "The connection for sound cannot be renewed now.";
    MediaFailed,        "media/failed",               retry, Page,    "No connection for sound could be made.";
    MediaPermission,    "media/permission-denied",    final, Page,    "The microphone is not allowed for this page.";
    MediaNoMicrophone,  "media/no-microphone",        final, Page,    "No microphone was found.";
    MediaMicrophone,    "media/microphone-failed",    retry, Page,    "The microphone could not be opened; another program may hold it.";
    MediaUnsupported,   "media/unsupported",          final, Page,    "This browser cannot make calls from this page.";
    ServerDraining,     "server/draining",            retry, Gateway, "The gateway is being stopped and takes no new calls.";
    ServerOverloaded,   "server/overloaded",          retry, Gateway, "The gateway is busy; try again in a moment.";
    ServerRecords,      "server/records-unavailable", retry, Gateway, "The records cannot be read at the moment.";
    ServerInternal,     "server/internal",            retry, Gateway, "The gateway had a fault.";
}

impl ErrorCode {
    /// The code as it is written: `area/name`.
    pub fn as_str(self) -> &'static str {
        self.row().code
    }

    /// Whether the same request may succeed when sent again later.
    pub fn retryable(self) -> bool {
        self.row().retryable
    }

    /// One sentence for people.
    pub fn message(self) -> &'static str {
        self.row().words
    }

    /// Who raises it.
    pub fn raised_by(self) -> RaisedBy {
        self.row().by
    }

    /// The code as the `type` of a problem (RFC 9457 3.1.1): an absolute URI, which names it and leads
    /// nowhere.
    pub fn urn(self) -> String {
        format!("urn:crosspoint:error:{}", self.as_str().replace('/', ":"))
    }

    /// Where it is explained: a heading of `docs/errors.md`.
    pub fn docs(self) -> String {
        format!("docs/errors.md#{}", self.as_str().replace('/', ""))
    }
}

impl From<Cause> for ErrorCode {
    /// The code with which `call.start` is refused when the call failed before it was taken.
    fn from(cause: Cause) -> ErrorCode {
        match cause {
            Cause::InvalidNumber => ErrorCode::CallInvalidNumber,
            Cause::Unallocated => ErrorCode::CallUnallocated,
            Cause::BlockedByDialplan => ErrorCode::CallBlocked,
            Cause::CallerIdNotAllowed => ErrorCode::CallCallerId,
            Cause::LimitReached => ErrorCode::CallLimit,
            Cause::TrunkFailed => ErrorCode::CallTrunkFailed,
            Cause::MediaFailed | Cause::MediaTimeout => ErrorCode::MediaNoCodec,
            Cause::ServerShutdown => ErrorCode::ServerDraining,
            Cause::Internal => ErrorCode::ServerInternal,
            Cause::Busy | Cause::NoAnswer | Cause::Declined | Cause::Unreachable => {
                ErrorCode::CallUnreachable
            }
            Cause::Hangup | Cause::Cancelled | Cause::AnsweredElsewhere | Cause::MaxDuration => {
                ErrorCode::CallEnded
            }
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

/// A refused request: what stands under `error` in a reply.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refusal {
    /// The stable code.
    pub code: ErrorCode,
    /// One sentence for people; more exact than the code's own where more is known.
    pub message: String,
    /// Whether trying again later may help.
    pub retryable: bool,
    /// Where the code is explained.
    pub docs: String,
    /// How long to wait before trying again, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Facts for programs: the SIP status, the rule that was looked at and why it did not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl Refusal {
    /// A refusal in the code's own words.
    pub fn new(code: ErrorCode) -> Refusal {
        Refusal {
            code,
            message: code.message().to_owned(),
            retryable: code.retryable(),
            docs: code.docs(),
            retry_after_ms: None,
            details: None,
        }
    }

    /// The same in other words.
    #[must_use]
    pub fn saying(mut self, message: impl Into<String>) -> Refusal {
        self.message = message.into();
        self
    }

    /// The same with facts for programs.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Refusal {
        self.details = Some(details);
        self
    }

    /// The same with a time to wait.
    #[must_use]
    pub fn after_ms(mut self, wait_ms: u64) -> Refusal {
        self.retry_after_ms = Some(wait_ms);
        self
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Refusal {
        Refusal::new(code)
    }
}

/// The registry as the client library's source.
pub fn typescript() -> String {
    let mut out = String::from(
        "// Rendered from src/signaling/errors.rs by tests/error_registry.rs.\n\n\
         /** Every error code: whether a retry may help, and one sentence for people. */\n\
         export const ERRORS = {\n",
    );
    // A page does not speak REST.
    for code in ErrorCode::ALL.iter().filter(|code| !code.as_str().starts_with("request/")) {
        out += &format!(
            "  {:?}: {{ retryable: {}, message: {:?} }},\n",
            code.as_str(),
            code.retryable(),
            code.message()
        );
    }
    out += "} as const;\n\n/** A stable error code, `area/name`. */\nexport type ErrorCode = keyof typeof ERRORS;\n";
    out
}

/// The registry as a page of the documentation.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Error codes\n\nRendered from `src/signaling/errors.rs`. A code keeps its meaning for ever. \
         It stands in the `error` of a signalling reply, in `PhoneError.code` of the client library and \
         as `code` of a REST problem, whose `type` is `urn:crosspoint:error:` and the code with `:` for `/`.\n",
    );
    for code in ErrorCode::ALL {
        let by = match code.raised_by() {
            RaisedBy::Gateway => "the gateway",
            RaisedBy::Page => "the client library",
        };
        let again = if code.retryable() { "may help" } else { "does not help" };
        out += &format!(
            "\n## {}\n\n{}\n\nRaised by {by}. Trying again {again}.\n",
            code.as_str(),
            code.message()
        );
    }
    out
}

struct Row {
    code: &'static str,
    retryable: bool,
    by: RaisedBy,
    words: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_of_a_known_area() {
        let mut seen = std::collections::BTreeSet::new();
        for code in ErrorCode::ALL {
            let (area, name) = code.as_str().split_once('/').unwrap();
            assert!(
                ["auth", "signal", "media", "call", "protocol", "request", "server"]
                    .contains(&area)
            );
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
            assert!(code.message().ends_with('.'));
            assert!(seen.insert(code.as_str()), "{code} twice");
        }
    }

    #[test]
    fn a_refusal_leaves_out_what_it_does_not_know() {
        let text = serde_json::to_string(&Refusal::new(ErrorCode::AuthExpired)).unwrap();
        assert_eq!(
            text,
            r#"{"code":"auth/expired","message":"The token has expired; get a new one.","retryable":true,"docs":"docs/errors.md#authexpired"}"#
        );
    }
}
