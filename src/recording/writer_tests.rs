//! Recordings through the writer to the disk and back, read by other programs.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::base::Secret;
use crate::codec::{Tone, Tones, goertzel_dbm0};
use crate::media::Recorder as _;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn settings(folder: &Path, format: Format, key: Option<&str>) -> Settings {
    let key = key.map(|key| Secret::new(key.to_owned()));
    Settings { folder: folder.to_owned(), format, key, keep: None }
}

fn id(n: u128) -> RecordingId {
    // 2026-11-21
    RecordingId::from_parts(1_795_219_200_000, n)
}

fn tone(frequency: f64, frames: usize) -> Vec<i16> {
    let mut pcm = vec![0; frames * 160];
    Tones::new(&[Tone { frequency, dbm0: -10.0 }]).fill(&mut pcm);
    pcm
}

/// Two seconds of 440 Hz on the left and 1000 Hz on the right.
fn record(settings: &Settings) -> (Recorder, Arc<Control>) {
    let recorder = Recorder::new(settings).unwrap();
    let start = Start {
        id: id(1),
        call: CallId::from_parts(1, 1),
        at: Timestamp::from_millisecond(1_795_219_200_000).unwrap(),
        caller: LegSide::Browser,
        pauses: Arc::default(),
    };
    let (mut tap, control) = recorder.begin(start).unwrap();
    let (left, right) = (tone(440.0, 100), tone(1000.0, 100));
    for (left, right) in left.chunks(160).zip(right.chunks(160)) {
        tap.frame(left, right);
    }
    drop(tap);
    while recorder.active() > 0 {
        std::thread::yield_now();
    }
    (recorder, control)
}

fn download(folder: &Folder, id: RecordingId) -> io::Result<Vec<u8>> {
    let mut opened = folder.open(id)?.expect("it is there");
    let mut all = Vec::new();
    while let Some(bytes) = opened.next_bytes()? {
        all.extend(bytes);
    }
    Ok(all)
}

fn channels(wav: &[u8]) -> [Vec<i16>; 2] {
    let mut read = hound::WavReader::new(wav).unwrap();
    assert_eq!(read.spec().channels, 2);
    let all: Vec<i16> = read.samples::<i16>().map(Result::unwrap).collect();
    [0, 1].map(|n| all.iter().skip(n).step_by(2).copied().collect())
}

fn has_its_tones(wav: &[u8], seconds: f64) {
    let [left, right] = channels(wav);
    assert!((left.len() as f64 / 8000.0 - seconds).abs() < 0.05, "{}", left.len());
    let middle = |side: &Vec<i16>| side[4000..12_000].to_vec();
    for (side, own, other) in [(left, 440.0, 1000.0), (right, 1000.0, 440.0)] {
        let side = middle(&side);
        assert!((goertzel_dbm0(&side, own) + 10.0).abs() < 1.0, "{}", goertzel_dbm0(&side, own));
        assert!(goertzel_dbm0(&side, other) < -50.0, "{}", goertzel_dbm0(&side, other));
    }
}

fn file_of(folder: &Path, end: &str) -> PathBuf {
    folder.join("2026-11-21").join(format!("{}.{end}", id(1)))
}

#[test]
fn both_sides_are_in_their_channels_and_the_file_is_found_listed_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, control) = record(&settings(folder.path(), Format::Wav, None));
    assert_eq!((control.lost_ms(), control.has_failed()), (0, false));
    assert_eq!((recorder.counts().kept(), recorder.counts().failed()), (1, 0));
    let file = fs::read(file_of(folder.path(), "wav")).unwrap();
    has_its_tones(&file, 2.0);
    assert_eq!(download(recorder.folder(), id(1)).unwrap(), file);
    let listed = recorder.folder().list(None, 10);
    assert_eq!((listed.len(), listed[0].duration_ms, listed[0].encrypted), (1, 2000, false));
    assert_eq!(listed[0].ended_at.unwrap().as_millisecond(), 1_795_219_202_000);
    assert_eq!(recorder.folder().list(Some(id(1)), 10), []);
    assert_eq!(recorder.folder().list(Some(id(2)), 10), listed);
    // Those that are older, and only those.
    assert_eq!(recorder.folder().sweep(1_795_219_200_000), 0);
    assert_eq!(recorder.folder().sweep(1_795_219_200_001), 1);
    assert!(!recorder.folder().remove(id(1)).unwrap());
    assert!(recorder.folder().open(id(1)).unwrap().is_none());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_a_killed_gateway_left_open_is_ended_at_the_next_start() {
    for (key, format) in [(None, Format::Wav), (Some(KEY), Format::Wav), (None, Format::Opus)] {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), format, key);
        let (recorder, _) = record(&settings);
        // As it is while it is on: no end, and a WAV that does not know its length.
        let view = recorder.folder().find(id(1)).unwrap();
        let open = RecordingView { ended_at: None, duration_ms: 0, ..view.clone() };
        recorder.folder().describe(&open).unwrap();
        if key.is_none() && format == Format::Wav {
            let mut file = File::options().write(true).open(file_of(folder.path(), "wav")).unwrap();
            file.write_all(&wav::header(Rate::Narrow, None)).unwrap();
        }
        drop(recorder);
        let next = Recorder::new(&settings).unwrap();
        let ended = loop {
            let now = next.folder().find(id(1)).unwrap();
            if now.ended_at.is_some() {
                break now;
            }
            std::thread::yield_now();
        };
        assert_eq!(ended.error.as_deref(), Some("the gateway ended before the recording did"));
        if format == Format::Wav {
            assert_eq!((ended.duration_ms, ended.ended_at), (2000, view.ended_at), "{key:?}");
            has_its_tones(&download(next.folder(), id(1)).unwrap(), 2.0);
        }
        if key.is_none() && format == Format::Wav {
            has_its_tones(&fs::read(file_of(folder.path(), "wav")).unwrap(), 2.0);
        }
    }
}

#[test]
fn opus_keeps_the_sides_apart_as_other_programs_hear_them() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, _) = record(&settings(folder.path(), Format::Opus, None));
    let (file, wav) = (file_of(folder.path(), "opus"), folder.path().join("decoded.wav"));
    assert_eq!(fs::read(&file).unwrap(), download(recorder.folder(), id(1)).unwrap());
    // The codec's own program, which knows nothing of ours.
    let mut opusdec = std::process::Command::new("opusdec");
    let decoded =
        opusdec.args(["--quiet", "--rate", "8000", "--no-dither"]).arg(&file).arg(&wav).output();
    let decoded = decoded.expect("opusdec is there: tools/setup.sh installs it");
    assert!(decoded.status.success(), "{}", String::from_utf8_lossy(&decoded.stderr));
    has_its_tones(&fs::read(&wav).unwrap(), 2.0);
}

#[test]
fn an_encrypted_recording_is_readable_with_its_key_and_not_without() {
    for format in [Format::Wav, Format::Opus] {
        let folder = tempfile::tempdir().unwrap();
        let (recorder, _) = record(&settings(folder.path(), format, Some(KEY)));
        let path = file_of(folder.path(), &format!("{}.sealed", format.word()));
        let sealed = fs::read(&path).unwrap();
        for plain in [&b"RIFF"[..], b"OggS", b"OpusHead"] {
            assert!(!sealed.windows(plain.len()).any(|w| w == plain));
        }
        let file = download(recorder.folder(), id(1)).unwrap();
        if format == Format::Wav {
            has_its_tones(&file, 2.0);
        } else {
            assert!(file.starts_with(b"OggS"));
        }
        for key in [None, Some("another key, as long as it has to be")] {
            let other = Recorder::new(&settings(folder.path(), format, key)).unwrap();
            let error = download(other.folder(), id(1)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        // A crash in the middle of a chunk costs that chunk.
        fs::write(&path, &sealed[..sealed.len() - 1000]).unwrap();
        let cut = download(recorder.folder(), id(1)).unwrap();
        assert!(cut.len() < file.len() && cut.len() > 1000, "{}", cut.len());
        if format == Format::Wav {
            assert_eq!(channels(&cut)[0].len() * 4 + 44, cut.len());
        }
        // A bit that was changed is told.
        let mut changed = sealed.clone();
        changed[3000] ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(download(recorder.folder(), id(1)).is_err());
    }
}

#[test]
fn a_folder_that_cannot_be_written_costs_the_recording_and_is_said() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be: also for root, who may write everywhere.
    let path = folder.path().join("taken");
    fs::write(&path, "").unwrap();
    let (recorder, control) = record(&settings(&path, Format::Wav, None));
    assert!(control.has_failed());
    assert_eq!((recorder.counts().kept(), recorder.counts().failed()), (0, 1));
}

#[test]
fn a_disk_that_is_full_leaves_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), Format::Wav, None);
    let recorder = Recorder::new(&settings).unwrap();
    let at = Timestamp::from_millisecond(1_795_219_200_000).unwrap();
    let (call, caller) = (CallId::from_parts(1, 1), LegSide::Browser);
    let start = Start { id: id(1), call, at, caller, pauses: Arc::default() };
    // What the system says to a write beyond the end of a disk, it says to one to /dev/full.
    let day = folder.path().join("2026-11-21");
    fs::create_dir(&day).unwrap();
    std::os::unix::fs::symlink("/dev/full", day.join("probe")).unwrap();
    let full = fs::OpenOptions::new().write(true).open(day.join("probe")).unwrap();
    let (sound, _) = Sound::begin(Format::Wav, Rate::Narrow, 0).unwrap();
    let mut output = Output { file: full, rate: Rate::Narrow, sound, seal: None, bytes: 0 };
    let error = output.put(vec![0; 640], false).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    // And the writer goes on with the next one.
    let (mut tap, control) = recorder.begin(start).unwrap();
    (0..20).for_each(|_| tap.frame(&[1; 160], &[2; 160]));
    drop(tap);
    while recorder.active() > 0 {
        std::thread::yield_now();
    }
    assert!(!control.has_failed());
}
