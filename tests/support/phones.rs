//! Phones that are not ours: baresip (plays a file, records what it hears), sipp (scenarios) and
//! linphonec (keys by SIP INFO).

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::certificates::Authority;
use super::process::Process;
use super::{TempDir, free_port};

/// baresip as a phone that answers by itself, plays a tone and records what it hears.
pub struct Baresip {
    pub port: u16,
    pub control_port: u16,
    keys_port: u16,
    pub process: Process,
    dir: TempDir,
}

/// What a phone speaks SIP by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Udp,
    Tcp,
    Tls,
}

impl By {
    pub fn word(self) -> &'static str {
        match self {
            By::Udp => "udp",
            By::Tcp => "tcp",
            By::Tls => "tls",
        }
    }
}

/// Whether a phone encrypts its media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    Plain,
    /// RTP/AVP with keys.
    Srtp,
    /// RTP/SAVP.
    SrtpRequired,
}

impl Baresip {
    /// A phone that plays a sine of `hz` at `dbm0`, speaks SIP in this way, encrypts its media so, and
    /// shows the certificate `phone` of the authority, which it believes. TLS is at `port + 1`.
    pub fn start_as(hz: f64, dbm0: f64, by: By, media: Media, authority: &Authority) -> Baresip {
        let settings = format!(
            "module srtp.so\nsip_certificate {}\nsip_cafile {}\n",
            authority.both("phone").display(),
            authority.file().display()
        );
        let encryption = match media {
            Media::Plain => "",
            Media::Srtp => ";mediaenc=srtp",
            Media::SrtpRequired => ";mediaenc=srtp-mand",
        };
        let account = format!(
            "<sip:700@127.0.0.1;transport={}>;regint=0;answermode=auto;audio_codecs=pcmu{encryption}\n",
            by.word()
        );
        Baresip::start_with(hz, dbm0, &settings, &account)
    }

    /// A phone that plays a sine of `hz` at `dbm0`.
    pub fn start(hz: f64, dbm0: f64) -> Baresip {
        // This release takes calls for its own user only: the number that the plan lets through.
        Baresip::start_for("700", hz, dbm0)
    }

    /// The same for another user.
    pub fn start_for(user: &str, hz: f64, dbm0: f64) -> Baresip {
        let account =
            format!("<sip:{user}@127.0.0.1>;regint=0;answermode=auto;audio_codecs=pcmu\n");
        Baresip::start_with(hz, dbm0, "", &account)
    }

    /// The same with a row of codecs, best first, as `audio_codecs` names them.
    pub fn start_with_codecs(rate: u32, hz: f64, codecs: &str, ptime: u32) -> Baresip {
        let codecs = if codecs == "opus" { "opus/48000/2" } else { codecs };
        let account = format!(
            "<sip:700@127.0.0.1>;regint=0;answermode=auto;ptime={ptime};audio_codecs={codecs}\n"
        );
        Baresip::start_at(rate, hz, -20.0, "module g722.so\nmodule opus.so\n", &account)
    }

    /// The same with further settings, and an account as its file of accounts has it.
    pub fn start_with(hz: f64, dbm0: f64, settings: &str, account: &str) -> Baresip {
        Baresip::start_at(8_000, hz, dbm0, settings, account)
    }

    /// The same with a tone at another rate than 8 kHz.
    fn start_at(rate: u32, hz: f64, dbm0: f64, settings: &str, account: &str) -> Baresip {
        let dir = TempDir::new("baresip");
        // It listens for TLS one port above.
        let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", port.wrapping_add(1))).is_ok();
        let port = (0..100).map(|_| free_port()).find(is_free).unwrap();
        let (control_port, keys_port) = (free_port(), free_port());
        // It plays a file only in as many channels as its codec has: Opus, at 48 kHz, has two.
        let channels = if rate == 48_000 { 2 } else { 1 };
        super::sound::write_tone_in(channels, &dir.join("tone.wav"), rate, hz, dbm0, 90.0);
        let here = dir.path().display();
        let config = format!(
            "poll_method epoll\n\
             sip_listen 127.0.0.1:{port}\n\
             net_interface 127.0.0.1\n\
             module_path /usr/lib/baresip/modules\n\
             module g711.so\n\
             module aufile.so\n\
             module aubridge.so\n\
             module sndfile.so\n\
             module_tmp uuid.so\n\
             module_tmp account.so\n\
             module_app menu.so\n\
             module_app ctrl_tcp.so\n\
             ctrl_tcp_listen 127.0.0.1:{control_port}\n\
             module_app httpd.so\n\
             http_listen 127.0.0.1:{keys_port}\n\
             audio_source aufile,{here}/tone.wav\n\
             audio_player aubridge,sink\n\
             audio_alert aubridge,alert\n\
             snd_path {here}\n{settings}"
        );
        fs::write(dir.join("config"), config).unwrap();
        fs::write(dir.join("accounts"), account).unwrap();
        let process =
            Process::start("baresip", Command::new("baresip").arg("-v").arg("-f").arg(dir.path()));
        process.line_with("baresip is ready", Duration::from_secs(20));
        Baresip { port, control_port, keys_port, process, dir }
    }

    /// What it plays, from the beginning of each call.
    pub fn sound_file(&self) -> std::path::PathBuf {
        self.dir.join("tone.wav")
    }

    /// The telephone events it has been given so far: a key, and whether it was the key's end.
    pub fn telephone_events(&self) -> Vec<(char, bool)> {
        let output = self.process.output();
        let said = output.lines().filter_map(|line| line.strip_prefix("received event: '"));
        said.map(|event| {
            let key = event.chars().next().unwrap();
            (key, event.ends_with("(end=1)"))
        })
        .collect()
    }

    /// Each SIP INFO it has taken so far: the key and the milliseconds.
    pub fn infos(&self) -> Vec<(char, u32)> {
        let output = self.process.output();
        let said = output.lines().filter_map(|line| line.split_once("received DTMF: '"));
        said.map(|(_, info)| {
            let (_, duration) = info.split_once("duration=").unwrap();
            let duration: String = duration.chars().take_while(char::is_ascii_digit).collect();
            (info.chars().next().unwrap(), duration.parse().unwrap())
        })
        .collect()
    }

    /// Places a call, by its control port.
    pub fn dial(&self, uri: &str) {
        self.command("dial", uri);
    }

    /// Gives a command of its menu by its control port, a netstring of JSON: `hold`, `resume`. Gives what
    /// it said until its answer, events among it.
    pub fn command(&self, name: &str, params: &str) -> String {
        let mut control = TcpStream::connect(("127.0.0.1", self.control_port)).unwrap();
        let text = serde_json::json!({"command": name, "params": params}).to_string();
        write!(control, "{}:{text},", text.len()).unwrap();
        control.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // Events of its own may come first.
        let mut said = String::new();
        while !said.contains("\"response\":true") {
            let mut piece = [0; 1024];
            let length = control.read(&mut piece).unwrap();
            assert!(length > 0, "{name}: {said}");
            said.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        said
    }

    /// Presses and holds a key in its call, through its web page.
    pub fn press(&self, key: char) {
        self.web(if key == '#' { "%23".to_owned() } else { key.to_string() });
    }

    /// Releases the key that is pressed.
    pub fn release(&self) {
        self.web("%04".to_owned());
    }

    /// Sends keys in its call, each pressed and released at once (its command `sndcode`).
    pub fn send_code(&self, keys: &str) {
        for key in keys.chars() {
            let answer = self.command("sndcode", &key.to_string());
            assert!(answer.contains("\"ok\":true"), "baresip: {answer}");
            std::thread::park_timeout(Duration::from_millis(400));
        }
    }

    fn web(&self, key: String) {
        let mut web = TcpStream::connect(("127.0.0.1", self.keys_port)).unwrap();
        write!(web, "GET /?{key} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        web.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut answer = [0; 64];
        let length = web.read(&mut answer).unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "baresip's web page");
    }

    /// What it heard in its last call, as samples at 8 kHz; the call must be over.
    pub fn recording(&self) -> Vec<i16> {
        self.process.line_with("audio: destroyed", Duration::from_secs(20));
        let mut files: Vec<PathBuf> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        files.sort();
        let file = files.last().expect("baresip recorded nothing");
        super::sound::read_wav(file)
    }
}

/// sipp with one of its scenarios.
pub struct Sipp {
    pub port: u16,
    pub process: Process,
    dir: TempDir,
}

impl Sipp {
    /// sipp as the called side with a scenario file of `tests/sipp/`, for one call.
    pub fn answer(scenario: &str) -> Sipp {
        Sipp::start(scenario, free_port())
    }

    /// sipp as a phone whose sound goes to and comes from `rtp_port` and that writes down every INFO.
    pub fn listen(rtp_port: u16) -> Sipp {
        Sipp::start("answer-and-listen.xml", rtp_port)
    }

    /// sipp as the called side with a scenario made by the test; its sound goes to nobody's port.
    pub fn script(scenario: &str) -> Sipp {
        let dir = TempDir::new("sipp-script");
        let file = dir.join("scenario.xml");
        fs::write(&file, scenario).unwrap();
        Sipp::with(dir, file, free_port())
    }

    /// What it has got and sent so far, as it wrote it down.
    pub fn messages(&self) -> String {
        fs::read_to_string(self.dir.join("messages")).unwrap_or_default()
    }

    /// Waits until it has got so many of these.
    pub async fn got(&self, what: &str, times: usize) {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        let mut step = tokio::time::interval(Duration::from_millis(20));
        while self.messages().matches(what).count() < times {
            step.tick().await;
            let messages = self.messages();
            assert!(std::time::Instant::now() < deadline, "no {what:?}: {messages}");
        }
    }

    /// Lets a scenario go on that waits for MESSAGE. It gets the headers of its INVITE once more, so that what it
    /// answers next is the answer to that.
    pub fn go_on(&self) {
        let messages = self.messages();
        let invite = &messages[messages.find("INVITE sip:").expect("an INVITE came")..];
        let head = invite.lines().map(str::trim_end).take_while(|line| !line.is_empty());
        let head = head.filter(|line| !line.starts_with("Content-"));
        let text = head.collect::<Vec<_>>().join("\r\n").replacen("INVITE", "MESSAGE", 1);
        let text = format!("{text}\r\nContent-Length: 0\r\n\r\n");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(text.as_bytes(), ("127.0.0.1", self.port)).unwrap();
    }

    /// sipp as the calling side of one call to `to`, with a scenario made by the test.
    pub fn calling(scenario: &str, to: &str) -> Sipp {
        let dir = TempDir::new("sipp-script");
        let file = dir.join("scenario.xml");
        fs::write(&file, scenario).unwrap();
        Sipp::with_target(dir, file, free_port(), Some(to))
    }

    /// The scenario came to its end.
    pub fn is_content(&mut self) {
        let status = self.process.wait(Duration::from_secs(40));
        let errors = fs::read_dir(self.dir.path()).unwrap().filter_map(|entry| {
            let path = entry.unwrap().path();
            path.to_string_lossy().ends_with("errors.log").then(|| fs::read_to_string(path))
        });
        let errors: Vec<String> = errors.map(Result::unwrap).collect();
        assert!(status.success(), "sipp is not content: {errors:?}");
    }

    /// The same phone, but it answers every INFO with this status line, or not at all.
    pub fn refuse_info(rtp_port: u16, status: Option<&str>) -> Sipp {
        let listen = fs::read_to_string(scenario_file("answer-and-listen.xml")).unwrap();
        let (before, reply) = listen.split_once("<send next=\"listen\">").unwrap();
        let (reply, after) = reply.split_once("</send>").unwrap();
        let reply = match status {
            Some(status) => {
                format!("<send next=\"listen\">{}</send>", reply.replace("200 OK", status))
            }
            None => "<nop next=\"listen\"/>".to_owned(),
        };
        let dir = TempDir::new("sipp");
        let file = dir.join("scenario.xml");
        fs::write(&file, format!("{before}{reply}{after}")).unwrap();
        Sipp::with(dir, file, rtp_port)
    }

    /// sipp as a phone that sends INFO: of an unknown type, empty, `5` and `#` for 250 ms.
    pub fn send_info(rtp_port: u16) -> Sipp {
        Sipp::start("answer-and-send-info.xml", rtp_port)
    }

    fn start(scenario: &str, rtp_port: u16) -> Sipp {
        Sipp::with(TempDir::new("sipp"), scenario_file(scenario), rtp_port)
    }

    fn with(dir: TempDir, file: PathBuf, rtp_port: u16) -> Sipp {
        Sipp::with_target(dir, file, rtp_port, None)
    }

    fn with_target(dir: TempDir, file: PathBuf, rtp_port: u16, to: Option<&str>) -> Sipp {
        let port = free_port();
        let mut command = Command::new("sipp");
        command.current_dir(dir.path()).arg("-sf").arg(file);
        command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-m", "1"]);
        command.args(["-mi", "127.0.0.1", "-nostdin", "-timeout", "120"]);
        command.args(["-key", "rtp_port", &rtp_port.to_string()]);
        command.args(["-trace_err", "-deadcall_wait", "0", "-trace_msg", "-message_file"]);
        command.arg(dir.join("messages"));
        command.args(["-trace_logs", "-log_file"]).arg(dir.join("log"));
        command.args(to);
        let process = Process::start("sipp", &mut command);
        Sipp { port, process, dir }
    }

    /// Each INFO that it took: content type, key, milliseconds. The call must be over.
    pub fn infos(&mut self) -> Vec<(String, char, u32)> {
        let status = self.process.wait(Duration::from_secs(20));
        assert!(status.success(), "sipp is not content: {}", self.process.output());
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let infos = log.lines().filter_map(|line| line.trim().strip_prefix("INFO"));
        infos
            .map(|info| {
                let words: Vec<&str> = info.split_whitespace().collect();
                let [kind, signal, duration] = words[..] else { panic!("{info:?}") };
                let key = signal.split_once('=').unwrap().1.chars().next().unwrap();
                (kind.to_owned(), key, duration.split_once('=').unwrap().1.parse().unwrap())
            })
            .collect()
    }
}

fn scenario_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sipp").join(name)
}

/// linphonec as a phone that answers by itself and sends its keys by SIP INFO.
pub struct Linphone {
    pub port: u16,
    pub process: Process,
    dir: TempDir,
}

impl Linphone {
    pub fn start() -> Linphone {
        Linphone::start_as("700", By::Udp, Media::Plain, None)
    }

    /// A phone for this user that speaks SIP in this way, encrypts its media so, and believes the
    /// authority, whose certificate `phone` it shows.
    pub fn start_as(user: &str, by: By, media: Media, authority: Option<&Authority>) -> Linphone {
        Linphone::start_with(user, by, media, authority, "")
    }

    /// The same with further settings of its `[sip]` and tables after it.
    pub fn start_with(
        user: &str,
        by: By,
        media: Media,
        authority: Option<&Authority>,
        settings: &str,
    ) -> Linphone {
        let dir = TempDir::new("linphone");
        let port = free_port();
        let ports =
            [By::Udp, By::Tcp, By::Tls].map(|own| if own == by { i32::from(port) } else { -1 });
        let [udp, tcp, tls] = ports;
        let encryption = match media {
            Media::Plain => "none",
            Media::Srtp | Media::SrtpRequired => "srtp",
        };
        let digits = match settings.contains("use_info") {
            true => "",
            false => "use_info=1\nuse_rfc2833=0\n",
        };
        let mandatory = i32::from(media == Media::SrtpRequired);
        let believed = authority.map_or(String::new(), |authority| {
            format!(
                "root_ca={}\nverify_server_certs=1\nverify_server_cn=1\n",
                authority.file().display()
            )
        });
        let config = format!(
            "[sip]\nsip_port={udp}\nsip_tcp_port={tcp}\nsip_tls_port={tls}\n{digits}\
             guess_hostname=0\ncontact=\"phone\" <sip:{user}@127.0.0.1>\n\
             media_encryption={encryption}\nmedia_encryption_mandatory={mandatory}\n{believed}{settings}\n\
             [rtp]\naudio_rtp_port={}\n",
            free_port()
        );
        fs::write(dir.join("linphonerc"), config).unwrap();
        fs::create_dir_all(dir.join(".local/share/linphone")).unwrap();
        let mut command = Command::new("linphonec");
        command.env("HOME", dir.path()).current_dir(dir.path());
        // Nobody answers for it where it is to be heard before.
        if !settings.contains("early_media") {
            command.arg("-a");
        }
        // What becomes of comfort noise is in its log only.
        if settings.contains("use_cn") {
            command.args(["-d", "6"]);
        }
        command.arg("-S").arg("-c").arg(dir.join("linphonerc"));
        let process = Process::start_with_input("linphonec", &mut command);
        // Its prompt has no line of its own; this is the last line before it.
        process.line_with("video is disabled", Duration::from_secs(20));
        process.type_line("soundcard use files");
        process.line_with("Using wav files", Duration::from_secs(20));
        Linphone { port, process, dir }
    }

    /// Waits for a line that it says.
    pub fn says(&self, text: &str) {
        self.process.line_with(text, Duration::from_secs(20));
    }

    /// Plays a sine of `hz` at -20 dBm0 for so many seconds in its call, then the noise of a quiet room.
    pub fn play(&self, hz: f64, seconds: f64) {
        let file = self.dir.join("tone.wav");
        super::sound::write_tone_and_noise(&file, hz, -20.0, seconds, 20.0);
        self.command(&format!("play {}", file.display()));
    }

    /// Types a command.
    pub fn command(&self, line: &str) {
        self.process.type_line(line);
    }

    /// Presses keys of 0-9, * and # in the call.
    pub fn press(&self, keys: &str) {
        self.process.type_line(keys);
    }
}
