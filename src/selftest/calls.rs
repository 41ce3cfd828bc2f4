//! One call of the self-test's client: placing, answering, waiting for its states, hanging up.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;

use super::page::{Event, Page, new_call_id};
use super::peer::Peer;

/// A call with its peer connection.
pub struct Call {
    /// Its id, as the page made it or was told.
    pub id: String,
    /// Its media.
    pub peer: Peer,
    /// When it was asked for or taken.
    pub started: Instant,
}

impl Call {
    /// Sends `call.start` with a fresh peer's offer and takes the answer.
    ///
    /// # Errors
    /// The gateway refuses it, or its answer cannot be used.
    pub async fn start(page: &Page, bind: IpAddr, to: &str) -> anyhow::Result<Call> {
        let peer = Peer::start(bind).await?;
        let sdp = peer.offer().await?;
        let id = new_call_id()?.to_string();
        let started = Instant::now();
        let reply = page
            .ask(json!({"type": "call.start", "call": id, "to": to, "metadata": {}, "sdp": sdp}))
            .await?;
        let answer = reply["sdp"].as_str().context("the reply to call.start has no sdp")?;
        peer.answer(answer.to_owned()).await?;
        Ok(Call { id, peer, started })
    }

    /// Waits for `call.incoming` and answers it.
    ///
    /// # Errors
    /// No call came, or it could not be answered.
    pub async fn take(page: &mut Page, bind: IpAddr) -> anyhow::Result<Call> {
        let offered = page
            .event(Duration::from_secs(20), "an incoming call", |e| {
                e.text("type") == "call.incoming"
            })
            .await?;
        let id = offered.text("call").to_owned();
        let peer = Peer::start(bind).await?;
        let sdp = peer.accept_offer(offered.text("sdp").to_owned()).await?;
        page.ask(json!({"type": "call.answer", "call": id, "sdp": sdp})).await?;
        Ok(Call { id, peer, started: Instant::now() })
    }

    /// Waits until the call is in `state`.
    ///
    /// # Errors
    /// It ended before, or did not get there in time.
    pub async fn state(&self, page: &mut Page, state: &str) -> anyhow::Result<Event> {
        let what = format!("state {state}");
        let event = page
            .event(STATE_LIMIT, &what, |e| {
                e.text("call") == self.id
                    && (e.text("type") == "call.ended"
                        || (e.text("type") == "call.state" && e.text("state") == state))
            })
            .await?;
        if event.text("type") == "call.ended" {
            bail!("the call ended with {} before {what}", event.text("code"));
        }
        Ok(event)
    }

    /// Waits for `call.ended`.
    ///
    /// # Errors
    /// It did not end in time.
    pub async fn ended(&self, page: &mut Page, limit: Duration) -> anyhow::Result<Event> {
        page.event(limit, "call.ended", |e| {
            e.text("type") == "call.ended" && e.text("call") == self.id
        })
        .await
    }

    /// Hangs up and waits for the end.
    ///
    /// # Errors
    /// The gateway does not know it, or it did not end in time.
    pub async fn hang_up(&self, page: &mut Page) -> anyhow::Result<Event> {
        page.ask(json!({"type": "call.hangup", "call": self.id})).await?;
        self.ended(page, STATE_LIMIT).await
    }
}

const STATE_LIMIT: Duration = Duration::from_secs(10);
