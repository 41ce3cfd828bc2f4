// The live calls: a list of which only what is seen is drawn, so that 1,000 calls are as quick as ten.
import { html, nothing } from "lit";
import { go, Screen } from "./element";
import type { CallRecord } from "./api";
import type { Live } from "./live";
import { clock, length, sought, who } from "./words";

/** The height of a row in pixels, as the style sheet has it. */
const ROW = 36;
/** Rows drawn above and below those that are seen. */
const SPARE = 5;

export class CallsScreen extends Screen {
  static override properties = { live: { attribute: false }, search: {}, from: { state: true }, chosen: { state: true } };
  declare live: Live;
  /** `filter=WORD`: the calls that have it. */
  declare search: string;
  declare from: number;
  declare chosen: number;

  constructor() {
    super();
    this.from = 0;
    this.chosen = 0;
    this.search = "";
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.listen(this.live, "change", () => this.requestUpdate());
    this.every(1000, () => this.requestUpdate());
  }

  /** Whatever happens in a frame (calls change, the list is scrolled), it is drawn once. */
  protected override async scheduleUpdate(): Promise<void> {
    await new Promise((drawn) => requestAnimationFrame(drawn));
    await super.scheduleUpdate();
  }

  protected override willUpdate(changed: Map<string, unknown>): void {
    if (changed.get("search") !== undefined) this.chosen = 0;
  }

  private get filter(): string {
    return new URLSearchParams(this.search).get("filter") ?? "";
  }

  private shown(): CallRecord[] {
    const all = [...this.live.calls.values()];
    const wanted = this.filter.toLowerCase();
    const fits = (call: CallRecord) => [sought(call.from), sought(call.to), call.trunk ?? "", call.state ?? ""].some((text) => text.toLowerCase().includes(wanted));
    return wanted === "" ? all : all.filter(fits);
  }

  override key(key: string): boolean {
    const calls = this.shown();
    if (key === "j" || key === "ArrowDown") this.chosen = Math.min(this.chosen + 1, calls.length - 1);
    else if (key === "k" || key === "ArrowUp") this.chosen = Math.max(this.chosen - 1, 0);
    else if (key === "Enter" && calls[this.chosen]) go(`/admin/calls/${calls[this.chosen]!.id}`);
    else if (key === "/") this.querySelector("input")?.focus();
    else return false;
    const box = this.querySelector<HTMLElement>(".window");
    if (box) {
      const top = this.chosen * ROW;
      if (top < box.scrollTop) box.scrollTop = top;
      if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
    }
    return true;
  }

  protected override render(): unknown {
    const calls = this.shown();
    const height = this.querySelector(".window")?.clientHeight ?? 0;
    const fit = Math.ceil((height || innerHeight) / ROW) + 2 * SPARE;
    const from = Math.max(0, Math.min(this.from, calls.length - fit));
    // Without the gateway nobody knows how a call goes on: its clock stops.
    const now = this.live.lost ?? Date.now();
    const known = this.live.ready;
    const none = this.live.refused ? `You cannot see calls. ${this.live.refused}`
      : !known ? this.live.lost === undefined ? "Reading…" : "The calls are not known: there is no connection to the gateway."
      : this.live.calls.size > 0 ? "No call fits the filter." : this.live.lost === undefined ? "No call is on." : "No call was on when the connection was lost.";
    return html`
      <header class="head">
        <h1>Live calls <span class="count" data-count>${known ? calls.length : "–"}</span></h1>
        <label class="find"><span>Filter</span>
          <input type="search" placeholder="number, user, trunk, state" .value=${this.filter}
            @input=${(event: InputEvent) => {
              const filter = (event.target as HTMLInputElement).value;
              go(`/admin/calls${filter === "" ? "" : `?${new URLSearchParams({ filter })}`}`, true);
            }}>
        </label>
      </header>
      ${calls.length === 0 ? html`<p class="empty" role="status">${none}</p>` : nothing}
      <div class="table ${this.live.lost === undefined ? "" : "stale"}" role="table" aria-label="Live calls" aria-rowcount=${calls.length + 1} ?hidden=${calls.length === 0}>
        <div role="rowgroup"><div class="row titles" role="row" aria-rowindex="1">
          ${["State", "From", "To", "Trunk", "Direction", "Began", "Talking"].map((title) => html`<span role="columnheader">${title}</span>`)}
        </div></div>
        <div class="window" role="rowgroup" tabindex="0" aria-label="Calls" @scroll=${(event: Event) => { this.from = Math.max(0, Math.floor((event.target as HTMLElement).scrollTop / ROW) - SPARE); }}>
          <svg class="pad" aria-hidden="true" width="1" height=${from * ROW}></svg>
          ${calls.slice(from, from + fit).map((call, at) => html`
            <div class="row ${from + at === this.chosen ? "chosen" : ""}" role="row" aria-rowindex=${from + at + 2} data-call=${call.id} @click=${() => go(`/admin/calls/${call.id}`)}>
              <span role="cell"><b class="state" data-state=${call.state ?? ""}>${call.state}</b></span>
              <span role="cell"><a href="/admin/calls/${call.id}">${who(call.from)}</a></span>
              <span role="cell">${who(call.to)}</span>
              <span role="cell">${call.trunk ?? ""}</span>
              <span role="cell">${call.direction}</span>
              <span role="cell">${clock(call.started_at)}</span>
              <span role="cell" class="number">${call.answered_at ? length(now - Date.parse(call.answered_at)) : ""}</span>
            </div>`)}
          <svg class="pad" aria-hidden="true" width="1" height=${Math.max(0, calls.length - from - fit) * ROW}></svg>
        </div>
      </div>`;
  }
}
customElements.define("cp-calls", CallsScreen);
