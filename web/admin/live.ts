// The live calls: read once, then kept by the gateway's events. Where the gateway is gone this says so and since
// when, comes back by itself, and reads everything anew.
import { all, get, Problem, type CallRecord } from "./api";

/** The pauses between one try and the next, in milliseconds; the last one for ever. */
const PAUSES = [1000, 2000, 4000, 8000, 15_000];

export class Live extends EventTarget {
  readonly calls = new Map<string, CallRecord>();
  /** Since when nothing is heard of the gateway (milliseconds as of `Date.now`); what is in `calls` is of then. */
  lost: number | undefined;
  /** Why this login is not shown calls at all. */
  refused = "";
  /** The list has been read: that it is empty means something. */
  ready = false;
  private source: EventSource | undefined;
  private frame = 0;
  private tries = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** What was told while the list is read: it may be newer than the list. */
  private waiting: (() => void)[] | undefined;

  start(): void {
    this.stop();
    this.connect();
  }

  /** Also forgets: whoever logs in next may see less. */
  stop(): void {
    this.close();
    this.calls.clear();
    this.lost = undefined;
    this.refused = "";
    this.ready = false;
    this.tries = 0;
    this.changed();
  }

  private close(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.source?.close();
    this.source = undefined;
    this.waiting = undefined;
  }

  private connect(): void {
    const source = new EventSource("/v1/events");
    this.source = source;
    source.addEventListener("open", () => void this.read());
    // The browser's own tries come at one pace, and none comes after a refusal: ours do.
    source.addEventListener("error", () => source === this.source && void this.failed());
    source.addEventListener("reset", () => void this.read());
    for (const type of ["call.started", "call.state"]) {
      source.addEventListener(type, (event) => this.told(() => this.put(JSON.parse(event.data).data)));
    }
    source.addEventListener("call.ended", (event) => this.told(() => this.calls.delete(JSON.parse(event.data).data.id)));
    for (const type of ["trunk.up", "trunk.down"]) {
      source.addEventListener(type, () => this.dispatchEvent(new Event("trunks")));
    }
  }

  /** An event source does not say why it ended; a request does: the login is over (`ask` tells that), this login
   *  may not see calls, or the gateway is away. */
  private async failed(): Promise<void> {
    this.again();
    const timer = this.timer;
    try {
      await get("/v1/calls?limit=1");
    } catch (error) {
      if (timer === this.timer && error instanceof Problem) this.refuse(error);
    }
  }

  /** Nothing is heard: another try after a pause. */
  private again(): void {
    this.close();
    this.later(() => this.connect());
  }

  private later(act: () => void): void {
    this.lost ??= Date.now();
    clearTimeout(this.timer);
    this.timer = setTimeout(act, PAUSES[Math.min(this.tries++, PAUSES.length - 1)]);
    this.changed();
  }

  /** True where the answer was a refusal for good. */
  private refuse(problem: Problem): boolean {
    if (problem.status !== 403) return false;
    this.stop();
    this.refused = problem.message;
    return true;
  }

  /** Everything anew: after a gap nobody knows what was missed. */
  private async read(): Promise<void> {
    const waiting: (() => void)[] = this.waiting = [];
    const calls = await all<CallRecord>("/v1/calls").catch((error: unknown) => error);
    // A later reading has begun: what was told since then waits for that one.
    if (this.waiting !== waiting) return;
    this.waiting = undefined;
    if (!Array.isArray(calls)) {
      // What is not known is not "no calls": what was shown stays, as far as it is told, until the list can be read.
      if (calls instanceof Problem && this.refuse(calls)) return;
      for (const act of waiting) act();
      this.later(() => this.source && !this.waiting && void this.read());
      return;
    }
    clearTimeout(this.timer);
    this.calls.clear();
    for (const call of calls as CallRecord[]) this.calls.set(call.id, call);
    for (const act of waiting) act();
    this.lost = undefined;
    this.tries = 0;
    this.ready = true;
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
