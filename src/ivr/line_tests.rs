//! Lines frame by frame: prompts, keys, time-outs, mailboxes, test lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::line::{Line, LineEvent, StoppedBy};
use super::script::Script;
use crate::base::Digit;
use crate::codec::{FRAME, Prompt, Rate, Tone, Tones, goertzel_dbm0, level_dbm0};
use crate::dialplan::{Destination, Known, NoFiles, load};

const PLAN: &str = r##"
version = 1
emergency = "not-provided"
[defaults]
country = "DE"
timezone = "UTC"
[ring.desk]
users = ["a"]
timeout = "10s"
[voicemail.box]
greeting = "greeting.wav"
max = "20s"
[menu.top]
prompt = "top.wav"
invalid = "invalid.wav"
failed = "failed.wav"
first_digit = "2s"
next_digit = "1s"
retries = 1
on_fail = "voicemail:box"
[menu.top.press]
"1" = "ring:desk"
"12" = "menu:pin"
"2" = "menu:pin"
"9" = "hangup"
[menu.pin]
prompt = "pin.wav"
barge_in = false
terminator = "#"
max_digits = 4
first_digit = "2s"
next_digit = "1s"
retries = 0
on_fail = "hangup"
[menu.pin.press]
"4711" = "app:echo"
"0" = "app:milliwatt"
[menu.read]
prompt = "pin.wav"
on_fail = "hangup"
[menu.read.press]
"1" = "app:dtmf-readback"
"##;

/// Each sound is half a second of a frequency of its own.
const SOUNDS: [(&str, f64); 5] = [
    ("greeting.wav", 500.0),
    ("top.wav", 700.0),
    ("invalid.wav", 900.0),
    ("failed.wav", 1100.0),
    ("pin.wav", 1300.0),
];

fn script() -> Arc<Script> {
    let plan = load(PLAN, "p.toml", &Known::default(), &NoFiles).unwrap();
    let sounds: BTreeMap<String, Arc<Prompt>> = SOUNDS
        .iter()
        .map(|(name, hz)| {
            let mut pcm = vec![0; 4000];
            Tones::new(&[Tone { frequency: *hz, dbm0: -12.0 }]).fill(&mut pcm);
            ((*name).to_owned(), Arc::new(Prompt::narrow(pcm)))
        })
        .collect();
    Arc::new(Script {
        menus: plan.menus().clone(),
        voicemails: plan.voicemails().clone(),
        sounds,
        country: "DE".to_owned(),
        digits: super::script::spoken_digits(),
    })
}

struct Caller {
    line: Line,
    heard: Vec<i16>,
    events: Vec<LineEvent>,
}

impl Caller {
    fn to(destination: Destination) -> Caller {
        let line = Line::new(script(), &[destination]);
        Caller { line, heard: Vec::new(), events: Vec::new() }
    }

    fn menu(name: &str) -> Caller {
        Caller::to(Destination::Menu(name.to_owned()))
    }

    /// Says silence.
    fn listen(&mut self, ms: usize) {
        self.say(&vec![0; ms * 8]);
    }

    fn say(&mut self, pcm: &[i16]) {
        for frame in pcm.chunks(FRAME) {
            let mut out = [7; FRAME];
            self.line.frame(frame, &mut out);
            self.heard.extend(out);
            self.events.extend(std::iter::from_fn(|| self.line.poll()));
        }
    }

    fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            self.line.digit(Digit::from_char(key).unwrap());
            self.events.extend(std::iter::from_fn(|| self.line.poll()));
        }
    }

    /// The sounds heard since the last call of this, in order, by their frequencies.
    fn said(&mut self) -> Vec<&'static str> {
        let mut all: Vec<&'static str> = Vec::new();
        for frame in self.heard.chunks(400) {
            let on = SOUNDS.iter().find(|(_, hz)| goertzel_dbm0(frame, *hz) > -20.0);
            match on {
                Some((name, _)) if all.last() != Some(name) => all.push(name),
                None if all.last().is_some_and(|last| !last.is_empty()) => all.push(""),
                _ => {}
            }
        }
        self.heard.clear();
        all.retain(|name| !name.is_empty());
        all
    }
}

fn entered(name: &str) -> LineEvent {
    LineEvent::Entered(match name.split_once(':').unwrap() {
        ("menu", name) => Destination::Menu(name.to_owned()),
        ("voicemail", name) => Destination::Voicemail(name.to_owned()),
        _ => panic!(),
    })
}

#[test]
fn a_key_stops_the_prompt_within_one_frame_and_the_choice_follows() {
    let mut caller = Caller::menu("top");
    caller.listen(200);
    assert_eq!(caller.said(), ["top.wav"]);
    caller.press("2");
    caller.listen(20);
    // The next prompt is on at once: nothing of the old one is left.
    assert!(goertzel_dbm0(&caller.heard, 700.0) < -40.0);
    caller.listen(600);
    assert_eq!(caller.said(), ["pin.wav"]);
    assert_eq!(caller.events, [entered("menu:top"), entered("menu:pin")]);
}

#[test]
fn a_longer_choice_is_waited_for_as_long_as_the_next_digit_may_take() {
    let mut caller = Caller::menu("top");
    caller.press("1");
    caller.listen(900);
    assert_eq!(caller.events, [entered("menu:top")]);
    caller.listen(200);
    let ring = Destination::Ring("desk".to_owned());
    assert_eq!(caller.events[1], LineEvent::Transfer(ring));
    // Ringback of the plan's country meanwhile; then nobody takes it.
    caller.heard.clear();
    caller.listen(900);
    assert!(goertzel_dbm0(&caller.heard, 425.0) > -16.0);
    caller.line.refused();
    caller.listen(100);
    assert_eq!(caller.events[2], entered("voicemail:box"));

    let mut caller = Caller::menu("top");
    caller.press("12");
    assert_eq!(caller.events, [entered("menu:top"), entered("menu:pin")]);
}

#[test]
fn wrong_keys_and_silence_are_forgiven_as_often_as_the_plan_says() {
    let mut caller = Caller::menu("top");
    caller.press("7");
    caller.listen(1200);
    assert_eq!(caller.said(), ["invalid.wav", "top.wav"]);
    // 0.5 s prompt, 2 s of patience: nothing pressed is no wrong key, and the last chance.
    caller.listen(3000);
    assert_eq!(caller.said(), ["failed.wav", "greeting.wav"]);
    assert_eq!(caller.events, [entered("menu:top"), entered("voicemail:box")]);
}

#[test]
fn collected_keys_end_by_terminator_by_number_or_by_time() {
    for (keys, wait, done) in
        [("4711", 0, "echo"), ("0#", 0, "milliwatt"), ("0", 1100, "milliwatt"), ("47", 1100, "end")]
    {
        let mut caller = Caller::menu("pin");
        caller.listen(600);
        caller.press(keys);
        caller.listen(wait + 40);
        let last = format!("{:?}", caller.events.last().unwrap());
        let wanted = match done {
            "echo" => "Entered(App(Echo))",
            "milliwatt" => "Entered(App(Milliwatt))",
            _ => "HangUp",
        };
        assert_eq!(last, wanted, "{keys}");
    }
    // Nothing is told of the first keys: a wrong one is not refused before the fourth.
    let mut caller = Caller::menu("pin");
    caller.listen(600);
    caller.press("999");
    caller.listen(900);
    assert_eq!(caller.events.len(), 1);
    caller.press("9");
    caller.listen(40);
    assert_eq!(caller.events.last(), Some(&LineEvent::HangUp));
}

#[test]
fn keys_pressed_during_a_prompt_that_goes_on_are_kept() {
    let mut caller = Caller::menu("pin");
    caller.listen(100);
    caller.press("4711");
    caller.listen(300);
    assert_eq!(caller.said(), ["pin.wav"]);
    assert_eq!(caller.events.len(), 1);
    caller.listen(400);
    assert_eq!(format!("{:?}", caller.events[1]), "Entered(App(Echo))");
}

fn words(ms: usize) -> Vec<i16> {
    let mut pcm = vec![0; ms * 8];
    Tones::new(&[Tone { frequency: 1700.0, dbm0: -20.0 }]).fill(&mut pcm);
    pcm
}

#[test]
fn a_message_is_recorded_after_the_beep_and_ends_by_key_silence_limit_or_hang_up() {
    for end in [StoppedBy::Digit, StoppedBy::Silence, StoppedBy::Limit, StoppedBy::Caller] {
        let mut caller = Caller::to(Destination::Voicemail("box".to_owned()));
        caller.listen(500);
        assert_eq!(caller.said(), ["greeting.wav"]);
        caller.listen(440);
        assert!(goertzel_dbm0(&caller.heard[..3000], 1000.0) > -12.0, "no beep");
        caller.say(&words(3000));
        let seconds = match end {
            StoppedBy::Digit => {
                caller.press("#");
                caller.listen(20);
                3.0..3.1
            }
            StoppedBy::Silence => {
                caller.listen(5100);
                // A second of the silence is kept.
                3.9..4.2
            }
            StoppedBy::Limit => {
                caller.say(&words(18_000));
                19.9..20.1
            }
            StoppedBy::Caller => {
                caller.line.hung_up();
                caller.events.extend(caller.line.poll());
                3.0..3.1
            }
        };
        let message = caller.events.iter().find_map(|event| match event {
            LineEvent::Recorded(message) => Some(message),
            _ => None,
        });
        let message = message.unwrap();
        assert_eq!((message.mailbox.as_str(), message.stopped_by), ("box", end));
        let length = message.pcm.len() as f64 / 8000.0;
        assert!(seconds.contains(&length), "{end:?}: {length}");
        assert!((level_dbm0(&message.pcm[800..16_000]) + 20.0).abs() < 0.2);
        let hangs_up = caller.events.contains(&LineEvent::HangUp);
        assert_eq!(hangs_up, end != StoppedBy::Caller);
    }
}

#[test]
fn silence_is_no_message() {
    let mut caller = Caller::to(Destination::Voicemail("box".to_owned()));
    caller.listen(1000 + 5100);
    assert_eq!(caller.events, [entered("voicemail:box"), LineEvent::HangUp]);
}

#[test]
fn test_lines_echo_sound_and_read_back() {
    let mut caller = Caller::menu("pin");
    caller.listen(600);
    caller.press("4711");
    caller.heard.clear();
    let said = words(400);
    caller.say(&said);
    assert_eq!(caller.heard, said);

    let mut caller = Caller::menu("pin");
    caller.listen(600);
    caller.press("0#");
    caller.listen(40);
    caller.heard.clear();
    caller.listen(1000);
    assert!(goertzel_dbm0(&caller.heard, 1004.0).abs() < 0.1);

    let mut caller = Caller::menu("read");
    caller.listen(600);
    caller.press("1");
    caller.press("52");
    caller.heard.clear();
    caller.listen(2000);
    assert!(level_dbm0(&caller.heard) < -90.0, "before two seconds are over");
    caller.heard.clear();
    caller.listen(3000);
    let digits = super::script::spoken_digits();
    let spoken: Vec<i16> = [digits[5].pcm(), digits[2].pcm()].concat();
    let found = caller.heard.windows(spoken.len()).any(|window| window == spoken);
    assert!(found, "five, two");
}

/// A WAV file at 16 kHz with a tone that 8 kHz cannot hold.
fn wide_file(hz: f64) -> Vec<u8> {
    let mut pcm = vec![0; 8000];
    // Made as if at 8 kHz: all frequencies are twice that at 16.
    Tones::new(&[Tone { frequency: hz / 2.0, dbm0: -12.0 }]).fill(&mut pcm);
    super::draft::mono_wav_at(&pcm, Rate::Wide).unwrap()
}

#[test]
fn a_caller_of_16_khz_hears_what_the_file_has_and_leaves_as_much() {
    let mut script = (*script()).clone();
    let wide = Prompt::read(&wide_file(6000.0)).unwrap();
    script.sounds.insert("greeting.wav".to_owned(), Arc::new(wide));
    let script = Arc::new(script);
    let to = |name: &str| Line::new(script.clone(), &[Destination::Voicemail(name.to_owned())]);
    let listen = |line: &mut Line, rate: Rate, said: &[i16], frames: usize| {
        let mut heard = Vec::new();
        for frame in said.chunks(rate.frame()).cycle().take(frames) {
            let mut out = vec![7; rate.frame()];
            line.frame(frame, &mut out);
            heard.extend(out);
        }
        heard
    };
    let mut said = vec![0; 320];
    Tones::new(&[Tone { frequency: 3000.0, dbm0: -10.0 }]).fill(&mut said);

    let mut line = to("box");
    let greeting = listen(&mut line, Rate::Wide, &[0; 320], 25);
    // Measured as if at 8 kHz.
    assert!((goertzel_dbm0(&greeting[1600..6400], 3000.0) + 12.0).abs() < 0.2);
    let beep = listen(&mut line, Rate::Wide, &[0; 320], 20);
    assert!((goertzel_dbm0(&beep[1600..4800], 500.0) + 10.0).abs() < 0.2, "of 8 kHz, doubled");
    listen(&mut line, Rate::Wide, &said, 100);
    line.hung_up();
    let recorded = std::iter::from_fn(|| line.poll()).find_map(|event| match event {
        LineEvent::Recorded(recording) => Some(recording),
        _ => None,
    });
    let recorded = recorded.unwrap();
    // It begins in the frame in which the beep ends.
    assert_eq!((recorded.rate, recorded.pcm.len()), (Rate::Wide, 101 * 320));
    assert!((goertzel_dbm0(&recorded.pcm[320..16_320], 3000.0) + 10.0).abs() < 0.2);

    // A caller of 8 kHz hears nothing of it, nor is it mirrored.
    let mut line = to("box");
    let greeting = listen(&mut line, Rate::Narrow, &[0; 160], 25);
    assert!(level_dbm0(&greeting) < -40.0, "{}", level_dbm0(&greeting));

    // The caller's rate may change in the middle of a message.
    let mut line = to("box");
    listen(&mut line, Rate::Wide, &[0; 320], 45);
    listen(&mut line, Rate::Wide, &said, 50);
    listen(&mut line, Rate::Narrow, &said, 50);
    line.hung_up();
    let recorded = std::iter::from_fn(|| line.poll()).any(|event| {
        matches!(event, LineEvent::Recorded(r) if r.pcm.len() == 101 * 320 && r.rate == Rate::Wide)
    });
    assert!(recorded);
}
