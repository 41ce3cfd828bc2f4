//! Results for machines and terminals: JUnit XML, TAP, JSON, a line a case. No key that is secret is
//! in any of them: results hold none.

use std::fmt::Write;

use serde_json::{Value, json};

use super::result::{CaseResult, Outcome};

/// JUnit XML: scenario by variant is a test case. `sound` gives the WAV file of a case by its place, where
/// one is kept: it is attached in the way that GitLab and Jenkins read.
pub fn junit(results: &[CaseResult], sound: &dyn Fn(usize) -> Option<String>) -> String {
    let failures = results.iter().filter(|r| matches!(r.outcome, Outcome::Failed(_))).count();
    let errors = results.iter().filter(|r| matches!(r.outcome, Outcome::Error(_))).count();
    let time: f64 = results.iter().map(|r| r.call.as_secs_f64()).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuites tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{time:.3}\">",
        results.len()
    );
    let _ = writeln!(
        xml,
        "  <testsuite name=\"crosspoint ivr\" tests=\"{}\" failures=\"{failures}\" \
         errors=\"{errors}\" time=\"{time:.3}\">",
        results.len()
    );
    for (number, result) in results.iter().enumerate() {
        let _ = writeln!(
            xml,
            "    <testcase name=\"{}\" classname=\"{}\" time=\"{:.3}\">",
            escape(&result.title()),
            escape(&result.file),
            result.call.as_secs_f64()
        );
        match &result.outcome {
            Outcome::Passed => {}
            Outcome::Failed(words) => {
                let words = escape(words);
                let _ = writeln!(xml, "      <failure message=\"{words}\">{words}</failure>");
            }
            Outcome::Error(words) => {
                let words = escape(words);
                let _ = writeln!(xml, "      <error message=\"{words}\">{words}</error>");
            }
        }
        let mut out = String::new();
        for line in trace(result) {
            let _ = writeln!(out, "{}", escape(&line));
        }
        if let Some(file) = sound(number) {
            let _ = writeln!(out, "[[ATTACHMENT|{}]]", escape(&file));
        }
        let _ = writeln!(xml, "      <system-out>{out}</system-out>\n    </testcase>");
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// TAP version 14.
pub fn tap(results: &[CaseResult]) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", results.len());
    for (number, result) in results.iter().enumerate() {
        let ok = if result.passed() { "ok" } else { "not ok" };
        let title = result.title().replace('#', "\\#");
        let _ = writeln!(text, "{ok} {} - {title}", number + 1);
        if let Some(words) = result.words() {
            let words = words.replace('"', "'");
            let (file, call) = (&result.file, result.call.as_millis());
            let _ = writeln!(
                text,
                "  ---\n  message: \"{words}\"\n  file: \"{file}\"\n  call_ms: {call}\n  ..."
            );
        }
    }
    text
}

/// JSON, additive.
pub fn json(results: &[CaseResult]) -> Value {
    let cases: Vec<Value> = results.iter().map(case_json).collect();
    let passed = results.iter().filter(|result| result.passed()).count();
    json!({"version": 1, "passed": passed, "failed": results.len() - passed, "cases": cases})
}

fn case_json(result: &CaseResult) -> Value {
    let ms = |duration: std::time::Duration| duration.as_millis() as u64;
    let outcome = match &result.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed(_) => "failed",
        Outcome::Error(_) => "error",
    };
    let steps: Vec<Value> = result
        .steps
        .iter()
        .map(|step| {
            json!({
                "name": step.name, "line": step.line, "start_ms": ms(step.start),
                "end_ms": ms(step.end), "failure": step.failure, "notes": step.notes,
            })
        })
        .collect();
    let spans: Vec<Value> = result
        .spans
        .iter()
        .map(|span| {
            json!({
                "file": span.file, "start_ms": ms(span.start), "end_ms": ms(span.end),
                "match": span.whole, "window": span.window, "expected": span.expected,
            })
        })
        .collect();
    let messages: Vec<Value> = result
        .ladder
        .iter()
        .map(|m| json!({"at_ms": ms(m.at), "sent": m.by == super::By::Local, "text": m.text}))
        .collect();
    json!({
        "file": result.file, "name": result.name, "variant": result.variant, "via": result.via,
        "target": result.target, "outcome": outcome, "message": result.words(),
        "call_ms": ms(result.call), "retries": result.retries, "steps": steps, "prompts": spans,
        "messages": messages,
    })
}

/// One line for a terminal.
pub fn line(result: &CaseResult) -> String {
    let mark = match &result.outcome {
        Outcome::Passed => "ok    ",
        Outcome::Failed(_) => "FAILED",
        Outcome::Error(_) => "ERROR ",
    };
    let again = match result.retries {
        0 => String::new(),
        1 => ", tried twice".to_owned(),
        n => format!(", tried {} times", n + 1),
    };
    let seconds = result.call.as_secs_f64();
    let mut line = format!("{mark} {} ({}, {seconds:.1} s{again})", result.title(), result.via);
    if let Some(words) = result.words() {
        let _ = write!(line, "\n       {words}");
    }
    line
}

/// What happened, a line each, by time.
pub(super) fn trace(result: &CaseResult) -> Vec<String> {
    let mut all: Vec<(u128, String)> = Vec::new();
    for message in &result.ladder {
        let way = if message.by == super::By::Local { "-->" } else { "<--" };
        all.push((message.at.as_millis(), format!("{way} {}", message.text)));
    }
    for press in &result.presses {
        all.push((press.at.as_millis(), format!("key {}", press.shown)));
    }
    for span in &result.spans {
        let words = format!("heard {} ({:.2}, {:.2})", span.file, span.whole, span.window);
        all.push((span.start.as_millis(), words));
    }
    for step in &result.steps {
        let end = step.failure.as_ref().map_or("passed".to_owned(), |f| format!("FAILED: {f}"));
        let notes = step.notes.join("; ");
        let words = format!("step \"{}\" {end} {notes}", step.name);
        all.push((step.end.as_millis(), words.trim().to_owned()));
    }
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(at, words)| format!("{:>7.2} s  {words}", at as f64 / 1000.0)).collect()
}

/// For XML and HTML: control characters are not allowed in either.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}
