//! One dialog (RFC 3261 section 12): its identity, sequence numbers, route set and remote target.
//!
//! A dialog begins with the first response that has a To tag (early) or with the 2xx (confirmed).
//! From and To are kept as text and go back octet for octet.

use super::{Host, Method, NameAddr, Scheme, Transport, Uri};

/// One dialog from our side.
#[derive(Debug, Clone)]
pub(super) struct Dialog {
    /// Both sides' Call-ID.
    pub(super) call_id: String,
    /// The From value of our requests, with our tag.
    pub(super) local: String,
    /// The To value of our requests, with the peer's tag.
    pub(super) remote: String,
    /// The peer's tag alone.
    pub(super) remote_tag: String,
    /// The number of our last request.
    pub(super) local_cseq: u32,
    /// The number of the peer's last request, once there was one.
    pub(super) remote_cseq: Option<u32>,
    /// The peer's Contact.
    pub(super) target: Uri,
    routes: Vec<NameAddr>,
}

/// Where a request within a dialog goes: request URI and Route values in order (RFC 3261 12.2.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Routed {
    /// The request URI.
    pub(super) uri: Uri,
    /// The Route values.
    pub(super) routes: Vec<String>,
}

/// How the sequence number of a request in a dialog is to be taken (RFC 3261 12.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sequence {
    /// It is the next one, or the first.
    Forward,
    /// It is old: 500.
    Stale,
}

/// Who gets a request, as a URI names him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hop {
    /// A name or an address.
    pub(super) host: Host,
    /// Where one is written.
    pub(super) port: Option<u16>,
    /// Where one is written; TLS for `sips:`.
    pub(super) transport: Option<Transport>,
}

impl Hop {
    /// `None` for `tel:` and others without a host.
    pub(super) fn of(uri: &Uri) -> Option<Hop> {
        let transport = match uri.param("transport") {
            Some(name) if name.eq_ignore_ascii_case("tcp") => Some(Transport::Tcp),
            Some(name) if name.eq_ignore_ascii_case("tls") => Some(Transport::Tls),
            Some(name) if name.eq_ignore_ascii_case("udp") => Some(Transport::Udp),
            _ => None,
        };
        // RFC 3261 26.2.2: `sips:` by TCP is TLS.
        let transport = if uri.scheme() == Scheme::Sips { Some(Transport::Tls) } else { transport };
        Some(Hop { host: uri.host()?.clone(), port: uri.port(), transport })
    }
}

impl Dialog {
    /// The routes are those of the response or request that made the dialog, in the order in which we
    /// use them: reversed where we are the caller.
    pub(super) fn new(
        call_id: &str,
        local: &str,
        remote: &NameAddrText,
        target: Uri,
        routes: Vec<NameAddr>,
    ) -> Dialog {
        Dialog {
            call_id: call_id.to_owned(),
            local: local.to_owned(),
            remote: remote.text.clone(),
            remote_tag: remote.tag.clone(),
            local_cseq: 0,
            remote_cseq: None,
            target,
            routes,
        }
    }

    /// Takes the route set of the 2xx in place of the early one (RFC 3261 13.2.2.4).
    pub(super) fn set_routes(&mut self, routes: Vec<NameAddr>) {
        self.routes = routes;
    }

    /// Request URI and Route headers of our next request.
    pub(super) fn routed(&self) -> Routed {
        let texts = |routes: &[NameAddr]| routes.iter().map(NameAddr::to_string).collect();
        match self.routes.split_first() {
            // A strict router wants itself as the request URI, and the target as the last route.
            Some((first, rest)) if !first.uri.is_loose_router() => {
                let mut routes: Vec<String> = texts(rest);
                routes.push(NameAddr::new(self.target.clone()).to_string());
                Routed { uri: first.uri.clone(), routes }
            }
            _ => Routed { uri: self.target.clone(), routes: texts(&self.routes) },
        }
    }

    /// The next hop: the first route, else the peer's Contact (RFC 3261 12.2.1.1, 8.1.2).
    pub(super) fn next_hop(&self) -> Option<Hop> {
        Hop::of(self.routes.first().map_or(&self.target, |route| &route.uri))
    }

    /// The number of our next request; ACK and CANCEL take the one of their INVITE instead.
    pub(super) fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// Checks the number of a request of the peer, and keeps it.
    pub(super) fn check_cseq(&mut self, method: Method, cseq: u32) -> Sequence {
        if method == Method::Ack {
            return Sequence::Forward;
        }
        match self.remote_cseq {
            Some(last) if cseq <= last => Sequence::Stale,
            _ => {
                self.remote_cseq = Some(cseq);
                Sequence::Forward
            }
        }
    }
}

/// A From or To value as received, with the tag found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameAddrText {
    /// Octet for octet.
    pub(super) text: String,
    /// The tag; empty where there is none (RFC 2543 peers).
    pub(super) tag: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialog(routes: &[&str]) -> Dialog {
        let routes = routes.iter().map(|text| NameAddr::parse(text).unwrap()).collect();
        let remote = NameAddrText { text: "<sip:b@h>;tag=r".to_owned(), tag: "r".to_owned() };
        let target = Uri::parse("sip:b@192.0.2.1:5070").unwrap();
        Dialog::new("id", "<sip:a@h>;tag=l", &remote, target, routes)
    }

    fn hop(dialog: &Dialog) -> (String, Option<u16>, Option<Transport>) {
        let Hop { host, port, transport } = dialog.next_hop().unwrap();
        (host.to_string(), port, transport)
    }

    #[test]
    fn a_hop_is_a_name_or_an_address_with_the_transport_that_is_written() {
        let hop = |text: &str| self::hop(&dialog(&[text]));
        let tls = Some(Transport::Tls);
        assert_eq!(hop("<sip:sbc.example;lr>"), ("sbc.example".to_owned(), None, None));
        assert_eq!(hop("<sip:[2001:db8::1]:5080;transport=TLS;lr>").2, tls);
        assert_eq!(hop("<sips:sbc.example;transport=tcp;lr>").2, tls, "RFC 3261 26.2.2");
    }

    #[test]
    fn loose_routes_keep_the_target_in_the_request_uri() {
        let dialog = dialog(&["<sip:192.0.2.9;lr>", "<sip:p2.example;lr>"]);
        let routed = dialog.routed();
        assert_eq!(routed.uri.as_str(), "sip:b@192.0.2.1:5070");
        assert_eq!(routed.routes, ["<sip:192.0.2.9;lr>", "<sip:p2.example;lr>"]);
        assert_eq!(hop(&dialog), ("192.0.2.9".to_owned(), None, None));
    }

    #[test]
    fn a_strict_router_gets_itself_as_the_request_uri() {
        let routed = dialog(&["<sip:192.0.2.9>", "<sip:p2.example;lr>"]).routed();
        assert_eq!(routed.uri.as_str(), "sip:192.0.2.9");
        assert_eq!(routed.routes, ["<sip:p2.example;lr>", "<sip:b@192.0.2.1:5070>"]);
    }

    #[test]
    fn without_routes_the_contact_is_the_next_hop() {
        let dialog = dialog(&[]);
        assert_eq!(hop(&dialog), ("192.0.2.1".to_owned(), Some(5070), None));
        assert!(dialog.routed().routes.is_empty());
    }

    #[test]
    fn sequence_numbers_only_go_forward() {
        let mut dialog = dialog(&[]);
        assert_eq!(dialog.check_cseq(Method::Info, 7), Sequence::Forward);
        assert_eq!(dialog.check_cseq(Method::Info, 7), Sequence::Stale);
        assert_eq!(dialog.check_cseq(Method::Bye, 6), Sequence::Stale);
        assert_eq!(dialog.check_cseq(Method::Ack, 6), Sequence::Forward);
        assert_eq!(dialog.check_cseq(Method::Bye, 9), Sequence::Forward);
    }
}
