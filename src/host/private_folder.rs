//! Folders for what is secret.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Makes a folder, and those above it, that only the user of the gateway opens (mode 0700); one that is
/// there stays as it is.
///
/// # Errors
/// The system's.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn nobody_else_opens_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("above/secret");
        for _ in 0..2 {
            make_private_folder(&folder).unwrap();
            let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!([mode(&folder), mode(folder.parent().unwrap())], [0o700, 0o700]);
        }
    }
}
