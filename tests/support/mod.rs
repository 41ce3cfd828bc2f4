//! What the whole-system tests share: a folder of their own, processes that end with the test, the
//! gateway's binary, real phone programs, and the browser.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod bad_network;
pub mod beacon;
pub mod browser;
pub mod bystander;
pub mod cable;
pub mod certificates;
pub mod coturn;
pub mod gateway;
pub mod http;
pub mod interop;
pub mod kamailio;
pub mod load;
pub mod menus;
pub mod network;
pub mod page_wire;
pub mod phones;
pub mod plan;
pub mod postgres;
pub mod process;
pub mod raw_phone;
pub mod sip_wire;
pub mod sipp_script;
pub mod socket;
pub mod sound;
pub mod talk;
pub mod uas;
pub mod wire;

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes away with the value; kept where `CROSSPOINT_KEEP_TEST_FILES` is set.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new(name: &str) -> TempDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let unique = format!(
            "crosspoint-{name}-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if std::env::var_os("CROSSPOINT_KEEP_TEST_FILES").is_none() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A UDP and TCP port that was free a moment ago, for programs that cannot take port 0.
pub fn free_port() -> u16 {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free for both UDP and TCP");
}
