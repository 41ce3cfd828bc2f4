//! Reads `[trunk.NAME]`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::read::{pem, secret};
use crate::base::document::{self, Field, Reader};
use crate::base::{DigitPacing, DtmfMode, Network, TrunkId};
use crate::dialplan::{Files, Region};
use crate::trunk::{
    CallerDigest, Codec, ComfortNoise, Definition, Failure, NumberFormat, Refer, Registering,
    RetryOn, Srtp, Target, TrunkTls,
};

/// Every trunk.
pub(super) fn all(root: &Reader<'_>, files: &dyn Files) -> BTreeMap<TrunkId, Definition> {
    let mut trunks = BTreeMap::new();
    for (name, table) in root.named("trunk") {
        let id = Field { value: name.value.as_str(), at: name.at.clone() };
        let id = document::parsed::<TrunkId>(id, "trunk", table.findings());
        table.required("target");
        let target = table.parsed::<Target>("target");
        // Read the rest in any case, so that its mistakes are told too.
        let fallback: Option<(TrunkId, Target)> =
            id.zip(target).map(|(id, target)| (id.value, target.value));
        let (id, target) = match fallback {
            Some(both) => both,
            None => {
                if let (Ok(id), Ok(target)) = ("unnamed".parse(), "sip:unnamed".parse()) {
                    rest(Definition::new(id, target), &table, files);
                }
                continue;
            }
        };
        let definition = rest(Definition::new(id.clone(), target), &table, files);
        trunks.insert(id, definition);
    }
    trunks
}

fn rest(mut trunk: Definition, table: &Reader<'_>, files: &dyn Files) -> Definition {
    let findings = table.findings();
    trunk.username = table.text("username").map(|field| field.value.to_owned());
    let password = secret(table, ["password", "password_file"], files);
    if let (Some(Field { at, .. }), None) = (&password, &trunk.username) {
        findings.error(at, format!("{} has a password and no `username`", table.name()));
    }
    trunk.password = password.map(|field| field.value);
    trunk.auth_username = table.text("auth_username").map(|field| field.value.to_owned());
    if let Some(Field { value: true, at }) = table.boolean("register") {
        trunk.register = Registering::Register;
        if trunk.username.is_none() {
            findings.error(&at, format!("{} registers and needs `username`", table.name()));
        }
    }
    if let Some(Field { value, at }) = table.duration("register_expires") {
        trunk.register_expires = value;
        if !(SHORTEST_REGISTRATION..=LONGEST_REGISTRATION).contains(&value) {
            findings.error(&at, "`register_expires` is 10s to 24h");
        }
    }
    trunk.caller_username = table.text("caller_username").map(|field| field.value.to_owned());
    let caller_password = secret(table, ["caller_password", "caller_password_file"], files);
    if caller_password.is_some() != trunk.caller_username.is_some() {
        let message = "`caller_username` and `caller_password` go together";
        findings.error(table.at(), format!("{}: {message}", table.name()));
    }
    trunk.caller_password = caller_password.map(|field| field.value);
    if let Some(field) = table.choice("caller_digest", CallerDigest::WORDS) {
        trunk.caller_digest = field.value;
    }
    if let Some(own) = table.table("tls") {
        trunk.tls = tls(&own, files);
    }
    trunk.accept_from = networks(table, "accept_from");
    trunk.media_from = networks(table, "media_from");
    let headers = table.texts_or_none("page_headers").into_iter();
    let headers = headers.filter_map(|name| document::parsed(name, "page_headers", findings));
    trunk.page_headers = headers.map(|field| field.value).take(MOST_HEADERS).collect();
    if let Some(field) = table.choice("numbers", NumberFormat::WORDS) {
        trunk.numbers = field.value;
    }
    let country = table.parsed::<Region>("country");
    trunk.calling_code = country.and_then(|field| field.value.calling_code());
    if trunk.numbers == NumberFormat::National && trunk.calling_code.is_none() {
        let message = format!("{} has national numbers and needs `country`", table.name());
        findings.error(table.at(), message);
    }
    if let Some(list) = table.texts("codecs") {
        trunk.codecs = codecs(list, table);
    }
    if let Some(field) = table.choice("dtmf", DtmfMode::WORDS) {
        trunk.dtmf = field.value;
    }
    trunk.digits = digits(table);
    if let Some(field) = table.choice("comfort_noise", ComfortNoise::WORDS) {
        trunk.comfort_noise = field.value;
    }
    if let Some(field) = table.choice("refer", Refer::WORDS) {
        trunk.refer = field.value;
    }
    if let Some(field) = table.choice("srtp", Srtp::WORDS) {
        trunk.srtp = field.value;
    }
    let count = |key, default: u32| {
        let field = table.integer(key, 1..100_001);
        field.and_then(|field| u32::try_from(field.value).ok()).unwrap_or(default)
    };
    trunk.channels = count("channels", trunk.channels);
    trunk.cps = count("cps", trunk.cps);
    if let Some(list) = table.texts("retry_on") {
        let failures = list.into_iter().filter_map(|field| {
            document::parsed::<Failure>(field, "retry_on", findings).map(|field| field.value)
        });
        trunk.retry_on = RetryOn::new(failures);
    }
    if let Some(Field { value, at }) = table.duration("options_interval") {
        if !value.is_zero() && !(SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&value) {
            findings.error(&at, "`options_interval` is 5s to 1h, or 0s for none");
        }
        trunk.options_interval = (!value.is_zero()).then_some(value);
    }
    table.finish();
    trunk
}

/// How long digits are. Below 40 ms of tone and 30 ms of pause nobody hears them (ITU-T Q.24).
fn digits(table: &Reader<'_>) -> DigitPacing {
    let usual = DigitPacing::default();
    let length = |key, usual: Duration, least: u64, most: u64| match table.duration(key) {
        Some(Field { value, at }) => {
            let ms = value.as_millis();
            if !(u128::from(least)..=u128::from(most)).contains(&ms) {
                let message = format!("`{key}` = {ms} ms is not in {least}ms to {most}ms");
                table.findings().error(&at, message);
            }
            value
        }
        None => usual,
    };
    DigitPacing {
        min_tone: length("dtmf_min_tone", usual.min_tone, 40, 1000),
        min_gap: length("dtmf_min_gap", usual.min_gap, 30, 1000),
        tone: length("dtmf_tone", usual.tone, 40, 6000),
        gap: length("dtmf_gap", usual.gap, 30, 6000),
    }
}

/// Headers of an INVITE that pages may see; those after them are not read.
const MOST_HEADERS: usize = 16;

fn tls(table: &Reader<'_>, files: &dyn Files) -> TrunkTls {
    let [ca, cert, key] = ["ca", "cert", "key"].map(|key| pem(table, key, files));
    if cert.is_some() != key.is_some() {
        table.findings().error(table.at(), "`cert` and `key` of `tls` go together");
    }
    let name = table.text("name").map(|field| field.value.to_owned());
    table.finish();
    TrunkTls { name, ca, identity: cert.zip(key) }
}

fn networks(table: &Reader<'_>, key: &'static str) -> Vec<Network> {
    table
        .texts_or_none(key)
        .into_iter()
        .filter_map(|field| document::parsed(field, key, table.findings()))
        .map(|field| field.value)
        .collect()
}

fn codecs(list: Vec<Field<&str>>, table: &Reader<'_>) -> Vec<Codec> {
    let mut codecs = Vec::new();
    for field in list {
        let Some(codec) = document::choice(field, "codecs", Codec::WORDS, table.findings()) else {
            continue;
        };
        if codecs.contains(&codec.value) {
            let message = format!("codec {} is named twice", codec.value.word());
            table.findings().error(&codec.at, message);
        }
        codecs.push(codec.value);
    }
    codecs
}

/// More often than this would be a load of its own.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);
const SHORTEST_REGISTRATION: Duration = Duration::from_secs(10);
const LONGEST_REGISTRATION: Duration = Duration::from_secs(86_400);
const LONGEST_INTERVAL: Duration = Duration::from_secs(3_600);
