//! Packets waiting for their moment, by extended sequence number. Payload buffers are used again.

use super::Content;

/// Slots: 2.5 s of 20 ms packets, far more than the longest delay.
pub(super) const SLOTS: usize = 128;

/// Octets kept for each: 20 ms of G.711, and of Opus at up to 64 kbit/s. A longer one makes room once.
const PAYLOAD: usize = 160;

#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    held: Option<Held>,
    payload: Vec<u8>,
}

/// What is known of a waiting packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) seq: u64,
    pub(super) timestamp: i64,
    pub(super) content: Content,
}

impl Slots {
    pub(super) fn new() -> Slots {
        let slot = || Slot { held: None, payload: Vec::with_capacity(PAYLOAD) };
        Slots { slots: std::iter::repeat_with(slot).take(SLOTS).collect() }
    }

    /// Keeps a packet in place of whatever was there.
    pub(super) fn put(&mut self, held: Held, payload: &[u8]) {
        let slot = &mut self.slots[index(held.seq)];
        slot.held = Some(held);
        slot.payload.clear();
        slot.payload.extend_from_slice(payload);
    }

    pub(super) fn get(&self, seq: u64) -> Option<Held> {
        self.slots[index(seq)].held.filter(|h| h.seq == seq)
    }

    /// Frees a slot; its payload stays readable until the next packet takes it.
    pub(super) fn free(&mut self, seq: u64) {
        if self.get(seq).is_some() {
            self.slots[index(seq)].held = None;
        }
    }

    pub(super) fn payload(&self, seq: u64) -> &[u8] {
        &self.slots[index(seq)].payload
    }

    /// The first packet from `seq` to `newest`.
    pub(super) fn first(&self, seq: u64, newest: u64) -> Option<Held> {
        (seq..=newest).take(SLOTS).find_map(|s| self.get(s))
    }

    pub(super) fn clear(&mut self) {
        self.slots.iter_mut().for_each(|s| s.held = None);
    }
}

fn index(seq: u64) -> usize {
    (seq % SLOTS as u64) as usize
}
