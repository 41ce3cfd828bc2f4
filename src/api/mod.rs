//! HTTP: live calls, records, trunks, client tokens, metrics, health, the web phone's files.
//!
//! A leaf: it sees the gateway through [`Backend`] and knows no protocol. [`router()`] is the whole
//! surface, [`serve()`] runs it on a listener with limits on slow and oversized peers. Everything that
//! administers answers only on the gateway's own machine.

mod access;
mod acme;
mod attempts;
mod backend;
mod body;
mod calls;
mod cdrs;
mod config;
mod dialplan;
mod events;
mod gateway;
mod health;
mod idempotency;
mod ivr_runs;
mod keys;
mod openapi;
mod page;
mod pages;
mod pcap;
mod places;
mod problem;
mod recordings;
mod router;
mod rtc;
mod serve;
mod session;
#[cfg(test)]
mod tests;
mod timeline;
mod tls;
mod tokens;
mod voicemails;
mod watched;
mod webhooks;

pub use access::{Access, Admin};
pub use acme::{AcmeOrder, AcmeWork};
pub use backend::{
    Backend, DemoPhone, DigitsToSend, Hint, HoldWish, LiveCall, MintedToken, PlanVersionView,
    PlanView, PutRefused, Readiness, RefusedPlan, Registration, TestingTrunk, TrunkReport,
    TrunkState, TrunkStep, TrunkView, Unknown, UserView,
};
pub use gateway::{Demo, GatewayBackend};
pub use keys::{Holder, Keys, OperatorKey, Who, operator_key, read_operator_key};
pub use openapi::document as openapi_document;
pub use problem::Problem;
pub use router::{Api, router};
pub use rtc::rtc;
pub use serve::{Served, serve, serve_tls};
pub use tls::{CertificateError, Certificates};
