//! Writes messages. Content-Length is always the body's; headers stand in their order.

use crate::sip::header::name;
use crate::sip::message::{Message, MessageExt};
use crate::sip::{grammar, method};

use super::{octets, scan};

/// The bytes of a message.
pub fn write(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + message.body().len());
    write_into(message, &mut out);
    out
}

/// Appends the bytes of a message. A header whose name is no token is left out, and a control byte
/// in a value is written as a blank, so no text can become a header line of its own.
pub fn write_into(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::Request(request) => {
            out.extend_from_slice(method::name(request.method()).as_bytes());
            out.push(b' ');
            out.extend_from_slice(request.uri().as_str().as_bytes());
            out.extend_from_slice(b" SIP/2.0");
        }
        Message::Response(response) => {
            out.extend_from_slice(format!("SIP/2.0 {:03} ", response.status()).as_bytes());
            octets::encode_into(response.phrase(), out);
        }
    }
    out.extend_from_slice(b"\r\n");
    for (name, value) in message.headers().iter().map(name::parts) {
        if !grammar::is_token(name) || scan::is_content_length(name.as_bytes()) {
            continue;
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        octets::encode_into(value, out);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", message.body().len()).as_bytes());
    out.extend_from_slice(message.body());
}
