//! The client library in real browsers with a real gateway: what its types promise beyond calls that come
//! and go. Preflight, digits collected, words of the application's server, statistics of both sides, devices,
//! warnings, errors.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use support::browser::{Browser, Engine};
use support::gateway::Gateway;
use support::http;
use support::phones::Baresip;
use support::plan::PHONE;

/// The echo that a preflight calls.
const ECHO: &str = "[extension]\n\"610\" = \"app:echo\"\n";

#[test]
fn the_library_keeps_what_its_types_say_in_chromium() {
    keeps_its_word(Engine::Chromium);
}

#[test]
fn the_library_keeps_what_its_types_say_in_firefox() {
    keeps_its_word(Engine::Firefox);
}

const PREFLIGHT: &str = "(async () => ({
  report: await crosspoint.phone.preflight({ echo: true, duration: 2500 }),
  left: crosspoint.phone.calls.length,
  features: [...crosspoint.phone.features],
}))()";

/// Begins what takes its time: silence at the microphone, keys to come, words to come.
const BEGIN: &str = "(async () => {
  const call = crosspoint.call;
  crosspoint.warned = [];
  call.addEventListener('warning', (ev) => crosspoint.warned.push([ev.name, ev.active, ev.value <= ev.threshold]));
  crosspoint.collected = call.collectDigits({ max: 8, terminator: '#', firstDigitTimeout: 30000, interDigitTimeout: 30000 });
  crosspoint.told = new Promise((done) => call.addEventListener('message', (ev) => done(ev.data)));
  call.localTrack.enabled = false;
  await call.sendMessage({ from: 'the page' });
})()";

const ERRORS: &str = "(async () => {
  const { phone, call } = crosspoint;
  const of = (error) => ({ name: error.name, code: error.code, retryable: error.retryable, docs: error.docs });
  const failing = async (act) => { try { await act(); return null; } catch (error) { return of(error); } };
  return {
    large: await failing(() => call.sendMessage('x'.repeat(5000))),
    number: await failing(() => phone.call('call me')),
    blocked: await failing(() => phone.call('0900 5123456')),
    state: await failing(() => call.answer()),
    tones: await failing(() => call.dtmf.insertDTMF('5x')),
    device: await failing(() => phone.devices.setInput('no such device')),
    live: phone.calls.length,
  };
})()";

const DEVICES: &str = "(async () => {
  const { phone, call } = crosspoint;
  const before = call.localTrack.id;
  const other = phone.devices.inputs.at(-1).deviceId;
  await phone.devices.setInput(other);
  const { deviceId } = call.localTrack.getSettings();
  const output = await phone.devices.setOutput('').then(() => 'set', (error) => error.name);
  return { inputs: phone.devices.inputs.length, changed: call.localTrack.id !== before, right: deviceId === other, output };
})()";

/// The gateway's view comes every 5 s.
const STATS: &str = "(async () => {
  for (let n = 0; n < 150; n++) {
    const stats = await crosspoint.call.getStats();
    if (stats.trunk && stats.mos !== null && stats.inbound.packets > 100) return stats;
    await new Promise((done) => setTimeout(done, 200));
  }
  throw new Error('no statistics of both sides');
})()";

fn warned(name: &str, active: bool) -> String {
    format!(
        "(async () => {{
          for (let n = 0; n < 200; n++) {{
            if (crosspoint.warned.some(([name, active]) => name === '{name}' && active === {active})) return crosspoint.warned;
            await new Promise((done) => setTimeout(done, 100));
          }}
          throw new Error('no warning: ' + JSON.stringify(crosspoint.warned));
        }})()"
    )
}

fn keeps_its_word(engine: Engine) {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = Gateway::serve(phone.port, &format!("{PHONE}{ECHO}"));
    let mut happenings = Happenings::follow(&gateway.base);
    let script = |code: &str| json!({"do": "script", "code": code});
    // Firefox does not tell how loud its microphone is: then nothing is said of it.
    let quiet = match engine {
        Engine::Chromium => {
            [true, false].map(|active| script(&warned("silent-microphone", active)))
        }
        Engine::Firefox => [json!({"do": "wait", "seconds": 6}), script("crosspoint.warned")],
    };
    let steps = json!([
        script(PREFLIGHT),
        {"do": "dial", "to": "700"},
        {"do": "active"},
        {"do": "connected"},
        script(BEGIN),
        script(ERRORS),
        script("crosspoint.told"),
        script("crosspoint.collected"),
        script(STATS),
        quiet[0],
        script("void (crosspoint.call.localTrack.enabled = true)"),
        quiet[1],
        script(DEVICES),
        {"do": "hear", "hz": 880},
        {"do": "hangup"},
        {"do": "ended"},
    ]);
    let mut browser = Browser::start_in(engine, &gateway.base, Some(&gateway.token()), "", steps);
    browser.has_done("connected");
    let said = happenings.next("call.message");
    assert_eq!(said["data"]["data"], json!({"from": "the page"}), "{said}");
    assert_eq!(said["data"]["user"], "web", "{said}");
    let call = said["data"]["id"].as_str().unwrap();
    let path = format!("/v1/calls/{call}/actions/message");
    let words = json!({"data": {"from": "the server"}}).to_string();
    let headers = ["content-type: application/json"];
    let answer = http::request(&gateway.base, "POST", &path, &headers, &words);
    assert_eq!(answer.status, 202, "{}", answer.body);
    let large = json!({"data": "x".repeat(5000)}).to_string();
    assert_eq!(http::request(&gateway.base, "POST", &path, &headers, &large).status, 400);
    for key in ['4', '2', '#'] {
        phone.press(key);
        phone.release();
    }
    let saw = browser.finish();

    let preflight = &saw[0];
    let report = &preflight["report"];
    assert!(["ready", "degraded"].contains(&report["verdict"].as_str().unwrap()), "{report}");
    assert_eq!(report["dtmf"], "ok", "{report}");
    assert_eq!(report["turnRequired"], false, "{report}");
    assert!(report["rtt"].is_u64() && report["mos"].as_f64().unwrap() > 1.0, "{report}");
    assert_eq!(preflight["left"], 0, "its call is over");
    assert!(preflight["features"].as_array().unwrap().contains(&json!("transfer")), "{preflight}");

    let errors = &saw[5];
    for (what, code) in [
        ("large", "protocol/bad-message"),
        ("number", "call/invalid-number"),
        ("blocked", "call/blocked-by-dialplan"),
        ("state", "signal/wrong-state"),
    ] {
        let error = &errors[what];
        assert_eq!(
            (&error["name"], &error["code"]),
            (&json!("PhoneError"), &json!(code)),
            "{what}: {error}"
        );
        let anchor = code.replace('/', "");
        assert!(error["docs"].as_str().unwrap().ends_with(&format!("#{anchor}")), "{error}");
    }
    // Firefox has another word for it where its devices are fake ones.
    let device = errors["device"]["code"].as_str().unwrap();
    assert!(["media/no-microphone", "media/microphone-failed"].contains(&device), "{errors}");
    assert_eq!(errors["tones"]["name"], "InvalidCharacterError", "{errors}");
    assert_eq!(errors["live"], 1, "{errors}");

    assert_eq!(saw[6], json!({"from": "the server"}));
    assert_eq!(saw[7], json!({"digits": "42", "reason": "terminator"}));
    let stats = &saw[8];
    assert_eq!(stats["trunk"]["codec"], "PCMU", "{stats}");
    assert!(stats["trunk"]["inbound"]["packets"].as_u64().unwrap() > 50, "{stats}");
    assert_eq!(stats["codec"].as_str().unwrap().to_lowercase(), "opus", "{stats}");
    assert_eq!(stats["candidatePair"]["protocol"], "udp", "{stats}");
    let warned = saw[11].as_array().unwrap();
    let of_microphone = warned.iter().filter(|warning| warning[0] == "silent-microphone");
    let active: Vec<_> = of_microphone.map(|warning| &warning[1]).collect();
    match engine {
        Engine::Chromium => assert_eq!(active, [&json!(true), &json!(false)], "{warned:?}"),
        Engine::Firefox => assert!(active.is_empty(), "{warned:?}"),
    }
    let devices = &saw[12];
    assert_eq!((&devices["changed"], &devices["right"]), (&json!(true), &json!(true)), "{devices}");
    assert!(
        ["set", "NotSupportedError"].contains(&devices["output"].as_str().unwrap()),
        "{devices}"
    );
    assert_eq!(saw[15]["code"], "hangup", "{}", saw[15]);
}

/// What happens in the gateway, as it comes.
struct Happenings(BufReader<TcpStream>);

impl Happenings {
    fn follow(base: &str) -> Happenings {
        let authority = base.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(authority).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        write!(stream, "GET /v1/events HTTP/1.0\r\nHost: {authority}\r\n\r\n").unwrap();
        Happenings(BufReader::new(stream))
    }

    fn next(&mut self, kind: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "no {kind}");
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let data: Value = serde_json::from_str(data).unwrap();
            if data["type"] == kind {
                return data;
            }
        }
    }
}
