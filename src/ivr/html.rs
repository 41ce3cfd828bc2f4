//! The report for people: one HTML file without anything from elsewhere. A picture a case: both lanes of
//! sound, keys as bars, recognised recordings with their scores, the windows in which something was
//! expected, the failed step in red, the messages below, and the sound itself.

use std::fmt::Write;
use std::io::Cursor;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::ear::stem;
use super::report::escape;
use super::result::{CaseResult, Span};
use super::scenario::By;

/// The whole report. `made_at` is shown as it is.
pub fn html(results: &[CaseResult], made_at: &str) -> String {
    let failed = results.iter().filter(|result| !result.passed()).count();
    let mut page = String::from(HEAD);
    let _ = writeln!(
        page,
        "<h1>crosspoint ivr</h1><p class=sum><b class=ok>{} passed</b> <b class={}>{failed} \
         failed</b> <span>{}</span></p><table class=all><tr><th>Scenario<th>Via<th>Call<th>Result</tr>",
        results.len() - failed,
        if failed > 0 { "bad" } else { "ok" },
        escape(made_at)
    );
    for (number, result) in results.iter().enumerate() {
        let _ = writeln!(
            page,
            "<tr><td class=n><a href=\"#c{number}\">{}</a><td>{}<td class=n>{:.1} s<td class={}>{}</tr>",
            escape(&result.title()),
            result.via,
            result.call.as_secs_f64(),
            if result.passed() { "ok" } else { "bad" },
            escape(result.words().unwrap_or("passed"))
        );
    }
    page.push_str("</table>\n");
    for (number, result) in results.iter().enumerate() {
        case(&mut page, number, result);
    }
    page.push_str(TAIL);
    page
}

fn case(page: &mut String, number: usize, result: &CaseResult) {
    let class = if result.passed() { "ok" } else { "bad" };
    let _ = writeln!(
        page,
        "<section id=c{number} class={class}><h2>{}</h2><p class=meta>{} &middot; via {} to {} \
         &middot; {:.1} s{}</p>",
        escape(&result.title()),
        escape(&result.file),
        result.via,
        escape(&result.target),
        result.call.as_secs_f64(),
        match result.retries {
            0 => String::new(),
            n => format!(" &middot; {} attempts", n + 1),
        }
    );
    if let Some(words) = result.words() {
        let _ = writeln!(page, "<p class=why>{}</p>", escape(words));
    }
    picture(page, result);
    if result.keeps_sound()
        && let Some(wav) = wav(result)
    {
        let _ = writeln!(
            page,
            "<audio controls preload=none src=\"data:audio/wav;base64,{}\"></audio> <small>left: \
             sent, right: heard</small>",
            STANDARD.encode(wav)
        );
    }
    steps(page, result);
    ladder(page, result);
    page.push_str("</section>\n");
}

/// Both lanes over one axis of time.
fn picture(page: &mut String, result: &CaseResult) {
    let length = result.call.as_secs_f64().max(1.0);
    let x = |at: Duration| LEFT + at.as_secs_f64() / length * WIDTH;
    let (names, rows) = names(result, &x);
    let axis = NAMES + rows as f64 * NAME_HEIGHT;
    let _ = writeln!(
        page,
        "<svg viewBox=\"0 0 {} {:.0}\" role=img aria-label=\"sound of the call\">",
        LEFT + WIDTH + 10.0,
        axis + 18.0
    );
    for step in &result.steps {
        let (from, to) = (x(step.start), x(step.end));
        let class = if step.failure.is_some() { "fail" } else { "step" };
        let _ = writeln!(
            page,
            "<rect class={class} x={from:.1} y=14 width={:.1} height={:.0}><title>{}</title></rect>\
             <text class=name x={:.1} y=11>{}</text>",
            (to - from).max(1.0),
            axis - 14.0,
            escape(&step.name),
            from + 2.0,
            escape(&short(&step.name, ((to - from) / 5.0) as usize))
        );
        for (a, b) in &step.windows {
            let (a, b) = (x(*a), x((*b).min(result.call)));
            let width = (b - a).max(1.0);
            let _ = writeln!(
                page,
                "<rect class=window x={a:.1} y={:.0} width={width:.1} height=4 />",
                axis - 4.0
            );
        }
    }
    lane(page, &result.sent, "sent", 60.0, length);
    lane(page, &result.heard, "heard", 150.0, length);
    for press in &result.presses {
        let width = (x(press.at + press.length) - x(press.at)).max(2.0);
        let _ = writeln!(
            page,
            "<rect class=key x={:.1} y=26 width={width:.1} height=68 /><text class=digit x={:.1} \
             y=24>{}</text>",
            x(press.at),
            x(press.at),
            escape(&press.shown.to_string())
        );
    }
    spans(page, result, &names, &x);
    let every = if length > 60.0 {
        10.0
    } else if length > 20.0 {
        5.0
    } else {
        1.0
    };
    let mut at = 0.0;
    while at <= length {
        let place = LEFT + at / length * WIDTH;
        let _ = writeln!(
            page,
            "<line class=tick x1={place:.1} y1={axis:.0} x2={place:.1} y2={:.0} /><text class=time \
             x={place:.1} y={:.0}>{at:.0} s</text>",
            axis + 4.0,
            axis + 14.0
        );
        at += every;
    }
    page.push_str("</svg>\n");
    page.push_str(LEGEND);
}

/// Where the name of each recognised recording stands, below the lower lane: its left edge and its row,
/// one under the other where there is no room side by side; and the number of rows.
fn names(result: &CaseResult, x: &dyn Fn(Duration) -> f64) -> (Vec<(f64, usize)>, usize) {
    let mut ends: Vec<f64> = vec![LEFT; FEWEST_ROWS];
    let mut places = Vec::new();
    for span in &result.spans {
        let width = name(span).chars().count() as f64 * 4.6;
        let begin = x(span.start).min(LEFT + WIDTH - width).max(LEFT);
        let row = ends.iter().position(|end| *end <= begin).unwrap_or_else(|| {
            if ends.len() < MOST_ROWS {
                ends.push(LEFT);
                return ends.len() - 1;
            }
            (0..ends.len()).min_by(|a, b| ends[*a].total_cmp(&ends[*b])).unwrap_or(0)
        });
        ends[row] = begin + width + 4.0;
        places.push((begin, row));
    }
    (places, ends.len())
}

fn name(span: &Span) -> String {
    format!("{} {:.2} / {:.2}", stem(&span.file), span.whole, span.window)
}

/// The recordings that were recognised, over the lower lane.
fn spans(
    page: &mut String,
    result: &CaseResult,
    names: &[(f64, usize)],
    x: &dyn Fn(Duration) -> f64,
) {
    for (span, (begin, row)) in result.spans.iter().zip(names) {
        let class = if span.expected { "span" } else { "other" };
        let (from, to) = (x(span.start), x(span.end));
        let y = NAMES - 8.0 + *row as f64 * NAME_HEIGHT;
        let _ = writeln!(
            page,
            "<rect class={class} x={from:.1} y=106 width={:.1} height=88><title>{}: {:.2} as a whole, \
             {:.2} in its worst 0.6 s</title></rect><line class=lead x1={from:.1} y1=194 \
             x2={from:.1} y2={:.1} /><text class=file x={begin:.1} y={y:.1}>{}</text>",
            to - from,
            escape(stem(&span.file)),
            span.whole,
            span.window,
            y - 7.0,
            escape(&name(span))
        );
    }
}

/// One lane: the largest and smallest sample of each column.
fn lane(page: &mut String, pcm: &[i16], name: &str, middle: f64, length: f64) {
    let _ =
        write!(page, "<text class=lane x=2 y={:.0}>{name}</text><path class={name} d=\"", middle);
    // The loudest sample fills the lane; what is quieter than -30 dB of full scale stays small.
    let peak = pcm.iter().map(|sample| f64::from(*sample).abs()).fold(1036.0, f64::max);
    let columns = WIDTH as usize;
    let each = length * 8000.0 / columns as f64;
    for column in 0..columns {
        let from = (column as f64 * each) as usize;
        let to = (((column + 1) as f64 * each) as usize).min(pcm.len());
        let Some(part) = pcm.get(from..to).filter(|part| !part.is_empty()) else { continue };
        let high = part.iter().copied().max().unwrap_or(0);
        let low = part.iter().copied().min().unwrap_or(0);
        let y = |sample: i16| middle - f64::from(sample) / peak * 42.0;
        let x = LEFT + column as f64;
        let _ = write!(page, "M{x:.0} {:.1}V{:.1}", y(high) - 0.3, y(low) + 0.3);
    }
    page.push_str("\" />\n");
}

fn steps(page: &mut String, result: &CaseResult) {
    page.push_str("<ol>");
    for step in &result.steps {
        let class = if step.failure.is_some() { "bad" } else { "ok" };
        let notes = escape(&step.notes.join("; "));
        let failure = step.failure.as_deref().map(escape).unwrap_or_default();
        let _ = writeln!(
            page,
            "<li class={class}><b>{}</b> <small>line {}, {:.2} s to {:.2} s</small> {notes} \
             <em>{failure}</em></li>",
            escape(&step.name),
            step.line,
            step.start.as_secs_f64(),
            step.end.as_secs_f64()
        );
    }
    page.push_str("</ol>\n");
}

/// The messages between the test and the far side.
fn ladder(page: &mut String, result: &CaseResult) {
    if result.ladder.is_empty() {
        return;
    }
    let height = 30 + 18 * result.ladder.len();
    let _ = writeln!(
        page,
        "<details{}><summary>Messages</summary><svg class=ladder viewBox=\"0 0 700 {height}\">\
         <text x=90 y=14>test</text><text x=560 y=14>far side</text>\
         <line x1=110 y1=20 x2=110 y2={height} /><line x1=590 y1=20 x2=590 y2={height} />",
        if result.passed() { "" } else { " open" }
    );
    for (index, message) in result.ladder.iter().enumerate() {
        let y = 34 + 18 * index;
        let (from, to) = if message.by == By::Local { (112, 586) } else { (588, 114) };
        let _ = writeln!(
            page,
            "<text class=at x=4 y={}>{:.2} s</text><line class=msg x1={from} y1={y} x2={to} y2={y} \
             marker-end=\"url(#tip)\" /><text class=msgt x=350 y={}>{}</text>",
            y + 4,
            message.at.as_secs_f64(),
            y - 3,
            escape(&message.text)
        );
    }
    page.push_str("</svg></details>\n");
}

/// Stereo, 8 kHz: left what was sent, right what was heard.
pub fn wav(result: &CaseResult) -> Option<Vec<u8>> {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).ok()?;
    for i in 0..result.heard.len().max(result.sent.len()) {
        for lane in [&result.sent, &result.heard] {
            writer.write_sample(lane.get(i).copied().unwrap_or(0)).ok()?;
        }
    }
    writer.finalize().ok()?;
    Some(file.into_inner())
}

fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

const LEFT: f64 = 44.0;
const WIDTH: f64 = 900.0;
/// Rows for the names of recordings; more than the most of them would be read by nobody.
const FEWEST_ROWS: usize = 2;
const MOST_ROWS: usize = 12;
const NAME_HEIGHT: f64 = 10.0;
/// Where the axis of time would be without names.
const NAMES: f64 = 214.0;

const LEGEND: &str = "<p class=legend><i class=lk></i>key <i class=ls></i>recognised recording, its \
likeness as a whole / in its worst 0.6 s <i class=lo></i>another one <i class=lw></i>in which it must \
have begun <i class=lf></i>the step that failed</p>\n";

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>crosspoint ivr</title>\
<meta name=viewport content=\"width=device-width\"><style>\
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2430;--soft:#667;--rule:#dde;--ok:#176b2c;\
--okbar:#2e9e4f;--bad:#b3261e;--badbar:#d33a2f;--whybg:#fdeceb;--why:#8c1d18;--label:#445;--digit:#8a4b00;\
--file:#1b5e8c;--sent:#8a6d3b;--heard:#2f6f9f;--step:#f5f7fa;--even:#eef1f6;--fail:#fbd9d6;--tick:#99a;\
--window:#e0a800;--key:#f0a03066;--span:#2e9e4f33;--other:#d33a2f33;--link:#1b5e8c}\
@media (prefers-color-scheme:dark){:root{--paper:#14181f;--ink:#e3e8ef;--soft:#98a3b3;--rule:#2c3440;\
--ok:#6fcf8a;--okbar:#2e9e4f;--bad:#ff8f85;--badbar:#e5594f;--whybg:#3a1d1c;--why:#ffb4ac;--label:#b4bfcd;\
--digit:#ffbe73;--file:#7fc1f0;--sent:#d0ad72;--heard:#6db3e2;--step:#1b212a;--even:#20272f;--fail:#47201f;\
--tick:#657083;--window:#c99a10;--key:#f0a03066;--span:#2e9e4f55;--other:#e5594f55;--link:#7fc1f0}}\
body{font:14px/1.45 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:var(--ink);\
background:var(--paper)}a{color:var(--link)}\
h1{font-size:1.4em}h2{font-size:1.1em;margin:0}.sum b{margin-right:1em}.sum span,.meta,small{color:var(--soft)}\
table.all{border-collapse:collapse;width:100%}.n{white-space:nowrap}td,th{text-align:left;padding:.25em .5em;\
border-bottom:1px solid var(--rule);vertical-align:top}.ok{color:var(--ok)}.bad{color:var(--bad)}\
section{border:1px solid var(--rule);border-left:4px solid var(--okbar);border-radius:6px;padding:1em;\
margin:1.2em 0}section.ok,section.bad{color:var(--ink)}section.bad{border-left-color:var(--badbar)}\
section.ok h2{color:var(--ok)}section.bad h2{color:var(--bad)}.why{background:var(--whybg);padding:.5em .7em;\
border-radius:4px;color:var(--why);font-weight:600}svg{width:100%;height:auto}ol{padding-left:1.4em}\
li.ok,li.bad{color:var(--ink)}li.ok b{color:var(--ok)}li.bad em,li.bad b{color:var(--bad)}\
text{font:9px system-ui,sans-serif;fill:var(--label)}\
text.lane{fill:var(--soft)}text.digit{font-weight:700;fill:var(--digit)}text.file{fill:var(--file)}\
.sent{stroke:var(--sent);fill:none}.heard{stroke:var(--heard);fill:none}.step{fill:var(--step)}\
.step:nth-of-type(even){fill:var(--even)}.fail{fill:var(--fail)}.window{fill:var(--window)}\
.key{fill:var(--key)}.span{fill:var(--span)}.other{fill:var(--other)}\
.tick,.ladder line{stroke:var(--tick)}.ladder line.msg{stroke:var(--label)}.tip{fill:var(--label)}\
.ladder text{font-size:11px}text.msgt{text-anchor:middle}text.time{text-anchor:middle}\
.lead{stroke:var(--file);opacity:.35}.legend{margin:.2em 0;color:var(--soft);font-size:12px}\
.legend i{display:inline-block;width:1em;height:.8em;margin:0 .35em 0 1em}.lk{background:var(--key)}\
.ls{background:var(--span)}.lo{background:var(--other)}.lw{background:var(--window)}.lf{background:var(--fail)}\
audio{vertical-align:middle}</style>\
<svg width=0 height=0 style=\"position:absolute\"><defs><marker id=tip markerWidth=8 markerHeight=8 \
refX=7 refY=4 orient=auto><path class=tip d=\"M0 0L8 4L0 8z\" /></marker></defs></svg>\n";
const TAIL: &str = "</html>\n";
