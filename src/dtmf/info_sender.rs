//! The sender of digits as SIP INFO: one digit per request, the next one after the final response.
//!
//! ```text
//! key 5    down =====100 ms===== up     down == up
//! INFO                           |-> 5            |-> (waits) 6
//! response                       |------- 200 ->|   |-> 6
//! ```
//!
//! A live press goes out when the key comes up, or after five seconds; a digit of a request at once,
//! paced by its length and gap. A refused digit is handed back with all that wait, for the next mode
//! of the plan; where there is none its receipt says so and the next digit goes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::queue::{Job, Length, Waiting};
use super::{DigitQueue, EncoderError, EncoderInput, Mode, Receipt};
use crate::base::Digit;

/// What becomes of a digit whose INFO is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefusal {
    /// It and all that wait are for another sender.
    HandBack,
    /// There is no other way: its receipt is written and the next one goes.
    GoOn,
}

/// What the sender takes.
#[derive(Debug, Clone, Copy)]
pub enum InfoInput<'a> {
    /// Digits or a cancel; ticks and payload types are nothing to it.
    Digits(EncoderInput<'a>),
    /// The final response to a request, or 408 and 503 where none can come.
    Done {
        /// Which request.
        request: u64,
        /// Its status.
        status: u16,
    },
    /// The time of the last `Timeout` has come.
    Timeout,
}

/// What the sender hands out; drained until `Timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InfoOutput {
    /// Send an INFO and tell the final response as [`InfoInput::Done`].
    Request {
        /// Names it.
        request: u64,
        /// The key.
        digit: Digit,
        /// How long it was or is.
        duration: Duration,
    },
    /// What became of a digit.
    Sent(Receipt),
    /// The peer refused, or did not answer: take the queue and send it another way.
    Refused {
        /// The final status; 408 where none came.
        status: u16,
    },
    /// When to call again at the latest.
    Timeout(Option<Instant>),
}

/// The INFO requests of one leg.
#[derive(Debug)]
pub struct InfoSender {
    on_refusal: OnRefusal,
    queue: DigitQueue,
    pending: Option<Pending>,
    next_request: u64,
    /// From when on the next one may go.
    free_from: Option<Instant>,
    /// When the last digit ended.
    ended_at: Option<Instant>,
    /// A digit was refused: nothing goes until the owner has taken the queue.
    handed_back: bool,
    outputs: VecDeque<InfoOutput>,
}

#[derive(Debug)]
struct Pending {
    request: u64,
    job: Job,
    duration: Duration,
    gap: Duration,
    sent_at: Instant,
    cancelled: Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancelled {
    No,
    /// It is on its way, but shall not go another one.
    Yes,
}

impl InfoSender {
    /// A sender with nothing to send.
    pub fn new(on_refusal: OnRefusal) -> InfoSender {
        InfoSender {
            on_refusal,
            queue: DigitQueue::new(),
            pending: None,
            next_request: 0,
            free_from: None,
            ended_at: None,
            handed_back: false,
            outputs: VecDeque::with_capacity(4),
        }
    }

    /// A new plan: whether there is another mode.
    pub fn set_on_refusal(&mut self, on_refusal: OnRefusal) {
        self.on_refusal = on_refusal;
    }

    /// A request waits for its final response.
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Takes out what waits, for another sender. The digit that is on its way stays.
    pub fn take_queue(&mut self) -> DigitQueue {
        self.handed_back = false;
        std::mem::take(&mut self.queue)
    }

    /// Takes over what waited elsewhere, behind what waits here.
    pub fn put_queue(&mut self, queue: DigitQueue) {
        self.queue.take_over(queue);
    }

    /// Takes digits, a response, or the time.
    ///
    /// # Errors
    /// [`EncoderError::QueueFull`] when digits come faster than they are answered for very long.
    pub fn handle_input(&mut self, now: Instant, input: InfoInput<'_>) -> Result<(), EncoderError> {
        match input {
            InfoInput::Digits(EncoderInput::Digit(event)) => {
                self.queue.live(now, event, Duration::ZERO)?;
            }
            InfoInput::Digits(EncoderInput::Send { source, items }) => {
                self.queue.append(now, source, items, Duration::ZERO)?;
            }
            InfoInput::Digits(EncoderInput::Cancel) => {
                self.queue.clear();
                if let Some(pending) = &mut self.pending {
                    pending.cancelled = Cancelled::Yes;
                }
            }
            InfoInput::Digits(EncoderInput::PayloadType(_) | EncoderInput::Tick { .. }) => {}
            InfoInput::Done { request, status } => self.done(request, status),
            InfoInput::Timeout => {
                let overdue = |p: &Pending| p.sent_at + PATIENCE <= now;
                if let Some(request) =
                    self.pending.as_ref().filter(|p| overdue(p)).map(|p| p.request)
                {
                    self.done(request, NO_ANSWER);
                }
            }
        }
        self.go_on(now);
        Ok(())
    }

    /// Requests, receipts and refusals, then `Timeout`.
    pub fn poll_output(&mut self) -> InfoOutput {
        self.outputs.pop_front().unwrap_or_else(|| InfoOutput::Timeout(self.timeout()))
    }

    fn timeout(&self) -> Option<Instant> {
        if let Some(pending) = &self.pending {
            return Some(pending.sent_at + PATIENCE);
        }
        if self.handed_back {
            return None;
        }
        match self.queue.front()? {
            Waiting::Digit(Job { length: Length::Held(_), arrived, .. }) => {
                Some(*arrived + LONGEST)
            }
            _ => self.free_from,
        }
    }

    fn is_free(&self, now: Instant) -> bool {
        self.free_from.is_none_or(|at| at <= now)
    }

    /// Sends the next digit if it is its time.
    fn go_on(&mut self, now: Instant) {
        while !self.handed_back && self.pending.is_none() && self.is_free(now) {
            let job = match self.queue.front() {
                None => return,
                Some(Waiting::Pause(pause)) => {
                    self.free_from = Some(now + *pause);
                    self.queue.pop();
                    continue;
                }
                Some(Waiting::Digit(job)) => *job,
            };
            let duration = match job.length {
                Length::Known(length) => length,
                Length::Held(_) if job.arrived + LONGEST <= now => LONGEST,
                Length::Held(_) => return,
                Length::Cancelled => Duration::ZERO,
            };
            self.queue.pop();
            self.request(now, job, duration);
        }
    }

    fn request(&mut self, now: Instant, job: Job, duration: Duration) {
        let request = self.next_request;
        self.next_request += 1;
        // A live press is over when it goes out; a digit of a request begins then.
        let (started, ended) = match job.live {
            Some(_) => (now.checked_sub(duration).unwrap_or(now), now),
            None => (now, now + duration + job.gap),
        };
        let gap =
            self.ended_at.map_or(Duration::ZERO, |end| started.saturating_duration_since(end));
        self.free_from = Some(ended);
        self.ended_at = Some(started + duration);
        self.outputs.push_back(InfoOutput::Request { request, digit: job.digit, duration });
        let cancelled = Cancelled::No;
        self.pending = Some(Pending { request, job, duration, gap, sent_at: now, cancelled });
    }

    fn done(&mut self, request: u64, status: u16) {
        // A response to a request that was given up says nothing any more.
        let Some(pending) = self.pending.take_if(|p| p.request == request) else { return };
        let accepted = (200..300).contains(&status);
        let resend = self.on_refusal == OnRefusal::HandBack && pending.cancelled == Cancelled::No;
        if accepted || !resend {
            self.outputs.push_back(InfoOutput::Sent(pending.receipt(status)));
            return;
        }
        let length = Length::Known(pending.duration);
        self.queue.push_front(Job { length, refused: Some(status), ..pending.job });
        self.handed_back = true;
        self.outputs.push_back(InfoOutput::Refused { status });
    }
}

impl Pending {
    fn receipt(&self, status: u16) -> Receipt {
        Receipt {
            digit: self.job.digit,
            source: self.job.source,
            source_duration: match self.job.length {
                Length::Known(length) => Some(length),
                Length::Held(_) | Length::Cancelled => None,
            },
            mode: Mode::Info,
            clock_rate: 0,
            payload_type: 0,
            packets: 0,
            end_copies: 0,
            tone: self.duration,
            gap: self.gap,
            info_status: Some(status),
            delay: self.sent_at.saturating_duration_since(self.job.arrived),
        }
    }
}

/// A key that is held longer goes out without waiting for its end.
const LONGEST: Duration = Duration::from_secs(5);
/// How long a final response is waited for before the next digit goes.
const PATIENCE: Duration = Duration::from_secs(5);
/// RFC 3261 21.4.9: no final response in time.
const NO_ANSWER: u16 = 408;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;
    use crate::dtmf::{DigitEvent, DigitId, EndReason, Phase, parse_tones};

    const MS: fn(u64) -> Duration = Duration::from_millis;

    struct Trunk {
        sender: InfoSender,
        ms: u64,
        /// When, which request, which key, how long.
        requests: Vec<(u64, u64, char, u64)>,
        receipts: Vec<(char, Option<u16>)>,
        refused: Vec<u16>,
    }

    impl Trunk {
        fn new(on_refusal: OnRefusal) -> Trunk {
            Trunk {
                sender: InfoSender::new(on_refusal),
                ms: 0,
                requests: Vec::new(),
                receipts: Vec::new(),
                refused: Vec::new(),
            }
        }

        fn input(&mut self, input: InfoInput<'_>) {
            self.sender.handle_input(epoch() + MS(self.ms), input).unwrap();
            loop {
                match self.sender.poll_output() {
                    InfoOutput::Request { request, digit, duration } => {
                        let length = duration.as_millis() as u64;
                        self.requests.push((self.ms, request, digit.as_char(), length));
                    }
                    InfoOutput::Sent(r) => {
                        self.receipts.push((r.digit.as_char(), r.info_status));
                    }
                    InfoOutput::Refused { status } => self.refused.push(status),
                    InfoOutput::Timeout(_) => return,
                }
            }
        }

        /// Sleeps until `ms`, waking whenever the sender wants it.
        fn until(&mut self, ms: u64) {
            while let InfoOutput::Timeout(Some(at)) = self.sender.poll_output() {
                let at = at.duration_since(epoch()).as_millis() as u64;
                if at > ms {
                    break;
                }
                self.ms = self.ms.max(at);
                self.input(InfoInput::Timeout);
            }
            self.ms = ms;
        }

        fn send(&mut self, tones: &str) {
            let items = parse_tones(tones, MS(100), MS(70)).unwrap();
            let send = EncoderInput::Send { source: Mode::Client, items: &items };
            self.input(InfoInput::Digits(send));
        }

        fn live(&mut self, key: char, id: u64, from: u64, phase: Phase) {
            let event = DigitEvent {
                id: DigitId(id),
                digit: Digit::from_char(key).unwrap(),
                mode: Mode::Rfc4733,
                started_at: epoch() + MS(from),
                duration: MS(self.ms - from),
                phase,
                wrong_clock: false,
            };
            self.input(InfoInput::Digits(EncoderInput::Digit(event)));
        }

        fn done(&mut self, request: u64, status: u16) {
            self.input(InfoInput::Done { request, status });
        }
    }

    const END: Phase = Phase::End(EndReason::Released);

    #[test]
    fn one_digit_an_info_and_the_next_after_the_final_response() {
        let mut trunk = Trunk::new(OnRefusal::HandBack);
        trunk.live('5', 1, 0, Phase::Start);
        trunk.until(120);
        trunk.live('5', 1, 0, END);
        trunk.until(150);
        trunk.live('6', 2, 150, Phase::Start);
        trunk.until(250);
        trunk.live('6', 2, 150, END);
        trunk.until(400);
        assert_eq!(trunk.requests, [(120, 0, '5', 120)]);
        trunk.done(0, 200);
        assert_eq!(trunk.requests[1..], [(400, 1, '6', 100)]);
        trunk.done(1, 200);
        trunk.done(1, 200);
        assert_eq!(trunk.receipts, [('5', Some(200)), ('6', Some(200))]);
    }

    #[test]
    fn digits_of_a_request_are_paced_by_their_length_and_gap_and_pauses() {
        let mut trunk = Trunk::new(OnRefusal::HandBack);
        trunk.send("1w2");
        trunk.until(10);
        trunk.done(0, 200);
        trunk.until(5000);
        assert_eq!(trunk.requests, [(0, 0, '1', 100), (670, 1, '2', 100)]);
    }

    #[test]
    fn a_key_held_for_five_seconds_goes_out_and_its_end_is_no_second_digit() {
        let mut trunk = Trunk::new(OnRefusal::HandBack);
        trunk.live('5', 1, 0, Phase::Start);
        trunk.until(6000);
        assert_eq!(trunk.requests, [(5000, 0, '5', 5000)]);
        trunk.done(0, 200);
        trunk.live('5', 1, 0, END);
        trunk.until(20_000);
        assert_eq!(trunk.requests.len(), 1);
    }

    #[test]
    fn a_refused_digit_is_handed_back_with_those_that_wait() {
        for status in [405, 415, 500, 603] {
            let mut trunk = Trunk::new(OnRefusal::HandBack);
            trunk.send("123");
            trunk.until(30);
            trunk.done(0, status);
            trunk.until(9000);
            assert_eq!((trunk.refused.clone(), trunk.requests.len()), (vec![status], 1));
            let mut queue = trunk.sender.take_queue();
            let mut keys = Vec::new();
            while let Some(Waiting::Digit(job)) = queue.pop() {
                keys.push((job.digit.as_char(), job.refused));
            }
            assert_eq!(keys, [('1', Some(status)), ('2', None), ('3', None)]);
            assert!(trunk.receipts.is_empty());
        }
    }

    #[test]
    fn no_answer_in_five_seconds_is_408_and_a_late_one_changes_nothing() {
        let mut trunk = Trunk::new(OnRefusal::HandBack);
        trunk.send("1");
        trunk.until(4999);
        assert!(trunk.refused.is_empty());
        trunk.until(5000);
        assert_eq!(trunk.refused, [408]);
        trunk.done(0, 200);
        assert!(trunk.receipts.is_empty());
    }

    #[test]
    fn without_another_way_the_receipt_says_so_and_the_next_one_goes() {
        let mut trunk = Trunk::new(OnRefusal::GoOn);
        trunk.send("12");
        trunk.until(300);
        trunk.done(0, 500);
        trunk.until(6000);
        assert_eq!(trunk.receipts, [('1', Some(500)), ('2', Some(408))]);
        assert_eq!(trunk.requests.len(), 2);
    }

    #[test]
    fn what_is_cancelled_does_not_go_and_does_not_come_back() {
        let mut trunk = Trunk::new(OnRefusal::HandBack);
        trunk.send("123");
        trunk.input(InfoInput::Digits(EncoderInput::Cancel));
        trunk.until(50);
        trunk.done(0, 405);
        trunk.until(9000);
        assert_eq!((trunk.requests.len(), trunk.refused.len()), (1, 0));
        assert_eq!(trunk.receipts, [('1', Some(405))]);
    }
}
