//! Calls at a steady rate: pages without media, to a trunk that answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crosspoint::base::CallId;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// What became of the calls.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// Answered calls, by id, with the time from the request to the answer.
    pub answered: BTreeMap<String, Duration>,
    /// What went wrong, in words.
    pub failed: Vec<String>,
    /// From the first call's start to the last one's.
    pub placed: Duration,
    /// How often a call was refused because the gateway was busy, and asked for again.
    pub refused: u32,
}

impl Outcome {
    /// Calls that were placed in a second.
    pub fn rate(&self) -> f64 {
        let gaps = (self.answered.len() + self.failed.len()).saturating_sub(1);
        gaps as f64 / self.placed.as_secs_f64().max(f64::EPSILON)
    }

    /// The time to the answer that 99 of 100 calls keep.
    pub fn p99(&self) -> Duration {
        let mut times: Vec<Duration> = self.answered.values().copied().collect();
        times.sort_unstable();
        times.get((times.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// Places `count` calls, `rate` a second, and hangs each up when it is answered. The pages are there
/// before the first call, and so many that no call waits for an earlier one; they take the tokens in turn.
pub async fn calls(base: &str, tokens: &[String], rate: u32, count: u32) -> Outcome {
    let opened = tokens.iter().cycle().take(PAGES).map(|token| Page::open(base, token));
    let pages = futures_util::future::join_all(opened).await;
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let next = Arc::new(AtomicU32::new(0));
    let begun = tokio::time::Instant::now();
    let mut calling = JoinSet::new();
    for page in pages {
        let mut page = page.expect("a page signs in");
        let (outcome, next) = (outcome.clone(), next.clone());
        calling.spawn(async move {
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                if turn >= count {
                    return;
                }
                tokio::time::sleep_until(begun + Duration::from_secs(1) * turn / rate).await;
                let placed = begun.elapsed();
                let call = page.call(None).await;
                let mut outcome = outcome.lock().await;
                outcome.refused += std::mem::take(&mut page.refused);
                outcome.placed = outcome.placed.max(placed);
                match call {
                    Ok((id, after)) => drop(outcome.answered.insert(id, after)),
                    Err(words) => outcome.failed.push(words),
                }
            }
        });
    }
    calling.join_all().await;
    Arc::try_unwrap(outcome).unwrap().into_inner()
}

/// A page that only signals.
pub struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    requests: u64,
    /// How often a call was refused because the gateway was busy, and asked for again.
    refused: u32,
}

impl Page {
    pub async fn open(base: &str, token: &str) -> Result<Page, String> {
        let url = format!("{}/v1/rtc", base.replacen("http", "ws", 1));
        let mut request = url.as_str().into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "crosspoint.v1".parse().unwrap());
        headers.insert("origin", base.parse().unwrap());
        let (socket, _) = connect_async(request).await.map_err(|error| error.to_string())?;
        let mut page = Page { socket, requests: 0, refused: 0 };
        page.send(json!({"type": "hello", "token": token})).await?;
        page.until(|message| message["type"] == "welcome").await?;
        Ok(page)
    }

    /// Calls, and hangs up at the answer. Notes the answered call before anything else is done.
    pub async fn call(
        &mut self,
        answered: Option<&Mutex<Vec<String>>>,
    ) -> Result<(String, Duration), String> {
        let begun = Instant::now();
        let id = loop {
            let id = fresh();
            let start = json!({"type": "call.start", "call": id, "to": "700", "metadata": {}, "sdp": OFFER});
            self.send(start).await?;
            let reply = self.until(|message| message["re"].is_number()).await?;
            if reply["ok"] == true {
                break id;
            }
            // A machine that is busy with other tests makes the media workers late.
            let busy = reply["error"]["code"] == "server/overloaded";
            if !busy || begun.elapsed() > LIMIT {
                return Err(reply.to_string());
            }
            self.refused += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let of = |message: &Value, kind: &str| message["type"] == kind && message["call"] == *id;
        let state = self
            .until(|m| of(m, "call.ended") || (of(m, "call.state") && m["state"] == "active"))
            .await?;
        if state["type"] == "call.ended" {
            return Err(state.to_string());
        }
        let after = begun.elapsed();
        if let Some(answered) = answered {
            answered.lock().await.push(id.clone());
        }
        self.send(json!({"type": "call.hangup", "call": id})).await?;
        self.until(|message| of(message, "call.ended")).await?;
        Ok((id, after))
    }

    async fn send(&mut self, mut message: Value) -> Result<(), String> {
        self.requests += 1;
        message["id"] = self.requests.into();
        let sent = self.socket.send(Message::text(message.to_string())).await;
        sent.map_err(|error| error.to_string())
    }

    async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let found = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let message: Value = serde_json::from_str(&text).unwrap();
                        if wanted(&message) {
                            return Ok(message);
                        }
                    }
                    Some(Ok(Message::Close(frame))) => return Err(format!("closed: {frame:?}")),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error.to_string()),
                    None => return Err("closed".into()),
                }
            }
        };
        tokio::time::timeout(LIMIT, found).await.unwrap_or_else(|_| Err("no answer".into()))
    }
}

/// An id that nobody used before.
fn fresh() -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random).unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    CallId::from_parts(u64::try_from(now).unwrap(), u128::from_ne_bytes(random)).to_string()
}

/// As a browser offers, with nobody behind it: a call is over before media must flow.
const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
    a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 \
    00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n\
    a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
    a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:126 telephone-event/8000\r\n";

/// Enough for 50 calls a second of two seconds each.
const PAGES: usize = 100;

const LIMIT: Duration = Duration::from_secs(20);
