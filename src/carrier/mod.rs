//! The demo's carrier: a SIP user agent of its own with test lines.
