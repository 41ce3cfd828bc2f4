//! Who calls, over the wire, both ways: what sipp says of a caller and what the page is told of it; what
//! the dial plan says of a page's user and what sipp gets.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::time::Duration;

use crosspoint::selftest::Page;
use serde_json::{Value, json};
use support::bystander::{PLAN, place};
use support::gateway::Gateway;
use support::phones::Sipp;
use support::sipp_script::{Script, plain};
use support::talk::LIMIT;

const ASSERTED: &str = "P-Asserted-Identity: <sip:+4930111@carrier.example>\n";

/// What a caller's INVITE says beside its From of +4940555, and what of it the page is told: the number,
/// how far it is verified, whose call it was and why it came.
#[tokio::test]
async fn the_page_is_told_what_the_trunk_may_say_of_a_caller() {
    let verstat = |word: &str| {
        format!("P-Asserted-Identity: <sip:+4930111;verstat={word}@carrier.example;user=phone>\n")
    };
    let withheld = Value::Null;
    let rows: Vec<(String, Value, Value, Value)> = vec![
        (String::new(), json!("+4940555"), Value::Null, Value::Null),
        // An identity that is asserted goes before From, the first of two before the second (RFC 3325 9.1).
        (
            ASSERTED.to_owned() + "P-Asserted-Identity: <tel:+4930222>\n",
            json!("+4930111"),
            Value::Null,
            Value::Null,
        ),
        // `verstat`, with the level in it, beside it, and with none.
        (verstat("TN-Validation-Passed-A"), json!("+4930111"), json!("A"), Value::Null),
        (
            verstat("TN-Validation-Passed") + "P-Attestation-Indicator: B\n",
            json!("+4930111"),
            json!("B"),
            Value::Null,
        ),
        (verstat("TN-Validation-Passed"), json!("+4930111"), json!("C"), Value::Null),
        (verstat("TN-Validation-Failed-A"), json!("+4930111"), json!("failed"), Value::Null),
        (verstat("No-TN-Validation"), json!("+4930111"), Value::Null, Value::Null),
        // Privacy (RFC 3323, RFC 3325 7): neither number nor whose call it was.
        (
            format!(
                "{ASSERTED}Privacy: id\nDiversion: <sip:+4930999@c.example>;reason=no-answer\n"
            ),
            withheld.clone(),
            Value::Null,
            Value::Null,
        ),
        (format!("{ASSERTED}Privacy: user;critical\n"), withheld, Value::Null, Value::Null),
        (format!("{ASSERTED}Privacy: none\n"), json!("+4930111"), Value::Null, Value::Null),
        // Diversions, the newest first (RFC 5806), and one that hides its number.
        (
            "Diversion: <sip:+4930999@c.example>;reason=user-busy\n\
             Diversion: <sip:+4930998@c.example>;reason=unconditional\n"
                .to_owned(),
            json!("+4940555"),
            Value::Null,
            json!({"diverted_from": "+4930999", "diverted_because": "user-busy"}),
        ),
        (
            "Diversion: <sip:+4930999@c.example>;reason=no-answer;privacy=full\n".to_owned(),
            json!("+4940555"),
            Value::Null,
            json!({"diverted_because": "no-answer"}),
        ),
        // A history (RFC 7044), with the reason as its target's cause (RFC 4458); one that hides.
        (
            "History-Info: <sip:+4930999@c.example?Reason=SIP%3Bcause%3D408>;index=1, \
             <sip:+493023125600@c.example;cause=408>;index=1.1\n"
                .to_owned(),
            json!("+4940555"),
            Value::Null,
            json!({"diverted_from": "+4930999", "diverted_because": "no-answer"}),
        ),
        (
            "History-Info: <sip:+4930999@c.example?Privacy=history>;index=1, \
             <sip:+493023125600@c.example;cause=302>;index=1.1\n"
                .to_owned(),
            json!("+4940555"),
            Value::Null,
            json!({"diverted_because": "unconditional"}),
        ),
    ];
    let gateway = Gateway::serve_trunk(support::free_port(), PLAN, "options_interval = \"0s\"\n");
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    for (lines, number, verified, metadata) in rows {
        let script = Script::caller("+493023125600", &lines, &plain(1)).refused(603);
        let mut sipp = Sipp::calling(&script, &gateway.sip_udp.unwrap().to_string());
        let told =
            page.event(LIMIT, "a call", |e| e.text("type") == "call.incoming").await.unwrap();
        let body = &told.body;
        assert_eq!(body["from"]["number"], number, "{lines}{body}");
        assert_eq!(body["verified"], verified, "{lines}{body}");
        let own = body.get("metadata").filter(|m| m.as_object().is_some_and(|m| !m.is_empty()));
        assert_eq!(own.cloned().unwrap_or_default(), metadata, "{lines}{body}");
        if number.is_null() {
            let all = body.to_string();
            assert!(!all.contains("4930111") && !all.contains("4940555"), "{lines}{body}");
            assert!(!all.contains("4930999"), "{lines}{body}");
        }
        let reject =
            json!({"type": "call.reject", "call": told.text("call"), "reason": "declined"});
        page.ask(reject).await.unwrap();
        sipp.is_content();
    }
}

/// A user's number goes out as the plan presents it: asserted, in From alone, or withheld.
#[tokio::test]
async fn a_users_number_goes_out_as_the_plan_says() {
    for (present, from, lines, never) in [
        (
            "identity",
            "From: \"Office\" <sip:+493023125600@",
            &["P-Asserted-Identity: \"Office\" <sip:+493023125600@"][..],
            "Privacy:",
        ),
        ("from", "From: \"Office\" <sip:+493023125600@", &[], "P-Asserted-Identity"),
        (
            "anonymous",
            "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>",
            &["P-Asserted-Identity: \"Office\" <sip:+493023125600@", "Privacy: id"],
            "Diversion",
        ),
    ] {
        let plan = PLAN.replace(
            "number = \"+493023125600\"",
            &format!("number = \"+493023125600\"\nname = \"Office\"\npresent = \"{present}\""),
        );
        let script = Script::callee().answer("200 OK", "", Some(&plain(1))).ack();
        let mut sipp = Sipp::script(&script.until_bye());
        let gateway = Gateway::serve_trunk(sipp.port, &plan, "options_interval = \"0s\"\n");
        let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
        let call = place(&page, "700").await;
        call.state(&mut page, "active").await.unwrap();
        call.peer.connected(Duration::from_secs(20)).await.expect("ICE and DTLS");
        { call }.hang_up(&mut page).await.unwrap();
        sipp.is_content();
        let said = sipp.messages();
        let invite = said.split("INVITE sip:").nth(1).unwrap().split("\n\n").next().unwrap();
        assert!(invite.contains(from), "{present}: {invite}");
        for line in lines {
            assert!(invite.contains(line), "{present} without {line}: {invite}");
        }
        assert!(!invite.contains(never), "{present} with {never}: {invite}");
        if present == "anonymous" {
            // Nothing but the asserted identity, which the carrier keeps to itself, names the user.
            let rest: Vec<&str> =
                invite.lines().filter(|line| !line.starts_with("P-Asserted")).collect();
            assert!(!rest.concat().contains("23125600"), "{invite}");
            assert!(!rest.concat().contains("Office"), "{invite}");
        }
    }
}
