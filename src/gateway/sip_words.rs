//! What a call looks like in SIP headers: who calls and is called, why it was refused.

use std::net::SocketAddr;

use super::routing::Dial;
use super::trunks::Trunk;
use crate::base::{Cause, Party};
use crate::dialplan::{Number, Presentation, Target};
use crate::dtmf::InfoSupport;
use crate::media;
use crate::sip;
use crate::sip::header::{Reason, Warning};
use crate::sip::{ExtraHeader, Host, Incoming, Malformed, MessageExt, NameAddr, Privacy, Uri};
use crate::trunk::{Definition, Registering, Transport};

/// The addresses of an INVITE.
pub(super) struct InviteWords {
    pub target: Uri,
    pub from: NameAddr,
    pub to: NameAddr,
    pub asserted_identity: Option<NameAddr>,
    pub headers: Vec<ExtraHeader>,
}

/// The addresses of the INVITE that dials `dial` on `trunk`; `local` is our address toward it.
pub(super) fn invite(
    trunk: &Trunk,
    dial: &Dial,
    local: SocketAddr,
) -> Result<InviteWords, Malformed> {
    let trunk = &trunk.definition;
    let user = match &dial.to {
        Some(Target::Number(number)) => written(trunk, number),
        Some(Target::Short(digits)) => digits.as_str().to_owned(),
        None => return Err(Malformed("nothing to dial")),
    };
    let host = match trunk.target.address() {
        Some(address) => Host::from(address),
        None => Host::parse(trunk.target.host())?,
    };
    let mut target = Uri::sip(Some(&user), &host, trunk.target.port())?;
    match trunk.target.transport() {
        Transport::Udp => {}
        Transport::Tcp => target = target.with_param("transport", Some("tcp"))?,
        Transport::Tls => target = target.with_param("transport", Some("tls"))?,
    }
    // The domain of an account is its registrar's, also in From (RFC 3261 10.1).
    let here = match trunk.register {
        Registering::Register => host.clone(),
        Registering::Static => Host::from(local.ip()),
    };
    let (from, asserted_identity, headers) = match &dial.caller_id {
        None => {
            let user = dial.caller_name.as_str();
            (NameAddr::new(Uri::sip(Some(user), &here, None)?), None, Vec::new())
        }
        Some(identity) => {
            let number = match Number::from_e164(&identity.number) {
                Some(number) => written(trunk, &number),
                None => identity.number.as_str().to_owned(),
            };
            let mut address = NameAddr::new(Uri::sip(Some(&number), &here, None)?);
            if let Some(name) = &identity.name {
                address = address.with_display(name);
            }
            match identity.present {
                Presentation::From => (address, None, Vec::new()),
                Presentation::Identity => (address.clone(), Some(address), Vec::new()),
                Presentation::Anonymous => {
                    // RFC 3323 4.1.1.3.
                    let nobody = Uri::parse("sip:anonymous@anonymous.invalid")?;
                    let from = NameAddr::new(nobody).with_display("Anonymous");
                    let privacy = ExtraHeader::new("Privacy", "id");
                    (from, Some(address), privacy.into_iter().collect())
                }
            }
        }
    };
    Ok(InviteWords { to: NameAddr::new(target.clone()), target, from, asserted_identity, headers })
}

/// Who calls, as a trunk says it: the asserted identity before From (RFC 3325).
pub(super) fn caller_of(trunk: &Definition, incoming: &Incoming) -> Party {
    if incoming.privacy == Privacy::Withheld {
        return Party {
            uri: "sip:anonymous@anonymous.invalid".to_owned(),
            display: Some("Anonymous".to_owned()),
            ..Party::default()
        };
    }
    let address = incoming.asserted_identities.first().unwrap_or(&incoming.from);
    party(trunk, &address.uri, address.display.as_deref())
}

/// Who is called: the user part of the request URI. Where that is only the account that we have
/// registered, the number is in P-Called-Party-ID (RFC 3455 4.2), else in To.
pub(super) fn called_of(trunk: &Definition, incoming: &Incoming) -> Party {
    let account = trunk.username.as_deref().filter(|_| trunk.register == Registering::Register);
    if account.is_none() || incoming.target.user_decoded().as_deref() != account {
        return party(trunk, &incoming.target, None);
    }
    let called = incoming.request.get("P-Called-Party-ID");
    let called = called.and_then(|value| NameAddr::parse(value).ok());
    party(trunk, &called.as_ref().unwrap_or(&incoming.to).uri, None)
}

/// A number as the trunk writes it.
fn written(trunk: &Definition, number: &Number) -> String {
    trunk.numbers.write(&number.e164, &number.national, trunk.calling_code)
}

fn party(trunk: &Definition, uri: &Uri, display: Option<&str>) -> Party {
    let user = uri.user_decoded().unwrap_or_default();
    // Parameters of the number (RFC 3966) are no part of it: `npdi`, `verstat`.
    let number = user.split(';').next().unwrap_or_default();
    let number = trunk.numbers.read(number).parse().ok();
    let display = display
        .map(|name| name.chars().filter(|c| !c.is_control()).take(MAX_DISPLAY).collect::<String>());
    Party {
        user: None,
        number,
        uri: uri.as_str().to_owned(),
        display: display.filter(|name| !name.is_empty()),
    }
}

/// `Reason` headers of a BYE or CANCEL (RFC 3326).
pub(super) fn reasons(cause: Cause, q850: u8) -> Vec<Reason> {
    let mut reasons = vec![Reason::q850(q850, cause.message())];
    if cause == Cause::AnsweredElsewhere {
        // RFC 3326 section 3.1: the phone does not show a missed call.
        reasons.push(Reason {
            protocol: "SIP".to_owned(),
            cause: Some(200),
            text: Some("Call completed elsewhere".to_owned()),
        });
    }
    reasons
}

/// The same of an offer that cannot be answered: what is wrong with it (RFC 3261 20.43).
pub(super) fn media_refusal_headers(cause: Cause, error: &media::Error) -> Vec<ExtraHeader> {
    let code = match error {
        media::Error::NoCommonCodec => 305,
        _ => 399,
    };
    let warning = Warning { code, agent: "crosspoint".to_owned(), text: error.to_string() };
    let reason = ExtraHeader::of(&Reason::q850(cause.q850(), cause.message()));
    reason.into_iter().chain(ExtraHeader::of(&warning)).collect()
}

/// `Reason`, `Warning` and, where it pays to come back, `Retry-After` of a refusal.
pub(super) fn refusal_headers(cause: Cause, retry_after: Option<u32>) -> Vec<ExtraHeader> {
    let warning =
        Warning { code: 399, agent: "crosspoint".to_owned(), text: cause.message().to_owned() };
    let mut headers = vec![
        ExtraHeader::of(&Reason::q850(cause.q850(), cause.message())),
        ExtraHeader::of(&warning),
    ];
    if let Some(seconds) = retry_after {
        headers.push(ExtraHeader::new("Retry-After", &seconds.to_string()));
    }
    headers.into_iter().flatten().collect()
}

/// Whether a status of one trunk says the same on another: not those that speak of the request itself, or
/// that want something of who sent it (RFC 3261 16.7, 21.3).
pub(super) fn may_be_passed_on(status: u16) -> bool {
    !matches!(status, 300..=399 | 400 | 401 | 402 | 405 | 407 | 413..=417 | 420..=439 | 481 | 483 | 491 | 493 | 494 | 505 | 513)
}

/// The Q.850 cause among `Reason` headers.
pub(super) fn q850_of(reasons: &[Reason]) -> Option<u8> {
    reasons.iter().find_map(Reason::as_q850)
}

/// As long as `Party::display` may be.
const MAX_DISPLAY: usize = 64;

/// Whether an `Allow` names INFO.
pub(super) fn info_support(allow: &[sip::Method]) -> InfoSupport {
    match allow.contains(&sip::Method::Info) {
        true => InfoSupport::Allowed,
        false => InfoSupport::Unknown,
    }
}
