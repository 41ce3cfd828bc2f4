//! Every plan of `dialplans/`: it loads without a finding, its tests pass, every rule is tested; and
//! the commands answer with the exit codes of the documentation.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crosspoint::config::{self, Against, Format, Question, check_plans, explain_plan, test_plans};

static NO_VARIABLES: BTreeMap<String, String> = BTreeMap::new();
const ALONE: Against<'_> = Against { config: None, variables: &NO_VARIABLES };

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dialplans")
}

fn plans() -> Vec<PathBuf> {
    let mut plans: Vec<PathBuf> = fs::read_dir(directory())
        .expect("dialplans/ is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    plans.sort();
    plans
}

#[test]
fn every_plan_is_fine_and_every_rule_is_tested() {
    let plans = plans();
    assert!(plans.len() >= 6, "{plans:?}");
    for plan in &plans {
        let report = test_plans(&[plan], ALONE, Format::Text, Some(100));
        assert_eq!(report.exit, 0, "{}", report.text);
        assert!(report.text.ends_with(" 0 failed\n"), "{}", report.text);
        assert!(report.text.contains("rules reached (100 %)\n"), "{}", report.text);
        let report = check_plans(&[plan], ALONE, Format::Text);
        assert_eq!(report.exit, 0, "{}", report.text);
        assert!(!report.text.contains("warning"), "{}", report.text);
    }
    let paths: Vec<&Path> = plans.iter().map(PathBuf::as_path).collect();
    let report = check_plans(&paths, ALONE, Format::Json);
    let list: Vec<serde_json::Value> = serde_json::from_str(&report.text).expect("one document");
    assert_eq!(list.len(), plans.len());
    assert!(list.iter().all(|one| one["ok"] == true));
}

#[test]
fn explain_prints_the_example_of_the_documentation() {
    let question = Question::Outbound {
        from: "dave".to_owned(),
        number: "+1 876 555 1234".to_owned(),
        country: None,
        caller_id: None,
    };
    let office = directory().join("office.toml");
    let at = Some("2026-11-22T10:00");
    let now = jiff::Timestamp::UNIX_EPOCH;
    let report = explain_plan(&office, &question, at, now, ALONE, Format::Text);
    let lines = [
        "  +1 876 555 1234 + country DE -> +18765551234 region JM type mobile",
        "  skip  \"no premium or shared-cost\": type mobile not in [\"premium-rate\", \"shared-cost\"]",
        "  skip  \"satellite and other world codes\": region JM not in [\"001\"]",
        "  skip  \"one customer's short range\": +18765551234 does not match +49301234XX at digit 1",
        "  skip  \"national\": region JM not in [\"DE\"]",
        "  skip  \"neighbours, cheapest first\": region JM not in [\"AT\", \"CH\", \"FR\", \"GB\", \"NL\", \"PL\"]",
        "  skip  \"sales may call the US in office hours\": region JM not in [\"US\", \"CA\"]",
        "  => deny \"no rule allows this\"",
    ];
    assert_eq!(report.text.lines().collect::<Vec<_>>(), lines);
    assert_eq!(report.exit, 0);
    let report = explain_plan(&office, &question, Some("noon"), now, ALONE, Format::Text);
    assert_eq!(report.exit, 2, "{}", report.text);
}

#[test]
fn exit_codes_tell_findings_from_files_that_cannot_be_read() {
    let nowhere = Path::new("/nowhere/plan.toml");
    let report = check_plans(&[nowhere], ALONE, Format::Text);
    assert_eq!((report.exit, report.text.lines().count()), (2, 1), "{}", report.text);

    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dialplans");
    fs::create_dir_all(&scratch).expect("writable");
    let broken = scratch.join("broken.toml");
    fs::write(&broken, "version = 1\n[[outbound]]\nname = \"a\"\n").expect("writable");
    let report = check_plans(&[&broken], ALONE, Format::Text);
    assert_eq!(report.exit, 1);
    assert!(report.text.contains("broken.toml:2:1: error: [[outbound]] needs"), "{}", report.text);

    // Against a configuration, the names must be its own, and sounds must be there.
    let file = scratch.join("crosspoint.toml");
    let plan = directory().join("office.toml");
    let text = format!("dialplan = {:?}\n[trunk.nroth]\ntarget = \"sip:127.0.0.1\"\n", plan);
    fs::write(&file, text).expect("writable");
    let report = config::check(&file, &NO_VARIABLES, Format::Text);
    assert_eq!(report.exit, 1);
    for expected in [
        "there is no trunk \"north\"; did you mean \"nroth\"?",
        "there is no user \"alice\"",
        "there is no file \"prompts/night.wav\"",
    ] {
        assert!(report.text.contains(expected), "{expected}\n{}", report.text);
    }
}

#[test]
fn explain_takes_what_a_call_may_bring_and_refuses_what_is_not_there() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dialplans-explain");
    fs::create_dir_all(&scratch).expect("writable");
    let plan = scratch.join("plan.toml");
    // Its own test fails, and it is explained all the same.
    let text = "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
                timezone = \"UTC\"\n[caller_id.a]\nnumber = \"+493012345670\"\n[caller_id.b]\n\
                number = \"+493012345671\"\n[group.g]\nusers = \"x\"\ncaller_id = [\"a\", \"b\"]\n\
                [[outbound]]\nname = \"de\"\nregion = \"DE\"\nroute = \"n\"\n[[inbound]]\nname = \"in\"\n\
                did = \"+493012345670\"\ntrunk = \"n\"\nflow = \"hangup\"\n[[test]]\n\
                dial = { from = \"x\", number = \"030 1234567\" }\nexpect = { rule = \"fr\" }\n";
    fs::write(&plan, text).expect("writable");
    let ask = |question: &Question, against| {
        explain_plan(&plan, question, None, jiff::Timestamp::UNIX_EPOCH, against, Format::Text)
    };
    let outbound = |number: &str, country: Option<&str>, caller_id: Option<&str>| {
        let (from, number) = ("x".to_owned(), number.to_owned());
        let (country, caller_id) = (country.map(str::to_owned), caller_id.map(str::to_owned));
        ask(&Question::Outbound { from, number, country, caller_id }, ALONE)
    };
    let report = outbound("030 1234567", None, Some("b"));
    assert!(report.text.ends_with("caller_id +493012345671\n"), "{}", report.text);
    let report = outbound("01 23 45 67 89", Some("FR"), None);
    assert!(report.text.contains("-> +33123456789 region FR"), "{}", report.text);
    let report = outbound("1", Some("fr"), None);
    assert_eq!(report.exit, 2);
    assert!(report.text.contains("did you mean FR?"), "{}", report.text);
    let inbound = |trunk: &str, against| {
        let (did, trunk) = ("+493012345670".to_owned(), Some(trunk.to_owned()));
        ask(&Question::Inbound { did, from: None, trunk }, against)
    };
    assert!(inbound("n", ALONE).text.ends_with("=> hangup\n"));
    assert!(inbound("other", ALONE).text.contains("came by another trunk than [\"n\"]"));
    let file = scratch.join("crosspoint.toml");
    let config = "dialplan = \"plan.toml\"\n[trunk.n]\ntarget = \"sip:127.0.0.1\"\n[user.x]\n";
    fs::write(&file, config).expect("writable");
    let against = Against { config: Some(&file), variables: &NO_VARIABLES };
    assert_eq!(inbound("n", against).exit, 0);
    let report = inbound("m", against);
    assert_eq!(report.exit, 2);
    assert!(report.text.contains("there is no trunk \"m\""), "{}", report.text);
    let cdrs = scratch.join("cdrs.jsonl");
    fs::write(&cdrs, "").expect("writable");
    assert_eq!(config::diff_plans(&plan, &plan, &cdrs, ALONE, Format::Text).exit, 0);
}
