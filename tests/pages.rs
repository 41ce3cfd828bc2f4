//! Pages of one user and what may go between them and the gateway: two pages ring at once, TURN with credentials of their own.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::time::Duration;

use serde_json::json;
use support::TempDir;
use support::bad_network::{BadNetwork, Faults};
use support::browser::{Browser, Engine};
use support::coturn::Coturn;
use support::gateway::{Gateway, LEVELS, gateway_config};
use support::http;
use support::phones::Baresip;
use support::plan::PHONE_AND_PAGE;
use support::sound::{best_level, write_tone};

/// A user whose page is never there is asked first.
fn plan() -> String {
    PHONE_AND_PAGE.replace("flow = [", "flow = [\"user:away\", ")
}

/// `away` is a user who is never there: the flow goes on to its next step.
const USERS: &str = "[user.away]\ncountry = \"DE\"\n";

/// One in each browser; the first answer is Firefox's.
#[test]
fn two_pages_ring_and_the_first_answer_wins() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = Gateway::serve_at(phone.port, &plan(), "127.0.0.1", USERS);
    let token = gateway.token();
    let slow = json!([{"do": "rings"}, {"do": "ended"}]);
    let fast = json!([
        {"do": "rings"},
        // The other page has to see that it rings.
        {"do": "wait", "seconds": 2},
        {"do": "answer"},
        {"do": "active"},
        {"do": "hear", "hz": 880},
        {"do": "hangup"},
        {"do": "ended"},
    ]);
    let mut slow = Browser::start(&gateway.base, Some(&token), "", slow);
    let mut fast = Browser::start_in(Engine::Firefox, &gateway.base, Some(&token), "", fast);
    for _ in 0..2 {
        gateway.process.line_with("page signed in", Duration::from_secs(60));
    }
    let sip = gateway.sip_udp.unwrap();
    phone.dial(&format!("sip:+493012345670@127.0.0.1:{}", sip.port()));
    let fast = fast.finish();
    let slow = slow.finish();
    assert_eq!(slow[1]["code"], "answered-elsewhere", "{}", slow[1]);
    assert_eq!(fast[6]["code"], "hangup", "{}", fast[6]);
}

#[test]
fn a_page_behind_turn_talks_with_credentials_made_for_it() {
    let phone = Baresip::start(880.0, -20.0);
    let turn = Coturn::start("a secret that both know");
    let tables = format!(
        "{USERS}[ice]\nservers = [{{ urls = [\"turn:127.0.0.1:{}?transport=udp\"], secret = \"{}\" }}]\n",
        turn.port, "a secret that both know"
    );
    let gateway = Gateway::serve_at(phone.port, &plan(), "127.0.0.1", &tables);
    let token = gateway.token();
    let steps = json!([
        {"do": "dial", "to": "700"},
        {"do": "active"},
        {"do": "connected"},
        {"do": "hear", "hz": 880},
        {"do": "stats"},
        {"do": "hangup"},
        {"do": "ended"},
    ]);
    for (engine, name) in [(Engine::Chromium, "chromium"), (Engine::Firefox, "firefox")] {
        let plan = json!({"browser": name, "base": gateway.base, "token": token, "microphone": "",
            "options": ["relay"], "steps": steps});
        let saw = Browser::start_plan(engine, &[], plan).finish();
        assert_eq!(saw[4]["candidatePair"]["local"], "relay", "{name}: {}", saw[4]);
        assert!(saw[4]["inbound"]["packets"].as_u64().unwrap() > 10, "{name}: {}", saw[4]);
        assert_eq!(saw[6]["code"], "hangup", "{name}");
    }
}

/// 5 % of the packets lost, 2 % doubled, each late by up to 40 ms and so overtaken: both sides are heard, and
/// every key arrives once.
#[test]
fn a_page_on_a_bad_network_is_heard_and_its_digits_arrive_once() {
    let phone = Baresip::start(880.0, -20.0);
    let turn = Coturn::start("a secret that both know");
    let faults =
        Faults { lost: 50, doubled: 20, jitter: Duration::from_millis(40), seed: 20_261_121 };
    let network = BadNetwork::before(turn.port, faults);
    let tables = format!(
        "{USERS}[ice]\nservers = [{{ urls = [\"turn:127.0.0.1:{}?transport=udp\"], secret = \"{}\" }}]\n",
        network.port, "a secret that both know"
    );
    let gateway = Gateway::serve_at(phone.port, &plan(), "127.0.0.1", &tables);
    let dir = TempDir::new("bad-network");
    let microphone = dir.join("microphone.wav");
    write_tone(&microphone, 48_000, 620.0, -20.0, 20.0);
    let steps = json!([
        {"do": "dial", "to": "700"},
        {"do": "active"},
        {"do": "connected"},
        {"do": "hear", "hz": 880},
        {"do": "tones", "tones": "1592#", "duration": 150},
        {"do": "wait", "seconds": 4},
        {"do": "hangup"},
        {"do": "ended"},
    ]);
    let plan = json!({"browser": "chromium", "base": gateway.base, "token": gateway.token(),
        "microphone": microphone, "options": ["relay"], "steps": steps});
    let saw = Browser::start_plan(Engine::Chromium, &[], plan).finish();
    let [sound, lost, doubled] = network.counts();
    assert!(lost > sound / 40 && doubled > 0, "{lost} and {doubled} of {sound}");
    // -20 dBm0 is 23.17 dB below full scale; Chromium stretches and conceals, which smears a pure tone.
    let heard = saw[3]["dbfs"].as_f64().unwrap();
    assert!((heard + 23.17).abs() < 8.0, "{}", saw[3]);
    let presses = "1592#".chars().flat_map(|key| [(key, false), (key, true)]);
    assert_eq!(phone.telephone_events(), presses.collect::<Vec<_>>(), "{}", phone.process.output());
    let heard = phone.recording();
    assert!(best_level(&heard, 620.0) > -45.0, "baresip heard {} dBm0", best_level(&heard, 620.0));
    let record = &http::records(&gateway.base)[0];
    let loss = record["quality"]["caller"]["loss_percent"].as_f64();
    assert!(loss.is_some_and(|loss| loss > 1.0), "{record:#}");
}

/// A lite agent answers checks and makes none.
#[test]
fn a_page_talks_with_a_gateway_that_is_ice_lite() {
    let phone = Baresip::start(880.0, -20.0);
    let dir = TempDir::new("lite");
    let config =
        gateway_config(&dir, phone.port).replace("[media]\n", "[media]\nice_lite = true\n");
    let gateway = Gateway::of_files(dir, &format!("{config}{USERS}"), &plan(), LEVELS);
    let steps = json!([
        {"do": "dial", "to": "700"},
        {"do": "active"},
        {"do": "hear", "hz": 880},
        {"do": "sdp"},
        {"do": "hangup"},
        {"do": "ended"},
    ]);
    let saw = Browser::start(&gateway.base, Some(&gateway.token()), "", steps).finish();
    assert!(saw[3]["answer"].as_str().unwrap().contains("a=ice-lite"), "{}", saw[3]["answer"]);
    assert_eq!(saw[5]["code"], "hangup", "{}", saw[5]);
}

/// Two users of two real browsers: nothing of the call leaves the gateway, and no sound is made anew, until
/// one of them hands the other over to the phone.
#[test]
fn a_page_calls_another_by_its_extension() {
    let phone = Baresip::start(880.0, -20.0);
    let users = format!("{USERS}[user.bob]\ncountry = \"DE\"\n");
    let plan = format!("{}[extension]\n\"101\" = \"user:web\"\n\"102\" = \"user:bob\"\n", plan());
    let gateway = Gateway::serve_at(phone.port, &plan, "127.0.0.1", &users);
    let dir = TempDir::new("extension");
    let sound = |name: &str, hz: f64| {
        let path = dir.join(name);
        write_tone(&path, 48_000, hz, -12.0, 120.0);
        path.to_str().unwrap().to_owned()
    };
    let (alice_says, bob_says) = (sound("alice.wav", 620.0), sound("bob.wav", 1010.0));
    let bob = json!([
        {"do": "answer"},
        {"do": "active"},
        {"do": "hear", "hz": 620},
        {"do": "received", "digits": "42"},
        {"do": "heldbyremote", "held": true},
        {"do": "heldbyremote", "held": false},
        {"do": "hear", "hz": 620},
        {"do": "keys", "keys": "7"},
        {"do": "hear", "hz": 880},
        {"do": "hangup"},
        {"do": "ended"},
    ]);
    // The promise of the library and its events, until the phone has answered.
    let hands_over = r#"new Promise((done) => {
        const saw = [];
        crosspoint.call.addEventListener("transfer", ({ result }) => {
            saw.push(`${result.status} ${result.sip}`);
            if (result.status === "answered") taken.then((reply) => done([reply.status, ...saw]));
        });
        const taken = crosspoint.call.transfer("700");
    })"#;
    let alice = json!([
        {"do": "dial", "to": "102"},
        {"do": "active"},
        {"do": "hear", "hz": 1010},
        {"do": "keys", "keys": "42"},
        {"do": "hold"},
        {"do": "hold"},
        {"do": "hear", "hz": 1010},
        {"do": "received", "digits": "7"},
        {"do": "script", "code": hands_over},
        {"do": "ended"},
    ]);
    let mut bob = Browser::start(&gateway.base, Some(&gateway.token_of("bob")), &bob_says, bob);
    gateway.process.line_with("page signed in", Duration::from_secs(60));
    let mut alice = Browser::start(&gateway.base, Some(&gateway.token()), &alice_says, alice);
    let (alice, bob) = (alice.finish(), bob.finish());
    assert_eq!(bob[0]["caller"], "user:web", "{}", bob[0]);
    assert_eq!(bob[3]["digits"], "42", "{}", bob[3]);
    assert_eq!(alice[7]["digits"], "7", "{}", alice[7]);
    assert_eq!(alice[8], json!(["accepted", "accepted 202", "ringing 180", "answered 200"]));
    assert_eq!((&alice[9]["code"], &alice[9]["by"]), (&json!("hangup"), &json!("local")));
    assert_eq!((&bob[10]["code"], &bob[10]["by"]), (&json!("hangup"), &json!("local")));
    let records = http::get(&gateway.base, "/v1/cdrs", &[]).json();
    let record = &records["items"][0];
    assert_eq!(record["direction"], "internal", "{records:#}");
    assert_eq!(record["trunk"], "phone", "{records:#}");
}
