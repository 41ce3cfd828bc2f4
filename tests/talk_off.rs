//! No digit in speech (ITU-T Q.24: talk-off): the in-band detector listens to `espeak-ng` reading in
//! several voices and languages. Five minutes on every run, an hour where it is asked for. What was
//! spoken is kept under `target/` and spoken only once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crosspoint::dtmf::{InbandDetector, Output, ToneGuard};

/// A language and something to read in it.
const TEXTS: [(&str, &str); 8] = [
    (
        "en-us",
        "Thank you for calling the city library. Our opening hours are Monday to Friday from nine in the morning until half past six in the evening. If you would like to renew a book, please have your card ready. For the reading room, the children's library or the music collection, stay on the line and somebody will be with you shortly. You may also leave a message after the tone.",
    ),
    (
        "en-gb",
        "The train now standing at platform four is the delayed eleven forty-two service to Edinburgh, calling at Peterborough, Doncaster, York, Darlington and Newcastle. We are sorry for the late departure of this train, which is due to a signalling fault near the tunnel. Passengers are reminded not to leave any bags unattended, and to hold on to the rail when using the stairs.",
    ),
    (
        "de",
        "Guten Tag, Sie sprechen mit dem Bürgerbüro. Im Augenblick sind alle Leitungen belegt, bitte haben Sie einen Moment Geduld. Für einen neuen Reisepass benötigen Sie ein biometrisches Lichtbild, Ihren bisherigen Ausweis und die Geburtsurkunde. Die Bearbeitung dauert ungefähr drei bis vier Wochen. Bei schönem Wetter fahren die Züge über die Brücke häufiger.",
    ),
    (
        "fr",
        "Bonjour et bienvenue chez votre médecin. Le cabinet est ouvert du lundi au vendredi de huit heures à midi et de quatorze heures à dix-huit heures trente. En cas d'urgence, veuillez raccrocher et composer immédiatement le numéro des secours. Pour prendre un rendez-vous, laissez votre nom et votre adresse, nous vous rappellerons aussitôt que possible.",
    ),
    (
        "es",
        "Buenas tardes, gracias por esperar. Todos nuestros agentes están ocupados en este momento, pero su llamada es muy importante para nosotros. Si desea conocer el saldo de su cuenta, tenga a mano el número de cliente que aparece en la parte superior de la última factura. El tiempo de espera es de unos cinco minutos aproximadamente.",
    ),
    (
        "it",
        "Buongiorno, avete chiamato la segreteria del teatro comunale. Gli spettacoli della prossima settimana cominciano alle venti e trenta, tranne la domenica, quando il sipario si alza alle diciassette. I biglietti si possono ritirare alla cassa fino a un'ora prima dell'inizio. Ringraziamo per la pazienza e vi auguriamo una piacevole serata.",
    ),
    (
        "pl",
        "Dzień dobry, tu informacja kolejowa. Pociąg pospieszny do Szczecina przez Poznań i Krzyż odjedzie z toru drugiego przy peronie czwartym z opóźnieniem około piętnastu minut. Opóźnienie może ulec zmianie. Prosimy zachować ostrożność i nie zbliżać się do krawędzi peronu. Życzymy państwu przyjemnej podróży.",
    ),
    (
        "pt-br",
        "Olá, você ligou para a central de atendimento da companhia de água. Para sua segurança, esta ligação poderá ser gravada. Se a sua rua está sem água desde ontem à noite, saiba que nossas equipes já estão trabalhando no conserto da tubulação. A previsão é de que o abastecimento volte ao normal até o fim da tarde de hoje.",
    ),
];

/// Words a minute, and the pitch from 0 to 99.
const MANNERS: [(u32, u32); 8] =
    [(165, 50), (140, 25), (190, 80), (155, 10), (215, 60), (130, 95), (175, 35), (150, 70)];
/// Variants of the voice that `espeak-ng` has.
const VARIANTS: [&str; 4] = ["", "+f3", "+m7", "+croak"];

#[test]
fn v23_five_minutes_of_speech() {
    listen(Duration::from_secs(5 * 60));
}

/// `cargo test --test talk_off -- --ignored`
#[test]
#[ignore = "an hour of speech takes minutes to make"]
fn v23_an_hour_of_speech() {
    listen(Duration::from_secs(60 * 60));
}

fn listen(least: Duration) {
    let mut spoken = Duration::ZERO;
    let (mut detector, mut guard) = (InbandDetector::new(), ToneGuard::new());
    let start = Instant::now();
    let (mut frames, mut muted, mut kept_back, mut loud) = (0_u32, 0_u32, 0_u32, 0_u32);
    let readings = (0..MANNERS.len() * VARIANTS.len()).flat_map(|n| TEXTS.map(|text| (n, text)));
    for (n, (voice, text)) in readings {
        let (speed, pitch) = MANNERS[n % MANNERS.len()];
        let variant = VARIANTS[(n / MANNERS.len() + n) % VARIANTS.len()];
        let speech = speak(&format!("{voice}{variant}"), speed, pitch, text);
        for frame in speech.chunks(160) {
            spoken += Duration::from_micros(frame.len() as u64 * 125);
            detector.handle_input(start + spoken, frame);
            frames += 1;
            muted += u32::from(detector.is_on());
            let mut passed = [0; 160];
            passed[..frame.len()].copy_from_slice(frame);
            guard.pass(&mut passed);
            kept_back += u32::from(passed[..frame.len()] != *frame);
            // -20 dBm0: far above the quietest digit.
            loud += u32::from(frame.iter().any(|sample| sample.abs() > 3_000));
            if let Output::Digit(event) = detector.poll_output() {
                panic!("{event:?} in {voice}{variant} at {speed} and {pitch}, {spoken:?} in");
            }
        }
        if spoken >= least {
            println!(
                "{spoken:?} of speech, {loud} of {frames} frames loud, {muted} doubtful, {kept_back} kept \
                 back, no digit"
            );
            assert!(loud * 2 > frames, "that was hardly speech");
            // A frame that might begin a digit is kept from the page: that must not be heard.
            assert!(muted * 2_000 <= frames, "{muted} of {frames} frames muted");
            assert!(kept_back * 1_000 <= frames, "{kept_back} of {frames} frames kept back");
            return;
        }
    }
    panic!("only {spoken:?} to say");
}

/// A reading at 8 kHz, as loud as speech is on a telephone.
fn speak(voice: &str, speed: u32, pitch: u32, text: &str) -> Vec<i16> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("speech");
    std::fs::create_dir_all(&folder).expect("a folder under target/");
    let file: PathBuf = folder.join(format!("{voice}-{speed}-{pitch}.wav"));
    if !file.exists() {
        let unfinished = file.with_extension(format!("{}", std::process::id()));
        let status = Command::new("espeak-ng")
            .args(["-v", voice, "-s", &speed.to_string(), "-p", &pitch.to_string(), "-w"])
            .arg(&unfinished)
            .arg(text)
            .status()
            .unwrap_or_else(|e| panic!("espeak-ng does not start: {e} (make test installs it)"));
        assert!(status.success(), "espeak-ng has no voice {voice}");
        std::fs::rename(&unfinished, &file).expect("espeak-ng wrote it");
    }
    let mut reader = hound::WavReader::open(&file).expect("a WAV file");
    let rate = f64::from(reader.spec().sample_rate);
    let speech: Vec<f64> =
        reader.samples::<i16>().map(|s| f64::from(s.expect("16 bits"))).collect();
    let step = rate / 8000.0;
    let count = (speech.len() as f64 / step) as usize;
    let average = |from: f64| {
        let part = &speech[from as usize..((from + step).ceil() as usize).min(speech.len())];
        part.iter().sum::<f64>() / part.len().max(1) as f64
    };
    (0..count).map(|n| average(n as f64 * step) as i16).collect()
}
