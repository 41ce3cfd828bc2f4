//! An authority of the test's own and what it signs, made by openssl.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::TempDir;

pub struct Authority {
    dir: TempDir,
}

impl Authority {
    pub fn new() -> Authority {
        let dir = TempDir::new("authority");
        openssl(
            &dir,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ca.key \
             -out ca.pem -subj /CN=test-authority",
        );
        Authority { dir }
    }

    /// Its own certificate.
    pub fn file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// A certificate `NAME.pem` with its key `NAME.key` for these names (`DNS:…`, `IP:…`); both in one
    /// are `NAME-both.pem`.
    pub fn issue(&self, name: &str, names: &str) -> (PathBuf, PathBuf) {
        openssl(
            &self.dir,
            &format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key \
                 -out {name}.csr -subj /CN={name}"
            ),
        );
        let extensions = format!("subjectAltName={names}\nbasicConstraints=CA:FALSE\n");
        std::fs::write(self.dir.join("ext"), extensions).unwrap();
        openssl(
            &self.dir,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 \
                 -extfile ext -out {name}.pem"
            ),
        );
        let (cert, key) =
            (self.dir.join(&format!("{name}.pem")), self.dir.join(&format!("{name}.key")));
        let both = [std::fs::read(&cert).unwrap(), std::fs::read(&key).unwrap()].concat();
        std::fs::write(self.both(name), both).unwrap();
        (cert, key)
    }

    pub fn both(&self, name: &str) -> PathBuf {
        self.dir.join(&format!("{name}-both.pem"))
    }
}

fn openssl(dir: &TempDir, arguments: &str) {
    let status = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap_or_else(|e| panic!("openssl does not start: {e} (make test installs it)"));
    assert!(status.success(), "openssl {arguments}");
}
