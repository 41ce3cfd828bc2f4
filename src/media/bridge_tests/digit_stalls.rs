//! A page's machine or network that stalls in the middle of a key and then sends all that it owes:
//! the key is one key, as long as the page says, whatever the clock on the wall made of it.

use super::lab::*;
use super::phone::Heard;
use crate::dtmf::EventBlock;

/// When and for how long nothing of the page arrives, from the first packet of the key on.
#[derive(Debug, Clone, Copy)]
struct Stall {
    from_ms: u64,
    ms: u64,
    owed: Owed,
}

/// What becomes of what was sent meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    /// It comes in one burst.
    Delivered,
    Lost,
}

/// A page presses a key as Chromium does, sound follows, and a stall is in it.
fn press(lab: &mut Lab, key: char, length_ms: u64, stall: Stall) {
    let (start, event) = (lab.page_timestamp, digit(key).event());
    let per_ms = lab.codec.clock_rate() / 1000;
    let steps = length_ms.div_ceil(20);
    let mut owed = Vec::new();
    for step in 1..=steps + stall.ms / 20 + 60 {
        let (at, end) = (step * 20, step >= steps);
        let packets = if step > steps {
            vec![lab.page_sound()]
        } else {
            let mut ticks = at.min(length_ms) as u32 * per_ms;
            let mut from = start;
            while ticks > 0xFFFF {
                (ticks, from) = (ticks - 0xFFFF, from.wrapping_add(0xFFFF));
            }
            let block = EventBlock { event, end, volume: 10, duration: ticks as u16 };
            let copies = if end { 3 } else { 1 };
            let of = |n| (step == 1 && n == 0, block.to_bytes());
            let sent: Vec<(bool, [u8; 4])> = (0..copies).map(of).collect();
            lab.page_timestamp = start.wrapping_add(at as u32 * per_ms);
            sent.iter().map(|(m, bytes)| lab.page_packet(110, from, *m, bytes)).collect()
        };
        owed.extend(packets);
        let stalled = (stall.from_ms..stall.from_ms + stall.ms).contains(&(at - 20));
        if stalled && stall.owed == Owed::Lost {
            owed.clear();
        }
        if !stalled {
            for packet in owed.drain(..) {
                lab.page_sends(packet);
            }
        }
        lab.trunk_goes_on();
        lab.wait(ms(20));
    }
}

fn heard(codec: BrowserCodec, wish: DtmfMode, length_ms: u64, stall: Stall) -> Vec<Heard> {
    let mut lab = Lab::with(codec, wish, "0 101");
    lab.bridge.connect(lab.now);
    lab.hush();
    lab.idle(ms(200));
    press(&mut lab, '5', length_ms, stall);
    lab.idle(ms(2000));
    lab.phone.heard
}

/// A key, a stall and what came of it, in all three modes.
fn check(codec: BrowserCodec, length_ms: u64, stall: Stall) {
    for wish in [DtmfMode::Rfc4733, DtmfMode::Info, DtmfMode::Inband] {
        let heard = heard(codec, wish, length_ms, stall);
        let case = format!("{codec:?} {wish} {length_ms} ms {stall:?}: {heard:?}");
        let [(_, '5', length)] = heard[..] else { panic!("not one key: {case}") };
        match wish {
            // The updates of a stall count one tick of 8 kHz each.
            DtmfMode::Rfc4733 => {
                let least = length_ms.max(50);
                assert!((least..=least + stall.ms / 160 + 1).contains(&length), "{case}");
            }
            DtmfMode::Info => assert_eq!(length, length_ms, "{case}"),
            // Sound cannot stand still, and two tones would be two keys: it goes on meanwhile.
            _ => {
                let least = length_ms.max(50);
                assert!((least - 16..=least + stall.ms + 40).contains(&length), "{case}");
            }
        }
    }
}

#[test]
fn a_stall_of_the_page_neither_cuts_nor_stretches_nor_doubles_a_key() {
    let codecs = [BrowserCodec::Opus, BrowserCodec::Pcmu];
    for codec in codecs {
        for (length, from_ms, stalled) in
            [(100, 40, 60), (100, 40, 140), (100, 20, 400), (100, 80, 900), (1370, 200, 300)]
        {
            check(codec, length, Stall { from_ms, ms: stalled, owed: Owed::Delivered });
        }
    }
    // Drawn: a failure prints its case whole.
    let mut rng = ChaCha12Rng::seed_from_u64(4733);
    for _ in 0..30 {
        let mut below = |n: u64| u64::from(rng.next_u32()) % n;
        let codec = codecs[below(2) as usize];
        let length = [40, 60, 100, 250, 1370, 3000][below(6) as usize];
        let stall = Stall {
            from_ms: below(length / 20) * 20,
            ms: 20 * (1 + below(45)),
            owed: Owed::Delivered,
        };
        check(codec, length, stall);
    }
}

/// The end is among what is lost: the sound that follows says that the key is up, so the trunk is
/// not told of a key that is held until the second of patience is over.
#[test]
fn a_key_whose_end_is_lost_ends_when_the_pages_sound_is_back() {
    for wish in [DtmfMode::Rfc4733, DtmfMode::Info, DtmfMode::Inband] {
        let stall = Stall { from_ms: 60, ms: 60, owed: Owed::Lost };
        let heard = heard(BrowserCodec::Opus, wish, 100, stall);
        let [(_, '5', length)] = heard[..] else { panic!("{wish}: {heard:?}") };
        // 60 ms were counted. As sound: 60 ms of loss, 60 ms in which ends may be overtaken.
        let most = if wish == DtmfMode::Inband { 220 } else { 62 };
        assert!((50..=most).contains(&length), "{wish}: {length} ms");
    }
}
