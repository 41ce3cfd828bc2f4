//! Paths, statuses and bodies.

use serde_json::json as value;

use super::*;
use crate::signaling::{Scope, verify};

#[tokio::test]
async fn calls_are_listed_shown_and_hung_up() {
    let site = Site::new().await;
    let golden = value!({
        "state": "connected", "id": "call_01KAJPTR000000000000000001", "direction": "outbound",
        "from": {"user": "alice", "uri": "alice"},
        "to": {"number": "+49301234567", "uri": "+49301234567"},
        "trunk": "north", "rule": "national, \"day\"",
        "started_at": "2025-11-21T08:00:01Z", "answered_at": "2025-11-21T08:00:01.25Z",
        "ended_at": "2025-11-21T08:00:02.25Z", "duration_ms": 1000, "cause": "hangup",
        "sip": null, "q850": 16, "ended_by": "callee", "attempts": 1, "digits": 4,
        "codec": "PCMA", "trace": ["=> route"], "quality": {},
    });
    let id = record(1).id;
    assert_eq!(
        json(site.ask("GET /v1/calls").await).await,
        value!({"items": [golden], "next": null})
    );
    assert_eq!(json(site.ask(&format!("GET /v1/calls/{id}")).await).await, golden);
    let first = jiff::Timestamp::UNIX_EPOCH;
    let before = Cursor::of(&Record { started_at: first, ..record(1) });
    for (after, items) in [(before, 1), (Cursor::of(&record(1)), 0)] {
        let page = json(site.ask(&format!("GET /v1/calls?limit=1&cursor={after}")).await).await;
        assert_eq!(page["items"].as_array().unwrap().len(), items, "{page}");
    }
    for wrong in ["limit=0", "limit=1001", "limit=x", "cursor=x", "page=2"] {
        assert_eq!(site.ask(&format!("GET /v1/calls?{wrong}")).await.status().as_u16(), 400);
    }
    let response = site.ask(&format!("POST /v1/calls/{id}/actions/hangup")).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(*site.backend.hung_up.lock().unwrap(), [id]);
}

#[tokio::test]
async fn digits_show_how_they_went_and_never_which_they_were() {
    let site = Site::new().await;
    let id = record(1).id;
    let items = value!([
        {"at_ms": 900, "type": "dtmf.mode", "mode": "rfc4733"},
        {"at_ms": 1500, "type": "dtmf.heard", "leg": "trunk", "mode": "sip-info", "duration_ms": 120},
        {
            "at_ms": 2000, "type": "dtmf.sent", "source": "message", "measured_ms": 101,
            "mode": "rfc4733", "tone_ms": 100, "gap_ms": 80, "clock": 8000, "payload_type": 101,
            "packets": 8, "end_packets": 3, "info_status": null, "delay_ms": 0.5,
        },
        {"at_ms": 2100, "type": "dtmf.lost"},
    ]);
    assert_eq!(
        json(site.ask(&format!("GET /v1/calls/{id}/dtmf")).await).await,
        value!({"mode": "rfc4733", "heard": 1, "sent": 1, "forgotten": 0, "items": items,
            "next": null})
    );
    assert_eq!(
        json(site.ask(&format!("GET /v1/calls/{id}/events")).await).await,
        value!({"items": items, "next": null})
    );
    let other = record(2).id;
    assert_eq!(site.ask(&format!("GET /v1/calls/{other}/dtmf")).await.status().as_u16(), 404);
}

#[tokio::test]
async fn messages_are_listed_heard_and_taken_away() {
    let site = Site::new().await;
    let golden = value!({
        "id": "vm_1", "mailbox": "reception", "call": "call_00000000010000000000000001",
        "from": "+4930123", "at": "1970-01-01T00:00:00Z", "duration_ms": 4200,
    });
    let listed = json(site.ask("GET /v1/voicemails").await).await;
    assert_eq!(listed, value!({"items": [golden], "next": null}));
    assert_eq!(json(site.ask("GET /v1/voicemails/vm_1").await).await, golden);
    let sound = site.ask("GET /v1/voicemails/vm_1/audio").await;
    assert_eq!(sound.headers()["content-type"], "audio/wav");
    let removed = site.ask("DELETE /v1/voicemails/vm_1").await;
    assert_eq!(removed.status(), StatusCode::NO_CONTENT);
    for line in
        ["GET /v1/voicemails/vm_2", "GET /v1/voicemails/vm_2/audio", "DELETE /v1/voicemails/x"]
    {
        assert_eq!(site.ask(line).await.status(), StatusCode::NOT_FOUND, "{line}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_with_a_code() {
    let site = Site::new().await;
    let other = record(2).id;
    for (line, status, code) in [
        ("GET /v1/nothing".to_owned(), 404, "request/not-found"),
        (format!("GET /v1/calls/{other}"), 404, "request/not-found"),
        (format!("POST /v1/calls/{other}/actions/hangup"), 404, "request/not-found"),
        ("GET /v1/calls/7".to_owned(), 400, "request/bad-value"),
        ("DELETE /v1/calls".to_owned(), 405, "request/method-not-allowed"),
        ("GET /v1/cdrs?limit=0".to_owned(), 400, "request/bad-value"),
        ("GET /v1/cdrs?cursor=x".to_owned(), 400, "request/bad-value"),
        ("GET /v1/cdrs?form=alice".to_owned(), 400, "request/bad-value"),
        ("GET /v1/cdrs?direction=sideways".to_owned(), 400, "request/bad-value"),
        ("GET /v1/cdrs?cause=no-anser".to_owned(), 400, "request/bad-value"),
    ] {
        let response = site.ask(&line).await;
        assert_eq!(response.status().as_u16(), status, "{line}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{line}");
        assert_eq!(json(response).await["code"], code, "{line}");
    }
    assert_eq!(
        json(site.ask("GET /v1/calls/7").await).await,
        value!({
            "type": "urn:crosspoint:error:request:bad-value",
            "title": "A value in the request cannot be used.", "status": 400,
            "code": "request/bad-value", "detail": "call id: expected call_ and a ULID",
            "retryable": false,
        })
    );
}

#[tokio::test]
async fn records_page_by_cursor() {
    let site = Site::new().await;
    site.keep((0..5).map(record)).await;
    let first = json(site.ask("GET /v1/cdrs?limit=3").await).await;
    let ids = |page: &serde_json::Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&first), [4, 3, 2].map(|n| record(n).id.to_string()));
    let next = first["next"].as_str().unwrap();
    let second = json(site.ask(&format!("GET /v1/cdrs?limit=3&cursor={next}")).await).await;
    assert_eq!(ids(&second), [1, 0].map(|n| record(n).id.to_string()));
    assert_eq!(second["next"], value!(null));
}

#[tokio::test]
async fn records_export_as_csv_and_ndjson_over_several_pages() {
    let site = Site::new().await;
    let formula = Party { uri: "=HYPERLINK(\"x\")".into(), ..Party::default() };
    site.keep((0..1203).map(record)).await;
    site.keep([Record { from: formula, ..record(5000) }]).await;
    let accept = |kind| [("host", "localhost"), ("accept", kind)];
    let csv = site.send("GET /v1/cdrs", "127.0.0.1:9", &accept("text/csv"), "").await;
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    let csv = text(csv).await;
    let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 1 + 1204);
    assert!(lines[0].starts_with("id,direction,from_user,"));
    assert!(lines[1].contains(",\"'=HYPERLINK(\"\"x\"\")\","), "{}", lines[1]);
    assert_eq!(
        lines[1204],
        "call_01KAJPTR000000000000000000,outbound,alice,,alice,,+49301234567,+49301234567,north,\
         \"national, \"\"day\"\"\",2025-11-21T08:00:00Z,2025-11-21T08:00:00.25Z,\
         2025-11-21T08:00:01.25Z,1000,hangup,,16,callee,1,4,PCMA"
    );
    let lines = site.send("GET /v1/cdrs", "127.0.0.1:9", &accept("application/x-ndjson"), "").await;
    let lines = text(lines).await;
    let records: Vec<Record> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 1204);
    assert_eq!(records[1203], record(0));
}

#[tokio::test]
async fn records_come_in_the_form_that_is_liked_best() {
    let site = Site::new().await;
    for (accept, form) in [
        ("text/csv;q=0.1, application/json", "application/json"),
        ("application/json;q=0.2, text/csv;q=0.3", "text/csv; charset=utf-8; header=present"),
        ("*/*, application/x-ndjson", "application/x-ndjson"),
        ("text/csv;q=0, */*;q=0.1", "application/json"),
        ("text/csv;q=0", "application/json"),
        ("text/html, */*", "application/json"),
    ] {
        let headers = [("host", "localhost"), ("accept", accept)];
        let response = site.send("GET /v1/cdrs", "127.0.0.1:9", &headers, "").await;
        assert_eq!(response.headers()["content-type"], form, "{accept}");
    }
    let refused = json(site.ask("GET /v1/cdrs?direction=out").await).await;
    let words = refused["detail"].as_str().unwrap();
    assert!(words.contains("`outbound`, `inbound`, `internal`, `transit`"), "{words}");
}

#[tokio::test]
async fn records_that_cannot_be_read_are_a_503() {
    let site = Site::new().await;
    site.store.close(Duration::from_secs(1)).await;
    for kind in ["application/json", "text/csv"] {
        let headers = [("host", "localhost"), ("accept", kind)];
        let response = site.send("GET /v1/cdrs", "127.0.0.1:9", &headers, "").await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(json(response).await["code"], "server/records-unavailable");
    }
}

#[tokio::test]
async fn trunks_are_listed() {
    let site = Site::new().await;
    assert_eq!(
        json(site.ask("GET /v1/trunks").await).await,
        value!({"items": [{"id": "north", "state": "up", "calls": 1, "channels": 30}], "next": null})
    );
}

#[tokio::test]
async fn tokens_are_minted_for_known_users() {
    let site = Site::new().await;
    let post = async |body: &str| {
        let headers = [("host", "localhost"), ("content-type", "application/json")];
        site.send("POST /v1/client-tokens", "[::1]:9", &headers, body).await
    };
    let response =
        post(r#"{"sub":"alice","ttl_s":60,"scopes":["call:out"],"destinations":["600"]}"#).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let minted = json(response).await;
    let expires_at: jiff::Timestamp = minted["expires_at"].as_str().unwrap().parse().unwrap();
    let now_s = expires_at.as_second() as u64 - 60;
    let claims = verify(&site.backend.key, minted["token"].as_str().unwrap(), now_s).unwrap();
    assert_eq!(claims.scopes, [Scope::CallOut]);
    assert_eq!(claims.destinations, ["600"]);
    for bad in [
        "",
        "[]",
        r#"{"sub":"mallory"}"#,
        r#"{"sub":"alice","ttl_s":3700}"#,
        r#"{"sub":"alice","destinations":[]}"#,
        r#"{"sub":"alice","callers":[]}"#,
        r#"{"sub":"alice","destinations":["sip:x"]}"#,
        r#"{"sub":"alice","destinations":["030*"]}"#,
        r#"{"sub":"alice","exp":1,"ttl_s":1}"#,
        r#"{"sub":"alice","scope":"admin"}"#,
        r#"{"sub":"a b"}"#,
    ] {
        let response = post(bad).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(json(response).await["code"], "request/bad-value", "{bad}");
    }
    let long = format!(r#"{{"sub":"alice","callers":["{}"]}}"#, "1".repeat(70_000));
    assert_eq!(post(&long).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_token_and_a_users_tokens_are_taken_back() {
    let site = Site::new().await;
    let post = async |body: &str| {
        let headers = [("host", "localhost"), ("content-type", "application/json")];
        site.send("POST /v1/client-tokens/actions/revoke", "[::1]:9", &headers, body).await
    };
    for good in [r#"{"token":"cp1.a.b"}"#, r#"{"sub":"alice"}"#] {
        assert_eq!(post(good).await.status(), StatusCode::NO_CONTENT, "{good}");
    }
    assert_eq!(*site.backend.revoked.lock().unwrap(), ["cp1.a.b", "alice"]);
    for bad in [
        "",
        "{}",
        r#"{"token":"x"}"#,
        r#"{"sub":"mallory"}"#,
        r#"{"sub":"alice","token":"cp1.a.b"}"#,
    ] {
        assert_eq!(post(bad).await.status(), StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    let site = Site::new().await;
    assert_eq!(json(site.ask("GET /healthz").await).await, value!({"status": "ok"}));
    assert_eq!(json(site.ask("GET /readyz").await).await, value!({"status": "ready"}));
    let metrics = text(site.ask("GET /metrics").await).await;
    assert!(metrics.contains("crosspoint_spool_bytes 0"), "{metrics}");
    for (readiness, body) in [
        (Readiness::Draining, value!({"status": "draining"})),
        (Readiness::NotReady("no".into()), value!({"status": "not-ready", "reason": "no"})),
    ] {
        let site = Site::open(Access::default(), readiness).await;
        let response = site.ask("GET /readyz").await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(json(response).await, body);
    }
}

#[tokio::test]
async fn the_phone_and_the_library_are_served() {
    let site = Site::new().await;
    for (path, kind, words) in [
        ("/", "text/html", "<!doctype html>"),
        ("/phone.css", "text/css", "{"),
        ("/app.js", "text/javascript", "/phone.js"),
        ("/phone.js", "text/javascript", "./sdk.js"),
        ("/icon.svg", "image/svg+xml", "<svg"),
        ("/sdk.js", "text/javascript", "crosspoint.v1"),
        ("/sdk.d.ts", "text/plain", "class Phone"),
    ] {
        let response = site.ask(&format!("GET {path}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let found = response.headers()["content-type"].to_str().unwrap();
        assert!(found.starts_with(kind), "{path}: {found}");
        assert!(text(response).await.to_lowercase().contains(&words.to_lowercase()), "{path}");
    }
    let phone = json(site.ask("GET /phone.json").await).await;
    let hints = value!([{"dial": "600", "name": "Echo", "about": "You hear yourself."}]);
    assert_eq!(phone, value!({"token": "cp1.x.y", "user": "alice", "hints": hints}));
    assert_eq!(text(site.ask("GET /v1/rtc").await).await, "rtc");
}
