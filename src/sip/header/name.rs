//! The names of headers: between rsip's `Header` variants and the wire, compact forms included
//! (RFC 3261 7.3.3 and the registry of header names).

use rsip::Header;
use rsip::headers::{UntypedHeader, untyped};

macro_rules! known_headers {
    ($($variant:ident = $name:literal,)*) => {
        /// The header of this name; names are compared without case, compact forms are understood.
        pub fn header(name: &str, value: String) -> Header {
            let name = full_name(name);
            $(if name.eq_ignore_ascii_case($name) {
                return Header::$variant(untyped::$variant::new(value));
            })*
            Header::Other(name.to_owned(), value)
        }

        /// The full name and the value of a header, as they are written.
        pub fn parts(header: &Header) -> (&str, &str) {
            match header {
                $(Header::$variant(header) => ($name, header.value()),)*
                Header::Other(name, value) => (name, value),
            }
        }
    };
}

known_headers! {
    Via = "Via",
    From = "From",
    To = "To",
    CallId = "Call-ID",
    CSeq = "CSeq",
    MaxForwards = "Max-Forwards",
    Contact = "Contact",
    Route = "Route",
    RecordRoute = "Record-Route",
    Allow = "Allow",
    Supported = "Supported",
    Require = "Require",
    ContentType = "Content-Type",
    ContentLength = "Content-Length",
    UserAgent = "User-Agent",
    Server = "Server",
    Accept = "Accept",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    AlertInfo = "Alert-Info",
    AuthenticationInfo = "Authentication-Info",
    Authorization = "Authorization",
    CallInfo = "Call-Info",
    ContentDisposition = "Content-Disposition",
    ContentEncoding = "Content-Encoding",
    ContentLanguage = "Content-Language",
    Date = "Date",
    ErrorInfo = "Error-Info",
    Event = "Event",
    Expires = "Expires",
    InReplyTo = "In-Reply-To",
    MimeVersion = "MIME-Version",
    MinExpires = "Min-Expires",
    Organization = "Organization",
    Priority = "Priority",
    ProxyAuthenticate = "Proxy-Authenticate",
    ProxyAuthorization = "Proxy-Authorization",
    ProxyRequire = "Proxy-Require",
    ReplyTo = "Reply-To",
    RetryAfter = "Retry-After",
    Subject = "Subject",
    SubscriptionState = "Subscription-State",
    Timestamp = "Timestamp",
    Unsupported = "Unsupported",
    Warning = "Warning",
    WwwAuthenticate = "WWW-Authenticate",
}

/// The full name of a compact form; any other name as it is.
pub fn full_name(name: &str) -> &str {
    let [letter] = name.as_bytes() else { return name };
    match letter.to_ascii_lowercase() {
        b'a' => "Accept-Contact",
        b'b' => "Referred-By",
        b'c' => "Content-Type",
        b'd' => "Request-Disposition",
        b'e' => "Content-Encoding",
        b'f' => "From",
        b'i' => "Call-ID",
        b'j' => "Reject-Contact",
        b'k' => "Supported",
        b'l' => "Content-Length",
        b'm' => "Contact",
        b'o' => "Event",
        b'r' => "Refer-To",
        b's' => "Subject",
        b't' => "To",
        b'u' => "Allow-Events",
        b'v' => "Via",
        b'x' => "Session-Expires",
        b'y' => "Identity",
        _ => name,
    }
}

/// Whether a message may hold this header once only (RFC 3261 7.3.1: no comma-separated list).
pub fn is_single(name: &str) -> bool {
    const SINGLE: [&str; 17] = [
        "Call-ID",
        "Content-Disposition",
        "Content-Length",
        "Content-Type",
        "CSeq",
        "Expires",
        "From",
        "Max-Forwards",
        "MIME-Version",
        "Min-Expires",
        "Min-SE",
        "RAck",
        "Refer-To",
        "Replaces",
        "RSeq",
        "Session-Expires",
        "To",
    ];
    SINGLE.iter().any(|single| single.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_header_in_any_case_and_compact() {
        let table = [
            ("via", "Via"),
            ("v", "Via"),
            ("I", "Call-ID"),
            ("call-id", "Call-ID"),
            ("www-authenticate", "WWW-Authenticate"),
            ("x", "Session-Expires"),
            ("X-Custom", "X-Custom"),
            ("z", "z"),
        ];
        for (name, full) in table {
            let header = header(name, "1".to_owned());
            assert_eq!(parts(&header), (full, "1"), "{name}");
            let other = ["Session-Expires", "X-Custom", "z"].contains(&full);
            assert_eq!(matches!(header, Header::Other(..)), other, "{name}");
        }
    }
}
