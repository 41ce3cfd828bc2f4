//! A page in a call with the trunk's phone, straight or through kamailio as the carrier's proxy.

use std::time::Duration;

use crosspoint::selftest::{Call, Event, Heard, Page};
use serde_json::json;

use super::bystander::{LOOPBACK, PLAN, place};
use super::gateway::Gateway;
use super::http;
use super::kamailio::{Kamailio, Ways};

pub const LIMIT: Duration = Duration::from_secs(20);

/// How the phone is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Direct,
    /// With the password asked for and the proxy in the route of every dialog.
    Proxy,
}

impl Way {
    /// Whose cells of the interop table a call by this way fills.
    pub fn peer(self) -> &'static str {
        match self {
            Way::Direct => "sipp",
            Way::Proxy => "kamailio",
        }
    }
}

/// A page in a call with the trunk's phone.
pub struct Talk {
    pub gateway: Gateway,
    pub page: Page,
    pub call: Call,
    pub kamailio: Option<Kamailio>,
}

impl Talk {
    /// A call to the phone at `port`.
    pub async fn with(port: u16) -> Talk {
        Talk::by(Way::Direct, port).await
    }

    pub async fn by(way: Way, port: u16) -> Talk {
        let kamailio = (way == Way::Proxy).then(|| Kamailio::proxy(port, Ways::default()));
        Talk::through(kamailio, port).await
    }

    /// A call to a phone that is heard before it answers.
    pub async fn early(way: Way, port: u16) -> Talk {
        let kamailio = (way == Way::Proxy).then(|| Kamailio::proxy(port, Ways::default()));
        Talk::until("early-media", kamailio, port).await
    }

    /// A call to the phone at `port`, through this proxy.
    pub async fn through(kamailio: Option<Kamailio>, port: u16) -> Talk {
        Talk::until("active", kamailio, port).await
    }

    async fn until(state: &str, kamailio: Option<Kamailio>, port: u16) -> Talk {
        let port = kamailio.as_ref().map_or(port, |own| own.port);
        let password = match kamailio {
            Some(_) => "username = \"acct\"\npassword = \"secret\"\n",
            None => "",
        };
        let settings = format!("options_interval = \"0s\"\n{password}");
        let gateway = Gateway::serve_trunk(port, PLAN, &settings);
        let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
        let call = place(&page, "700").await;
        call.state(&mut page, state).await.unwrap();
        call.peer.connected(LIMIT).await.expect("ICE and DTLS");
        Talk { gateway, page, call, kamailio }
    }

    /// A call that `dial` places to the page, given where the gateway listens.
    pub async fn taken(gateway: Gateway, dial: impl FnOnce(&Gateway)) -> Talk {
        let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
        dial(&gateway);
        let call = Call::take(&mut page, LOOPBACK).await.unwrap();
        call.state(&mut page, "active").await.unwrap();
        call.peer.connected(LIMIT).await.expect("ICE and DTLS");
        Talk { gateway, page, call, kamailio: None }
    }

    pub async fn ask(&self, kind: &str) {
        self.page.ask(json!({"type": kind, "call": self.call.id})).await.unwrap();
    }

    /// The next `call.held`: who holds.
    pub async fn held(&mut self) -> Option<String> {
        let event = self.event("call.held").await;
        event.body["by"].as_str().map(str::to_owned)
    }

    pub async fn event(&mut self, kind: &str) -> Event {
        let id = self.call.id.clone();
        let wanted = |e: &Event| e.text("type") == kind && e.text("call") == id;
        self.page.event(LIMIT, kind, wanted).await.unwrap()
    }

    /// Waits until so much of this tone is heard.
    pub async fn hears(&self, hz: f64) {
        hears(&self.call, hz).await;
    }

    /// The gateway lives on: its BYE may still be on its way when the page knows of the end.
    pub async fn hang_up(&mut self) {
        let ended = self.call.hang_up(&mut self.page).await.unwrap();
        assert_eq!(ended.text("code"), "hangup");
    }

    /// The far side ends the call, with this code.
    pub async fn ended(&mut self) -> String {
        self.call.ended(&mut self.page, LIMIT).await.unwrap().text("code").to_owned()
    }

    pub async fn gateway_says(&self, words: &str) {
        let said = async {
            let mut step = tokio::time::interval(Duration::from_millis(20));
            while !self.gateway.process.output().contains(words) {
                step.tick().await;
            }
        };
        tokio::time::timeout(LIMIT, said).await.unwrap_or_else(|_| panic!("never said {words:?}"));
    }

    /// Waits until the trunk has answered that many changes of the hold.
    pub async fn trunk_knows(&self, times: usize) {
        let offered = async {
            let mut step = tokio::time::interval(Duration::from_millis(20));
            while self.gateway.process.output().matches("the trunk knows of the hold").count()
                < times
            {
                step.tick().await;
            }
        };
        tokio::time::timeout(LIMIT, offered).await.unwrap();
    }

    /// Waits until the call's codec is this one.
    pub async fn codec_becomes(&self, codec: &str) {
        let becomes = async {
            let mut step = tokio::time::interval(Duration::from_millis(20));
            while !http::calls(&self.gateway.base).iter().any(|call| call["codec"] == codec) {
                step.tick().await;
            }
        };
        tokio::time::timeout(LIMIT, becomes).await.unwrap_or_else(|_| panic!("not {codec}"));
    }
}

/// Waits until 0.4 s in one piece have this tone, at -30 dBm0 or more.
pub async fn hears(call: &Call, hz: f64) {
    hears_so(call, 0.4, |heard| heard.level_at(hz) > -30.0).await;
}

/// Waits until that many seconds in one piece sound as they should.
pub async fn hears_so(call: &Call, seconds: f64, right: impl Fn(&Heard) -> bool) {
    call.peer.heard.lock().unwrap().clear();
    let deadline = tokio::time::Instant::now() + LIMIT;
    let mut step = tokio::time::interval(Duration::from_millis(20));
    loop {
        step.tick().await;
        let mut heard = call.peer.heard.lock().unwrap();
        let late = tokio::time::Instant::now() >= deadline;
        if heard.seconds() >= seconds {
            if right(&heard) {
                return;
            }
            assert!(!late, "heard: {} Hz before all", heard.strongest());
            heard.clear();
        }
        assert!(!late, "heard: {} s in one piece", heard.seconds());
    }
}
