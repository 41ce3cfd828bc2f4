//! From calls that only listened to references and a draft of a scenario: what `ivr record` and
//! `ivr crawl` keep.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use super::ear::Ear;
use super::prompt::{Reference, WHOLE, WINDOW};
use super::scenario::{Act, Case, Dtmf, Expect, Keep, Library, Network, Scenario, Step, Via};
use crate::codec::{FRAME, Rate};

/// A case that calls, presses `keys` one after the other with `settle` before each, and then listens.
pub fn listening(
    target: &str,
    via: Via,
    dtmf: Dtmf,
    keys: &str,
    settle: Duration,
    listen: Duration,
) -> Case {
    let step = |name: &str, act: Option<Act>, expect: Vec<Expect>| Step {
        name: name.to_owned(),
        line: 0,
        act,
        expect,
        secret: false,
    };
    let answered = Expect::Sip { status: 200, within: Duration::from_secs(30) };
    let mut steps = vec![step("answered", None, vec![answered])];
    for key in keys.chars() {
        steps.push(step("settle", Some(Act::Wait(settle)), Vec::new()));
        steps.push(step(&format!("press {key}"), Some(Act::Press(key.to_string())), Vec::new()));
    }
    steps.push(step("listen", Some(Act::Wait(listen)), Vec::new()));
    let count = keys.chars().count() as u32;
    let scenario = Scenario {
        file: String::new(),
        name: format!("listen to {target}"),
        target: target.to_owned(),
        from: None,
        at: None,
        plan: None,
        via,
        dtmf,
        network: Network::default(),
        prompts: String::new(),
        call_limit: Duration::from_secs(60) + listen + (settle + Duration::from_secs(1)) * count,
        steps,
        record: Keep::Always,
        variants: Vec::new(),
    };
    Case {
        scenario: Arc::new(scenario),
        library: Arc::new(Library::new()),
        variant: None,
        via,
        dtmf,
        network: Network::default(),
    }
}

/// What was said first from `from` on: up to a pause of `pause`, with 60 ms of silence around it. `None`
/// where nothing was.
pub fn utterance(heard: &[i16], from: Duration, pause: Duration) -> Option<Vec<i16>> {
    let mut ear = Ear::default();
    heard.chunks(FRAME).for_each(|frame| ear.hear(frame));
    let rows = |duration: Duration| (duration.as_millis() / 20) as usize;
    let mut start = ear.first_sound(rows(from))?;
    // What was being said when the key went down is cut off within a moment: it is no answer.
    if start <= rows(from) + 1 {
        let quiet = (start..ear.len()).find(|row| (0..5).all(|n| ear.is_silent(row + n)));
        if let Some(quiet) = quiet.filter(|quiet| *quiet < start + 25) {
            start = ear.first_sound(quiet)?;
        }
    }
    let mut end = start;
    let mut silent = 0;
    for row in start..ear.len() {
        if ear.is_silent(row) {
            silent += 1;
            if silent > rows(pause) {
                break;
            }
        } else {
            (silent, end) = (0, row + 1);
        }
    }
    let from = start.saturating_sub(3) * FRAME;
    Some(heard[from..((end + 3) * FRAME).min(heard.len())].to_vec())
}

/// A mono WAV file at 8 kHz.
pub fn mono_wav(pcm: &[i16]) -> Option<Vec<u8>> {
    mono_wav_at(pcm, Rate::Narrow)
}

/// The same at any rate.
pub fn mono_wav_at(pcm: &[i16], rate: Rate) -> Option<Vec<u8>> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate.hz(),
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).ok()?;
    pcm.iter().try_for_each(|sample| writer.write_sample(*sample)).ok()?;
    writer.finalize().ok()?;
    Some(file.into_inner())
}

/// A menu tree as far as it was walked: which keys lead to which prompts.
#[derive(Debug, Default)]
pub struct Map {
    prompts: Vec<(String, Reference, Vec<i16>)>,
    /// Keys from the beginning, and the prompt heard; `None` where nothing was.
    places: BTreeMap<String, Option<usize>>,
    waiting: VecDeque<String>,
    depth: usize,
}

impl Map {
    /// A map to be walked `depth` keys deep.
    pub fn new(depth: usize) -> Map {
        Map { depth, waiting: VecDeque::from([String::new()]), ..Map::default() }
    }

    /// The keys to press in the next call.
    pub fn next_keys(&mut self) -> Option<String> {
        self.waiting.pop_front()
    }

    /// The most calls there can be.
    pub fn most_calls(&self) -> usize {
        (0..=self.depth).map(|depth| KEYS.len().pow(depth as u32)).sum()
    }

    /// What was heard after these keys. A prompt that is known leads nowhere new.
    pub fn heard(&mut self, keys: &str, pcm: Option<Vec<i16>>) -> String {
        let reference = pcm.and_then(|pcm| {
            let name = file_name(keys);
            Reference::new(&name, &pcm).ok().map(|reference| (name, reference, pcm))
        });
        let Some((name, reference, pcm)) = reference else {
            self.places.insert(keys.to_owned(), None);
            return "nothing".to_owned();
        };
        let mut padded = pcm.clone();
        padded.extend([0; 10 * FRAME]);
        let rows = super::rows(&padded, 0);
        let known = self.prompts.iter().position(|(_, other, _)| {
            other.rows().abs_diff(reference.rows()) < 25
                && other.best(&rows).is_some_and(|m| m.passes(WHOLE, WINDOW))
        });
        let index = known.unwrap_or(self.prompts.len());
        if known.is_none() {
            self.prompts.push((name, reference, pcm));
            if keys.chars().count() < self.depth {
                self.waiting.extend(KEYS.chars().map(|key| format!("{keys}{key}")));
            }
        }
        self.places.insert(keys.to_owned(), Some(index));
        format!("{}{}", self.prompts[index].0, if known.is_some() { " (again)" } else { "" })
    }

    /// The prompts, by the names of their files.
    pub fn prompts(&self) -> impl Iterator<Item = (String, &[i16])> {
        self.prompts.iter().map(|(name, _, pcm)| (format!("{name}.wav"), pcm.as_slice()))
    }

    /// Drafts by the names of their files, each a call that runs as it stands: one for every end of the
    /// tree, the deepest first, which is `draft.yaml`.
    pub fn scenarios(&self, target: &str, via: Via) -> Vec<(String, String)> {
        let is_new = |keys: &str| match self.places.get(keys) {
            Some(Some(index)) => self.prompts[*index].0 == file_name(keys),
            _ => false,
        };
        let new: Vec<&str> = self.places.keys().map(String::as_str).filter(|k| is_new(k)).collect();
        let goes_on = |keys: &str| {
            new.iter().any(|other| other.len() > keys.len() && other.starts_with(keys))
        };
        let mut ends: Vec<&str> = new.iter().copied().filter(|keys| !goes_on(keys)).collect();
        ends.sort_by_key(|keys| std::cmp::Reverse(keys.len()));
        if ends.is_empty() {
            ends.push("");
        }
        let draft = |(number, keys): (usize, &&str)| {
            let mut text = self.draft(target, via, keys);
            if number == 0 {
                text.push_str(&self.remarks());
                return ("draft.yaml".to_owned(), text);
            }
            (format!("draft-{}.yaml", file_name(keys)), text)
        };
        ends.iter().enumerate().map(draft).collect()
    }

    /// The call that presses these keys one after the other.
    fn draft(&self, target: &str, via: Via, keys: &str) -> String {
        let pressed = if keys.is_empty() { "nothing" } else { keys };
        let mut text = format!(
            "# A draft of `crosspoint ivr crawl`. Give the prompts their names and keep what matters.\n\
             # `complete: false`: the first 1.2 s of a prompt are enough.\n\
             version: 1\nname: {:?}\ntarget: {target:?}\nvia: {}\n\
             prompts: prompts/\nsteps:\n  - name: answered\n    expect:\n      \
             sip: {{ status: 200, within: 10s }}\n",
            format!("menu of {target}, {pressed} pressed"),
            via.word()
        );
        for (number, end) in (0..=keys.len()).enumerate() {
            let Some(Some(index)) = self.places.get(&keys[..end]) else { continue };
            let name = &self.prompts[*index].0;
            let _ = writeln!(text, "  - name: {name}");
            if let Some(key) = number.checked_sub(1).and_then(|n| keys.get(n..end)) {
                let _ = writeln!(text, "    press: \"{key}\"");
            }
            let _ = writeln!(
                text,
                "    expect:\n      prompt: {{ file: {name}.wav, within: 10s, complete: false }}"
            );
        }
        text.push_str("  - hangup: true\n");
        text
    }

    /// What the other keys do, as comments.
    fn remarks(&self) -> String {
        let mut text = String::new();
        for (keys, place) in self.places.iter().filter(|(keys, _)| !keys.is_empty()) {
            let _ = match place {
                Some(index) => writeln!(text, "# {keys} leads to {}", self.prompts[*index].0),
                None => writeln!(text, "# nothing is heard after {keys}"),
            };
        }
        text
    }
}

fn file_name(keys: &str) -> String {
    let word = |key: char| match key {
        '*' => "star".to_owned(),
        '#' => "pound".to_owned(),
        key => key.to_string(),
    };
    if keys.is_empty() {
        return "start".to_owned();
    }
    format!("after-{}", keys.chars().map(word).collect::<Vec<_>>().join("-"))
}

const KEYS: &str = "0123456789*#";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::read_wav;
    use crate::ivr::{Folder, Format, read};

    fn sound(file: &[u8]) -> Vec<i16> {
        read_wav(file).unwrap()
    }

    #[test]
    fn the_first_thing_said_is_cut_out() {
        let word = sound(include_bytes!("../carrier/prompts/goodbye.wav"));
        let mut heard = vec![0; 8000];
        heard.extend(&word);
        heard.extend([0; 24_000]);
        heard.extend(&word);
        let cut = utterance(&heard, Duration::from_millis(200), Duration::from_secs(1)).unwrap();
        assert!(cut.len().abs_diff(word.len()) < 1600, "{} of {}", cut.len(), word.len());
        assert!(Reference::new("x", &cut).is_ok());
        assert_eq!(utterance(&[0; 16_000], Duration::ZERO, Duration::from_secs(1)), None);
    }

    #[test]
    fn a_known_prompt_is_not_walked_again() {
        let menu = sound(include_bytes!("../carrier/prompts/menu.wav"));
        let about = sound(include_bytes!("../carrier/prompts/about.wav"));
        let mut map = Map::new(2);
        assert_eq!(map.most_calls(), 157);
        assert_eq!(map.next_keys().as_deref(), Some(""));
        assert_eq!(map.heard("", Some(menu.clone())), "start");
        assert_eq!(map.next_keys().as_deref(), Some("0"));
        assert_eq!(map.heard("0", Some(about)), "after-0");
        assert_eq!(map.heard("*", Some(menu)), "start (again)");
        assert_eq!(map.heard("#", None), "nothing");
        let left: Vec<String> = std::iter::from_fn(|| map.next_keys()).collect();
        assert!(left.contains(&"01".to_owned()) && !left.contains(&"*1".to_owned()));
        let drafts = map.scenarios("601", Via::Trunk);
        assert_eq!(drafts.len(), 1);
        let remarks = "hangup: true\n# nothing is heard after #\n# * leads to start\n# 0 leads to \
                       after-0\n";
        assert!(drafts[0].1.ends_with(remarks), "{}", drafts[0].1);
    }

    /// Two ends of a tree, both beyond the first key: two scenarios that are read and walk there.
    #[test]
    fn what_is_found_beyond_the_first_key_is_walked_by_a_draft() {
        let wav = |name: &str| -> &'static [u8] {
            match name {
                "start" => include_bytes!("../carrier/prompts/menu.wav"),
                "after-1" => include_bytes!("../carrier/prompts/about.wav"),
                "after-1-star" => include_bytes!("../carrier/prompts/goodbye.wav"),
                _ => include_bytes!("../carrier/prompts/unavailable.wav"),
            }
        };
        let mut map = Map::new(3);
        for (keys, name) in [
            ("", "start"),
            ("1", "after-1"),
            ("1*", "after-1-star"),
            ("12", "start"),
            ("2", "after-2"),
        ] {
            map.heard(keys, Some(sound(wav(name))));
        }
        struct Prompts(Vec<(String, Vec<u8>)>);
        impl Folder for Prompts {
            fn read(&self, path: &str) -> Result<Vec<u8>, String> {
                let found = self.0.iter().find(|(name, _)| path == format!("prompts/{name}"));
                found.map(|(_, wav)| wav.clone()).ok_or_else(|| "missing".to_owned())
            }
            fn sounds(&self, _folder: &str) -> Vec<String> {
                Vec::new()
            }
        }
        let prompts = map.prompts().map(|(name, pcm)| (name, mono_wav(pcm).unwrap())).collect();
        let prompts = Prompts(prompts);
        let drafts = map.scenarios("sip:601@127.0.0.1:5070", Via::Trunk);
        let walked: Vec<(String, Vec<String>, usize)> = drafts
            .iter()
            .map(|(file, text)| {
                let (scenario, library) = read(text, file, Format::Yaml, &prompts).unwrap();
                let keys = scenario.steps.iter().filter_map(|step| match &step.act {
                    Some(Act::Press(keys)) => Some(keys.clone()),
                    _ => None,
                });
                (file.clone(), keys.collect(), library.len())
            })
            .collect();
        let keys = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            walked,
            [
                ("draft.yaml".to_owned(), keys(&["1", "*"]), 3),
                ("draft-after-2.yaml".to_owned(), keys(&["2"]), 2)
            ]
        );
        assert!(drafts[0].1.contains("# 12 leads to start\n"), "{}", drafts[0].1);
    }
}
