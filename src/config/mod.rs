//! The one typed configuration: `crosspoint.toml`, then the environment, then flags.
//!
//! One small struct per concern; what each means to its domain is the gateway's to carry over.
//! `read` is pure; `load`, `command` and `plan_command` read files.

mod command;
mod describe;
mod environment;
mod load;
mod observe;
mod plan_command;
mod read;
mod read_http;
mod read_trunk;
mod settings;

pub use command::{Format, Report, check, schema, show};
pub use describe::Setting;
pub use load::{
    Directory, LoadError, Loaded, LoadedPlan, load, load_plan, load_settings, read_bytes,
    read_whole,
};
pub use observe::{Hep, Otlp};
pub use plan_command::{Against, Question, check_plans, diff_plans, explain_plan, test_plans};
pub use read::read;
pub use settings::{
    Acme, AdminAccess, ApiKey, Auth, Config, Drain, Http, HttpTls, Ice, IceServer, Listen, Media,
    PortRange, SettingError, Sip, SipTls, Store, StoreUrl, User, Webhook,
};
