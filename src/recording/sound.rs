//! A recording's sound as the bytes of its file, in either format.

use std::fmt;

use super::ogg_opus::OggOpus;
use super::settings::Format;
use super::wav;
use crate::codec::Rate;

/// Makes the bytes of a file.
pub(super) enum Sound {
    /// Samples as they are.
    Wav,
    /// Coded.
    Opus(Box<OggOpus>),
}

impl Sound {
    /// The bytes at a file's beginning, and what makes the rest.
    pub(super) fn begin(format: Format, rate: Rate, serial: u32) -> Option<(Sound, Vec<u8>)> {
        match format {
            Format::Wav => Some((Sound::Wav, wav::header(rate, None).to_vec())),
            Format::Opus => {
                let mut opus = OggOpus::new(rate, serial)?;
                let first = opus.take();
                Some((Sound::Opus(Box::new(opus)), first))
            }
        }
    }

    /// The bytes of whole frames, left and right sample by turns.
    pub(super) fn bytes(&mut self, rate: Rate, samples: &[i16]) -> Vec<u8> {
        match self {
            Sound::Wav => {
                let mut bytes = vec![0; 2 * samples.len()];
                for (out, sample) in bytes.as_chunks_mut().0.iter_mut().zip(samples) {
                    *out = sample.to_le_bytes();
                }
                bytes
            }
            Sound::Opus(opus) => {
                for frame in samples.chunks_exact(2 * rate.frame()) {
                    let side = |n| frame.iter().skip(n).step_by(2).copied().collect::<Vec<i16>>();
                    opus.frame([&side(0), &side(1)]);
                }
                opus.take()
            }
        }
    }

    /// The bytes of silence.
    pub(super) fn silence(&mut self, rate: Rate, frames: u64) -> Vec<u8> {
        let frame = vec![0; 2 * rate.frame()];
        (0..frames).flat_map(|_| self.bytes(rate, &frame)).collect()
    }

    /// The bytes at a file's end.
    pub(super) fn end(&mut self) -> Vec<u8> {
        match self {
            Sound::Wav => Vec::new(),
            Sound::Opus(opus) => opus.end(),
        }
    }
}

impl fmt::Debug for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sound::Wav => "Wav",
            Sound::Opus(_) => "Opus",
        })
    }
}
