//! A call that is on while something is done to the gateway: its tone must go on.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use crosspoint::selftest::{Call, Page};
use serde_json::Value;

use super::gateway::Gateway;
use super::http;
use super::raw_phone::{Dialog, Manner, RawPhone};

pub struct Bystander {
    pub gateway: Gateway,
    pub phone: RawPhone,
    pub page: Page,
    pub call: Call,
    pub dialog: Dialog,
}

impl Bystander {
    /// A gateway with a page that hears a phone.
    pub async fn start() -> Bystander {
        Bystander::logging("info,crosspoint::gateway=debug").await
    }

    /// The same with other levels of the log.
    pub async fn logging(levels: &str) -> Bystander {
        let phone = RawPhone::start(Manner::Answers);
        let gateway = Gateway::serve_logging(phone.port, PLAN, "", levels);
        let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
        let call = place(&page, "+49 30 23125 789").await;
        call.state(&mut page, "active").await.unwrap();
        call.peer.connected(LIMIT).await.expect("ICE and DTLS");
        let dialog = phone.dialog();
        let bystander = Bystander { gateway, phone, page, call, dialog };
        bystander.hears().await;
        bystander
    }

    /// Half a second of the phone's tone is heard from now on, and the call is one of those that are
    /// on. Says the longest pause between two packets.
    pub async fn hears(&self) -> Duration {
        self.call.peer.heard.lock().unwrap().clear();
        let deadline = Instant::now() + LIMIT;
        let mut step = tokio::time::interval(Duration::from_millis(10));
        loop {
            step.tick().await;
            let heard = self.call.peer.heard.lock().unwrap();
            if heard.seconds() >= 0.5 {
                let level = heard.level_at(1000.0);
                assert!(level.abs() < 3.0, "the tone is at {level} dBm0");
                let foreign = heard.level_at(FOREIGN_HZ);
                assert!(foreign < -20.0, "a foreign tone at {foreign} dBm0");
                drop(heard);
                break;
            }
            assert!(Instant::now() < deadline, "heard only {} s", heard.seconds());
        }
        let calls = http::calls(&self.gateway.base);
        assert!(calls.iter().any(|call| call["id"] == self.call.id.as_str()), "{calls:?}");
        self.call.peer.heard.lock().unwrap().longest_gap()
    }

    /// Hangs up; nothing is left and nothing has panicked.
    pub async fn ends_clean(mut self) {
        let ended = self.call.hang_up(&mut self.page).await.unwrap();
        assert_eq!(ended.text("code"), "hangup", "{ended:?}");
        let base = &self.gateway.base;
        let deadline = Instant::now() + LIMIT;
        let mut step = tokio::time::interval(Duration::from_millis(20));
        loop {
            step.tick().await;
            let left: f64 = LEFT.iter().map(|name| http::metric(base, name)).sum();
            if left == 0.0 && http::calls(base).is_empty() {
                break;
            }
            let metrics = http::get(base, "/metrics", &[]).body;
            assert!(Instant::now() < deadline, "left over:\n{metrics}");
        }
        assert_eq!(http::metric(base, "crosspoint_panics_caught_total"), 0.0);
        self.gateway.process.signal("TERM");
        let status = self.gateway.process.wait(Duration::from_secs(15));
        assert!(status.success(), "{status}");
        assert!(!self.gateway.process.output().contains("a panic was caught"));
    }
}

/// Starts a call. A machine that is busy with other tests makes the gateway refuse some at first:
/// its media workers are late, and it says so.
pub async fn place(page: &Page, to: &str) -> Call {
    let deadline = Instant::now() + LIMIT;
    loop {
        match Call::start(page, LOOPBACK, to).await {
            Ok(call) => return call,
            Err(error) => assert!(is_overload(&error) && Instant::now() < deadline, "{error}"),
        }
    }
}

/// Asks for what is to be refused, and says in which words.
pub async fn refusal(page: &Page, request: &Value) -> String {
    let deadline = Instant::now() + LIMIT;
    loop {
        match page.ask(request.clone()).await {
            Ok(reply) => panic!("{request} was let through: {reply}"),
            Err(error) if is_overload(&error) && Instant::now() < deadline => {}
            Err(error) => return error.to_string(),
        }
    }
}

fn is_overload(error: &anyhow::Error) -> bool {
    error.to_string().contains("server/overloaded")
}

/// What attackers play: as loud a square as mu-law has.
pub fn foreign_sound() -> Vec<u8> {
    [[0x00; 8], [0x80; 8]].concat().repeat(10)
}

const FOREIGN_HZ: f64 = 500.0;
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Numbers in Germany and of the tests' own phone go to the trunk; one number of ours to the page.
pub const PLAN: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
[caller_id.web]
number = "+493023125600"
[group.all]
users = ["web"]
caller_id = ["web"]
[[outbound]]
name = "the country"
region = ["DE"]
route = ["phone"]
[[outbound]]
name = "the phone"
to = ["7XX"]
route = ["phone"]
[[inbound]]
name = "to the page"
did = ["+493023125600"]
flow = ["user:web"]
"#;

const LIMIT: Duration = Duration::from_secs(20);
const LEFT: [&str; 4] = [
    "crosspoint_calls_active{direction=\"outbound\"}",
    "crosspoint_calls_active{direction=\"inbound\"}",
    "crosspoint_rtp_ports_in_use",
    "crosspoint_media_sessions",
];
