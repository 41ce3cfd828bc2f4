//! `[http]` and `[api_key.NAME]`: where the surface is, who may use it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::read::{pem, secret};
use super::settings::{Acme, AdminAccess, ApiKey, Http, HttpTls, Webhook};
use crate::base::Permission;
use crate::base::document::{self, Field, Reader};
use crate::dialplan::Files;

pub(super) fn http(table: &Reader<'_>, files: &dyn Files) -> Http {
    let acme = table.table("acme").and_then(|own| acme(&own, files));
    let mut http = Http { acme, ..Http::default() };
    if let Some(both) = table.item("tls").filter(|_| table.has("acme")) {
        let message = "`tls` and `acme` are both there; one certificate is enough";
        table.findings().error(&both.at, message);
    }
    http.tls = table.table("tls").and_then(|own| {
        own.required("cert");
        own.required("key");
        let [cert, key] = ["cert", "key"].map(|key| pem(&own, key, files));
        own.finish();
        Some(HttpTls { cert: cert?, key: key? })
    });
    if let Some(listen) = table.parsed::<SocketAddr>("listen") {
        http.listen = listen.value;
    }
    for origin in table.texts_or_none("allowed_origins") {
        let host = origin.value.strip_prefix("https://").or(origin.value.strip_prefix("http://"));
        match host {
            Some(host) if !host.is_empty() && !host.contains('/') => {
                http.allowed_origins.push(origin.value.to_owned());
            }
            _ => {
                let message = format!("{:?} is no origin like https://example.com", origin.value);
                table.findings().error(&origin.at, message);
            }
        }
    }
    if let Some(admin) = table.text("admin") {
        match admin.value {
            "loopback" => http.admin = AdminAccess::Loopback,
            "key" => http.admin = AdminAccess::Key,
            other => {
                let message = format!(
                    "`admin` = {other:?}: expected \"loopback\" (this machine only) or \"key\" \
                     (from anywhere, with a key)"
                );
                table.findings().error(&admin.at, message);
            }
        }
    }
    if let Some(file) = table.text("operator_key_file") {
        http.operator_key_file = file.value.to_owned();
    }
    table.finish();
    http
}

fn acme(table: &Reader<'_>, files: &dyn Files) -> Option<Acme> {
    table.required("domain");
    table.required("contact");
    let wrong = |field: &Field<&str>, words: &str| {
        table.findings().error(&field.at, format!("{:?} is no {words}", field.value));
    };
    let domain = table.text("domain").filter(|own| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let right = own.value.contains('.') && own.value.chars().all(plain);
        if !right {
            wrong(own, "name like phone.example.com");
        }
        right
    });
    let contact = table.text("contact").filter(|own| {
        let right =
            own.value.split_once('@').is_some_and(|(who, at)| !who.is_empty() && !at.is_empty());
        if !right {
            wrong(own, "e-mail address");
        }
        right
    });
    let folder = table.text("folder").map_or("acme", |own| own.value).into();
    let directory = table.text("directory").filter(|own| {
        let right = own.value.starts_with("https://");
        if !right {
            wrong(own, "address like https://acme-v02.api.letsencrypt.org/directory");
        }
        right
    });
    let directory = directory.map(|own| own.value.to_owned());
    let ca = pem(table, "ca", files);
    table.finish();
    let (domain, contact) = (domain?.value.to_owned(), contact?.value.to_owned());
    Some(Acme { domain, contact, folder, directory, ca })
}

/// Every `[api_key.NAME]`.
pub(super) fn api_keys(root: &Reader<'_>, files: &dyn Files) -> BTreeMap<String, ApiKey> {
    let mut keys = BTreeMap::new();
    for (name, table) in root.named("api_key") {
        let key = secret(&table, ["key", "key_file"], files);
        match &key {
            None if !table.has("key_file") => {
                table.findings().error(&name.at, "an API key needs `key_file` (or `key`)");
            }
            Some(Field { value, at }) if value.expose().len() < SHORTEST_KEY => {
                let message = format!(
                    "the key is shorter than {SHORTEST_KEY} characters (128 bits in hex); make one \
                     with: openssl rand -hex 32"
                );
                table.findings().error(at, message);
            }
            _ => {}
        }
        if !table.has("permissions") {
            table.findings().error(&name.at, "an API key needs `permissions`");
        }
        let permissions = table.texts_or_none("permissions").into_iter().filter_map(|word| {
            document::parsed::<Permission>(word, "permissions", table.findings())
        });
        let permissions = permissions.map(|field| field.value).collect();
        table.finish();
        if let Some(key) = key {
            keys.insert(name.value.clone(), ApiKey { key: key.value, permissions });
        }
    }
    keys
}

/// Every `[webhook.NAME]`.
pub(super) fn webhooks(root: &Reader<'_>, files: &dyn Files) -> BTreeMap<String, Webhook> {
    let mut hooks = BTreeMap::new();
    for (name, table) in root.named("webhook") {
        table.required("url");
        let url = table.text("url").filter(|url| {
            let right = ["https://", "http://"].iter().any(|scheme| url.value.starts_with(scheme));
            if !right {
                let message = "`url` starts with https:// (or http:// inside a network of yours)";
                table.findings().error(&url.at, message);
            }
            let after = url.value.split_once("://").map_or("", |(_, after)| after);
            let has_host = !after.is_empty() && !after.starts_with(['/', ':', '?', '#']);
            let whole = has_host && after.bytes().all(|b| b.is_ascii_graphic());
            if right && !whole {
                let message = "`url` is no address: https://HOST/PATH, spaces as %20";
                table.findings().error(&url.at, message);
            }
            right && whole
        });
        let own = secret(&table, ["secret", "secret_file"], files);
        match &own {
            None if !table.has("secret_file") => {
                table.findings().error(&name.at, "a webhook needs `secret_file` (or `secret`)");
            }
            Some(Field { value, at }) if value.expose().len() < SHORTEST_KEY => {
                let message = format!(
                    "the secret is shorter than {SHORTEST_KEY} characters; make one with: \
                     echo whsec_$(openssl rand -base64 32)"
                );
                table.findings().error(at, message);
            }
            _ => {}
        }
        let mut events = Vec::new();
        for event in table.texts_or_none("events") {
            let known = |own: &&str| match event.value.strip_suffix('*') {
                Some(beginning) => own.starts_with(beginning),
                None => *own == event.value,
            };
            if EVENTS.iter().any(known) {
                events.push(event.value.to_owned());
            } else {
                let message = format!("{:?} is none of {}", event.value, EVENTS.join(", "));
                table.findings().error(&event.at, message);
            }
        }
        let allow_private = table.boolean("allow_private").is_some_and(|field| field.value);
        table.finish();
        if let (Some(url), Some(own)) = (url, own) {
            let url = url.value.to_owned();
            let hook = Webhook { url, secret: own.value, events, allow_private };
            hooks.insert(name.value.clone(), hook);
        }
    }
    hooks
}

/// What happens in a gateway, as events and webhooks spell it.
const EVENTS: [&str; 6] =
    ["call.started", "call.state", "call.message", "call.ended", "trunk.up", "trunk.down"];

/// 128 bits as hexadecimal digits.
const SHORTEST_KEY: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read;
    use crate::dialplan::NoFiles;

    fn findings(text: &str) -> Vec<String> {
        let text = format!("dialplan = \"p\"\n{text}");
        match read(&text, "c", &BTreeMap::new(), &NoFiles) {
            Ok(_) => Vec::new(),
            Err(findings) => findings.iter().map(|own| own.message.clone()).collect(),
        }
    }

    #[test]
    fn a_key_names_what_it_may_do() {
        let key = "0123456789abcdef0123456789abcdef";
        let text = format!(
            "dialplan = \"p\"\n[http]\nadmin = \"key\"\n[api_key.billing]\nkey = \"{key}\"\n\
             permissions = [\"records:read\", \"metrics:read\"]\n"
        );
        let (config, settings) = read(&text, "c", &BTreeMap::new(), &NoFiles).unwrap();
        assert_eq!(config.http.admin, AdminAccess::Key);
        let own = &config.api_keys["billing"];
        assert_eq!(own.permissions, [Permission::RecordsRead, Permission::MetricsRead]);
        assert!(!format!("{config:?}{settings:?}").contains(key));
    }

    #[test]
    fn a_webhook_has_a_target_a_secret_and_known_events() {
        let text = "[webhook.crm]\nurl = \"https://crm.example/x\"\nsecret = \
                    \"whsec_0123456789abcdef0123456789\"\nevents = [\"call.*\", \"trunk.down\"]\n";
        assert!(findings(text).is_empty(), "{:?}", findings(text));
        let found =
            findings("[webhook.crm]\nurl = \"ftp://x\"\nsecret = \"s\"\nevents = [\"x\"]\n");
        for (found, words) in found.iter().zip(["https://", "shorter than", "none of call.started"])
        {
            assert!(found.contains(words), "{found}");
        }
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn a_certificate_of_an_authority_needs_a_name_and_an_address() {
        let acme = |rest: &str| findings(&format!("[http]\nacme = {{ {rest} }}\n"));
        assert!(acme("domain = \"p.example\", contact = \"a@p.example\"").is_empty());
        let found = acme("domain = \"localhost\", contact = \"me\", directory = \"http://x\"");
        for (found, words) in found.iter().zip(["phone.example.com", "e-mail", "https://"]) {
            assert!(found.contains(words), "{found}");
        }
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(acme("domain = \"p.example\"")[0].contains("contact"));
    }

    #[test]
    fn a_key_that_is_weak_or_may_nothing_is_told() {
        let found = findings("[api_key.a]\nkey = \"short\"\npermissions = [\"everything\"]\n");
        assert!(found[0].contains("shorter than 32"), "{found:?}");
        assert!(found[1].contains("permissions are calls:read"), "{found:?}");
        let found = findings("[api_key.a]\n");
        assert!(found[0].contains("key_file") && found[1].contains("permissions"), "{found:?}");
        assert!(findings("[http]\nadmin = \"anybody\"\n")[0].contains("loopback"));
    }
}
