//! What systemd is told of a service of `Type=notify` (sd_notify(3)); nothing without it.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// News for the service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Calls are taken, for the first time or again.
    Ready,
    /// The plan and the certificates are read again.
    Reloading,
    /// No new calls are taken, and those in progress end.
    Stopping,
}

/// Tells it. A manager that does not listen is no reason to stop.
pub(super) fn tell(news: News) {
    let Ok(path) = std::env::var("NOTIFY_SOCKET") else { return };
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let words = match news {
        News::Ready => "READY=1\nSTATUS=calls are taken".to_owned(),
        // sd_notify(3): a reload says when it began, on the monotonic clock.
        News::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us()),
        News::Stopping => "STOPPING=1\nSTATUS=calls end".to_owned(),
    };
    let sent = address
        .and_then(|address| UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &address));
    if let Err(error) = sent {
        tracing::debug!(%error, "the service manager was not told");
    }
}

/// The kernel's monotonic clock, as `/proc/uptime` has it: to the hundredth of a second.
fn monotonic_us() -> u64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds: f64 = text.split(' ').next().and_then(|own| own.parse().ok()).unwrap_or(0.0);
    (seconds * 1e6) as u64
}
