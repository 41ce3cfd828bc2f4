//! `crosspoint demo`: the gateway, its web phone, and a telephone network to call, on loopback but for
//! the browser's media, which is on the machine's own address too (Firefox).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::arguments::Demo;
use super::{Unusable, http, serve};
use crate::api;
use crate::base::Secret;
use crate::carrier::{self, Carrier, CarrierConfig};
use crate::config::{Config, LoadedPlan};
use crate::dialplan::{self, NoFiles};
use crate::gateway::Gateway;
use crate::sip::Transport;

pub(super) async fn run(arguments: Demo) -> Result<ExitCode, Unusable> {
    serve::logging(&arguments.log, "warn")?;
    std::fs::create_dir_all(&arguments.data).map_err(|error| {
        Unusable::new(format_args!("--data {}: {error}", arguments.data.display()))
    })?;
    let database = arguments.data.join("crosspoint-demo.db");
    let running = start(arguments.listen, &database).await?;
    println!("{}", running.screen());
    tracing::info!(http = %running.http.address, "ready");
    http::stop_signal().await;
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// A gateway with its carrier.
pub(super) struct Running {
    pub http: http::Http,
    pub gateway: Gateway,
    pub carrier: Carrier,
    /// Where the operator's key is.
    key_file: String,
}

/// Starts the demo's gateway and carrier.
pub(super) async fn start(listen: SocketAddr, database: &Path) -> Result<Running, Unusable> {
    let listener = http::bind(listen)?;
    let plan = plan()?;
    let listening = |port| CarrierConfig {
        sip_listen: (Ipv4Addr::LOCALHOST, port).into(),
        did: DEMO_NUMBER.to_owned(),
        ..CarrierConfig::default()
    };
    // Where scenarios find it; a second demo's carrier is elsewhere.
    let carrier = match carrier::start(listening(CARRIER_PORT)).await {
        Ok(carrier) => carrier,
        Err(_) => carrier::start(listening(0)).await.map_err(Unusable::new)?,
    };
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(Unusable::new)?;
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut config = Config::demo(carrier.sip_addr(), database, Secret::new(key));
    config.http.listen = listen;
    config.http.operator_key_file = database.with_extension("key").display().to_string();
    let access = http::access(&config)?;
    let gateway = Gateway::start(&config, plan).await.map_err(Unusable::new)?;
    if let Some(address) = gateway.sip_addr(Transport::Udp) {
        carrier.set_gateway(address);
    }
    let demo = api::Demo { user: user()?, hints: hints() };
    let http = http::start(listener, &gateway, (access, None), Some(demo))?;
    let key_file = config.http.operator_key_file;
    Ok(Running { http, gateway, carrier, key_file })
}

impl Running {
    /// Ends the calls and stops.
    pub(super) async fn stop(self) {
        self.gateway.stop(PATIENCE).await;
        self.carrier.stop().await;
        self.http.stop().await;
    }

    /// All that somebody needs who sees this for the first time.
    fn screen(&self) -> String {
        let port = self.http.address.port();
        let lines: String = hints()
            .iter()
            .map(|hint| format!("    {}  {:<13} {}\n", hint.dial, hint.name, hint.about))
            .collect();
        format!(
            "\n  Crosspoint is running.\n\n  Open   http://localhost:{port}\n\n  Dial\n{lines}\n  \
             Admin    http://localhost:{port}/admin   key in {key}\n  Carrier  sip:601@{carrier} (for \
             crosspoint ivr run examples/ivr/*.yaml)\n  Stop     Ctrl-C\n",
            key = self.key_file,
            carrier = self.carrier.sip_addr(),
        )
    }
}

fn plan() -> Result<LoadedPlan, Unusable> {
    let known = dialplan::Known::default();
    let plan = dialplan::load(DEMO_PLAN, "dialplans/demo.toml", &known, &NoFiles);
    let plan = plan.map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        Unusable::new(lines.join("\n"))
    })?;
    Ok(LoadedPlan { plan, text: DEMO_PLAN.to_owned(), path: None, files: Vec::new() })
}

/// The demo's one user.
pub(super) fn user() -> Result<crate::base::UserId, Unusable> {
    "web".parse().map_err(Unusable::new)
}

fn hints() -> Vec<api::Hint> {
    let hint = |(dial, name, about): &(&'static str, &'static str, &'static str)| api::Hint {
        dial: (*dial).to_owned(),
        name: (*name).to_owned(),
        about: (*about).to_owned(),
    };
    LINES.iter().map(hint).collect()
}

/// The carrier's lines as people see them.
const LINES: &[(&str, &str, &str)] = &[
    ("600", "Echo", "You hear yourself."),
    ("601", "Menu", "A voice menu: press the keys it names."),
    ("602", "Tone", "1004 Hz at -16 dBm0."),
    ("603", "Read-back", "Reads back the digits you press."),
    ("604", "No answer", "Rings and is never picked up."),
    ("605", "Busy", "The line is busy."),
    ("606", "Early media", "An announcement before the answer, then 480."),
    ("607", "Call me back", "Hangs up and calls this page."),
    ("620", "Bank", "A menu with a PIN (4711), for tests of menus."),
];

/// The number of the plan's `[[inbound]]` that rings the page.
const DEMO_NUMBER: &str = "+493023125600";
const DEMO_PLAN: &str = include_str!("../../dialplans/demo.toml");
/// The embedded carrier's SIP port, where it is free.
const CARRIER_PORT: u16 = 5070;
const PATIENCE: Duration = Duration::from_secs(5);
