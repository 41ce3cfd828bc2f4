//! Drives the registrations of trunks: locates the registrar, sends REGISTER, tells calls and the
//! endpoint where the trunk is reached. One task a trunk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::Inner;
use super::requests::Done;
use super::trunks::{Registered, Trunk};
use crate::sip::{
    Answer, Command, Destination, Host, NameAddr, NotRegistered, Origin, Register, RegisterAsk,
    Registration, RegistrationConfig, RegistrationInput, RegistrationOutput, Uri,
};

/// Runs until `stop` says so and the registration is taken back.
pub(super) async fn run(
    gateway: Arc<Inner>,
    trunk: Arc<Trunk>,
    mut flow_lost: mpsc::Receiver<()>,
    mut stop: watch::Receiver<bool>,
) {
    let mut seed = [0; 32];
    if let Err(error) = getrandom::fill(&mut seed) {
        return tracing::error!(%error, "no randomness: the trunk is not registered");
    }
    let user = trunk.definition.username.clone().unwrap_or_default();
    let config = RegistrationConfig { user, expires: trunk.definition.register_expires, seed };
    let mut engine = Registration::new(config);
    trunk.set_line(engine.line());
    let id = &trunk.definition.id;
    let mut reached: Option<Destination> = None;
    loop {
        match engine.poll_output() {
            RegistrationOutput::Request(ask) => {
                let answer = ask_all(&gateway, &trunk, &ask, &mut reached).await;
                let response = answer.as_ref().and_then(|answer| answer.response.as_ref());
                let input = response.map_or(RegistrationInput::Failed, RegistrationInput::Answered);
                engine.handle_input(Instant::now(), input);
            }
            RegistrationOutput::Up(granted) => {
                let Some(destination) = reached else { continue };
                let until = Instant::now() + granted;
                let before = trunk.set_registered(Ok(Registered { destination, until }));
                if before != Some(destination.address.ip()) {
                    // Its calls come from there: the registrar is as good as an address of the trunk.
                    accept(&gateway).await;
                    tracing::info!(
                        trunk.id = %id,
                        registrar = %destination.address,
                        expires_s = granted.as_secs(),
                        "registered"
                    );
                }
            }
            RegistrationOutput::Down(NotRegistered::Gone) => {
                tracing::info!(trunk.id = %id, "registration taken back");
                return;
            }
            RegistrationOutput::Down(why) => {
                trunk.set_registered(Err(why));
                accept(&gateway).await;
                tracing::warn!(trunk.id = %id, %why, "trunk is not registered");
            }
            RegistrationOutput::NotRefreshed(why, left) => tracing::warn!(
                trunk.id = %id,
                %why,
                holds_s = left.as_secs(),
                "registration not refreshed; it still holds, and is tried again"
            ),
            RegistrationOutput::Timeout(due) => {
                let wake = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
                // Cancellation safe: a channel, a watch and a timer lose nothing.
                let input = tokio::select! {
                    Some(()) = flow_lost.recv() => RegistrationInput::FlowLost,
                    _ = stop.wait_for(|stop| *stop) => RegistrationInput::Stop,
                    () = tokio::time::sleep_until(wake.into()) => RegistrationInput::Timeout,
                };
                engine.handle_input(Instant::now(), input);
            }
        }
    }
}

/// Tells the endpoint where trunks are.
async fn accept(gateway: &Inner) {
    // An endpoint that has stopped accepts nobody.
    let _ = gateway.sip.accept(gateway.trunks.networks(), gateway.trunks.peers()).await;
}

/// Asks one destination after the other until somebody answers.
async fn ask_all(
    gateway: &Inner,
    trunk: &Trunk,
    ask: &RegisterAsk,
    reached: &mut Option<Destination>,
) -> Option<Box<Answer>> {
    let located = match trunk.locate(&gateway.dns).await {
        Ok(located) => located,
        Err(error) => {
            tracing::warn!(trunk.id = %trunk.definition.id, %error, "registrar not located");
            return None;
        }
    };
    let mut ask = ask.clone();
    for destination in located.into_iter().take(MOST_TRIED) {
        match register(gateway, trunk, &ask, destination).await {
            Some(Done { answer, origin: Origin::Peer }) => {
                *reached = Some(destination);
                return Some(answer);
            }
            _ => gateway.dns.unreachable(destination).await,
        }
        // The one that was silent may have seen this number.
        ask.cseq += 1;
    }
    None
}

/// Sends one REGISTER and waits for what becomes of it.
pub(super) async fn register(
    gateway: &Inner,
    trunk: &Trunk,
    ask: &RegisterAsk,
    destination: Destination,
) -> Option<Done> {
    let target = &trunk.definition.target;
    let host = match target.address() {
        Some(address) => Host::from(address),
        None => Host::parse(target.host()).ok()?,
    };
    let registrar = Uri::sip(None, &host, target.port()).ok()?;
    let address = Uri::sip(Some(&ask.user), &host, target.port()).ok()?;
    let (request, answer) = gateway.requests.open();
    let register = Register {
        request,
        registrar,
        address: NameAddr::new(address),
        destination,
        ask: ask.clone(),
        credentials: trunk.credentials(),
    };
    gateway.sip(Command::Register(Box::new(register))).await;
    // The endpoint gives up by itself after 32 s (RFC 3261 17.1.2.2); another destination waits.
    tokio::time::timeout(ANSWER_WAIT, answer).await.ok()?.ok()
}

/// As long as an INVITE waits for a destination before the next one is tried, and a challenge.
const ANSWER_WAIT: Duration = Duration::from_secs(6);
const MOST_TRIED: usize = 8;
