//! What a bridge wants sent and said, in order, without a buffer per packet: payloads stand one
//! after the other in one buffer that is emptied when all have been taken.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;

use super::MediaEvent;
use crate::webrtc::RtpOut;

/// Which of the two ports of the RTP leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrunkPort {
    /// The even one.
    Rtp,
    /// The odd one after it.
    Rtcp,
}

/// One thing to do.
#[derive(Debug)]
pub(super) enum Output<'a> {
    /// A packet for the page.
    ToBrowser(RtpOut<'a>),
    /// A datagram for the trunk.
    ToTrunk { port: TrunkPort, destination: SocketAddr, contents: &'a [u8] },
    /// Something for the owner.
    Event(MediaEvent),
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Item>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Item {
    ToBrowser { head: Head, payload: Range<usize> },
    ToTrunk { port: TrunkPort, destination: SocketAddr, contents: Range<usize> },
    Event(MediaEvent),
}

/// Everything of a packet for the page but its payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) payload_type: u8,
    pub(super) seq: u64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
}

impl Outbox {
    pub(super) fn send_browser(&mut self, head: Head, payload: &[u8]) {
        let payload = self.keep(payload);
        self.queue.push_back(Item::ToBrowser { head, payload });
    }

    pub(super) fn send_trunk(&mut self, port: TrunkPort, destination: SocketAddr, contents: &[u8]) {
        let contents = self.keep(contents);
        self.queue.push_back(Item::ToTrunk { port, destination, contents });
    }

    pub(super) fn event(&mut self, event: MediaEvent) {
        self.queue.push_back(Item::Event(event));
    }

    /// The next thing; with the last one the buffer is free again.
    pub(super) fn pop(&mut self) -> Option<Output<'_>> {
        let Some(item) = self.queue.pop_front() else {
            self.bytes.clear();
            return None;
        };
        Some(match item {
            Item::ToBrowser { head, payload } => Output::ToBrowser(RtpOut {
                payload_type: head.payload_type,
                seq: head.seq,
                timestamp: head.timestamp,
                marker: head.marker,
                payload: &self.bytes[payload],
            }),
            Item::ToTrunk { port, destination, contents } => {
                Output::ToTrunk { port, destination, contents: &self.bytes[contents] }
            }
            Item::Event(event) => Output::Event(event),
        })
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}
