// The dial plan: its text with what is wrong as one types, what it would say to a call, and what changed.
import { html, nothing } from "lit";
import { Screen } from "./element";
import { all, ask, get, post, Problem, type Finding, type Plan, type PlanVersion } from "./api";
import { diff } from "./diff";
import { clock, day } from "./words";

/** A text that is not in force yet, and the hash of the plan it was made from. */
interface Draft { hash: string; text: string; at: string }
const DRAFT = "crosspoint.plan";

export class DialplanScreen extends Screen {
  static override properties = { search: {}, plan: { state: true }, versions: { state: true }, text: { state: true }, findings: { state: true }, checked: { state: true }, answer: { state: true }, told: { state: true }, kept: { state: true }, fault: { state: true } };
  /** `version=HASH`: what the text is compared with; the plan in force without. */
  declare search: string;
  declare plan: Plan | undefined;
  declare versions: PlanVersion[];
  declare text: string;
  declare findings: Finding[];
  declare checked: "yes" | "no" | "running";
  declare answer: { trace: string[]; of: string } | undefined;
  declare told: string;
  /** The text that was found again. */
  declare kept: Draft | undefined;
  declare fault: string;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asked = 0;
  /** What was asked last: it is asked again of what is typed. */
  private question: Record<string, string> | undefined;

  constructor() {
    super();
    this.search = "";
    this.versions = [];
    this.text = "";
    this.findings = [];
    this.checked = "no";
    this.told = "";
    this.fault = "";
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.read();
    this.listen(window, "beforeunload", (event) => this.plan && this.text !== this.plan.text && event.preventDefault());
  }

  private async read(): Promise<void> {
    try {
      this.plan = await get<Plan>("/v1/dialplan");
      this.text = this.plan.text;
      this.findings = this.plan.refused?.findings ?? this.plan.warnings;
      this.checked = "yes";
      this.fault = "";
      this.restore(this.plan);
      await this.readVersions();
    } catch (error) {
      this.fault = (error as Error).message;
    }
  }

  /** What was typed and then left is there again: for as long as the page's tab is. */
  private restore(plan: Plan): void {
    let draft: Draft | null = null;
    try {
      draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? "null") as Draft | null;
    } catch { /* a browser that keeps nothing */ }
    if (!draft || draft.text === plan.text) return;
    this.kept = draft;
    this.text = draft.text;
    this.checked = "running";
    void this.check();
  }

  private keep(): void {
    if (!this.plan) return;
    try {
      if (this.text === this.plan.text) sessionStorage.removeItem(DRAFT);
      else sessionStorage.setItem(DRAFT, JSON.stringify({ hash: this.kept?.hash ?? this.plan.hash, text: this.text, at: new Date().toISOString() } satisfies Draft));
    } catch { /* a browser that keeps nothing, or has no room: the page still asks before it is closed */ }
    if (this.text === this.plan.text) this.kept = undefined;
  }

  private async readVersions(): Promise<void> {
    this.versions = await all<PlanVersion>("/v1/dialplan/versions");
  }

  private typed(text: string): void {
    this.text = text;
    this.told = "";
    this.keep();
    this.checked = "running";
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.check(), 300);
  }

  private async check(): Promise<void> {
    const own = ++this.asked;
    try {
      const result = await post<{ findings: Finding[] }>("/v1/dialplan/check", this.text);
      if (own !== this.asked) return;
      this.findings = result?.findings ?? [];
      this.checked = "yes";
      await this.explain();
    } catch (error) {
      this.fault = (error as Error).message;
    }
  }

  private async save(): Promise<void> {
    if (!this.plan) return;
    this.fault = "";
    try {
      const response = await ask("/v1/dialplan", { method: "PUT", body: this.text, headers: { "if-match": `"${this.plan.hash}"`, "content-type": "application/toml" } });
      this.plan = await response.json() as Plan;
      this.keep();
      this.findings = this.plan.warnings;
      this.told = "The plan is in force. Calls that are on keep what was decided for them.";
      await this.readVersions();
    } catch (error) {
      const problem = error as Problem;
      if (problem.code === "request/bad-plan") this.findings = problem.body["findings"] as Finding[];
      this.fault = problem.code === "request/conflict" ? `${problem.message} Your text is kept: load the page again and compare.` : problem.message;
    }
  }

  private pose(event: SubmitEvent): void {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const [from, number] = [String(form.get("from")).trim(), String(form.get("number")).trim()];
    this.question = form.get("way") === "out" ? { from, dial: number } : { did: number, ...(from ? { from } : {}) };
    void this.explain();
  }

  /** The text is asked; where it is no plan, the one in force. */
  private async explain(): Promise<void> {
    if (!this.plan || !this.question) return;
    const wrong = this.findings.some((finding) => finding.severity === "error");
    const typed = this.text !== this.plan.text && !wrong;
    try {
      const answer = await post<{ trace: string[] }>("/v1/dialplan/explain", typed ? { ...this.question, plan: this.text } : this.question);
      this.answer = { trace: answer?.trace ?? [], of: typed ? "what is typed" : wrong ? "the plan in force, for the text has errors" : "the plan in force" };
      this.fault = "";
    } catch (error) {
      this.answer = undefined;
      this.fault = (error as Error).message;
    }
  }

  private jump(finding: Finding): void {
    const area = this.querySelector("textarea");
    if (!area) return;
    const lines = this.text.split("\n");
    const start = lines.slice(0, Math.max(0, finding.line - 1)).reduce((sum, line) => sum + line.length + 1, 0);
    area.focus();
    area.setSelectionRange(start, start + (lines[finding.line - 1]?.length ?? 0));
    // The text is as high as it is long; what scrolls is its frame.
    const frame = area.closest(".editor");
    if (frame) frame.scrollTop = Math.max(0, (finding.line - 5) * 20);
  }

  override key(key: string): boolean {
    if (key !== "e") return false;
    this.querySelector("textarea")?.focus();
    return true;
  }

  protected override render(): unknown {
    const plan = this.plan;
    if (!plan) return html`<h1>Dial plan</h1><p class="empty" role="status">${this.fault || "Reading…"}</p>`;
    const changed = this.text !== plan.text;
    const lines = this.text.split("\n").length;
    const errors = this.findings.filter((finding) => finding.severity === "error").length;
    const wanted = new URLSearchParams(this.search).get("version");
    const other = this.versions.find((own) => wanted !== null && own.hash.startsWith(wanted));
    const changes = other ? diff(other.text, this.text) : changed ? diff(plan.text, this.text) : [];
    return html`
      <header class="head">
        <h1>Dial plan <small>${plan.file ?? "built in"}, since ${day(plan.loaded_at)}, <code>${plan.hash.slice(0, 12)}</code></small></h1>
        <div class="actions">
          <button ?disabled=${!changed} @click=${() => this.typed(plan.text)}>Undo all</button>
          <button class="go" ?disabled=${!changed || errors > 0 || this.checked !== "yes"} @click=${() => this.save()}>Put in force</button>
        </div>
      </header>
      ${this.fault ? html`<p class="fault" role="alert">${this.fault}</p>` : nothing}
      ${this.told ? html`<p class="told" role="status">${this.told}</p>` : nothing}
      ${this.kept ? html`<p class="kept" role="status">Your text of ${clock(this.kept.at)} is here again; it is not in force.
        ${this.kept.hash === plan.hash ? nothing : html`<b>Another plan was put in force since you began:</b> “Changes” shows what your text would undo.`}
        <button class="link" @click=${() => this.typed(plan.text)}>Drop it</button></p>` : nothing}
      <div class="plan">
        <div class="editor">
          <pre class="lines" aria-hidden="true">${Array.from({ length: lines }, (_, n) => `${n + 1}\n`)}</pre>
          <textarea aria-label="The plan's text" spellcheck="false" rows=${Math.min(lines + 1, 400)} .value=${this.text}
            @input=${(event: InputEvent) => this.typed((event.target as HTMLTextAreaElement).value)}></textarea>
        </div>
        <div class="beside">
          <section aria-labelledby="findings-title"><h2 id="findings-title">Check</h2>
            <p role="status" data-checked=${this.checked}>${this.checked === "running" ? "Checking…" : errors > 0 ? `${errors} ${errors === 1 ? "error" : "errors"}` : this.findings.length > 0 ? `${this.findings.length} to look at` : "Nothing is wrong, and every test of the plan passes."}</p>
            <ul class="findings">${this.findings.map((finding) => html`<li data-severity=${finding.severity}><button class="link" @click=${() => this.jump(finding)}>line ${finding.line}</button> ${finding.message}</li>`)}</ul>
          </section>
          <section aria-labelledby="explain-title"><h2 id="explain-title">Explain</h2>
            <form class="explain" @submit=${(event: SubmitEvent) => this.pose(event)}>
              <label>A call <select name="way"><option value="out">of a user</option><option value="in">from a trunk</option></select></label>
              <label>from <input name="from" autocomplete="off" placeholder="user, or number"></label>
              <label>to <input name="number" required autocomplete="off" placeholder="what is dialled"></label>
              <button>Explain</button>
            </form>
            ${this.answer ? html`<p class="hint" data-of>Says ${this.answer.of}:</p>
              <ol class="trace" data-trace>${this.answer.trace.map((line) => html`<li><code>${line}</code></li>`)}</ol>` : html`<p class="hint">What is typed is asked, and again as you type.</p>`}
          </section>
          <section aria-labelledby="diff-title"><h2 id="diff-title">Changes${other ? html` since ${day(other.loaded_at)}` : nothing}</h2>
            ${changes.length === 0 ? html`<p class="hint">None.</p>` : html`<pre class="diff" tabindex="0">${changes.map((line) => html`<span class=${line.kind}>${{ same: " ", gone: "-", new: "+" }[line.kind]} ${line.text}\n</span>`)}</pre>`}
          </section>
          <section aria-labelledby="versions-title"><h2 id="versions-title">Versions</h2>
            <ol class="versions">${this.versions.map((own, n) => html`<li data-version=${own.hash}>
              <a href="/admin/dialplan?version=${own.hash.slice(0, 12)}" aria-current=${own === other ? "true" : nothing}>${day(own.loaded_at)}</a>
              <code>${own.hash.slice(0, 12)}</code>
              ${n === 0 ? html`in force` : html`<button class="link" @click=${() => this.typed(own.text)}>take its text</button>`}</li>`)}</ol>
            <p class="hint">Plans that were in force, those before the last start too. A version is compared with the text in the editor.</p>
          </section>
        </div>
      </div>`;
  }
}
customElements.define("cp-dialplan", DialplanScreen);
