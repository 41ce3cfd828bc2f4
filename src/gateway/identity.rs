//! What a trunk says of a caller beyond the number: how far it was verified (STIR/SHAKEN), and whose
//! call it was before it came here.
//!
//! The trunk has checked the signature, or nobody has: its `verstat` (3GPP TS 24.229 7.2A.20,
//! ATIS-1000074) is taken where it stands in the identity that it asserts, and nowhere else. A From that
//! says so of itself proves nothing.

use std::collections::BTreeMap;

use crate::signaling::Verified;
use crate::sip::{Incoming, MessageExt, NameAddr, Privacy};
use crate::trunk::Definition;

/// How far the trunk has verified the caller's number; `None` where it says nothing.
pub(super) fn verified(incoming: &Incoming) -> Option<Verified> {
    let verstat = incoming.asserted_identities.iter().find_map(verstat)?;
    let verstat = verstat.to_ascii_lowercase();
    if verstat.starts_with("tn-validation-failed") {
        return Some(Verified::Failed);
    }
    let rest = verstat.strip_prefix("tn-validation-passed")?;
    let level = rest.strip_prefix('-').unwrap_or_default();
    // ATIS-1000074 5.2.4: the level beside it.
    let beside = ["P-Attestation-Indicator", "Attestation-Info"];
    let beside = beside.iter().find_map(|name| incoming.request.get(name)).unwrap_or_default();
    let word = if level.is_empty() { beside.trim() } else { level };
    Some(match word.to_ascii_lowercase().as_str() {
        "a" => Verified::A,
        "b" => Verified::B,
        // Passed, and nothing is said of who signed: no more than the gateway of another network did.
        _ => Verified::C,
    })
}

/// `verstat` of an identity: a parameter of the number, of the URI or of the header.
fn verstat(identity: &NameAddr) -> Option<String> {
    let user = identity.uri.user_decoded().unwrap_or_default();
    let of_number = user.split(';').skip(1).find_map(|param| param.strip_prefix("verstat="));
    let found = of_number.or_else(|| identity.uri.param("verstat"));
    found.or_else(|| identity.params.get("verstat")).map(str::to_owned)
}

/// Whose call it was before: the newest diversion (RFC 5806), or the last entry but one of the history
/// (RFC 7044), as pages read it.
pub(super) fn diverted(incoming: &Incoming) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    if incoming.privacy == Privacy::Withheld {
        return told;
    }
    let mut tell = |name: &str, value: Option<String>| {
        let plain = |c: &char| !c.is_control();
        let value =
            value.map(|value| value.chars().filter(plain).take(LONGEST).collect::<String>());
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            told.insert(name.to_owned(), value);
        }
    };
    let number = |address: &NameAddr| {
        let user = address.uri.user_decoded().unwrap_or_default();
        Some(user.split(';').next().unwrap_or_default().to_owned())
    };
    if let Some(newest) = incoming.diversions.first() {
        if !newest.is_withheld() {
            tell("diverted_from", number(&newest.0));
        }
        tell("diverted_because", newest.reason());
    } else if let [.., before, target] = &incoming.history[..] {
        if !before.is_withheld() && !hides_history(incoming) {
            tell("diverted_from", number(&before.0));
        }
        tell("diverted_because", target.reason().map(str::to_owned));
    }
    told
}

/// `Privacy: history` (RFC 7044 10.1.1): of all entries.
fn hides_history(incoming: &Incoming) -> bool {
    let values = incoming.request.get_all("Privacy");
    values
        .flat_map(|value| value.split(';'))
        .any(|word| word.trim().eq_ignore_ascii_case("history"))
}

/// The headers that the trunk's settings let through to pages, under the names of the settings.
pub(super) fn page_headers(trunk: &Definition, incoming: &Incoming) -> BTreeMap<String, String> {
    let value = |name: &str| {
        let value = incoming.request.get(name)?;
        Some(value.chars().filter(|c| !c.is_control()).take(LONGEST_HEADER).collect::<String>())
    };
    let names = trunk.page_headers.iter().map(|name| name.as_str());
    names.filter_map(|name| Some((name.to_owned(), value(name)?))).collect()
}

/// Of a header's value, in characters.
const LONGEST_HEADER: usize = 256;

/// As long as a number or a reason may be.
const LONGEST: usize = 64;
