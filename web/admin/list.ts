// What lists of things that are over have in common: pages by cursor, the keyboard, one row each.
import { html, nothing } from "lit";
import { go, Screen } from "./element";
import { get, type List } from "./api";

export abstract class ListScreen<T extends { id: string }> extends Screen {
  static override properties = { items: { state: true }, next: { state: true }, chosen: { state: true }, fault: { state: true } };
  declare items: T[] | undefined;
  declare next: string | null;
  declare chosen: number;
  declare fault: string;

  /** Where the API has the list, where a page shows one of it, and what it is called. */
  protected abstract readonly list: { api: string; at: string; title: string };
  protected abstract readonly columns: string[];
  /** What is said where there is none. */
  protected abstract empty(): unknown;
  protected abstract row(item: T, chosen: string): unknown;

  constructor() {
    super();
    this.next = null;
    this.chosen = 0;
    this.fault = "";
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.read(null);
  }

  private async read(cursor: string | null): Promise<void> {
    try {
      const page = await get<List<T>>(`${this.list.api}?limit=100${cursor ? `&cursor=${cursor}` : ""}`);
      this.items = cursor ? [...this.items ?? [], ...page.items] : page.items;
      this.next = page.next;
      this.fault = "";
    } catch (error) {
      this.fault = (error as Error).message;
    }
  }

  override key(key: string): boolean {
    const items = this.items ?? [];
    if (key === "j" || key === "ArrowDown") this.chosen = Math.min(this.chosen + 1, items.length - 1);
    else if (key === "k" || key === "ArrowUp") this.chosen = Math.max(this.chosen - 1, 0);
    else if (key === "Enter" && items[this.chosen]) go(`${this.list.at}/${items[this.chosen]!.id}`);
    else return false;
    this.querySelectorAll("tbody tr")[this.chosen]?.scrollIntoView({ block: "nearest" });
    return true;
  }

  protected override render(): unknown {
    const items = this.items;
    return html`
      <header class="head"><h1>${this.list.title}</h1></header>
      ${this.fault ? html`<p class="fault" role="alert">${this.fault}</p>` : nothing}
      ${items === undefined ? nothing : items.length === 0 ? html`<p class="empty">${this.empty()}</p>` : html`
      <div class="scroll"><table class="records">
        <thead><tr>${this.columns.map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
        <tbody>${items.map((item, n) => this.row(item, n === this.chosen ? "chosen" : ""))}</tbody>
      </table></div>
      ${this.next ? html`<button @click=${() => this.read(this.next)}>More</button>` : nothing}`}`;
  }
}
