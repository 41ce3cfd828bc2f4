// How the trunks stand.
import { html, nothing } from "lit";
import { Screen } from "./element";
import { all, post, type Trunk } from "./api";
import type { Live } from "./live";

interface Report { passed: boolean; steps: { name: string; outcome: string; found: string; took_ms: number }[] }

export class TrunksScreen extends Screen {
  static override properties = { live: { attribute: false }, trunks: { state: true }, reports: { state: true }, fault: { state: true } };
  declare live: Live;
  declare trunks: Trunk[] | undefined;
  declare reports: Record<string, Report | "running">;
  declare fault: string;

  constructor() {
    super();
    this.reports = {};
    this.fault = "";
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.read();
    this.every(5000, () => void this.read());
    this.listen(this.live, "trunks", () => void this.read());
  }

  private async read(): Promise<void> {
    try {
      this.trunks = await all<Trunk>("/v1/trunks");
      this.fault = "";
    } catch (error) {
      this.fault = (error as Error).message;
    }
  }

  private async test(id: string): Promise<void> {
    this.reports = { ...this.reports, [id]: "running" };
    try {
      const report = await post<Report>(`/v1/trunks/${id}/actions/test`);
      if (report) this.reports = { ...this.reports, [id]: report };
    } catch (error) {
      const { [id]: _, ...others } = this.reports;
      this.reports = others;
      this.fault = (error as Error).message;
    }
  }

  protected override render(): unknown {
    return html`
      <header class="head"><h1>Trunks</h1></header>
      ${this.fault ? html`<p class="fault" role="alert">${this.fault}</p>` : nothing}
      <div class="cards">${(this.trunks ?? []).map((trunk) => {
        const report = this.reports[trunk.id];
        const registration = trunk.registration;
        return html`<article class="card" data-trunk=${trunk.id}>
          <h2>${trunk.id} <b class="state" data-state=${trunk.state}>${trunk.state}</b></h2>
          <p><label>${trunk.calls} of ${trunk.channels} channels <meter min="0" max=${trunk.channels} high=${trunk.channels * 0.8} .value=${trunk.calls}></meter></label></p>
          ${registration ? html`<p>${registration.state === "registered" ? `Registered for ${Math.round((registration.expires_in_ms ?? 0) / 1000)} s more` : `Not registered: ${registration.reason}`}</p>` : nothing}
          <button ?disabled=${report === "running"} @click=${() => this.test(trunk.id)}>${report === "running" ? "Testing…" : "Test"}</button>
          ${report && report !== "running" ? html`<ul class="steps" aria-live="polite">${report.steps.map((step) => html`<li data-outcome=${step.outcome}><b>${step.name}</b> ${step.outcome}, ${step.took_ms} ms: ${step.found}</li>`)}</ul>` : nothing}
        </article>`;
      })}</div>`;
  }
}
customElements.define("cp-trunks", TrunksScreen);
