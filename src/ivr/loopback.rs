//! A call without a network: the plan decides, the line speaks, G.711 is between, and the clock runs as
//! fast as the machine can. Nobody takes a call that rings here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};

use super::line::{Line, LineEvent};
use super::result::CaseResult;
use super::runner::{Action, Runner};
use super::scenario::{By, Case};
use super::script::Script;
use crate::base::{Digit, DtmfMode};
use crate::codec::{Codec, CodecError, Decoder, Encoder, FRAME};
use crate::dialplan::{Destination, InboundRequest, Outcome, Plan};
use crate::dtmf::{EncoderInput, InbandDetector, InbandEncoder, Mode, Output, Phase, ToneItem};

/// A plan and its sounds, to call into.
#[derive(Debug, Clone)]
pub struct Loopback {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Its menus and mailboxes with their sounds.
    pub script: Arc<Script>,
    /// The time where a scenario names none.
    pub now: Timestamp,
}

impl Loopback {
    /// Runs a case to its end. `epoch` is any moment: the virtual clock starts there.
    pub fn run(&self, case: Case, epoch: Instant) -> CaseResult {
        let mut runner = Runner::new(case);
        match Wire::new(runner.case()) {
            Ok(wire) => Call::new(self, wire, epoch).run(&mut runner),
            Err(error) => runner.fail(&error.to_string()),
        }
        runner.into_result()
    }

    fn flow(&self, case: &Case) -> Result<Vec<Destination>, u16> {
        let scenario = &case.scenario;
        let did = scenario.target.strip_prefix("did:").unwrap_or(&scenario.target);
        let at = scenario.at.as_deref().and_then(|at| self.plan.moment(at)).unwrap_or(self.now);
        let request =
            InboundRequest { did: did.to_owned(), from: scenario.from.clone(), trunk: None, at };
        match self.plan.evaluate_inbound(&request).outcome {
            Outcome::Flow(flow) => Ok(flow),
            Outcome::Refuse(refusal) => Err(refusal.cause.sip().status),
            Outcome::Dial(_) => Err(480),
        }
    }

    /// How long a destination rings before the flow goes on; `None` where it is refused at once.
    fn rings(&self, to: &Destination, at: Timestamp) -> Option<Duration> {
        match to {
            Destination::Ring(name) => self.plan.ring(name).map(|ring| ring.timeout),
            Destination::User(_) => Some(RING),
            Destination::Number(number) => {
                let decision = self.plan.evaluate_forward(number, None, at);
                matches!(decision.outcome, Outcome::Dial(_)).then_some(RING)
            }
            _ => None,
        }
    }
}

/// The call's two ways and its digits.
struct Wire {
    up: Way,
    down: Way,
    mode: DtmfMode,
    /// Keys to come: at these frames.
    digits: VecDeque<(usize, Digit)>,
    tones: InbandEncoder,
    detector: InbandDetector,
}

/// One way of the sound.
struct Way {
    encoder: Encoder,
    decoder: Decoder,
    payload: Vec<u8>,
    pcm: Vec<i16>,
    late: VecDeque<Vec<i16>>,
    delay: usize,
    loss: f64,
    random: ChaCha12Rng,
}

impl Way {
    fn new(case: &Case, seed: u64) -> Result<Way, CodecError> {
        Ok(Way {
            encoder: Encoder::new(Codec::Pcma)?,
            decoder: Decoder::new(Codec::Pcma)?,
            payload: Vec::new(),
            pcm: Vec::new(),
            late: VecDeque::new(),
            delay: usize::try_from(case.network.jitter.as_millis() / 20).unwrap_or(0).min(50),
            loss: case.network.loss,
            random: ChaCha12Rng::seed_from_u64(seed),
        })
    }

    /// What comes out of the other end for this frame.
    fn carry(&mut self, frame: &[i16; FRAME]) -> &[i16] {
        // A playout buffer as deep as the jitter makes it a delay.
        let mut frame = frame.to_vec();
        if self.delay > 0 {
            self.late.push_back(frame);
            frame = if self.late.len() > self.delay {
                self.late.pop_front().unwrap_or_default()
            } else {
                vec![0; FRAME]
            };
        }
        let lost =
            self.loss > 0.0 && f64::from(self.random.next_u32()) < self.loss * 4_294_967_296.0;
        let coded = self.encoder.encode(&frame, &mut self.payload).is_ok();
        if lost || !coded || self.decoder.decode(&self.payload, &mut self.pcm).is_err() {
            self.decoder.conceal(FRAME, &mut self.pcm);
        }
        &self.pcm
    }
}

impl Wire {
    fn new(case: &Case) -> Result<Wire, CodecError> {
        let seed =
            case.title().bytes().fold(7u64, |a, b| a.wrapping_mul(131).wrapping_add(b.into()));
        Ok(Wire {
            up: Way::new(case, seed)?,
            down: Way::new(case, seed ^ 0xD0)?,
            mode: case.dtmf.mode,
            digits: VecDeque::new(),
            tones: InbandEncoder::new(Duration::from_millis(40), Duration::from_millis(40)),
            detector: InbandDetector::new(),
        })
    }

    fn press(&mut self, now: Instant, frame: usize, items: &[ToneItem]) {
        if self.mode == DtmfMode::Inband {
            // More keys than its queue takes are more than a scenario can hold.
            let _ =
                self.tones.handle_input(now, EncoderInput::Send { source: Mode::Client, items });
            return;
        }
        let mut at = Duration::ZERO;
        for item in items {
            match item {
                ToneItem::Pause(pause) => at += *pause,
                ToneItem::Digit { digit, duration, gap } => {
                    let later = usize::try_from(at.as_millis() / 20).unwrap_or(0);
                    self.digits.push_back((frame + later, *digit));
                    at += *duration + *gap;
                }
            }
        }
    }
}

struct Call<'a> {
    from: &'a Loopback,
    wire: Wire,
    epoch: Instant,
    line: Option<Line>,
    flow: VecDeque<Destination>,
    /// Until when it rings before the answer, or while a transfer is tried.
    rings_until: Option<usize>,
    saying: Option<(Arc<[i16]>, usize)>,
    over: bool,
}

impl<'a> Call<'a> {
    fn new(from: &'a Loopback, wire: Wire, epoch: Instant) -> Call<'a> {
        Call {
            from,
            wire,
            epoch,
            line: None,
            flow: VecDeque::new(),
            rings_until: None,
            saying: None,
            over: false,
        }
    }

    fn run(mut self, runner: &mut Runner) {
        runner.message(By::Local, "call");
        match self.from.flow(runner.case()) {
            Ok(flow) => self.flow = flow.into(),
            Err(status) => self.end(runner, status),
        }
        for frame in 0..MOST_FRAMES {
            if runner.is_over() {
                return;
            }
            let now = self.epoch + Duration::from_millis(frame as u64 * 20);
            if self.line.is_none() && !self.over && self.rings_until.is_none_or(|at| at <= frame) {
                self.next(runner, frame);
            }
            self.step(runner, now, frame);
            while let Some(action) = runner.poll() {
                self.act(runner, now, frame, action);
            }
        }
        runner.fail("the call did not come to an end");
    }

    /// The next place of the flow before anybody has answered.
    fn next(&mut self, runner: &mut Runner, frame: usize) {
        let Some(to) = self.flow.pop_front() else { return self.end(runner, 480) };
        match &to {
            Destination::User(_) | Destination::Ring(_) => {
                if let Some(rings) = self.from.rings(&to, self.from.now) {
                    runner.message(By::Remote, format!("180 Ringing ({to})"));
                    runner.response(180);
                    self.rings_until = Some(frame + frames(rings));
                }
            }
            Destination::Hangup => self.end(runner, 603),
            _ => {
                runner.message(By::Remote, format!("200 OK ({to})"));
                runner.response(200);
                let flow: Vec<Destination> =
                    std::iter::once(to.clone()).chain(self.flow.drain(..)).collect();
                self.line = Some(Line::new(self.from.script.clone(), &flow));
                self.rings_until = None;
            }
        }
    }

    fn step(&mut self, runner: &mut Runner, now: Instant, frame: usize) {
        let mut sent = [0i16; FRAME];
        if let Some((pcm, at)) = &mut self.saying {
            let rest = &pcm[*at..(*at + FRAME).min(pcm.len())];
            sent[..rest.len()].copy_from_slice(rest);
            *at += FRAME;
            if *at >= pcm.len() {
                self.saying = None;
            }
        }
        if self.wire.mode == DtmfMode::Inband {
            self.wire.tones.fill(now, &mut sent);
        }
        let mut heard = [0i16; FRAME];
        if let Some(line) = &mut self.line {
            while self.wire.digits.front().is_some_and(|(at, _)| *at <= frame) {
                if let Some((_, digit)) = self.wire.digits.pop_front() {
                    line.digit(digit);
                }
            }
            let said = self.wire.up.carry(&sent).to_vec();
            if self.wire.mode == DtmfMode::Inband {
                self.wire.detector.handle_input(now, &said);
                while let Output::Digit(event) = self.wire.detector.poll_output() {
                    if event.phase == Phase::Start {
                        line.digit(event.digit);
                    }
                }
            }
            line.frame(&said, &mut heard);
        }
        let heard = if self.line.is_some() { self.wire.down.carry(&heard) } else { &heard };
        runner.frame(heard, &sent);
        self.line_events(runner, frame);
    }

    fn line_events(&mut self, runner: &mut Runner, frame: usize) {
        let Some(line) = &mut self.line else { return };
        if self.rings_until.is_some_and(|at| at <= frame) {
            self.rings_until = None;
            line.refused();
        }
        while let Some(event) = line.poll() {
            match event {
                LineEvent::Entered(to) => runner.message(By::Remote, to.to_string()),
                LineEvent::Transfer(to) => {
                    runner.message(By::Remote, format!("to {to}"));
                    match self.from.rings(&to, self.from.now) {
                        Some(rings) => self.rings_until = Some(frame + frames(rings)),
                        None => line.refused(),
                    }
                }
                LineEvent::Recorded(message) => {
                    let seconds = message.pcm.len() as f64 / f64::from(message.rate.hz());
                    let words = format!("a message of {seconds:.1} s in {}", message.mailbox);
                    runner.message(By::Remote, words);
                }
                LineEvent::HangUp => {
                    runner.message(By::Remote, "hang up");
                    runner.ended(By::Remote, "the far side hung up");
                    self.over = true;
                }
            }
        }
        if self.over {
            self.line = None;
        }
    }

    fn act(&mut self, runner: &mut Runner, now: Instant, frame: usize, action: Action) {
        match action {
            Action::Press(items) => self.wire.press(now, frame, &items),
            Action::Say(pcm) => self.saying = Some((pcm, 0)),
            Action::HangUp => {
                runner.message(By::Local, "hang up");
                if let Some(line) = &mut self.line {
                    line.hung_up();
                }
                self.line_events(runner, frame);
                runner.ended(By::Local, "the test hung up");
                (self.line, self.over) = (None, true);
            }
            Action::Hold(_) | Action::Transfer(_) => {
                runner.fail("hold and transfer need a call over a trunk: via: trunk");
            }
        }
    }

    fn end(&mut self, runner: &mut Runner, status: u16) {
        runner.message(By::Remote, status.to_string());
        runner.response(status);
        self.over = true;
    }
}

fn frames(duration: Duration) -> usize {
    usize::try_from(duration.as_millis() / 20).unwrap_or(usize::MAX / 2).min(usize::MAX / 2)
}

/// How long somebody is rung for whom the plan says nothing.
const RING: Duration = Duration::from_secs(30);
/// Two hours: the call's own limit comes before.
const MOST_FRAMES: usize = 2 * 3600 * 50;
