//! The one typed configuration: `crosspoint.toml`, then the environment, then flags.
//!
//! One small struct per concern; what each means to its domain is the gateway's to carry over.
//! `read` is pure; `load` reads files and the environment.

mod command;
mod describe;
mod environment;
mod load;
mod read;
mod read_trunk;
mod settings;

pub use command::{Report, check, schema, show};
pub use describe::Setting;
pub use load::{Directory, LoadError, Loaded, load};
pub use read::read;
pub use settings::{
    Auth, Config, Http, Ice, IceServer, Listen, Media, PortRange, Sip, Store, StoreUrl, User,
};
