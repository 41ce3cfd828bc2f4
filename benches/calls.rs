//! Call set-up under load: the SIP engine and its driver as a back-to-back user agent on one core, a
//! generator of plain sockets on the other. Run by `make bench-calls`; what it measured is in
//! `docs/performance.md`.
//!
//! Each call is INVITE, 180, 200, ACK on both sides, and after a second BYE and 200: two dialogs, four
//! transactions, no media. The same generator calls itself without the gateway between, and the
//! difference is what the gateway adds.

#![allow(clippy::unwrap_used, reason = "a benchmark stops where something is wrong")]

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use crosspoint::sip::{
    Command, Destination, DriverConfig, Event, Invite, NameAddr, Session, Transport, driver,
};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n\
                   a=fmtp:101 0-16\r\na=ptime:20\r\n";
const HOLD: Duration = Duration::from_secs(1);

fn main() {
    if let Ok(callee) = std::env::var("CROSSPOINT_BENCH_CALLEE") {
        return gateway(callee.parse().unwrap());
    }
    // `cargo test --benches` only asks whether it runs.
    let quick = std::env::args().any(|argument| argument == "--test");
    let number = |name: &str, usual: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let seconds = if quick { 1 } else { number("BENCH_SECONDS", 30) };
    let rates = match std::env::var("BENCH_RATES") {
        Ok(text) => text.split(',').map(|rate| rate.parse().unwrap()).collect(),
        Err(_) if quick => vec![50],
        Err(_) => vec![500_u64, 750],
    };
    pin(std::process::id(), 1);
    for rate in rates {
        let callee = UdpSocket::bind("127.0.0.1:0").unwrap();
        let direct = Generator::new(callee, None).run(rate, Duration::from_secs(seconds.min(5)));
        let callee = UdpSocket::bind("127.0.0.1:0").unwrap();
        let gateway = Gateway::start(callee.local_addr().unwrap());
        let generator = Generator::new(callee, Some(gateway.address));
        // Pages and tables that every gateway has after its first minute.
        let generator = generator.warm_up(rate.min(200));
        let (memory, cpu) = (gateway.memory(), gateway.cpu());
        let through = generator.run(rate, Duration::from_secs(seconds));
        let cpu = gateway.cpu() - cpu;
        let peak = gateway.memory();
        // RFC 3261: the last transaction ends 32 s after its call.
        let rest = if quick { Duration::ZERO } else { Duration::from_secs(36) };
        std::thread::sleep(rest);
        let after = gateway.memory();
        let added = through.p99().saturating_sub(direct.p99());
        println!(
            "{rate} calls/s for {seconds} s: {} calls, {} failed, {} requests sent again; INVITE to 180 \
             p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms, of that added at p99 {:.2} ms; CPU {:.3} ms a call ({:.0} % of \
             one core); memory {:.1} MiB before, {:.1} at the end of the load, {:.1} after {} s",
            through.calls,
            through.failed,
            through.again,
            ms(through.percentile(50)),
            ms(through.p99()),
            ms(through.percentile(100)),
            ms(added),
            cpu * 1000.0 / through.calls.max(1) as f64,
            cpu * 100.0 / seconds as f64,
            mib(memory),
            mib(peak),
            mib(after),
            rest.as_secs(),
        );
        assert_eq!(through.failed, 0, "calls failed");
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// Puts a process onto one core, where the machine has two.
fn pin(process: u32, core: u32) {
    let _ = Process::new("taskset")
        .args(["-p", "-c", &core.to_string(), &process.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// The gateway's side, as a process of its own.
struct Gateway {
    child: Child,
    address: SocketAddr,
}

impl Gateway {
    fn start(callee: SocketAddr) -> Gateway {
        let mut child = Process::new(std::env::current_exe().unwrap())
            .env("CROSSPOINT_BENCH_CALLEE", callee.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        pin(child.id(), 0);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Gateway { child, address: line.trim().parse().unwrap() }
    }

    /// Octets of its memory that are resident.
    fn memory(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    /// Seconds of CPU so far.
    fn cpu(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        ticks as f64 / 100.0
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Carries each call on to `callee`, on one thread.
fn gateway(callee: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listen = vec![(Transport::Udp, "127.0.0.1:0".parse().unwrap())];
        let mut config = DriverConfig { listen, ..DriverConfig::default() };
        config.endpoint.accept = vec!["127.0.0.1".parse().unwrap()];
        let (handle, mut events) = driver::start(config).await.unwrap();
        println!("{}", handle.local_addr(Transport::Udp).unwrap());
        std::io::stdout().flush().unwrap();
        let mut other: HashMap<Session, Session> = HashMap::new();
        while let Some(event) = events.recv().await {
            let command = match event {
                Event::Incoming(incoming) => {
                    let session = handle.new_session();
                    other.insert(session, incoming.session);
                    other.insert(incoming.session, session);
                    Some(Command::Invite(Box::new(Invite {
                        call_id: None,
                        session,
                        target: incoming.target.clone(),
                        destination: Destination::udp(callee),
                        alternatives: Vec::new(),
                        from: NameAddr::new(incoming.from.uri.clone()),
                        to: incoming.to.clone(),
                        asserted_identity: None,
                        headers: Vec::new(),
                        replaces: None,
                        referred_by: None,
                        max_forwards: 70,
                        body: incoming.body.clone(),
                        credentials: None,
                    })))
                }
                Event::Provisional { session, answer } => other.get(&session).map(|session| {
                    let (status, headers) = (answer.status, Vec::new());
                    Command::Progress {
                        session: *session,
                        status,
                        phrase: None,
                        headers,
                        body: None,
                    }
                }),
                Event::Answered { session, answer, .. } => {
                    other.get(&session).map(|session| Command::Answer {
                        session: *session,
                        headers: Vec::new(),
                        body: answer.body.clone(),
                    })
                }
                Event::Rejected { session, answer, .. } => other.remove(&session).map(|session| {
                    other.remove(&session);
                    let (status, headers) = (answer.status, Vec::new());
                    Command::Reject { session, status, phrase: None, headers }
                }),
                Event::Ended { session, .. } | Event::Cancelled { session, .. } => {
                    other.remove(&session).map(|session| {
                        other.remove(&session);
                        Command::HangUp { session, reasons: Vec::new() }
                    })
                }
                _ => None,
            };
            if let Some(command) = command {
                handle.send(command).await.unwrap();
            }
        }
    });
}

/// What came of a load.
#[derive(Default)]
struct Outcome {
    calls: u64,
    failed: u64,
    again: u64,
    ringing: Vec<Duration>,
}

impl Outcome {
    fn percentile(&self, part: usize) -> Duration {
        let mut sorted = self.ringing.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * part).div_ceil(100).saturating_sub(1);
        sorted.get(place).copied().unwrap_or_default()
    }

    fn p99(&self) -> Duration {
        self.percentile(99)
    }
}

/// Both ends of the calls: octets and no stack.
struct Generator {
    caller: UdpSocket,
    callee: UdpSocket,
    to: SocketAddr,
    run: u64,
    /// Answers without an ACK, by Call-ID: sent again, as nobody else would (RFC 3261 13.3.1.4).
    answered: HashMap<String, (Instant, String, SocketAddr)>,
}

struct Live {
    invited: Instant,
    last_sent: Instant,
    state: State,
    /// To with its tag, for ACK and BYE.
    to: String,
    target: String,
}

#[derive(PartialEq)]
enum State {
    Invited,
    Ringing,
    Talking,
    Leaving,
}

impl Generator {
    /// Calls `gateway`, or its own callee where there is none.
    fn new(callee: UdpSocket, gateway: Option<SocketAddr>) -> Generator {
        let caller = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = gateway.unwrap_or(callee.local_addr().unwrap());
        for socket in [&caller, &callee] {
            // What is measured is the gateway, not a generator that drops.
            let _ = socket2::SockRef::from(socket).set_recv_buffer_size(4 << 20);
        }
        caller.set_nonblocking(true).unwrap();
        callee.set_nonblocking(true).unwrap();
        Generator { caller, callee, to, run: 0, answered: HashMap::new() }
    }

    fn warm_up(mut self, rate: u64) -> Generator {
        let outcome = self.drive(rate, Duration::from_secs(1));
        assert_eq!(outcome.failed, 0, "the first calls fail");
        self
    }

    fn run(mut self, rate: u64, time: Duration) -> Outcome {
        self.drive(rate, time)
    }

    fn drive(&mut self, rate: u64, time: Duration) -> Outcome {
        self.run += 1;
        let begin = Instant::now();
        let total = rate * time.as_secs();
        let mut outcome = Outcome::default();
        let mut live: HashMap<u64, Live> = HashMap::new();
        let mut leaving: VecDeque<(Instant, u64)> = VecDeque::new();
        let mut looked = begin;
        let mut next = 0;
        let mut buffer = vec![0; 65_536];
        while next < total || !live.is_empty() {
            let now = Instant::now();
            while next < total && now >= begin + Duration::from_micros(next * 1_000_000 / rate) {
                self.say(&self.request("INVITE", next, "", "", 1));
                let (to, target) = (String::new(), String::new());
                let state = State::Invited;
                live.insert(next, Live { invited: now, last_sent: now, state, to, target });
                next += 1;
                outcome.calls += 1;
            }
            while leaving.front().is_some_and(|(at, _)| *at <= now) {
                let Some((_, number)) = leaving.pop_front() else { break };
                let Some(call) = live.get_mut(&number) else { continue };
                (call.state, call.last_sent) = (State::Leaving, now);
                let bye = self.request("BYE", number, &call.to.clone(), &call.target.clone(), 2);
                self.say(&bye);
            }
            let mut heard = false;
            while let Ok((length, from)) = self.callee.recv_from(&mut buffer) {
                self.as_callee(&String::from_utf8_lossy(&buffer[..length]), from);
                heard = true;
            }
            while let Ok((length, _)) = self.caller.recv_from(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                self.as_caller(&text, &mut live, &mut leaving, &mut outcome);
                heard = true;
            }
            if now >= looked + Duration::from_millis(100) {
                looked = now;
                self.again(now, &mut live, &mut outcome);
            }
            if !heard {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        outcome
    }

    fn request(&self, method: &str, number: u64, to: &str, target: &str, cseq: u32) -> String {
        let (own, run) = (self.caller.local_addr().unwrap(), self.run);
        let uri = format!("sip:+4930{number:08}@{}", self.to);
        let (to, target) = match to {
            "" => (format!("<{uri}>"), uri),
            to => (to.to_owned(), target.to_owned()),
        };
        let body = if method == "INVITE" { SDP } else { "" };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method}{run}x{number};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:+4940555@{own}>;tag=f{number}\r\nTo: {to}\r\n\
             Call-ID: {number}x{run}-bench\r\nCSeq: {cseq} {method}\r\nContact: <sip:caller@{own}>\r\n\
             {kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn say(&self, text: &str) {
        // A full buffer drops; it is sent again like on any network.
        let _ = self.caller.send_to(text.as_bytes(), self.to);
    }

    fn as_callee(&mut self, text: &str, from: SocketAddr) {
        let method = text.split(' ').next().unwrap_or_default();
        if method == "ACK" {
            self.answered.remove(header(text, "Call-ID"));
            return;
        }
        let lines = ["Via", "From", "Call-ID", "CSeq"]
            .map(|name| format!("{name}: {}\r\n", header(text, name)));
        let to = header(text, "To");
        let to = if to.contains("tag=") { to.to_owned() } else { format!("{to};tag=callee") };
        let own = self.callee.local_addr().unwrap();
        let answer = |status: &str, body: &str| -> String {
            let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
            let text = format!(
                "SIP/2.0 {status}\r\n{}To: {to}\r\nContact: <sip:callee@{own}>\r\n{kind}\
                 Content-Length: {}\r\n\r\n{body}",
                lines.concat(),
                body.len()
            );
            let _ = self.callee.send_to(text.as_bytes(), from);
            text
        };
        if method == "INVITE" {
            answer("180 Ringing", "");
            let said = answer("200 OK", SDP);
            let call_id = header(text, "Call-ID").to_owned();
            self.answered.insert(call_id, (Instant::now(), said, from));
        } else {
            answer("200 OK", "");
        }
    }

    fn as_caller(
        &self,
        text: &str,
        live: &mut HashMap<u64, Live>,
        leaving: &mut VecDeque<(Instant, u64)>,
        outcome: &mut Outcome,
    ) {
        let call_id = header(text, "Call-ID");
        let Some((number, run)) = call_id.trim_end_matches("-bench").split_once('x') else {
            return;
        };
        if run != self.run.to_string() {
            return;
        }
        let Ok(number) = number.parse::<u64>() else { return };
        let Some(call) = live.get_mut(&number) else { return };
        let status: u16 = text.split(' ').nth(1).and_then(|own| own.parse().ok()).unwrap_or(0);
        let of_invite = header(text, "CSeq").ends_with("INVITE");
        let now = Instant::now();
        match (status, of_invite) {
            (180, true) if call.state == State::Invited => {
                outcome.ringing.push(now - call.invited);
                call.state = State::Ringing;
            }
            (200, true) => {
                call.to = header(text, "To").to_owned();
                let contact = header(text, "Contact");
                let inner = contact.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                call.target = inner.map_or(contact, |(uri, _)| uri).to_owned();
                self.say(&self.request("ACK", number, &call.to, &call.target, 1));
                if call.state != State::Talking && call.state != State::Leaving {
                    call.state = State::Talking;
                    leaving.push_back((now + HOLD, number));
                }
            }
            (200, false) => drop(live.remove(&number)),
            (300.., _) => {
                outcome.failed += 1;
                live.remove(&number);
            }
            _ => {}
        }
    }

    /// Sends again what has no answer after T1, and gives up after 64*T1 (RFC 3261 17.1).
    fn again(&mut self, now: Instant, live: &mut HashMap<u64, Live>, outcome: &mut Outcome) {
        for (at, text, to) in self.answered.values_mut() {
            if now > *at + Duration::from_millis(500) {
                *at = now;
                let _ = self.callee.send_to(text.as_bytes(), *to);
                outcome.again += 1;
            }
        }
        let mut dead = Vec::new();
        for (number, call) in live.iter_mut() {
            if now > call.invited + Duration::from_secs(40) {
                dead.push(*number);
            } else if now > call.last_sent + Duration::from_millis(500) {
                let text = match call.state {
                    State::Invited => self.request("INVITE", *number, "", "", 1),
                    State::Leaving => self.request("BYE", *number, &call.to, &call.target, 2),
                    State::Ringing | State::Talking => continue,
                };
                self.say(&text);
                call.last_sent = now;
                outcome.again += 1;
            }
        }
        for number in dead {
            live.remove(&number);
            outcome.failed += 1;
        }
    }
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_default().trim()
}
