//! The machine: clock, open files, sizes of socket buffers, room on disks.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::report::Report;
use crate::config::{Config, StoreUrl};

/// What a gateway of this configuration needs of the machine.
pub(super) fn check(config: &Config, now_unix: Duration, report: &mut Report) {
    clock(now_unix, report);
    files(config, &read("/proc/self/limits"), report);
    let most = read("/proc/sys/net/core/rmem_max").trim().parse().ok();
    buffers(most, report);
    disks(config, report);
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn clock(now_unix: Duration, report: &mut Report) {
    let check = "clock";
    if now_unix < OLDEST {
        let found = format!("{} s since 1970: before this program was written", now_unix.as_secs());
        return report.fail(
            check,
            found,
            "set it, and let NTP keep it: tokens, certificates and records depend on it",
        );
    }
    let keeper = fs::read_dir("/proc").into_iter().flatten().flatten().find_map(|entry| {
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        CLOCK_KEEPERS.iter().find(|known| name.trim() == **known).copied()
    });
    match keeper {
        Some(keeper) => report.ok(check, format!("kept by {keeper}")),
        None if in_container() => report.ok(check, "the host's, as in every container"),
        None => report.warn(
            check,
            "nothing on this machine is seen to keep it (NTP)",
            "install chrony or systemd-timesyncd, unless the machine's host keeps it: client tokens and \
             TURN credentials end by it",
        ),
    }
}

/// A call has two RTP ports; streams, pages and the database have one each.
fn files(config: &Config, limits: &str, report: &mut Report) {
    let check = "open files";
    let calls: u64 = config.trunks.values().map(|trunk| u64::from(trunk.channels)).sum();
    let wanted = calls * 3 + SPARE_FILES;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|rest| rest.split_whitespace().next().map(str::to_owned));
    match soft.as_deref().map(|soft| (soft, soft.parse::<u64>())) {
        Some(("unlimited", _)) => report.ok(check, "no limit"),
        Some((_, Ok(limit))) if limit >= wanted => {
            report.ok(check, format!("{limit} at most, some {wanted} needed for {calls} calls at once"));
        }
        Some((_, Ok(limit))) => report.warn(
            check,
            format!("{limit} at most here, some {wanted} are needed for {calls} calls at once"),
            "LimitNOFILE=65536 in the unit (deploy/crosspoint.service has it), ulimit -n in a shell",
        ),
        _ => report.warn(check, "the limit is not told", "look at /proc/self/limits"),
    }
}

fn buffers(most: Option<u64>, report: &mut Report) {
    let check = "socket buffers";
    match most {
        Some(most) if most >= WANTED_BUFFER => {
            report.ok(check, format!("up to {} KiB for what comes in", most / 1024));
        }
        Some(most) => report.warn(
            check,
            format!(
                "{} KiB at most for what comes in, {} KiB are asked for: a burst of many calls loses \
                 packets",
                most / 1024,
                WANTED_BUFFER / 1024
            ),
            format!("sysctl -w net.core.rmem_max={WANTED_BUFFER}, and into /etc/sysctl.d"),
        ),
        None => report.warn(check, "the limit is not told", "look at /proc/sys/net/core/rmem_max"),
    }
}

fn disks(config: &Config, report: &mut Report) {
    let spool = config.store.settings().spool_folder();
    let (voicemail, recordings) = (&config.store.voicemail, &config.recording.folder);
    let mut places = vec![("records", spool)];
    places.extend([("voicemail", voicemail.clone()), ("recordings", recordings.clone())]);
    if let StoreUrl::Sqlite(file) = &config.store.url {
        places.push(("database file", PathBuf::from(file.split('?').next().unwrap_or(file))));
    }
    for (name, path) in places {
        disk(&format!("disk: {name}"), &path, report);
    }
}

/// The room where `path` is or will be.
fn disk(check: &str, path: &Path, report: &mut Report) {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Some(there) = whole.ancestors().find(|folder| folder.exists()) else { return };
    let shown = path.display();
    let access = rustix::fs::Access::WRITE_OK;
    if rustix::fs::access(there, access).is_err() {
        return report.fail(
            check,
            format!("{shown}: {} cannot be written by this user", there.display()),
            "chown it to the gateway's user, or name another place",
        );
    }
    match rustix::fs::statvfs(there) {
        Ok(room) => {
            let free = room.f_bavail.saturating_mul(room.f_frsize) >> 20;
            let found = format!("{shown}: {free} MiB free");
            let fix = "make room: without it calls go on and their records wait or are lost";
            match free {
                0..LEAST_MIB => report.fail(check, found, fix),
                LEAST_MIB..LITTLE_MIB => report.warn(check, found, fix),
                _ => report.ok(check, found),
            }
        }
        Err(error) => {
            report.warn(check, format!("{shown}: {error}"), "see whether the disk is there")
        }
    }
}

/// 2026-01-01.
const OLDEST: Duration = Duration::from_secs(1_767_225_600);
const CLOCK_KEEPERS: [&str; 6] =
    ["chronyd", "ntpd", "systemd-timesyn", "openntpd", "ntpsec", "ptp4l"];
/// Pages, API, database, spool, listeners.
const SPARE_FILES: u64 = 512;
/// What the SIP socket asks for; media sockets ask for a quarter.
const WANTED_BUFFER: u64 = 4 << 20;
/// A day of records at a call a second is some 100 MB.
const LEAST_MIB: u64 = 64;
const LITTLE_MIB: u64 = 1024;

/// Whether this is a container of Docker or Podman.
pub(super) fn in_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|file| Path::new(file).exists())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::report::Verdict;
    use super::*;
    use crate::base::Secret;

    fn config() -> Config {
        let secret = Secret::new("0123456789abcdef".to_owned());
        Config::demo("127.0.0.1:5060".parse().unwrap(), Path::new("x.db"), secret)
    }

    fn verdict(of: impl FnOnce(&mut Report)) -> Verdict {
        let mut report = Report::new();
        of(&mut report);
        report.lines[0].verdict
    }

    #[test]
    fn limits_are_judged_by_what_is_needed() {
        let limits =
            |soft: &str| format!("Limit  Soft  Hard\nMax open files   {soft}  4096  files\n");
        let files = |soft: &str| verdict(|report| super::files(&config(), &limits(soft), report));
        assert_eq!(files("65536"), Verdict::Ok);
        assert_eq!(files("unlimited"), Verdict::Ok);
        assert_eq!(files("256"), Verdict::Warn);
        assert_eq!(verdict(|report| buffers(Some(212_992), report)), Verdict::Warn);
        assert_eq!(verdict(|report| buffers(Some(4 << 20), report)), Verdict::Ok);
        assert_eq!(verdict(|report| clock(Duration::from_secs(5), report)), Verdict::Fail);
        assert_ne!(verdict(|report| clock(OLDEST * 2, report)), Verdict::Fail);
    }

    #[test]
    fn a_place_that_is_not_there_yet_is_judged_by_the_folder_above_it() {
        let here = std::env::temp_dir().join("crosspoint-doctor-none/deep/x.db");
        let mut report = Report::new();
        disk("disk", &here, &mut report);
        assert!(report.lines[0].found.contains("MiB free"), "{:?}", report.lines);
        let mut report = Report::new();
        disk("disk", Path::new("/proc/nowhere/x"), &mut report);
        assert_eq!(report.lines[0].verdict, Verdict::Fail, "{:?}", report.lines);
    }
}
