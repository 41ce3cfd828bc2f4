import type { ErrorCode } from "./codes.js";
import { PhoneError, type Refusal } from "./errors.js";

/** A JSON object of the protocol. */
export type Body = Record<string, any>;

interface Waiting {
  resolve(body: Body): void;
  reject(error: PhoneError): void;
  timer: ReturnType<typeof setTimeout>;
}

/** Which events have come: those of the socket and those of the data channels, in whatever order. @internal */
export class Seen {
  /** All up to this one have. */
  last = 0;
  private ahead = new Set<number>();

  /** Whether this one is new. */
  take(seq: number): boolean {
    if (seq <= this.last || this.ahead.has(seq)) return false;
    this.ahead.add(seq);
    while (this.ahead.delete(this.last + 1)) this.last++;
    return true;
  }

  /** `last` is the last one, whatever came. */
  reset(last: number): void {
    this.last = last;
    this.ahead.clear();
  }
}

/** One WebSocket that speaks `crosspoint.v1`: requests with replies, events, liveness. */
export class Wire {
  onevent: (body: Body) => void = () => {};
  onclose: (code: number, reason: string) => void = () => {};
  private seen: Seen;
  private socket: WebSocket;
  private nextId = 1;
  private waiting = new Map<number, Waiting>();
  private alive: ReturnType<typeof setInterval> | undefined;
  private over = false;

  private constructor(socket: WebSocket, seen: Seen) {
    this.socket = socket;
    this.seen = seen;
    socket.onmessage = (ev) => this.heard(ev.data);
    socket.onclose = (ev) => this.shut(ev.code, ev.reason);
    this.alive = setInterval(() => void this.probe().catch(() => {}), PING_EVERY);
  }

  /** @internal */
  static open(url: string, seen: Seen, signal?: AbortSignal): Promise<Wire> {
    return new Promise((resolve, reject) => {
      // A path of this page's own site is enough: not every browser takes it as it is.
      const at = new URL(url, typeof location === "undefined" ? undefined : location.href);
      at.protocol = at.protocol.replace("http", "ws");
      const socket = new WebSocket(at, "crosspoint.v1");
      const abandon = () => socket.close();
      signal?.addEventListener("abort", abandon, { once: true });
      const timer = setTimeout(abandon, OPEN_WITHIN);
      socket.onopen = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abandon);
        resolve(new Wire(socket, seen));
      };
      socket.onclose = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abandon);
        reject(new PhoneError("signal/unreachable"));
      };
    });
  }

  /** Sends a request and gives its reply; rejects with the refusal's code. */
  request(type: string, body: Body = {}, within = REPLY_WITHIN): Promise<Body> {
    if (this.over) return Promise.reject(new PhoneError("signal/connection-lost"));
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new PhoneError("signal/timeout"));
      }, within);
      this.waiting.set(id, { resolve, reject, timer });
      this.socket.send(JSON.stringify({ id, type, ...body }));
    });
  }

  close(): void {
    this.shut(1000, "");
  }

  private heard(data: unknown): void {
    let body: Body;
    try {
      body = JSON.parse(String(data));
    } catch {
      return;
    }
    if (typeof body["re"] === "number") {
      const waiting = this.waiting.get(body["re"]);
      if (!waiting) return;
      this.waiting.delete(body["re"]);
      clearTimeout(waiting.timer);
      if (body["error"]) waiting.reject(new PhoneError(body["error"] as Refusal));
      else waiting.resolve(body);
    } else if (typeof body["type"] === "string") {
      // Sent again after a resume, and here already.
      if (typeof body["seq"] === "number" && !this.seen.take(body["seq"])) return;
      this.onevent(body);
    }
  }

  /** Asks for a sign of life; without one within `ms` the connection is given up. */
  async probe(ms: number = PONG_WITHIN): Promise<void> {
    try {
      await this.request("ping", this.seen.last > 0 ? { last_seq: this.seen.last } : {}, ms);
    } catch (error) {
      if ((error as PhoneError).code === "signal/timeout") this.shut(4408, "");
      throw error;
    }
  }

  private shut(code: number, reason: string): void {
    if (this.over) return;
    this.over = true;
    clearInterval(this.alive);
    this.socket.onclose = null;
    // 1000 is goodbye; with another code the gateway keeps the session.
    if (code === 1000) this.socket.close(1000);
    else this.socket.close(4408);
    // The gateway gives the registry's code as the reason where it has one.
    const named = /^[a-z]+\/[a-z-]+$/.test(reason) ? (reason as ErrorCode) : "signal/connection-lost";
    for (const waiting of this.waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(new PhoneError(named));
    }
    this.waiting.clear();
    this.onclose(code, reason);
  }
}

/** A network that has changed lets the first attempts hang: the next one finds it. */
const OPEN_WITHIN = 5000;
const REPLY_WITHIN = 10_000;
const PING_EVERY = 20_000;
const PONG_WITHIN = 10_000;
