//! `docs/interop.md`: the table of peers and features, written from what the tests have seen.
//! `make interop` makes it anew.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

#[path = "support/interop.rs"]
#[allow(dead_code, reason = "the other half of it is for the tests that record")]
mod interop;

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use interop::{CANNOT, FEATURES, PEERS};
use serde_json::Value;

const HEAD: &str = "# Interoperability\n\n\
    Written by the test run (`make interop`); not to be edited by hand. Every `yes` is a test against\n\
    the real program, from Debian's packages, with the gateway's own binary or its SIP engine on real\n\
    sockets; a number points to a note. `–` is something that the program has not got.\n";

/// What carriers do to a gateway, and the tests in which a real peer does it: file and name.
const CASES: &[(&str, &[(&str, &str)])] = &[
    (
        "register challenge, 423, Retry-After",
        &[
            ("trunk_registers", "a_registrar_with_every_whim_is_satisfied_and_told_when_we_leave"),
            ("trunk_registers", "a_wrong_password_is_said_and_not_tried_again_soon"),
        ],
    ),
    (
        "password of who calls",
        &[
            ("trunk_registers", "callers_of_a_trunk_with_a_password_show_it"),
            ("sip_phones", "phones_that_call_show_a_password"),
        ],
    ),
    (
        "100rel",
        &[
            ("sip_peers", "reliable_180_to_a_caller_that_requires_it"),
            ("sip_peers", "reliable_183_of_the_callee_acknowledged"),
            ("sip_timers", "reliable_provisional_responses_through_kamailio"),
            ("sip_phones", "linphone_and_the_gateway_ring_reliably"),
        ],
    ),
    (
        "UPDATE",
        &[
            ("sip_sessions", "sipp_changes_the_codec_the_address_and_the_events"),
            ("sip_timers", "the_gateway_refreshes_by_update"),
        ],
    ),
    (
        "late offer",
        &[
            ("sip_peers", "invite_without_offer_answered_by_ack"),
            ("sip_phones", "linphone_calls_without_an_offer"),
        ],
    ),
    (
        "forks, 18x storms",
        &[
            ("sip_sessions", "sipp_forks_with_early_media_and_an_18x_storm"),
            ("sip_timers", "kamailio_forks_to_a_branch_that_fails"),
            ("trunk_faults", "a_broken_trunk_costs_its_own_call_and_says_why"),
        ],
    ),
    (
        "lost ACK, lost 200",
        &[
            ("sip_timers", "a_200_and_an_ack_are_lost_on_the_way_from_sipp"),
            ("sip_timers", "a_200_and_an_ack_are_lost_on_the_way_from_baresip"),
            ("sip_timers", "a_200_and_an_ack_are_lost_on_the_way_from_linphone"),
        ],
    ),
    ("re-INVITE glare", &[("sip_sessions", "glare_with_sipp_is_tried_again")]),
    ("CANCEL crossing 200", &[("sip_peers", "cancelling_200_crossing_ack_bye")]),
    (
        "session expiry",
        &[
            ("sip_timers", "a_session_that_sipp_does_not_refresh_is_over"),
            ("sip_phones", "phones_that_do_not_refresh_are_hung_up"),
        ],
    ),
    (
        "TLS",
        &[
            ("trunk_phones", "baresip_by_tls"),
            ("trunk_phones", "linphone_by_tls"),
            ("trunk_phones", "kamailio_by_tls_with_srtp_behind_it"),
            ("trunk_tls", "a_trunk_has_to_prove_its_name_and_may_ask_for_ours"),
        ],
    ),
    (
        "SRTP",
        &[
            ("trunk_phones", "baresip_by_tls_with_srtp"),
            ("trunk_phones", "baresip_by_udp_with_srtp_where_it_can"),
            ("trunk_phones", "linphone_by_tls_with_srtp"),
        ],
    ),
    (
        "hold, resume, codec, address",
        &[
            ("sip_sessions", "the_page_holds_and_resumes_sipp"),
            ("sip_sessions", "sipp_holds_in_every_way_and_resumes"),
            ("sip_sessions", "sipp_moves_its_sound_to_another_address"),
            ("sip_sessions", "baresip_is_held_and_holds"),
        ],
    ),
    (
        "comfort noise, packet lengths",
        &[
            ("trunk_sound", "pauses_of_both_sides_travel_as_comfort_noise"),
            ("trunk_sound", "linphone_speaks_comfort_noise"),
            ("trunk_sound", "packets_are_as_long_as_the_other_side_asks"),
        ],
    ),
    (
        "transfers",
        &[
            ("sip_transfers", "sipp_asks_for_what_the_plan_refuses_and_for_what_it_allows"),
            ("sip_transfers", "sipp_calls_with_replaces_and_takes_the_place"),
            ("sip_transfers", "the_page_joins_two_phones_of_sipp"),
        ],
    ),
    (
        "who calls, both ways",
        &[
            ("trunk_identity", "the_page_is_told_what_the_trunk_may_say_of_a_caller"),
            ("trunk_identity", "a_users_number_goes_out_as_the_plan_says"),
        ],
    ),
    (
        "broken answers, redirections",
        &[
            ("trunk_faults", "a_broken_trunk_costs_its_own_call_and_says_why"),
            ("trunk_faults", "responses_that_do_not_fit_are_no_answer"),
            ("trunk_faults", "offers_that_cannot_be_answered_are_refused_with_the_reason"),
        ],
    ),
];

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
    text.push_str("\n## Cases\n\n| case | tests |\n|---|---|\n");
    for (case, tests) in CASES {
        let names: Vec<String> =
            tests.iter().map(|(file, name)| format!("`{file}::{name}`")).collect();
        writeln!(text, "| {case} | {} |", names.join("<br>")).unwrap();
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

/// The document; made anew where it is asked for, once.
fn written() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        if std::env::var_os("CROSSPOINT_RENDER").is_some() {
            fs::write(document(), render()).unwrap();
        }
        fs::read_to_string(document()).unwrap()
    })
}

#[test]
fn the_document_has_every_row_and_no_empty_cell() {
    let text = written();
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

/// Every case is one of the document, and its tests are there.
#[test]
fn each_case_has_its_tests() {
    let text = written();
    for (case, tests) in CASES {
        for (file, name) in *tests {
            let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/{file}.rs"));
            let source = fs::read_to_string(&path).unwrap();
            let written =
                [format!("fn {name}("), format!("\n    {name}: "), format!("\n    {name}\n")];
            assert!(written.iter().any(|own| source.contains(own)), "{case}: no {file}::{name}");
            let cell = format!("`{file}::{name}`");
            assert!(text.contains(&cell), "{case}: run make interop, the document lacks {cell}");
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
