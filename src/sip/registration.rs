//! Keeping one registration alive at a trunk's registrar (RFC 3261 10.2): when to ask, for how long,
//! and what the answers mean. Its owner sends the requests and locates the registrar.
//!
//! ```text
//! Trying --2xx--> Registered --at 80-90 % of the time granted--> Trying
//! Trying --423--> Trying, with Min-Expires       Trying --no answer--> Waiting (4 s, doubled to 5 min)
//! Trying --401, 403, 404--> Waiting (1 min, doubled to 30 min)
//! Waiting --its end--> Trying                    Registered --flow lost--> Trying
//! Trying, Waiting --the time granted last is over--> the same, and not registered any more
//! * --Stop--> Leaving (REGISTER with 0 seconds) --answer--> Gone
//! ```

use std::time::{Duration, Instant};

use super::header::{Contact, TypedHeader};
use super::message::{MessageExt, Response};
use super::random::Random;
use super::{NameAddr, Uri};

/// What is registered. The same seed makes the same Call-ID, line and waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationConfig {
    /// The user part of our Contact.
    pub user: String,
    /// The time asked for.
    pub expires: Duration,
    /// Of all that must not be guessed.
    pub seed: [u8; 32],
}

/// What a registration is told.
#[derive(Debug)]
pub enum RegistrationInput<'a> {
    /// A final response came.
    Answered(&'a Response),
    /// Nobody answered, or nobody could be asked.
    Failed,
    /// The connection that the registration was made over is gone (RFC 5626 4.4).
    FlowLost,
    /// It is to be taken back.
    Stop,
    /// The moment of the last `Timeout` has come.
    Timeout,
}

/// What a registration wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationOutput {
    /// Send REGISTER, with credentials where it is challenged, and give back its final response.
    Request(RegisterAsk),
    /// Registered, for this long.
    Up(Duration),
    /// Not registered, and why.
    Down(NotRegistered),
    /// A refresh failed, and why; what was granted last holds for so much longer.
    NotRefreshed(NotRegistered, Duration),
    /// Nothing more; call again at this moment, if any.
    Timeout(Option<Instant>),
}

/// One REGISTER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterAsk {
    /// The same for all requests of this registration (RFC 3261 10.2).
    pub call_id: String,
    /// Higher than that of any request before.
    pub cseq: u32,
    /// Seconds; 0 takes the registration back.
    pub expires: u32,
    /// The user part of our Contact.
    pub user: String,
    /// A parameter of our Contact that tells this registration from others of the same user.
    pub line: String,
}

/// Why a trunk is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRegistered {
    /// It was not tried yet.
    NotYet,
    /// The registrar refuses user or password (401, 403, 404, 407).
    Refused(u16),
    /// The registrar answers with another failure.
    Failed(u16),
    /// Nobody answers.
    NoAnswer,
    /// It has been taken back.
    Gone,
}

impl std::fmt::Display for NotRegistered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotRegistered::NotYet => f.write_str("not registered yet"),
            NotRegistered::Refused(status) => {
                write!(f, "the registrar refuses username or password ({status})")
            }
            NotRegistered::Failed(status) => write!(f, "the registrar answers {status}"),
            NotRegistered::NoAnswer => f.write_str("the registrar does not answer"),
            NotRegistered::Gone => f.write_str("the registration was taken back"),
        }
    }
}

/// The engine.
#[derive(Debug)]
pub struct Registration {
    config: RegistrationConfig,
    random: Random,
    call_id: String,
    line: String,
    cseq: u32,
    /// What is asked for now: the configured time, or what a 423 said.
    expires: u32,
    state: State,
    /// Until when the registrar keeps what it granted last.
    holds: Option<Instant>,
    /// What a refresh failed with.
    last_failure: NotRegistered,
    failures: u32,
    /// Since when nothing but 423 came.
    too_brief: u32,
    outputs: std::collections::VecDeque<RegistrationOutput>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Trying,
    Registered { refresh: Instant },
    Waiting { until: Instant },
    Leaving,
    Gone,
}

impl Registration {
    /// A registration whose first request goes out at once.
    pub fn new(config: RegistrationConfig) -> Registration {
        let mut random = Random::new(config.seed);
        let expires = u32::try_from(config.expires.as_secs()).unwrap_or(LONGEST);
        let mut registration = Registration {
            call_id: random.call_id(),
            line: random.token(),
            cseq: random.cseq(),
            expires: expires.clamp(SHORTEST, LONGEST),
            state: State::Trying,
            holds: None,
            last_failure: NotRegistered::NotYet,
            failures: 0,
            too_brief: 0,
            outputs: std::collections::VecDeque::new(),
            config,
            random,
        };
        registration.ask();
        registration
    }

    /// The parameter `line` of our Contact: a request to it is for this registration.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Takes one input.
    pub fn handle_input(&mut self, now: Instant, input: RegistrationInput<'_>) {
        match (self.state, input) {
            (State::Trying, RegistrationInput::Answered(response)) => self.answered(now, response),
            (State::Trying, RegistrationInput::Failed) => {
                let wait = self.backoff(FIRST_WAIT, LONGEST_WAIT);
                self.failed(now, NotRegistered::NoAnswer, wait);
            }
            (State::Leaving, RegistrationInput::Answered(_) | RegistrationInput::Failed) => {
                self.state = State::Gone;
                self.outputs.push_back(RegistrationOutput::Down(NotRegistered::Gone));
            }
            (State::Registered { .. }, RegistrationInput::FlowLost) => self.ask(),
            (_, RegistrationInput::Timeout) if self.holds.is_some_and(|end| end <= now) => {
                self.holds = None;
                self.outputs.push_back(RegistrationOutput::Down(self.last_failure));
                self.handle_input(now, RegistrationInput::Timeout);
            }
            (State::Registered { refresh: due }, RegistrationInput::Timeout)
            | (State::Waiting { until: due }, RegistrationInput::Timeout)
                if due <= now =>
            {
                self.ask();
            }
            (State::Registered { .. } | State::Waiting { .. }, RegistrationInput::Stop)
                if self.holds.is_some() =>
            {
                self.expires = 0;
                self.ask();
                self.state = State::Leaving;
            }
            (_, RegistrationInput::Stop) if self.state != State::Leaving => {
                self.state = State::Gone;
                self.outputs.push_back(RegistrationOutput::Down(NotRegistered::Gone));
            }
            _ => {}
        }
    }

    /// The next thing to do; `Timeout` is the last one.
    pub fn poll_output(&mut self) -> RegistrationOutput {
        self.outputs.pop_front().unwrap_or(RegistrationOutput::Timeout(match self.state {
            State::Registered { refresh: due } => Some(due),
            State::Waiting { until } => Some(self.holds.map_or(until, |end| end.min(until))),
            State::Trying | State::Leaving | State::Gone => None,
        }))
    }

    fn ask(&mut self) {
        self.state = State::Trying;
        self.cseq += 1;
        self.outputs.push_back(RegistrationOutput::Request(RegisterAsk {
            call_id: self.call_id.clone(),
            cseq: self.cseq,
            expires: self.expires,
            user: self.config.user.clone(),
            line: self.line.clone(),
        }));
    }

    fn answered(&mut self, now: Instant, response: &Response) {
        // A challenge took further numbers.
        if let Some(cseq) = response.cseq() {
            self.cseq = self.cseq.max(cseq.number);
        }
        let status = response.status();
        let longer = response.get("Min-Expires").and_then(super::grammar::number::<u32>);
        match (status, longer) {
            (200..=299, _) => self.registered(now, response),
            // RFC 3261 10.2.8. A registrar that is never content is a failure like any other.
            (423, Some(longer)) if self.too_brief < MOST_TOO_BRIEF => {
                self.too_brief += 1;
                self.expires = longer.clamp(SHORTEST, LONGEST);
                self.ask();
            }
            // Asking again soon with the same password is what gets an address blocked.
            (401 | 403 | 404 | 407, _) => {
                let wait = self.backoff(REFUSED_WAIT, LONGEST_REFUSED_WAIT);
                self.failed(now, NotRegistered::Refused(status), wait);
            }
            _ => {
                let asked = response.header_ok::<super::header::RetryAfter>();
                let wait = match asked {
                    Some(after) => self.at_least(Duration::from_secs(after.seconds.into())),
                    None => self.backoff(FIRST_WAIT, LONGEST_WAIT),
                };
                self.failed(now, NotRegistered::Failed(status), wait);
            }
        }
    }

    fn registered(&mut self, now: Instant, response: &Response) {
        self.failures = 0;
        self.too_brief = 0;
        let granted = self.granted(response);
        if granted == 0 {
            self.holds = None;
            let wait = self.backoff(FIRST_WAIT, LONGEST_WAIT);
            return self.failed(now, NotRegistered::Failed(response.status()), wait);
        }
        let granted = Duration::from_secs(u64::from(granted.min(LONGEST)));
        // Early enough for two lost requests, and not at the same moment as all other trunks.
        let part = 80 + self.random.up_to(10);
        self.state = State::Registered { refresh: now + granted * part / 100 };
        self.holds = Some(now + granted);
        self.outputs.push_back(RegistrationOutput::Up(granted));
    }

    /// Seconds granted to our own Contact (RFC 3261 10.2.4): its `expires`, else `Expires`, else what
    /// was asked for. The registrar lists every contact of the user, and may write ours in its words.
    fn granted(&self, response: &Response) -> u32 {
        let contacts: Vec<Contact> =
            response.list(Contact::NAME).filter_map(|value| Contact::parse(value).ok()).collect();
        let is_ours = |contact: &&Contact| match contact {
            Contact::Address(NameAddr { uri, .. }) => uri.param(LINE) == Some(&self.line),
            Contact::All => false,
        };
        let ours = contacts.iter().find(is_ours);
        let only = (contacts.len() == 1).then(|| contacts.first()).flatten();
        let header = response.get("Expires").and_then(super::grammar::number::<u32>);
        ours.or(only).and_then(Contact::expires).or(header).unwrap_or(self.expires)
    }

    fn failed(&mut self, now: Instant, why: NotRegistered, wait: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.state = State::Waiting { until: now + wait };
        self.last_failure = why;
        // What the registrar granted it keeps, whatever it says to a refresh (RFC 3261 10.2.4, 10.3).
        self.holds = self.holds.filter(|end| *end > now);
        self.outputs.push_back(match self.holds {
            Some(end) => RegistrationOutput::NotRefreshed(why, end - now),
            None => RegistrationOutput::Down(why),
        });
    }

    /// `first`, doubled with each failure up to `longest`, and of that 50 to 100 % (RFC 5626 4.5).
    fn backoff(&mut self, first: Duration, longest: Duration) -> Duration {
        let doubled = first.saturating_mul(1 << self.failures.min(16)).min(longest);
        doubled * (50 + self.random.up_to(50)) / 100
    }

    /// What a registrar asked for, and a bit, so that not all come back at once.
    fn at_least(&mut self, asked: Duration) -> Duration {
        let asked = asked.clamp(Duration::from_secs(1), LONGEST_REFUSED_WAIT);
        asked * (100 + self.random.up_to(20)) / 100
    }
}

/// Our Contact of a registration at this address.
pub(super) fn contact(ask: &RegisterAsk, at: &Uri) -> Option<Uri> {
    let host = at.host()?;
    let mut uri = Uri::sip(Some(&ask.user), host, at.port()).ok()?;
    if let Some(transport) = at.param("transport") {
        uri = uri.with_param("transport", Some(transport)).ok()?;
    }
    uri.with_param(LINE, Some(&ask.line)).ok()
}

/// The parameter of our Contact that names the registration.
pub const LINE: &str = "line";

/// Seconds. Below this a registration is more traffic than calls are.
const SHORTEST: u32 = 10;
/// Seconds: a day.
const LONGEST: u32 = 86_400;
const MOST_TOO_BRIEF: u32 = 3;
/// A registrar that restarts is back in seconds.
const FIRST_WAIT: Duration = Duration::from_secs(4);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
const REFUSED_WAIT: Duration = Duration::from_secs(60);
const LONGEST_REFUSED_WAIT: Duration = Duration::from_secs(1_800);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;

    fn start(expires: u64) -> Registration {
        let expires = Duration::from_secs(expires);
        Registration::new(RegistrationConfig { user: "acct".to_owned(), expires, seed: [3; 32] })
    }

    fn asked(registration: &mut Registration) -> RegisterAsk {
        match registration.poll_output() {
            RegistrationOutput::Request(ask) => ask,
            other => panic!("{other:?}"),
        }
    }

    fn due(registration: &mut Registration) -> Duration {
        match registration.poll_output() {
            RegistrationOutput::Timeout(Some(due)) => due - epoch(),
            other => panic!("{other:?}"),
        }
    }

    fn ok(contacts: &[String]) -> Response {
        let mut response = Response::new(200, "OK");
        contacts.iter().for_each(|contact| response.push("Contact", contact.as_str()));
        response
    }

    fn answer(registration: &mut Registration, status: u16, header: Option<(&str, &str)>) {
        let mut response = Response::new(status, "x");
        if let Some((name, value)) = header {
            response.push(name, value);
        }
        registration.handle_input(epoch(), RegistrationInput::Answered(&response));
    }

    #[test]
    fn of_several_contacts_our_own_says_how_long() {
        let mut registration = start(3600);
        let ask = asked(&mut registration);
        assert_eq!((ask.expires, ask.user.as_str()), (3600, "acct"));
        let response = ok(&[
            "<sip:acct@198.51.100.9:5060>;expires=20, \"x\" <sip:acct@h;line=other>;expires=30"
                .into(),
            format!("<sip:acct@192.0.2.1:5060;line={}>;expires=100", ask.line),
        ]);
        registration.handle_input(epoch(), RegistrationInput::Answered(&response));
        let granted = Duration::from_secs(100);
        assert_eq!(registration.poll_output(), RegistrationOutput::Up(granted));
        let refresh = due(&mut registration);
        assert!(refresh >= granted * 8 / 10 && refresh <= granted * 9 / 10, "{refresh:?}");
        registration.handle_input(epoch() + refresh, RegistrationInput::Timeout);
        let again = asked(&mut registration);
        assert_eq!((again.call_id, again.line), (ask.call_id, ask.line));
        assert_eq!(again.cseq, ask.cseq + 1, "RFC 3261 10.2");
    }

    #[test]
    fn the_time_granted_is_of_the_contact_then_of_expires_then_as_asked() {
        for (contact, expires, granted) in [
            ("<sip:acct@192.0.2.1>;expires=60", Some("90"), 60),
            ("<sip:acct@192.0.2.1>", Some("90"), 90),
            ("<sip:acct@192.0.2.1>", None, 3600),
        ] {
            let mut registration = start(3600);
            asked(&mut registration);
            let mut response = ok(&[contact.to_owned()]);
            expires.iter().for_each(|seconds| response.push("Expires", *seconds));
            registration.handle_input(epoch(), RegistrationInput::Answered(&response));
            let granted = Duration::from_secs(granted);
            assert_eq!(registration.poll_output(), RegistrationOutput::Up(granted), "{contact}");
        }
    }

    #[test]
    fn trying_423_min_expires_is_asked_for_at_once_and_not_for_ever() {
        let mut registration = start(60);
        asked(&mut registration);
        for longer in [120, 240, 480] {
            answer(&mut registration, 423, Some(("Min-Expires", &longer.to_string())));
            assert_eq!(asked(&mut registration).expires, longer);
        }
        answer(&mut registration, 423, Some(("Min-Expires", "960")));
        let down = RegistrationOutput::Down(NotRegistered::Failed(423));
        assert_eq!(registration.poll_output(), down);
    }

    #[test]
    fn trying_failed_waiting_doubles_with_jitter() {
        let mut registration = start(60);
        let mut at = Duration::ZERO;
        for most in [4_u64, 8, 16, 32, 64, 128, 256, 300, 300] {
            asked(&mut registration);
            registration.handle_input(epoch() + at, RegistrationInput::Failed);
            let down = RegistrationOutput::Down(NotRegistered::NoAnswer);
            assert_eq!(registration.poll_output(), down);
            let next = due(&mut registration);
            let wait = next - at;
            let most = Duration::from_secs(most);
            assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
            registration.handle_input(epoch() + next, RegistrationInput::Timeout);
            at = next;
        }
    }

    #[test]
    fn a_refused_password_is_not_tried_again_within_half_a_minute() {
        for status in [401, 403, 404, 407] {
            let mut registration = start(60);
            asked(&mut registration);
            answer(&mut registration, status, None);
            let down = RegistrationOutput::Down(NotRegistered::Refused(status));
            assert_eq!(registration.poll_output(), down);
            assert!(due(&mut registration) >= Duration::from_secs(30));
        }
    }

    #[test]
    fn registered_refresh_failed_holds_until_its_end_and_is_tried_again() {
        let mut registration = start(600);
        asked(&mut registration);
        answer(&mut registration, 200, None);
        registration.poll_output();
        let mut at = due(&mut registration);
        let granted = Duration::from_secs(600);
        let mut tries = 0;
        loop {
            registration.handle_input(epoch() + at, RegistrationInput::Timeout);
            if at == granted {
                break;
            }
            asked(&mut registration);
            tries += 1;
            registration.handle_input(epoch() + at, RegistrationInput::Failed);
            let held = RegistrationOutput::NotRefreshed(NotRegistered::NoAnswer, granted - at);
            assert_eq!(registration.poll_output(), held);
            at = due(&mut registration);
            assert!(at <= granted, "told at its end");
        }
        assert!(tries >= 2, "tried again while it holds: {tries}");
        let down = RegistrationOutput::Down(NotRegistered::NoAnswer);
        assert_eq!(registration.poll_output(), down, "RFC 3261 10.2.4: now it is over");
        at = due(&mut registration);
        registration.handle_input(epoch() + at, RegistrationInput::Timeout);
        asked(&mut registration);
        answer(&mut registration, 200, None);
        assert_eq!(registration.poll_output(), RegistrationOutput::Up(granted));
    }

    #[test]
    fn a_registration_that_still_holds_is_taken_back_while_its_refresh_waits() {
        let mut registration = start(600);
        asked(&mut registration);
        answer(&mut registration, 200, None);
        registration.poll_output();
        let at = epoch() + due(&mut registration);
        registration.handle_input(at, RegistrationInput::Timeout);
        asked(&mut registration);
        registration.handle_input(at, RegistrationInput::Failed);
        registration.poll_output();
        registration.handle_input(at, RegistrationInput::Stop);
        assert_eq!(asked(&mut registration).expires, 0);
    }

    #[test]
    fn retry_after_is_kept_to() {
        let mut registration = start(60);
        asked(&mut registration);
        answer(&mut registration, 503, Some(("Retry-After", "20 (busy)")));
        registration.poll_output();
        let wait = due(&mut registration);
        assert!(wait >= Duration::from_secs(20) && wait <= Duration::from_secs(24), "{wait:?}");
    }

    #[test]
    fn a_lost_flow_registers_at_once_and_stop_takes_it_back() {
        let mut registration = start(60);
        asked(&mut registration);
        answer(&mut registration, 200, None);
        registration.poll_output();
        registration.handle_input(epoch(), RegistrationInput::FlowLost);
        assert_eq!(asked(&mut registration).expires, 60);
        answer(&mut registration, 200, None);
        registration.poll_output();
        registration.handle_input(epoch(), RegistrationInput::Stop);
        assert_eq!(asked(&mut registration).expires, 0);
        answer(&mut registration, 200, None);
        let gone = RegistrationOutput::Down(NotRegistered::Gone);
        assert_eq!(registration.poll_output(), gone);
        assert_eq!(registration.poll_output(), RegistrationOutput::Timeout(None));
    }
}
