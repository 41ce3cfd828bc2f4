//! Every list of the description pages in the same way.

use std::collections::BTreeSet;

use serde_json::{Value, json as value};

use super::*;
use crate::base::RecordingId;

/// A list as the description names it, and where this site has it.
const LISTS: [(&str, &str); 14] = [
    ("/v1/calls", "/v1/calls"),
    ("/v1/calls/{id}/dtmf", "/v1/calls/CALL/dtmf"),
    ("/v1/calls/{id}/events", "/v1/calls/CALL/events"),
    ("/v1/calls/{id}/signalling", "/v1/calls/CALL/signalling"),
    ("/v1/calls/{id}/trace", "/v1/calls/CALL/trace"),
    ("/v1/cdrs", "/v1/cdrs"),
    ("/v1/dialplan/versions", "/v1/dialplan/versions"),
    ("/v1/ivr-runs", "/v1/ivr-runs"),
    ("/v1/recordings", "/v1/recordings"),
    ("/v1/trunks", "/v1/trunks"),
    ("/v1/users", "/v1/users"),
    ("/v1/voicemails", "/v1/voicemails"),
    ("/v1/webhooks", "/v1/webhooks"),
    ("/v1/webhooks/{name}/deliveries", "/v1/webhooks/crm/deliveries"),
];

#[tokio::test]
async fn every_list_gives_each_item_once_whatever_the_size_of_its_pages() {
    let site = Site::of(Access::default(), Readiness::Ready, MANY).await;
    fill(&site).await;
    let call = record(1).id.to_string();
    for (_, path) in LISTS {
        let path = path.replace("CALL", &call);
        let page = async |query: String| json(site.ask(&format!("GET {path}?{query}")).await).await;
        let whole = page("limit=1000".into()).await;
        let all = items(&whole);
        assert!(all.len() >= 3 && whole["next"].is_null(), "{path}: {whole}");
        // Those of the first page and those of all, by the size of a page: the whole list is one page
        // that is exactly full, with nothing behind it.
        for limit in (1..=all.len() + 1).rev() {
            let (mut seen, mut pages, mut cursor) = (Vec::new(), 0, String::new());
            loop {
                let page = page(format!("limit={limit}{cursor}")).await;
                seen.extend(items(&page));
                pages += 1;
                let Some(next) = page["next"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(pages, all.len().div_ceil(limit), "{path} by {limit}");
            assert_eq!(seen, all, "{path} by {limit}");
        }
        for bad in ["limit=0", "limit=1001", "limit=x", "limit=-1", "cursor=~", "cursor=", "more=1"]
        {
            let refused = site.ask(&format!("GET {path}?{bad}")).await;
            assert_eq!(refused.status(), 400, "{path}?{bad}");
            assert_eq!(json(refused).await["code"], "request/bad-value", "{path}?{bad}");
        }
    }
}

#[test]
fn every_list_of_the_description_is_in_the_table() {
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let listed = document["paths"].as_object().unwrap().iter().filter(|(path, operations)| {
        let answer = &operations["get"]["responses"]["200"]["content"]["application/json"];
        let name = answer["schema"]["$ref"].as_str().and_then(|name| name.rsplit('/').next());
        let schema = &document["components"]["schemas"][name.unwrap_or_default()];
        if schema["properties"]["items"].is_null() {
            return false;
        }
        let parameters = operations["get"]["parameters"].as_array().unwrap();
        let names: BTreeSet<_> = parameters.iter().filter_map(|one| one["name"].as_str()).collect();
        assert!(names.contains("cursor") && names.contains("limit"), "{path}: {names:?}");
        assert!(!schema["properties"]["next"].is_null(), "{path} has no `next`");
        true
    });
    let listed: BTreeSet<&str> = listed.map(|(path, _)| path.as_str()).collect();
    let table: BTreeSet<&str> = LISTS.iter().map(|(path, _)| *path).collect();
    assert_eq!(listed, table);
}

/// What the gateway itself does not have: records, runs of tests, recordings.
async fn fill(site: &Site) {
    site.keep((1..=MANY).map(record)).await;
    let case = value!({"file": "night.yaml", "name": "open", "via": "trunk", "target": "601",
        "outcome": "passed", "call_ms": 1500});
    let run = value!({"cases": [case]}).to_string();
    for n in 1..=MANY {
        let headers = [("host", "localhost:8080")];
        let kept = site.send("POST /v1/ivr-runs", "127.0.0.1:9", &headers, &run).await;
        assert_eq!(kept.status(), 201);
        // Two days, the newest of the first one before the oldest of the other.
        let id = RecordingId::from_parts(1_763_712_000_000 + (n / 3) * 86_400_000, u128::from(n));
        let day = if n < 3 { "2025-11-21" } else { "2025-11-22" };
        let folder = site.backend.recordings.join(day);
        std::fs::create_dir_all(&folder).unwrap();
        let view = value!({"id": id, "call": record(1).id, "format": "wav", "encrypted": false,
            "started_at": "2025-11-21T08:00:00Z", "ended_at": null, "duration_ms": 1});
        std::fs::write(folder.join(format!("{id}.json")), view.to_string()).unwrap();
    }
}

fn items(page: &Value) -> Vec<Value> {
    page["items"].as_array().cloned().unwrap_or_default()
}

const MANY: u64 = 4;
