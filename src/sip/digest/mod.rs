//! Digest authentication (RFC 3261 22, RFC 7616, RFC 8760), both sides.
//!
//! Random values come from the caller: `cnonce` of the client, key and salt of the server.

mod client;
mod hash;
mod server;

pub use client::{Challenge, Client, ClientError};
pub use hash::{Algorithm, Hash, Qop};
pub use server::{Server, ServerConfig, Verdict};
