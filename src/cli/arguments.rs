//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A telephony gateway between WebRTC and SIP.
#[derive(Debug, Parser)]
#[command(version, about, after_help = AFTER_HELP)]
pub(super) struct Cli {
    /// For people or for programs.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Text,
    Json,
    /// For test runners; only `dialplan test` and `ivr run` have it, the others print text
    Junit,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The whole gateway with no configuration: a web phone and a telephone network to call
    Demo(Demo),
    /// The gateway
    Serve(Serve),
    /// Find what keeps calls from working here, or makes sound one-way, and say what to do
    Doctor(Doctor),
    /// Place real calls through a gateway and print what was measured
    Selftest(Selftest),
    /// Check a configuration, or show what is in force and why
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check, explain and test a dial plan
    #[command(subcommand)]
    Dialplan(DialplanCommand),
    /// Trunks of a running gateway
    #[command(subcommand)]
    Trunk(TrunkCommand),
    /// Calls of a running gateway
    #[command(subcommand, after_help = CALL_HELP)]
    Call(CallCommand),
    /// Client tokens: what a page signs in with
    #[command(subcommand)]
    Token(TokenCommand),
    /// Test voice menus: this gateway's or any that has a number
    #[command(subcommand)]
    Ivr(IvrCommand),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:  crosspoint demo --listen 127.0.0.1:0 --data /tmp")]
pub(super) struct Demo {
    /// Where the web phone is served; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where the database goes
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub data: PathBuf,
    #[command(flatten)]
    pub log: Log,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:  crosspoint serve --config /etc/crosspoint/crosspoint.toml --log-format json"
)]
pub(super) struct Serve {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "crosspoint.toml")]
    pub config: PathBuf,
    #[command(flatten)]
    pub log: Log,
}

#[derive(Debug, Args)]
pub(super) struct Log {
    /// How a line of the log looks
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// A level (`info`), or levels by module (`info,crosspoint::sip=debug`)
    #[arg(long, value_name = "LEVELS")]
    pub log_level: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = DOCTOR_HELP)]
pub(super) struct Doctor {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "crosspoint.toml")]
    pub config: PathBuf,
    /// The name that browsers will use: whether it is found, and the certificate is for it
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Leave out the call on loopback, which takes some seconds
    #[arg(long)]
    pub no_call: bool,
    /// The same as `--output json`
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub log: Log,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:  crosspoint selftest --json")]
pub(super) struct Selftest {
    /// The configuration of a running gateway whose plan reaches the demo's lines (600-608, 611-613, 620-626);
    /// without it a gateway and a carrier are started for the test
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The same as `--output json`
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub log: Log,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Every mistake in the configuration and its plan, with line and column
    #[command(after_help = "Example:  crosspoint config check crosspoint.toml")]
    Check(ConfigFile),
    /// Every setting in force and where it comes from
    #[command(after_help = "Example:  crosspoint config show crosspoint.toml")]
    Show(ConfigFile),
    /// The JSON Schema of the file
    #[command(after_help = "Example:  crosspoint config schema > crosspoint.schema.json")]
    Schema,
}

#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The configuration
    #[arg(value_name = "FILE", default_value = "crosspoint.toml")]
    pub file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum DialplanCommand {
    /// Every mistake in plans, with line and column; runs their tests
    #[command(
        after_help = "Example:  crosspoint dialplan check dialplans/*.toml --config crosspoint.toml"
    )]
    Check(PlanFiles),
    /// Which rule decides about a call, and why the others do not
    #[command(
        after_help = "Example:  crosspoint dialplan explain plan.toml --from alice '+49 30 23125 600'"
    )]
    Explain(Explain),
    /// The plans' own tests, one line each, and how many of the rules they reach
    #[command(
        after_help = "Example:  crosspoint dialplan test plan.toml --min-coverage 100 --output junit"
    )]
    Test(PlanTests),
    /// Which calls of the past would go elsewhere by another plan
    #[command(
        after_help = "Example:  crosspoint dialplan diff plan.toml new-plan.toml --cdrs calls.jsonl"
    )]
    Diff(Diff),
}

#[derive(Debug, Args)]
pub(super) struct PlanFiles {
    /// The plans
    #[arg(value_name = "PLAN", required = true)]
    pub plans: Vec<PathBuf>,
    /// Check the plans' trunks and users against this configuration
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct PlanTests {
    #[command(flatten)]
    pub files: PlanFiles,
    /// Exit 1, too, where a plan's tests reach less of its rules than this
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub min_coverage: Option<u8>,
}

#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The plan in force
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    /// The plan to come
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// Records of calls, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub cdrs: PathBuf,
    /// Check the plans' trunks and users against this configuration
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Check the plan's trunks and users against this configuration
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The user who dials, or with --did the number that calls
    #[arg(long, value_name = "USER", required_unless_present = "did")]
    pub from: Option<String>,
    /// The number of ours that is called, for a call from a trunk
    #[arg(long, value_name = "NUMBER", conflicts_with = "number")]
    pub did: Option<String>,
    /// The trunk that a call to --did comes by
    #[arg(long, value_name = "NAME", requires = "did")]
    pub trunk: Option<String>,
    /// The number or identity that the caller asks to show
    #[arg(long, value_name = "NUMBER", conflicts_with = "did")]
    pub caller_id: Option<String>,
    /// The caller's country; default: the configuration's for this user, else the plan's
    #[arg(long, value_name = "CODE", conflicts_with = "did")]
    pub country: Option<String>,
    /// When (RFC 3339, or a local time of the plan's zone); default: now
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// What is dialled
    #[arg(required_unless_present = "did", allow_hyphen_values = true)]
    pub number: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum TrunkCommand {
    /// How each trunk stands: up or down, registered or why not, calls on it
    #[command(after_help = "Example:  crosspoint trunk list --config crosspoint.toml")]
    List(TrunkList),
    /// Look a trunk up, send it OPTIONS, look at its registration, call a number
    #[command(after_help = "Example:  crosspoint trunk test north --call +493012345670")]
    Test(TrunkTest),
}

#[derive(Debug, Args)]
pub(super) struct TrunkList {
    /// The configuration of the gateway that runs on this machine
    #[arg(long, value_name = "FILE", default_value = "crosspoint.toml")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct TrunkTest {
    /// The trunk
    #[arg(value_name = "NAME")]
    pub name: String,
    /// A number (E.164) to call until it rings or answers; it is hung up at once
    #[arg(long, value_name = "NUMBER")]
    pub call: Option<String>,
    /// The configuration of the gateway that runs on this machine
    #[arg(long, value_name = "FILE", default_value = "crosspoint.toml")]
    pub config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum CallCommand {
    /// The calls that are on: since when, who with whom, by which trunk
    #[command(
        after_help = "Examples:\n  crosspoint call list\n  crosspoint call list --output json \
                            --url https://phone.example --key-file operator.key"
    )]
    List(CallList),
    /// Connect a user or a number with something; prints the id of the call
    #[command(
        after_help = "Examples:\n  crosspoint call start --user alice +493012345670      her page \
                            rings, then the number\n  crosspoint call start --from +493012345670 \
                            menu:night  the number is called, then hears the menu\n  crosspoint call \
                            start --from +493012345670 user:alice\n  crosspoint call start --from \
                            +493012345670 +493012345671"
    )]
    Start(CallStartArguments),
    /// End calls that go on; each keeps its record
    #[command(after_help = "Example:  crosspoint call hangup call_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    Hangup(CallHangup),
}

/// Which gateway, and who asks.
#[derive(Debug, Args)]
pub(super) struct Remote {
    /// The gateway: http:// or https://
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// A key of the gateway's, or the operator's; on its own machine a program needs none. Other users
    /// of this machine see it in the list of processes: prefer --key-file
    #[arg(long, value_name = "KEY", conflicts_with = "key_file")]
    pub key: Option<String>,
    /// A file whose first line is the key
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CallList {
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct CallStartArguments {
    /// The user whose pages ring first
    #[arg(long, value_name = "USER", required_unless_present = "from", conflicts_with = "from")]
    pub user: Option<String>,
    /// The number that is called first
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// The number that the far side is shown; one of the user's own
    #[arg(long, value_name = "NUMBER", conflicts_with = "from")]
    pub caller_id: Option<String>,
    /// What follows: a number, or after --from also user:NAME, menu:NAME, ring:NAME, voicemail:NAME
    #[arg(value_name = "TO")]
    pub to: String,
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct CallHangup {
    /// The calls, as `call list` names them
    #[arg(value_name = "CALL", required = true)]
    pub calls: Vec<String>,
    #[command(flatten)]
    pub remote: Remote,
}

/// What all commands about calls have in common.
pub(super) const CALL_HELP: &str = "The commands ask a running gateway over HTTP (--url). On its own \
machine they need no key; elsewhere --key-file names one with calls:read (list) or calls:write (start, \
hangup).\n\nExit 0: done. 1: the gateway refused, and why. 2: no gateway answers.";

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a client token
    Create(TokenCreate),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:  crosspoint token create --user alice --ttl 10m --config crosspoint.toml"
)]
pub(super) struct TokenCreate {
    /// The user that the page acts for
    #[arg(long)]
    pub user: String,
    /// How long it lives: 10m, 1h; at most 1h
    #[arg(long, default_value = "1h")]
    pub ttl: String,
    /// What it allows: call:out, call:in; more than once, both where there is none
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<String>,
    /// A number that it may call from; more than once, the user's own where there is none
    #[arg(long, value_name = "NUMBER")]
    pub caller: Vec<String>,
    /// What it may dial, exact or ending in *; more than once (a click-to-call page has one)
    #[arg(long, value_name = "NUMBER")]
    pub destination: Vec<String>,
    /// How long its calls may last at most: 90s, 10m
    #[arg(long, value_name = "TIME")]
    pub max_call: Option<String>,
    /// The configuration whose key signs it
    #[arg(long, value_name = "FILE", default_value = "crosspoint.toml")]
    pub config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum IvrCommand {
    /// Run scenarios and tell what failed
    #[command(
        after_help = "Example:  crosspoint ivr run examples/ivr/*.yaml --junit out.xml --html report/"
    )]
    Run(IvrRun),
    /// Keep a prompt as the reference for scenarios
    #[command(
        after_help = "Example:  crosspoint ivr record sip:601@127.0.0.1:5070 prompts/about.wav --press 3"
    )]
    Record(IvrRecord),
    /// Press every key at every menu, keep the prompts and draft a scenario
    #[command(after_help = "Example:  crosspoint ivr crawl sip:601@127.0.0.1:5070 --depth 1 --yes")]
    Crawl(IvrCrawl),
}

#[derive(Debug, Args)]
pub(super) struct IvrRun {
    /// The scenarios (.yaml, .toml)
    #[arg(value_name = "SCENARIO", required = true)]
    pub files: Vec<PathBuf>,
    /// As many calls at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub parallel: usize,
    /// Try a case that failed as often again
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub retries: u32,
    /// Write JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Print TAP
    #[arg(long)]
    pub tap: bool,
    /// Write a report for people, and the sound of the calls
    #[arg(long, value_name = "FOLDER")]
    pub html: Option<PathBuf>,
    /// Report what came of it to a gateway, which shows it at /admin/ivr
    #[arg(long, value_name = "URL")]
    pub report_to: Option<String>,
    /// A file whose first line is a key of that gateway with `ivr:write`; on its own machine none is needed
    #[arg(long, value_name = "FILE", requires = "report_to")]
    pub report_key_file: Option<PathBuf>,
    /// Make the calls in this way, whatever the scenarios say
    #[arg(long, value_enum)]
    pub via: Option<IvrVia>,
    #[command(flatten)]
    pub peer: IvrPeer,
    #[command(flatten)]
    pub log: Log,
}

#[derive(Debug, Clone, Args)]
pub(super) struct IvrPeer {
    /// The gateway's SIP address, for scenarios that dial a number via: trunk
    #[arg(long, value_name = "ADDRESS")]
    pub sip: Option<SocketAddr>,
    /// The gateway's page, for via: browser [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// A client token, for via: browser; a demo needs none
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// The gateway's configuration: its addresses, and a token of its first user
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The address of this machine that calls are made from
    #[arg(long, value_name = "ADDRESS")]
    pub bind: Option<std::net::IpAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum IvrVia {
    Loopback,
    Trunk,
    Browser,
}

impl From<IvrVia> for crate::ivr::Via {
    fn from(via: IvrVia) -> crate::ivr::Via {
        match via {
            IvrVia::Loopback => crate::ivr::Via::Loopback,
            IvrVia::Trunk => crate::ivr::Via::Trunk,
            IvrVia::Browser => crate::ivr::Via::Browser,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct IvrRecord {
    /// What is called: sip:…, or a number through the gateway
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// Where the prompt goes
    #[arg(value_name = "WAV")]
    pub file: PathBuf,
    /// Keys to press before, one by one
    #[arg(long, value_name = "KEYS", default_value = "", allow_hyphen_values = true)]
    pub press: String,
    /// How long to listen
    #[arg(long, value_name = "TIME", default_value = "15s")]
    pub listen: String,
    /// How the call is made
    #[arg(long, value_enum, default_value_t = IvrVia::Trunk)]
    pub via: IvrVia,
    #[command(flatten)]
    pub peer: IvrPeer,
    #[command(flatten)]
    pub log: Log,
}

#[derive(Debug, Args)]
pub(super) struct IvrCrawl {
    /// What is called: sip:…, or a number through the gateway
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// As many keys deep
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=4))]
    pub depth: u8,
    /// As many calls at most
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub calls: usize,
    /// As many calls a minute
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub rate: u32,
    /// How long to listen in each
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub listen: String,
    /// Where the prompts and the draft go
    #[arg(long, value_name = "FOLDER", default_value = "crawl")]
    pub folder: PathBuf,
    /// Do not ask before calls that may cost money
    #[arg(long)]
    pub yes: bool,
    /// How the calls are made
    #[arg(long, value_enum, default_value_t = IvrVia::Trunk)]
    pub via: IvrVia,
    #[command(flatten)]
    pub peer: IvrPeer,
    #[command(flatten)]
    pub log: Log,
}

const DOCTOR_HELP: &str = "\
Looks at the configuration, clock, limits and disks, certificates, ports, the database, STUN and TURN \
servers, the addresses that peers are told, and the trunks (DNS, OPTIONS, TLS); then makes a call on \
loopback. It changes nothing and may run beside the gateway, as the gateway's own user.

Each line is ok, warn (may be meant so) or FAIL, with what to do behind ->.
Exit status: 0 nothing failed, 1 something did, 2 no configuration.

Example:  crosspoint doctor --config /etc/crosspoint/crosspoint.toml --host phone.example.com";

const AFTER_HELP: &str = "\
First call in a minute:  crosspoint demo, then open http://localhost:8080 and dial 600.

Exit status: 0 fine, 1 findings (a mistake in a file, a failed check), 2 unusable (no such file, a \
port that is taken).";
