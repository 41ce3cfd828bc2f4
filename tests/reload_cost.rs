//! What a reload of a big plan costs a call in progress: the packets that a trunk gets, one a tick of
//! 20 ms, timed while nothing happens and while the plan is read again and again.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::fmt::Write;
use std::fs;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::bystander::{Bystander, PLAN};

const TICK: Duration = Duration::from_millis(20);
const RELOADS: usize = 10;

/// `cargo test --release --test reload_cost -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures of an optimised build on a quiet machine"]
async fn a_reload_delays_a_call_by_less_than_one_media_tick() {
    let bystander = Bystander::start().await;
    let gateway = &bystander.gateway;
    let (mut plan, mut rates) = (PLAN.to_owned(), "prefix,trunk,price_per_min\n".to_owned());
    for n in 0..10_000 {
        let _ = write!(
            plan,
            "[[outbound]]\nname = \"rule {n}\"\nto = [\"+431{n:04}X.\"]\nroute = [\"phone\"]\n"
        );
    }
    plan += "[[outbound]]\nname = \"by price\"\nregion = \"any\"\nrates = \"rates.csv\"\n\
             route = [\"phone\"]\n";
    for n in 0..100_000 {
        let _ = writeln!(rates, "{},phone,0.{:04}", 4_300_000 + n, n % 9_999 + 1);
    }
    fs::write(gateway.dir.join("rates.csv"), rates).unwrap();
    fs::write(gateway.dir.join("plan.toml"), plan).unwrap();
    gateway.process.line_with("a new dial plan is in force", Duration::from_secs(60));

    let quiet = latest(&bystander.phone.rtp, || thread::sleep(Duration::from_secs(10)));
    let mut took = Vec::new();
    let reloading = latest(&bystander.phone.rtp, || {
        for _ in 0..RELOADS {
            let start = Instant::now();
            gateway.process.signal("HUP");
            gateway.process.line_with("a new dial plan is in force", Duration::from_secs(60));
            took.push(start.elapsed().as_millis());
        }
    });
    println!("{RELOADS} reloads of 10,000 rules and 100,000 prefixes took {took:?} ms");
    println!("latest media tick: {quiet:?} in 10 s without a reload, {reloading:?} with them");
    assert!(reloading < quiet + TICK, "a reload delayed a call by {:?}", reloading - quiet);
    bystander.hears().await;
    bystander.ends_clean().await;
}

/// How late the latest packet from the gateway was while `work` ran: its pause beyond a tick.
fn latest(rtp: &UdpSocket, work: impl FnOnce()) -> Duration {
    let (rtp, done) = (rtp.try_clone().unwrap(), AtomicBool::new(false));
    rtp.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    rtp.set_nonblocking(true).unwrap();
    let mut packet = [0; 1_500];
    while rtp.recv(&mut packet).is_ok() {}
    rtp.set_nonblocking(false).unwrap();
    thread::scope(|scope| {
        let listener = scope.spawn(|| {
            let (mut last, mut latest, mut packets) = (None, Duration::ZERO, 0);
            let mut packet = [0; 1_500];
            while !done.load(Ordering::Relaxed) {
                // Payload type 0: no telephone events.
                let got = rtp.recv(&mut packet);
                let arrived = Instant::now();
                if got.is_ok_and(|length| length == 172) {
                    let gap = last.map_or(TICK, |last| arrived.duration_since(last));
                    latest = latest.max(gap.saturating_sub(TICK));
                    last = Some(arrived);
                    packets += 1;
                }
            }
            assert!(packets > 100, "only {packets} packets");
            latest
        });
        work();
        done.store(true, Ordering::Relaxed);
        listener.join().unwrap()
    })
}
