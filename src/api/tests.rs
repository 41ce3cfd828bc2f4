//! The surface as a client sees it: status, headers, bodies.

mod dialplan;
mod guarded;
mod keys;
mod paging;
mod rest;
mod surface;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use tower::ServiceExt;

use super::*;
use crate::base::{CallId, Cause, E164, Finding, Party, Severity, TrunkId, UserId};
use crate::call::{Direction, Quality, Record, State, Who};
use crate::dialplan::{Decision, Known, NoFiles, OutboundRequest, Region};
use crate::gateway::{
    CallOrder, Delivery, Events, NotExplained, NotPlayed, NotStarted, PlanQuestion, RecordingWish,
    SipMessage, Timeline, VoicemailView, WebhookView,
};
use crate::recording::Folder;
use crate::signaling::{Claims, MintError, TokenKey, TransferTo, Words, mint};
use crate::store::{Cursor, Settings, Store};
use crate::telemetry::Metrics;

/// A gateway with one call, one trunk and the user `alice`; or with more of everything that is listed.
pub(super) struct Fixed {
    pub(super) hung_up: Mutex<Vec<CallId>>,
    pub(super) revoked: Mutex<Vec<String>>,
    pub(super) readiness: Readiness,
    pub(super) key: TokenKey,
    pub(super) refused: Option<RefusedPlan>,
    pub(super) released: Mutex<Vec<String>>,
    pub(super) sent: Mutex<Vec<String>>,
    pub(super) events: Arc<Events>,
    pub(super) many: u64,
    pub(super) recordings: std::path::PathBuf,
}

fn finding() -> Finding {
    let (file, message) = ("plan.toml".to_owned(), "wrong".to_owned());
    Finding { file, line: 3, column: 1, severity: Severity::Error, message }
}

impl Backend for Fixed {
    fn calls(&self, after: Option<Cursor>, limit: usize) -> (Vec<LiveCall>, Option<Cursor>) {
        let trace = (0..self.many).map(|n| format!("{}=> route", " ".repeat(n as usize)));
        let trace: Vec<String> = trace.collect();
        let call = |n| LiveCall {
            state: State::Connected,
            record: Record { trace: trace.clone(), ..record(n) },
        };
        let place = |call: &LiveCall| Cursor::of(&call.record);
        let mut calls: Vec<LiveCall> = (1..=self.many).map(call).collect();
        calls.retain(|call| after.is_none_or(|after| place(call) > after));
        let more = calls.len() > limit;
        calls.truncate(limit);
        let next = calls.last().filter(|_| more).map(place);
        (calls, next)
    }

    fn call(&self, id: CallId) -> Option<LiveCall> {
        self.calls(None, 1000).0.into_iter().find(|call| call.record.id == id)
    }

    fn timeline(&self, id: CallId) -> Option<Timeline> {
        self.call(id).map(|_| Timeline::sample())
    }

    fn signalling(&self, id: CallId) -> Vec<SipMessage> {
        let one = |sent| SipMessage {
            at: jiff::Timestamp::from_second(1_763_712_001).unwrap(),
            sent,
            transport: crate::gateway::SipTransport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.2:5070".parse().unwrap(),
            bytes: b"INVITE sip:a@b SIP/2.0\r\nCall-ID: a\r\n\r\n".as_slice().into(),
        };
        self.call(id)
            .map(|_| (0..=self.many).map(|n| one(n % 2 == 0)).collect())
            .unwrap_or_default()
    }

    fn hang_up(&self, id: CallId) -> Result<(), Unknown> {
        self.call(id).ok_or(Unknown)?;
        self.hung_up.lock().unwrap().push(id);
        Ok(())
    }

    fn hold(&self, id: CallId, _: HoldWish) -> Result<(), Unknown> {
        self.call(id).map(|_| ()).ok_or(Unknown)
    }

    fn transfer(&self, id: CallId, _: TransferTo) -> Result<(), Unknown> {
        self.call(id).map(|_| ()).ok_or(Unknown)
    }

    fn send_digits(&self, id: CallId, digits: &DigitsToSend) -> Result<(), Unknown> {
        self.call(id).ok_or(Unknown)?;
        let sent = digits.tones.items(digits.tone, digits.gap).len();
        self.sent.lock().unwrap().push(format!("{sent} digits"));
        Ok(())
    }

    fn message(&self, id: CallId, _: Words) -> Result<(), Unknown> {
        self.call(id).map(|_| ()).ok_or(Unknown)
    }

    fn start_call(&self, order: CallOrder) -> Result<CallId, NotStarted> {
        if self.readiness == Readiness::Draining {
            return Err(NotStarted::Draining);
        }
        let mut sent = self.sent.lock().unwrap();
        sent.push(match order {
            CallOrder::User { user, .. } => format!("call of {user}"),
            CallOrder::Number { to, .. } if to == "menu:none" => {
                return Err(NotStarted::NoDestination);
            }
            CallOrder::Number { from, to } if from.as_str().starts_with("+49900") => {
                let words = format!("not for {to}");
                return Err(NotStarted::Refused(Cause::BlockedByDialplan, words));
            }
            CallOrder::Number { from, to } => format!("{} with {to}", from.as_str()),
        });
        Ok(CallId::from_parts(7, sent.len() as u128))
    }

    fn webhooks(&self) -> Vec<WebhookView> {
        let hook = |n| WebhookView {
            name: format!("hook{n}"),
            url: "https://crm.example/".into(),
            events: Vec::new(),
            pending: 0,
        };
        (1..=self.many).map(hook).collect()
    }

    fn deliveries(&self, webhook: &str) -> Option<Vec<Delivery>> {
        (webhook == "crm").then(|| (8..8 + self.many).rev().map(Delivery::sample).collect())
    }

    fn redeliver(&self, webhook: &str, id: &str) -> bool {
        webhook == "crm" && id == "msg_1"
    }

    fn events(&self) -> Arc<Events> {
        self.events.clone()
    }

    fn users(&self) -> Vec<UserView> {
        let name = |n| if n == 1 { "alice".to_owned() } else { format!("user{n}") };
        let user = |n| UserView {
            id: name(n).parse().unwrap(),
            country: Some("DE".into()),
            pages: 1,
            calls: 0,
        };
        (1..=self.many).map(user).collect()
    }

    fn trunks(&self) -> Vec<TrunkView> {
        let name = |n| if n == 1 { "north".to_owned() } else { format!("trunk{n}") };
        let trunk = |n| TrunkView {
            id: name(n).parse().unwrap(),
            state: TrunkState::Up,
            calls: 1,
            channels: 30,
            registration: None,
        };
        let mut trunks: Vec<TrunkView> = (1..=self.many).map(trunk).collect();
        trunks.sort_by(|a, b| a.id.cmp(&b.id));
        trunks
    }

    fn test_trunk(&self, id: &TrunkId, _: Option<E164>) -> TestingTrunk {
        let known = id.as_str() == "north";
        let report = TrunkReport { trunk: id.clone(), passed: true, steps: Vec::new() };
        Box::pin(async move { known.then_some(report) })
    }

    fn knows_user(&self, user: &UserId) -> bool {
        user.as_str() == "alice"
    }

    fn mint(&self, claims: &Claims) -> Result<String, MintError> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        mint(&self.key, claims, now.as_secs())
    }

    fn revoke_token(&self, token: &str) -> bool {
        self.revoked.lock().unwrap().push(token.to_owned());
        token.starts_with("cp1.")
    }

    fn revoke_user(&self, user: &UserId) {
        self.revoked.lock().unwrap().push(user.to_string());
    }

    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    fn refresh_metrics(&self) {}

    fn plan(&self) -> PlanView {
        PlanView {
            file: Some("plan.toml".into()),
            hash: "abc".into(),
            loaded_at: jiff::Timestamp::UNIX_EPOCH,
            warnings: Vec::new(),
            refused: self.refused.clone(),
            text: "version = 1\n".into(),
        }
    }

    fn check_plan(&self, text: &str) -> Vec<Finding> {
        text.contains("wrong").then(finding).into_iter().collect()
    }

    fn put_plan(&self, text: &str, made_from: Option<&str>) -> Result<(), PutRefused> {
        if made_from.is_some_and(|hash| hash != "abc") {
            return Err(PutRefused::Changed("the plan is abc by now".into()));
        }
        match text.contains("wrong") {
            true => Err(PutRefused::Findings(vec![finding()])),
            false => Ok(()),
        }
    }

    fn explain(
        &self,
        question: &PlanQuestion,
        text: Option<&str>,
    ) -> Result<(Decision, Vec<String>), NotExplained> {
        let PlanQuestion::Outbound { user, dialled, at: None, .. } = question else {
            return Err(NotExplained::Time);
        };
        let in_force = "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
                        timezone = \"UTC\"\n";
        let text = text.unwrap_or(in_force);
        let plan = crate::dialplan::load(text, "p", &Known::default(), &NoFiles)
            .map_err(NotExplained::Plan)?;
        let decision = plan.evaluate_outbound(&OutboundRequest {
            user: user.clone(),
            country: None,
            dialled: dialled.clone(),
            caller_id: None,
            at: jiff::Timestamp::UNIX_EPOCH,
        });
        let trace = plan.explain(&decision);
        Ok((decision, trace))
    }

    fn release(&self, user: &UserId, region: Region) {
        self.released.lock().unwrap().push(format!("{user} {region}"));
    }

    fn record(&self, id: CallId, wish: RecordingWish) -> Result<(), Unknown> {
        self.call(id).ok_or(Unknown)?;
        self.sent.lock().unwrap().push(format!("recording {wish:?}"));
        Ok(())
    }

    fn play(&self, id: CallId, file: Option<&str>) -> Result<(), NotPlayed> {
        self.call(id).ok_or(NotPlayed::NoCall)?;
        match file {
            Some("none.wav") => Err(NotPlayed::Unusable("none.wav: there is none".to_owned())),
            file => {
                self.sent.lock().unwrap().push(format!("plays {file:?}"));
                Ok(())
            }
        }
    }

    fn recordings(&self) -> Arc<Folder> {
        Arc::new(Folder::new(self.recordings.clone(), None))
    }

    fn plan_versions(&self) -> Vec<PlanVersionView> {
        let version = |n: u64| PlanVersionView {
            hash: n.to_string(),
            loaded_at: jiff::Timestamp::from_second(n as i64).unwrap(),
            text: "version = 1".into(),
        };
        (0..self.many).rev().map(version).collect()
    }

    fn voicemails(&self) -> Vec<VoicemailView> {
        // Two of a second: their names order them.
        let message = |n: u64| VoicemailView {
            id: format!("vm_{n}"),
            mailbox: "reception".to_owned(),
            call: CallId::from_parts(1, 1),
            from: Some("+4930123".to_owned()),
            at: jiff::Timestamp::from_second(n as i64 / 2).unwrap(),
            duration_ms: 4200,
        };
        (1..=self.many).rev().map(message).collect()
    }

    fn voicemail_sound(&self, id: &str) -> Option<Vec<u8>> {
        (id == "vm_1").then(|| b"RIFF".to_vec())
    }

    fn remove_voicemail(&self, id: &str) -> std::io::Result<bool> {
        Ok(id == "vm_1")
    }

    fn demo_phone(&self) -> Option<DemoPhone> {
        let hint =
            Hint { dial: "600".into(), name: "Echo".into(), about: "You hear yourself.".into() };
        let user = "alice".parse().unwrap();
        Some(DemoPhone { token: "cp1.x.y".into(), user, hints: vec![hint] })
    }
}

/// A router with its gateway and its store.
pub(super) struct Site {
    pub(super) router: Router,
    pub(super) backend: Arc<Fixed>,
    pub(super) store: Arc<Store>,
    _folder: tempfile::TempDir,
}

impl Site {
    pub(super) async fn open(access: Access, readiness: Readiness) -> Site {
        Site::of(access, readiness, 1).await
    }

    /// With so many of everything that is listed.
    pub(super) async fn of(access: Access, readiness: Readiness, many: u64) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("cp.db").display());
        let store = Arc::new(Store::open(&Settings { url, spool: None }).await.unwrap());
        let key = TokenKey::new([7; 32]).unwrap();
        let refused = (readiness == Readiness::NotReady("a bad plan".into()))
            .then(|| RefusedPlan { at: jiff::Timestamp::UNIX_EPOCH, findings: vec![finding()] });
        let backend = Arc::new(Fixed {
            hung_up: Mutex::default(),
            revoked: Mutex::default(),
            readiness,
            key,
            refused,
            released: Mutex::default(),
            sent: Mutex::default(),
            events: Arc::new(Events::of_test()),
            many,
            recordings: folder.path().join("recordings"),
        });
        let api = Api::new(
            Arc::clone(&backend) as Arc<dyn Backend>,
            Arc::clone(&store),
            Arc::new(Metrics::new()),
        );
        let rtc = Router::new().route("/v1/rtc", get(async || "rtc"));
        Site { router: router(api, access, rtc), backend, store, _folder: folder }
    }

    pub(super) async fn new() -> Site {
        Site::open(Access::default(), Readiness::Ready).await
    }

    /// Sends `METHOD path` from a loopback peer to `localhost:8080`.
    pub(super) async fn ask(&self, line: &str) -> Response {
        self.send(line, "127.0.0.1:9", &[("host", "localhost:8080")], "").await
    }

    pub(super) async fn send(
        &self,
        line: &str,
        peer: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(super) async fn keep(&self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            self.store.append(&record).await.unwrap();
        }
        while self.store.spool_bytes() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(super) async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(super) async fn json(response: Response) -> serde_json::Value {
    serde_json::from_str(&text(response).await).unwrap()
}

pub(super) fn record(n: u64) -> Record {
    let at =
        |s| jiff::Timestamp::from_millisecond(1_763_712_000_000 + n as i64 * 1000 + s).unwrap();
    Record {
        id: CallId::from_parts(1_763_712_000_000, u128::from(n)),
        direction: Direction::Outbound,
        from: Party { user: "alice".parse().ok(), uri: "alice".into(), ..Party::default() },
        to: Party {
            number: "+49301234567".parse().ok(),
            uri: "+49301234567".into(),
            ..Party::default()
        },
        trunk: "north".parse().ok(),
        rule: Some("national, \"day\"".into()),
        started_at: at(0),
        answered_at: Some(at(250)),
        ended_at: Some(at(1250)),
        duration_ms: 1000,
        cause: Some(Cause::Hangup),
        sip: None,
        q850: Some(16),
        ended_by: Some(Who::Callee),
        attempts: 1,
        digits: 4,
        codec: Some("PCMA".into()),
        recording: None,
        quality: Quality::default(),
        trace: vec!["=> route".into()],
    }
}
