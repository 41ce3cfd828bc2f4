//! PostgreSQL: a server of the test's own on a socket in a temporary folder.

use std::path::PathBuf;
use std::process::Command;

use super::*;

#[tokio::test]
async fn records_survive_a_server_that_stops_and_comes_back() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { url: server.url.clone(), spool: Some(folder.path().join("spool")) };
    let store = Store::open(&settings).await.unwrap();
    let answered = Record { ended_at: None, cause: None, duration_ms: 0, ..record(0) };
    store.append(&answered).await.unwrap();
    for n in 0..20 {
        store.append(&record(n)).await.unwrap();
    }
    drained(&store).await;
    assert_eq!(all(&store).await.len(), 20);
    assert_eq!(store.record(record(0).id).await.unwrap(), Some(record(0)));

    server.run("pg_ctl", &["stop", "-m", "immediate", "-w"]);
    for n in 20..60 {
        store.append(&record(n)).await.unwrap();
    }
    assert!(store.spool_bytes() > 0);
    assert!(store.ping().await.is_err());
    server.run("pg_ctl", &["start", "-w"]);
    drained(&store).await;
    let ids: Vec<_> = all(&store).await.iter().map(|r| r.id).collect();
    let expected: Vec<_> = (0..60).rev().map(|n| record(n).id).collect();
    assert_eq!(ids, expected);
    store.close(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_users_have_called_is_read() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { url: server.url.clone(), spool: Some(folder.path().join("spool")) };
    let store = Store::open(&settings).await.unwrap();
    the_past_is_read(&store).await;
    store.close(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_server_that_was_there_before_may_be_away_at_a_start() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { url: server.url.clone(), spool: Some(folder.path().join("spool")) };
    let store = Store::open(&settings).await.unwrap();
    store.append(&record(0)).await.unwrap();
    store.close(Duration::from_secs(5)).await;
    drop(store);

    server.run("pg_ctl", &["stop", "-m", "immediate", "-w"]);
    let store = loop {
        match Store::open(&settings).await {
            Err(OpenError::SpoolInUse { .. }) => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    store.append(&record(1)).await.unwrap();
    assert!(store.records(None, 10).await.is_err());
    server.run("pg_ctl", &["start", "-w"]);
    drained(&store).await;
    assert_eq!(all(&store).await, [record(1), record(0)]);
    store.close(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://u:hunter2@localhost/x?host={}", folder.path().display());
    let error = Store::open(&Settings { url, spool: None }).await.unwrap_err();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
    assert!(!error.to_string().contains("hunter2"));
}

/// A server that ends with the test.
struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
    url: String,
}

impl Server {
    fn start() -> Server {
        let folder = tempfile::Builder::new().prefix("cp-pg").tempdir().unwrap();
        let socket = folder.path().display().to_string();
        let server = Server {
            programs: programs(),
            url: format!("postgres://tester@localhost/postgres?host={socket}"),
            folder,
        };
        if is_root() {
            let chown = Command::new("chown").arg("postgres").arg(server.folder.path()).status();
            assert!(chown.unwrap().success());
        }
        server.run("initdb", &["-U", "tester", "-A", "trust", "--no-sync"]);
        let options =
            format!("listen_addresses = ''\nunix_socket_directories = '{socket}'\nfsync = off\n");
        let file = server.data().join("postgresql.conf");
        std::fs::write(&file, options).unwrap();
        server.run("pg_ctl", &["start", "-w"]);
        server
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of PostgreSQL's programs on this server's data, never as root, which it refuses.
    fn run(&self, program: &str, arguments: &[&str]) {
        let path = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let status = command
            .args(arguments)
            .arg("-D")
            .arg(self.data())
            .current_dir(self.folder.path())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .status()
            .unwrap();
        let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        assert!(status.success(), "{program}: {}", log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            self.run("pg_ctl", &["stop", "-m", "immediate", "-w"]);
        }
    }
}

fn programs() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = debian.flatten().map(|entry| entry.path().join("bin")).max();
    newest.filter(|bin| bin.join("initdb").exists()).unwrap_or_default()
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}
