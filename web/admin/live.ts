// The live calls: read once, then kept by the gateway's events.
import { all, Problem, type CallRecord } from "./api";

export class Live extends EventTarget {
  readonly calls = new Map<string, CallRecord>();
  connected = false;
  private source: EventSource | undefined;
  private frame = 0;
  /** What was told while the list is read: it may be newer than the list. */
  private waiting: (() => void)[] | undefined;

  start(): void {
    this.stop();
    const source = new EventSource("/v1/events");
    this.source = source;
    source.addEventListener("open", () => {
      this.connected = true;
      void this.read();
    });
    source.addEventListener("error", () => {
      this.connected = false;
      this.changed();
    });
    source.addEventListener("reset", () => void this.read());
    for (const type of ["call.started", "call.state"]) {
      source.addEventListener(type, (event) => this.told(() => this.put(JSON.parse(event.data).data)));
    }
    source.addEventListener("call.ended", (event) => this.told(() => this.calls.delete(JSON.parse(event.data).data.id)));
    for (const type of ["trunk.up", "trunk.down"]) {
      source.addEventListener(type, () => this.dispatchEvent(new Event("trunks")));
    }
  }

  stop(): void {
    this.source?.close();
    this.source = undefined;
  }

  /** Everything anew: after a gap nobody knows what was missed. */
  private async read(): Promise<void> {
    const waiting: (() => void)[] = this.waiting = [];
    const calls = await all<CallRecord>("/v1/calls").catch((error: unknown) => error);
    // A later reading has begun: what was told since then waits for that one.
    if (this.waiting !== waiting) return;
    this.waiting = undefined;
    if (Array.isArray(calls)) {
      this.calls.clear();
      for (const call of calls as CallRecord[]) this.calls.set(call.id, call);
    } else if (!(calls instanceof Problem && calls.status === 401)) {
      // What was shown stays until the list can be read.
      setTimeout(() => this.source && !this.waiting && void this.read(), 2_000);
    }
    for (const act of waiting) act();
    this.changed();
  }

  private put(news: Partial<CallRecord> & { id: string }): void {
    const before = this.calls.get(news.id);
    this.calls.set(news.id, { ...(before ?? {} as CallRecord), ...news });
  }

  private told(act: () => void): void {
    if (this.waiting) this.waiting.push(act);
    else {
      act();
      this.changed();
    }
  }

  /** However much happens, there is one drawing a frame. */
  private changed(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.dispatchEvent(new Event("change"));
    });
  }
}
