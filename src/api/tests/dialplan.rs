//! `/v1/dialplan` and its neighbours: versions, findings, explanations.

use super::*;

const LOCAL: &str = "127.0.0.1:9";
const HOST: (&str, &str) = ("host", "localhost:8080");

#[tokio::test]
async fn the_plan_in_force_is_shown_with_its_hash() {
    let site = Site::new().await;
    let response = site.ask("GET /v1/dialplan").await;
    assert_eq!(response.headers()["etag"], "\"abc\"");
    let plan = json(response).await;
    assert_eq!(plan["text"], "version = 1\n");
    assert_eq!((&plan["hash"], &plan["refused"]), (&"abc".into(), &serde_json::Value::Null));
    assert_eq!(plan["loaded_at"], "1970-01-01T00:00:00Z");
}

#[tokio::test]
async fn a_plan_is_put_only_on_top_of_the_one_it_was_made_from() {
    let site = Site::new().await;
    for (tag, body, status, code) in [
        (None, "version = 1", 428, "request/precondition-required"),
        (Some("\"old\""), "version = 1", 412, "request/conflict"),
        (Some("\"abc\""), "wrong", 422, "request/bad-plan"),
        (Some("\"abc\""), "version = 1", 200, ""),
        (Some("abc"), "version = 1", 200, ""),
        (Some("*"), "version = 1", 200, ""),
    ] {
        let headers: Vec<_> = [HOST].into_iter().chain(tag.map(|tag| ("if-match", tag))).collect();
        let response = site.send("PUT /v1/dialplan", LOCAL, &headers, body).await;
        assert_eq!(response.status().as_u16(), status, "{tag:?} {body}");
        let answer = json(response).await;
        assert_eq!(answer["code"].as_str().unwrap_or_default(), code);
        if status == 422 {
            assert_eq!(answer["findings"][0]["line"], 3);
        }
    }
    let big = "#".repeat(4 * 1024 * 1024 + 1);
    let response = site.send("POST /v1/dialplan/check", LOCAL, &[HOST], &big).await;
    let answer = json(response).await;
    assert_eq!(answer["code"], "request/too-large");
    assert_eq!(answer["detail"], "A body is at most 4096 KiB here.");
    assert!(!answer["title"].as_str().unwrap().contains("64 KiB"));
}

#[tokio::test]
async fn a_check_and_an_explanation_change_nothing() {
    let site = Site::new().await;
    let check = async |body: &str| {
        json(site.send("POST /v1/dialplan/check", LOCAL, &[HOST], body).await).await
    };
    assert_eq!(check("wrong").await["ok"], false);
    assert_eq!(check("version = 1").await["ok"], true);
    let explain = async |body: &str| {
        json(site.send("POST /v1/dialplan/explain", LOCAL, &[HOST], body).await).await
    };
    let answer = explain(r#"{"from": "alice", "dial": "030 1234567"}"#).await;
    assert_eq!(answer["deny"], "no rule allows this");
    assert!(answer["trace"][0].as_str().unwrap().contains("+49301234567"));
    // Another plan is asked the same, and is not in force for it.
    let of = |text: &str| {
        let question = serde_json::json!({"from": "alice", "dial": "212 555 0123", "plan": text});
        question.to_string()
    };
    let other = "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"US\"\ntimezone = \"UTC\"\n";
    let asked =
        [explain(&of(other)).await, explain(r#"{"from": "alice", "dial": "212 555 0123"}"#).await];
    assert_ne!(asked[0]["trace"], asked[1]["trace"], "{asked:?}");
    let wrong = explain(&of("version = 1\nnonsense = 2\n")).await;
    assert_eq!(wrong["code"], "request/bad-plan");
    assert!(wrong["findings"][0]["message"].is_string(), "{wrong}");
    for bad in [
        "",
        "{}",
        r#"{"from": "alice"}"#,
        r#"{"from": "alice", "dial": "1", "did": "2"}"#,
        r#"{"from": "no user", "dial": "1"}"#,
        r#"{"from": "alice", "dial": "1", "at": "soon"}"#,
        r#"{"from": "alice", "dial": "1", "more": 1}"#,
        r#"{"did": "+49301234567", "trunk": "nowhere"}"#,
    ] {
        assert_eq!(explain(bad).await["code"], "request/bad-value", "{bad}");
    }
}

#[tokio::test]
async fn the_brake_lets_go_of_a_user_and_a_country() {
    let site = Site::new().await;
    for (user, body, status) in [
        ("alice", r#"{"region": "LV"}"#, 204),
        ("alice", r#"{"region": "Latvia"}"#, 400),
        ("nobody", r#"{"region": "LV"}"#, 404),
    ] {
        let line = format!("POST /v1/users/{user}/actions/release");
        assert_eq!(site.send(&line, LOCAL, &[HOST], body).await.status().as_u16(), status);
    }
    assert_eq!(*site.backend.released.lock().unwrap(), ["alice LV"]);
}

#[tokio::test]
async fn a_plan_that_was_not_taken_is_told_without_its_findings() {
    let site = Site::open(Access::default(), Readiness::NotReady("a bad plan".into())).await;
    let words = json(site.ask("GET /readyz").await).await["dialplan"].as_str().unwrap().to_owned();
    assert!(words.contains("was not taken (1 finding)"), "{words}");
    assert!(!words.contains("wrong"));
    let plan = json(site.ask("GET /v1/dialplan").await).await;
    assert_eq!(plan["refused"]["findings"][0]["message"], "wrong");
    let site = Site::new().await;
    assert_eq!(json(site.ask("GET /readyz").await).await, serde_json::json!({"status": "ready"}));
    let trace = json(site.ask(&format!("GET /v1/calls/{}/trace", record(1).id)).await).await;
    assert_eq!(trace["items"], serde_json::json!(["=> route"]));
}
