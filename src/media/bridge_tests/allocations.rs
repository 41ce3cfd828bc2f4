//! Packets of sound through the bridge allocate nothing: once a call has run for a moment, all its
//! buffers are there. What is counted is Rust's own heap on this thread; libopus keeps to the state
//! it was made with.

use allocation_counter::measure;

use super::lab::*;
use crate::rtp::SeqExtender;

/// Frames of 20 ms that are counted, and those before.
const COUNTED: usize = 250;
const WARM_UP: u32 = 250;

/// What a call of five seconds asked for, and what it sent.
#[derive(Debug)]
struct Count {
    allocations: u64,
    sound: u64,
    /// Reports and statistics, which come every few seconds.
    reports: u64,
}

fn count(mut lab: Lab) -> Count {
    lab.talk(WARM_UP);
    let mut frames: Vec<_> =
        (0..COUNTED).map(|_| (lab.page_sound(), lab.trunk_sound(FRAME))).collect();
    let source = address(TRUNK);
    let (mut bridge, mut now) = (lab.bridge, lab.now);
    let (mut sound, mut reports) = (0, 0);
    let counted = measure(|| {
        for (page, trunk) in &mut frames {
            bridge.handle_input(now, Input::BrowserRtp(page));
            let contents = trunk.as_mut_slice();
            let port = TrunkPort::Rtp;
            bridge.handle_input(now, Input::TrunkDatagram { port, source, contents });
            now += ms(20);
            bridge.handle_input(now, Input::Timeout);
            while let Some(output) = bridge.poll_output() {
                match output {
                    Output::ToBrowser(_) | Output::ToTrunk { port: TrunkPort::Rtp, .. } => {
                        sound += 1;
                    }
                    Output::ToTrunk { port: TrunkPort::Rtcp, .. } | Output::Event(_) => {
                        reports += 1;
                    }
                }
            }
        }
    });
    Count { allocations: counted.count_total, sound, reports }
}

#[test]
fn sound_through_the_bridge_asks_for_no_memory() {
    for codec in [BrowserCodec::Opus, BrowserCodec::Pcmu, BrowserCodec::Pcma] {
        let count = count(Lab::connected(codec));
        println!("{codec:?}: {count:?}");
        assert!(count.sound >= 2 * COUNTED as u64 - 20, "{codec:?}: {count:?}");
        assert!(count.allocations <= 2 * count.reports && count.reports < 10, "{count:?}");
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(SeqExtender::new())))).count_total, 1);
}
