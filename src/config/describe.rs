//! Every setting in force with its value and its origin: what `crosspoint config show` prints.

use serde::Serialize;

use super::settings::{Config, StoreUrl};
use crate::base::document::{Item, Value};
use crate::media::Silence;
use crate::trunk::{Definition, Registering};

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// `trunk.north.channels`
    pub key: String,
    /// As it would be written in TOML; secrets are `[secret]`.
    pub value: String,
    /// `FILE:LINE`, `environment NAME` or `default`.
    pub origin: String,
}

/// Every setting of `config`; origins are looked up in the document it was read from.
pub(super) fn settings(config: &Config, document: &Item) -> Vec<Setting> {
    let mut list = List { document, all: Vec::new() };
    list.add("dialplan", quoted(&config.dialplan));
    list.add("http.listen", quoted(&config.http.listen));
    list.add("http.allowed_origins", strings(&config.http.allowed_origins));
    let tls = config.http.tls.as_ref();
    list.optional("http.tls.cert", tls.map(|own| quoted(&own.cert)));
    list.optional("http.tls.key", tls.map(|own| quoted(&own.key)));
    if let Some(own) = &config.http.acme {
        list.add("http.acme.domain", quoted(&own.domain));
        list.add("http.acme.contact", quoted(&own.contact));
        list.add("http.acme.folder", quoted(&own.folder.display()));
        list.optional("http.acme.directory", own.directory.as_ref().map(quoted));
        list.optional("http.acme.ca", own.ca.as_ref().map(quoted));
    }
    list.add("http.admin", quoted(&config.http.admin.word()));
    list.add("http.operator_key_file", quoted(&config.http.operator_key_file));
    for (name, key) in &config.api_keys {
        list.add(&format!("api_key.{name}.key"), SECRET.to_owned());
        list.add(&format!("api_key.{name}.permissions"), strings(&key.permissions));
    }
    for (name, hook) in &config.webhooks {
        let key = |name_of: &str| format!("webhook.{name}.{name_of}");
        list.add(&key("url"), quoted(&hook.url));
        list.add(&key("secret"), SECRET.to_owned());
        list.add(&key("events"), strings(&hook.events));
        list.add(&key("allow_private"), hook.allow_private.to_string());
    }
    list.add("sip.listen", strings(&config.sip.listen));
    list.optional("sip.address", config.sip.address.as_ref().map(quoted));
    let tls = config.sip.tls.as_ref();
    list.optional("sip.tls.cert", tls.map(|own| quoted(&own.cert)));
    list.optional("sip.tls.key", tls.map(|own| quoted(&own.key)));
    let client_ca = tls.and_then(|own| own.client_ca.as_ref());
    list.optional("sip.tls.client_ca", client_ca.map(quoted));
    list.add("sip.dns_servers", strings(&config.sip.dns_servers));
    list.add("sip.session_expires", quoted(&format!("{}s", config.sip.session_expires.as_secs())));
    list.add("sip.session_min", quoted(&format!("{}s", config.sip.session_min.as_secs())));
    list.add("sip.streams_per_address", config.sip.streams_per_address.to_string());
    list.add("media.workers", config.media.workers.to_string());
    list.add("media.calls_per_worker", config.media.calls_per_worker.to_string());
    list.add("media.webrtc_port", config.media.webrtc_port.to_string());
    list.add("media.rtp_ports", quoted(&config.media.rtp_ports));
    list.optional("media.address", config.media.address.as_ref().map(quoted));
    list.add("media.ice_lite", config.media.ice_lite.to_string());
    let opus = &config.media.opus;
    list.add("media.opus_bitrate", opus.bitrate.to_string());
    list.add("media.opus_complexity", opus.complexity.to_string());
    list.add("media.opus_least_complexity", opus.least_complexity.to_string());
    let suppressed = opus.silence == Silence::Suppressed;
    list.add("media.opus_silence_suppression", suppressed.to_string());
    let url = match &config.store.url {
        StoreUrl::Sqlite(path) => quoted(&format!("sqlite:{path}")),
        StoreUrl::Postgres(_) => SECRET.to_owned(),
    };
    list.add("store.url", url);
    list.add("store.voicemail", quoted(&config.store.voicemail.display()));
    list.optional("store.spool", config.store.spool.as_ref().map(|own| quoted(&own.display())));
    list.add("drain.wait", quoted(&format!("{}s", config.drain.wait.as_secs())));
    list.optional("drain.url", config.drain.url.as_ref().map(quoted));
    let recording = &config.recording;
    list.add("recording.folder", quoted(&recording.folder.display()));
    list.add("recording.format", quoted(&recording.format.word()));
    list.optional("recording.key", recording.key.as_ref().map(|_| SECRET.into()));
    let keep = recording.keep.map(|keep| quoted(&format!("{}s", keep.as_secs())));
    list.optional("recording.keep", keep);
    list.optional("auth.token_secret", config.auth.token_secret.as_ref().map(|_| SECRET.into()));
    let urls: Vec<&String> = config.ice.servers.iter().flat_map(|server| &server.urls).collect();
    list.add("ice.servers", strings(&urls));
    if let Some(own) = &config.otlp {
        list.add("otlp.endpoint", quoted(&own.endpoint));
        list.add("otlp.service", quoted(&own.service));
        list.optional("otlp.authorization", own.authorization.as_ref().map(|_| SECRET.into()));
    }
    if let Some(own) = &config.hep {
        list.add("hep.collector", quoted(&own.collector));
        list.add("hep.capture_id", own.capture_id.to_string());
        list.optional("hep.password", own.password.as_ref().map(|_| SECRET.into()));
    }
    for (id, user) in &config.users {
        let key = |name: &str| format!("user.{id}.{name}");
        list.optional(&key("country"), user.country.as_ref().map(quoted));
        list.add(&key("max_concurrent"), user.max_concurrent.to_string());
        list.add(&key("max_per_minute"), user.max_per_minute.to_string());
        list.add(&key("max_per_hour"), user.max_per_hour.to_string());
        list.add(&key("max_per_day"), user.max_per_day.to_string());
    }
    config.trunks.values().for_each(|trunk| list.trunk(trunk));
    list.all
}

struct List<'a> {
    document: &'a Item,
    all: Vec<Setting>,
}

impl List<'_> {
    fn trunk(&mut self, trunk: &Definition) {
        let key = |name: &str| format!("trunk.{}.{name}", trunk.id);
        self.add(&key("target"), quoted(&trunk.target));
        self.optional(&key("username"), trunk.username.as_ref().map(quoted));
        self.optional(&key("password"), trunk.password.as_ref().map(|_| SECRET.into()));
        let register = trunk.register == Registering::Register;
        self.optional(&key("auth_username"), trunk.auth_username.as_ref().map(quoted));
        self.add(&key("register"), register.to_string());
        let expires = trunk.register_expires.as_secs();
        self.add(&key("register_expires"), quoted(&format!("{expires}s")));
        self.optional(&key("caller_username"), trunk.caller_username.as_ref().map(quoted));
        let password = trunk.caller_password.as_ref().map(|_| SECRET.into());
        self.optional(&key("caller_password"), password);
        self.add(&key("caller_digest"), quoted(&trunk.caller_digest.word()));
        let tls = &trunk.tls;
        self.optional(&key("tls.name"), tls.name.as_ref().map(quoted));
        self.optional(&key("tls.ca"), tls.ca.as_ref().map(quoted));
        self.optional(&key("tls.cert"), tls.identity.as_ref().map(|own| quoted(&own.0)));
        self.optional(&key("tls.key"), tls.identity.as_ref().map(|own| quoted(&own.1)));
        self.add(&key("accept_from"), strings(&trunk.accept_from));
        self.add(&key("media_from"), strings(&trunk.media_from));
        self.add(&key("page_headers"), strings(&trunk.page_headers));
        self.add(&key("numbers"), quoted(&trunk.numbers.word()));
        let codecs: Vec<&str> = trunk.codecs.iter().map(|codec| codec.word()).collect();
        self.add(&key("codecs"), strings(&codecs));
        self.add(&key("dtmf"), quoted(&trunk.dtmf));
        let digits = &trunk.digits;
        for (name, length) in [
            ("dtmf_min_tone", digits.min_tone),
            ("dtmf_min_gap", digits.min_gap),
            ("dtmf_tone", digits.tone),
            ("dtmf_gap", digits.gap),
        ] {
            self.add(&key(name), quoted(&format!("{}ms", length.as_millis())));
        }
        self.add(&key("comfort_noise"), quoted(&trunk.comfort_noise.word()));
        self.add(&key("refer"), quoted(&trunk.refer.word()));
        self.add(&key("srtp"), quoted(&trunk.srtp.word()));
        self.add(&key("channels"), trunk.channels.to_string());
        self.add(&key("cps"), trunk.cps.to_string());
        self.add(&key("retry_on"), strings(&trunk.retry_on.words()));
        let interval = trunk.options_interval.map_or(0, |interval| interval.as_secs());
        self.add(&key("options_interval"), quoted(&format!("{interval}s")));
    }

    fn optional(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value {
            self.add(key, value);
        }
    }

    fn add(&mut self, key: &str, value: String) {
        let origin = origin(self.document, key)
            .or_else(|| origin(self.document, &format!("{key}_file")))
            .unwrap_or_else(|| "default".to_owned());
        self.all.push(Setting { key: key.to_owned(), value, origin });
    }
}

fn origin(document: &Item, path: &str) -> Option<String> {
    let mut item = document;
    let mut rest = path;
    while !rest.is_empty() {
        let Value::Table(table) = &item.value else { return None };
        // Names of trunks and users may hold dots, so the longest key that fits is taken.
        let (key, found) = table
            .iter()
            .filter(|(key, _)| {
                rest.strip_prefix(key.value.as_str())
                    .is_some_and(|after| after.is_empty() || after.starts_with('.'))
            })
            .max_by_key(|(key, _)| key.value.len())?;
        rest = rest[key.value.len()..].strip_prefix('.').unwrap_or("");
        item = found;
    }
    match item.at.line {
        0 => Some(item.at.file.to_string()),
        line => Some(format!("{}:{line}", item.at.file)),
    }
}

fn quoted<T: ToString>(value: &T) -> String {
    format!("{:?}", value.to_string())
}

fn strings<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(quoted).collect();
    format!("[{}]", values.join(", "))
}

const SECRET: &str = "[secret]";
