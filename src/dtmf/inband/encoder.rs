//! The in-band generator: row and column tone from a digit's start to its end, with ramps of 2 ms
//! so that it does not click. Queue, minimum lengths, gaps and receipts are those of the RFC 4733
//! sender, which runs inside and says what is on.

use std::f64::consts::TAU;
use std::time::{Duration, Instant};

use super::{COLUMNS, EVENTS, RATE, ROWS};
use crate::dtmf::{
    DigitQueue, EncoderConfig, EncoderError, EncoderInput, EncoderOutput, EventBlock, Mode, Pace,
    Receipt, Rfc4733Encoder,
};

/// Digits as sound, 20 ms at a time.
#[derive(Debug)]
pub struct InbandEncoder {
    sender: Rfc4733Encoder,
    /// Samples since the start, for the sender's clock.
    timestamp: u32,
    tone: Option<Sounding>,
    receipts: Vec<Receipt>,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing was written: speech goes on.
    Off,
    /// The whole frame was written, tone or the silence around it.
    On,
}

#[derive(Debug, Clone, Copy)]
struct Sounding {
    event: u8,
    first_timestamp: u32,
    /// Samples made so far.
    made: u32,
}

impl InbandEncoder {
    /// A generator with the shortest tone and gap allowed.
    pub fn new(min_tone: Duration, min_gap: Duration) -> InbandEncoder {
        let config = EncoderConfig {
            min_tone,
            min_gap,
            pace: Pace::Clock,
            ..EncoderConfig::new(0, RATE as u32)
        };
        InbandEncoder {
            sender: Rfc4733Encoder::new(config),
            timestamp: 0,
            tone: None,
            receipts: Vec::new(),
        }
    }

    /// Nothing is on or queued.
    pub fn is_idle(&self) -> bool {
        self.sender.is_idle()
    }

    /// Takes out what waits, for another sender. The digit that is on stays.
    pub fn take_queue(&mut self) -> DigitQueue {
        self.sender.take_queue()
    }

    /// Takes over what waited elsewhere, behind what waits here.
    pub fn put_queue(&mut self, queue: DigitQueue) {
        self.sender.put_queue(queue);
    }

    /// Takes live digits, requests and cancels; ticks come by [`InbandEncoder::fill`].
    ///
    /// # Errors
    /// [`EncoderError::QueueFull`] as the RFC 4733 sender.
    pub fn handle_input(
        &mut self,
        now: Instant,
        input: EncoderInput<'_>,
    ) -> Result<(), EncoderError> {
        match input {
            EncoderInput::Tick { .. } | EncoderInput::PayloadType(_) => Ok(()),
            input => self.sender.handle_input(now, input),
        }
    }

    /// The next frame of 20 ms (160 samples) at 8 kHz: written over speech while a digit is on.
    pub fn fill(&mut self, now: Instant, pcm: &mut [i16]) -> Tone {
        self.timestamp = self.timestamp.wrapping_add(pcm.len() as u32);
        // A tick is always taken.
        let _ = self.sender.handle_input(now, EncoderInput::Tick { timestamp: self.timestamp });
        let mut newest = None;
        loop {
            match self.sender.poll_output() {
                EncoderOutput::Packet(packet) => newest = Some(packet),
                EncoderOutput::Sent(receipt) => self.receipts.push(receipt),
                EncoderOutput::Timeout => break,
            }
        }
        let Some(packet) = newest.filter(|_| self.sender.is_on()) else {
            self.tone = None;
            return Tone::Off;
        };
        let block = EventBlock::from_bytes(packet.payload);
        let tone = match self.tone {
            Some(tone) if !packet.marker => tone,
            _ => Sounding { event: block.event, first_timestamp: packet.timestamp, made: 0 },
        };
        let total = packet.timestamp.wrapping_sub(tone.first_timestamp) + u32::from(block.duration);
        let ends_at = if block.end { Some(total) } else { None };
        for (made, sample) in (tone.made..).zip(pcm.iter_mut()) {
            *sample = if made < total { sample_of(tone.event, made, ends_at) } else { 0 };
        }
        self.tone = Some(Sounding { made: total, ..tone });
        Tone::On
    }

    /// What became of the digits since the last call of this.
    pub fn take_receipts(&mut self) -> impl Iterator<Item = Receipt> + '_ {
        self.receipts.drain(..).map(|receipt| Receipt {
            mode: Mode::Inband,
            clock_rate: 0,
            payload_type: 0,
            packets: 0,
            end_copies: 0,
            ..receipt
        })
    }
}

fn sample_of(event: u8, made: u32, ends_at: Option<u32>) -> i16 {
    let at = |group: &[f64; 4], index: usize, peak: f64| {
        peak * (TAU * group[index] * f64::from(made) / RATE).sin()
    };
    let place = (0..4)
        .flat_map(|row| (0..4).map(move |column| (row, column)))
        .find(|(row, column)| EVENTS[*row][*column] == event);
    let Some((row, column)) = place else { return 0 };
    let rising = f64::from(made) / RAMP;
    let falling = ends_at.map_or(1.0, |end| f64::from(end.saturating_sub(made)) / RAMP);
    let ramp = rising.min(falling).min(1.0);
    (ramp * (at(&ROWS, row, ROW_PEAK) + at(&COLUMNS, column, COLUMN_PEAK))).round() as i16
}

/// Peak of a sine of -9 dBm0 (ITU-T G.711: full scale is 3.17 dBm0). Q.23 and the usual practice:
/// the column 2 dB above the row, since lines lose more at high frequencies.
const ROW_PEAK: f64 = 8_070.0;
/// Peak of a sine of -7 dBm0.
const COLUMN_PEAK: f64 = 10_160.0;
/// Samples in 2 ms.
const RAMP: f64 = 16.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Digit, epoch};
    use crate::dtmf::{InbandDetector, Output, Phase, parse_tones};

    fn at(frames: u64) -> Instant {
        epoch() + Duration::from_millis(frames * 20)
    }

    #[test]
    fn all_keys_are_heard_by_the_detector_at_their_length() {
        let minimum = Duration::from_millis(50);
        let mut encoder = InbandEncoder::new(minimum, minimum);
        let all: String = Digit::ALL.iter().map(|d| d.as_char()).collect();
        let items =
            parse_tones(&all, Duration::from_millis(110), Duration::from_millis(70)).unwrap();
        let send = EncoderInput::Send { source: Mode::Client, items: &items };
        encoder.handle_input(at(0), send).unwrap();
        let mut detector = InbandDetector::new();
        let mut heard = String::new();
        let mut sound = Vec::new();
        for frame in 1..200 {
            let mut pcm = [0; 160];
            encoder.fill(at(frame), &mut pcm);
            sound.extend(pcm);
            detector.handle_input(at(frame), &pcm);
            while let Output::Digit(event) = detector.poll_output() {
                if let Phase::End(_) = event.phase {
                    heard.push(event.digit.as_char());
                    let ms = event.duration.as_millis();
                    assert!((95..=125).contains(&ms), "{ms}");
                }
            }
        }
        assert_eq!(heard, all);
        assert!(encoder.is_idle());
        let receipts: Vec<Receipt> = encoder.take_receipts().collect();
        assert_eq!(receipts.len(), 16);
        assert_eq!(receipts[0].tone, Duration::from_millis(110));
        assert_eq!((receipts[0].mode, receipts[0].packets), (Mode::Inband, 0));
        // No step is larger than the tones themselves make: no click at either end.
        let steepest = sound.windows(2).map(|w| (w[1] - w[0]).abs()).max().unwrap();
        let largest = TAU / RATE * (941.0 * ROW_PEAK + 1633.0 * COLUMN_PEAK);
        assert!(f64::from(steepest) <= largest, "{steepest}");
        assert!(sound[..2].iter().all(|s| s.abs() < 2000));
    }

    #[test]
    fn speech_goes_on_when_no_digit_is_on() {
        let minimum = Duration::from_millis(50);
        let mut encoder = InbandEncoder::new(minimum, minimum);
        let mut pcm = [77; 160];
        assert_eq!(encoder.fill(at(1), &mut pcm), Tone::Off);
        assert_eq!(pcm, [77; 160]);
        let items = parse_tones("1", minimum, minimum).unwrap();
        let send = EncoderInput::Send { source: Mode::Client, items: &items };
        encoder.handle_input(at(1), send).unwrap();
        let tones: Vec<Tone> = (2..6).map(|i| encoder.fill(at(i), &mut pcm)).collect();
        assert_eq!(tones, [Tone::On, Tone::On, Tone::On, Tone::Off]);
    }
}
