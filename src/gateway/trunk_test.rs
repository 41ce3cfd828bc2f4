//! What an operator asks of a trunk before the first call: is it found, does it answer, are we
//! registered, does a call get through. Each step says what it found in a sentence.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::routing;
use super::trunks::Trunk;
use super::{Gateway, Inner, health, sip_words};
use crate::base::{E164, TrunkId};
use crate::media::Phase;
use crate::sip::{
    Answer, Body, Command, Destination, Event, Invite, MAX_FORWARDS, Origin, Transport,
};
use crate::trunk::Urgency;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkTest {
    /// Which trunk.
    pub trunk: TrunkId,
    /// Each step in its order.
    pub steps: Vec<TestStep>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestStep {
    /// `locate`, `options`, `register` or `call`.
    pub name: &'static str,
    /// How it went.
    pub outcome: StepOutcome,
    /// What was found, in a sentence.
    pub found: String,
    /// How long it took.
    pub took: Duration,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// As it should.
    Fine,
    /// Somebody must look.
    Failed,
    /// It was not asked for, or makes no sense here.
    Skipped,
}

impl Gateway {
    /// Tests a trunk; with a number it is called until it rings or answers, and hung up at once.
    /// `None` where there is no such trunk.
    pub async fn test_trunk(&self, id: &TrunkId, number: Option<E164>) -> Option<TrunkTest> {
        let trunk = self.inner.trunks.get(id)?.clone();
        let inner = &self.inner;
        let mut steps = Vec::new();
        let found = timed(&mut steps, "locate", locate(inner, &trunk)).await;
        for destination in found.unwrap_or_default() {
            timed(&mut steps, "options", options(inner, &trunk, destination)).await;
        }
        timed(&mut steps, "register", async { registration(&trunk) }).await;
        timed(&mut steps, "call", call(inner, &trunk, number)).await;
        Some(TrunkTest { trunk: id.clone(), steps })
    }
}

/// What a step gives: how it went, in which words, and for the next steps.
type Found<T> = (StepOutcome, String, Option<T>);

async fn timed<T>(
    steps: &mut Vec<TestStep>,
    name: &'static str,
    step: impl Future<Output = Found<T>>,
) -> Option<T> {
    let began = Instant::now();
    let (outcome, found, value) = step.await;
    steps.push(TestStep { name, outcome, found, took: began.elapsed() });
    value
}

async fn locate(inner: &Inner, trunk: &Trunk) -> Found<Vec<Destination>> {
    let host = trunk.definition.target.host();
    match trunk.locate(&inner.dns).await {
        Ok(found) => {
            let list: Vec<String> = found.iter().map(name_of).collect();
            let words = format!("{host} is {}", list.join(", then "));
            (StepOutcome::Fine, words, Some(found))
        }
        Err(error) => {
            let words =
                format!("{host} is not found: {error}. Check the name in `target` and the DNS");
            (StepOutcome::Failed, words, None)
        }
    }
}

async fn options(inner: &Inner, trunk: &Trunk, destination: Destination) -> Found<()> {
    let place = name_of(&destination);
    let (outcome, words) = match health::options(inner, trunk, destination).await {
        Some(status @ 200..=299) => {
            (StepOutcome::Fine, format!("{place} answers OPTIONS with {status}"))
        }
        Some(status @ (408 | 500..=599)) => (
            StepOutcome::Failed,
            format!("{place} answers OPTIONS with {status}: it takes no calls at the moment"),
        ),
        Some(status @ (401 | 407)) => (
            StepOutcome::Failed,
            format!("{place} wants a password for OPTIONS ({status}): check username and password"),
        ),
        Some(status) => (
            StepOutcome::Fine,
            format!(
                "{place} answers OPTIONS with {status}: it is alive, though it refuses OPTIONS"
            ),
        ),
        None => (StepOutcome::Failed, silent(inner, &place, &destination).await),
    };
    (outcome, words, None)
}

async fn silent(inner: &Inner, place: &str, destination: &Destination) -> String {
    match (destination.transport, inner.sip.reach(destination).await) {
        (Transport::Udp, _) => format!(
            "{place} says nothing. Many trunks are silent to addresses that they do not know: is ours \
             registered with the trunk, and does a firewall let UDP through?"
        ),
        (_, Ok(())) => format!(
            "{place} takes the connection and says nothing to OPTIONS: does the trunk know our address?"
        ),
        (_, Err(why)) => format!("{place} is not reached: {why}"),
    }
}

fn registration(trunk: &Trunk) -> Found<()> {
    let (outcome, words) = match trunk.registration() {
        None => (StepOutcome::Skipped, "this trunk does not register".to_owned()),
        Some(Ok(own)) => {
            let left = own.until.saturating_duration_since(Instant::now()).as_secs();
            let place = name_of(&own.destination);
            (StepOutcome::Fine, format!("registered at {place} for another {left} s"))
        }
        Some(Err(why)) => (StepOutcome::Failed, why.to_string()),
    };
    (outcome, words, None)
}

async fn call(inner: &Arc<Inner>, trunk: &Arc<Trunk>, number: Option<E164>) -> Found<()> {
    let Some(number) = number else {
        let words = "no number was given to call".to_owned();
        return (StepOutcome::Skipped, words, None);
    };
    match ring(inner, trunk, &number).await {
        Ok(words) => (StepOutcome::Fine, words, None),
        Err(words) => (StepOutcome::Failed, words, None),
    }
}

/// Calls a number until it rings or answers.
async fn ring(inner: &Arc<Inner>, trunk: &Arc<Trunk>, number: &E164) -> Result<String, String> {
    let gone = |error: &dyn std::fmt::Display| format!("the call could not be made: {error}");
    // Before anything is opened: what the plan does not let out stays in.
    let dial = routing::test_call(inner, &trunk.definition.id, number)?;
    let busy = |busy| format!("the trunk is full ({busy:?})");
    let _channel = trunk.take_channel(Urgency::Normal).map_err(busy)?;
    let located = trunk.locate(&inner.dns).await.map_err(|error| gone(&error))?;
    let mut destinations = located.into_iter();
    let destination = destinations.next().ok_or("nowhere to call")?;
    let (media, _events) = inner.pool.open(inner.new_call_id()).map_err(|error| gone(&error))?;
    let offer = media.trunk_offer(trunk.media.clone()).await.map_err(|error| gone(&error))?;
    let words = sip_words::invite(trunk, &dial, inner.sip_address(&destination));
    let words = words.map_err(|error| gone(&error))?;
    let session = inner.sip.new_session();
    let (probe, mut events) = mpsc::channel(PROBE_EVENTS);
    inner.probes.add(session, probe);
    inner
        .sip(Command::Invite(Box::new(Invite {
            session,
            call_id: None,
            target: words.target,
            destination,
            alternatives: destinations.collect(),
            from: words.from,
            to: words.to,
            asserted_identity: words.asserted_identity,
            headers: words.headers,
            body: Some(Body::sdp(offer)),
            credentials: trunk.credentials(),
            replaces: None,
            referred_by: None,
            max_forwards: MAX_FORWARDS,
        })))
        .await;
    let began = Instant::now();
    let outcome = tokio::time::timeout(RING_WAIT, async {
        while let Some(event) = events.recv().await {
            let after = began.elapsed().as_millis();
            match event {
                // 183 is what carriers ring with: the tone is in its media.
                Event::Provisional { answer, .. } => {
                    let how = match answer.status {
                        180 => "rings".to_owned(),
                        182 => "is queued".to_owned(),
                        status => format!("is on its way ({status} {})", answer.phrase),
                    };
                    let heard = heard(&media, &answer).await;
                    return Ok(format!("{} {how} after {after} ms{heard}", number_of(number)));
                }
                Event::Answered { answer, .. } => {
                    return Ok(format!(
                        "{} answers after {after} ms{}",
                        number_of(number),
                        heard(&media, &answer).await
                    ));
                }
                Event::Rejected { answer, origin, .. } => {
                    return Err(refused(&answer, origin));
                }
                _ => {}
            }
        }
        Err("SIP has stopped".to_owned())
    });
    let outcome = outcome.await.unwrap_or_else(|_| {
        Err(format!("neither ringing nor an answer within {} s", RING_WAIT.as_secs()))
    });
    inner.sip(Command::HangUp { session, reasons: Vec::new() }).await;
    inner.probes.remove(session);
    outcome
}

/// The number by its last digits, as in the log.
fn number_of(number: &E164) -> String {
    crate::base::mask_numbers(number.as_str()).to_string()
}

async fn heard(media: &crate::media::Session, answer: &Answer) -> String {
    let Some(body) = &answer.body else { return String::new() };
    let sdp = String::from_utf8_lossy(&body.bytes).into_owned();
    let encrypted = sdp.contains("a=crypto:");
    match media.trunk_answer(sdp, Phase::Early).await {
        Ok(audio) => {
            let plain = if encrypted { "encrypted" } else { "not encrypted" };
            format!(", with {:?} at {}, {plain}", audio.codec, audio.remote)
        }
        Err(error) => format!(", but its media cannot be used: {error}"),
    }
}

fn refused(answer: &Answer, origin: Origin) -> String {
    let status = answer.status;
    match (origin, status) {
        (Origin::Timeout, _) => "nobody answered the call at all".to_owned(),
        (Origin::Transport | Origin::Local, _) => "the trunk could not be reached".to_owned(),
        (Origin::Peer, 401 | 403 | 407) => format!(
            "refused with {status} {}: check username and password, and whether the trunk lets this \
             caller call this number",
            answer.phrase
        ),
        (Origin::Peer, 404 | 484 | 604) => format!(
            "refused with {status} {}: the trunk does not know the number; is `numbers` as the trunk \
             wants it?",
            answer.phrase
        ),
        (Origin::Peer, 488 | 606) => format!(
            "refused with {status} {}: no media in common; look at `codecs` and `srtp`",
            answer.phrase
        ),
        (Origin::Peer, 486 | 600) => {
            format!("the number is busy ({status}): the trunk itself works")
        }
        (Origin::Peer, _) => format!("refused with {status} {}", answer.phrase),
    }
}

fn name_of(destination: &Destination) -> String {
    format!("{} by {}", destination.address, destination.transport.token())
}

const RING_WAIT: Duration = Duration::from_secs(12);
const PROBE_EVENTS: usize = 16;
