// One call: its ladder, how it sounded, its digits, and what may be done to it.
import { html, nothing, svg } from "lit";
import { Screen } from "./element";
import { all, get, post, Problem, type CallRecord, type QualitySample, type SipMessage, type TimelineRow } from "./api";
import { Plots, steps, type Lane, type Step } from "./plots";
import { clock, day, length, seconds, who } from "./words";

const STEP = 30;
/** The narrowest ladder whose words are still apart, in pixels; it scrolls in its box where that is narrower. */
const NARROWEST = 340;

export class CallScreen extends Screen {
  static override properties = { call: {}, record: { state: true }, ladder: { state: true }, chosen: { state: true }, wide: { state: true }, fault: { state: true } };
  declare call: string;
  declare record: CallRecord | undefined;
  declare ladder: Step[];
  declare chosen: number;
  /** The ladder's width in pixels: all of its box. */
  declare wide: number;
  declare fault: string;
  private resized: ResizeObserver | undefined;
  private rows: TimelineRow[] = [];
  private plots: Plots | undefined;
  private live = true;

  constructor() {
    super();
    this.ladder = [];
    this.chosen = -1;
    this.wide = 800;
    this.fault = "";
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.read();
    // Until its end is told: the record may come to the store a moment after the call has gone.
    this.every(1000, () => (this.live || (this.record && !this.record.cause)) && void this.read());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.plots?.end();
    this.resized?.disconnect();
  }

  protected override updated(): void {
    const box = this.querySelector(".ladder-scroll");
    if (!box || this.resized) return;
    this.resized = new ResizeObserver(() => { this.wide = Math.max(NARROWEST, box.clientWidth); });
    this.resized.observe(box);
  }

  /** Where each side's line is. */
  private get column(): Record<Lane, number> {
    const [first, last] = this.wide < 600 ? [76, this.wide - 36] : [100, this.wide - 60];
    return { browser: first, gateway: (first + last) / 2, trunk: last };
  }

  private async read(): Promise<void> {
    const path = `/v1/calls/${this.call}`;
    const or = <T>(other: T) => (error: unknown): T => {
      if (error instanceof Problem && error.status === 404) return other;
      throw error;
    };
    try {
      const running = await get<CallRecord>(path).catch(or(undefined));
      this.live = running !== undefined;
      this.record = running ?? await get<CallRecord>(`/v1/cdrs/${this.call}`).catch(or(this.record));
      const [timeline, quality, sip] = await Promise.all([
        all<TimelineRow>(`${path}/events`).catch(or<TimelineRow[]>([])),
        get<{ series: QualitySample[] }>(`${path}/quality`).catch(or<{ series: QualitySample[] }>({ series: [] })),
        all<SipMessage>(`${path}/signalling`).catch(or<SipMessage[]>([])),
      ]);
      this.rows = timeline;
      this.ladder = steps(timeline, sip);
      this.fault = this.record ? "" : "There is no such call.";
      await this.updateComplete;
      this.draw(quality.series);
    } catch (error) {
      this.fault = String((error as Error).message);
    }
  }

  private draw(samples: QualitySample[]): void {
    const box = this.querySelector<HTMLElement>("#plots");
    if (!box || !this.record) return;
    this.plots ??= new Plots(box);
    const began = Date.parse(this.record.started_at);
    const ended = this.record.ended_at ? Date.parse(this.record.ended_at) : Date.now();
    const last = this.ladder.at(-1)?.at_ms ?? 0;
    this.plots.show(samples, this.rows, this.ladder, Math.max(ended - began, last));
  }

  override key(key: string): boolean {
    if (key === "j" || key === "ArrowDown") this.choose(Math.min(this.chosen + 1, this.ladder.length - 1));
    else if (key === "k" || key === "ArrowUp") this.choose(Math.max(this.chosen - 1, 0));
    else if (key === "h" && this.live) void this.act("hangup");
    else return false;
    return true;
  }

  private choose(n: number): void {
    this.chosen = n;
    const step = this.ladder[n];
    if (!step) return;
    this.plots?.point(step.at_ms);
    this.querySelector(`[data-step="${n}"]`)?.scrollIntoView({ block: "nearest" });
  }

  private async act(what: string): Promise<void> {
    try {
      await post(`/v1/calls/${this.call}/actions/${what}`);
      await this.read();
    } catch (error) {
      this.fault = (error as Error).message;
    }
  }

  protected override render(): unknown {
    const record = this.record;
    if (!record) return html`<h1>Call</h1><p class="empty" role="status">${this.fault || "Reading…"}</p>`;
    const facts: [string, unknown][] = [
      ["From", who(record.from)], ["To", who(record.to)], ["Trunk", record.trunk ?? "–"], ["Rule", record.rule ?? "–"],
      ["Codec", record.codec ?? "–"], ["Began", day(record.started_at)], ["Answered", clock(record.answered_at) || "–"],
      ["Talked", length(record.ended_at ? record.duration_ms : record.answered_at ? Date.now() - Date.parse(record.answered_at) : 0)],
      ["Digits", record.digits],
      ["Recording", record.recording ? html`<a href="/admin/recordings/${record.recording.id}">${record.recording.failed ? "not whole" : "listen"}</a>` : "–"],
      ["End", record.cause ? `${record.cause}${record.sip ? ` (${record.sip.status} ${record.sip.reason})` : ""}, by ${record.ended_by}` : "–"],
    ];
    return html`
      <header class="head">
        <h1>${who(record.from)} → ${who(record.to)} <b class="state" data-state=${this.live ? record.state ?? "" : "ended"}>${this.live ? record.state : "ended"}</b></h1>
        <div class="actions">
          ${this.live ? html`
            <button @click=${() => this.act("hold")}>Hold</button>
            <button @click=${() => this.act("unhold")}>Unhold</button>
            <button class="stop" @click=${() => this.act("hangup")}>Hang up</button>` : nothing}
          <a class="button" href="/v1/calls/${this.call}/pcap" download="${this.call}.pcap">Signalling as pcap</a>
        </div>
      </header>
      ${this.fault ? html`<p class="fault" role="alert">${this.fault}</p>` : nothing}
      <dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
      <section aria-labelledby="time-title">
        <h2 id="time-title">In time</h2>
        <p class="legend"><span class="key caller">caller</span> <span class="key callee">callee</span></p>
        <div id="plots"></div>
      </section>
      <section aria-labelledby="ladder-title">
        <h2 id="ladder-title">Ladder</h2>
        ${this.drawLadder()}
      </section>
      <section aria-labelledby="plan-title">
        <h2 id="plan-title">What the plan said</h2>
        <ol class="trace">${(record.trace ?? []).map((line) => html`<li><code>${line}</code></li>`)}</ol>
      </section>`;
  }

  private drawLadder(): unknown {
    const height = this.ladder.length * STEP + 50;
    const chosen = this.ladder[this.chosen];
    const column = this.column;
    return html`
      <div class="ladder-box ${chosen ? "two" : ""}">
        <div class="ladder-scroll"><svg class="ladder" width=${this.wide} height=${height} role="list" aria-label="Messages in the order of time">
          <defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path d="M0 0 8 4 0 8z"/></marker></defs>
          ${(Object.keys(column) as Lane[]).map((lane) => svg`
            <g class="lane" aria-hidden="true"><text x=${column[lane]} y="18">${{ browser: "Browser", gateway: "Crosspoint", trunk: "Trunk" }[lane]}</text>
            <line x1=${column[lane]} x2=${column[lane]} y1="26" y2=${height}></line></g>`)}
          ${this.ladder.map((step, n) => this.drawStep(step, n))}
        </svg></div>
        ${chosen ? html`<div class="message" role="group" aria-label="The chosen message"><h3>${chosen.what}</h3><p>${seconds(chosen.at_ms)} after the call began</p>
          ${chosen.detail ? html`<pre tabindex="0">${chosen.detail}</pre>` : nothing}</div>` : nothing}
      </div>`;
  }

  private drawStep(step: Step, n: number): unknown {
    const y = n * STEP + 50;
    const [from, to] = [this.column[step.from], this.column[step.to]];
    const label = `${seconds(step.at_ms)}: ${step.from} to ${step.to}: ${step.what}`;
    return svg`
      <g class="step ${step.kind} ${n === this.chosen ? "chosen" : ""}" role="listitem" tabindex="0" aria-label=${label} data-step=${n} data-kind=${step.kind} data-what=${step.what}
        @click=${() => this.choose(n)} @focus=${() => this.choose(n)}>
        <rect class="hit" x="0" y=${y - 20} width=${this.wide} height=${STEP}></rect>
        <text class="at" x="6" y=${y + 3}>${(step.at_ms / 1000).toFixed(3)}</text>
        ${from === to
          ? svg`<circle cx=${from} cy=${y} r="5"></circle><text x=${from + 12} y=${y + 4} class="beside">${step.what}</text>`
          : svg`<line x1=${from} x2=${to} y1=${y} y2=${y} marker-end="url(#tip)"></line><text x=${(from + to) / 2} y=${y - 5}>${step.what}</text>`}
      </g>`;
  }
}
customElements.define("cp-call", CallScreen);
