//! Scenarios as people write them, right and wrong.

use std::time::Duration;

use super::read::{Folder, Format, read};
use super::scenario::{Act, By, Case, Expect, Keep, Via};
use super::tone_table::ToneKind;
use crate::base::DtmfMode;

struct Prompts;

impl Folder for Prompts {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        match path {
            "prompts/night.wav" => Ok(include_bytes!("../carrier/prompts/menu.wav").to_vec()),
            "prompts/other.wav" => Ok(include_bytes!("../carrier/prompts/about.wav").to_vec()),
            _ => Err("there is no such file".to_owned()),
        }
    }

    fn sounds(&self, _folder: &str) -> Vec<String> {
        vec!["night.wav".to_owned(), "other.wav".to_owned()]
    }
}

const YAML: &str = r#"version: 1
name: night menu
target: "+493012345670"          # dialled through the gateway
from: "+491701234567"
at: "2026-11-23T22:00+01:00"
via: trunk
dtmf: { mode: rfc4733, duration: 100ms, gap: 100ms }
prompts: prompts/
limits: { call: 90s }
steps:
  - name: answered quickly
    expect:
      sip: { status: 200, within: 4s }
  - name: night greeting
    expect:
      prompt: { file: night.wav, match: 0.75, window: 0.60, within: 3s, complete: true }
      level: { min: -35dBFS, max: -6dBFS }
      silence: { max: 1500ms }
  - name: interrupt the prompt
    press: "2"
    expect:
      prompt_stops: { within: 300ms }
  - name: transferred
    expect:
      tone: { kind: ringback, country: DE, within: 6s }
  - hangup: true
    expect: { end: { by: local } }
finally: { record: always }
variants:
  - { name: in-band digits, dtmf: { mode: inband } }
  - { name: info digits,    dtmf: { mode: info } }
  - { name: lossy network,  network: { loss: 3%, jitter: 40ms } }
"#;

#[test]
fn the_scenario_of_the_specification_is_read() {
    let (scenario, library) = read(YAML, "t.yaml", Format::Yaml, &Prompts).unwrap();
    assert_eq!(scenario.name, "night menu");
    assert_eq!(scenario.target, "+493012345670");
    assert_eq!(scenario.via, Via::Trunk);
    assert_eq!(scenario.call_limit, Duration::from_secs(90));
    assert_eq!(scenario.record, Keep::Always);
    assert_eq!(scenario.steps.len(), 5);
    assert_eq!(scenario.steps[2].act, Some(Act::Press("2".to_owned())));
    assert_eq!(scenario.steps[2].line, 19);
    let tone = Expect::Tone {
        kind: ToneKind::Ringback,
        country: Some("DE".to_owned()),
        within: Duration::from_secs(6),
    };
    assert_eq!(scenario.steps[3].expect, [tone]);
    let end = Expect::End { by: By::Local, within: Duration::from_secs(10) };
    assert_eq!(
        (&scenario.steps[4].act, &scenario.steps[4].expect[..]),
        (&Some(Act::HangUp), &[end][..])
    );
    // What stands beside it is known, too.
    assert!(library.contains_key("other.wav"));
    let cases = Case::of(&scenario.into(), &library.into());
    let titles: Vec<String> = cases.iter().map(Case::title).collect();
    assert_eq!(titles[0], "night menu");
    assert_eq!(titles[3], "night menu [lossy network]");
    assert_eq!(cases[1].dtmf.mode, DtmfMode::Inband);
    assert_eq!((cases[3].network.loss, cases[3].dtmf.mode), (0.03, DtmfMode::Rfc4733));
}

#[test]
fn the_same_in_toml_is_the_same() {
    let toml = r##"version = 1
name = "night menu"
target = "+493012345670"
prompts = "prompts/"
[[steps]]
press = "#"
[steps.expect]
prompt = { file = "night.wav", within = "3s" }
"##;
    let yaml = "version: 1\nname: night menu\ntarget: \"+493012345670\"\nprompts: prompts/\n\
                steps:\n  - press: \"#\"\n    expect:\n      prompt: { file: night.wav, within: 3s }\n";
    let (a, _) = read(toml, "t.toml", Format::Toml, &Prompts).unwrap();
    let (b, _) = read(yaml, "t.toml", Format::Yaml, &Prompts).unwrap();
    assert_eq!(a.steps[0].act, b.steps[0].act);
    assert_eq!(a.steps[0].expect, b.steps[0].expect);
    assert_eq!((a.name, a.target, a.dtmf), (b.name, b.target, b.dtmf));
}

/// The one finding of a scenario with this step.
fn finding(step: &str) -> String {
    let text = format!("version: 1\nname: x\ntarget: \"601\"\nsteps:\n  - {step}\n");
    let findings = read(&text, "t.yaml", Format::Yaml, &Prompts).unwrap_err();
    assert_eq!(findings.len(), 1, "{step}: {findings:?}");
    findings[0].to_string()
}

#[test]
fn every_mistake_has_its_file_its_line_and_a_hint() {
    let cases = [
        ("press: 5", "t.yaml:5:12: error: `press` must be a quoted string: write press: \"5\""),
        ("press: 0712345", "`press` must be a quoted string"),
        ("press: true", "`press` must be a quoted string: write press: \"true\""),
        ("press: #", "t.yaml:5:"),
        ("press: #", "`press` has no value; in YAML an unquoted # begins a comment: quote it"),
        ("press: *9", "t.yaml:5:"),
        ("press: *9", "quote the value, as in press: \"*9\""),
        ("press: \"5x\"", "is not keys of 0-9, *, #, A-D"),
        (
            "expect: { prompt: { file: nihgt.wav } }",
            "prompts/nihgt.wav: there is no such file; did you mean \"night.wav\"?; `crosspoint ivr record` makes one",
        ),
        ("expect: { promt: { file: night.wav } }", "unknown key `promt` in "),
        ("expect: { promt: { file: night.wav } }", "did you mean \"prompt\"?"),
        ("expect: { tone: { kind: buzy } }", "did you mean \"busy\"?"),
        ("expect: { tone: { kind: busy, country: XX } }", "the tones of \"XX\" are not known"),
        ("expect: { level: { min: -35 } }", "`min` must be a level like -35dBFS"),
        ("{ press: \"1\", hangup: true }", "step 1 does press and hangup: make a step of each"),
        ("name: idle", "step 1 neither does nor expects anything"),
    ];
    for (step, words) in cases {
        let found = finding(step);
        assert!(found.starts_with("t.yaml:") && found.contains(words), "{step}:\n{found}\n{words}");
    }
    let unquoted = "version: 1\nname: x\ntarget: +493012345\nsteps:\n  - hangup: true\n";
    let findings = read(unquoted, "t.yaml", Format::Yaml, &Prompts).unwrap_err();
    assert!(findings[0].to_string().starts_with("t.yaml:3:9: error: `target` must be a quoted"));
}

#[test]
fn nothing_that_helps_people_is_called_or_transferred_to() {
    for number in ["112", "sip:17@h", "sip:%31%31%32@h", "+49112"] {
        let words = refusal(&format!(
            "version: 1\nname: x\ntarget: \"{number}\"\nsteps:\n  - hangup: true\n"
        ));
        assert!(words.starts_with("t.yaml:3:9: error: `target` ") && words.contains("emergency"));
        let words = finding(&format!("transfer: \"{number}\""));
        assert!(words.starts_with("t.yaml:5:15: error: `transfer` "), "{words}");
    }
}

fn refusal(text: &str) -> String {
    let findings = read(text, "t.yaml", Format::Yaml, &Prompts).unwrap_err();
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn a_value_without_quotes_is_shown_as_it_was_written() {
    let with = |step: &str| {
        refusal(&format!("version: 1\nname: x\ntarget: \"601\"\nsteps:\n  - {step}\n"))
    };
    for (step, shown) in
        [("press: 0712", "0712"), ("press: 1e3", "1e3"), ("{ press: 007, secret: true }", "007")]
    {
        let words = with(step);
        assert!(words.contains(&format!("write press: \"{shown}\"")), "{words}");
        assert_eq!(words.lines().count(), 1, "{words}");
    }
    assert_eq!(with("press: \"\""), "t.yaml:5:12: error: `press` is empty");
    let star = with("press: *9");
    assert!(
        star.starts_with("t.yaml:5:12: error: alias references unknown anchor; YAML"),
        "{star}"
    );
    assert!(with("press: \"1\"\n    press: \"2\"").ends_with("duplicate mapping key: press"));
}

#[test]
fn what_nothing_can_meet_is_refused() {
    let level = finding("expect: { level: { min: -6dBFS, max: -35dBFS } }");
    assert!(level.contains("`min` = -6dBFS is louder than `max` = -35dBFS"), "{level}");
    let words = refusal(
        "version: 1\nname: x\ntarget: \"601\"\nlimits: { call: 0s }\nsteps:\n  - hangup: true\n",
    );
    assert!(words.ends_with("error: `call` must be longer than nothing"), "{words}");
    // A hint is in the file's own language.
    let toml = "version = 1\nname = \"x\"\ntarget = \"601\"\n[[steps]]\npress = 5\n";
    let found = read(toml, "t.toml", Format::Toml, &Prompts).unwrap_err();
    assert!(found[0].to_string().contains("write press = \"5\""), "{found:?}");
    let two = "version: 1\nname: x\n---\nversion: 1\n";
    assert!(refusal(two).contains("a scenario is one document"), "{}", refusal(two));
}

#[test]
fn what_would_test_nothing_or_call_nobody_is_refused() {
    let words = refusal("version: 1\nname: x\ntarget: \"601\"\nsteps: []\n");
    assert_eq!(
        words,
        "t.yaml:4:8: error: the scenario needs `steps`: without any nothing is tested"
    );
    let words = refusal("version: 1\nname: x\ntarget: \"hello\"\nsteps:\n  - hangup: true\n");
    assert!(words.starts_with("t.yaml:3:9: error: `target` \"hello\": "), "{words}");
    assert_eq!(refusal(""), "t.yaml:1:1: error: the file is empty");
    let spaced = "version: 1\nname: x\ntarget: \"did:+49 (30) 123\"\nsteps:\n  - hangup: true\n";
    let (scenario, _) = read(spaced, "t.yaml", Format::Yaml, &Prompts).unwrap();
    assert_eq!(scenario.target, "did:+4930123");
}
