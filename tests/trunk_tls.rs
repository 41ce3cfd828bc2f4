//! TLS of trunks against openssl: certificates believed and not, shown and asked for, read again
//! without a restart; peers that are slow, silent or speak something else.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::certificates::Authority;
use support::gateway::Gateway;
use support::http;
use support::process::Process;

const PLAN: &str = "version = 1\nemergency = \"not-provided\"\n\
    [defaults]\ncountry = \"DE\"\ntimezone = \"Europe/Berlin\"\n";

const LIMIT: Duration = Duration::from_secs(15);

fn serve(target: &str, tls: &str, trunk: &str) -> Gateway {
    let sip = format!("listen = [\"udp:127.0.0.1:0\", \"tls:127.0.0.1:0\"]\ntls = {{ {tls} }}\n");
    Gateway::serve_with(target, PLAN, &sip, trunk)
}

/// What openssl says of a connection over which it sends `said`.
fn s_client(to: SocketAddr, said: &[u8], arguments: &[&str], ca: &Path) -> String {
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-quiet",
        "-no_ign_eof",
        "-verify_return_error",
        "-verify_ip",
        "127.0.0.1",
    ]);
    command.arg("-CAfile").arg(ca).arg("-connect").arg(to.to_string()).args(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(said).unwrap();
    // The answer ends when the gateway closes, or a second after the last word.
    std::thread::sleep(Duration::from_secs(1));
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    [output.stdout, output.stderr].map(|own| String::from_utf8_lossy(&own).into_owned()).concat()
}

fn options(to: SocketAddr, branch: &str) -> String {
    format!(
        "OPTIONS sip:{to};transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bK{branch}\r\n\
         From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:{to}>\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn peers_show_a_certificate_where_one_is_asked_for_and_ours_is_read_again() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("gateway", "IP:127.0.0.1");
    let (peer_cert, peer_key) = authority.issue("peer", "IP:127.0.0.1");
    let stranger = Authority::new();
    let (other_cert, other_key) = stranger.issue("peer", "IP:127.0.0.1");
    let ca = authority.file();
    let tls = format!("cert = {cert:?}, key = {key:?}, client_ca = {ca:?}");
    let gateway = serve("sip:127.0.0.1:9", &tls, "options_interval = \"0s\"");
    let to = gateway.sip_tls.unwrap();
    let shown = |cert: &Path, key: &Path, branch: &str| {
        let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
        s_client(to, options(to, branch).as_bytes(), &["-cert", cert, "-key", key], &ca)
    };
    let said = shown(&peer_cert, &peer_key, "known");
    assert!(said.contains("SIP/2.0 200 OK") && said.contains("SIP/2.0/TLS"), "{said}");
    let said = shown(&other_cert, &other_key, "stranger");
    assert!(!said.contains("SIP/2.0"), "{said}");
    let said = s_client(to, options(to, "none").as_bytes(), &[], &ca);
    assert!(!said.contains("SIP/2.0"), "{said}");

    // A new certificate, of another name so that openssl can tell; SIGHUP takes it at once.
    let (new_cert, new_key) = authority.issue("renewed", "IP:127.0.0.1");
    std::fs::copy(&new_cert, &cert).unwrap();
    std::fs::copy(&new_key, &key).unwrap();
    gateway.process.signal("HUP");
    let deadline = Instant::now() + LIMIT;
    loop {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &to.to_string()])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if String::from_utf8_lossy(&output.stdout).contains("CN = renewed") {
            break;
        }
        assert!(Instant::now() < deadline, "the old certificate is still shown");
    }
    // A broken one is said, and the last good one serves.
    std::fs::write(&cert, "no certificate").unwrap();
    gateway.process.line_with("were not read again", LIMIT);
    let said = shown(&peer_cert, &peer_key, "after");
    assert!(said.contains("SIP/2.0 200 OK"), "{said}");
}

#[test]
fn a_trunk_has_to_prove_its_name_and_may_ask_for_ours() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("gateway", "IP:127.0.0.1");
    let (trunk_cert, trunk_key) = authority.issue("trunk", "DNS:sip.trunk.example");
    let ca = authority.file();
    let port = support::free_port();
    let mut server = Command::new("openssl");
    server.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-Verify", "1"]);
    server.args(["-verify_return_error", "-CAfile"]).arg(&ca).arg("-cert").arg(&trunk_cert);
    server.arg("-key").arg(&trunk_key);
    let server = Process::start_with_input("openssl", &mut server);
    let target = format!("sip:127.0.0.1:{port};transport=tls");
    let own = format!("cert = {cert:?}, key = {key:?}");

    let wrong = format!("options_interval = \"5s\"\ntls = {{ ca = {ca:?}, {own} }}");
    let gateway = serve(&target, &own, &wrong);
    gateway.process.line_with("not valid for name", LIMIT);
    drop(gateway);

    let anonymous = format!("tls = {{ ca = {ca:?}, name = \"sip.trunk.example\" }}");
    let gateway = serve(&target, &own, &anonymous);
    gateway.process.line_with("CertificateRequired", LIMIT);
    drop(gateway);

    let right = format!("tls = {{ ca = {ca:?}, name = \"sip.trunk.example\", {own} }}");
    let gateway = serve(&target, &own, &right);
    server.line_with("OPTIONS sip:127.0.0.1", LIMIT);
    let via = server.line_with("Via: SIP/2.0/TLS", LIMIT);
    assert!(via.contains(&gateway.sip_tls.unwrap().to_string()), "{via}");
}

#[test]
fn who_shakes_no_hands_is_closed_and_nobody_else_is_held_up() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("gateway", "IP:127.0.0.1");
    let tls = format!("cert = {cert:?}, key = {key:?}");
    let gateway = serve("sip:127.0.0.1:9", &tls, "options_interval = \"0s\"");
    let to = gateway.sip_tls.unwrap();
    let began = Instant::now();
    let mut silent = TcpStream::connect(to).unwrap();
    let mut slow = TcpStream::connect(to).unwrap();
    slow.write_all(&[0x16, 3, 1]).unwrap();
    let mut plain = TcpStream::connect(to).unwrap();
    plain.write_all(options(to, "plain").as_bytes()).unwrap();
    for stream in [&silent, &slow, &plain] {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    }
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(began.elapsed() < Duration::from_secs(2), "what is no TLS is closed at once");
    assert!(!String::from_utf8_lossy(&answer).contains("SIP/2.0"));
    let said = s_client(to, options(to, "beside").as_bytes(), &[], &authority.file());
    assert!(said.contains("SIP/2.0 200 OK"), "{said}");
    // A handshake cut at any octet closes and nothing else.
    let hello = client_hello();
    for length in (0..hello.len()).step_by(7) {
        let mut cut = TcpStream::connect(to).unwrap();
        cut.write_all(&hello[..length]).unwrap();
    }
    for stream in [&mut silent, &mut slow] {
        let _ = stream.read_to_end(&mut Vec::new());
        let after = began.elapsed();
        assert!(after > Duration::from_secs(9) && after < Duration::from_secs(13), "{after:?}");
    }
    let said = s_client(to, options(to, "last").as_bytes(), &[], &authority.file());
    assert!(said.contains("SIP/2.0 200 OK"), "{said}");
    assert_eq!(http::metric(&gateway.base, "crosspoint_panics_caught_total"), 0.0);
}

/// The first octets of a client of openssl.
fn client_hello() -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let client =
        Process::start("openssl", Command::new("openssl").args(["s_client", "-connect", &to]));
    let (mut stream, _) = listener.accept().unwrap();
    let mut hello = vec![0; 4096];
    let length = stream.read(&mut hello).unwrap();
    hello.truncate(length);
    drop(client);
    hello
}
