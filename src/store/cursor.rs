//! A place in the list of records: after this one. Opaque to clients.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::base::CallId;
use crate::call::Record;

/// The last record of a page; the next page goes on after it. Their order is that of the starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(super) started_at_ms: i64,
    pub(super) id: CallId,
}

impl Cursor {
    /// The place of a record.
    pub fn of(record: &Record) -> Cursor {
        Cursor { started_at_ms: record.started_at.as_millisecond(), id: record.id }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(format!("{}.{}", self.started_at_ms, self.id)))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Cursor, CursorError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?;
        let text = String::from_utf8(bytes).map_err(|_| CursorError)?;
        let (ms, id) = text.split_once('.').ok_or(CursorError)?;
        let started_at_ms = ms.parse().map_err(|_| CursorError)?;
        Ok(Cursor { started_at_ms, id: id.parse().map_err(|_| CursorError)? })
    }
}

/// A text that no list gave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that a list gave")]
pub struct CursorError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusal() {
        let cursor = Cursor { started_at_ms: -5, id: CallId::from_parts(1, 2) };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in ["", "x", "MTIz", "' OR 1=1"] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad}");
        }
    }
}
