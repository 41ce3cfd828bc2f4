//! SDP: model, parser, writer, offer/answer (RFC 8866, RFC 3264).
//!
//! For trunk legs: one audio stream over plain RTP. Browser legs have their SDP made by the
//! WebRTC engine.

mod address;
mod codec;
mod crypto;
mod model;
mod negotiate;
mod numbers;
mod parse;
mod write;

pub use address::{AddressPolicy, PrivateAddresses};
pub use codec::AudioCodec;
pub use crypto::{Crypto, CryptoKey, CryptoSuite, NegotiatedCrypto, Protection};
pub use model::{
    Address, AddressFamily, Attribute, Direction, Media, Origin, Receives, Sends, Session,
};
pub use negotiate::{
    ComfortNoise, LocalAudio, Negotiated, NegotiatedCodec, NoiseType, Refusal, TelephoneEvent,
    TelephoneEvents, accept, answer, offer,
};
pub use numbers::Numbers;
pub use parse::{Fault, MAX_FORMATS, MAX_MEDIA, MAX_SDP, ParseError, parse};
