// Records of calls: searched, and saved as CSV or NDJSON.
import { html, nothing } from "lit";
import { go, Screen } from "./element";
import { download, get, type CallRecord, type List } from "./api";
import { day, length, who } from "./words";

const FIELDS = ["number", "user", "trunk", "direction", "cause", "since", "until"] as const;

export class RecordsScreen extends Screen {
  static override properties = { search: {}, items: { state: true }, next: { state: true }, chosen: { state: true }, fault: { state: true } };
  declare search: string;
  declare items: CallRecord[];
  declare next: string | null;
  declare chosen: number;
  declare fault: string;
  private asked = 0;

  constructor() {
    super();
    this.search = "";
    this.items = [];
    this.next = null;
    this.chosen = 0;
    this.fault = "";
  }

  protected override willUpdate(changed: Map<string, unknown>): void {
    if (changed.has("search")) void this.read(null);
  }

  private async read(cursor: string | null): Promise<void> {
    const own = ++this.asked;
    const query = new URLSearchParams(this.search);
    query.set("limit", "100");
    if (cursor) query.set("cursor", cursor);
    try {
      const page = await get<List<CallRecord>>(`/v1/cdrs?${query}`);
      if (own !== this.asked) return;
      this.items = cursor ? [...this.items, ...page.items] : page.items;
      this.next = page.next;
      this.fault = "";
    } catch (error) {
      this.fault = (error as Error).message;
    }
  }

  private find(event: SubmitEvent): void {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const query = new URLSearchParams();
    for (const field of FIELDS) {
      let value = String(form.get(field) ?? "").trim();
      if (value !== "" && (field === "since" || field === "until")) value = new Date(value).toISOString();
      if (value !== "") query.set(field, value);
    }
    go(`/admin/records${query.size > 0 ? `?${query}` : ""}`);
  }

  private async save(accept: string, name: string): Promise<void> {
    try {
      await download(`/v1/cdrs?${this.search}`, accept, name);
    } catch (error) {
      this.fault = (error as Error).message;
    }
  }

  override key(key: string): boolean {
    if (key === "j" || key === "ArrowDown") this.chosen = Math.min(this.chosen + 1, this.items.length - 1);
    else if (key === "k" || key === "ArrowUp") this.chosen = Math.max(this.chosen - 1, 0);
    else if (key === "Enter" && this.items[this.chosen]) go(`/admin/calls/${this.items[this.chosen]!.id}`);
    else if (key === "/") this.querySelector("input")?.focus();
    else return false;
    this.querySelectorAll("tbody tr")[this.chosen]?.scrollIntoView({ block: "nearest" });
    return true;
  }

  protected override render(): unknown {
    const query = new URLSearchParams(this.search);
    const said = (field: string) => query.get(field) ?? "";
    const local = (field: string) => {
      const at = said(field);
      if (at === "") return "";
      const date = new Date(at);
      return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
    };
    return html`
      <header class="head"><h1>Records</h1>
        <div class="actions">
          <button @click=${() => this.save("text/csv", "calls.csv")}>Save as CSV</button>
          <button @click=${() => this.save("application/x-ndjson", "calls.ndjson")}>Save as NDJSON</button>
        </div>
      </header>
      <form class="search" role="search" @submit=${(event: SubmitEvent) => this.find(event)}>
        <label>Number <input name="number" .value=${said("number")} placeholder="+49…" autocomplete="off"></label>
        <label>User <input name="user" .value=${said("user")} autocomplete="off"></label>
        <label>Trunk <input name="trunk" .value=${said("trunk")} autocomplete="off"></label>
        <label>Direction <select name="direction" .value=${said("direction")}>${["", "outbound", "inbound", "internal", "transit"].map((word) => html`<option value=${word} ?selected=${word === said("direction")}>${word || "any"}</option>`)}</select></label>
        <label>End <input name="cause" .value=${said("cause")} placeholder="busy" autocomplete="off"></label>
        <label>From <input type="datetime-local" name="since" .value=${local("since")}></label>
        <label>Until <input type="datetime-local" name="until" .value=${local("until")}></label>
        <button class="go">Find</button>
      </form>
      ${this.fault ? html`<p class="fault" role="alert">${this.fault}</p>` : nothing}
      ${this.items.length === 0 ? html`<p class="empty">No record fits.</p>` : html`
      <div class="scroll"><table class="records">
        <thead><tr>${["Began", "From", "To", "Trunk", "Direction", "Talked", "End", "MOS"].map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
        <tbody>${this.items.map((call, n) => html`
          <tr class=${n === this.chosen ? "chosen" : ""} data-record=${call.id}>
            <td><a href="/admin/calls/${call.id}">${day(call.started_at)}</a></td>
            <td>${who(call.from)}</td><td>${who(call.to)}</td><td>${call.trunk ?? ""}</td><td>${call.direction}</td>
            <td class="number">${length(call.duration_ms)}</td><td>${call.cause ?? "on"}</td>
            <td class="number">${call.quality.callee?.mos.toFixed(1) ?? ""}</td>
          </tr>`)}</tbody>
      </table></div>
      ${this.next ? html`<button @click=${() => this.read(this.next)}>More</button>` : nothing}`}`;
  }
}
customElements.define("cp-records", RecordsScreen);
