//! What each real peer was seen to do with the gateway: the source of `docs/interop.md`.
//!
//! A test that has proved a cell of the table calls [`record`] at its very end, after its last
//! assertion, so that a failing test leaves its cell empty:
//!
//! ```ignore
//! interop::record("baresip", "hold by the gateway");
//! interop::record_with("linphonec", "hold by the gateway", "answers `recvonly` with `sendrecv`");
//! ```
//!
//! Both names must be in [`PEERS`] and [`FEATURES`]; a new feature or peer is one more line there. What
//! a peer has not got at all is a line of [`CANNOT`], with the reason. Each cell is a file of its own in
//! `target/interop/`, so tests may run at once. `make interop` empties that folder, runs the tests with
//! real peers and has `tests/interop_table.rs` write the document; without it that test holds the
//! document against the cells of the last run and lets no cell be empty.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

/// The columns: programs that are not ours, all from the distribution.
pub const PEERS: &[&str] = &["sipp", "baresip", "linphonec", "kamailio"];

/// The rows, in the order of the document. A heading has no cells.
pub const FEATURES: &[(&str, &[&str])] = &[
    (
        "Calls",
        &[
            "call from a page",
            "call to a page",
            "call by TCP",
            "INVITE challenged",
            "record-routed",
        ],
    ),
    (
        "Before the answer",
        &[
            "early media",
            "several early dialogs",
            "18x storm",
            "100rel by the peer",
            "100rel by the gateway",
            "200 lost",
            "ACK lost",
        ],
    ),
    (
        "Offers and answers",
        &[
            "INVITE without an offer",
            "re-INVITE without an offer",
            "hold by the peer",
            "hold by the gateway",
            "codec change",
            "new media address",
            "UPDATE by the peer",
            "UPDATE by the gateway",
            "glare",
        ],
    ),
    (
        "Session timers",
        &["refreshed by the gateway", "refreshed by the peer", "422 with Min-SE", "expiry"],
    ),
    (
        "Transfer",
        &[
            "blind, from the page",
            "blind, from the peer",
            "attended, from the page",
            "attended, from the peer",
        ],
    ),
    ("Digits", &["telephone events", "SIP INFO"]),
];

/// What a peer has not got, and why.
pub const CANNOT: &[(&str, &str, &str)] = &[];

/// This peer did this.
pub fn record(peer: &str, feature: &str) {
    record_with(peer, feature, "");
}

/// This peer did this, with words about how.
pub fn record_with(peer: &str, feature: &str, note: &str) {
    assert!(PEERS.contains(&peer), "{peer} is none of PEERS");
    let known = FEATURES.iter().any(|(_, features)| features.contains(&feature));
    assert!(known, "{feature:?} is none of FEATURES");
    fs::create_dir_all(folder()).unwrap();
    let cell = json!({"peer": peer, "feature": feature, "note": note});
    fs::write(folder().join(file_name(peer, feature)), cell.to_string()).unwrap();
}

/// Where the cells are.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/interop")
}

/// The file of one cell.
pub fn file_name(peer: &str, feature: &str) -> String {
    let words = format!("{peer} {feature}");
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("{}.json", words.chars().map(plain).collect::<String>())
}
