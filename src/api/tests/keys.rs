//! Keys, logins, permissions: who is let in with what.

use serde_json::json as value;

use super::*;
use crate::base::{Permission, Secret};

const LOCAL: &str = "127.0.0.1:9";
const AFAR: &str = "203.0.113.9:9";
const HOST: (&str, &str) = ("host", "localhost:8080");
const BROWSER: (&str, &str) = ("sec-fetch-site", "same-origin");
const KEY: &str = "cpk_0123456789abcdef0123456789abcdef";

fn access(admin: Admin) -> Access {
    let key = || Secret::new(KEY.to_owned());
    let weak = Secret::new("w".repeat(32));
    let keys = Keys::new([
        ("operator".to_owned(), key(), Permission::ALL.to_vec()),
        ("weak".to_owned(), weak, vec![Permission::RecordsRead]),
    ]);
    Access { admin, keys: Arc::new(keys), ..Access::default() }
}

#[tokio::test]
async fn a_browser_on_this_machine_logs_in_first() {
    let site = Site::open(access(Admin::LoopbackOnly), Readiness::Ready).await;
    let ask = async |headers: &[(&str, &str)]| site.send("GET /v1/calls", LOCAL, headers, "").await;
    assert_eq!(ask(&[HOST]).await.status(), 200, "a program of this machine");
    let refused = ask(&[HOST, BROWSER]).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert_eq!(json(refused).await["code"], "auth/key-required");
    let log_in = async |key: &str| {
        let body = value!({ "key": key }).to_string();
        site.send("POST /v1/session", LOCAL, &[HOST, BROWSER], &body).await
    };
    assert_eq!(log_in("guess").await.status(), 401);
    let response = log_in(KEY).await;
    assert_eq!(response.status(), 201);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let logged_in = [HOST, BROWSER, ("cookie", cookie)];
    assert_eq!(ask(&logged_in).await.status(), 200);
    let own = json(site.send("GET /v1/session", LOCAL, &logged_in, "").await).await;
    assert_eq!(
        (&own["name"], own["permissions"][0].as_str()),
        (&"operator".into(), Some("calls:read"))
    );
    // Another site's page on this machine has the cookie's host, and no leave to change anything.
    let evil = [HOST, ("origin", "http://evil.example"), ("cookie", cookie)];
    let hang_up = format!("POST /v1/calls/{}/actions/hangup", record(1).id);
    assert_eq!(json(site.send(&hang_up, LOCAL, &evil, "").await).await["code"], "auth/origin");
    site.send("DELETE /v1/session", LOCAL, &logged_in, "").await;
    assert_eq!(ask(&logged_in).await.status(), 401);
}

#[tokio::test]
async fn a_key_may_do_what_it_says_and_no_more() {
    let site = Site::open(access(Admin::LoopbackOnly), Readiness::Ready).await;
    let weak = format!("Bearer {}", "w".repeat(32));
    let headers = [HOST, ("authorization", weak.as_str())];
    assert_eq!(site.send("GET /v1/cdrs", LOCAL, &headers, "").await.status(), 200);
    for line in ["GET /v1/calls", "POST /v1/calls", "GET /metrics", "PUT /v1/dialplan"] {
        let refused = site.send(line, LOCAL, &headers, "").await;
        assert_eq!(refused.status(), 403, "{line}");
        assert_eq!(json(refused).await["code"], "auth/permission", "{line}");
    }
    for bad in ["Bearer x", "Basic eDp5", "x"] {
        let headers = [HOST, ("authorization", bad)];
        let refused = site.send("GET /v1/cdrs", LOCAL, &headers, "").await;
        assert_eq!(json(refused).await["code"], "auth/key-invalid", "{bad}");
    }
}

#[tokio::test]
async fn from_afar_a_key_counts_where_the_configuration_says_so() {
    let bearer = format!("Bearer {KEY}");
    let with = [("host", "gateway.example"), ("authorization", bearer.as_str())];
    let site = Site::open(access(Admin::LoopbackOnly), Readiness::Ready).await;
    let refused = site.send("GET /v1/calls", AFAR, &with, "").await;
    assert_eq!(json(refused).await["code"], "request/local-only");
    let site = Site::open(access(Admin::WithKey), Readiness::Ready).await;
    assert_eq!(site.send("GET /v1/calls", AFAR, &with, "").await.status(), 200);
    for peer in [AFAR, LOCAL] {
        let refused = site.send("GET /v1/calls", peer, &[HOST], "").await;
        assert_eq!(json(refused).await["code"], "auth/key-required", "{peer}");
    }
}

#[tokio::test]
async fn after_ten_wrong_keys_an_address_waits_and_others_do_not() {
    let site = Site::open(access(Admin::WithKey), Readiness::Ready).await;
    let host = ("host", "gateway.example");
    let log_in = async |peer: &str, headers: &[(&str, &str)], key: &str| {
        let body = value!({ "key": key }).to_string();
        site.send("POST /v1/session", peer, headers, &body).await
    };
    for n in 0..10 {
        assert_eq!(log_in(AFAR, &[host], "guess").await.status(), 401, "{n}");
    }
    let refused = log_in(AFAR, &[host], KEY).await;
    assert_eq!(refused.status(), 429);
    let wait: u32 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(json(refused).await["code"], "request/too-many-failures");
    let other = "203.0.113.10:9";
    assert_eq!(log_in(other, &[host], KEY).await.status(), 201, "from elsewhere");
    // A proxy on this machine says whose request it is; a stranger's own word counts for nothing.
    let proxied = [host, ("x-forwarded-for", "198.51.100.1, 203.0.113.9")];
    assert_eq!(log_in(LOCAL, &proxied, KEY).await.status(), 429);
    assert_eq!(log_in(LOCAL, &[host], KEY).await.status(), 201);
    let said = [host, ("x-forwarded-for", "198.51.100.1")];
    assert_eq!(log_in(AFAR, &said, KEY).await.status(), 429);
    // A program with a wrong key waits, too; one with a right key is nobody's hostage.
    let calls = async |key: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [host, ("authorization", bearer.as_str())];
        site.send("GET /v1/calls", AFAR, &headers, "").await.status().as_u16()
    };
    assert_eq!((calls("guess").await, calls(KEY).await), (429, 200));
    let bearer = format!("Bearer {KEY}");
    let headers = [host, ("authorization", bearer.as_str())];
    let metrics = text(site.send("GET /metrics", AFAR, &headers, "").await).await;
    for line in ["{way=\"login\"} 10", "{way=\"refused\"} 4"] {
        let line = format!("crosspoint_auth_failures_total{line}");
        assert!(metrics.lines().any(|own| own == line), "{line}\n{metrics}");
    }
}
