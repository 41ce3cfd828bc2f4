//! The registry of error codes is what the client library and the documentation say.
//! `CROSSPOINT_RENDER=1 cargo test --test error_registry` writes the two files again.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

use crosspoint::signaling::{markdown, typescript};

#[test]
fn the_registry_is_what_the_client_library_and_the_documentation_say() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, text) in [("web/client/codes.ts", typescript()), ("docs/errors.md", markdown())] {
        let path = root.join(path);
        if std::env::var_os("CROSSPOINT_RENDER").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{}", path.display());
    }
}
