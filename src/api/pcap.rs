//! `/v1/calls/{id}/signalling` and `/v1/calls/{id}/pcap`: what was said over SIP, for the ladder and
//! for Wireshark.

use std::net::{IpAddr, SocketAddr};

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::body::OfCall;
use super::calls::List;
use super::page::{Page, Which};
use super::{Api, Problem};
use crate::base::CallId;
use crate::gateway::{SipMessage, SipTransport};
use crate::signaling::ErrorCode;

/// A SIP message of a call.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Message {
    /// When (RFC 3339 UTC).
    #[schema(value_type = String, format = DateTime)]
    at: jiff::Timestamp,
    /// Since the call began; less than nothing where it came before.
    at_ms: i64,
    /// From the gateway, or to it.
    sent: bool,
    /// `udp`, `tcp` or `tls`.
    transport: String,
    /// The gateway's end.
    local: String,
    /// The other.
    remote: String,
    /// `INVITE`, or `200 OK (INVITE)`.
    summary: String,
    /// The message; secrets in it are `x`.
    text: String,
}

/// What was said over SIP in a call, oldest first; kept for a while after its end.
#[utoipa::path(get, path = "/v1/calls/{id}/signalling", tag = "calls",
    params(("id" = CallId, Path), Which),
    responses((status = 200, description = "The messages", body = List<Message>)))]
pub(super) async fn signalling(
    State(api): State<Api>,
    OfCall(id): OfCall,
    page: Page<u64>,
) -> Result<Json<List<Message>>, Problem> {
    let messages = messages(&api, id)?;
    let began = api.backend.timeline(id).map(|timeline| timeline.began());
    let began = began.or(messages.first().map(|first| first.at));
    let shown = |own: &SipMessage| Message {
        at: own.at,
        at_ms: began.map_or(0, |began| own.at.as_millisecond() - began.as_millisecond()),
        sent: own.sent,
        transport: transport(own.transport).to_owned(),
        local: own.local.to_string(),
        remote: own.remote.to_string(),
        summary: own.summary(),
        text: String::from_utf8_lossy(&own.bytes).into_owned(),
    };
    Ok(page.numbered(messages.iter().map(shown).collect(), 0))
}

/// The same as a pcap file. Messages of streams are in datagrams of their own, too.
#[utoipa::path(get, path = "/v1/calls/{id}/pcap", tag = "calls", params(("id" = CallId, Path)),
    responses((status = 200, description = "A capture for Wireshark",
        content_type = "application/vnd.tcpdump.pcap", body = Vec<u8>)))]
pub(super) async fn pcap(State(api): State<Api>, OfCall(id): OfCall) -> Result<Response, Problem> {
    let file = write(&messages(&api, id)?);
    let name = format!("attachment; filename=\"{id}.pcap\"");
    let headers = [
        (header::CONTENT_TYPE, "application/vnd.tcpdump.pcap".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, file).into_response())
}

fn transport(own: SipTransport) -> &'static str {
    match own {
        SipTransport::Udp => "udp",
        SipTransport::Tcp => "tcp",
        SipTransport::Tls => "tls",
    }
}

fn messages(api: &Api, id: CallId) -> Result<Vec<SipMessage>, Problem> {
    let messages = api.backend.signalling(id);
    if messages.is_empty() && api.backend.call(id).is_none() {
        let words = "There is no such call in progress, nor one whose messages are kept.";
        return Err(Problem::saying(ErrorCode::RequestNotFound, words));
    }
    Ok(messages)
}

/// A file of libpcap's format 2.4 with times in microseconds and raw IP packets.
fn write(messages: &[SipMessage]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4_u32.to_le_bytes());
    file.extend([2, 0, 4, 0]);
    file.extend([0; 8]);
    file.extend(65_535_u32.to_le_bytes());
    file.extend(LINKTYPE_RAW.to_le_bytes());
    for message in messages {
        let (from, to) = match message.sent {
            true => (message.local, message.remote),
            false => (message.remote, message.local),
        };
        let packet = packet(from, to, &message.bytes);
        let us = message.at.as_microsecond();
        let (seconds, micros) = (us.div_euclid(1_000_000), us.rem_euclid(1_000_000));
        let length = (packet.len() as u32).to_le_bytes();
        file.extend((seconds as u32).to_le_bytes());
        file.extend((micros as u32).to_le_bytes());
        file.extend(length);
        file.extend(length);
        file.extend(packet);
    }
    file
}

/// A datagram in an IP packet (RFC 768, 791, 8200).
fn packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    // 65,535 octets are what the length of an IPv4 packet can say.
    let payload = &payload[..payload.len().min(65_535 - 28)];
    let udp_length = (payload.len() + 8) as u16;
    let mut udp = Vec::with_capacity(payload.len() + 8);
    udp.extend(from.port().to_be_bytes());
    udp.extend(to.port().to_be_bytes());
    udp.extend(udp_length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    let mut packet = Vec::new();
    match (from.ip().to_canonical(), to.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet.extend([0x45, 0]);
            packet.extend((udp_length + 20).to_be_bytes());
            packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            let sum = checksum(&packet);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (from, to) => {
            let (from, to) = (v6(from), v6(to));
            // A checksum is not optional here (RFC 8200 8.1).
            let mut pseudo = [from, to].concat();
            pseudo.extend(u32::from(udp_length).to_be_bytes());
            pseudo.extend([0, 0, 0, 17]);
            pseudo.extend(&udp);
            let sum = checksum(&pseudo);
            udp[6..8].copy_from_slice(&sum.to_be_bytes());
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(udp_length.to_be_bytes());
            packet.extend([17, 64]);
            packet.extend(from);
            packet.extend(to);
        }
    }
    packet.extend(udp);
    packet
}

fn v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let pairs = bytes
        .chunks(2)
        .map(|two| u32::from(two[0]) << 8 | two.get(1).map_or(0, |low| u32::from(*low)));
    let mut sum = pairs.fold(0_u64, |sum, pair| sum + u64::from(pair));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Packets begin with an IP header.
const LINKTYPE_RAW: u32 = 101;
