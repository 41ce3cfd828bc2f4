//! Logs and metrics of the process. A leaf below everything that composes: imports only `base`.

mod hep;
mod lateness;
mod logs;
mod metrics;
mod otlp;

pub use hep::{Capture, Carried, Kind};
pub use lateness::TickLateness;
pub use logs::{Format, LogError, Settings, init};
pub use metrics::{Gauges, Metrics};
pub use otlp::{Attribute, AttributeValue, Span, SpanEvent, SpanKind, Trace, export};
