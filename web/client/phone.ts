import { Call, type CallInit, type Line } from "./call.js";
import { AudioDevices } from "./devices.js";
import { PhoneError } from "./errors.js";
import { CallEvent, IncomingCallEvent, PhoneErrorEvent, Target, VoicemailEvent } from "./events.js";
import { preflight, type PreflightInit, type PreflightReport } from "./preflight.js";
import { Tab } from "./tab.js";
import { Seen, Wire, type Body } from "./wire.js";

export type PhoneState = "new" | "connecting" | "ready" | "reconnecting" | "closed";
export type PhoneFeature = "transfer" | "attended-transfer" | "recording" | "emergency" | "captions";

export interface PhoneInit {
  /** wss://host/v1/rtc */
  url: string | URL;
  /** A string, or (better) a function: called at connect, before expiry and after a refusal. A lost
   *  connection comes back with the token of before for as long as that is good. */
  token: string | (() => string | Promise<string>);
  /** Default true: receive calls. */
  incoming?: boolean;
  /** "tab" (default): calls survive a reload of the page, by way of sessionStorage. */
  resume?: "tab" | "off";
  /** Used for getUserMedia when no track is given. */
  audio?: MediaTrackConstraints;
  /** When the microphone of a call that comes in is opened. "ringing" (default): at the first ring, where
   *  the user has allowed it before, so that the caller is answered at once; nothing of it is sent before
   *  the answer, and the browser shows that it is in use. "answer": not before. */
  microphone?: "ringing" | "answer";
  iceTransportPolicy?: RTCIceTransportPolicy;
  /** Waits before a new attempt in ms; null or the end of the list gives up. */
  retryDelays?: number[] | ((attempt: number, elapsed: number) => number | null);
  logger?: (level: "debug" | "info" | "warn" | "error", msg: string, data?: unknown) => void;
}

export interface PhoneEventMap {
  statechange: Event;
  incomingcall: IncomingCallEvent;
  /** After a reload of the page: a call of its life before. */
  resumedcall: CallEvent;
  /** A message was left in a mailbox of this user's. */
  voicemail: VoicemailEvent;
  error: PhoneErrorEvent;
  devicechange: Event;
}

/** The connection to a gateway: places and receives calls. */
export class Phone extends Target<PhoneEventMap> {
  onstatechange: ((ev: Event) => unknown) | null = null;
  onincomingcall: ((ev: IncomingCallEvent) => unknown) | null = null;
  onresumedcall: ((ev: CallEvent) => unknown) | null = null;
  onvoicemail: ((ev: VoicemailEvent) => unknown) | null = null;
  ondevicechange: ((ev: Event) => unknown) | null = null;
  onerror: ((ev: PhoneErrorEvent) => unknown) | null = null;
  readonly devices: AudioDevices = new AudioDevices();
  private init: PhoneInit;
  private now: PhoneState = "new";
  private who: string | null = null;
  private able: ReadonlySet<PhoneFeature> = new Set();
  private echo: string | null = null;
  private wire: Wire | null = null;
  private ice: RTCIceServer[] = [];
  private live = new Map<string, Call>();
  /** Calls that the gateway is to end when it can be told. */
  private leaving = new Set<string>();
  private tab: Tab;
  /** The token that was good last. */
  private good: string | null = null;
  private seen = new Seen();
  private retry: ReturnType<typeof setTimeout> | undefined;
  private hurry: (() => void) | null = null;
  private moved = false;
  private renewing = false;
  private network = (): void => this.networkChanged();
  private unload = (): void => this.tab.save(this.seen.last);

  constructor(init: PhoneInit) {
    super();
    this.init = init;
    this.tab = new Tab(String(init.url), init.resume !== "off");
    this.devices.addEventListener("devicechange", () => this._fire(new Event("devicechange")));
    this.devices._changed = async (what) => {
      await Promise.all([...this.live.values()].map((call) => call._device(what)));
    };
  }

  /** Whether this browser and page can make calls. */
  static get supported(): boolean {
    return typeof RTCPeerConnection === "function" && typeof navigator !== "undefined" && !!navigator.mediaDevices?.getUserMedia;
  }

  get state(): PhoneState { return this.now; }
  get identity(): string | null { return this.who; }
  get calls(): readonly Call[] { return [...this.live.values()]; }
  get features(): ReadonlySet<PhoneFeature> { return this.able; }

  /** Connects and logs in; afterwards the connection is renewed by itself until `close()`. */
  async connect(options: { signal?: AbortSignal } = {}): Promise<void> {
    if (this.now === "ready") return;
    if (this.now === "connecting") throw new PhoneError("signal/wrong-state");
    clearTimeout(this.retry);
    this.hurry = null;
    this.become("connecting");
    this.listen(true);
    try {
      await this.tab.load();
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

  /** Whether a call would work from here; `ready` also where it was not asked for an echo. */
  async preflight(options: PreflightInit = {}): Promise<PreflightReport> {
    return preflight({
      ping: () => this.wire?.probe() ?? Promise.reject(new PhoneError("signal/unreachable")),
      configuration: () => this.configuration(),
      audio: this.init.audio,
      call: (to, init) => this.call(to, init),
      echo: this.echo,
    }, options);
  }

  /** Hangs up every call and disconnects. */
  close(): void {
    if (this.now === "closed") return;
    clearTimeout(this.retry);
    this.listen(false);
    for (const call of this.live.values()) void call.hangup();
    const wire = this.wire;
    this.wire = null;
    this.tab.forget();
    this.become("closed");
    wire?.close();
    for (const call of this.live.values()) call._end({ code: "hangup", by: "local" });
  }

  private async open(signal?: AbortSignal, tried = false): Promise<void> {
    // A server that gives tokens is behind the same network that has just changed: first without it.
    const before = this.now === "reconnecting" ? this.good : null;
    const token = before ?? await this.token();
    const wire = await Wire.open(String(this.init.url), this.seen, signal);
    if (this.state === "closed") {
      wire.close();
      throw new PhoneError("signal/closed");
    }
    this.wire = wire;
    const early: Body[] = [];
    // What is sent again comes right behind the welcome, before its promise is settled.
    wire.onevent = (body) => early.push(body);
    wire.onclose = (code, reason) => this.lost(wire, code, reason);
    const hello = { token, client: { name: "crosspoint-sdk", version: VERSION } };
    const again = this.tab.session;
    let welcome: Body;
    try {
      welcome = await this.hello(wire, hello, early);
    } catch (error) {
      this.wire = null;
      wire.close();
      const code = error instanceof PhoneError ? error.code : "";
      const dated = typeof this.init.token === "function" && (before === null ? code === "auth/expired" : code.startsWith("auth/"));
      if (code.startsWith("auth/")) this.good = null;
      if (dated && !tried) return this.open(signal, before === null);
      throw error;
    }
    this.good = token;
    this.who = welcome["identity"] ?? null;
    this.ice = welcome["ice_servers"] ?? [];
    this.able = new Set(welcome["features"] ?? []);
    this.echo = welcome["echo"] ?? null;
    const same = again !== null && again === welcome["session"];
    if (!same) this.seen.reset(0);
    this.tab.keep(welcome["session"], welcome["resume"]);
    for (const view of welcome["calls"] ?? []) this.found(view);
    wire.onevent = (body) => this.event(body);
    for (const body of early) this.event(body);
    const moved = this.moved;
    this.moved = false;
    this.become("ready");
    await this.settle(wire, new Set((welcome["calls"] ?? []).map((view: Body) => view["call"])), moved);
  }

  /** Logs in: into the session of before where it is kept, else into a new one. */
  private async hello(wire: Wire, hello: Body, early: Body[]): Promise<Body> {
    const { session, resume } = this.tab;
    const lastSeq = Math.max(this.tab.lastSeq, this.seen.last);
    if (session !== null) {
      try {
        // A page that was loaded again has got what the one before it had.
        if (this.seen.last < lastSeq) this.seen.reset(lastSeq);
        const reason = this.live.size === 0 ? "reload" : "lost";
        return await wire.request("hello", { ...hello, session, resume, last_seq: lastSeq, reason });
      } catch (error) {
        if (!(error instanceof PhoneError && error.code === "signal/stale-session")) throw error;
        this.tab.forget();
      }
    }
    this.seen.reset(0);
    early.length = 0;
    return wire.request("hello", hello);
  }

  /** After the welcome: calls that the gateway does not know any more are over, the others go on. */
  private async settle(wire: Wire, known: Set<string>, moved: boolean): Promise<void> {
    for (const id of [...this.leaving]) {
      this.leaving.delete(id);
      if (known.has(id)) wire.request("call.hangup", { call: id }).catch(() => {});
    }
    if (this.live.size === 0) return;
    // Its reply comes behind everything that was sent again.
    await wire.probe().catch(() => {});
    if (this.wire !== wire) return;
    for (const call of [...this.live.values()]) {
      if (known.has(call.id)) call._back(moved);
      else if (call.state !== "new" && call.state !== "connecting") call._end({ code: "internal", by: "gateway", retryable: true });
    }
  }

  /** A call of the session: this page's own, or one of its life before. */
  private found(view: Body): void {
    const id = view["call"];
    if (this.live.has(id) || this.leaving.has(id)) return;
    if (view["direction"] === "incoming" && view["sdp"]) return this.incoming(view);
    const call = Call._restored(this.line(), view);
    this.live.set(id, call);
    // After everything that was sent again.
    queueMicrotask(() => {
      if (call.state === "ended") return;
      this._fire(new CallEvent("resumedcall", call));
      void call._revive();
    });
  }

  private async token(): Promise<string> {
    const { token } = this.init;
    if (typeof token === "string") return token;
    // The first may ask the user something; a later one must not wait for a dead connection for ever.
    if (this.now === "connecting") return token();
    return Promise.race([token(), new Promise<never>((_, no) => setTimeout(no, TOKEN_WITHIN, new PhoneError("signal/timeout")))]);
  }

  private configuration(): RTCConfiguration {
    return {
      iceServers: this.ice,
      bundlePolicy: "max-bundle",
      ...(this.init.iceTransportPolicy ? { iceTransportPolicy: this.init.iceTransportPolicy } : {}),
    };
  }

  private line(): Line {
    return {
      request: (type, body) => this.wire?.request(type, body) ?? Promise.reject(new PhoneError("signal/connection-lost")),
      online: () => this.now === "ready" && this.wire !== null,
      suspect: () => this.suspect(),
      early: this.init.microphone !== "answer",
      configuration: () => this.configuration(),
      audio: this.init.audio,
      devices: this.devices,
      channel: (body) => {
        if (typeof body["seq"] === "number" && this.seen.take(body["seq"])) this.event(body);
      },
      gone: (call) => {
        this.live.delete(call.id);
      },
      hangupLater: (call) => void this.leaving.add(call.id),
      log: (level, msg, data) => this.init.logger?.(level, msg, data),
    };
  }

  private event(body: Body): void {
    this.tab.save(this.seen.last);
    switch (body["type"]) {
      case "call.incoming":
        this.incoming(body);
        break;
      case "voicemail.waiting":
        this._fire(new VoicemailEvent(body["mailbox"], body["voicemail"], body["waiting"], body["duration_ms"]));
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
    if (this.init.incoming === false) {
      // Nothing of the call is made ready: no connection, no microphone.
      this.wire?.request("call.reject", { call: body["call"], reason: "unavailable" }).catch(() => {});
      return;
    }
    const call = Call._incoming(this.line(), body);
    this.live.set(call.id, call);
    this._fire(new IncomingCallEvent("incomingcall", call));
  }

  private async renew(): Promise<void> {
    if (this.renewing) return;
    const warn = (active: boolean) => this.live.forEach((call) => call._warn("token-expiring", active));
    if (typeof this.init.token === "string") return warn(true);
    this.renewing = true;
    try {
      const token = await this.token();
      await this.wire?.request("token", { token });
      this.good = token;
      warn(false);
    } catch (error) {
      warn(true);
      this.report(error);
    } finally {
      this.renewing = false;
    }
  }

  private lost(wire: Wire, code: number, reason: string): void {
    if (this.wire !== wire) return;
    this.tab.save(this.seen.last);
    this.wire = null;
    if (this.now !== "ready") return;
    if (code === 4401) this.good = null;
    // A wrong origin or a second tab does not heal by trying again; neither does a dead fixed token.
    const final = code === 4403 || code === 4409 || (code === 4401 && typeof this.init.token === "string");
    if (code === 4503 || final) {
      // These end the session at the gateway, or here.
      if (code !== 4409) this.tab.forget();
      const end = code === 4503 ? "server-shutdown" : "internal";
      for (const call of this.live.values()) call._end({ code: end, by: "gateway", retryable: true });
    }
    if (final) {
      this.listen(false);
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
      this.listen(false);
      this.become("closed");
      for (const call of this.live.values()) call._end({ code: "internal", by: "gateway", retryable: true });
      return this.report(new PhoneError("signal/unreachable"));
    }
    const go = async () => {
      clearTimeout(this.retry);
      this.hurry = null;
      try {
        await this.open();
      } catch (error) {
        this.init.logger?.("warn", "no connection yet", error);
        if (this.now !== "reconnecting") return;
        // The token is refused: trying again in the same way changes nothing.
        if (error instanceof PhoneError && error.code.startsWith("auth/") && typeof this.init.token === "string") {
          this.again(Infinity, since);
        } else this.again(attempt + 1, since);
      }
    };
    // Spread, so that all pages of a gateway do not come back in the same moment.
    this.retry = setTimeout(go, wait * (0.75 + Math.random() / 2));
    this.hurry = () => void go();
  }

  private listen(on: boolean): void {
    if (typeof window === "undefined") return;
    const change = on ? "addEventListener" : "removeEventListener";
    window[change]("online", this.network);
    window[change]("pagehide", this.unload);
    (navigator as { connection?: EventTarget }).connection?.[change]("change", this.network);
  }

  /** Another network: the socket is asked for a sign of life, or made anew at once. */
  private networkChanged(): void {
    this.moved = true;
    const wire = this.wire;
    if (wire && this.now === "ready") {
      wire.probe(SUSPECT_WITHIN).then(() => {
        if (this.wire !== wire) return;
        this.moved = false;
        for (const call of this.live.values()) call._back(true);
      }, () => {});
    } else this.hurry?.();
  }

  /** No sound comes: a socket that does not answer either went the same way. */
  private suspect(): void {
    this.wire?.probe(SUSPECT_WITHIN).catch(() => (this.moved = true));
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
/** In ms: a token's server answers within. */
const TOKEN_WITHIN = 10_000;
/** A socket under suspicion answers within: one cut for nothing costs a reconnect and no sound. */
const SUSPECT_WITHIN = 1000;
/** About ten minutes. */
const RETRY_DELAYS = [300, 1000, 2000, 4000, 8000, ...Array<number>(60).fill(10_000)];
