//! Why a call ended: one table of Q.850 cause, SIP status, the page's code and the words for people.
//!
//! Sources: ITU-T Q.850 table 1; RFC 3261 section 21; RFC 3398 sections 7.2.4.1 and 8.2.6.1 for the
//! mapping between the two; the page's codes are the product's own (`EndCode` of the client library).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The one reason a call ended or was refused. Every call has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Somebody hung up a call that was answered.
    Hangup,
    /// The called party is on another call.
    Busy,
    /// It rang and nobody answered in time.
    NoAnswer,
    /// The called party does not want the call.
    Declined,
    /// The caller gave up before an answer.
    Cancelled,
    /// Another phone or page of the same party took the call.
    AnsweredElsewhere,
    /// The number does not exist.
    Unallocated,
    /// What was dialled is no complete number.
    InvalidNumber,
    /// The called party cannot be reached at the moment.
    Unreachable,
    /// The dial plan allows no such call.
    BlockedByDialplan,
    /// The asked-for caller identity is not this user's.
    CallerIdNotAllowed,
    /// A cap on calls is reached.
    LimitReached,
    /// The trunk refused, failed or did not answer.
    TrunkFailed,
    /// The two sides have no codec or no media path in common.
    MediaFailed,
    /// Media stopped arriving.
    MediaTimeout,
    /// The longest length allowed was reached.
    MaxDuration,
    /// The gateway is being stopped.
    ServerShutdown,
    /// A fault of the gateway itself.
    Internal,
}

impl Cause {
    /// Every cause, in the order of the table.
    pub fn all() -> impl Iterator<Item = Cause> {
        TABLE.iter().map(|row| row.cause)
    }

    /// The Q.850 cause value, 1 to 127, for `Reason: Q.850;cause=` (RFC 3326) and records.
    pub fn q850(self) -> u8 {
        self.row().q850
    }

    /// The status that refuses an INVITE for this cause.
    pub fn sip(self) -> SipStatus {
        let row = self.row();
        SipStatus { status: row.status, reason: row.phrase.to_owned() }
    }

    /// The code that the page gets.
    pub fn end_code(self) -> EndCode {
        self.row().code
    }

    /// One sentence for people.
    pub fn message(self) -> &'static str {
        self.row().words
    }

    /// Whether the same call may succeed when tried again soon.
    pub fn retryable(self) -> bool {
        self.row().retryable
    }

    /// The cause of a final SIP status of 300 to 699 that refused our INVITE (RFC 3398 8.2.6.1).
    pub fn from_sip(status: u16) -> Cause {
        match status {
            404 | 410 | 604 => Cause::Unallocated,
            484 | 414 | 416 => Cause::InvalidNumber,
            486 | 600 => Cause::Busy,
            408 | 487 => Cause::NoAnswer,
            480 | 502 | 504 => Cause::Unreachable,
            603 | 607 | 608 => Cause::Declined,
            415 | 488 | 606 => Cause::MediaFailed,
            _ => Cause::TrunkFailed,
        }
    }

    /// The cause of a Q.850 value that came in a `Reason` header.
    pub fn from_q850(value: u8) -> Cause {
        match value {
            1 | 2 | 3 | 22 => Cause::Unallocated,
            16 | 31 => Cause::Hangup,
            17 => Cause::Busy,
            18 | 20 | 27 => Cause::Unreachable,
            19 | 102 => Cause::NoAnswer,
            21 => Cause::Declined,
            26 => Cause::AnsweredElsewhere,
            28 => Cause::InvalidNumber,
            65 | 79 | 88 => Cause::MediaFailed,
            _ => Cause::TrunkFailed,
        }
    }

    fn row(self) -> &'static Row {
        TABLE
            .iter()
            .find(|row| row.cause == self)
            .expect("the test `every_cause_has_one_row` walks the enum")
    }
}

/// The page's code for an end (client library, `EndCode`). Names stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each carries the meaning of the Cause rows that map to it")]
pub enum EndCode {
    Hangup,
    Busy,
    NoAnswer,
    Declined,
    Cancelled,
    AnsweredElsewhere,
    Unallocated,
    Unreachable,
    BlockedByDialplan,
    CallerIdNotAllowed,
    LimitReached,
    TrunkFailed,
    MediaFailed,
    MediaTimeout,
    MaxDuration,
    ServerShutdown,
    Internal,
}

impl EndCode {
    /// The code as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            EndCode::Hangup => "hangup",
            EndCode::Busy => "busy",
            EndCode::NoAnswer => "no-answer",
            EndCode::Declined => "declined",
            EndCode::Cancelled => "cancelled",
            EndCode::AnsweredElsewhere => "answered-elsewhere",
            EndCode::Unallocated => "unallocated",
            EndCode::Unreachable => "unreachable",
            EndCode::BlockedByDialplan => "blocked-by-dialplan",
            EndCode::CallerIdNotAllowed => "caller-id-not-allowed",
            EndCode::LimitReached => "limit-reached",
            EndCode::TrunkFailed => "trunk-failed",
            EndCode::MediaFailed => "media-failed",
            EndCode::MediaTimeout => "media-timeout",
            EndCode::MaxDuration => "max-duration",
            EndCode::ServerShutdown => "server-shutdown",
            EndCode::Internal => "internal",
        }
    }
}

/// Who ended a call, as the page sees it: itself, the other side, or the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// The page's own side.
    Local,
    /// The far side.
    Remote,
    /// The gateway: a rule, a limit, a fault.
    Gateway,
}

/// A final SIP status and its phrase as it came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SipStatus {
    /// 100 to 699.
    pub status: u16,
    /// The reason phrase, as received where it was received.
    pub reason: String,
}

impl fmt::Display for SipStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.reason)
    }
}

struct Row {
    cause: Cause,
    q850: u8,
    status: u16,
    phrase: &'static str,
    code: EndCode,
    retryable: bool,
    words: &'static str,
}

macro_rules! row {
    ($cause:ident, $q850:literal, $status:literal $phrase:literal, $code:ident, $retry:ident, $words:literal) => {
        Row {
            cause: Cause::$cause,
            q850: $q850,
            status: $status,
            phrase: $phrase,
            code: EndCode::$code,
            retryable: row!($retry),
            words: $words,
        }
    };
    (retry) => {
        true
    };
    (final) => {
        false
    };
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row!(Hangup,             16, 200 "OK",                      Hangup,             final, "The call was hung up."),
    row!(Busy,               17, 486 "Busy Here",               Busy,               retry, "The line is busy."),
    row!(NoAnswer,           19, 480 "Temporarily Unavailable", NoAnswer,           retry, "Nobody answered."),
    row!(Declined,           21, 603 "Decline",                 Declined,           final, "The call was declined."),
    row!(Cancelled,          16, 487 "Request Terminated",      Cancelled,          final, "The call was cancelled before it was answered."),
    row!(AnsweredElsewhere,  26, 487 "Request Terminated",      AnsweredElsewhere,  final, "The call was answered elsewhere."),
    row!(Unallocated,         1, 404 "Not Found",               Unallocated,        final, "This number does not exist."),
    row!(InvalidNumber,      28, 484 "Address Incomplete",      Unallocated,        final, "This is not a complete number."),
    row!(Unreachable,        18, 480 "Temporarily Unavailable", Unreachable,        retry, "The called party cannot be reached at the moment."),
    row!(BlockedByDialplan,  21, 403 "Forbidden",               BlockedByDialplan,  final, "The dial plan does not allow this call."),
    row!(CallerIdNotAllowed, 21, 403 "Forbidden",               CallerIdNotAllowed, final, "This caller number is not yours to use."),
    row!(LimitReached,       34, 503 "Service Unavailable",     LimitReached,       retry, "A limit on calls is reached."),
    row!(TrunkFailed,        38, 503 "Service Unavailable",     TrunkFailed,        retry, "The telephone network did not take the call."),
    row!(MediaFailed,        88, 488 "Not Acceptable Here",     MediaFailed,        final, "No sound could be set up between the two sides."),
    row!(MediaTimeout,       41, 504 "Server Time-out",         MediaTimeout,       retry, "Sound stopped arriving."),
    row!(MaxDuration,       102, 408 "Request Timeout",         MaxDuration,        final, "The longest length of a call was reached."),
    row!(ServerShutdown,     41, 503 "Service Unavailable",     ServerShutdown,     retry, "The gateway is being stopped."),
    row!(Internal,           41, 500 "Server Internal Error",   Internal,           retry, "The gateway had a fault."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_one_row() {
        // The list is spelled by serde's names, so a new variant that is missing in the table fails here.
        let names: Vec<String> = Cause::all().map(|c| serde_json::to_string(&c).unwrap()).collect();
        assert_eq!(names.len(), 18);
        for cause in Cause::all() {
            assert!((1..=127).contains(&cause.q850()));
            assert!((200..700).contains(&cause.sip().status));
            assert!(cause.message().ends_with('.'));
        }
    }

    #[test]
    fn statuses_that_refuse_an_invite_map_back() {
        for (status, cause) in [
            (404, Cause::Unallocated),
            (486, Cause::Busy),
            (480, Cause::Unreachable),
            (484, Cause::InvalidNumber),
            (488, Cause::MediaFailed),
            (603, Cause::Declined),
            (500, Cause::TrunkFailed),
            (503, Cause::TrunkFailed),
        ] {
            assert_eq!(Cause::from_sip(status), cause, "{status}");
        }
    }

    #[test]
    fn page_codes_are_kebab_case() {
        let code = serde_json::to_string(&Cause::BlockedByDialplan.end_code()).unwrap();
        assert_eq!(code, "\"blocked-by-dialplan\"");
        for cause in Cause::all() {
            let code = cause.end_code();
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
