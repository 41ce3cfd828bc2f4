//! The names of rsip's methods on the wire (RFC 3261 7.1: methods are case-sensitive).

use rsip::Method;

const METHODS: [(Method, &str); 14] = [
    (Method::Invite, "INVITE"),
    (Method::Ack, "ACK"),
    (Method::Bye, "BYE"),
    (Method::Cancel, "CANCEL"),
    (Method::Options, "OPTIONS"),
    (Method::Register, "REGISTER"),
    (Method::PRack, "PRACK"),
    (Method::Update, "UPDATE"),
    (Method::Info, "INFO"),
    (Method::Refer, "REFER"),
    (Method::Notify, "NOTIFY"),
    (Method::Subscribe, "SUBSCRIBE"),
    (Method::Message, "MESSAGE"),
    (Method::Publish, "PUBLISH"),
];

/// The method of this name.
pub fn parse(name: &str) -> Option<Method> {
    METHODS.iter().find(|(_, own)| *own == name).map(|(method, _)| *method)
}

/// The name of a method as it is written.
pub fn name(method: Method) -> &'static str {
    let row = METHODS.iter().find(|(own, _)| *own == method);
    row.map(|(_, name)| *name).expect("the test `every_method_has_one_name` walks them all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_one_name() {
        for method in Method::all() {
            assert_eq!(parse(name(method)), Some(method));
        }
        assert_eq!(parse("invite"), None, "case counts");
        assert_eq!(parse("RE%47IST%45R"), None, "methods have no escapes");
    }
}
