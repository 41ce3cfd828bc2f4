//! From a file and the environment to a `Config`: every mistake at once, unknown keys refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::describe::{self, Setting};
use super::environment;
use super::settings::{
    Auth, Config, Drain, Ice, IceServer, Media, Sip, SipTls, Store, StoreUrl, User,
};
use super::{observe, read_http};
use crate::base::document::{self, Field, Item, Reader};
use crate::base::{Finding, Findings, Secret};
use crate::dialplan::{Files, Region};
use crate::media::{OpusSettings, Silence};
use crate::recording;
use crate::trunk::Transport;

/// Reads a configuration; `variables` is the environment, `files` gives the `*_file` secrets.
///
/// # Errors
/// Every finding, where at least one is an error.
pub fn read(
    text: &str,
    file: &str,
    variables: &BTreeMap<String, String>,
    files: &dyn Files,
) -> Result<(Config, Vec<Setting>), Vec<Finding>> {
    let findings = Findings::default();
    let mut root = document::parse(text, file, &findings);
    if findings.has_errors() {
        // After a syntax error the tree has holes, and every hole would be a second, false error.
        return Err(findings.into_sorted());
    }
    environment::apply(&mut root, variables, &findings);
    let config = config(&root, &findings, files);
    match config {
        Some(config) if !findings.has_errors() => {
            let settings = describe::settings(&config, &root);
            Ok((config, settings))
        }
        _ => Err(findings.into_sorted()),
    }
}

fn config(item: &Item, findings: &Findings, files: &dyn Files) -> Option<Config> {
    let root = Reader::new(item, "", findings)?;
    let dialplan = root.text("dialplan");
    if !root.has("dialplan") {
        findings.error(root.at(), "`dialplan` is missing: without a plan no call goes anywhere");
    }
    let config = Config {
        directory: PathBuf::new(),
        dialplan: dialplan.map(|field| field.value.to_owned()).unwrap_or_default(),
        http: root.table("http").map(|table| read_http::http(&table, files)).unwrap_or_default(),
        api_keys: read_http::api_keys(&root, files),
        webhooks: read_http::webhooks(&root, files),
        sip: root.table("sip").map(|table| sip(&table, files)).unwrap_or_default(),
        media: root.table("media").map(|table| media(&table)).unwrap_or_default(),
        store: root.table("store").map(|table| store(&table)).unwrap_or_default(),
        recording: root
            .table("recording")
            .map(|table| recording(&table, files))
            .unwrap_or_default(),
        drain: root.table("drain").map(|table| drain(&table)).unwrap_or_default(),
        auth: root.table("auth").map(|table| auth(&table, files)).unwrap_or_default(),
        ice: root.table("ice").map(|table| ice(&table, files)).unwrap_or_default(),
        otlp: root.table("otlp").and_then(|table| observe::otlp(&table, files)),
        hep: root.table("hep").and_then(|table| observe::hep(&table, files)),
        users: users(&root),
        trunks: super::read_trunk::all(&root, files),
    };
    root.finish();
    Some(config)
}

fn sip(table: &Reader<'_>, files: &dyn Files) -> Sip {
    let tls = table.table("tls").and_then(|own| sip_tls(&own, files));
    let mut sip = Sip { tls, ..Sip::default() };
    if let Some(list) = table.texts("listen") {
        sip.listen.clear();
        for field in list {
            let Some(listen) = document::parsed(field, "listen", table.findings()) else {
                continue;
            };
            let Field { value: super::settings::Listen { transport, .. }, at } = &listen;
            if *transport == Transport::Tls && !table.has("tls") {
                let message = "listening on tls needs [sip.tls] with `cert` and `key`";
                table.findings().error(at, message);
            }
            sip.listen.push(listen.value);
        }
    }
    for (key, place) in
        [("session_expires", &mut sip.session_expires), ("session_min", &mut sip.session_min)]
    {
        if let Some(Field { value, at }) = table.duration(key) {
            *place = value;
            if !(SHORTEST_SESSION..=LONGEST_SESSION).contains(&value) {
                table.findings().error(&at, format!("`{key}` is 90s to 24h"));
            }
        }
    }
    let streams = table.integer("streams_per_address", 1..1_025);
    if let Some(streams) = streams.and_then(|field| u16::try_from(field.value).ok()) {
        sip.streams_per_address = streams;
    }
    sip.address = table.parsed("address").map(|field| field.value);
    for server in table.texts_or_none("dns_servers") {
        let server = document::parsed::<SocketAddr>(server, "dns_servers", table.findings());
        sip.dns_servers.extend(server.map(|field| field.value));
    }
    table.finish();
    sip
}

/// RFC 4028 5: less would be a flood; a day is as good as none.
const SHORTEST_SESSION: Duration = Duration::from_secs(90);
const LONGEST_SESSION: Duration = Duration::from_secs(86_400);

fn sip_tls(table: &Reader<'_>, files: &dyn Files) -> Option<SipTls> {
    table.required("cert");
    table.required("key");
    let [cert, key, client_ca] = ["cert", "key", "client_ca"].map(|key| pem(table, key, files));
    table.finish();
    Some(SipTls { cert: cert?, key: key?, client_ca })
}

/// The name of a file that has to be there.
pub(super) fn pem(table: &Reader<'_>, key: &'static str, files: &dyn Files) -> Option<String> {
    let file = table.text(key)?;
    if let Err(reason) = files.read(file.value) {
        table.findings().error(&file.at, format!("`{key}`: {reason}"));
    }
    Some(file.value.to_owned())
}

fn media(table: &Reader<'_>) -> Media {
    let default = Media::default();
    let small = |key, range| table.integer(key, range).and_then(|f| u16::try_from(f.value).ok());
    let media = Media {
        workers: small("workers", 0..257).unwrap_or(default.workers),
        calls_per_worker: small("calls_per_worker", 1..10_001).unwrap_or(default.calls_per_worker),
        webrtc_port: small("webrtc_port", 0..65_536).unwrap_or(default.webrtc_port),
        rtp_ports: table.parsed("rtp_ports").map_or(default.rtp_ports, |field| field.value),
        address: table.parsed("address").map(|field| field.value),
        ice_lite: table.boolean("ice_lite").map_or(default.ice_lite, |field| field.value),
        opus: opus(table, default.opus),
    };
    table.finish();
    media
}

fn opus(table: &Reader<'_>, default: OpusSettings) -> OpusSettings {
    let number = |key, range| table.integer(key, range).and_then(|f| u32::try_from(f.value).ok());
    let level = |key| number(key, 0..11).and_then(|n| u8::try_from(n).ok());
    let suppressed = table.boolean("opus_silence_suppression").map(|field| field.value);
    OpusSettings {
        bitrate: number("opus_bitrate", 6_000..64_001).unwrap_or(default.bitrate),
        complexity: level("opus_complexity").unwrap_or(default.complexity),
        least_complexity: level("opus_least_complexity").unwrap_or(default.least_complexity),
        silence: match suppressed {
            None => default.silence,
            Some(true) => Silence::Suppressed,
            Some(false) => Silence::Sent,
        },
    }
}

fn store(table: &Reader<'_>) -> Store {
    // The URL may hold a password: it is never shown, not even where it is wrong.
    let url = table.text("url").and_then(|field| match field.value.parse::<StoreUrl>() {
        Ok(url) => Some(url),
        Err(error) => {
            table.findings().error(&field.at, format!("`url`: {error}"));
            None
        }
    });
    let voicemail = table.text("voicemail").map(|field| PathBuf::from(field.value));
    let spool = table.text("spool").map(|field| PathBuf::from(field.value));
    table.finish();
    let default = Store::default();
    Store {
        url: url.unwrap_or(default.url),
        voicemail: voicemail.unwrap_or(default.voicemail),
        spool,
    }
}

fn recording(table: &Reader<'_>, files: &dyn Files) -> recording::Settings {
    let key = secret(table, ["key", "key_file"], files);
    if let Some(Field { value, at }) = &key
        && value.expose().len() < SHORTEST_TOKEN_SECRET
    {
        let message = format!(
            "the key is shorter than {SHORTEST_TOKEN_SECRET} characters (128 bits in hex); make one \
             with: openssl rand -hex 32"
        );
        table.findings().error(at, message);
    }
    let keep = table.duration("keep");
    if let Some(Field { value, at }) = &keep
        && *value < SHORTEST_KEEP
    {
        table.findings().error(at, "`keep` is at least an hour (\"1h\"); leave it out to keep all");
    }
    let default = recording::Settings::default();
    let folder = table.text("folder").map(|field| PathBuf::from(field.value));
    let format = table.choice("format", recording::Format::WORDS).map(|field| field.value);
    table.finish();
    recording::Settings {
        folder: folder.unwrap_or(default.folder),
        format: format.unwrap_or(default.format),
        key: key.map(|field| field.value),
        keep: keep.map(|field| field.value),
    }
}

fn drain(table: &Reader<'_>) -> Drain {
    let default = Drain::default();
    let wait = table.duration("wait").map(|field| field.value);
    let url = table.text("url").and_then(|field| {
        let right = ["wss://", "ws://", "https://", "http://"];
        if right.iter().any(|scheme| field.value.starts_with(scheme)) {
            return Some(field.value.to_owned());
        }
        table.findings().error(&field.at, "`url` is like wss://other.example/v1/rtc");
        None
    });
    table.finish();
    Drain { wait: wait.unwrap_or(default.wait), url }
}

/// What is deleted sooner nobody has heard.
const SHORTEST_KEEP: Duration = Duration::from_secs(3600);

fn auth(table: &Reader<'_>, files: &dyn Files) -> Auth {
    let token_secret = secret(table, ["token_secret", "token_secret_file"], files);
    if let Some(Field { value, at }) = &token_secret
        && value.expose().len() < SHORTEST_TOKEN_SECRET
    {
        let message = format!(
            "the token secret is shorter than {SHORTEST_TOKEN_SECRET} characters (128 bits in hex); \
             make one with: openssl rand -hex 32"
        );
        table.findings().error(at, message);
    }
    table.finish();
    Auth { token_secret: token_secret.map(|field| field.value) }
}

fn ice(table: &Reader<'_>, files: &dyn Files) -> Ice {
    let servers = table.tables("servers");
    let servers = servers.iter().map(|server| {
        if !server.has("urls") {
            server.findings().error(server.at(), "a server needs `urls`");
        }
        let mut urls = Vec::new();
        for url in server.texts("urls").unwrap_or_default() {
            if ["stun:", "turn:", "turns:"].iter().any(|scheme| url.value.starts_with(scheme)) {
                urls.push(url.value.to_owned());
            } else {
                let message = format!("{:?} starts with none of stun:, turn:, turns:", url.value);
                server.findings().error(&url.at, message);
            }
        }
        let secret = secret(server, ["secret", "secret_file"], files).map(|field| field.value);
        server.finish();
        IceServer { urls, secret }
    });
    let servers = servers.collect();
    table.finish();
    Ice { servers }
}

fn users(root: &Reader<'_>) -> BTreeMap<crate::base::UserId, User> {
    let mut users = BTreeMap::new();
    for (name, table) in root.named("user") {
        let id = Field { value: name.value.as_str(), at: name.at.clone() };
        let id = document::parsed(id, "user", table.findings());
        let default = User::default();
        let count = |key, default: u32| {
            let field = table.integer(key, 1..100_001);
            field.and_then(|field| u32::try_from(field.value).ok()).unwrap_or(default)
        };
        let user = User {
            country: table.parsed::<Region>("country").map(|field| field.value),
            max_concurrent: count("max_concurrent", default.max_concurrent),
            max_per_minute: count("max_per_minute", default.max_per_minute),
            max_per_hour: count("max_per_hour", default.max_per_hour),
            max_per_day: count("max_per_day", default.max_per_day),
        };
        table.finish();
        if let Some(id) = id {
            users.insert(id.value, user);
        }
    }
    users
}

/// A secret: written in place, or the first line of the file that the second key names.
pub(super) fn secret(
    table: &Reader<'_>,
    [key, file_key]: [&'static str; 2],
    files: &dyn Files,
) -> Option<Field<Secret<String>>> {
    let own = table.text(key);
    let file = table.text(file_key);
    match (own, file) {
        (Some(_), Some(file)) => {
            let message = format!("`{key}` and `{file_key}` are both there; one is enough");
            table.findings().error(&file.at, message);
            None
        }
        (Some(own), None) => Some(own.map(|text| Secret::new(text.to_owned()))),
        (None, Some(file)) => match files.read(file.value) {
            Ok(content) => {
                let secret = content.lines().next().unwrap_or("").trim().to_owned();
                if secret.is_empty() {
                    table.findings().error(&file.at, format!("{} is empty", file.value));
                    return None;
                }
                Some(Field { value: Secret::new(secret), at: file.at })
            }
            Err(reason) => {
                table.findings().error(&file.at, format!("`{file_key}`: {reason}"));
                None
            }
        },
        (None, None) => None,
    }
}

/// As hexadecimal digits 128 bits, the least that a secret may have; as bytes the least key of a
/// client token.
const SHORTEST_TOKEN_SECRET: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::settings::Http;
    use super::*;
    use crate::dialplan::NoFiles;
    use crate::trunk::NumberFormat;

    struct OneFile(&'static str);

    impl Files for OneFile {
        fn read(&self, name: &str) -> Result<String, String> {
            if name == "key" { Ok(self.0.to_owned()) } else { Err(format!("{name}: not there")) }
        }

        fn exists(&self, name: &str) -> Option<bool> {
            Some(name == "key")
        }
    }

    const EXAMPLE: &str = r#"
dialplan = "dialplans/office.toml"
[http]
listen          = "127.0.0.1:8080"
allowed_origins = []
[sip]
listen  = ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"]
address = "203.0.113.10"
[media]
workers     = 0
webrtc_port = 40000
rtp_ports   = "20000-29999"
address     = "203.0.113.10"
[store]
url = "sqlite:crosspoint.db"
[auth]
token_secret_file = "key"
[ice]
servers = [{ urls = ["turn:turn.example:3478"], secret_file = "key" }]
[user.alice]
country = "DE"
max_concurrent = 2
[trunk.north]
target      = "sip:sip.north.example;transport=tcp"
username    = "me"
password_file = "key"
register    = false
accept_from = ["203.0.113.0/28"]
numbers     = "e164"
codecs      = ["pcma", "pcmu"]
dtmf        = "auto"
dtmf_min_tone = "60ms"
srtp        = "off"
channels    = 30
cps         = 10
retry_on    = ["408", "500", "502", "503", "504", "timeout", "unreachable"]
options_interval = "30s"
"#;

    fn messages(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let variables = variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        match read(text, "c.toml", &variables, &NoFiles) {
            Ok(_) => Vec::new(),
            Err(findings) => findings.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn the_example_of_the_documentation_is_read() {
        let secret = OneFile("0123456789abcdef0123456789abcdef\nsecond line\n");
        let (config, settings) = read(EXAMPLE, "c.toml", &BTreeMap::new(), &secret).unwrap();
        let trunk = config.trunks.values().next().unwrap();
        assert_eq!(trunk.password.as_ref().unwrap().expose(), "0123456789abcdef0123456789abcdef");
        assert_eq!(trunk.numbers, NumberFormat::E164);
        assert_eq!(config.sip.listen.len(), 2);
        let origin = |key: &str| {
            settings.iter().find(|s| s.key == key).map(|s| (s.value.as_str(), s.origin.as_str()))
        };
        assert_eq!(origin("trunk.north.password"), Some(("[secret]", "c.toml:26")));
        assert_eq!(origin("user.alice.max_per_day"), Some(("100", "default")));
        assert!(!format!("{config:?}{settings:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn a_file_with_a_plan_and_nothing_else_has_the_defaults() {
        let (config, _) = read("dialplan = \"p.toml\"", "c", &BTreeMap::new(), &NoFiles).unwrap();
        assert_eq!(config.http, Http::default());
        assert!(config.http.listen.ip().is_loopback());
        assert!(config.trunks.is_empty() && config.users.is_empty());
        assert_eq!(config.auth.token_secret, None);
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_place() {
        let text = r#"
dialplam = "x"
[http]
listen = "localhost"
[sip]
listen = ["udp:0.0.0.0:5060", "quic:1"]
[trunk.north]
target   = "north.example"
passwrd  = "x"
numbers  = "e163"
channels = 0
retry_on = ["404"]
accept_from = ["0.0.0.0/0"]
"#;
        let found = messages(text, &[]);
        for expected in [
            "c.toml:1:1: error: `dialplan` is missing: without a plan no call goes anywhere",
            "c.toml:2:1: error: unknown key `dialplam`; did you mean \"dialplan\"?",
            "c.toml:4:10: error: `listen` = \"localhost\": invalid socket address syntax",
            "c.toml:6:31: error: `listen` = \"quic:1\": expected udp:ADDRESS:PORT, \
             tcp:ADDRESS:PORT or tls:ADDRESS:PORT",
            "c.toml:8:12: error: `target` = \"north.example\": a target starts with sip: or sips:",
            "c.toml:9:1: error: unknown key `passwrd` in [trunk.north]; did you mean \"password\"?",
            "c.toml:10:12: error: `numbers` = \"e163\" is not known; did you mean \"e164\"?",
            "c.toml:11:12: error: `channels` = 0 is not in 1 to 100000",
            "c.toml:12:13: error: `retry_on` = \"404\": 404 is the called party's own answer; no \
             other trunk would give another",
            "c.toml:13:16: error: `accept_from` = \"0.0.0.0/0\": /0 would accept everybody; name \
             the trunk's own ranges",
        ] {
            assert!(found.iter().any(|f| f == expected), "{expected}\nnot in {found:#?}");
        }
        assert_eq!(found.len(), 10, "{found:#?}");
    }

    #[test]
    fn the_environment_overrides_and_is_named_as_the_origin() {
        let text =
            "dialplan = \"p\"\n[trunk.North-1]\ntarget = \"sip:192.0.2.1\"\nusername = \"u\"\n";
        let variables: BTreeMap<String, String> = [
            ("CROSSPOINT_TRUNK__NORTH_1__PASSWORD", "hunter2"),
            ("CROSSPOINT_TRUNK__NORTH_1__CHANNELS", "7"),
            ("CROSSPOINT_TRUNK__NORTH_1__CODECS", "pcmu,pcma"),
            ("CROSSPOINT_ICE__SERVERS", "[{ urls = [\"stun:s.example\"] }]"),
            ("CROSSPOINT_STORE__URL", "postgres://u:hunter2@h/d"),
            ("CROSSPOINT_LOG", "debug"),
            ("HOME", "/root"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let (config, settings) = read(text, "c", &variables, &NoFiles).unwrap();
        let trunk = config.trunks.values().next().unwrap();
        assert_eq!((trunk.channels, trunk.codecs[0].word()), (7, "pcmu"));
        assert_eq!(trunk.password.as_ref().unwrap().expose(), "hunter2");
        assert_eq!(config.ice.servers[0].urls, ["stun:s.example"]);
        assert_eq!(config.store.url.expose(), "postgres://u:hunter2@h/d");
        let password = settings.iter().find(|s| s.key == "trunk.North-1.password").unwrap();
        assert_eq!(password.origin, "environment CROSSPOINT_TRUNK__NORTH_1__PASSWORD");
        assert!(!format!("{settings:?}{config:?}").contains("hunter2"));
        let wrong =
            [("CROSSPOINT_TRUNK__NORTH_1__CHANNEL", "7"), ("CROSSPOINT_MEDIA__WORKERS", "x")];
        assert_eq!(
            messages(text, &wrong),
            [
                "environment CROSSPOINT_MEDIA__WORKERS: error: `workers` must be a whole number, \
                 not a string",
                "environment CROSSPOINT_TRUNK__NORTH_1__CHANNEL: error: unknown key `channel` in \
                 [trunk.North-1]; did you mean \"channels\"?",
            ]
        );
    }

    #[test]
    fn secrets_are_read_once_and_checked() {
        let text = "dialplan = \"p\"\n[auth]\ntoken_secret = \"short\"\n[trunk.a]\n\
                    target = \"sip:192.0.2.1\"\npassword = \"x\"\npassword_file = \"nowhere\"\n";
        let found = messages(text, &[]);
        assert!(found[0].contains("shorter than 32 characters"), "{found:#?}");
        assert!(found[1].contains("one is enough"), "{found:#?}");
        assert_eq!(found.len(), 2, "{found:#?}");
        let text = "dialplan = \"p\"\n[auth]\ntoken_secret_file = \"nowhere\"\n";
        assert!(messages(text, &[])[0].contains("nowhere cannot be read"));
    }
}
