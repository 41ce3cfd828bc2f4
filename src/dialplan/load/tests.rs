//! Mistakes in plans, each with its words and its place.

use proptest::prelude::*;

use super::*;

const HEAD: &str = "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
                    timezone = \"Europe/Berlin\"\n";

fn messages(text: &str) -> Vec<String> {
    let known = Known {
        trunks: Some(["north", "south"].iter().map(|t| t.parse().unwrap()).collect()),
        users: Some([("alice".parse().unwrap(), None)].into()),
        webhooks: Some(["crm".to_owned()].into()),
    };
    match load(text, "p.toml", &known, &NoFiles) {
        Ok(_) => Vec::new(),
        Err(findings) => findings
            .iter()
            .filter(|f| f.severity == Severity::Error)
            .map(ToString::to_string)
            .collect(),
    }
}

fn one(rest: &str) -> String {
    let found = messages(&format!("{HEAD}{rest}"));
    assert_eq!(found.len(), 1, "{rest}\n{found:#?}");
    found.into_iter().next().unwrap()
}

#[test]
fn every_mistake_of_a_file_is_told_at_once() {
    let text = r#"
version = 2
[defaults]
country = "Germany"
timezone = "Europe/Belrin"
[emergency]
numbers = {}
route = ["nroth"]
[group.staff]
users = ["alise"]
caller_id = ["offise"]
[caller_id.office]
number = "030123"
[[outbound]]
name = "a"
region = []
route = ["north"]
[[outbound]]
name = "b"
to = ["^49"]
when = "ofice"
deny = ""
[schedule.office]
open = ["mon-fry 08:00-09:00"]
"#;
    let found = messages(text);
    for expected in [
        "p.toml:2:11: error: version 2 is not known; this reads 1",
        "p.toml:4:11: error: `country` = \"Germany\"",
        "p.toml:5:12: error: `timezone` = \"Europe/Belrin\" is not known; did you mean \
         \"Europe/Berlin\"?",
        "p.toml:13:10: error: `number` = \"030123\"",
        "p.toml:6:2: error: [emergency] has no trunk to go out by",
        "p.toml:8:10: error: there is no trunk \"nroth\"; did you mean \"north\"?",
        "p.toml:10:10: error: there is no user \"alise\"; did you mean \"alice\"?",
        "p.toml:11:14: error: there is no [caller_id.offise]; did you mean \"office\"?",
        "p.toml:16:10: error: `region` is empty; leave it out, or say what it means",
        "p.toml:20:7: error: `to` = \"^49\": '^' has no meaning in a pattern",
        "p.toml:21:8: error: there is no [schedule.ofice]; did you mean \"office\"?",
        "p.toml:22:8: error: `deny` is empty",
        "p.toml:24:9: error: \"mon-fry 08:00-09:00\" is no time",
    ] {
        assert!(found.iter().any(|f| f.starts_with(expected)), "{expected}\n{found:#?}");
    }
}

#[test]
fn a_mistake_in_a_rule_makes_no_other_rule_unreachable() {
    let two = |first: &str, second: &str| {
        let text = format!(
            "{HEAD}[group.g]\nusers = [\"alise\"]\n[[outbound]]\nname = \"a\"\n{first}\n\
             [[outbound]]\nname = \"b\"\n{second}\n"
        );
        let found = messages(&text);
        assert!(found.iter().any(|f| f.contains("did you mean \"alice\"")), "{found:#?}");
        found.iter().filter(|f| f.contains("never match")).count()
    };
    let deny = "region = \"DE\"\ndeny = \"x\"";
    assert_eq!(two(&format!("when = \"s\"\n{deny}"), deny), 0, "an unknown schedule");
    assert_eq!(two(&format!("group = \"g\"\n{deny}"), deny), 0, "a group with a mistake");
    assert_eq!(two("to = [\"+49.\", \"+4x\"]\ndeny = \"x\"", deny), 0, "a bad pattern");
    assert_eq!(two(deny, deny), 1, "and what is true is told all the same");
}

#[test]
fn any_is_everything_and_nothing_lasts_no_time() {
    let rule = |body: &str| format!("{HEAD}[[outbound]]\nname = \"r\"\n{body}\n");
    assert_eq!(messages(&rule("to = \"any\"\ndeny = \"x\"")), [""; 0]);
    let inbound = "[[inbound]]\nname=\"i\"\ndid=\"any\"\nfrom=\"any\"\nflow=[\"hangup\"]\n";
    assert_eq!(messages(&format!("{HEAD}{inbound}")), [""; 0]);
    let found = one("[[outbound]]\nname=\"r\"\nregion=\"DE\"\nroute=\"north\"\nmax_call=\"0s\"\n");
    assert!(found.ends_with("`max_call` must be longer than 0s"), "{found}");
    let found = one("[[feature]]\ncode = \"112\"\nto = \"user:alice\"\n");
    assert!(!found.starts_with("p.toml:1:1"), "{found}");
}

#[test]
fn a_plan_says_what_it_does_about_emergency_calls() {
    let found = messages("version = 1\n[defaults]\ncountry=\"DE\"\ntimezone=\"UTC\"\n");
    assert!(found[0].contains("needs [emergency], or `emergency = \"not-provided\"`"));
    let found = one("[extension]\n\"112\" = \"user:alice\"\n");
    assert!(found.ends_with("112 is an emergency number and cannot be a code"), "{found}");
}

#[test]
fn each_kind_of_mistake_has_its_words() {
    let rule = |body: &str| format!("[[outbound]]\nname = \"r\"\n{body}\n");
    for (text, expected) in [
        (rule("route = [\"north\"]"), "has no condition; write `region = \"any\"`"),
        (rule("region = \"any\""), "needs `route` or `deny`"),
        (rule("region = \"any\"\nroute = []"), "and not empty"),
        (rule("region = \"any\"\nroute = [\"north\"]\ndeny = \"x\""), "not both"),
        (rule("region = \"any\"\nroute = [\"north\", \"north\"]"), "is named twice"),
        (rule("region = [\"any\", \"DE\"]\ndeny = \"x\""), "\"any\" stands alone"),
        (rule("tipe = \"mobile\"\nregion = \"any\"\ndeny = \"x\""), "did you mean \"type\"?"),
        (rule("type = \"mobil\"\ndeny = \"x\""), "did you mean \"mobile\"?"),
        (rule("webhook = \"x\"\nregion = \"any\"\ndeny = \"x\""), "is no key of a rule"),
        (rule("rates = \"r.csv\"\nregion=\"any\"\nroute = \"north\""), "cannot be read here"),
        (rule("to = \"60X\"\nregion = \"DE\"\nroute = \"north\""), "a `to` without + is no"),
        ("[extension]\n\"a\" = \"user:alice\"\n".into(), "cannot be dialled"),
        ("[extension]\n\"1\" = \"usr:alice\"\n".into(), "did you mean \"user\"?"),
        ("[extension]\n\"1\" = \"app:ecko\"\n".into(), "did you mean \"echo\"?"),
        ("[extension]\n\"1\" = \"menu:x\"\n".into(), "there is no [menu.x]"),
        ("[extension]\n\"1\" = \"webhook:crn\"\n".into(), "did you mean \"crm\"?"),
        (
            "[menu.m]\nprompt = \"p.wav\"\non_fail = \"webhook:crm\"\npress = { \"1\" = \"hangup\" }\n".into(),
            "stands in a flow or at a code",
        ),
        (
            "[[inbound]]\nname=\"i\"\ndid=\"+4930123\"\nflow=[\"hangup\", \"user:alice\"]\n".into(),
            "never reached: the call does not come back from hangup",
        ),
        ("[[inbound]]\nname=\"i\"\nflow=[\"hangup\"]\n".into(), "[[inbound]] needs `did`"),
        (
            "[[inbound]]\nname=\"i\"\ndid=[\"+4930123\", \"+4930123\"]\nflow=[\"hangup\"]\n".into(),
            "+4930123 is there twice",
        ),
        (
            "[[inbound]]\nname=\"i\"\ndid=\"+4930123\"\nflow=[\"hangup\"]\n[[inbound]]\nname=\"j\"\n\
             did=[\"+4930124\", \"+4930123\"]\nflow=[\"hangup\"]\n"
                .into(),
            "all calls to +4930123 are taken by \"i\" above",
        ),
        (
            "[extension]\n\"600\" = \"app:echo\"\n[[inbound]]\nname=\"i\"\ndid=\"+4930123\"\n\
             flow=[\"number:600\"]\n"
                .into(),
            "number:600 is a code of this plan: write \"app:echo\" itself",
        ),
        (
            "[extension]\n\"115\" = \"number:115\"\n".into(),
            "number:115 is a code of this plan",
        ),
        ("[voicemail.v]\ngreeting=\"p.wav\"\nmax=\"0s\"\n".into(), "`max` must be longer than 0s"),
        ("[frobnicate]\n".into(), "unknown key `frobnicate`"),
    ] {
        let found = one(&text);
        assert!(found.contains(expected), "{text}\n{found}");
    }
}

#[test]
fn a_choice_that_nobody_can_make_is_refused() {
    let menu = |settings: &str, keys: &str| {
        messages(&format!(
            "{HEAD}[menu.m]\nprompt = \"p.wav\"\non_fail = \"hangup\"\n{settings}\n[menu.m.press]\n\
             \"{keys}\" = \"hangup\"\n"
        ))
    };
    for (settings, keys, why) in [
        ("terminator = \"#\"", "12#", "`terminator` = \"#\" ends what is collected"),
        ("terminator = \"#\"", "#", "`terminator` = \"#\" ends what is collected"),
        ("max_digits = 2", "123", "`max_digits` = 2 ends what is collected before its last key"),
    ] {
        let found = menu(settings, keys);
        let expected = format!("{keys:?} can never be chosen: {why}");
        assert!(found.iter().any(|f| f.contains(&expected)), "{settings} {keys}: {found:#?}");
    }
    for (settings, keys) in [
        ("terminator = \"#\"", "12"),
        ("max_digits = 2", "12"),
        ("max_digits = 2", "1"),
        ("", "12#"),
    ] {
        let found = menu(settings, keys);
        assert!(found.iter().all(|f| !f.contains("can never be chosen")), "{found:#?}");
    }
}

#[test]
fn menus_without_a_way_out_are_refused() {
    let menu = |name: &str, on_fail: &str| {
        format!(
            "[menu.{name}]\nprompt = \"p.wav\"\non_fail = \"{on_fail}\"\n\
             [menu.{name}.press]\n\"1\" = \"hangup\"\n"
        )
    };
    let found = one(&menu("a", "menu:a"));
    assert!(found.contains("[menu.a] has no way out"), "{found}");
    let text = format!("{HEAD}{}{}", menu("a", "menu:b"), menu("b", "menu:a"));
    assert_eq!(messages(&text).len(), 2);
    let text = format!("{HEAD}{}{}", menu("a", "menu:b"), menu("b", "hangup"));
    assert_eq!(messages(&text), [""; 0]);
}

#[test]
fn rules_that_can_never_match_are_refused() {
    let two = |first: &str, second: &str| {
        format!(
            "{HEAD}[caller_id.c]\nnumber = \"+4930123456\"\n[group.g]\nusers = [\"alice\"]\n\
             caller_id = \"c\"\n[schedule.s]\nopen = \"mon-fri 08:00-18:00\"\n[schedule.t]\n\
             open = \"tue 09:00-10:00\"\n[[outbound]]\nname = \"first\"\n{first}\n\
             [[outbound]]\nname = \"second\"\n{second}\n"
        )
    };
    let deny = "deny = \"x\"";
    let route = "route = \"north\"";
    for (first, second, shadowed) in [
        (format!("to = \"+49.\"\n{deny}"), format!("to = \"+4930.\"\n{deny}"), true),
        (format!("to = \"+4930.\"\n{deny}"), format!("to = \"+49.\"\n{deny}"), false),
        (
            format!("to = [\"+49[0-4].\", \"+49[5-9].\"]\n{deny}"),
            format!("to = \"+49XX\"\n{deny}"),
            true,
        ),
        (format!("region = \"DE\"\n{deny}"), format!("region = \"DE\"\n{route}"), true),
        // A route without `type` lets no premium number pass, so one that names them is reached.
        (
            format!("region = \"DE\"\n{route}"),
            format!("region = \"DE\"\ntype = \"premium-rate\"\n{deny}"),
            false,
        ),
        (
            format!("region = \"any\"\n{deny}"),
            format!("region = \"DE\"\ntype = \"premium-rate\"\n{route}"),
            true,
        ),
        // Satellite networks pass only where they are named.
        (format!("region = \"any\"\n{route}"), format!("region = \"001\"\n{deny}"), false),
        // Short codes are no numbers, whatever the region.
        (format!("region = \"any\"\n{deny}"), format!("to = \"60X\"\n{route}"), false),
        (format!("to = \"6X.\"\n{deny}"), format!("to = \"60X\"\n{route}"), true),
        (
            format!("region = \"DE\"\nwhen = \"s\"\n{deny}"),
            format!("region = \"DE\"\nwhen = \"t\"\n{route}"),
            true,
        ),
        (
            format!("region = \"DE\"\nwhen = \"t\"\n{route}"),
            format!("region = \"DE\"\nwhen = \"s\"\n{deny}"),
            false,
        ),
        (
            format!("region = \"DE\"\ngroup = \"g\"\n{deny}"),
            format!("region = \"DE\"\nuser = \"alice\"\n{route}"),
            true,
        ),
        (
            format!("region = \"DE\"\ngroup = \"g\"\n{deny}"),
            format!("region = \"DE\"\n{route}"),
            false,
        ),
    ] {
        let found = messages(&two(&first, &second));
        let expected = "rule \"second\" can never match: \"first\" in line";
        let seen = found.iter().any(|f| f.contains(expected));
        assert_eq!(seen, shadowed, "{first}\n--\n{second}\n{found:#?}");
    }
}

#[test]
fn a_plan_whose_tests_fail_is_refused() {
    let found =
        one("[[test]]\nname = \"t\"\ndial = { from = \"alice\", number = \"030123456\" }\n\
                     expect = { rule = \"national\" }\n");
    assert!(
        found.ends_with("error: test \"t\": expected rule \"national\", found none"),
        "{found}"
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = messages(&text);
    }

    /// Cuts and overwrites a real plan, which reaches further than noise does.
    #[test]
    fn no_damaged_plan_panics(at in 0usize..6_000, length in 0usize..40, junk in "[\\[\\]\"=,a-z0-9 .{}]{0,8}") {
        let plan = include_str!("../../../dialplans/office.toml");
        let at = at.min(plan.len());
        let end = (at + length).min(plan.len());
        if plan.is_char_boundary(at) && plan.is_char_boundary(end) {
            let damaged = format!("{}{junk}{}", &plan[..at], &plan[end..]);
            let _ = load(&damaged, "p", &Known::default(), &NoFiles);
        }
    }
}
