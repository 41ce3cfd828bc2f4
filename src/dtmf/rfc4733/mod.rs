//! Telephone events in RTP (RFC 4733): the payload, the receiver, the sender. RTP ticks exist only
//! in here.

mod block;
mod decoder;
mod encoder;
#[cfg(test)]
mod encoder_tests;
mod press;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod vectors;

pub use block::EventBlock;
pub use decoder::{DecodeError, DecoderCounters, DecoderInput, ReceivedEvent, Rfc4733Decoder};
pub use encoder::{
    EncoderConfig, EncoderError, EncoderInput, EncoderOutput, EventPacket, Pace, Rfc4733Encoder,
};
