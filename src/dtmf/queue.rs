//! Digits that wait to be sent, in the order in which they came. Every sender holds one; when the
//! mode of a leg changes, the queue moves to the next sender and nothing is lost.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{DigitEvent, DigitId, EncoderError, Mode, Phase, ToneItem};
use crate::base::Digit;

/// Digits and pauses that wait. What is in it concerns only the senders.
#[derive(Debug, Default)]
pub struct DigitQueue {
    items: VecDeque<Waiting>,
}

#[derive(Debug)]
pub(super) enum Waiting {
    Digit(Job),
    Pause(Duration),
}

/// One digit to send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) digit: Digit,
    pub(super) source: Mode,
    /// The live press it follows; `None` for a digit of a request.
    pub(super) live: Option<DigitId>,
    pub(super) length: Length,
    /// Silence wanted after it.
    pub(super) gap: Duration,
    pub(super) arrived: Instant,
    /// The status with which an INFO for it was refused, before it came here.
    pub(super) refused: Option<u16>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Length {
    /// The key is still down: for so long as the source has counted, or, where it counts nothing
    /// before the end, for as long as the clock says.
    Held(Option<Duration>),
    Known(Duration),
    Cancelled,
}

impl Length {
    /// What a step before the end says. Only telephone events count while the key is down.
    pub(super) fn held(event: &DigitEvent) -> Length {
        Length::Held((event.mode == Mode::Rfc4733).then_some(event.duration))
    }
}

impl DigitQueue {
    /// A queue with nothing in it.
    pub fn new() -> DigitQueue {
        DigitQueue::default()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes a step of a live press: a start is queued, an end gives a queued one its length.
    ///
    /// # Errors
    /// [`EncoderError::QueueFull`]: the press was not taken.
    pub fn live(
        &mut self,
        now: Instant,
        event: DigitEvent,
        gap: Duration,
    ) -> Result<(), EncoderError> {
        match event.phase {
            Phase::Start => {
                self.room_for(1)?;
                self.items.push_back(Waiting::Digit(Job {
                    digit: event.digit,
                    source: event.mode,
                    live: Some(event.id),
                    length: Length::held(&event),
                    gap,
                    arrived: now,
                    refused: None,
                }));
            }
            Phase::Update => {
                if let Some(job) = self.jobs().find(|job| job.follows(&event)) {
                    job.length = Length::held(&event);
                }
            }
            Phase::End(_) => {
                if let Some(job) = self.jobs().find(|job| job.follows(&event)) {
                    job.length = Length::Known(event.duration);
                }
            }
        }
        Ok(())
    }

    /// Takes digits of known length, all or none.
    ///
    /// # Errors
    /// [`EncoderError::QueueFull`]: none was taken.
    pub fn append(
        &mut self,
        now: Instant,
        source: Mode,
        items: &[ToneItem],
        min_gap: Duration,
    ) -> Result<(), EncoderError> {
        self.room_for(items.len())?;
        self.items.extend(items.iter().map(|item| match *item {
            ToneItem::Pause(pause) => Waiting::Pause(pause),
            ToneItem::Digit { digit, duration, gap } => Waiting::Digit(Job {
                digit,
                source,
                live: None,
                length: Length::Known(duration),
                gap: gap.max(min_gap),
                arrived: now,
                refused: None,
            }),
        }));
        Ok(())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        self.items.pop_front()
    }

    pub(super) fn front(&self) -> Option<&Waiting> {
        self.items.front()
    }

    pub(super) fn push_front(&mut self, job: Job) {
        self.items.push_front(Waiting::Digit(job));
    }

    /// Puts all of another queue behind what is here.
    pub fn take_over(&mut self, mut other: DigitQueue) {
        self.items.append(&mut other.items);
    }

    fn jobs(&mut self) -> impl Iterator<Item = &mut Job> {
        self.items.iter_mut().filter_map(|waiting| match waiting {
            Waiting::Digit(job) => Some(job),
            Waiting::Pause(_) => None,
        })
    }

    fn room_for(&self, more: usize) -> Result<(), EncoderError> {
        if self.items.len() + more > MAX_QUEUE { Err(EncoderError::QueueFull) } else { Ok(()) }
    }
}

impl Job {
    /// Whether a step of a live press is about this digit, whose end is not known yet.
    pub(super) fn follows(&self, event: &DigitEvent) -> bool {
        self.live == Some(event.id)
            && self.digit == event.digit
            && matches!(self.length, Length::Held(_))
    }
}

/// Digits and pauses that may wait: two requests of the longest kind.
const MAX_QUEUE: usize = 512;
