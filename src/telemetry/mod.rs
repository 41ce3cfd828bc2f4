//! Logs and metrics of the process. A leaf below everything that composes: imports only `base`.

mod lateness;
mod logs;
mod metrics;

pub use lateness::TickLateness;
pub use logs::{Format, LogError, Settings, init};
pub use metrics::{Gauges, Metrics};
