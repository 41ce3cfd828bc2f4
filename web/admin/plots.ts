// One time axis for everything of a call: what was said in signalling, how it sounded, its digits.
import uPlot from "uplot";
import type { QualitySample, SipMessage, TimelineRow } from "./api";

/** A step of the ladder: who said what to whom, and when. */
export interface Step { at_ms: number; from: Lane; to: Lane; what: string; kind: "signal" | "media" | "sip" | "digit" | "state"; detail?: string | undefined }
export type Lane = "browser" | "gateway" | "trunk";

const lanes: Record<string, Lane> = { browser: "browser", gateway: "gateway", trunk: "trunk" };

/** All steps of a call in order. */
export function steps(rows: TimelineRow[], sip: SipMessage[]): Step[] {
  const out: Step[] = sip.map((message) => ({
    at_ms: message.at_ms, from: message.sent ? "gateway" : "trunk", to: message.sent ? "trunk" : "gateway",
    what: message.summary, kind: "sip", detail: message.text,
  }));
  for (const row of rows) {
    const text = (name: string) => String(row[name] ?? "");
    switch (row.type) {
      case "signal":
        out.push({ at_ms: row.at_ms, from: lanes[text("from")] ?? "gateway", to: lanes[text("to")] ?? "gateway", what: text("name"), kind: "signal" });
        break;
      case "media":
        out.push({ at_ms: row.at_ms, from: lanes[text("leg")] ?? "browser", to: "gateway", what: text("name"), kind: "media" });
        break;
      case "state":
        out.push({ at_ms: row.at_ms, from: "gateway", to: "gateway", what: text("state"), kind: "state" });
        break;
      case "dtmf.heard":
        out.push({ at_ms: row.at_ms, from: lanes[text("leg")] ?? "browser", to: "gateway", what: `digit heard, ${text("mode")}, ${text("duration_ms")} ms`, kind: "digit" });
        break;
      case "dtmf.sent":
        out.push({ at_ms: row.at_ms, from: "gateway", to: "trunk", what: `digit sent, ${text("mode")}, ${text("tone_ms")} ms`, kind: "digit" });
        break;
      case "dtmf.mode":
        out.push({ at_ms: row.at_ms, from: "gateway", to: "trunk", what: `digits go as ${text("mode") || "nothing"}`, kind: "digit" });
        break;
      case "dtmf.lost":
        out.push({ at_ms: row.at_ms, from: "gateway", to: "trunk", what: "digit lost", kind: "digit" });
        break;
    }
  }
  return out.sort((a, b) => a.at_ms - b.at_ms);
}

/** As wide as its box, but never so narrow that nothing is seen. */
const wide = (box: HTMLElement) => Math.max(200, box.clientWidth);
const sync = uPlot.sync("call");
const ink = () => getComputedStyle(document.documentElement).getPropertyValue("--soft").trim();
const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The plots of a call: quality of both sides, and the lanes of signalling and digits. */
export class Plots {
  private plots: uPlot[] = [];
  private rows: TimelineRow[] = [];
  private marks: Step[] = [];
  private span = 10;
  private readonly resized: ResizeObserver;

  constructor(private readonly box: HTMLElement) {
    const width = wide(box);
    const axis = () => ({ stroke: ink, grid: { stroke: () => color("--line"), width: 1 }, ticks: { stroke: () => color("--line") } });
    const base = (label: string, height: number): Omit<uPlot.Options, "series" | "axes"> => ({
      width, height, title: label,
      cursor: { sync: { key: sync.key, setSeries: false }, drag: { x: true, y: false } },
      scales: { x: { time: false, range: () => [0, this.span] } },
      legend: { show: false },
    });
    const line = (label: string, name: string): uPlot.Series => ({ label, stroke: () => color(name), width: 2, points: { show: true, size: 5 }, spanGaps: true });
    const quality = (label: string, range?: [number, number]) => new uPlot({
      ...base(label, 120),
      scales: { x: { time: false, range: () => [0, this.span] }, y: range ? { range: () => range } : { range: (_, __, max) => [0, Math.max(1, (max ?? 1) * 1.1)] } },
      series: [{ label: "s" }, line("caller", "--brand"), line("callee", "--go")],
      axes: [{ ...axis(), size: 24, values: () => [] }, { ...axis(), size: 48 }],
    }, [[], [], []], this.add(label));
    const lane = (label: string, height: number, draw: (plot: uPlot) => void, axisShown: boolean) => new uPlot({
      ...base(label, height),
      scales: { x: { time: false, range: () => [0, this.span] }, y: { range: () => [0, 1] } },
      series: [{ label: "s" }, { label: "none", show: false }],
      axes: [axisShown ? { ...axis(), size: 36, label: "seconds since the call began", labelSize: 16, stroke: ink } : { ...axis(), size: 24, values: () => [] }, { ...axis(), size: 48, values: () => [] }],
      hooks: { draw: [draw] },
    }, [[], []], this.add(label));
    this.plots = [
      lane("Signalling", 80, (plot) => this.drawMarks(plot), false),
      quality("Opinion score (MOS)", [1, 4.6]),
      quality("Jitter, ms"),
      quality("Loss, %"),
      lane("Digits: heard above, sent below", 110, (plot) => this.drawDigits(plot), true),
    ];
    // A window that is made narrower, or a phone that is turned, takes the plots with it.
    this.resized = new ResizeObserver(() => {
      const width = wide(box);
      for (const plot of this.plots) if (plot.width !== width) plot.setSize({ width, height: plot.height });
    });
    this.resized.observe(box);
  }

  /** A box of the page's own rules: a plot is a picture with a name. */
  private add(label: string): HTMLElement {
    const box = document.createElement("div");
    box.className = "plot";
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", `${label} over the time of the call`);
    this.box.append(box);
    return box;
  }

  show(samples: QualitySample[], rows: TimelineRow[], marks: Step[], length_ms: number): void {
    this.rows = rows;
    this.marks = marks;
    this.span = Math.max(5, length_ms / 1000);
    const at = samples.map((sample) => sample.at_ms / 1000);
    const of = (pick: "mos" | "jitter_ms" | "loss_percent") =>
      [at, samples.map((s) => s.caller?.[pick] ?? null), samples.map((s) => s.callee?.[pick] ?? null)] as uPlot.AlignedData;
    const empty: uPlot.AlignedData = [[0, this.span], [null, null]];
    [empty, of("mos"), of("jitter_ms"), of("loss_percent"), empty].forEach((data, n) => this.plots[n]?.setData(data));
  }

  /** Moves the hair of every plot to a step of the ladder. */
  point(at_ms: number): void {
    const plot = this.plots[0];
    if (plot) plot.setCursor({ left: plot.valToPos(at_ms / 1000, "x"), top: 10 });
  }

  end(): void {
    this.resized.disconnect();
    this.plots.forEach((plot) => plot.destroy());
  }

  private drawMarks(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const colors = { signal: "--brand", sip: "--go", media: "--warn", state: "--soft", digit: "--soft" };
    ctx.save();
    for (const mark of this.marks) {
      if (mark.kind === "digit") continue;
      ctx.strokeStyle = color(colors[mark.kind]);
      ctx.lineWidth = 2 * devicePixelRatio;
      const x = plot.valToPos(mark.at_ms / 1000, "x", true);
      const half = bbox.height / 2;
      const top = mark.kind === "sip" ? bbox.top + half : bbox.top;
      ctx.beginPath();
      ctx.moveTo(x, top);
      ctx.lineTo(x, top + half);
      ctx.stroke();
    }
    ctx.restore();
  }

  private drawDigits(plot: uPlot): void {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const row of this.rows) {
      const heard = row.type === "dtmf.heard";
      if (!heard && row.type !== "dtmf.sent") continue;
      const long = Number(row[heard ? "duration_ms" : "tone_ms"] ?? 0);
      // What is told is the end of the tone.
      const from = plot.valToPos(Math.max(0, row.at_ms - long) / 1000, "x", true);
      const to = plot.valToPos(row.at_ms / 1000, "x", true);
      ctx.fillStyle = color(heard ? "--brand" : "--go");
      const half = bbox.height / 2;
      ctx.fillRect(from, bbox.top + (heard ? 4 : half + 4), Math.max(3 * devicePixelRatio, to - from), half - 8);
    }
    ctx.restore();
  }
}
