//! Tests of `message`: access to headers, and responses that echo.

use super::*;
use crate::sip::uri::Host;

fn request() -> Request {
    let mut request = Request::new(Method::Invite, Uri::parse("sip:b@h").unwrap());
    request.push("v", "SIP/2.0/UDP one;branch=z9hG4bK1 , SIP/2.0/UDP two");
    request.push("Via", "SIP/2.0/TCP three");
    request.push("From", "A  <sip:a@h> ; tag=1");
    request.push("To", "sip:b@h");
    request.push("Call-ID", "x@y");
    request.push("CSeq", "7  INVITE");
    request.push("Timestamp", "54");
    request.push("X-Private", "no");
    request
}

fn written(message: &impl MessageExt) -> Vec<(&str, &str)> {
    message.headers().iter().map(name::parts).collect()
}

#[test]
fn a_response_echoes_octet_for_octet_rfc_3261_8_2_6_2() {
    let response = Response::to(&request(), 180, "Ringing").with_to_tag("t");
    let echoed = [
        ("Via", "SIP/2.0/UDP one;branch=z9hG4bK1 , SIP/2.0/UDP two"),
        ("Via", "SIP/2.0/TCP three"),
        ("From", "A  <sip:a@h> ; tag=1"),
        ("To", "sip:b@h;tag=t"),
        ("Call-ID", "x@y"),
        ("CSeq", "7  INVITE"),
    ];
    assert_eq!(written(&response), echoed);
    assert_eq!((response.status(), response.phrase()), (180, "Ringing"));
    assert_eq!(response.clone().with_to_tag("other"), response, "a To tag stays");
    assert_eq!(Response::to(&request(), 100, "Trying").get("Timestamp"), Some("54"));
}

#[test]
fn vias_are_read_and_removed_from_the_top() {
    let mut request = request();
    assert_eq!(request.top_via().unwrap().branch(), Some("z9hG4bK1"));
    request.pop_via();
    assert_eq!(request.list("Via").collect::<Vec<_>>(), ["SIP/2.0/UDP two", "SIP/2.0/TCP three"]);
    request.push_header(&Via::new("UDP", Host::Name("h".into()), None, "z9hG4bKn"));
    request.pop_via();
    request.pop_via();
    assert_eq!(request.top_via().unwrap().branch(), Some("z9hG4bKn"));
}

#[test]
fn the_topmost_via_gets_its_stamp_and_the_others_stay() {
    let mut request = request();
    let mut via = request.top_via().unwrap();
    via.stamp("192.0.2.1:99".parse().unwrap());
    request.set_top_via(&via);
    let vias: Vec<_> = request.get_all("Via").collect();
    let stamped = "SIP/2.0/UDP one;branch=z9hG4bK1;received=192.0.2.1, SIP/2.0/UDP two";
    assert_eq!(vias, [stamped, "SIP/2.0/TCP three"]);
}

#[test]
fn headers_are_set_in_place_and_removed() {
    let mut request = request();
    request.set("via", "SIP/2.0/UDP new");
    assert_eq!(written(&request)[0], ("Via", "SIP/2.0/UDP new"));
    assert_eq!(request.get_all("v").count(), 1);
    request.push_front("Via", "SIP/2.0/UDP first");
    assert_eq!(written(&request)[0], ("Via", "SIP/2.0/UDP first"));
    request.remove("x-private");
    assert_eq!(request.get("X-Private"), None);
    request.set("Supported", "timer, 100rel");
    assert!(request.has_token("k", "100REL"));
}

#[test]
fn the_mandatory_headers_have_names_of_their_own() {
    let request = request();
    assert_eq!(request.call_id(), Some("x@y"));
    assert_eq!(request.cseq(), Some(CSeq { number: 7, method: Method::Invite }));
    assert_eq!(request.from_tag().as_deref(), Some("1"));
    assert_eq!(request.to_tag(), None);
    assert_eq!(request.contact(), None);
}

#[test]
fn debug_shows_no_personal_data() {
    let text = format!("{:?}", Message::from(request()));
    assert_eq!(text, "Request(INVITE Uri(Sip at h), 0 body bytes)");
}
