//! The corpus of SIP messages is whole: every file of `tests/data/sip` has a row, with its expected
//! outcome, in the table of `src/sip/codec/corpus.rs`.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

use std::fs;
use std::path::Path;

#[test]
fn every_message_has_a_row_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("src/sip/codec/corpus.rs")).unwrap();
    for entry in fs::read_dir(root.join("tests/data/sip")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.strip_suffix(".sip").unwrap();
        assert!(table.contains(&format!("(\"{name}\", ")), "{file} has no row");
    }
}
