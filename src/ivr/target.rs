//! What a test may call: numbers and addresses, never one that reaches help in any country.

use crate::base::DialString;
use crate::dialplan::emergency_countries;

/// What is to be called: an address as it is, a number in the one way to write it.
///
/// # Errors
/// One line for people; an emergency number is none that a test calls.
pub fn target(text: &str) -> Result<String, String> {
    if let Some(words) = emergency(text) {
        return Err(format!("`target` {words}"));
    }
    if text.starts_with("sip:") {
        return Ok(text.to_owned());
    }
    let (scheme, number) = match text.strip_prefix("did:") {
        Some(number) => ("did:", number),
        None => ("", text),
    };
    match number.parse::<DialString>() {
        Ok(number) => Ok(format!("{scheme}{}", number.as_str())),
        Err(error) => Err(format!("`target` {text:?}: {error}; write a number, sip:… or did:+…")),
    }
}

/// Why no test calls this number or address, nor sends a call there; `None` where it may.
///
/// It may where it is no emergency number of any country: as it is, written with separators or with
/// percent signs (RFC 3986 2.1), behind `+`, `00` or `011`, a country code, an outside line's `0` or
/// `9`, or a `*` code.
pub fn emergency(text: &str) -> Option<String> {
    // `"Name" <sip:…>` is an address, too.
    let address = text.split_once('<').map_or(text, |(_, rest)| rest);
    let address = address.trim().trim_end_matches('>');
    let lower = address.to_ascii_lowercase();
    if lower.starts_with("urn:service:sos") {
        return Some(format!("{text:?} is the emergency service: no test calls it"));
    }
    let schemes = ["sip:", "sips:", "tel:", "did:"];
    let scheme = schemes.iter().find(|scheme| lower.starts_with(**scheme));
    let rest = &address[scheme.map_or(0, |scheme| scheme.len())..];
    let user = rest.split_once('@').map_or(rest, |(user, _)| user);
    let user = user.split([';', '?']).next().unwrap_or_default();
    // A password (RFC 3261 19.1.1), or the port of an address without a user.
    let user = user.split(':').next().unwrap_or_default();
    let number = digits(&decoded(user))?;
    let (found, countries) = within(&number)?;
    let shown = countries.iter().take(4).copied().collect::<Vec<_>>().join(", ");
    let more = if countries.len() > 4 { ", …" } else { "" };
    Some(format!(
        "{text:?} reaches the emergency number {found} ({shown}{more}): no test calls it; give the menu \
         another number for the test, as in 9100, or a name, as in sip:menu@HOST"
    ))
}

/// The emergency number that `number` is or leads to, and whose it is.
fn within(number: &str) -> Option<(&str, Vec<&'static str>)> {
    let known = |digits: &'_ str| {
        let countries = emergency_countries(digits);
        (!countries.is_empty()).then_some(countries)
    };
    if let Some(countries) = known(number) {
        return Some((number, countries));
    }
    let long = |digits: &'_ str| known(digits).filter(|_| digits.len() >= 3);
    // From abroad, or with a country code where none belongs: +112, +49 112, 0049112, 011 49 112.
    let abroad = ["+", "00", "011"].iter().filter_map(|prefix| number.strip_prefix(prefix));
    for rest in abroad {
        if let Some(countries) = known(rest) {
            return Some((rest, countries));
        }
        for code in 1..=3 {
            if let Some(national) = rest.get(code..)
                && let Some(countries) = known(national)
            {
                return Some((national, countries));
            }
        }
    }
    // An outside line; behind 9 only what nobody has as an extension.
    if let Some(rest) = number.strip_prefix('0')
        && let Some(countries) = long(rest)
    {
        return Some((rest, countries));
    }
    if let Some(rest) = number.strip_prefix('9').filter(|rest| ["112", "911"].contains(rest)) {
        return Some((rest, emergency_countries(rest)));
    }
    // Codes before a number: *31#112, *67911.
    let (code, last) = number.trim_end_matches('#').rsplit_once(['*', '#'])?;
    let number = Some(last).filter(|_| code.contains(|c: char| c.is_ascii_digit()));
    let ways = [number, last.get(2..)].into_iter().flatten();
    ways.into_iter().find_map(|digits| Some((digits, long(digits)?)))
}

/// A telephone number without its separators; `None` where it is a name.
fn digits(user: &str) -> Option<String> {
    let separators = [' ', '\t', '-', '.', '(', ')', '/', '_', '\u{a0}'];
    let kept: String = user.chars().filter(|c| !separators.contains(c)).collect();
    let dialled = |c: char| c.is_ascii_digit() || matches!(c, '+' | '*' | '#');
    (!kept.is_empty() && kept.chars().all(dialled)).then_some(kept)
}

/// With `%31` as `1` (RFC 3986 2.1).
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_to_write_an_emergency_number_is_called() {
        for number in [
            "112",
            "911",
            "999",
            "15",
            "17",
            "18",
            "106",
            "10111",
            "1 1 2",
            "1-1-2",
            "+112",
            "+49112",
            "+1911",
            "+33 15",
            "0049112",
            "01149110",
            "0112",
            "9911",
            "9112",
            "*31#112",
            "*67911",
            "#31#110",
            "did:112",
            "tel:112",
            "tel:112;phone-context=+49",
            "tel:+49-112",
            "sip:112",
            "sip:110@example.org",
            "sip:17@h",
            "sip:15@h:5070",
            "sip:106@h;transport=tcp",
            "sip:%31%31%32@h",
            "sip:1%312@h",
            "sip:%2B49112@h",
            "sip:1.1.2@h",
            "sip:112;phone-context=x@h",
            "sip:112:secret@h",
            "sip:+49110@x",
            "SIP:112@h",
            "sips:112@h",
            "<sip:112@h>",
            "\"help\" <sip:112@h>",
            "urn:service:sos.police",
        ] {
            assert!(emergency(number).is_some(), "{number}");
            assert!(target(number).is_err(), "{number}");
        }
    }

    #[test]
    fn every_number_of_every_country_is_refused_and_says_what_to_write() {
        let zeros = ["000", "061", "062", "080", "085", "091", "092"].map(str::to_owned);
        let numbers = (0..2000).chain(9990..10_200).map(|n: u32| n.to_string());
        for number in numbers.chain(zeros) {
            if !emergency_countries(&number).is_empty() {
                for written in [number.clone(), format!("sip:{number}@h"), format!("+49{number}")] {
                    assert!(emergency(&written).is_some(), "{written}");
                }
            }
        }
        let words = target("sip:17@h").unwrap_err();
        assert!(words.contains("emergency number 17 (FR, GF, ") && words.contains("sip:menu@HOST"));
    }

    #[test]
    fn what_is_no_emergency_number_is_called() {
        for number in (600..=626).map(|n| n.to_string()) {
            assert_eq!(target(&number).as_deref(), Ok(number.as_str()));
            assert_eq!(emergency(&format!("sip:{number}@127.0.0.1:5070")), None);
        }
        for number in [
            "1",
            "2",
            "**100",
            "200",
            "201",
            "300",
            "9100",
            "9150",
            "1001",
            "01121",
            "*97",
            "*100",
            "#31#",
            "**201",
            "+493023125600",
            "030112",
            "+4930112",
            "0800112",
            "did:+493012345670",
            "sip:menu@112.example.org",
            "sip:menu@h:112",
            "sip:alice112@h",
            "sip:127.0.0.1:5060",
            "tel:+493012345670",
        ] {
            assert_eq!(emergency(number), None, "{number}");
        }
    }
}
