//! `[otlp]` and `[hep]`: who is told what happens in calls.

use super::read::secret;
use crate::base::Secret;
use crate::base::document::Reader;
use crate::dialplan::Files;

/// `[otlp]`: traces of calls to an OpenTelemetry collector, by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otlp {
    /// `http://127.0.0.1:4318`; `/v1/traces` is added.
    pub endpoint: String,
    /// The gateway's name in the traces.
    pub service: String,
    /// What is sent as `Authorization`.
    pub authorization: Option<Secret<String>>,
}

/// `[hep]`: SIP messages to a Homer collector, by UDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hep {
    /// `host:port`, usually 9060.
    pub collector: String,
    /// Which gateway this is, as the collector names it.
    pub capture_id: u32,
    /// What the collector wants to be shown.
    pub password: Option<Secret<String>>,
}

pub(super) fn otlp(table: &Reader<'_>, files: &dyn Files) -> Option<Otlp> {
    table.required("endpoint");
    let endpoint = table.text("endpoint").filter(|own| {
        let right = ["http://", "https://"].iter().any(|scheme| own.value.starts_with(scheme));
        if !right {
            let message = "`endpoint` starts with http:// or https://, as http://127.0.0.1:4318 (OTLP by HTTP)";
            table.findings().error(&own.at, message);
        }
        right
    });
    let service = table.text("service").map_or("crosspoint", |own| own.value).to_owned();
    let authorization = secret(table, ["authorization", "authorization_file"], files);
    table.finish();
    let authorization = authorization.map(|own| own.value);
    Some(Otlp { endpoint: endpoint?.value.to_owned(), service, authorization })
}

pub(super) fn hep(table: &Reader<'_>, files: &dyn Files) -> Option<Hep> {
    table.required("collector");
    let collector = table.text("collector").filter(|own| {
        let port = own.value.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
        let right = matches!(port, Some((host, Ok(1..))) if !host.is_empty());
        if !right {
            table.findings().error(&own.at, "`collector` is HOST:PORT, as homer.example:9060");
        }
        right
    });
    let capture_id = table.integer("capture_id", 0..4_294_967_296).map(|own| own.value);
    let capture_id =
        capture_id.and_then(|own| u32::try_from(own).ok()).unwrap_or(DEFAULT_CAPTURE_ID);
    let password = secret(table, ["password", "password_file"], files).map(|own| own.value);
    table.finish();
    Some(Hep { collector: collector?.value.to_owned(), capture_id, password })
}

/// Homer's own examples begin there.
const DEFAULT_CAPTURE_ID: u32 = 2001;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::config::read;
    use crate::dialplan::NoFiles;

    #[test]
    fn collectors_are_read_and_mistakes_told() {
        let text = "dialplan = \"p\"\n[otlp]\nendpoint = \"http://127.0.0.1:4318\"\nauthorization = \"Bearer x\"\n\
                    [hep]\ncollector = \"homer.example:9060\"\ncapture_id = 7\npassword = \"y\"\n";
        let (config, settings) = read(text, "c", &BTreeMap::new(), &NoFiles).unwrap();
        let (otlp, hep) = (config.otlp.unwrap(), config.hep.unwrap());
        assert_eq!((otlp.service.as_str(), hep.capture_id), ("crosspoint", 7));
        assert!(!format!("{settings:?}").contains("Bearer"), "{settings:?}");
        let wrong = "dialplan = \"p\"\n[otlp]\nendpoint = \"collector:4317\"\n[hep]\ncollector = \"homer\"\n";
        let found = read(wrong, "c", &BTreeMap::new(), &NoFiles).unwrap_err();
        assert!(found[0].message.contains("starts with http://"), "{found:?}");
        assert!(found[1].message.contains("HOST:PORT"), "{found:?}");
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
