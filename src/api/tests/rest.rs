//! Starting calls, keys of idempotency, events, searches, the description of it all.

use futures_util::StreamExt;

use super::*;

const LOCAL: &str = "127.0.0.1:9";
const HOST: (&str, &str) = ("host", "localhost:8080");

#[tokio::test]
async fn a_call_is_started_once_however_often_it_is_asked_for() {
    let site = Site::new().await;
    let body = r#"{"user": "alice", "to": "+493012345"}"#;
    let start = async |key: &str, body: &str| {
        let headers = [HOST, ("idempotency-key", key)];
        site.send("POST /v1/calls", LOCAL, &headers, body).await
    };
    let first = start("one", body).await;
    assert_eq!(first.status(), 202);
    let location = first.headers()["location"].clone();
    let first = json(first).await;
    assert_eq!(location, format!("/v1/calls/{}", first["id"].as_str().unwrap()));
    let again = start("one", body).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!((again.status(), &again.headers()["location"]), (StatusCode::ACCEPTED, &location));
    assert_eq!(json(again).await, first);
    assert_ne!(json(start("two", body).await).await, first);
    let other = start("one", r#"{"user": "alice", "to": "110"}"#).await;
    assert_eq!(other.status(), 422);
    assert_eq!(json(other).await["code"], "request/idempotency-key-reused");
    assert_eq!(start("", body).await.status(), 400);
    assert_eq!(site.backend.sent.lock().unwrap().len(), 2);
    for (bad, status) in [
        ("{}", 400),
        (r#"{"user": "mallory", "to": "1"}"#, 400),
        (r#"{"user": "alice", "to": "100&SIP/x"}"#, 422),
        (r#"{"user": "alice", "to": "1", "more": 1}"#, 400),
        (r#"{"to": "1"}"#, 400),
        (r#"{"user": "alice", "from": "1", "to": "1"}"#, 400),
        (r#"{"from": "1", "to": "2", "caller_id": "+4930123456"}"#, 400),
        (r#"{"from": "none", "to": "2"}"#, 422),
        (r#"{"from": "1", "to": "none"}"#, 422),
        (r#"{"from": "1", "to": "menu:none"}"#, 400),
        (r#"{"from": "+4990012345", "to": "2"}"#, 403),
    ] {
        let refused = site.send("POST /v1/calls", LOCAL, &[HOST], bad).await;
        assert_eq!(refused.headers()["content-type"], "application/problem+json", "{bad}");
        assert_eq!(refused.status().as_u16(), status, "{bad}");
    }
}

#[tokio::test]
async fn a_number_is_connected_with_what_the_plan_has() {
    let site = Site::new().await;
    for body in [
        r#"{"from": "+4930123456", "to": "user:alice"}"#,
        r#"{"from": "number:+4930123456", "to": "menu:night"}"#,
        r#"{"from": "+4930123456", "to": "+4930654321"}"#,
    ] {
        assert_eq!(site.send("POST /v1/calls", LOCAL, &[HOST], body).await.status(), 202, "{body}");
    }
    let sent = ["user:alice", "menu:night", "number:+4930654321"];
    let sent = sent.map(|to| format!("+4930123456 with {to}"));
    assert_eq!(*site.backend.sent.lock().unwrap(), sent);
}

#[tokio::test]
async fn recordings_are_asked_for_by_their_names() {
    let site = Site::new().await;
    let line = format!("POST /v1/calls/{}/actions/record", record(1).id);
    for (body, status) in [
        (r#"{"action": "start"}"#, 202),
        (r#"{"action": "pause"}"#, 202),
        (r#"{"action": "erase"}"#, 400),
        ("{}", 400),
    ] {
        assert_eq!(
            site.send(&line, LOCAL, &[HOST], body).await.status().as_u16(),
            status,
            "{body}"
        );
    }
    let sent = ["recording Start", "recording Pause"];
    assert_eq!(*site.backend.sent.lock().unwrap(), sent);
    let list = site.send("GET /v1/recordings?limit=10", LOCAL, &[HOST], "").await;
    assert_eq!(json(list).await, serde_json::json!({"items": [], "next": null}));
    for (path, status) in [
        ("/v1/recordings?limit=0", 400),
        ("/v1/recordings?cursor=x", 400),
        ("/v1/recordings?more=1", 400),
        ("/v1/recordings/rec_01ARZ3NDEKTSV4RRFFQ69G5FAV", 404),
        ("/v1/recordings/..%2f..%2fetc%2fpasswd/audio", 404),
    ] {
        let answer = site.send(&format!("GET {path}"), LOCAL, &[HOST], "").await;
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn runs_of_tests_of_menus_are_kept_and_listed() {
    let site = Site::new().await;
    let case = |name: &str, outcome: &str, message: Option<&str>| {
        serde_json::json!({"file": "night.yaml", "name": name, "variant": null, "via": "trunk",
            "target": "601", "outcome": outcome, "message": message, "call_ms": 1500, "retries": 0,
            "steps": [{"name": "greeting", "line": 3, "start_ms": 0, "end_ms": 900,
                "failure": message, "notes": ["heard after 0.4 s"]}],
            "prompts": [{"file": "menu.wav", "start_ms": 400, "end_ms": 900, "match": 0.97,
                "window": 0.91, "expected": true}],
            "messages": [{"at_ms": 3, "sent": true, "text": "INVITE"}]})
    };
    let run = |n: u32| {
        let failed = case("the other", "failed", Some("silence instead of menu.wav"));
        let cases = [case(&format!("open {n}"), "passed", None), failed];
        serde_json::json!({"version": 1, "passed": 1, "failed": 1, "cases": cases}).to_string()
    };
    let mut last = serde_json::Value::Null;
    for n in 0..3 {
        let kept = site.send("POST /v1/ivr-runs", LOCAL, &[HOST], &run(n)).await;
        assert_eq!(kept.status(), 201);
        let location = kept.headers()["location"].clone();
        last = json(kept).await;
        assert_eq!(location, format!("/v1/ivr-runs/{}", last["id"].as_str().unwrap()));
    }
    assert_eq!(
        (&last["passed"], &last["failed"], &last["call_ms"]),
        (&1.into(), &1.into(), &3000.into())
    );
    assert_eq!(last["failure"], "silence instead of menu.wav");
    assert_eq!(last["files"], serde_json::json!(["night.yaml"]));
    let first = json(site.ask("GET /v1/ivr-runs?limit=2").await).await;
    assert_eq!(first["items"].as_array().map(Vec::len), Some(2));
    let next = first["next"].as_str().unwrap();
    let rest = json(site.ask(&format!("GET /v1/ivr-runs?limit=2&cursor={next}")).await).await;
    assert_eq!(
        (rest["items"].as_array().map(Vec::len), &rest["next"]),
        (Some(1), &serde_json::Value::Null)
    );
    // A step of the clock back may order two of them otherwise; each is there as it came.
    let id = last["id"].as_str().unwrap();
    let shown = json(site.ask(&format!("GET /v1/ivr-runs/{id}")).await).await;
    let whole: serde_json::Value = serde_json::from_str(&run(2)).unwrap();
    assert_eq!(shown["cases"], whole["cases"]);
    for (body, status) in [
        ("", 400),
        ("[]", 400),
        (r#"{"cases": []}"#, 400),
        (r#"{"cases": [{"name": "x"}]}"#, 400),
        (&*format!("{{\"cases\": [\"{}\"]}}", "x".repeat(3 << 20)), 413),
    ] {
        let refused = site.send("POST /v1/ivr-runs", LOCAL, &[HOST], body).await;
        assert_eq!(refused.status().as_u16(), status, "{}", &body[..body.len().min(60)]);
    }
    // A run of any length that is taken may be sent twice.
    let whole = run(2).replace("silence", &"silence ".repeat(20_000));
    let once = [HOST, ("idempotency-key", "a")];
    let kept = site.send("POST /v1/ivr-runs", LOCAL, &once, &whole).await;
    assert_eq!(kept.status(), 201, "{}", whole.len());
    let again = site.send("POST /v1/ivr-runs", LOCAL, &once, &whole).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    for path in ["run_01ARZ3NDEKTSV4RRFFQ69G5FAV", "x", "..%2f"] {
        let answer = site.ask(&format!("GET /v1/ivr-runs/{path}")).await;
        assert_eq!(answer.status().as_u16(), 404, "{path}");
    }
    for query in ["limit=0", "limit=1001", "cursor=x", "more=1"] {
        let answer = site.ask(&format!("GET /v1/ivr-runs?{query}")).await;
        assert_eq!(answer.status().as_u16(), 400, "{query}");
    }
}

#[tokio::test]
async fn while_it_drains_a_call_is_refused_with_a_time_to_come_back() {
    let site = Site::open(Access::default(), Readiness::Draining).await;
    let body = r#"{"user": "alice", "to": "+493012345"}"#;
    let refused = site.send("POST /v1/calls", LOCAL, &[HOST], body).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &"20".parse().unwrap())
    );
    assert_eq!(json(refused).await["code"], "server/draining");
}

#[tokio::test]
async fn an_announcement_is_a_file_below_the_plan() {
    let site = Site::new().await;
    let line = format!("POST /v1/calls/{}/actions/play", record(1).id);
    for (body, status) in [
        (r#"{"file": "prompts/closed.wav"}"#, 202),
        ("{}", 202),
        (r#"{"file": "none.wav"}"#, 400),
        (r#"{"file": 1}"#, 400),
        (r#"{"url": "http://x"}"#, 400),
    ] {
        let answer = site.send(&line, LOCAL, &[HOST], body).await;
        assert_eq!(answer.status().as_u16(), status, "{body}");
    }
    let other = format!("POST /v1/calls/{}/actions/play", record(9).id);
    assert_eq!(site.send(&other, LOCAL, &[HOST], "{}").await.status(), 404);
    let sent = ["plays Some(\"prompts/closed.wav\")", "plays None"];
    assert_eq!(*site.backend.sent.lock().unwrap(), sent);
}

#[tokio::test]
async fn digits_are_sent_and_never_repeated_in_an_error() {
    let site = Site::new().await;
    let line = format!("POST /v1/calls/{}/actions/dtmf", record(1).id);
    let ask = async |body: &str| site.send(&line, LOCAL, &[HOST], body).await;
    assert_eq!(ask(r#"{"tones": "12,#"}"#).await.status(), 202);
    assert_eq!(*site.backend.sent.lock().unwrap(), ["4 digits"]);
    let refused = ask(r#"{"tones": "4711x"}"#).await;
    assert_eq!(refused.status(), 400);
    assert!(!text(refused).await.contains("4711"));
}

#[tokio::test]
async fn events_go_on_where_a_client_was() {
    let site = Site::new().await;
    let follow = async |id: Option<&str>| {
        let headers: Vec<_> =
            [HOST].into_iter().chain(id.map(|id| ("last-event-id", id))).collect();
        let response = site.send("GET /v1/events", LOCAL, &headers, "").await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut body = response.into_body().into_data_stream();
        let mut text = String::new();
        while !text.contains("data: ") {
            text += std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap();
        }
        text
    };
    let since = follow(Some("run-0")).await;
    assert!(
        since.contains("id: run-1\nevent: call.state\ndata: {\"type\":\"call.state\""),
        "{since}"
    );
    for old in ["other-1", "run-99", "x"] {
        let since = follow(Some(old)).await;
        assert!(since.starts_with("id: run-1\nevent: reset\n"), "{old}: {since}");
    }
}

#[tokio::test]
async fn records_are_found_by_what_they_say() {
    let site = Site::new().await;
    let mut busy = record(2);
    busy.cause = Some(Cause::Busy);
    busy.to.number = "+4989123456".parse().ok();
    site.keep([record(1), busy, record(3)]).await;
    let find = async |query: &str| {
        let page = json(site.ask(&format!("GET /v1/cdrs?{query}")).await).await;
        page["items"].as_array().map(Vec::len)
    };
    for (query, found) in [
        ("user=alice", 3),
        ("user=bob", 0),
        ("number=%2B4989", 1),
        ("number=%2B49", 3),
        ("number=%2B49301234567", 2),
        ("cause=busy&trunk=north&direction=outbound", 1),
        ("cause=busy&number=%2B4930", 0),
        ("since=2025-11-21T08:00:02Z", 2),
        ("until=2025-11-21T08:00:02Z", 1),
        ("limit=2", 2),
    ] {
        assert_eq!(find(query).await, Some(found), "{query}");
    }
    for bad in ["since=soon", "number=x", "limit=0", "limit=x", "more=1", "cursor=x", "user=%00"] {
        let refused = site.ask(&format!("GET /v1/cdrs?{bad}")).await;
        assert_eq!(refused.status(), 400, "{bad}");
        assert_eq!(json(refused).await["code"], "request/bad-value", "{bad}");
    }
    let one = json(site.ask(&format!("GET /v1/cdrs/{}", record(3).id)).await).await;
    assert_eq!(one["id"], record(3).id.to_string());
    assert_eq!(site.ask(&format!("GET /v1/cdrs/{}", record(9).id)).await.status(), 404);
}

/// Rendered by `WRITE_DOCS=1 cargo test --lib api::tests::rest`.
#[tokio::test]
async fn the_description_is_the_one_in_docs() {
    let site = Site::new().await;
    let response =
        site.send("GET /openapi.json", LOCAL, &[HOST, ("sec-fetch-site", "none")], "").await;
    let served = text(response).await;
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&file, &served).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        golden == served,
        "docs/openapi.json is old: WRITE_DOCS=1 cargo test --lib api::tests::rest"
    );
    let document: serde_json::Value = serde_json::from_str(&served).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    // Each path of the description is served: what is not would be a 404 in words of its own.
    for (path, operations) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", &record(1).id.to_string()).replace("{user}", "alice");
        let path = path.replace("{name}", "crm").replace("{delivery}", "msg_1");
        for method in operations.as_object().unwrap().keys() {
            let line = format!("{} {path}", method.to_uppercase());
            let response = site.send(&line, LOCAL, &[HOST], "").await;
            let status = response.status();
            assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{line}");
            let code = match status == StatusCode::NOT_FOUND {
                true => json(response).await["detail"].clone(),
                false => serde_json::Value::Bool(true),
            };
            assert!(!code.is_null(), "{line} is described and not served");
        }
    }
}

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let site = Site::new().await;
    for line in [
        "GET /v1/calls/%ff",
        "GET /v1/calls/1",
        "GET /v1/trunks/%ff",
        "GET /v1/users/nobody",
        "POST /v1/trunks/%ff/actions/test",
        "PATCH /v1/calls",
        "GET /v1/nothing",
        "POST /v1/users/%ff/actions/release",
    ] {
        let refused = site.ask(line).await;
        assert!(refused.status().is_client_error(), "{line}");
        assert_eq!(refused.headers()["content-type"], "application/problem+json", "{line}");
        assert!(json(refused).await["code"].is_string(), "{line}");
    }
}
