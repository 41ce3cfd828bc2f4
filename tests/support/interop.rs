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
    ("Media", &["TLS", "SRTP (SDES)", "packets of 10 to 60 ms", "comfort noise"]),
    ("Digits", &["telephone events", "SIP INFO"]),
];

/// What a peer has not got, and why.
pub const CANNOT: &[(&str, &str, &str)] = &[
    ("baresip", "several early dialogs", ONE),
    ("baresip", "18x storm", ONCE),
    ("baresip", "100rel by the peer", NO_100REL),
    ("baresip", "100rel by the gateway", NO_100REL),
    ("baresip", "re-INVITE without an offer", OFFERS),
    ("baresip", "codec change", KEEPS),
    ("baresip", "new media address", KEEPS),
    ("baresip", "glare", UNTIMED),
    ("linphonec", "several early dialogs", ONE),
    ("linphonec", "18x storm", ONCE),
    ("linphonec", "re-INVITE without an offer", OFFERS),
    ("linphonec", "codec change", KEEPS),
    ("linphonec", "new media address", KEEPS),
    ("linphonec", "glare", UNTIMED),
    ("baresip", "INVITE without an offer", OFFERS),
    ("baresip", "UPDATE by the peer", NO_UPDATE),
    ("baresip", "UPDATE by the gateway", NO_UPDATE),
    ("baresip", "refreshed by the peer", NO_TIMER),
    ("baresip", "422 with Min-SE", NO_TIMER),
    ("baresip", "attended, from the page", NO_REPLACES),
    ("baresip", "attended, from the peer", NO_REPLACES),
    ("baresip", "comfort noise", NO_NOISE),
    ("sipp", "TLS", NO_KEYS),
    ("sipp", "SRTP (SDES)", NO_KEYS),
    ("kamailio", "packets of 10 to 60 ms", NO_MEDIA),
    ("linphonec", "UPDATE by the peer", ONLY_TAKES),
    ("linphonec", "refreshed by the peer", LONG),
    ("linphonec", "422 with Min-SE", LONG),
];

const ONE: &str = "one phone is one dialog: forks are a proxy's";
const ONCE: &str = "rings with one 180 a call";
const NO_100REL: &str =
    "neither `Allow` nor `Supported` has PRACK or 100rel (`what_the_phones_have_not_got`)";
const OFFERS: &str = "none of its commands makes an INVITE of this kind without an offer";
const KEEPS: &str = "its re-INVITEs are for hold: codecs and address stay as they were";
const UNTIMED: &str = "takes no command at the moment of the gateway's own re-INVITE";
const NO_UPDATE: &str = "`Allow` has no UPDATE (`what_the_phones_have_not_got`)";
const NO_TIMER: &str = "`Supported` has no timer (`what_the_phones_have_not_got`)";
const NO_REPLACES: &str = "`Supported` has no replaces (`what_the_phones_have_not_got`)";
const ONLY_TAKES: &str = "takes UPDATE, and has no command that sends one";
const LONG: &str = "asks for no session timer by itself; where it refreshes, it is after minutes";

const NO_NOISE: &str = "its offers have no CN (`what_the_phones_have_not_got`)";
const NO_KEYS: &str = "Debian's build is without TLS and SRTP (`sipp -v` says what is in it, \
                       `what_the_phones_have_not_got`)";
const NO_MEDIA: &str = "a proxy of signalling: sound goes past it";

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
