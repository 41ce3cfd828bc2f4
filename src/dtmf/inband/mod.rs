//! DTMF as tones in the audio (ITU-T Q.23, Q.24): the detector, and the generator with the queue of
//! the RFC 4733 sender. 8 kHz only; tones survive G.711 and G.722, not Opus.

mod analysis;
mod detector;
mod encoder;
mod guard;

pub use detector::InbandDetector;
pub use encoder::{InbandEncoder, Tone};
pub use guard::ToneGuard;

/// The low group in Hz, by row of the keypad (ITU-T Q.23).
const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
/// The high group in Hz, by column.
const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// RFC 4733 event codes by row and column.
const EVENTS: [[u8; 4]; 4] = [[1, 2, 3, 12], [4, 5, 6, 13], [7, 8, 9, 14], [10, 0, 11, 15]];
/// Samples a second.
const RATE: f64 = 8000.0;
