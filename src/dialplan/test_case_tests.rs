//! What a plan's own tests may say, and what `check` says of identities and emergency numbers.

use super::{Format, Known, NoFiles, Plan, load, load_untested, test};
use crate::base::Finding;

const HEAD: &str = "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
                    timezone = \"Europe/Berlin\"\ncaller_id = \"o\"\n[caller_id.o]\n\
                    number = \"+493012345670\"\n";

const DE: &str = "[[outbound]]\nname = \"de\"\nregion = \"DE\"\nroute = \"n\"\n";

fn findings(text: &str) -> Vec<String> {
    match load(text, "p", &Known::default(), &NoFiles) {
        Ok(plan) => plan.warnings().iter().map(Finding::to_string).collect(),
        Err(findings) => findings.iter().map(Finding::to_string).collect(),
    }
}

fn has(text: &str, expected: &str) {
    let found = findings(text);
    assert!(found.iter().any(|f| f.contains(expected)), "{expected}\n{text}\n{found:#?}");
}

#[test]
fn a_test_that_names_a_rule_means_that_the_call_goes() {
    let text = "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
                timezone = \"Europe/Berlin\"\n[[outbound]]\nname = \"de\"\nregion = \"DE\"\n\
                route = \"n\"\n[[test]]\ndial = { from = \"a\", number = \"030 1234567\" }\n\
                expect = { rule = \"de\" }\n";
    has(text, "the call was refused: a has no caller identity");
    has(text, "warning: rule \"de\" refuses every call: nobody has a caller identity");
    let joined = format!(
        "{HEAD}[[outbound]]\nname = \"de\"\nregion = \"DE\"\nroute = [\"a\", \"b\"]\n[[test]]\n\
         dial = {{ from = \"a\", number = \"030 1234567\" }}\nexpect = {{ route = [\"a, b\"] }}\n"
    );
    has(&joined, "expected route [\"a, b\"], found [\"a\", \"b\"]");
    let denied = format!(
        "{HEAD}[[outbound]]\nname = \"no\"\nregion = \"FR\"\ndeny = \"not there\"\n[[test]]\n\
         dial = {{ from = \"a\", number = \"+33 1 23 45 67 89\" }}\nexpect = {{ rule = \"no\" }}\n"
    );
    assert_eq!(findings(&denied), [""; 0], "a rule that is there to refuse");
}

#[test]
fn whoever_a_rule_would_refuse_is_named() {
    let head = HEAD.replace("caller_id = \"o\"\n[caller", "[caller");
    let groups = "[group.staff]\nusers = [\"alice\", \"bob\"]\ncaller_id = \"o\"\n[group.guests]\n\
                  users = [\"bob\", \"carol\", \"dave\"]\n";
    let rule = |more: &str| format!("{head}{groups}{DE}{more}\n");
    has(
        &rule("group = \"guests\""),
        "warning: rule \"de\" refuses the calls of carol and one more",
    );
    has(&rule(""), "warning: rule \"de\" refuses the calls of carol and one more");
    has(&rule("user = [\"alice\", \"eve\"]"), "refuses the calls of eve, who have");
    for fine in ["group = \"staff\"", "user = [\"alice\"]", "caller_id = \"o\""] {
        let found = findings(&rule(fine));
        assert!(!found.iter().any(|f| f.contains("refuses")), "{fine}\n{found:#?}");
    }
}

#[test]
fn a_time_is_read_as_explain_reads_it() {
    let at = |at: &str, expect: &str| {
        format!(
            "{HEAD}[schedule.s]\nopen = \"mon-fri 08:00-17:00\"\n{DE}when = \"s\"\n[[test]]\n\
             dial = {{ from = \"x\", number = \"030 1234567\", at = \"{at}\" }}\nexpect = {expect}\n"
        )
    };
    let open = "{ rule = \"de\" }";
    let closed = "{ deny = \"no rule allows this\" }";
    assert_eq!(findings(&at("2026-11-23T10:00", open)), [""; 0]);
    let uncovered = findings(&at("2026-11-23T10:00:00-10:00", closed));
    assert!(uncovered.len() == 1 && uncovered[0].contains("no test reaches"), "{uncovered:#?}");
    for bad in ["2026-11-23", "2026-11-23T10:00[America/New_York]"] {
        has(&at(bad, open), "is no time like \"2026-11-23T10:00\"");
    }
    let plan = load(&at("2026-11-23T10:00", open), "p", &Known::default(), &NoFiles).unwrap();
    let moment = plan.moment("2026-11-23T10:00-10:00").unwrap();
    assert_eq!(moment.to_string(), "2026-11-23T20:00:00Z");
}

#[test]
fn keys_are_keys_and_a_silent_caller_takes_the_way_out() {
    let text = |test: &str| {
        format!(
            "{HEAD}[[inbound]]\nname = \"in\"\ndid = \"+493012345670\"\nflow = [\"menu:m\"]\n\
             [menu.m]\nprompt = \"p.wav\"\non_fail = \"menu:last\"\n[menu.m.press]\n\"1\" = \"hangup\"\n\
             [menu.last]\nprompt = \"p.wav\"\non_fail = \"user:u3\"\n[menu.last.press]\n\
             \"1\" = \"hangup\"\n[[test]]\n{test}\n"
        )
    };
    let call = |press: &str, end: &str| {
        text(&format!(
            "call = {{ did = \"+493012345670\"{press} }}\nexpect = {{ ends_at = \"{end}\" }}"
        ))
    };
    for (press, end) in [
        ("", "menu:m"),
        (", press = \"\"", "user:u3"),
        (", press = \"1\"", "hangup"),
        (", press = \"777\"", "menu:last"),
    ] {
        assert_eq!(findings(&call(press, end)), [""; 0], "{press}");
    }
    has(&call(", press = \"xyz \u{e9}\"", "user:u3"), "is not keys of 0-9, *, #, A-D");
    has(&call(", press = \"1 2\"", "user:u3"), "is not keys of 0-9, *, #, A-D");
}

#[test]
fn a_number_that_the_plan_refuses_is_no_destination() {
    let text = |number: &str| {
        format!(
            "{HEAD}{DE}[extension]\n\"1\" = \"number:{number}\"\n[[test]]\n\
             dial = {{ from = \"x\", number = \"1\" }}\nexpect = {{ ends_at = \"number:{number}\" }}\n\
             [[test]]\ndial = {{ from = \"x\", number = \"030 1234567\" }}\n\
             expect = {{ rule = \"de\" }}\n"
        )
    };
    has(&text("09001123456"), "number:09001123456 would be refused: no rule allows this");
    has(&text("09001123456"), "the call to 09001123456 was refused: no rule allows this");
    has(&text("2"), "number:2 would be refused: 2 is no complete number in DE");
    assert_eq!(findings(&text("+49301234567")), [""; 0]);
}

#[test]
fn coverage_is_told_and_can_be_asked_for() {
    let text = format!(
        "{HEAD}{DE}[[outbound]]\nname = \"fr\"\nregion = \"FR\"\nroute = \"n\"\n[[test]]\n\
         dial = {{ from = \"x\", number = \"030 1234567\" }}\nexpect = {{ rule = \"de\" }}\n"
    );
    let report = |format, least| test(&text, "p.toml", &Known::default(), &NoFiles, format, least);
    let fine = report(Format::Text, Some(50));
    assert!(fine.exit == 0 && fine.text.contains("p.toml: 1 of 2 rules reached (50 %)\n"));
    let low = report(Format::Text, Some(51));
    assert_eq!(low.exit, 1);
    assert!(low.text.contains("error: the tests reach 50 % of the rules, less than 51 %"));
    let json: serde_json::Value = serde_json::from_str(&report(Format::Json, None).text).unwrap();
    assert_eq!((&json["reached"], &json["rules"]), (&1.into(), &2.into()));
    assert_eq!(json["coverage_percent"], 50);
    let junit = report(Format::Junit, Some(100)).text;
    assert!(junit.contains("tests=\"2\" failures=\"1\"") && junit.contains("name=\"coverage\""));
}

#[test]
fn a_plan_whose_tests_fail_can_still_be_asked() {
    let text = format!(
        "{HEAD}{DE}[[test]]\ndial = {{ from = \"x\", number = \"030 1234567\" }}\n\
         expect = {{ rule = \"fr\" }}\n"
    );
    assert!(load(&text, "p", &Known::default(), &NoFiles).is_err());
    let plan: Plan = load_untested(&text, "p", &Known::default(), &NoFiles).unwrap();
    assert_eq!(super::failing_tests(&plan).len(), 1);
}

#[test]
fn a_countrys_emergency_numbers_are_its_own_whatever_the_table_says() {
    let text = |numbers: &str, country: &str, code: &str| {
        format!(
            "version = 1\nemergency = {{ numbers = {numbers}, route = [\"n\"] }}\n[defaults]\n\
             country = \"{country}\"\ntimezone = \"UTC\"\n[extension]\n\"{code}\" = \"hangup\"\n"
        )
    };
    for (country, code) in [("DE", "112"), ("DE", "110"), ("KR", "119"), ("KR", "112")] {
        let numbers = format!("{{ {country} = [\"911\"] }}");
        let expected = format!("7:1: error: {code} is an emergency number and cannot be a code");
        has(&text(&numbers, country, code), &expected);
    }
    for bad in ["0", "*", "+49301234567", "1"] {
        has(&text(&format!("{{ DE = [\"{bad}\"] }}"), "DE", "600"), "is no emergency number");
    }
    let text = text("{ DE = [\"911\"] }", "DE", "600");
    let plan = load(&text, "p", &Known::default(), &NoFiles).unwrap();
    for digits in ["110", "112", "911"] {
        let decision = plan.evaluate_outbound(&super::OutboundRequest {
            user: "a".parse().unwrap(),
            country: None,
            dialled: digits.to_owned(),
            caller_id: None,
            at: jiff::Timestamp::UNIX_EPOCH,
        });
        assert!(decision.is_emergency(), "{digits}");
    }
}

#[test]
fn mistakes_come_with_the_name_that_was_meant() {
    let rule = |region: &str| format!("{HEAD}[[outbound]]\nname = \"r\"\nregion = \"{region}\"\n");
    has(&rule("de"), "did you mean \"DE\"?");
    has(&rule("UK"), "did you mean \"GB\"?");
    has(&HEAD.replace("\"DE\"", "\"Germany\""), "`country` = \"Germany\"");
    has(&HEAD.replace("\"DE\"", "\"Germany\""), "did you mean \"DE\"?");
    let users = "u0 u1 u2".split(' ').map(|u| format!("\"{u}\"")).collect::<Vec<_>>().join(", ");
    let many: String = (0..334).map(|n| users.replace('u', &format!("u{n}x")) + ", ").collect();
    has(
        &format!("{HEAD}[group.g]\nusers = [{many}]\n[ring.r]\nusers = \"group:g\"\n"),
        "[ring.r] would ring 1002 users; at most 1000 can be in a ring group",
    );
}

#[test]
fn a_large_plan_is_looked_at_whole() {
    let mut text = String::from(HEAD);
    for n in 0..1_500 {
        text += &format!(
            "[[outbound]]\nname = \"r{n}\"\nto = \"+X{n:05}.\"\nroute = \"n\"\n[menu.m{n}]\n\
             prompt = \"p\"\non_fail = \"menu:m{}\"\n[menu.m{n}.press]\n\"1\" = \"hangup\"\n",
            n + 1
        );
    }
    let end = "[menu.m1500]\nprompt = \"p\"\non_fail = \"menu:m0\"\n[menu.m1500.press]\n\
               \"1\" = \"hangup\"\n";
    let found = findings(&format!("{text}{end}"));
    let no_way_out = found.iter().filter(|f| f.contains("has no way out")).count();
    assert_eq!(no_way_out, 500, "as many as are kept");
    assert!(found.last().unwrap().contains("1001 more errors"), "{:?}", found.last());
    let found = findings(&format!("{text}{}", end.replace("menu:m0", "hangup")));
    assert!(!found.iter().any(|f| f.contains("error") || f.contains("was cut")), "{found:#?}");
    // The last takes what the first does not: it is found among 1,500 that overlap at the first digit.
    let shadowed = "[[outbound]]\nname = \"last\"\nto = \"+X00777X.\"\nroute = \"n\"\n";
    let found = findings(&format!("{text}{}{shadowed}", end.replace("menu:m0", "hangup")));
    let expected = "rule \"last\" can never match: \"r777\" in line";
    assert!(found.iter().any(|f| f.contains(expected)), "{:#?}", found.first());
}
