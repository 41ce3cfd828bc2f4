//! The carrier as a whole: the SIP endpoint's events go to the calls they belong to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use super::call::{Beginning, Call, CallInput, Outcome};
use super::config::{CarrierConfig, Error};
use super::line::Line;
use super::observed::{Observations, Observer, ReceivedDigit};
use super::prompt::Prompts;
use crate::dtmf::{Mode, parse_info};
use crate::sip::driver::{self, DriverConfig, StartError};
use crate::sip::{
    Command, Destination, EndpointConfig, Event, Handle, Host, Incoming, Invite, NameAddr, Session,
    Transport, Uri,
};

/// A running carrier.
#[derive(Debug)]
pub struct Carrier {
    sip_addr: SocketAddr,
    gateway: Arc<Mutex<Option<SocketAddr>>>,
    observer: Observer,
    orders: mpsc::Sender<(String, Line)>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts a carrier.
///
/// # Errors
/// [`Error::Listen`] when the SIP port cannot be had.
pub async fn start(config: CarrierConfig) -> Result<Carrier, Error> {
    let prompts = Arc::new(Prompts::load()?);
    let (handle, events) = listen(&config).await?;
    let sip_addr = handle.local_addr(Transport::Udp).unwrap_or(config.sip_listen);
    let gateway = Arc::new(Mutex::new(config.gateway));
    let observer = Observer::default();
    let (stop, stopped) = oneshot::channel();
    let (orders, ordered) = mpsc::channel(QUEUE);
    let driver = Driver {
        config,
        sip_addr,
        handle,
        prompts,
        gateway: gateway.clone(),
        observer: observer.clone(),
        calls: HashMap::new(),
        tasks: JoinSet::new(),
    };
    let task = tokio::spawn(driver.run(events, ordered, stopped));
    Ok(Carrier { sip_addr, gateway, observer, orders, stop, task })
}

async fn listen(config: &CarrierConfig) -> Result<(Handle, mpsc::Receiver<Event>), Error> {
    let endpoint = EndpointConfig {
        product: "crosspoint-carrier".to_owned(),
        accept: config.accept.clone(),
        max_sessions: config.max_calls + SPARE_SESSIONS,
        ..EndpointConfig::default()
    };
    let listen = vec![(Transport::Udp, config.sip_listen)];
    let refused = |error: StartError| Error::Listen(config.sip_listen, error.to_string());
    driver::start(DriverConfig { listen, endpoint, ..DriverConfig::default() })
        .await
        .map_err(refused)
}

impl Carrier {
    /// Where it listens for SIP over UDP.
    pub fn sip_addr(&self) -> SocketAddr {
        self.sip_addr
    }

    /// Where 607 calls back from now on.
    pub fn set_gateway(&self, gateway: SocketAddr) {
        *self.gateway.lock().unwrap_or_else(PoisonError::into_inner) = Some(gateway);
    }

    /// What it has seen so far.
    pub fn observations(&self) -> Observations {
        self.observer.read()
    }

    /// Takes out what [`Observations::digits`] has.
    pub fn take_digits(&self) -> Vec<ReceivedDigit> {
        self.observer.take_digits()
    }

    /// Calls the gateway's number and presses every key in it, 100 ms each with 100 ms between them.
    pub fn press_keys(&self, number: &str, mode: Mode) {
        // A carrier that has stopped, or has this many calls to place, calls nobody.
        let _ = self.orders.try_send((number.to_owned(), Line::Presses(mode)));
    }

    /// Hangs up all calls and ends.
    pub async fn stop(self) {
        // A task that is gone already has stopped.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

struct Driver {
    config: CarrierConfig,
    sip_addr: SocketAddr,
    handle: Handle,
    prompts: Arc<Prompts>,
    gateway: Arc<Mutex<Option<SocketAddr>>>,
    observer: Observer,
    calls: HashMap<Session, Entry>,
    tasks: JoinSet<Done>,
}

/// What a session is to the carrier.
enum Entry {
    /// A task has it.
    Talking(mpsc::Sender<CallInput>),
    /// 604 rings.
    Ringing,
}

/// What a task was for.
enum Done {
    Call(Line, Outcome),
    CallBackDue,
    RangLong(Session),
}

impl Driver {
    async fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        mut ordered: mpsc::Receiver<(String, Line)>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        loop {
            // All four are cancel safe.
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.event(event).await,
                    None => break,
                },
                Some(done) = self.tasks.join_next() => self.done(done.ok()).await,
                Some((number, line)) = ordered.recv() => self.call(&number, line),
                _ = &mut stopped => break,
            }
        }
        self.stop(events).await;
    }

    async fn event(&mut self, event: Event) {
        match event {
            Event::Incoming(incoming) => self.incoming(*incoming).await,
            Event::Answered { session, answer, .. } => {
                self.tell(session, CallInput::Answer(answer.body)).await;
            }
            Event::Acked { session, body: Some(body) } => {
                self.tell(session, CallInput::Answer(Some(body))).await;
            }
            Event::Reinvite { session, body } => {
                self.tell(session, CallInput::Reinvite(body)).await;
            }
            // Nothing here moves a call by UPDATE, and nobody is called for others.
            Event::Update { session, .. } => {
                let headers = Vec::new();
                self.send(Command::RejectUpdate { session, status: 488, headers }).await;
            }
            Event::Refer { session, .. } => {
                let headers = Vec::new();
                self.send(Command::RejectRefer { session, status: 603, headers }).await;
            }
            Event::Info { session, body } => {
                if let Ok(Some(info)) = parse_info(&body.content_type, &body.bytes) {
                    self.tell(session, CallInput::Info(info)).await;
                }
            }
            Event::Rejected { session, .. }
            | Event::Cancelled { session, .. }
            | Event::Ended { session, .. } => self.over(session).await,
            Event::Acked { body: None, .. }
            | Event::Provisional { .. }
            | Event::ReinviteDone { .. }
            | Event::Reoffer { .. }
            | Event::UpdateDone { .. }
            | Event::ReferProgress { .. }
            | Event::NextDestination { .. }
            | Event::FlowLost { .. }
            | Event::RequestDone { .. } => {}
        }
    }

    async fn incoming(&mut self, incoming: Incoming) {
        let session = incoming.session;
        let number = incoming.target.user_decoded().unwrap_or_default().into_owned();
        let Some(line) = Line::dialled(&number) else {
            return self.refuse(session, 404).await;
        };
        if self.calls.len() >= self.config.max_calls {
            return self.refuse(session, 503).await;
        }
        match line {
            Line::Busy => {
                self.observer.note(|seen| seen.calls += 1);
                self.send(reject(session, 486)).await;
            }
            Line::NoAnswer => {
                self.enter(session, Entry::Ringing);
                let (status, phrase, headers) = (180, None, vec![]);
                self.send(Command::Progress { session, status, phrase, headers, body: None }).await;
                let longest = self.config.max_length;
                self.tasks.spawn(async move {
                    tokio::time::sleep(longest).await;
                    Done::RangLong(session)
                });
            }
            line => {
                let beginning = incoming.body.map_or(Beginning::Unoffered, Beginning::Offered);
                self.spawn(session, line, beginning);
            }
        }
    }

    fn spawn(&mut self, session: Session, line: Line, beginning: Beginning) {
        let (sender, inputs) = mpsc::channel(QUEUE);
        self.enter(session, Entry::Talking(sender));
        let call = Call {
            session,
            line,
            address: self.sip_addr.ip(),
            max_length: self.config.max_length,
            handle: self.handle.clone(),
            prompts: self.prompts.clone(),
            observer: self.observer.clone(),
            inputs,
        };
        self.tasks.spawn(async move { Done::Call(line, call.run(beginning).await) });
    }

    async fn done(&mut self, done: Option<Done>) {
        match done {
            Some(Done::Call(Line::CallBack, Outcome::Finished)) => {
                let after = self.config.callback_after;
                self.tasks.spawn(async move {
                    tokio::time::sleep(after).await;
                    Done::CallBackDue
                });
            }
            Some(Done::CallBackDue) => {
                let number = self.config.did.clone();
                self.call(&number, Line::Greeting);
            }
            Some(Done::RangLong(session)) => {
                if matches!(self.calls.get(&session), Some(Entry::Ringing)) {
                    self.send(reject(session, 480)).await;
                }
            }
            Some(Done::Call(..)) => {}
            None => tracing::error!("a call of the demo carrier panicked"),
        }
    }

    /// Calls a number of the gateway and does there what the line does.
    fn call(&mut self, number: &str, line: Line) {
        let gateway = *self.gateway.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(gateway) = gateway.filter(|_| self.calls.len() < self.config.max_calls) else {
            return tracing::warn!(
                "the demo carrier cannot call: no gateway is known, or too many calls are on"
            );
        };
        let uri = |user: &str, address: SocketAddr| {
            Uri::sip(Some(user), &Host::from(address.ip()), Some(address.port())).ok()
        };
        let (Some(target), Some(from)) =
            (uri(number, gateway), uri(&self.config.callback_number, self.sip_addr))
        else {
            return tracing::warn!("the numbers of the demo carrier are no SIP users");
        };
        let session = self.handle.new_session();
        let from = NameAddr::new(from).with_display("Demo carrier");
        let invite = Invite {
            call_id: None,
            alternatives: Vec::new(),
            session,
            target: target.clone(),
            destination: Destination::udp(gateway),
            asserted_identity: Some(from.clone()),
            from,
            to: NameAddr::new(target),
            headers: vec![],
            replaces: None,
            referred_by: None,
            max_forwards: 70,
            body: None,
            credentials: None,
        };
        self.spawn(session, line, Beginning::Calling(Box::new(invite)));
    }

    fn enter(&mut self, session: Session, entry: Entry) {
        self.calls.insert(session, entry);
        let active = self.calls.len() as u64;
        self.observer.note(|seen| {
            seen.calls += 1;
            seen.active = active;
        });
    }

    async fn tell(&mut self, session: Session, input: CallInput) {
        if let Some(Entry::Talking(call)) = self.calls.get(&session) {
            // A call that does not listen any more is about to end.
            let _ = call.send(input).await;
        }
    }

    async fn over(&mut self, session: Session) {
        self.tell(session, CallInput::Over).await;
        self.calls.remove(&session);
        let active = self.calls.len() as u64;
        self.observer.note(|seen| seen.active = active);
    }

    async fn refuse(&mut self, session: Session, status: u16) {
        self.observer.note(|seen| seen.refused += 1);
        self.send(reject(session, status)).await;
    }

    async fn send(&mut self, command: Command) {
        if self.handle.send(command).await.is_err() {
            tracing::debug!("the demo carrier's SIP endpoint is gone");
        }
    }

    /// Hangs up what is on and waits for the ends, for a while.
    async fn stop(&mut self, mut events: mpsc::Receiver<Event>) {
        let sessions: Vec<Session> = self.calls.keys().copied().collect();
        for session in sessions {
            self.send(Command::HangUp { session, reasons: vec![] }).await;
        }
        let deadline = tokio::time::sleep(STOP);
        tokio::pin!(deadline);
        while !self.calls.is_empty() {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.event(event).await,
                    None => break,
                },
                () = &mut deadline => break,
            }
        }
        self.tasks.shutdown().await;
        self.handle.stop().await;
    }
}

fn reject(session: Session, status: u16) -> Command {
    Command::Reject { session, status, phrase: None, headers: vec![] }
}

/// Sessions above the calls: those that are refused.
const SPARE_SESSIONS: usize = 16;
/// Messages that may wait for one call.
const QUEUE: usize = 32;
/// How long the other sides get to answer BYE.
const STOP: Duration = Duration::from_secs(2);
