// What the screens have in common: they are elements in the page's own tree, under its one style sheet.
import { LitElement } from "lit";

export abstract class Screen extends LitElement {
  private undo: (() => void)[] = [];

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  /** Listens until the screen is left. */
  protected listen(target: EventTarget, type: string, act: (event: Event) => void): void {
    target.addEventListener(type, act);
    this.undo.push(() => target.removeEventListener(type, act));
  }

  /** Does something every `ms` until the screen is left. */
  protected every(ms: number, act: () => void): void {
    const timer = setInterval(act, ms);
    this.undo.push(() => clearInterval(timer));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.undo.splice(0).forEach((undo) => undo());
  }

  /** A key of the keyboard, where no field has the focus; true where it meant something. */
  key(_key: string): boolean {
    return false;
  }
}

/** Shows another address; in place of this one where it is only a detail of what is shown. */
export function go(path: string, instead = false): void {
  history[instead ? "replaceState" : "pushState"](null, "", path);
  dispatchEvent(new PopStateEvent("popstate"));
}
