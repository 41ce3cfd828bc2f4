//! What all recordings of a gateway come to.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a gateway's recordings; they only rise.
#[derive(Debug, Default)]
pub struct Counts {
    kept: AtomicU64,
    failed: AtomicU64,
    lost_ms: AtomicU64,
}

impl Counts {
    /// Recordings that were ended and are whole but for what was lost.
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// Recordings that could not be written.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Sound that the queue did not take, in ms.
    pub fn lost_ms(&self) -> u64 {
        self.lost_ms.load(Ordering::Relaxed)
    }

    pub(super) fn one_kept(&self) {
        self.kept.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn one_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn lose(&self, ms: u64) {
        self.lost_ms.fetch_add(ms, Ordering::Relaxed);
    }
}
