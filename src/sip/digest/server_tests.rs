//! Tests of the digest server: against our own client, on a virtual clock.

use super::*;
use crate::base::epoch;
use crate::sip::digest::{Client, Verdict};
use crate::sip::{Method, Response};

const ALL: &[Hash] = &[Hash::Sha256, Hash::Sha512_256, Hash::Md5];

fn server(hashes: Vec<Hash>) -> Server {
    let config = ServerConfig { hashes, ..ServerConfig::new("r") };
    Server::new(config, [7; 32], epoch())
}

/// A request by `client`, which answers the server's challenge of `at`.
fn sent(server: &Server, client: &mut Client, at: Instant, body: &[u8]) -> Request {
    let mut request = Request::new(Method::Invite, Uri::parse("sip:a@h").unwrap());
    request.set_body(body.to_vec());
    let mut response = Response::new(401, "Unauthorized");
    for challenge in server.challenge(at, 1, false, ALL) {
        response.push("WWW-Authenticate", challenge.to_string());
    }
    client.challenged(&request, &response, 1).unwrap();
    client.authorize(&mut request, "cnonce");
    request
}

fn credentials(request: &Request) -> AuthParams {
    AuthParams::parse(request.get("Authorization").unwrap()).unwrap()
}

fn verdict(server: &mut Server, now: Instant, request: &Request) -> Verdict {
    let password = Secret::new("secret".to_owned());
    let lookup = |name: &str| (name == "bob").then_some(&password);
    server.verify(now, request, &credentials(request), lookup)
}

fn client(username: &str, password: &str) -> Client {
    Client::new(username, Secret::new(password.to_owned()), None)
}

fn bob() -> Verdict {
    Verdict::Accepted { username: "bob".to_owned() }
}

#[test]
fn our_client_is_accepted_with_every_hash() {
    for hash in [Hash::Sha256, Hash::Sha512_256, Hash::Md5] {
        let mut server = server(vec![hash]);
        let request = sent(&server, &mut client("bob", "secret"), epoch(), b"v=0");
        assert_eq!(verdict(&mut server, epoch(), &request), bob(), "{hash:?}");
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let mut server = server(vec![Hash::Sha256]);
    let wrong = sent(&server, &mut client("bob", "other"), epoch(), b"");
    let unknown = sent(&server, &mut client("eve", ""), epoch(), b"");
    let refused = verdict(&mut server, epoch(), &wrong);
    assert!(matches!(refused, Verdict::Refused(_)));
    assert_eq!(verdict(&mut server, epoch(), &unknown), refused, "an empty password opens nothing");
    assert_eq!(server.nonces(), 0, "no state without a password");
}

#[test]
fn each_count_is_accepted_once() {
    let mut server = server(vec![Hash::Sha256]);
    let mut client = client("bob", "secret");
    let first = sent(&server, &mut client, epoch(), b"");
    let mut second = first.clone();
    client.authorize(&mut second, "c2");
    assert_eq!(verdict(&mut server, epoch(), &first), bob());
    assert_eq!(verdict(&mut server, epoch(), &first), Verdict::Stale, "a replay");
    assert_eq!(verdict(&mut server, epoch(), &second), bob());
    assert_eq!(verdict(&mut server, epoch(), &first), Verdict::Stale);
    assert_eq!(server.nonces(), 1);
}

#[test]
fn an_old_nonce_is_stale_only_with_the_right_password() {
    let mut server = server(vec![Hash::Sha256]);
    let late = epoch() + Duration::from_secs(301);
    let right = sent(&server, &mut client("bob", "secret"), epoch(), b"");
    let wrong = sent(&server, &mut client("bob", "other"), epoch(), b"");
    assert_eq!(verdict(&mut server, late, &right), Verdict::Stale);
    assert!(matches!(verdict(&mut server, late, &wrong), Verdict::Refused(_)));
}

#[test]
fn what_was_not_signed_is_refused() {
    let mut server = server(vec![Hash::Sha256]);
    let request = sent(&server, &mut client("bob", "secret"), epoch(), b"");
    let good = request.get("Authorization").unwrap().to_owned();
    let nonce = credentials(&request).get("nonce").unwrap().into_owned();
    let forged = format!("f{}", &nonce[1..]);
    let changes = [
        ("realm=\"r\"", "realm=\"s\""),
        (nonce.as_str(), forged.as_str()),
        (nonce.as_str(), ""),
        ("sip:a@h", "sip:other@h"),
        ("nc=00000001", "nc=00000002"),
        ("nc=00000001", "nc=1"),
        ("qop=auth", "qop=auth-int"),
        (", qop=auth", ""),
        ("algorithm=SHA-256", "algorithm=MD5"),
        ("algorithm=SHA-256", "algorithm=SHA-256-sess"),
        ("Digest", "Basic"),
        ("cnonce=\"cnonce\"", "cnonce=\"\""),
        ("username=\"bob\"", "username=\"bo\""),
        ("response=\"", "response=\"0"),
    ];
    for (before, after) in changes {
        let mut changed = request.clone();
        assert!(good.contains(before), "{before}");
        changed.set("Authorization", good.replacen(before, after, 1));
        let verdict = verdict(&mut server, epoch(), &changed);
        assert!(matches!(verdict, Verdict::Refused(_)), "{before} -> {after}: {verdict:?}");
    }
    assert_eq!(verdict(&mut server, epoch(), &request), bob(), "and unchanged it is good");
}

#[test]
fn auth_int_covers_the_body() {
    let mut server = server(vec![Hash::Sha256]);
    let mut request = Request::new(Method::Invite, Uri::parse("sip:a@h").unwrap());
    request.set_body(b"v=0".to_vec());
    let challenge = server.challenge(epoch(), 1, false, ALL)[0].to_string();
    let mut response = Response::new(401, "Unauthorized");
    response.push("WWW-Authenticate", challenge.replace("auth,auth-int", "auth-int"));
    let mut client = client("bob", "secret");
    client.challenged(&request, &response, 1).unwrap();
    client.authorize(&mut request, "c");
    let mut changed = request.clone();
    changed.set_body(b"v=1".to_vec());
    assert!(matches!(verdict(&mut server, epoch(), &changed), Verdict::Refused(_)));
    assert_eq!(verdict(&mut server, epoch(), &request), bob());
}

#[test]
fn challenges_say_stale_only_when_asked() {
    let server = server(vec![Hash::Sha256, Hash::Md5]);
    let text = |stale| server.challenge(epoch(), 1, stale, ALL)[1].to_string();
    assert!(text(true).ends_with(", stale=true"));
    assert!(!text(false).contains("stale"));
    assert!(text(false).contains("algorithm=MD5"));
}
