// The last calls of this browser, newest first.

const KEY = "crosspoint.recent";
const MOST = 20;

export class Recent {
  constructor() {
    try {
      this.calls = JSON.parse(localStorage.getItem(KEY) ?? "[]").filter((entry) => typeof entry.number === "string");
    } catch {
      this.calls = [];
    }
  }

  add(entry) {
    if (!entry.number) return;
    this.calls = [entry, ...this.calls].slice(0, MOST);
    try {
      localStorage.setItem(KEY, JSON.stringify(this.calls));
    } catch {
      // Storage that is blocked: the list lives as long as the page.
    }
  }
}
