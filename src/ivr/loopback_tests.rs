//! Whole scenarios against a plan's menus, on the virtual clock: what passes, and each kind of fault
//! with its sentence.

use std::sync::Arc;

use super::loopback::Loopback;
use super::read::{Folder, Format, read};
use super::result::CaseResult;
use super::scenario::Case;
use super::script::Script;
use super::{html, json, junit, tap};
use crate::base::epoch;
use crate::dialplan::{Known, NoFiles, load};

const PLAN: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
country = "DE"
timezone = "UTC"
[ring.desk]
users = ["a"]
timeout = "8s"
[voicemail.box]
greeting = "unavailable.wav"
[[inbound]]
name = "menu"
did = ["+493012345670"]
flow = ["menu:top"]
[[inbound]]
name = "desk"
did = ["+493012345671"]
flow = ["ring:desk", "voicemail:box"]
[[inbound]]
name = "deaf"
did = ["+493012345672"]
flow = ["menu:deaf"]
[menu.deaf]
prompt = "menu.wav"
barge_in = false
on_fail = "hangup"
[menu.deaf.press]
"9" = "hangup"
[menu.top]
prompt = "menu.wav"
invalid = "invalid.wav"
on_fail = "hangup"
[menu.top.press]
"1" = "ring:desk"
"2" = "app:dtmf-readback"
"3" = "menu:about"
"4" = "app:echo"
"9" = "hangup"
[menu.about]
prompt = "about.wav"
on_fail = "menu:top"
[menu.about.press]
"*" = "menu:top"
"#;

struct Prompts;

impl Folder for Prompts {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let name = path.rsplit('/').next().unwrap();
        sound(name).ok_or_else(|| "there is no such file".to_owned())
    }

    fn sounds(&self, _folder: &str) -> Vec<String> {
        let digits = (0..10).map(|digit| format!("digit-{digit}.wav"));
        let words = ["menu", "about", "invalid", "unavailable", "goodbye"];
        digits.chain(words.iter().map(|name| format!("{name}.wav"))).collect()
    }
}

fn sound(name: &str) -> Option<Vec<u8>> {
    macro_rules! files {
        ($($name:literal),*) => {
            match name {
                $(concat!($name, ".wav") => {
                    Some(include_bytes!(concat!("../carrier/prompts/", $name, ".wav")).to_vec())
                })*
                _ => None,
            }
        };
    }
    files!(
        "menu",
        "about",
        "invalid",
        "unavailable",
        "goodbye",
        "digit-0",
        "digit-1",
        "digit-2",
        "digit-3",
        "digit-4",
        "digit-5",
        "digit-6",
        "digit-7",
        "digit-8",
        "digit-9"
    )
}

fn loopback() -> Loopback {
    let plan = load(PLAN, "p.toml", &Known::default(), &NoFiles).unwrap();
    let read = |name: &str| sound(name).ok_or_else(|| "missing".to_owned());
    let (script, faults) = Script::of(&plan, &read);
    assert_eq!(faults, []);
    let now = "2026-11-23T12:00:00Z".parse().unwrap();
    Loopback { plan: Arc::new(plan), script: Arc::new(script), now }
}

fn run(target: &str, rest: &str) -> Vec<CaseResult> {
    let text =
        format!("version: 1\nname: t\ntarget: \"did:{target}\"\nvia: loopback\nprompts: p\n{rest}");
    let (scenario, library) = match read(&text, "t.yaml", Format::Yaml, &Prompts) {
        Ok(read) => read,
        Err(findings) => panic!("{findings:?}"),
    };
    let loopback = loopback();
    let cases = Case::of(&scenario.into(), &library.into());
    cases.into_iter().map(|case| loopback.run(case, epoch())).collect()
}

fn words(target: &str, rest: &str) -> String {
    let results = run(target, rest);
    results[0].words().unwrap_or("passed").to_owned()
}

/// How long a prompt went on after a key, by the note of the step.
fn went_on(result: &CaseResult) -> u64 {
    let notes = result.steps.iter().flat_map(|step| &step.notes);
    let mut ms =
        notes.filter_map(|note| note.strip_prefix("it stopped ")?.split(' ').next()?.parse().ok());
    ms.next_back().unwrap()
}

const TOP: &str = "+493012345670";

#[test]
fn a_menu_is_walked_in_every_mode_of_digits_and_over_a_bad_network() {
    let results = run(
        TOP,
        r#"steps:
  - name: answered
    expect: { sip: { status: 200, within: 1s } }
  - name: greeting
    expect:
      prompt: { file: menu.wav, within: 1s }
      level: { min: -30dBFS, max: -10dBFS }
      silence: { max: 1500ms }
  - name: about
    press: "3"
    expect:
      prompt: { file: about.wav, within: 1s, complete: false }
  - name: back again
    press: "*"
    expect:
      prompt_stops: { within: 300ms }
      prompt: { file: menu.wav, within: 1s }
  - name: reads back
    press: "2"
  - name: digits
    press: "4715"
    expect:
      sequence: { files: [digit-4.wav, digit-7.wav, digit-1.wav, digit-5.wav], within: 4s }
  - hangup: true
    expect: { end: { by: local } }
variants:
  - { name: info, dtmf: { mode: info } }
  - { name: in-band, dtmf: { mode: inband } }
  - { name: bad network, network: { loss: 3%, jitter: 40ms } }
"#,
    );
    for result in &results {
        assert_eq!(result.words(), None, "{}", result.title());
        assert_eq!(result.steps.len(), 7);
    }
    assert_eq!(results.len(), 4);
}

#[test]
fn a_key_in_any_mode_stops_the_prompt_within_60_ms_of_its_start() {
    // The key leads to a line that says nothing until digits come.
    let results = run(
        TOP,
        r#"steps:
  - expect: { prompt: { file: menu.wav, complete: false } }
  - wait: 700ms
  - press: "2"
    expect: { prompt_stops: { within: 60ms } }
variants:
  - { name: info, dtmf: { mode: info } }
  - { name: in-band, dtmf: { mode: inband } }
"#,
    );
    for result in &results {
        assert_eq!(result.words(), None, "{}", result.title());
        assert!(went_on(result) <= 60, "{}", result.title());
    }
    assert_eq!(results.len(), 3);
}

#[test]
fn a_prompt_that_goes_on_after_a_key_fails_wherever_the_speaker_pauses() {
    let mut took = Vec::new();
    for ms in (0..4000).step_by(250) {
        let steps = format!(
            "steps:\n  - expect: {{ prompt: {{ file: menu.wav, complete: false }} }}\n  - wait: {ms}ms\n  - \
             press: \"5\"\n    expect: {{ prompt_stops: {{ within: 300ms }} }}\n"
        );
        let words = words("+493012345672", &steps);
        // In a pause of the speaker there is nothing to stop.
        if words.contains("nothing was being said") {
            continue;
        }
        assert!(words.contains("did not stop within 300 ms of the key"), "after {ms} ms: {words}");
        let stops = steps.replace("\"5\"", "\"3\"");
        let results = run(TOP, &stops);
        assert_eq!(results[0].words(), None, "after {ms} ms");
        took.push(went_on(&results[0]));
    }
    // In a pause of both it is not seen to the frame.
    took.sort_unstable();
    assert!(took.len() > 8 && took[took.len() / 2] <= 60, "{took:?}");
}

#[test]
fn a_ring_that_nobody_takes_ends_in_the_mailbox() {
    let results = run(
        "+493012345671",
        r##"steps:
  - expect: { sip: { status: 180, within: 1s } }
  - expect: { sip: { status: 200, within: 10s }, prompt: { file: unavailable.wav, within: 10s } }
  - wait: 1s
  - say: about.wav
  - press: "#"
    expect: { end: { by: remote, within: 2s } }
"##,
    );
    assert_eq!(results[0].words(), None);
    let kept = results[0].ladder.iter().any(|m| m.text.starts_with("a message of"));
    assert!(kept, "{:?}", results[0].ladder);
}

#[test]
fn a_transfer_sounds_ringback_of_the_country() {
    let steps = |country: &str| {
        format!(
            "steps:\n  - expect: {{ sip: {{ status: 200 }} }}\n  - press: \"1\"\n    expect: \
             {{ tone: {{ kind: ringback, country: {country}, within: 6s }} }}\n"
        )
    };
    assert_eq!(words(TOP, &steps("DE")), "passed");
    let failed = words(TOP, &steps("GB"));
    assert!(failed.contains("ringback of GB was expected, ringback was heard instead"), "{failed}");
}

#[test]
fn each_fault_has_its_sentence() {
    let cases = [
        (
            "steps:\n  - expect: { prompt: { file: about.wav, within: 1s } }\n",
            "`about` was expected, `menu` was heard instead",
        ),
        (
            "steps:\n  - expect: { sip: { status: 200 } }\n  - press: \"2\"\n    expect: { prompt: \
             { file: about.wav, within: 1s } }\n",
            "`about` was expected after the key 2, nothing but silence was heard for",
        ),
        (
            "steps:\n  - expect: { sip: { status: 486 } }\n",
            "486 Busy Here was expected, 200 OK came after 0.0 s",
        ),
        (
            "steps:\n  - expect: { prompt: { file: menu.wav } }\n  - press: \"3\"\n    expect: \
             { prompt: { file: about.wav } }\n  - press: \"*\"\n    expect: { prompt: { file: \
             goodbye.wav, within: 1s } }\n",
            "the key changed nothing: `menu` was heard again: a dead end",
        ),
        (
            "steps:\n  - expect: { sip: { status: 200 } }\n  - press: \"2\"\n  - press: \"417\"\n    \
             expect: { sequence: { files: [digit-4.wav, digit-2.wav, digit-1.wav, digit-7.wav] } }\n",
            "\"digit-4 digit-1 digit-7\" was heard: `digit-2` is missing, a digit was lost",
        ),
        (
            "steps:\n  - expect: { sip: { status: 200 } }\n  - press: \"2\"\n  - press: \"4417\"\n    \
             expect: { sequence: { files: [digit-4.wav, digit-1.wav, digit-7.wav] } }\n",
            "`digit-4` came twice, a digit was doubled",
        ),
        (
            "steps:\n  - expect: { sip: { status: 200 } }\n  - press: \"2\"\n  - press: \"477\"\n    \
             expect: { sequence: { files: [digit-4.wav, digit-7.wav] } }\n",
            "`digit-7` came twice, a digit was doubled",
        ),
        (
            "steps:\n  - expect: { sip: { status: 200 } }\n  - press: \"9\"\n    expect: { prompt: \
             { file: about.wav, within: 2s } }\n",
            "then the far side hung up",
        ),
        (
            "limits: { call: 5s }\nsteps:\n  - expect: { sip: { status: 200 } }\n  - wait: 60s\n",
            "the call is longer than 5.0 s",
        ),
        (
            "steps:\n  - expect: { sip: { status: 200 } }\n  - press: \"2\"\n    expect: { silence: \
             { max: 1s }, end: { by: remote } }\n",
            "it has been silent for more than the 1.0 s that were allowed",
        ),
    ];
    for (steps, sentence) in cases {
        let words = words(TOP, steps);
        assert!(words.contains(sentence), "\n{steps}\n{words}\n{sentence}");
    }
}

#[test]
fn a_late_prompt_is_told_from_a_missing_one() {
    // The menu speaks again after its patience, six seconds after its prompt of seven.
    let steps = "steps:\n  - expect: { prompt: { file: menu.wav } }\n  - wait: 200ms\n  - press: \
                 \"7\"\n    expect: { prompt: { file: menu.wav, within: 500ms } }\n";
    let words = words(TOP, steps);
    assert!(words.contains("after the key 7, 0.5 s were allowed; that is too late"), "{words}");
}

#[test]
fn secret_keys_are_in_no_output() {
    let results = run(
        TOP,
        r#"steps:
  - expect: { sip: { status: 200 } }
  - press: "4"
  - press: "918273"
    secret: true
    expect: { prompt: { file: about.wav, within: 1s } }
finally: { record: always }
dtmf: { mode: inband }
"#,
    );
    let all = outputs(&results);
    for text in &all {
        let text = text.split("base64,").next().unwrap();
        assert!(!text.contains("918273"), "{text}");
        assert!(!text.contains(">9<") && !text.contains("key 9"));
    }
    assert!(all[0].contains("after the secret keys"));
    // Neither are their tones in the sound that was sent.
    let keys_from = results[0].presses[1].at.as_millis() as usize * 8;
    assert!(results[0].sent[keys_from..].iter().all(|sample| *sample == 0));
}

/// All that is written of results.
fn outputs(results: &[CaseResult]) -> [String; 5] {
    [
        junit(results, &|_| None),
        tap(results),
        json(results).to_string(),
        html(results, "now"),
        super::report_line(&results[0]),
    ]
}

#[test]
fn secret_keys_that_are_read_back_are_in_no_output() {
    // The second row is wrong: its failure has a sentence.
    for (files, passes) in [
        ("digit-4.wav, digit-7.wav, digit-1.wav, digit-1.wav", true),
        ("digit-4.wav, digit-8.wav, digit-1.wav", false),
    ] {
        let steps = format!(
            "steps:\n  - expect: {{ sip: {{ status: 200 }} }}\n  - press: \"2\"\n  - press: \
             \"4711\"\n    secret: true\n    expect: {{ sequence: {{ files: [{files}], within: 5s }} \
             }}\nfinally: {{ record: always }}\n"
        );
        let results = run(TOP, &steps);
        assert_eq!(results[0].passed(), passes, "{:?}", results[0].words());
        let all = outputs(&results);
        for text in &all {
            let text: String = text
                .split("base64,")
                .map(|part| {
                    part.trim_start_matches(|c: char| {
                        c.is_ascii_alphanumeric() || "+/=".contains(c)
                    })
                })
                .collect();
            assert!(!text.contains("digit-"), "{text}");
        }
        assert!(all[0].contains("heard (a secret)"), "{}", all[0]);
        // Nobody says them in the sound that was heard.
        let pressed = results[0].presses[1].at.as_millis() as usize * 8;
        assert!(results[0].heard.len() > pressed + 8000);
        assert!(results[0].heard[pressed..].iter().all(|sample| *sample == 0));
    }
    // What is no digit is heard and named, and after another key digits are, too.
    let results = run(
        TOP,
        r#"steps:
  - expect: { sip: { status: 200 } }
  - press: "3"
    secret: true
    expect: { prompt: { file: about.wav, within: 2s } }
  - press: "*"
    expect: { prompt: { file: menu.wav, within: 2s } }
  - press: "2"
  - press: "47"
    expect: { sequence: { files: [digit-4.wav, digit-7.wav], within: 5s } }
"#,
    );
    assert!(results[0].passed(), "{:?}", results[0].words());
    let names: Vec<&str> = results[0].spans.iter().map(|span| span.file.as_str()).collect();
    assert_eq!(names, ["about.wav", "menu.wav", "digit-4.wav", "digit-7.wav"]);
    let about = results[0].spans[0].start.as_millis() as usize * 8;
    assert!(results[0].heard[about..about + 16_000].iter().any(|sample| *sample != 0));
}

#[test]
fn reports_are_whole() {
    let results = run(
        TOP,
        "steps:\n  - name: \"a <b> & \\\"c\\\"\"\n    expect: { prompt: { file: about.wav, within: 1s } }\n",
    );
    let xml = junit(&results, &|number| Some(format!("report/{number}.wav")));
    assert!(xml.contains("[[ATTACHMENT|report/0.wav]]"), "{xml}");
    assert!(xml.contains("tests=\"1\" failures=\"1\" errors=\"0\""), "{xml}");
    assert!(xml.contains("a &lt;b&gt; &amp; &quot;c&quot;"));
    let page = html(&results, "now");
    assert!(page.contains("data:audio/wav;base64,UklGR") && !page.contains("http"));
    assert!(tap(&results).starts_with("TAP version 14\n1..1\nnot ok 1 - t\n"));
    assert_eq!(json(&results)["cases"][0]["outcome"], "failed");
}
