// Tests of voice menus: the runs that were reported, and one of them with the steps of each case.
import { html, nothing } from "lit";
import { go, Screen } from "./element";
import { ListScreen } from "./list";
import { get, type IvrCase, type IvrRun, type IvrRunSummary } from "./api";
import { day, length, seconds } from "./words";

class IvrRunsScreen extends ListScreen<IvrRunSummary> {
  protected override readonly list = { api: "/v1/ivr-runs", at: "/admin/ivr", title: "Tests of menus" };
  protected override readonly columns = ["Reported", "Result", "Passed", "Failed", "Calls", "Scenarios", "What failed"];

  protected override empty(): unknown {
    return html`No run was reported. <code>crosspoint ivr run SCENARIO --report-to URL</code> reports one to this gateway.`;
  }

  protected override row(run: IvrRunSummary, chosen: string): unknown {
    return html`
      <tr class=${chosen} data-run=${run.id}>
        <td><a href="/admin/ivr/${run.id}">${day(run.received_at)}</a></td>
        <td>${result(run.failed === 0 ? "passed" : "failed")}</td>
        <td class="number">${run.passed}</td><td class="number">${run.failed}</td><td class="number">${length(run.call_ms)}</td>
        <td>${run.files.join(", ")}</td><td>${run.failure ?? ""}</td>
      </tr>`;
  }
}
customElements.define("cp-ivr-runs", IvrRunsScreen);

class IvrRunScreen extends Screen {
  static override properties = { run: {}, search: {}, view: { state: true }, fault: { state: true } };
  declare run: string;
  declare search: string;
  declare view: IvrRun | undefined;
  declare fault: string;

  constructor() {
    super();
    this.run = "";
    this.search = "";
    this.fault = "";
  }

  protected override willUpdate(changed: Map<string, unknown>): void {
    if (changed.has("run")) void this.read();
  }

  private async read(): Promise<void> {
    try {
      this.view = await get<IvrRun>(`/v1/ivr-runs/${this.run}`);
      this.fault = "";
    } catch (error) {
      this.fault = (error as Error).message;
    }
  }

  /** The case that the address names; the first that did not pass without. */
  private get chosen(): number {
    const cases = this.view?.cases ?? [];
    const said = new URLSearchParams(this.search).get("case");
    const wrong = cases.findIndex((own) => own.outcome !== "passed");
    const place = said === null ? Math.max(wrong, 0) : Number(said) - 1;
    return cases[place] ? place : 0;
  }

  override key(key: string): boolean {
    const last = (this.view?.cases.length ?? 1) - 1;
    const move = (by: number) => go(`/admin/ivr/${this.run}?case=${Math.min(Math.max(this.chosen + by, 0), last) + 1}`);
    if (key === "j" || key === "ArrowDown") move(1);
    else if (key === "k" || key === "ArrowUp") move(-1);
    else return false;
    return true;
  }

  protected override render(): unknown {
    const view = this.view;
    if (!view) return html`<h1>Test of menus</h1>${this.fault ? html`<p class="fault" role="alert">${this.fault}</p>` : nothing}`;
    const chosen = this.chosen;
    const own = view.cases[chosen];
    return html`
      <header class="head">
        <h1>Run of ${day(view.received_at)} ${result(view.failed === 0 ? "passed" : "failed")} <small>${view.passed} passed, ${view.failed} failed, ${length(view.call_ms)} of calls</small></h1>
        <a class="button" href="/v1/ivr-runs/${view.id}" download="${view.id}.json">As JSON</a>
      </header>
      <div class="run">
        <section aria-labelledby="cases-title">
          <h2 id="cases-title">Cases</h2>
          <ol class="cases">${view.cases.map((each, n) => html`<li>
            <a href="/admin/ivr/${view.id}?case=${n + 1}" aria-current=${n === chosen ? "true" : nothing} data-case=${n + 1}>${title(each)}</a> ${result(each.outcome)}</li>`)}</ol>
        </section>
        ${own ? this.drawCase(own) : nothing}
      </div>`;
  }

  private drawCase(own: IvrCase): unknown {
    const facts: [string, unknown][] = [
      ["Scenario", own.file], ["Dialled", own.target], ["By", own.via], ["Call", seconds(own.call_ms)], ["Tried again", own.retries],
    ];
    return html`<section aria-labelledby="case-title" data-shown=${own.name}>
      <h2 id="case-title">${title(own)} ${result(own.outcome)}</h2>
      ${own.message ? html`<p class="fault">${own.message}</p>` : nothing}
      <dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
      <div class="scroll"><table class="records"><caption>Steps</caption>
        <thead><tr>${["Line", "Step", "From", "To", "What was expected and heard"].map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
        <tbody>${own.steps.map((step) => html`<tr data-step=${step.name} data-failed=${step.failure ? "yes" : "no"}>
          <td class="number">${step.line}</td><td>${step.name}</td><td class="number">${seconds(step.start_ms)}</td><td class="number">${seconds(step.end_ms)}</td>
          <td>${step.failure ? html`<strong class="wrong">${step.failure}</strong> ` : nothing}${step.notes.join("; ")}</td></tr>`)}</tbody>
      </table></div>
      ${own.prompts.length === 0 ? nothing : html`<div class="scroll"><table class="records"><caption>Recognised</caption>
        <thead><tr>${["Recording", "From", "To", "Likeness", "Expected"].map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
        <tbody>${own.prompts.map((prompt) => html`<tr><td>${prompt.file}</td><td class="number">${seconds(prompt.start_ms)}</td><td class="number">${seconds(prompt.end_ms)}</td>
          <td class="number">${prompt.match.toFixed(2)} (worst ${prompt.window.toFixed(2)})</td><td>${prompt.expected ? "yes" : html`<strong class="wrong">no</strong>`}</td></tr>`)}</tbody>
      </table></div>`}
      ${own.messages.length === 0 ? nothing : html`<details><summary>${own.messages.length} messages</summary>
        <ol class="trace">${own.messages.map((message) => html`<li><code>${seconds(message.at_ms)} ${message.sent ? "→" : "←"} ${message.text}</code></li>`)}</ol></details>`}
    </section>`;
  }
}
customElements.define("cp-ivr-run", IvrRunScreen);

function result(outcome: string): unknown {
  return html`<b class="state" data-state=${outcome === "passed" ? "up" : "down"}>${outcome}</b>`;
}

function title(own: IvrCase): string {
  return own.variant ? `${own.name} [${own.variant}]` : own.name;
}
