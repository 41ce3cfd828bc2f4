//! The client's side: choosing among challenges and answering them.

use super::hash::{Algorithm, Inputs, Protection, Qop};
use crate::base::Secret;
use crate::sip::header::AuthParams;
use crate::sip::message::{MessageExt, Request, Response};
use crate::sip::method;

/// One challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Whose password is asked for.
    pub realm: String,
    /// The server's nonce.
    pub nonce: String,
    /// What goes back as it came.
    pub opaque: Option<String>,
    /// MD5 where nothing is said.
    pub algorithm: Algorithm,
    /// `None` is the form of RFC 2069.
    pub qop: Option<Qop>,
    /// The nonce was too old and the password right.
    pub stale: bool,
}

/// Why a challenge is not answered. The call fails on this trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The peer offers no Digest challenge with an algorithm and a qop that we know.
    #[error("no challenge that we can answer")]
    Unsupported,
    /// The peer asks for the password of another realm; it does not get one.
    #[error("the challenge is for another realm")]
    WrongRealm,
    /// The peer refused what we answered to the same nonce: the password is wrong.
    #[error("the credentials were refused")]
    Rejected,
    /// The peer challenged the same request too often.
    #[error("the request was challenged more than twice")]
    TooMany,
}

/// The credentials for one trunk and the nonces it gave, which are used again until they are stale.
#[derive(Debug, Clone)]
pub struct Client {
    username: String,
    password: Secret<String>,
    realm: Option<String>,
    origin: Option<Session>,
    proxy: Option<Session>,
}

/// A challenge in use.
#[derive(Debug, Clone)]
struct Session {
    challenge: Challenge,
    /// How often the nonce was used (RFC 7616 3.4, nc).
    count: u32,
    /// The cnonce of the first use, which the `-sess` forms keep.
    cnonce: Option<String>,
}

impl Challenge {
    /// What `params` asks for, where we can answer it.
    pub fn parse(params: &AuthParams) -> Option<Challenge> {
        if !params.is_digest() {
            return None;
        }
        let algorithm = match params.get("algorithm") {
            Some(name) => Algorithm::parse(&name)?,
            None => Algorithm::MD5,
        };
        // auth before auth-int: bodies are rewritten on the way by more boxes than one.
        let qop = match params.get("qop") {
            Some(list) => {
                let known: Vec<Qop> =
                    list.split(',').filter_map(|name| Qop::parse(name.trim())).collect();
                let auth = known.iter().find(|qop| **qop == Qop::Auth);
                Some(*auth.or_else(|| known.first())?)
            }
            None => None,
        };
        let own = |name| params.get(name).map(|value| value.into_owned());
        Some(Challenge {
            realm: own("realm")?,
            nonce: own("nonce")?,
            opaque: own("opaque"),
            algorithm,
            qop,
            stale: params.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The challenges of a response that can be answered, in their order.
    fn all(response: &Response, header: &str) -> Vec<Challenge> {
        let lines = response.get_all(header).filter_map(|line| AuthParams::parse_list(line).ok());
        lines.flatten().filter_map(|params| Challenge::parse(&params)).collect()
    }
}

impl Client {
    /// How often one request may be challenged: once for the nonce and once for a stale one.
    pub const MAX_CHALLENGES: u32 = 2;

    /// Credentials that answer challenges of `realm` only, or of any realm when it is `None`.
    pub fn new(username: &str, password: Secret<String>, realm: Option<String>) -> Client {
        Client { username: username.to_owned(), password, realm, origin: None, proxy: None }
    }

    /// Takes the challenges of a 401 or 407 to `request`. `round` counts the challenges of this
    /// request from 1. After `Ok`, send the request again with a new CSeq, branch and `authorize`.
    pub fn challenged(
        &mut self,
        request: &Request,
        response: &Response,
        round: u32,
    ) -> Result<(), ClientError> {
        if round > Client::MAX_CHALLENGES {
            return Err(ClientError::TooMany);
        }
        let origin = self.choose(request, response, Side::Origin)?;
        let proxy = self.choose(request, response, Side::Proxy)?;
        if origin.is_none() && proxy.is_none() {
            return Err(ClientError::Unsupported);
        }
        let session = |challenge| Session { challenge, count: 0, cnonce: None };
        self.origin = origin.map(session).or(self.origin.take());
        self.proxy = proxy.map(session).or(self.proxy.take());
        Ok(())
    }

    /// Puts the credentials for the nonces at hand into `request`; without any nonce, none. The
    /// caller gives a fresh random `cnonce` each time.
    pub fn authorize(&mut self, request: &mut Request, cnonce: &str) {
        for side in [Side::Origin, Side::Proxy] {
            request.remove(side.credentials());
            let session = match side {
                Side::Origin => &mut self.origin,
                Side::Proxy => &mut self.proxy,
            };
            if let Some(session) = session {
                let params = session.answer(&self.username, &self.password, request, cnonce);
                request.push(side.credentials(), params.to_string());
            }
        }
    }

    /// Forgets the nonces, as when the trunk has moved to another host.
    pub fn forget(&mut self) {
        self.origin = None;
        self.proxy = None;
    }

    fn choose(
        &self,
        request: &Request,
        response: &Response,
        side: Side,
    ) -> Result<Option<Challenge>, ClientError> {
        if response.get(side.challenge()).is_none() {
            return Ok(None);
        }
        let all = Challenge::all(response, side.challenge());
        if all.is_empty() {
            return Err(ClientError::Unsupported);
        }
        let ours = |challenge: &&Challenge| {
            self.realm.as_ref().is_none_or(|realm| *realm == challenge.realm)
        };
        // Of equals the topmost (RFC 8760 2.4); SHA-256 before the others wherever it stands.
        let best = all.iter().filter(ours).min_by_key(|challenge| challenge.algorithm);
        let best = best.ok_or(ClientError::WrongRealm)?;
        let used =
            request.get_all(side.credentials()).filter_map(|line| AuthParams::parse(line).ok());
        let answered = |params: AuthParams| {
            params.get("realm").as_deref() == Some(&best.realm)
                && params.get("nonce").as_deref() == Some(&best.nonce)
        };
        if !best.stale && used.into_iter().any(answered) {
            return Err(ClientError::Rejected);
        }
        Ok(Some(best.clone()))
    }
}

impl Session {
    fn answer(
        &mut self,
        username: &str,
        password: &Secret<String>,
        request: &Request,
        cnonce: &str,
    ) -> AuthParams {
        let challenge = &self.challenge;
        self.count = self.count.wrapping_add(1);
        let session_cnonce = self.cnonce.get_or_insert_with(|| cnonce.to_owned());
        let cnonce = if challenge.algorithm.session { session_cnonce } else { cnonce };
        let uri = request.uri().as_str();
        let nc = self.count;
        let response = Inputs {
            algorithm: challenge.algorithm,
            username,
            realm: &challenge.realm,
            password: password.expose(),
            nonce: &challenge.nonce,
            method: method::name(request.method()),
            uri,
            body: request.body(),
            protection: challenge.qop.map(|qop| Protection { qop, nc, cnonce }),
            session_cnonce: cnonce,
        }
        .response();
        let mut params = AuthParams::digest();
        params.push_quoted("username", username);
        params.push_quoted("realm", &challenge.realm);
        params.push_quoted("nonce", &challenge.nonce);
        params.push_quoted("uri", uri);
        params.push_quoted("response", &response);
        // Left out for plain MD5: servers of RFC 2069 and 2543 do not expect it.
        if challenge.algorithm != Algorithm::MD5 {
            params.push_token("algorithm", challenge.algorithm.name());
        }
        if let Some(qop) = challenge.qop {
            params.push_token("qop", qop.name());
            params.push_token("nc", &format!("{nc:08x}"));
        }
        if challenge.qop.is_some() || challenge.algorithm.session {
            params.push_quoted("cnonce", cnonce);
        }
        if let Some(opaque) = &challenge.opaque {
            params.push_quoted("opaque", opaque);
        }
        params
    }
}

/// Who asks: the user agent at the far end (401), or a proxy on the way (407).
#[derive(Clone, Copy)]
enum Side {
    Origin,
    Proxy,
}

impl Side {
    fn challenge(self) -> &'static str {
        match self {
            Side::Origin => "WWW-Authenticate",
            Side::Proxy => "Proxy-Authenticate",
        }
    }

    fn credentials(self) -> &'static str {
        match self {
            Side::Origin => "Authorization",
            Side::Proxy => "Proxy-Authorization",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Method, Uri};

    fn client(realm: Option<&str>) -> Client {
        Client::new("bob", Secret::new("zanzibar".to_owned()), realm.map(str::to_owned))
    }

    fn request() -> Request {
        Request::new(Method::Invite, Uri::parse("sip:bob@biloxi.com").unwrap())
    }

    fn unauthorized(challenges: &[&str]) -> Response {
        let mut response = Response::new(401, "Unauthorized");
        challenges.iter().for_each(|value| response.push("WWW-Authenticate", *value));
        response
    }

    fn answer(client: &mut Client, cnonce: &str) -> (Request, AuthParams) {
        let mut request = request();
        client.authorize(&mut request, cnonce);
        let params = AuthParams::parse(request.get("Authorization").unwrap()).unwrap();
        (request, params)
    }

    #[test]
    fn sha_256_is_chosen_wherever_it_stands() {
        // challenges, algorithm, qop
        let table: &[(&[&str], &str, &str)] = &[
            (&["realm=\"r\", nonce=\"n\""], "", ""),
            (&["realm=\"r\", nonce=\"n\", qop=\"auth-int,auth\""], "", "auth"),
            (&["realm=\"r\", nonce=\"n\", qop=auth-int, algorithm=md5"], "", "auth-int"),
            (
                &[
                    "realm=\"r\", nonce=\"n\", algorithm=MD5",
                    "realm=\"r\", nonce=\"n\", algorithm=SHA-512-256, qop=\"auth\"",
                    "realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"",
                ],
                "SHA-256",
                "auth",
            ),
            (
                &[
                    "realm=\"r\", nonce=\"n\", algorithm=AKAv1-MD5, qop=\"auth\"",
                    "realm=\"r\", nonce=\"n\", algorithm=SHA-512-256-sess, qop=\"x,auth\"",
                ],
                "SHA-512-256-sess",
                "auth",
            ),
        ];
        for (challenges, algorithm, qop) in table {
            let lines: Vec<String> = challenges.iter().map(|one| format!("Digest {one}")).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            for response in [unauthorized(&lines), unauthorized(&[&lines.join(", ")])] {
                let mut client = client(None);
                assert_eq!(client.challenged(&request(), &response, 1), Ok(()));
                let (_, params) = answer(&mut client, "c");
                assert_eq!(params.get("algorithm").unwrap_or_default(), *algorithm);
                assert_eq!(params.get("qop").unwrap_or_default(), *qop);
                assert_eq!(params.get("nc").is_some(), !qop.is_empty());
            }
        }
    }

    #[test]
    fn a_nonce_is_used_again_with_the_next_count() {
        let mut client = client(Some("r"));
        let challenge = "Digest realm=\"r\", nonce=\"n\", opaque=\"o\\\"\", qop=\"auth\"";
        client.challenged(&request(), &unauthorized(&[challenge]), 1).unwrap();
        let (_, first) = answer(&mut client, "c1");
        let (_, second) = answer(&mut client, "c2");
        let values = |params: &AuthParams| {
            ["nc", "cnonce", "opaque"].map(|name| params.get(name).unwrap().into_owned())
        };
        assert_eq!(values(&first), ["00000001", "c1", "o\""]);
        assert_eq!(values(&second), ["00000002", "c2", "o\""]);
        assert_ne!(first.get("response"), second.get("response"));
    }

    #[test]
    fn sess_keeps_its_first_cnonce() {
        let mut client = client(None);
        let challenge = "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256-sess, qop=\"auth\"";
        client.challenged(&request(), &unauthorized(&[challenge]), 1).unwrap();
        answer(&mut client, "c1");
        assert_eq!(answer(&mut client, "c2").1.get("cnonce").unwrap(), "c1");
    }

    #[test]
    fn no_password_for_another_realm_and_no_second_try_for_a_wrong_one() {
        let challenge = |nonce: &str, more: &str| {
            unauthorized(&[&format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\"{more}")])
        };
        let mut stranger = client(Some("other"));
        let refused = stranger.challenged(&request(), &challenge("n", ""), 1);
        assert_eq!(refused, Err(ClientError::WrongRealm));
        let mut request = request();
        stranger.authorize(&mut request, "c");
        assert_eq!(request.get("Authorization"), None);

        let mut client = client(Some("r"));
        client.challenged(&request, &challenge("n", ""), 1).unwrap();
        let (sent, _) = answer(&mut client, "c");
        let again = client.challenged(&sent, &challenge("n", ""), 2);
        assert_eq!(again, Err(ClientError::Rejected));
        assert_eq!(client.challenged(&sent, &challenge("n", ", stale=TRUE"), 2), Ok(()));
        assert_eq!(client.challenged(&sent, &challenge("m", ""), 2), Ok(()), "a nonce run out");
        let third = client.challenged(&sent, &challenge("o", ", stale=true"), 3);
        assert_eq!(third, Err(ClientError::TooMany), "CVE-2020-28242");
    }

    #[test]
    fn challenges_that_cannot_be_answered() {
        let table: &[&[&str]] = &[
            &[],
            &["Basic realm=\"r\""],
            &["Digest nonce=\"n\""],
            &["Digest realm=\"r\""],
            &["Digest realm=\"r\", nonce=\"n\", qop=\"token\""],
            &["Digest realm=\"r\", nonce=\"n\", algorithm=X"],
        ];
        for challenges in table {
            let result = client(None).challenged(&request(), &unauthorized(challenges), 1);
            assert_eq!(result, Err(ClientError::Unsupported), "{challenges:?}");
        }
    }

    #[test]
    fn a_proxy_and_the_far_end_are_answered_side_by_side() {
        let mut client = client(None);
        let mut proxy = Response::new(407, "Proxy Authentication Required");
        proxy.push("Proxy-Authenticate", "Digest realm=\"p\", nonce=\"1\"");
        client.challenged(&request(), &proxy, 1).unwrap();
        let challenge = "Digest realm=\"o\", nonce=\"2\"";
        client.challenged(&request(), &unauthorized(&[challenge]), 2).unwrap();
        let (request, params) = answer(&mut client, "c");
        assert_eq!(params.get("nonce").unwrap(), "2");
        let line = request.get("Proxy-Authorization").unwrap();
        assert_eq!(AuthParams::parse(line).unwrap().get("nonce").unwrap(), "1");
    }
}
