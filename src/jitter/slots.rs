//! Packets waiting for their moment, by extended sequence number. Payload buffers are used again, and
//! there are as many as packets ever waited at once.

use super::Content;

/// Slots: 2.5 s of 20 ms packets, far more than the longest delay.
pub(super) const SLOTS: usize = 128;

/// Octets kept for each: 20 ms of G.711, and of Opus at up to 64 kbit/s. A longer one makes room once.
const PAYLOAD: usize = 160;

/// Buffers kept for packets to come: 320 ms. What waited in a long stall gives its memory back.
const SPARE: usize = 16;

#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    spare: Vec<Vec<u8>>,
    /// The slot freed last: its payload may still be read.
    freed: usize,
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
        let slot = || Slot { held: None, payload: Vec::new() };
        Slots {
            slots: std::iter::repeat_with(slot).take(SLOTS).collect(),
            spare: Vec::with_capacity(SPARE),
            freed: 0,
        }
    }

    /// Keeps a packet in place of whatever was there.
    pub(super) fn put(&mut self, held: Held, payload: &[u8]) {
        let slot = &mut self.slots[index(held.seq)];
        if slot.payload.capacity() == 0 {
            slot.payload = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(PAYLOAD));
        }
        slot.held = Some(held);
        slot.payload.clear();
        slot.payload.extend_from_slice(payload);
    }

    pub(super) fn get(&self, seq: u64) -> Option<Held> {
        self.slots[index(seq)].held.filter(|h| h.seq == seq)
    }

    /// Frees a slot; its payload stays readable until the next one is freed or put.
    pub(super) fn free(&mut self, seq: u64) {
        if self.get(seq).is_some() {
            self.slots[index(seq)].held = None;
            let before = std::mem::replace(&mut self.freed, index(seq));
            if before != self.freed {
                self.keep_buffer(before);
            }
        }
    }

    /// Takes the buffer of a slot that holds nothing.
    fn keep_buffer(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        if slot.held.is_some() || slot.payload.capacity() == 0 {
            return;
        }
        let buffer = std::mem::take(&mut slot.payload);
        if self.spare.len() < SPARE {
            self.spare.push(buffer);
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
        for index in 0..SLOTS {
            self.slots[index].held = None;
            self.keep_buffer(index);
        }
    }
}

fn index(seq: u64) -> usize {
    (seq % SLOTS as u64) as usize
}
