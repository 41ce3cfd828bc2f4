import { Call, type CallInit, type Line } from "./call.js";
import { PhoneError } from "./errors.js";
import { IncomingCallEvent, PhoneErrorEvent, Target } from "./events.js";
import { Wire, type Body } from "./wire.js";

export type PhoneState = "new" | "connecting" | "ready" | "reconnecting" | "closed";

export interface PhoneInit {
  /** wss://host/v1/rtc */
  url: string | URL;
  /** A string, or (better) a function: called at connect, before expiry and after a refusal. */
  token: string | (() => string | Promise<string>);
  /** Default true: receive calls. */
  incoming?: boolean;
  /** Used for getUserMedia when no track is given. */
  audio?: MediaTrackConstraints;
  iceTransportPolicy?: RTCIceTransportPolicy;
  /** Waits before a new attempt in ms; null or the end of the list gives up. */
  retryDelays?: number[] | ((attempt: number, elapsed: number) => number | null);
  logger?: (level: "debug" | "info" | "warn" | "error", msg: string, data?: unknown) => void;
}

export interface PhoneEventMap {
  statechange: Event;
  incomingcall: IncomingCallEvent;
  error: PhoneErrorEvent;
}

/** The connection to a gateway: places and receives calls. */
export class Phone extends Target<PhoneEventMap> {
  onstatechange: ((ev: Event) => unknown) | null = null;
  onincomingcall: ((ev: IncomingCallEvent) => unknown) | null = null;
  onerror: ((ev: PhoneErrorEvent) => unknown) | null = null;
  private init: PhoneInit;
  private now: PhoneState = "new";
  private who: string | null = null;
  private able: ReadonlySet<string> = new Set();
  private wire: Wire | null = null;
  private ice: RTCIceServer[] = [];
  private live = new Map<string, Call>();
  private retry: ReturnType<typeof setTimeout> | undefined;
  private renewing = false;

  constructor(init: PhoneInit) {
    super();
    this.init = init;
  }

  /** Whether this browser and page can make calls. */
  static get supported(): boolean {
    return typeof RTCPeerConnection === "function" && !!navigator.mediaDevices?.getUserMedia;
  }

  get state(): PhoneState { return this.now; }
  get identity(): string | null { return this.who; }
  get calls(): readonly Call[] { return [...this.live.values()]; }
  get features(): ReadonlySet<string> { return this.able; }

  /** Connects and logs in; afterwards the connection is renewed by itself until `close()`. */
  async connect(options: { signal?: AbortSignal } = {}): Promise<void> {
    if (this.now === "ready") return;
    if (this.now === "connecting") throw new PhoneError("signal/wrong-state");
    clearTimeout(this.retry);
    this.become("connecting");
    try {
      await this.open(options.signal);
    } catch (error) {
      this.become("new");
      throw error;
    }
  }

  /** Places a call; resolves when the gateway took it. */
  async call(to: string, init: CallInit = {}): Promise<Call> {
    if (this.now !== "ready") throw new PhoneError(this.now === "closed" ? "signal/closed" : "signal/unreachable");
    return Call._place(this.line(), to, init, (call) => this.live.set(call.id, call));
  }

  /** Hangs up every call and disconnects. */
  close(): void {
    if (this.now === "closed") return;
    clearTimeout(this.retry);
    for (const call of this.live.values()) void call.hangup();
    const wire = this.wire;
    this.wire = null;
    this.become("closed");
    wire?.close();
    for (const call of this.live.values()) call._end({ code: "hangup", by: "local" });
  }

  private async open(signal?: AbortSignal): Promise<void> {
    const token = await this.token();
    const wire = await Wire.open(String(this.init.url), signal);
    if (this.state === "closed") {
      wire.close();
      throw new PhoneError("signal/closed");
    }
    this.wire = wire;
    wire.onevent = (body) => this.event(body);
    wire.onclose = (code, reason) => this.lost(wire, code, reason);
    let welcome: Body;
    try {
      welcome = await wire.request("hello", { token, client: { name: "crosspoint-sdk", version: VERSION } });
    } catch (error) {
      this.wire = null;
      wire.close();
      throw error;
    }
    this.who = welcome["identity"] ?? null;
    this.ice = welcome["ice_servers"] ?? [];
    this.able = new Set(welcome["features"] ?? []);
    this.become("ready");
  }

  private async token(): Promise<string> {
    const { token } = this.init;
    return typeof token === "string" ? token : await token();
  }

  private line(): Line {
    return {
      request: (type, body) => this.wire?.request(type, body) ?? Promise.reject(new PhoneError("signal/connection-lost")),
      configuration: () => ({
        iceServers: this.ice,
        bundlePolicy: "max-bundle",
        ...(this.init.iceTransportPolicy ? { iceTransportPolicy: this.init.iceTransportPolicy } : {}),
      }),
      audio: this.init.audio,
      gone: (call) => this.live.delete(call.id),
      log: (level, msg, data) => this.init.logger?.(level, msg, data),
    };
  }

  private event(body: Body): void {
    switch (body["type"]) {
      case "call.incoming":
        this.incoming(body);
        break;
      case "token.expiring":
        void this.renew();
        break;
      case "closing":
        this.init.logger?.("info", "the gateway is closing: " + body["reason"]);
        break;
      default:
        this.live.get(body["call"])?._event(body);
    }
  }

  private incoming(body: Body): void {
    if (this.live.has(body["call"])) return;
    const call = Call._incoming(this.line(), body);
    if (this.init.incoming === false) {
      call.reject("unavailable").catch(() => {});
      return;
    }
    this.live.set(call.id, call);
    this._fire(new IncomingCallEvent("incomingcall", call));
  }

  private async renew(): Promise<void> {
    if (typeof this.init.token === "string" || this.renewing) return;
    this.renewing = true;
    try {
      const token = await this.token();
      await this.wire?.request("token", { token });
    } catch (error) {
      this.report(error);
    } finally {
      this.renewing = false;
    }
  }

  private lost(wire: Wire, code: number, reason: string): void {
    if (this.wire !== wire) return;
    this.wire = null;
    if (this.now !== "ready") return;
    const stopping = code === 4503;
    for (const call of this.live.values()) {
      call._end({ code: stopping ? "server-shutdown" : "internal", by: "gateway", retryable: true });
    }
    // A wrong origin or a second tab does not heal by trying again; neither does a dead fixed token.
    const final = code === 4403 || code === 4409 || (code === 4401 && typeof this.init.token === "string");
    if (final) {
      this.become("closed");
      const known = code === 4401 ? "auth/expired" : code === 4403 ? "auth/origin" : "signal/stale-session";
      this.report(new PhoneError({ code: /^[a-z]+\//.test(reason) ? reason : known }));
      return;
    }
    this.become("reconnecting");
    this.again(0, Date.now());
  }

  private again(attempt: number, since: number): void {
    const delays = this.init.retryDelays ?? RETRY_DELAYS;
    const wait = typeof delays === "function" ? delays(attempt, Date.now() - since) : (delays[attempt] ?? null);
    if (wait === null) {
      this.become("closed");
      return this.report(new PhoneError("signal/unreachable"));
    }
    // Spread, so that all pages of a gateway do not come back in the same moment.
    this.retry = setTimeout(async () => {
      try {
        await this.open();
      } catch (error) {
        this.init.logger?.("warn", "no connection yet", error);
        if (this.now === "reconnecting") this.again(attempt + 1, since);
      }
    }, wait * (0.75 + Math.random() / 2));
  }

  private become(state: PhoneState): void {
    if (this.now === state) return;
    this.now = state;
    this._fire(new Event("statechange"));
  }

  private report(error: unknown): void {
    this._fire(new PhoneErrorEvent(error instanceof PhoneError ? error : new PhoneError("signal/unreachable", null, error)));
  }
}

const VERSION = "0.1.0";
/** About ten minutes. */
const RETRY_DELAYS = [300, 1000, 2000, 4000, 8000, ...Array<number>(60).fill(10_000)];
