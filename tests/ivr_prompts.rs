//! How well prompts are told apart: speech of several voices through telephone channels, against the
//! right prompt, against all others, and against itself with one word changed. The thresholds were chosen
//! on the first set; the second one judges them. docs/ivr-testing.md shows this test's table; made anew
//! by `WRITE_TABLE=1 cargo test --test ivr_prompts`.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crosspoint::codec::{Codec, Decoder, Encoder, FRAME, OpusSettings, read_wav};
use crosspoint::ivr::{Match, Reference, Row, WHOLE, WINDOW, rows};

/// A sentence, and the same with one word changed.
type Said = (&'static str, &'static str);

/// Voices and what they say, for choosing.
const CHOSEN: &[(&str, &[Said])] = &[
    (
        "en-us",
        &[
            (
                "Welcome. Press one for sales, or two for support.",
                "Welcome. Press nine for sales, or two for support.",
            ),
            (
                "Your balance is one hundred and twenty euros.",
                "Your balance is one hundred and ninety euros.",
            ),
            ("Please enter your customer number now.", "Please enter your telephone number now."),
            ("Our office is closed today.", "Our office is open today."),
        ],
    ),
    (
        "en-gb+f3",
        &[
            (
                "You are number four in the queue. Please hold.",
                "You are number seven in the queue. Please hold.",
            ),
            ("This call may be recorded for training.", "This call may be cancelled for training."),
            ("Say the name of the person you want.", "Say the name of the street you want."),
            (
                "We are sorry, nobody can take your call.",
                "We are sorry, nobody can take your parcel.",
            ),
        ],
    ),
    (
        "de",
        &[
            (
                "Guten Tag. Bitte geben Sie Ihre Kundennummer ein.",
                "Guten Tag. Bitte geben Sie Ihre Telefonnummer ein.",
            ),
            (
                "Ihr Guthaben beträgt hundertzwanzig Euro.",
                "Ihr Guthaben beträgt achtundvierzig Euro.",
            ),
            (
                "Unser Büro ist von neun bis fünf besetzt.",
                "Unser Büro ist von neun bis acht besetzt.",
            ),
            ("Drücken Sie die Eins für den Vertrieb.", "Drücken Sie die Sieben für den Vertrieb."),
        ],
    ),
    (
        "fr",
        &[
            ("Bonjour. Tapez un pour les ventes.", "Bonjour. Tapez quatre pour les ventes."),
            ("Votre solde est de cent vingt euros.", "Votre solde est de cent quarante euros."),
            ("Nos bureaux sont fermés le dimanche.", "Nos bureaux sont fermés le mercredi."),
        ],
    ),
];

/// Other voices and other sentences, for judging.
const JUDGED: &[(&str, &[Said])] = &[
    (
        "en-us+m3",
        &[
            ("Thank you for calling the town library.", "Thank you for calling the town hospital."),
            ("To reach the operator, stay on the line.", "To reach the mayor, stay on the line."),
            (
                "The next train leaves at half past eight.",
                "The next train leaves at half past two.",
            ),
            ("Your order was sent on Monday.", "Your order was sent on Thursday."),
        ],
    ),
    (
        "en-gb-scotland+f2",
        &[
            ("Press star to hear this again.", "Press pound to hear this again."),
            ("Leave a message after the tone.", "Leave a parcel after the tone."),
            (
                "Your card has been blocked since Friday.",
                "Your card has been renewed since Friday.",
            ),
            ("There are five new messages.", "There are eleven new messages."),
        ],
    ),
    (
        "es",
        &[
            ("Marque uno para hablar con ventas.", "Marque ocho para hablar con ventas."),
            ("Su saldo es de ciento veinte euros.", "Su saldo es de ciento setenta euros."),
            ("La oficina está cerrada los domingos.", "La oficina está abierta los domingos."),
        ],
    ),
    (
        "it",
        &[
            (
                "Prema uno per parlare con un operatore.",
                "Prema quattro per parlare con un operatore.",
            ),
            ("Il suo credito è di centoventi euro.", "Il suo credito è di sessantasette euro."),
            ("Lasci un messaggio dopo il segnale.", "Lasci un pacchetto dopo il segnale."),
        ],
    ),
];

/// What is on the way from the prompt's file to the ear.
struct Channel {
    name: &'static str,
    opus: bool,
    loss: f64,
    gain: f64,
    /// Of the clock, in millionths.
    drift: f64,
    /// A buffer that skips or repeats 40 ms in the middle.
    slip: bool,
}

const CHANNELS: &[Channel] = &[
    Channel { name: "G.711", opus: false, loss: 0.0, gain: 1.0, drift: 0.0, slip: false },
    Channel {
        name: "G.711, 20 dB quieter",
        opus: false,
        loss: 0.0,
        gain: 0.1,
        drift: 0.0,
        slip: false,
    },
    Channel {
        name: "G.711, 3 dB louder",
        opus: false,
        loss: 0.0,
        gain: 1.41,
        drift: 0.0,
        slip: false,
    },
    Channel {
        name: "G.711, 3 % loss",
        opus: false,
        loss: 0.03,
        gain: 1.0,
        drift: 0.0,
        slip: false,
    },
    Channel {
        name: "G.711, clock 300 ppm off",
        opus: false,
        loss: 0.0,
        gain: 1.0,
        drift: 300.0,
        slip: false,
    },
    Channel {
        name: "G.711, 40 ms repeated",
        opus: false,
        loss: 0.0,
        gain: 1.0,
        drift: 0.0,
        slip: true,
    },
    Channel { name: "Opus", opus: true, loss: 0.0, gain: 1.0, drift: 0.0, slip: false },
    Channel {
        name: "Opus, 5 % loss",
        opus: true,
        loss: 0.05,
        gain: 0.5,
        drift: -200.0,
        slip: false,
    },
    Channel {
        name: "Opus, then G.711, 2 % loss",
        opus: true,
        loss: 0.02,
        gain: 0.25,
        drift: 100.0,
        slip: true,
    },
];

fn speak(voice: &str, text: &str) -> Vec<i16> {
    let mut child = Command::new("espeak-ng")
        .args(["-v", voice, "-s", "150", "--stdin", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("espeak-ng (make test installs it)");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{voice}");
    // A stream's header does not know its length.
    let mut file = output.stdout;
    let data = file.windows(4).position(|word| word == b"data").unwrap();
    let length = ((file.len() - data - 8) as u32).to_le_bytes();
    file[data + 4..data + 8].copy_from_slice(&length);
    let whole = ((file.len() - 8) as u32).to_le_bytes();
    file[4..8].copy_from_slice(&whole);
    read_wav(&file).unwrap()
}

/// The same every time.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }
}

fn through(channel: &Channel, pcm: &[i16], seed: u64) -> Vec<Row> {
    let mut random = Seeded(seed);
    // It begins anywhere between two frames.
    let mut sound = vec![0i16; 2000 + (random.next() * 160.0) as usize];
    let rate = 1.0 + channel.drift / 1e6;
    let length = (pcm.len() as f64 / rate) as usize;
    sound.extend((0..length.saturating_sub(2)).map(|n| {
        let at = n as f64 * rate;
        let (left, share) = (at as usize, at.fract());
        let value = f64::from(pcm[left]) * (1.0 - share)
            + f64::from(pcm[(left + 1).min(pcm.len() - 1)]) * share;
        (value * channel.gain).clamp(-32768.0, 32767.0) as i16
    }));
    sound.extend([0; 4000]);
    if channel.slip {
        let middle = sound.len() / 2;
        let again = sound[middle - 320..middle].to_vec();
        sound.splice(middle..middle, again);
    }
    let mut codecs: Vec<(Encoder, Decoder)> = Vec::new();
    if channel.opus {
        codecs.push((
            Encoder::opus(OpusSettings::default()).unwrap(),
            Decoder::new(Codec::Opus).unwrap(),
        ));
    }
    if !channel.opus || channel.name.contains("then") {
        codecs.push((Encoder::new(Codec::Pcma).unwrap(), Decoder::new(Codec::Pcma).unwrap()));
    }
    let mut heard = Vec::new();
    for frame in sound.chunks_exact(FRAME) {
        let lost = random.next() < channel.loss;
        let mut pcm = frame.to_vec();
        for (encoder, decoder) in &mut codecs {
            let (mut payload, mut out) = (Vec::new(), Vec::new());
            encoder.encode(&pcm, &mut payload).unwrap();
            if lost || payload.is_empty() || decoder.decode(&payload, &mut out).is_err() {
                decoder.conceal(FRAME, &mut out);
            }
            pcm = out;
        }
        heard.extend(pcm);
    }
    rows(&heard, 0)
}

struct Set {
    /// By channel.
    right: Vec<Vec<Match>>,
    other: Vec<Match>,
    changed: Vec<Match>,
}

const NOTHING: Match = Match { start: 0, end: 0, whole: 0.0, window: 0.0 };

fn measure(voices: &[(&str, &[Said])]) -> Set {
    let mut set = Set {
        right: CHANNELS.iter().map(|_| Vec::new()).collect(),
        other: Vec::new(),
        changed: Vec::new(),
    };
    for (voice, sentences) in voices {
        let spoken: Vec<(Vec<i16>, Vec<i16>)> =
            sentences.iter().map(|(a, b)| (speak(voice, a), speak(voice, b))).collect();
        for (index, (pcm, changed)) in spoken.iter().enumerate() {
            let reference = Reference::new("prompt", pcm).unwrap();
            let hears = |rows: &[Row]| reference.best(rows).unwrap_or(NOTHING);
            for (number, channel) in CHANNELS.iter().enumerate() {
                let seed = (index * 100 + number) as u64 + voice.len() as u64 * 7919;
                set.right[number].push(hears(&through(channel, pcm, seed)));
            }
            let mut padded = changed.clone();
            padded.resize(changed.len().max(pcm.len()) + 4000, 0);
            set.changed.push(hears(&through(&CHANNELS[0], &padded, 1)));
            for (other, (wrong, _)) in spoken.iter().enumerate() {
                if other != index {
                    let mut padded = wrong.clone();
                    padded.resize(wrong.len().max(pcm.len()) + 4000, 0);
                    set.other.push(hears(&through(&CHANNELS[0], &padded, 2)));
                }
            }
        }
    }
    set
}

fn passes(found: &Match) -> bool {
    found.passes(WHOLE, WINDOW)
}

/// The least, the median, the most.
fn spread(values: impl Iterator<Item = f32>) -> [f32; 3] {
    let mut all: Vec<f32> = values.collect();
    all.sort_by(f32::total_cmp);
    [all[0], all[all.len() / 2], all[all.len() - 1]]
}

fn table(chosen: &Set, judged: &Set) -> String {
    let mut text = String::from(
        "| heard | chosen: whole, least / median | worst 0.6 s, least / median | judged: whole | worst 0.6 s |\n\
         |---|---|---|---|---|\n",
    );
    let line = |text: &mut String, name: &str, a: &[Match], b: &[Match]| {
        let two = |all: &[Match], of: fn(&Match) -> f32| {
            let [least, median, _] = spread(all.iter().map(of));
            format!("{least:.2} / {median:.2}")
        };
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} |",
            two(a, |m| m.whole),
            two(a, |m| m.window),
            two(b, |m| m.whole),
            two(b, |m| m.window)
        );
    };
    for (number, channel) in CHANNELS.iter().enumerate() {
        line(&mut text, channel.name, &chosen.right[number], &judged.right[number]);
    }
    let most = |all: &[Match], of: fn(&Match) -> f32| spread(all.iter().map(of))[2];
    for (name, a, b) in [
        ("another prompt (most)", &chosen.other, &judged.other),
        ("one word changed (most)", &chosen.changed, &judged.changed),
    ] {
        let _ = writeln!(
            text,
            "| {name} | {:.2} | {:.2} | {:.2} | {:.2} |",
            most(a, |m| m.whole),
            most(a, |m| m.window),
            most(b, |m| m.whole),
            most(b, |m| m.window)
        );
    }
    text.push_str("\n| with 0.75 and 0.60 | chosen | judged |\n|---|---|---|\n");
    let count = |all: Vec<&Match>, of: fn(&Match) -> bool| {
        format!("{} of {}", all.iter().filter(|m| of(m)).count(), all.len())
    };
    let right = |set: &Set| count(set.right.iter().flatten().collect(), |m| !passes(m));
    let other = |set: &Set| count(set.other.iter().collect(), passes);
    let changed = |set: &Set| count(set.changed.iter().collect(), passes);
    let by_whole = |set: &Set| count(set.changed.iter().collect(), |m| m.whole >= WHOLE);
    for (name, of) in [
        ("right prompts refused", &right as &dyn Fn(&Set) -> String),
        ("other prompts taken", &other),
        ("prompts with one word changed taken", &changed),
        ("the same by the whole alone", &by_whole),
    ] {
        let _ = writeln!(text, "| {name} | {} | {} |", of(chosen), of(judged));
    }
    text
}

const FROM: &str = "<!-- table: tests/ivr_prompts.rs -->\n";
const TO: &str = "<!-- end of table -->";

#[test]
fn prompts_are_told_apart_as_the_documentation_says() {
    let (chosen, judged) = (measure(CHOSEN), measure(JUDGED));
    let made = table(&chosen, &judged);
    println!("{made}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ivr-testing.md");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(FROM).unwrap();
    let (written, after) = rest.split_once(TO).unwrap();
    if std::env::var_os("WRITE_TABLE").is_some() {
        fs::write(&file, format!("{before}{FROM}{made}{TO}{after}")).unwrap();
    } else {
        // Another version of the speaker speaks a little differently.
        let numbers = |text: &str| -> Vec<f64> {
            text.split(|c: char| !c.is_ascii_digit() && c != '.')
                .filter_map(|word| word.parse().ok())
                .collect()
        };
        let (a, b) = (numbers(&made), numbers(written));
        assert_eq!(a.len(), b.len(), "docs/ivr-testing.md has another table:\n{made}");
        for (a, b) in a.iter().zip(&b) {
            assert!(
                (a - b).abs() <= if *a > 2.0 { 2.0 } else { 0.05 },
                "{a} is {b} in the docs:\n{made}"
            );
        }
    }
    for (name, set) in [("chosen", &chosen), ("judged", &judged)] {
        let right: Vec<&Match> = set.right.iter().flatten().collect();
        let refused = right.iter().filter(|m| !passes(m)).count();
        assert!(refused * 100 <= right.len(), "{name}: {refused} of {} refused", right.len());
        assert_eq!(set.other.iter().filter(|m| passes(m)).count(), 0, "{name}: others taken");
        let taken = set.changed.iter().filter(|m| passes(m)).count();
        assert!(taken * 10 <= set.changed.len(), "{name}: {taken} with a word changed taken");
    }
}
