//! What `crosspoint dialplan check|explain|test` print: a text or JSON, and the exit code.

use serde_json::json;

use super::decision::{Decision, InboundRequest, OutboundRequest, Outcome};
use super::load::{Files, Known, has_errors, load_untested};
use super::plan::{DigitLog, Plan, Recording};
use super::test_case;
use crate::base::Finding;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For test runners that read JUnit XML; only `test` differs from text.
    Junit,
}

/// What a command prints, and its exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What goes to standard output, ending in a line break unless empty.
    pub text: String,
    /// 0 fine, 1 findings, 2 unusable.
    pub exit: u8,
}

/// `crosspoint dialplan check FILE`: loads a plan and runs its tests.
pub fn check(text: &str, file: &str, known: &Known, files: &dyn Files, format: Format) -> Report {
    let (findings, plan) = match load_untested(text, file, known, files) {
        Ok(plan) => {
            let results = test_case::run(&plan);
            let mut all = test_case::failures(&results);
            all.extend(plan.warnings.iter().cloned());
            all.extend(test_case::uncovered(&plan, &results));
            (all, Some(plan))
        }
        Err(findings) => (findings, None),
    };
    let exit = exit(&findings);
    let text = match format {
        Format::Json => line(&json!({
            "file": file,
            "ok": exit == 0,
            "findings": findings,
        })),
        Format::Text | Format::Junit => {
            let mut text: String = findings.iter().map(|f| format!("{f}\n")).collect();
            if let Some(plan) = plan.filter(|_| !has_errors(&findings)) {
                text += &format!(
                    "{file}: fine, {} outbound and {} inbound rules, {} tests passed\n",
                    plan.outbound.len(),
                    plan.inbound.len(),
                    plan.tests.len()
                );
            }
            text
        }
    };
    Report { text, exit }
}

/// `crosspoint dialplan test FILE`: every test with its result; a failed one with its trace. Exit 1,
/// too, where the tests reach less than `least` percent of the rules.
pub fn test(
    text: &str,
    file: &str,
    known: &Known,
    files: &dyn Files,
    format: Format,
    least: Option<u8>,
) -> Report {
    let plan = match load_untested(text, file, known, files) {
        Ok(plan) => plan,
        Err(findings) => return unreadable(file, &findings, format),
    };
    let results = test_case::run(&plan);
    let failed = results.iter().filter(|result| !result.passed()).count();
    let uncovered = test_case::uncovered(&plan, &results);
    let (reached, rules) = test_case::coverage(&plan, &results);
    // Rounded down: 100 is all of them.
    let percent = (reached * 100).checked_div(rules).unwrap_or(100);
    let too_few = least
        .filter(|least| percent < usize::from(*least))
        .map(|least| format!("the tests reach {percent} % of the rules, less than {least} %"));
    let exit = u8::from(failed > 0 || too_few.is_some());
    let text = match format {
        Format::Json => line(&json!({
            "file": file,
            "ok": exit == 0,
            "passed": results.len() - failed,
            "failed": failed,
            "rules": rules,
            "reached": reached,
            "coverage_percent": percent,
            "tests": results,
            "uncovered": uncovered,
        })),
        Format::Junit => junit(file, &results, too_few.as_deref()),
        Format::Text => {
            let mut text = String::new();
            for result in &results {
                let word = if result.passed() { "ok  " } else { "FAIL" };
                text += &format!("{word}  {}\n", result.name);
                if !result.passed() {
                    result.failures.iter().for_each(|f| text += &format!("      {f}\n"));
                    result.trace.iter().for_each(|l| text += &format!("        {l}\n"));
                }
            }
            uncovered.iter().for_each(|warning| text += &format!("{warning}\n"));
            text += &format!("{file}: {reached} of {rules} rules reached ({percent} %)\n");
            if let Some(words) = too_few {
                text += &format!("{file}: error: {words}\n");
            }
            text + &format!("{file}: {} passed, {failed} failed\n", results.len() - failed)
        }
    };
    Report { text, exit }
}

/// The plan's tests that fail, as errors.
pub fn failing_tests(plan: &Plan) -> Vec<Finding> {
    test_case::failures(&test_case::run(plan))
}

/// `crosspoint dialplan explain FILE --from USER NUMBER`. Exit 0 whatever the decision is.
pub fn explain_outbound(plan: &Plan, request: &OutboundRequest, format: Format) -> Report {
    explained(plan, &plan.evaluate_outbound(request), format)
}

/// `crosspoint dialplan explain FILE --did NUMBER`.
pub fn explain_inbound(plan: &Plan, request: &InboundRequest, format: Format) -> Report {
    explained(plan, &plan.evaluate_inbound(request), format)
}

fn explained(plan: &Plan, decision: &Decision, format: Format) -> Report {
    let trace = plan.explain(decision);
    let text = match format {
        Format::Json => line(&decision_json(decision, &trace)),
        _ => trace.iter().map(|line| format!("  {line}\n")).collect(),
    };
    Report { text, exit: 0 }
}

/// A decision and its trace for programs.
pub fn decision_json(decision: &Decision, trace: &[String]) -> serde_json::Value {
    let mut value = json!({ "rule": decision.rule(), "trace": trace });
    if let Some(number) = decision.number() {
        value["number"] = json!(number);
    }
    if decision.recording == Recording::On {
        value["recorded"] = json!(true);
    }
    match &decision.outcome {
        Outcome::Refuse(refusal) => {
            value["outcome"] = json!("deny");
            value["deny"] = json!(refusal.words);
            value["cause"] = json!(refusal.cause);
            value["status"] = json!(refusal.cause.sip().status);
        }
        Outcome::Flow(flow) => {
            value["outcome"] = json!("flow");
            value["flow"] = json!(flow);
        }
        Outcome::Dial(call) => {
            value["outcome"] = json!("route");
            value["to"] = json!(call.to.as_str());
            value["route"] = json!(call.route);
            value["caller_id"] = json!(call.caller_id);
            value["dtmf"] = json!(call.dtmf);
            if let Some(law) = call.codec {
                value["codec"] = json!(law.word());
            }
            if call.digits == DigitLog::Named {
                value["log_digits"] = json!(true);
            }
            value["max_call_ms"] = json!(u64::try_from(call.max_call.as_millis()).ok());
            value["emergency"] = json!(call.emergency);
        }
    }
    value
}

fn unreadable(file: &str, findings: &[Finding], format: Format) -> Report {
    let text = match format {
        Format::Json => line(&json!({ "file": file, "ok": false, "findings": findings })),
        _ => findings.iter().map(|finding| format!("{finding}\n")).collect(),
    };
    Report { text, exit: 1 }
}

fn exit(findings: &[Finding]) -> u8 {
    u8::from(has_errors(findings))
}

fn line(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

fn junit(file: &str, results: &[test_case::TestResult], too_few: Option<&str>) -> String {
    let failed = results.iter().filter(|r| !r.passed()).count() + too_few.iter().count();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml += &format!(
        "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\">\n",
        escape(file),
        results.len() + too_few.iter().count()
    );
    for result in results {
        let (name, line) = (escape(&result.name), result.line);
        xml += &format!("  <testcase name=\"{name}\" file=\"{}\" line=\"{line}\"", escape(file));
        if result.passed() {
            xml += "/>\n";
            continue;
        }
        let message = escape(&result.failures.join("; "));
        let trace = escape(&result.trace.join("\n"));
        xml += &format!(">\n    <failure message=\"{message}\">{trace}</failure>\n  </testcase>\n");
    }
    if let Some(words) = too_few {
        xml += &format!(
            "  <testcase name=\"coverage\" file=\"{}\">\n    <failure message=\"{}\"/>\n  \
             </testcase>\n",
            escape(file),
            escape(words)
        );
    }
    xml + "</testsuite>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
