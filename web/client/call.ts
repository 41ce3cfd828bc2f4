import type { AudioDevices } from "./devices.js";
import { CallDTMFReceiver, CallDTMFSender, type CollectInit, type CollectResult } from "./dtmf.js";
import type { DTMFReceipt } from "./events.js";
import { PhoneError } from "./errors.js";
import { CallEndedEvent, CallStatsEvent, CallWarningEvent, Target, TransferEvent, type TransferResult } from "./events.js";
import { microphone, microphonePermission, Sink, type MediaInit } from "./media.js";
import { Peer } from "./peer.js";
import { Meter, TrunkMeter, Watch, type CallStats } from "./stats.js";
import { ulid } from "./ulid.js";
import type { Body } from "./wire.js";

export type CallState = "new" | "connecting" | "ringing" | "early-media" | "active" | "reconnecting" | "ended";
export type CallDirection = "incoming" | "outgoing";

export interface Party {
  uri: string;
  number: string | null;
  display: string | null;
  verified: "A" | "B" | "C" | "failed" | null;
}

export type EndCode = "hangup" | "busy" | "no-answer" | "declined" | "cancelled" | "answered-elsewhere" | "unallocated"
  | "unreachable" | "blocked-by-dialplan" | "caller-id-not-allowed" | "limit-reached" | "trunk-failed"
  | "media-failed" | "media-timeout" | "max-duration" | "server-shutdown" | "internal";

export interface EndReason {
  code: EndCode;
  by: "local" | "remote" | "gateway";
  sip: { status: number; reason: string } | null;
  q850: number | null;
  /** One sentence for people. */
  message: string;
  /** Whether the same call may succeed when tried again soon. */
  retryable: boolean;
}

export interface CallInit extends MediaInit {
  /** The caller number; must be one that the token and the dial plan allow. */
  from?: string;
  /** At most 32 words of the application's own. */
  metadata?: Record<string, string>;
  /** How long it may ring, in ms. */
  timeout?: number;
  /** Tones to send after the answer: "1w4242#". */
  dtmfAfterAnswer?: string;
  signal?: AbortSignal;
}

export interface CallEventMap {
  statechange: Event;
  ended: CallEndedEvent;
  /** See `held` and `heldByRemote`. */
  heldchange: Event;
  mutechange: Event;
  stats: CallStatsEvent;
  warning: CallWarningEvent;
  transfer: TransferEvent;
  /** From the application server. */
  message: MessageEvent;
}

/** What a call needs of its phone. @internal */
export interface Line {
  request(type: string, body: Body): Promise<Body>;
  online(): boolean;
  /** The path of the sound is dead: the socket's may be, too. */
  suspect(): void;
  /** Whether the microphone may be opened while a call rings. */
  early: boolean;
  configuration(): RTCConfiguration;
  audio: MediaTrackConstraints | undefined;
  devices: AudioDevices;
  /** An event that came by the data channel. */
  channel(body: Body): void;
  gone(call: Call): void;
  /** Ends the call at the gateway as soon as it can be told. */
  hangupLater(call: Call): void;
  log(level: "debug" | "info" | "warn" | "error", msg: string, data?: unknown): void;
}

/** One call, from the first ring to its end. */
export class Call extends Target<CallEventMap> {
  /** The id used by REST, records, traces and logs. */
  readonly id: string;
  readonly direction: CallDirection;
  readonly from: Party;
  readonly to: Party;
  readonly metadata: Readonly<Record<string, string>>;
  readonly dtmf: CallDTMFSender;
  readonly remoteDTMF: CallDTMFReceiver = new CallDTMFReceiver();
  /** One stable object for the life of the call. */
  readonly remoteStream: MediaStream = new MediaStream();
  onstatechange: ((ev: Event) => unknown) | null = null;
  onended: ((ev: CallEndedEvent) => unknown) | null = null;
  onheldchange: ((ev: Event) => unknown) | null = null;
  onmutechange: ((ev: Event) => unknown) | null = null;
  onwarning: ((ev: CallWarningEvent) => unknown) | null = null;
  private line: Line;
  private now: CallState;
  /** The state as the gateway knows it. */
  private told: CallState;
  /** The number of the last event of a type that tells how something is. */
  private newest: Record<string, number> = {};
  private peer: Peer;
  private ownTrack = false;
  private sink = new Sink();
  private silent = false;
  private holds = false;
  private isHeld = false;
  private answered: Date | null = null;
  private reason: EndReason | null = null;
  private offer: string | null = null;
  /** Whether the connection of a call that rings is on its way up. */
  private warming: Promise<boolean> = Promise.resolve(false);
  /** Asked for while it rings: at the click there is no time. */
  private permission: PermissionStatus | null = null;
  /** The microphone, open while it rings. */
  private early: Promise<MediaStreamTrack> | null = null;
  private ringing: ReturnType<typeof setTimeout> | undefined;
  private afterAnswer: string | null = null;
  private meter = new Meter();
  private trunkMeter = new TrunkMeter();
  private watch: Watch;
  private looking: ReturnType<typeof setInterval> | undefined;
  private looks = 0;
  private lastCounts = [0, 0];
  /** Whether packets came within the last second. */
  private came = false;
  private trunk: CallStats["trunk"] = null;
  private trunkCodec = "";
  private abandon: (error: PhoneError) => void = () => {};
  /** Rejects at the end of the call: work on a closed peer connection never settles by itself. */
  private readonly abandoned = new Promise<never>((_, reject) => { this.abandon = reject; });

  private constructor(line: Line, id: string, direction: CallDirection, from: Party, to: Party, metadata: Record<string, string>) {
    super();
    this.line = line;
    this.id = id;
    this.direction = direction;
    this.from = from;
    this.to = to;
    this.metadata = Object.freeze({ ...metadata });
    this.now = this.told = direction === "incoming" ? "ringing" : "new";
    this.abandoned.catch(() => {});
    const request = (type: string, body: Body = {}) => line.request(type, { call: id, ...body });
    this.peer = new Peer({
      request,
      configuration: () => line.configuration(),
      log: (level, msg, data) => line.log(level, msg, data ?? id),
      online: () => line.online(),
      channel: (body) => line.channel(body),
      heard: (track) => this.hear(track),
      flowing: (up) => this.flowing(up),
      gaveUp: (error) => this.fail(error),
    });
    this.dtmf = new CallDTMFSender({
      rtp: () => this.rtpDtmf(),
      open: () => ["connecting", "early-media", "active", "reconnecting"].includes(this.now) || (this.now === "ringing" && direction === "outgoing"),
      request,
    });
    this.watch = new Watch((name, active, value, threshold) => this._fire(new CallWarningEvent(name, active, value, threshold)));
  }

  get state(): CallState { return this.now; }
  get answeredAt(): Date | null { return this.answered; }
  get endReason(): EndReason | null { return this.reason; }
  /** Replaced when media moves: do not keep it. */
  get peerConnection(): RTCPeerConnection | null { return this.peer.pc; }
  /** The sound that is sent. */
  get localTrack(): MediaStreamTrack | null { return this.peer.track; }
  /** Whether this side holds the call. */
  get held(): boolean { return this.holds; }
  /** Whether the other side does. */
  get heldByRemote(): boolean { return this.isHeld; }

  get muted(): boolean { return this.silent; }
  set muted(muted: boolean) {
    if (muted === this.silent) return;
    this.silent = muted;
    if (this.peer.track) this.peer.track.enabled = !muted;
    // The gateway keeps it for a page that is loaded again.
    if (!this.over()) this.ask("call.mute", { muted }).catch((error) => this.line.log("debug", "mute was not told", error));
    this._fire(new Event("mutechange"));
  }

  /** Takes an incoming call. */
  async answer(init: MediaInit = {}): Promise<void> {
    const offer = this.offer;
    if (this.direction !== "incoming" || this.now !== "ringing" || offer === null) {
      throw new PhoneError("signal/wrong-state", this);
    }
    this.offer = null;
    try {
      const warm = await this.warming;
      const ready = this.prepare(init, warm);
      // A microphone that is allowed opens while the gateway answers.
      const beside = warm && (init.track !== undefined || this.permission?.state === "granted");
      if (!beside) await ready;
      ready.catch(() => {});
      const taken = warm ? this.ask("call.answer", { sdp: "" }) : this.alive(this.peer.answer(offer)).then((sdp) => this.ask("call.answer", { sdp }));
      taken.catch(() => {});
      this.become("connecting");
      const heard = this.remoteStream.getAudioTracks()[0];
      if (heard) this.hear(heard);
      await ready;
      this.play();
      await taken;
      this.peer.release();
    } catch (error) {
      if (this.over()) throw new PhoneError("call/ended", this, error);
      // Without a microphone the call may still be taken after the user has changed that.
      if (error instanceof PhoneError && error.code.startsWith("media/") && this.now === "ringing") this.offer = offer;
      else this.fail(error);
      throw error instanceof PhoneError ? error : new PhoneError("media/failed", this, error);
    }
  }

  /** Refuses an incoming call. */
  async reject(reason: "busy" | "declined" | "unavailable" = "declined"): Promise<void> {
    if (this.direction !== "incoming" || this.now !== "ringing") throw new PhoneError("signal/wrong-state", this);
    const words = { busy: "You are on another call.", declined: "You declined the call.", unavailable: "You cannot take the call." };
    await this.ask("call.reject", { reason });
    this._end({ code: reason === "busy" ? "busy" : "declined", by: "local", message: words[reason] });
  }

  /** Ends the call, whatever it is doing. */
  async hangup(): Promise<void> {
    if (this.over()) return;
    try {
      await this.ask("call.hangup");
      // How it ended is told behind the reply.
      await Promise.race([this.abandoned.catch(() => {}), new Promise((done) => setTimeout(done, END_WITHIN))]);
      this._end({ code: "hangup", by: "local" });
    } catch (error) {
      // The gateway cannot be told now: here it ends all the same, and there when it can.
      this.line.log("warn", "hang-up was not confirmed", error);
      this.line.hangupLater(this);
      this._end({ code: "hangup", by: "local" });
    }
  }

  /** The other side hears music or silence until `unhold`. */
  async hold(): Promise<void> {
    await this.ask("call.hold");
    this.holding(true, this.isHeld);
  }

  async unhold(): Promise<void> {
    await this.ask("call.unhold");
    this.holding(false, this.isHeld);
  }

  /** Blind when given an address, attended when given another active call. */
  async transfer(to: string | Call): Promise<TransferResult> {
    const reply = await this.ask("call.transfer", typeof to === "string" ? { to } : { other_call: to.id });
    return { status: reply["status"] ?? "accepted", sip: reply["sip"] ?? null };
  }

  /** Sends another sound from now on, or none. */
  async replaceTrack(track: MediaStreamTrack | null): Promise<void> {
    const before = this.peer.track;
    await this.peer.replaceTrack(track);
    if (this.ownTrack) before?.stop();
    this.ownTrack = false;
    if (track) track.enabled = !this.silent;
  }

  /** What the phone side presses, until `max` keys, the terminator or a pause. */
  collectDigits(options: CollectInit = {}): Promise<CollectResult> {
    return this.remoteDTMF._collect(options, this.abandoned);
  }

  /** To the application server. */
  async sendMessage(data: unknown): Promise<void> {
    await this.ask("call.message", { data });
  }

  /** The browser's view and the gateway's in one. */
  async getStats(): Promise<CallStats> {
    return this.meter.read(this.peer.pc, this.trunk);
  }

  /** The user's own word on the quality. */
  async report(rating: 1 | 2 | 3 | 4 | 5, problem?: "one-way-audio" | "choppy" | "echo" | "delay" | "noise" | "dropped", note?: string): Promise<void> {
    await this.ask("call.report", { rating, problem: problem ?? null, note: note ?? null });
  }

  /** @internal */
  static async _place(line: Line, to: string, init: CallInit, created: (call: Call) => void): Promise<Call> {
    init.signal?.throwIfAborted();
    const id = "call_" + ulid();
    const call = new Call(line, id, "outgoing", party({ number: init.from }), party({ uri: to, number: to }), init.metadata ?? {});
    const abort = () => void call.hangup();
    try {
      await call.prepare(init);
      created(call);
      if (init.signal?.aborted) throw new PhoneError("call/aborted", call);
      init.signal?.addEventListener("abort", abort, { once: true });
      call.become("connecting");
      const sdp = await call.alive(call.peer.offer());
      const body = { to, from: init.from ?? null, metadata: init.metadata ?? {}, sdp };
      const asked = call.ask("call.start", body).catch((error: PhoneError) => {
        // The id makes the second the same call as the first.
        if (error.code === "signal/timeout" && !call.over()) return call.ask("call.start", body);
        throw error;
      });
      call.peer.release();
      const reply = await call.alive(asked);
      call.to.number = String(reply["to"] ?? to);
      await call.alive(call.peer.accept(reply["sdp"]));
      if (init.timeout) call.ringing = setTimeout(() => void call.hangup(), init.timeout);
      call.afterAnswer = init.dtmfAfterAnswer ?? null;
      return call;
    } catch (error) {
      init.signal?.removeEventListener("abort", abort);
      // It ended by an event first: whoever waits learns why from the call.
      if (call.over() && call.reason && !(error instanceof PhoneError && error.code === "call/aborted")) return call;
      call.fail(error);
      throw error instanceof PhoneError ? new PhoneError({ ...copy(error) }, call, error) : new PhoneError("media/failed", call, error);
    }
  }

  /** @internal */
  static _incoming(line: Line, body: Body): Call {
    const from = party({ ...body["from"], verified: body["verified"] });
    const call = new Call(line, body["call"], "incoming", from, party(body["to"] ?? {}), body["metadata"] ?? {});
    call.offer = String(body["sdp"]);
    // From the click to sound both ways there is no time for ICE and DTLS.
    call.warming = call.peer.warm(call.offer).then(() => true, (error) => {
      line.log("debug", "not warm", error);
      return false;
    });
    void microphonePermission().then((status) => {
      call.permission = status;
      if (line.early && status?.state === "granted" && call.offer !== null && !call.over()) call.openEarly();
    });
    return call;
  }

  /** A call of this page's life before, as the gateway tells it. @internal */
  static _restored(line: Line, view: Body): Call {
    const from = party({ ...view["from"], verified: view["verified"] });
    const call = new Call(line, view["call"], view["direction"], from, party(view["to"] ?? {}), view["metadata"] ?? {});
    call.told = view["state"];
    call.now = "reconnecting";
    call.silent = Boolean(view["muted"]);
    call.holds = Boolean(view["held"]);
    call.isHeld = Boolean(view["held_by_remote"]);
    call.answered = view["answered_at"] ? new Date(view["answered_at"]) : null;
    call.remoteDTMF._restore(String(view["digits"] ?? ""));
    return call;
  }

  /** Puts sound under a restored call. @internal */
  async _revive(): Promise<void> {
    try {
      this.peer.track = await this.microphone();
      this.ownTrack = true;
      await this.alive(this.peer.replace(this.peer.track));
    } catch (error) {
      if (!this.over()) this.fail(error);
    }
  }

  /** The gateway can be asked again. @internal */
  _back(moved: boolean): void {
    this.peer.back(moved);
  }

  /** Another device was chosen. @internal */
  async _device(what: "input" | "output"): Promise<void> {
    if (what === "output") return this.sink.output(this.line.devices.outputId);
    if (this.early) {
      this.closeEarly();
      this.openEarly();
    }
    if (!this.ownTrack || !this.peer.track) return;
    const track = await this.microphone();
    await this.replaceTrack(track);
    this.ownTrack = true;
  }

  /** An event of the gateway about this call. @internal */
  _event(body: Body): void {
    // The channel and the socket overtake each other: what was so before it was otherwise is no news.
    const { type, seq } = body;
    if (typeof seq === "number" && ["call.state", "call.held", "dtmf.mode"].includes(type)) {
      if (seq < (this.newest[type] ?? 0)) return;
      this.newest[type] = seq;
    }
    switch (type) {
      case "call.state":
        this.told = body["state"] as CallState;
        this.trunkCodec = String(body["codec"] ?? this.trunkCodec);
        if (this.told === "active" && this.answered === null) this.pickedUp();
        if (this.now !== "reconnecting") this.become(this.told);
        break;
      case "call.ended":
        this._end({ code: body["code"], by: body["by"], sip: body["sip"] ?? null, q850: body["q850"] ?? null, message: body["message"], retryable: body["retryable"] });
        break;
      case "call.cancelled":
        this._end({ code: body["code"], by: "remote" });
        break;
      case "call.media":
        void this.peer.renewal(body["sdp"]);
        break;
      case "call.held":
        this.holding(body["by"] === "local" || body["by"] === "both", body["by"] === "remote" || body["by"] === "both");
        break;
      case "call.transfer":
        this._fire(new TransferEvent({ status: body["status"], sip: body["sip"] ?? null }));
        break;
      case "call.message":
        this._fire(new MessageEvent("message", { data: body["data"] }));
        break;
      case "call.stats":
        this.trunk = this.trunkMeter.read(this.trunkCodec, body["trunk"] ?? {});
        break;
      case "call.warning":
        this.watch.set(body["name"], Boolean(body["active"]), Number(body["value"]), Number(body["threshold"]));
        break;
      case "dtmf":
        this.remoteDTMF._event(body);
        break;
      case "dtmf.sent":
        this.dtmf._sent(String(body["tone"]), (body["receipt"] ?? {}) as DTMFReceipt);
        break;
      case "dtmf.mode":
        this.dtmf._mode(body);
        break;
      case "ice":
        this.peer.candidate(body["candidate"] ?? null);
        break;
    }
  }

  /** @internal */
  _warn(name: "token-expiring", active: boolean): void {
    this.watch.set(name, active, 0, 0);
  }

  /** @internal */
  _end(end: Partial<EndReason> & { code: EndCode }): void {
    if (this.over()) return;
    clearTimeout(this.ringing);
    clearInterval(this.looking);
    this.reason = {
      by: "gateway", sip: null, q850: null, retryable: false,
      ...end, message: end.message ?? END_WORDS[end.code] ?? end.code,
    };
    this.now = "ended";
    this.abandon(new PhoneError("call/ended", this));
    this.dtmf._end();
    const track = this.peer.track;
    this.peer.close();
    this.closeEarly();
    if (this.ownTrack) track?.stop();
    this.sink.close();
    this.line.gone(this);
    this._fire(new Event("statechange"));
    this._fire(new CallEndedEvent(this.reason));
  }

  private ask(type: string, body: Body = {}): Promise<Body> {
    return this.line.request(type, { call: this.id, ...body });
  }

  private alive<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.abandoned]);
  }

  private over(): boolean {
    return this.now === "ended";
  }

  private become(state: CallState): void {
    if (this.over() || this.now === state || state === "ended") return;
    this.now = state;
    if (state === "active") this.looking ??= setInterval(() => void this.look(), 1000);
    this._fire(new Event("statechange"));
  }

  private holding(local: boolean, remote: boolean): void {
    if (local === this.holds && remote === this.isHeld) return;
    this.holds = local;
    this.isHeld = remote;
    this._fire(new Event("heldchange"));
  }

  private pickedUp(): void {
    this.answered = new Date();
    clearTimeout(this.ringing);
    const tones = this.afterAnswer;
    this.afterAnswer = null;
    if (tones) queueMicrotask(() => !this.over() && this.dtmf.insertDTMF(tones));
  }

  private flowing(up: boolean): void {
    this.watch.set("ice-disconnected", !up, up ? 0 : 1, 1);
    if (!up) this.line.suspect();
    if (!up && this.now !== "reconnecting") this.become("reconnecting");
    else if (up && this.now === "reconnecting") this.become(this.told);
    if (up) this.dtmf._flows();
  }

  private async look(): Promise<void> {
    const stats = await this.getStats().catch(() => null);
    if (!stats || this.over()) return;
    const counts = [stats.inbound.packets, stats.outbound.packets];
    const [inbound, outbound] = [counts[0]! - this.lastCounts[0]!, counts[1]! - this.lastCounts[1]!];
    // The packets have stopped: on some networks that is the first sign that there is another one.
    if (inbound === 0 && this.came && this.now === "active") this.line.suspect();
    this.came = inbound > 0;
    this.lastCounts = counts;
    this.watch.look(stats, { muted: this.silent, deaf: !this.meter.hearsMicrophone, held: this.holds || this.isHeld, up: this.now === "active", in: inbound, out: outbound });
    this._fire(new CallStatsEvent(stats));
    if (++this.looks % 5 === 0 && this.line.online()) {
      const { rtt, mos, inbound, outbound, codec } = stats;
      this.ask("call.stats", { stats: { codec, rtt, mos, inbound, outbound } }).catch(() => {});
    }
  }

  private openEarly(): void {
    const opened = this.microphone();
    this.early = opened;
    // At the answer it is tried again, and said why not.
    opened.catch(() => {
      if (this.early === opened) this.early = null;
    });
  }

  /** Not needed, or another device's. */
  private closeEarly(): void {
    this.early?.then((track) => track.stop(), () => {});
    this.early = null;
  }

  private async microphone(): Promise<MediaStreamTrack> {
    const { inputId } = this.line.devices;
    const track = await microphone(inputId === null ? this.line.audio : { ...this.line.audio, deviceId: { exact: inputId } });
    void this.line.devices._refresh();
    if (this.over()) {
      track.stop();
      throw new PhoneError("call/ended", this);
    }
    track.enabled = !this.silent;
    return track;
  }

  private async prepare(init: MediaInit, warm = false): Promise<void> {
    if (init.muted !== undefined) this.silent = init.muted;
    this.sink.use(init.sink);
    // Before the sound of the far side: Safari plays none until the page has the microphone.
    if (init.track) this.closeEarly();
    const early = this.early;
    this.early = null;
    let track = init.track ?? await (early ?? this.microphone());
    // It was unplugged while it rang.
    if (!init.track && track.readyState === "ended") track = await this.microphone();
    this.ownTrack = !init.track;
    if (this.over()) {
      if (this.ownTrack) track.stop();
      throw new PhoneError("call/ended", this);
    }
    track.enabled = !this.silent;
    if (!warm) return void this.peer.open(track);
    await this.peer.replaceTrack(track);
  }

  private hear(track: MediaStreamTrack): void {
    for (const before of this.remoteStream.getTracks()) if (before !== track) this.remoteStream.removeTrack(before);
    this.remoteStream.addTrack(track);
    // A script's own change fires no event: the same word for the first track and for the next.
    this.remoteStream.dispatchEvent(new Event("addtrack"));
    if (this.direction !== "incoming" || this.now !== "ringing") this.play();
  }

  /** Once more when the microphone is open: before, Safari may have played nothing. */
  private play(): void {
    if (this.remoteStream.active) this.sink.play(this.remoteStream, this.line.devices.outputId, (error) => this.line.log("warn", "the browser does not play sound yet", error));
  }

  private rtpDtmf(): RTCDTMFSender | null {
    const pc = this.peer.pc;
    const dtmf = pc?.connectionState === "connected" && !this.holds ? pc.getSenders()[0]?.dtmf : null;
    return dtmf?.canInsertDTMF ? dtmf : null;
  }

  /** Ends here, and at the gateway where it is known there. */
  private fail(error: unknown): void {
    if (this.over()) return;
    if (this.now !== "new") this.ask("call.hangup").catch(() => this.line.hangupLater(this));
    const code = error instanceof PhoneError ? error.code : "media/failed";
    this._end({
      code: code.startsWith("media/") ? "media-failed" : (END_OF[code] ?? "internal"),
      by: code.startsWith("media/") ? "local" : "gateway",
      ...(error instanceof PhoneError ? { message: error.message, retryable: error.retryable, sip: sipOf(error) } : {}),
    });
  }
}

/** @internal */
export function party(given: Body): Party {
  return {
    uri: given["uri"] ?? "",
    number: given["number"] ?? null,
    display: given["display"] ?? null,
    verified: given["verified"] ?? null,
  };
}

function copy(error: PhoneError) {
  const { code, message, retryable, docs, retryAfter, details } = error;
  return { code, message, retryable, docs, details, ...(retryAfter === null ? {} : { retry_after_ms: retryAfter }) };
}

function sipOf(error: PhoneError): EndReason["sip"] {
  const sip = (error.details as Body | null)?.["sip"];
  return sip && typeof sip.status === "number" ? { status: sip.status, reason: String(sip.reason ?? "") } : null;
}

/** The end of a call that was refused before it was taken. */
const END_OF: Record<string, EndCode> = {
  "call/invalid-number": "unallocated",
  "call/unallocated": "unallocated",
  "call/blocked-by-dialplan": "blocked-by-dialplan",
  "call/caller-id-not-allowed": "caller-id-not-allowed",
  "call/limit-reached": "limit-reached",
  "call/unreachable": "unreachable",
  "call/trunk-failed": "trunk-failed",
  "call/aborted": "cancelled",
  "auth/forbidden": "blocked-by-dialplan",
  "server/draining": "server-shutdown",
};

const END_WITHIN = 3000;

/** Words for ends that come without any. */
const END_WORDS: Partial<Record<EndCode, string>> = {
  "hangup": "The call was hung up.",
  "cancelled": "The caller gave up.",
  "answered-elsewhere": "The call was answered elsewhere.",
  "declined": "The call was declined.",
  "busy": "The line is busy.",
  "media-failed": "No connection for sound could be made.",
  "internal": "The connection to the gateway was lost.",
  "server-shutdown": "The gateway is being stopped.",
};
