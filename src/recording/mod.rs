//! Recordings of calls: what both sides say as one stereo file a call, the caller left, the callee right.
//!
//! ```text
//! media worker --Tap--> bounded queue --> writer (a thread) --Seal--> file, and a description beside it
//! ```
//!
//! The tap never waits: what the queue does not take is silence in the file, counted in its description
//! and in the call's record. A disk that is full or slow costs recordings, never calls.

mod folder;
mod metrics;
mod ogg_opus;
mod seal;
mod settings;
mod sound;
mod tap;
mod wav;
mod writer;

pub use folder::{Folder, Opened, RecordingView};
pub use metrics::Counts;
pub use seal::{Seal, SealKey};
pub use settings::{Format, Settings};
pub use tap::{Control, Pause, Pauses, Tap};
pub use writer::{Recorder, Start};
