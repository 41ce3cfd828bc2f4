//! `docs/interop.md`: the table of peers and features, written from what the tests have seen.
//! `make interop` makes it anew.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

#[path = "support/interop.rs"]
#[allow(dead_code, reason = "the other half of it is for the tests that record")]
mod interop;

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use interop::{CANNOT, FEATURES, PEERS};
use serde_json::Value;

const HEAD: &str = "# Interoperability\n\n\
    Written by the test run (`make interop`); not to be edited by hand. Every `yes` is a test against\n\
    the real program, from Debian's packages, with the gateway's own binary or its SIP engine on real\n\
    sockets; a number points to a note. `–` is something that the program has not got.\n";

/// What the last run saw of a cell; `None` where it saw nothing.
fn seen(peer: &str, feature: &str) -> Option<String> {
    let text = fs::read_to_string(interop::folder().join(interop::file_name(peer, feature)));
    let cell: Value = serde_json::from_str(&text.ok()?).unwrap();
    Some(cell["note"].as_str().unwrap().to_owned())
}

fn cannot(peer: &str, feature: &str) -> Option<&'static str> {
    let row = CANNOT.iter().find(|(own, what, _)| *own == peer && *what == feature);
    row.map(|(_, _, why)| *why)
}

fn render() -> String {
    let mut text = HEAD.to_owned();
    let mut notes: Vec<String> = Vec::new();
    let mut number = |note: &str| match notes.iter().position(|own| own == note) {
        Some(at) => at + 1,
        None => {
            notes.push(note.to_owned());
            notes.len()
        }
    };
    for (heading, features) in FEATURES {
        let columns = PEERS.join(" | ");
        let rule = "---|".repeat(PEERS.len() + 1);
        write!(text, "\n## {heading}\n\n| | {columns} |\n|{rule}\n").unwrap();
        for feature in *features {
            write!(text, "| {feature} |").unwrap();
            for peer in PEERS {
                let cell = match (seen(peer, feature), cannot(peer, feature)) {
                    (Some(note), _) if note.is_empty() => "yes".to_owned(),
                    (Some(note), _) => format!("yes [{}]", number(&note)),
                    (None, Some(why)) => format!("– [{}]", number(why)),
                    (None, None) => "open".to_owned(),
                };
                write!(text, " {cell} |").unwrap();
            }
            text.push('\n');
        }
    }
    if !notes.is_empty() {
        text.push_str("\n## Notes\n\n");
        for (at, note) in notes.iter().enumerate() {
            writeln!(text, "{}. {note}", at + 1).unwrap();
        }
    }
    text
}

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/interop.md")
}

#[test]
fn the_document_has_every_row_and_no_empty_cell() {
    if std::env::var_os("CROSSPOINT_RENDER").is_some() {
        fs::write(document(), render()).unwrap();
    }
    let text = fs::read_to_string(document()).unwrap();
    for (_, features) in FEATURES {
        for feature in *features {
            let row = text.lines().find(|line| line.starts_with(&format!("| {feature} |")));
            let row = row.unwrap_or_else(|| panic!("no row {feature:?}: run make interop"));
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), PEERS.len() + 1, "{row}");
            for (peer, cell) in PEERS.iter().zip(&cells[1..]) {
                let open = cell.is_empty() || *cell == "open";
                assert!(!open, "{peer} and {feature:?} is an open cell: {row}");
                let fits = match (cannot(peer, feature), seen(peer, feature)) {
                    (Some(_), None) => cell.starts_with('–'),
                    (None, Some(_)) => cell.starts_with("yes"),
                    (None, None) => !cell.starts_with('–'),
                    (Some(_), Some(_)) => false,
                };
                assert!(fits, "{peer} and {feature:?} are not as the last run saw them: {row}");
            }
        }
    }
}

#[test]
fn what_a_peer_lacks_is_a_cell_of_the_table() {
    for (peer, feature, why) in CANNOT {
        assert!(PEERS.contains(peer), "{peer}");
        assert!(FEATURES.iter().any(|(_, own)| own.contains(feature)), "{feature}");
        assert!(why.len() > 10, "{peer}, {feature}: a reason");
    }
}
