// The operator's pages: a login, a menu, and one screen for each address.
import { html, nothing } from "lit";
import { get, login, post } from "./api";
import { go, Screen } from "./element";
import { Live } from "./live";
import { clock } from "./words";
import "./call";
import "./calls";
import "./dialplan";
import "./ivr";
import "./recordings";
import "./records";
import "./trunks";

const MENU: [path: string, name: string, key: string][] = [
  ["/admin/calls", "Calls", "c"], ["/admin/trunks", "Trunks", "t"], ["/admin/dialplan", "Dial plan", "d"], ["/admin/records", "Records", "r"], ["/admin/recordings", "Recordings", "a"], ["/admin/ivr", "Menu tests", "m"],
];

class Admin extends Screen {
  static override properties = { who: { state: true }, path: { state: true }, fault: { state: true }, help: { state: true }, lost: { state: true } };
  declare who: string | null | undefined;
  declare path: string;
  declare fault: string;
  declare help: boolean;
  declare lost: number | undefined;
  private live = new Live();
  private first = "";

  constructor() {
    super();
    this.path = location.pathname + location.search;
    this.fault = "";
    this.help = false;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.listen(window, "popstate", () => { this.path = location.pathname + location.search; });
    this.listen(window, "keydown", (event) => this.pressed(event as KeyboardEvent));
    this.listen(window, "click", (event) => this.clicked(event as MouseEvent));
    this.listen(login, "needed", () => {
      if (this.who) this.fault = "The login is over. Log in again.";
      this.who = null;
      this.live.stop();
    });
    this.listen(this.live, "change", () => { this.lost = this.live.lost; });
    void this.enter();
  }

  private async enter(): Promise<void> {
    try {
      this.who = (await get<{ name: string }>("/v1/session")).name;
      this.live.start();
    } catch {
      this.who = null;
    }
  }

  private async logIn(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const field = (event.target as HTMLFormElement).querySelector("input")!;
    try {
      this.who = (await post<{ name: string }>("/v1/session", { key: field.value.trim() }))?.name ?? null;
      this.fault = "";
      this.live.start();
    } catch (error) {
      this.fault = (error as Error).message;
    }
    field.value = "";
  }

  private async logOut(): Promise<void> {
    await fetch("/v1/session", { method: "DELETE" });
    this.live.stop();
    this.fault = "";
    this.who = null;
  }

  /** Links within the pages do not load them anew. */
  private clicked(event: MouseEvent): void {
    const link = (event.target as Element).closest?.("a[href^='/admin/']");
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(link.getAttribute("href")!);
  }

  private pressed(event: KeyboardEvent): void {
    const typing = (event.target as Element).closest?.("input, textarea, select");
    if (event.key === "Escape") {
      this.help = false;
      (typing as HTMLElement | null)?.blur();
    }
    if (typing || event.metaKey || event.ctrlKey || event.altKey || !this.who) return;
    if (this.first === "g") {
      this.first = "";
      const found = MENU.find(([, , key]) => key === event.key);
      if (found) go(found[0]);
      return;
    }
    if (event.key === "g") this.first = "g";
    else if (event.key === "?") this.help = !this.help;
    else if (this.querySelector<Screen>("main > *")?.key(event.key)) event.preventDefault();
  }

  private screen(): unknown {
    const [path, search] = this.path.split("?", 2) as [string, string?];
    const call = /^\/admin\/calls\/(call_\w+)$/.exec(path)?.[1];
    const recording = /^\/admin\/recordings\/(rec_\w+)$/.exec(path)?.[1];
    const run = /^\/admin\/ivr\/(run_\w+)$/.exec(path)?.[1];
    if (run) return html`<cp-ivr-run .run=${run} .search=${search ?? ""}></cp-ivr-run>`;
    if (recording) return html`<cp-recording .recording=${recording}></cp-recording>`;
    if (call) return html`<cp-call .call=${call}></cp-call>`;
    switch (path) {
      case "/admin": case "/admin/": case "/admin/calls": return html`<cp-calls .live=${this.live} .search=${search ?? ""}></cp-calls>`;
      case "/admin/trunks": return html`<cp-trunks .live=${this.live}></cp-trunks>`;
      case "/admin/dialplan": return html`<cp-dialplan .search=${search ?? ""}></cp-dialplan>`;
      case "/admin/recordings": return html`<cp-recordings></cp-recordings>`;
      case "/admin/ivr": return html`<cp-ivr-runs></cp-ivr-runs>`;
      case "/admin/records": return html`<cp-records .search=${search ?? ""}></cp-records>`;
      default: return html`<h1>Nothing is here</h1>`;
    }
  }

  protected override render(): unknown {
    if (this.who === undefined) return nothing;
    if (this.who === null) {
      return html`<main class="login"><form @submit=${(event: SubmitEvent) => this.logIn(event)}>
        <h1>Crosspoint</h1>
        <label>Key <input type="password" name="key" autocomplete="current-password" required autofocus></label>
        <button class="go">Log in</button>
        ${this.fault ? html`<p class="fault" role="alert">${this.fault}</p>` : nothing}
        <p class="hint">The operator’s key was made at the gateway’s first start; its log says in which file it is.</p>
      </form></main>`;
    }
    const here = (path: string) => this.path.split(/[?]/)[0] === path || this.path.startsWith(`${path}/`) || (path === "/admin/calls" && /^\/admin\/?$/.test(this.path));
    return html`
      <div class="top"><nav aria-label="Screens">
        <strong><img src="/icon.svg" alt="" width="24" height="24"> Crosspoint</strong>
        ${MENU.map(([path, name, key]) => html`<a href=${path} aria-current=${here(path) ? "page" : nothing} aria-keyshortcuts="g ${key}">${name}</a>`)}
        <span class="grow"></span>
        <button class="link" @click=${() => { this.help = !this.help; }} aria-expanded=${this.help ? "true" : "false"}>Keys</button>
        <span>${this.who}</span>
        <button class="link" @click=${() => this.logOut()}>Log out</button>
      </nav>
      <div role="status" data-lost=${this.lost === undefined ? "no" : "yes"}>${this.lost === undefined ? nothing : html`<p class="lost">No connection to the gateway since ${clock(new Date(this.lost).toISOString())}. What is shown of calls is of then; it is tried again and again.</p>`}</div></div>
      ${this.help ? html`<div class="help" role="group" aria-label="Keys of the keyboard"><dl>
        ${MENU.map(([, name, key]) => html`<div><dt><kbd>g</kbd> <kbd>${key}</kbd></dt><dd>${name}</dd></div>`)}
        <div><dt><kbd>j</kbd> <kbd>k</kbd></dt><dd>down, up</dd></div><div><dt><kbd>Enter</kbd></dt><dd>open</dd></div>
        <div><dt><kbd>/</kbd></dt><dd>search</dd></div><div><dt><kbd>h</kbd></dt><dd>hang up the call shown</dd></div>
        <div><dt><kbd>e</kbd></dt><dd>edit the plan</dd></div><div><dt><kbd>?</kbd></dt><dd>these keys</dd></div></dl></div>` : nothing}
      <main>${this.screen()}</main>`;
  }
}
customElements.define("cp-admin", Admin);
