//! The wall test: who may import whom, what a pure file may not name, how long a file may be.
//!
//! `docs/ARCHITECTURE.md` is the text of these walls. A wall that is in the way is changed there and
//! here, with a page in `docs/decisions/`; there is no list of exceptions. Two rules serve tests: the zero of
//! their virtual clock (`base::epoch`) is no part of any domain, and a test peer may be a second str0m.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each domain and the domains it may import.
const TABLE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("host", &[]),
    ("sdp", &[]),
    ("codec", &[]),
    ("rtp", &["base"]),
    ("sip", &["base", "host"]),
    ("trunk", &["base"]),
    ("dialplan", &["base"]),
    ("telemetry", &["base"]),
    ("jitter", &["rtp"]),
    ("dtmf", &["base", "rtp"]),
    ("webrtc", &["base", "rtp"]),
    ("call", &["base", "dtmf", "dialplan", "trunk"]),
    ("ivr", &["base", "codec", "dialplan", "dtmf"]),
    ("signaling", &["base", "dtmf"]),
    ("media", &["base", "rtp", "jitter", "codec", "dtmf", "sdp", "webrtc"]),
    ("store", &["base", "trunk", "dialplan", "call"]),
    ("recording", &["base", "codec", "host", "media"]),
    (
        "config",
        &[
            "base",
            "trunk",
            "dialplan",
            "sip",
            "media",
            "recording",
            "signaling",
            "store",
            "telemetry",
        ],
    ),
    (
        "gateway",
        &[
            "base",
            "sdp",
            "codec",
            "rtp",
            "sip",
            "trunk",
            "dialplan",
            "telemetry",
            "jitter",
            "dtmf",
            "webrtc",
            "call",
            "signaling",
            "media",
            "store",
            "config",
            "host",
            "ivr",
            "recording",
        ],
    ),
    (
        "api",
        &[
            "base",
            "dialplan",
            "trunk",
            "call",
            "recording",
            "signaling",
            "store",
            "gateway",
            "host",
            "telemetry",
        ],
    ),
    ("doctor", &["base", "host", "trunk", "sip", "signaling", "store", "config"]),
    ("carrier", &["base", "sdp", "codec", "rtp", "dtmf", "sip", "telemetry"]),
    ("selftest", &["base", "sdp", "codec", "rtp", "dtmf", "signaling"]),
    ("caller", &["base", "sdp", "codec", "rtp", "dtmf", "sip", "ivr", "selftest"]),
    (
        "cli",
        &[
            "base",
            "dialplan",
            "dtmf",
            "signaling",
            "sip",
            "telemetry",
            "config",
            "gateway",
            "host",
            "api",
            "carrier",
            "doctor",
            "selftest",
            "ivr",
            "caller",
        ],
    ),
];

/// Files and folders below `src/` that drive the outside world. Everything else is pure.
const DRIVERS: &[&str] = &[
    "api/",
    "caller/",
    "carrier/",
    "cli/",
    "config/",
    "doctor/",
    "gateway/",
    "host/",
    "main.rs",
    "media/pool.rs",
    "media/ports.rs",
    "media/worker/",
    "media/worker.rs",
    "recording/folder.rs",
    "recording/writer.rs",
    "recording/writer_tests.rs",
    "selftest/",
    "signaling/socket.rs",
    "sip/driver/",
    "sip/driver.rs",
    "sip/transport/",
    "sip/transport.rs",
    "store/",
    "telemetry/",
];

/// What a pure file never names.
const FORBIDDEN: &[&str] = &[
    "tokio",
    "axum",
    "sqlx",
    "mio::",
    "socket2",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "thread::",
    "getrandom",
    "thread_rng",
    "rand::rng(",
    "rand::random",
    "std::fs",
    "std::env",
    "std::process",
];

/// What only one file names.
const ONLY_IN: &[(&str, &str)] = &[
    ("audiopus", "codec/opus.rs"),
    ("hickory_resolver", "sip/driver/"),
    ("rubato", "codec/resample.rs"),
    ("str0m", "webrtc/"),
    ("sqlx", "store/"),
];

const MAX_LINES: usize = 600;

#[test]
fn imports_follow_the_table() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        TABLE.iter().map(|(name, may)| (*name, may.iter().copied().collect())).collect();
    let mut faults = Vec::new();
    for file in sources() {
        let Some(domain) = domain_of(&file.path) else { continue };
        let Some(may) = allowed.get(domain) else {
            faults.push(format!("{}: domain {domain} is not in the table", file.path));
            continue;
        };
        if file.code.contains("super::super::super") {
            faults.push(format!("{}: climbs out of its domain by super", file.path));
        }
        for (line, name) in imports(&file.code) {
            if name != domain && allowed.contains_key(name.as_str()) && !may.contains(name.as_str())
            {
                faults.push(format!("{}:{line}: {domain} may not import {name}", file.path));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_table_has_no_circle() {
    let mut left: BTreeMap<&str, BTreeSet<&str>> =
        TABLE.iter().map(|(name, may)| (*name, may.iter().copied().collect())).collect();
    while !left.is_empty() {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, may)| may.iter().all(|m| !left.contains_key(m)))
            .map(|(name, _)| *name)
            .collect();
        assert!(!free.is_empty(), "a circle among {:?}", left.keys());
        for name in free {
            left.remove(name);
        }
    }
}

#[test]
fn every_domain_is_in_the_table_and_nothing_else_is_at_the_root() {
    let known: BTreeSet<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    for entry in fs::read_dir(src()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let fine = if entry.path().is_dir() {
            known.contains(name.as_str())
        } else {
            ["lib.rs", "main.rs"].contains(&name.as_str())
        };
        assert!(fine, "src/{name} is neither a domain of the table nor lib.rs or main.rs");
    }
}

#[test]
fn pure_files_name_no_io_clock_thread_or_global_random_source() {
    let mut faults = Vec::new();
    for file in sources() {
        if file.path == "lib.rs" || DRIVERS.iter().any(|d| file.path.starts_with(d)) {
            continue;
        }
        let pure = without_test_epoch(&file.code);
        for (number, line) in pure.lines().enumerate() {
            for word in FORBIDDEN {
                if line.contains(word) {
                    faults.push(format!("{}:{}: {word}", file.path, number + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn crates_with_one_place_are_named_in_that_place_only() {
    let mut faults = Vec::new();
    for file in sources() {
        for (name, place) in ONLY_IN {
            // The self-test's client is a peer of its own: it may use str0m, never our webrtc.
            let second = *name == "str0m" && file.path.starts_with("selftest/");
            let test_peer = *name == "str0m" && file.path.ends_with("tests.rs");
            if !file.path.starts_with(place)
                && !second
                && !test_peer
                && names_crate(&file.code, name)
            {
                faults.push(format!("{}: names {name}, whose place is {place}", file.path));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn outsiders_use_only_what_a_domain_exports() {
    let mut faults = Vec::new();
    for domain in TABLE.iter().map(|(name, _)| *name) {
        let public: BTreeSet<String> = exported(&src().join(domain).join("mod.rs"));
        for file in sources() {
            if domain_of(&file.path) == Some(domain) {
                continue;
            }
            for (line, module) in inner_paths(&file.code, domain) {
                let is_file = src().join(domain).join(format!("{module}.rs")).exists()
                    || src().join(domain).join(&module).is_dir();
                if !module.is_empty() && is_file && !public.contains(&module) {
                    faults
                        .push(format!("{}:{line}: {domain}::{module} is not exported", file.path));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_file_starts_with_its_purpose_and_ends_before_600_lines() {
    let mut faults = Vec::new();
    for file in sources() {
        let first = file.text.lines().next().unwrap_or_default();
        if !first.starts_with("//!") {
            faults.push(format!("{}: does not start with //!", file.path));
        }
        let lines = file.text.lines().count();
        if lines > MAX_LINES {
            faults.push(format!("{}: {lines} lines", file.path));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn no_unwrap_of_habit_and_no_unsafe() {
    // The lints do the work; this keeps them from being switched off.
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for line in ["unsafe_code = \"forbid\"", "missing_docs = \"deny\"", "unwrap_used = \"deny\""] {
        assert!(manifest.contains(line), "Cargo.toml lost {line}");
    }
}

struct Source {
    /// Relative to `src/`, with `/`.
    path: String,
    text: String,
    /// The text without comments and string literals' contents on comment lines.
    code: String,
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    walk(&src(), &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = without_comments(&text);
            let path = path.strip_prefix(src()).unwrap().to_string_lossy().replace('\\', "/");
            Source { path, text, code }
        })
        .collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn src() -> PathBuf {
    root().join("src")
}

fn domain_of(path: &str) -> Option<&str> {
    path.split_once('/').map(|(domain, _)| domain)
}

/// Line comments are emptied so that prose may name anything; line numbers stay.
fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| {
            let end = line
                .find("//")
                .filter(|at| !line[..*at].contains('"') || line.trim_start().starts_with("//"));
            line[..end.unwrap_or(line.len())].to_owned() + "\n"
        })
        .collect()
}

/// The fixed moment of `base::epoch` is the one place where tests of pure files get a clock from.
fn without_test_epoch(code: &str) -> String {
    code.replace("std::sync::LazyLock::new(std::time::Instant::now)", "")
}

/// `(line, domain)` of each `crate::domain` that the code names, in paths and in grouped imports.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + "crate::".len()..];
        // The zero of the tests' virtual clock is no part of any domain.
        if rest.starts_with("base::epoch") {
            continue;
        }
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0_usize;
            let mut word = String::new();
            let mut fresh = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        fresh = true;
                        continue;
                    }
                    _ => {}
                }
                if depth == 0 && fresh {
                    if c.is_alphanumeric() || c == '_' {
                        word.push(c);
                    } else if !word.is_empty() {
                        found.push((line, std::mem::take(&mut word)));
                        fresh = false;
                    }
                }
            }
            if !word.is_empty() {
                found.push((line, word));
            }
        } else {
            found.push((line, leading_word(rest)));
        }
    }
    found
}

/// `(line, module)` of each `crate::domain::module` (or `crosspoint::…` in the binary).
fn inner_paths(code: &str, domain: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for start in [format!("crate::{domain}::"), format!("crosspoint::{domain}::")] {
        for (at, _) in code.match_indices(&start) {
            let line = code[..at].matches('\n').count() + 1;
            found.push((line, leading_word(&code[at + start.len()..])));
        }
    }
    found
}

fn leading_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"')
            && after.starts_with("::")
    })
}

/// What a `mod.rs` exports: its public modules, and every name of its `pub use`.
fn exported(mod_rs: &Path) -> BTreeSet<String> {
    let code = without_comments(&fs::read_to_string(mod_rs).unwrap());
    let modules = code.lines().filter_map(|line| line.strip_prefix("pub mod ")).map(leading_word);
    let uses = code.match_indices("pub use ").flat_map(|(at, _)| {
        let statement = code[at..].split(';').next().unwrap_or_default();
        let names = statement.rsplit("::").next().unwrap_or_default();
        names.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned)
    });
    modules.chain(uses).collect()
}
