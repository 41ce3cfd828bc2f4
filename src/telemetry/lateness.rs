//! The lateness of media ticks: counted by the workers without a lock, rendered here as a histogram.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;

/// Ticks by lateness.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TickLateness {
    /// Upper ends of the classes, in microseconds.
    pub upper_us: [u64; 8],
    /// How many are in each class, and how many are later.
    pub counts: [u64; 9],
    /// The sum of all lateness, in microseconds.
    pub sum_us: u64,
}

/// The histogram of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Lateness(Arc<Mutex<TickLateness>>);

impl Lateness {
    pub(super) fn set(&self, lateness: &TickLateness) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = *lateness;
    }
}

impl Collector for Lateness {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let now = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = now.upper_us.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = ends.zip(now.counts).collect();
        let mut metric: MetricEncoder<'_> = encoder.encode_descriptor(
            "media_tick_late_seconds",
            "How late a media tick of 20 ms was.",
            None,
            MetricType::Histogram,
        )?;
        let count = now.counts.iter().sum();
        metric.encode_histogram::<[(&str, &str); 0]>(now.sum_us as f64 / 1e6, count, &buckets, None)
    }
}
