//! SIP as bytes: what a peer can send that no user agent would.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A datagram socket that speaks to a gateway.
pub struct SipSocket {
    socket: UdpSocket,
    gateway: SocketAddr,
}

impl SipSocket {
    /// `ip` is the peer's own address: 127.0.0.1 is the trunk's, all others are strangers.
    pub fn new(ip: &str, gateway: SocketAddr) -> SipSocket {
        let ip: IpAddr = ip.parse().unwrap();
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        SipSocket { socket, gateway }
    }

    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        self.socket.send_to(bytes.as_ref(), self.gateway).unwrap();
    }

    /// A whole request outside of dialogs, with a body of `content_type` where there is one.
    pub fn request(&self, method: &str, user: &str, body: Option<(&str, &[u8])>) -> Vec<u8> {
        let own = self.socket.local_addr().unwrap();
        request(method, user, own, "UDP", body)
    }

    /// What came until the answer to an OPTIONS sent now: everything sent before was handled before.
    pub fn answers(&self) -> Vec<String> {
        let probe = self.request("OPTIONS", "probe", None);
        let id = header(&String::from_utf8_lossy(&probe), "Call-ID").to_owned();
        self.send(&probe);
        let mut answers = Vec::new();
        loop {
            let answer = self.next(Duration::from_secs(10)).expect("an answer to OPTIONS");
            if header(&answer, "Call-ID") == id {
                assert_eq!(status(&answer), 200, "{answer}");
                return answers;
            }
            answers.push(answer);
        }
    }

    /// The next message within `limit`.
    pub fn next(&self, limit: Duration) -> Option<String> {
        let mut buffer = vec![0; 65_536];
        self.socket.set_read_timeout(Some(limit.max(Duration::from_millis(1)))).unwrap();
        let (length, _) = self.socket.recv_from(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// The first final response to the request with this Call-ID.
    pub fn final_answer(&self, call_id: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Some(answer) = self.next(deadline.saturating_duration_since(Instant::now())) {
            if header(&answer, "Call-ID") == call_id && status(&answer) >= 200 {
                return answer;
            }
        }
        panic!("no final answer");
    }

    /// Acknowledges the 200 to an INVITE.
    pub fn ack(&self, invite: &[u8], answer: &str) {
        let invite = String::from_utf8_lossy(invite);
        let target = header(answer, "Contact").trim_matches(['<', '>']);
        let copied =
            ["From", "To", "Call-ID"].map(|name| format!("{name}: {}", header(answer, name)));
        self.send(format!(
            "ACK {target} SIP/2.0\r\nVia: {}a\r\nMax-Forwards: 70\r\n{}\r\nCSeq: 1 ACK\r\n\
             Content-Length: 0\r\n\r\n",
            header(&invite, "Via"),
            copied.join("\r\n"),
        ));
    }

    /// Waits for a BYE and confirms it.
    pub fn takes_bye(&self) {
        let bye = loop {
            let said = self.next(Duration::from_secs(60)).expect("a BYE");
            if said.starts_with("BYE ") {
                break said;
            }
        };
        let copied = ["Via", "From", "To", "Call-ID", "CSeq"];
        let copied = copied.map(|name| format!("{name}: {}", header(&bye, name)));
        let copied = copied.join("\r\n");
        self.send(format!("SIP/2.0 200 OK\r\n{copied}\r\nContent-Length: 0\r\n\r\n"));
    }

    /// Whether nothing waits to be read.
    pub fn is_silent(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let nothing = self.socket.recv_from(&mut [0; 65_536]).is_err();
        self.socket.set_nonblocking(false).unwrap();
        nothing
    }
}

/// A whole request outside of dialogs from `own`.
pub fn request(
    method: &str,
    user: &str,
    own: SocketAddr,
    transport: &str,
    body: Option<(&str, &[u8])>,
) -> Vec<u8> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let (kind, content) = body.unwrap_or(("", b""));
    let kind = if body.is_some() { format!("Content-Type: {kind}\r\n") } else { String::new() };
    let mut text = format!(
        "{method} sip:{user}@127.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/{transport} {own};rport;branch=z9hG4bK{n}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:+493055512345@trunk.example>;tag=f{n}\r\n\
         To: <sip:{user}@127.0.0.1>\r\n\
         Call-ID: test-{n}-{}\r\n\
         CSeq: 1 {method}\r\n\
         Contact: <sip:trunk@{own}>\r\n\
         {kind}Content-Length: {}\r\n\r\n",
        own.port(),
        content.len()
    )
    .into_bytes();
    text.extend_from_slice(content);
    text
}

/// The value of the first header of this name; empty where there is none.
pub fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim()).unwrap_or_default()
}

/// The status of a response.
pub fn status(message: &str) -> u16 {
    let line = message.strip_prefix("SIP/2.0 ").unwrap_or_else(|| panic!("no response: {message}"));
    line[..3].parse().unwrap()
}
