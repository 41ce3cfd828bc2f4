//! Tests of `uri`: parts, comparison (RFC 3261 19.1.4), and what is refused.

use super::*;

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn parts_are_found() {
    // text, scheme, user, host, port
    let table = [
        ("sip:h", Scheme::Sip, None, Some("h"), None),
        ("sip:first.last@h.example", Scheme::Sip, Some("first.last"), Some("h.example"), None),
        ("SIPS:a:pw@h:5061", Scheme::Sips, Some("a"), Some("h"), Some(5061)),
        ("sip:a@[2001:db8::1]:5070;lr", Scheme::Sip, Some("a"), Some("[2001:db8::1]"), Some(5070)),
        ("sip:[::1]", Scheme::Sip, None, Some("[::1]"), None),
        ("sip:a;p=u%40x@h", Scheme::Sip, Some("a;p=u%40x"), Some("h"), None),
        ("sip:+49;npdi@h;user=phone", Scheme::Sip, Some("+49;npdi"), Some("h"), None),
        ("sip:null-%00-null@h", Scheme::Sip, Some("null-%00-null"), Some("h"), None),
        ("sip:192.0.2.1?a=b", Scheme::Sip, None, Some("192.0.2.1"), None),
        ("tel:+1-201-555-0123;ext=7", Scheme::Tel, Some("+1-201-555-0123"), None, None),
        ("urn:service:sos", Scheme::Other, None, None, None),
    ];
    for (text, scheme, user, host, port) in table {
        let uri = uri(text);
        assert_eq!(uri.scheme(), scheme, "{text}");
        assert_eq!(uri.user(), user, "{text}");
        assert_eq!(uri.host().map(Host::to_string).as_deref(), host, "{text}");
        assert_eq!(uri.port(), port, "{text}");
        assert_eq!(uri.as_str(), text, "kept as written");
    }
}

#[test]
fn parameters_and_headers_are_found() {
    let uri = uri("sip:a@h;Transport=tcp;lr;x=a%20b?Subject=a%20b&p=1");
    assert_eq!(uri.param("transport"), Some("tcp"));
    assert_eq!(uri.param("x"), Some("a%20b"));
    assert!(uri.is_loose_router());
    assert_eq!(uri.param("Subject"), None);
    assert_eq!(uri.headers().collect::<Vec<_>>(), [("Subject", "a%20b"), ("p", "1")]);
    let more = uri.with_param("ob", None).unwrap();
    assert_eq!(more.as_str(), "sip:a@h;Transport=tcp;lr;x=a%20b;ob?Subject=a%20b&p=1");
}

#[test]
fn broken_uris_are_refused() {
    let table = [
        "",
        "a",
        ":a",
        "sip:",
        "sip:@h",
        "sip::p@h",
        "sip:a@",
        "sip:a@h:",
        "sip:a@h:65536",
        "sip:a@h:-1",
        "sip:a@b@c",
        "sip:a b@h",
        "<sip:a@h>",
        "sip:a@[::1",
        "sip:a@::1",
        "sip:a@h;",
        "sip:a@h;=x",
        "sip:a@[1.2.3.4]",
        "tel:",
        "tel:abcxyz",
        "tel:+",
        "1sip:a@h",
        "sip:\u{fc}@h",
        "sip:a@h\r\nX: y",
        "sip:a@h/../",
    ];
    for text in table {
        assert!(Uri::parse(text).is_err(), "{text}");
    }
}

#[test]
fn comparison_follows_rfc_3261_19_1_4() {
    let same = [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:h;transport=tcp;method=REGISTER?to=sip:b%40h",
            "sip:h;method=REGISTER;transport=tcp?to=sip:b%40h",
        ),
        (
            "sip:a@h?subject=project%20x&priority=urgent",
            "sip:a@h?priority=urgent&subject=project%20x",
        ),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:0DB8:0:0:0:0:0:1]"),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
        ("tel:7;ext=1;phone-context=+1", "TEL:7;phone-context=+1;ext=1"),
    ];
    for (own, its) in same {
        assert!(uri(own).equivalent(&uri(its)) && uri(its).equivalent(&uri(own)), "{own} {its}");
    }
    let different = [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@h", "sips:a@h"),
        ("sip:a:x@h", "sip:a@h"),
        ("sip:h", "sip:a@h"),
        ("tel:+1201", "tel:1201"),
        ("tel:+1201", "sip:+1201@h"),
    ];
    for (own, its) in different {
        assert!(!uri(own).equivalent(&uri(its)) && !uri(its).equivalent(&uri(own)), "{own} {its}");
    }
}

#[test]
fn a_built_uri_escapes_its_user() {
    let host = Host::parse("h").unwrap();
    let built = Uri::sip(Some("a b@c#1"), &host, Some(5060)).unwrap();
    assert_eq!(built.as_str(), "sip:a%20b%40c%231@h:5060");
    assert_eq!(built.user_decoded().unwrap(), "a b@c#1");
    let v6 = Host::Ip("2001:db8::1".parse().unwrap());
    assert_eq!(Uri::sip(None, &v6, None).unwrap().as_str(), "sip:[2001:db8::1]");
}
