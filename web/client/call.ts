import { CallDTMFReceiver, CallDTMFSender } from "./dtmf.js";
import { PhoneError } from "./errors.js";
import { CallEndedEvent, Target } from "./events.js";
import { microphone, type MediaInit } from "./media.js";
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
  mutechange: Event;
}

/** What a call needs of its phone. @internal */
export interface Line {
  request(type: string, body: Body): Promise<Body>;
  configuration(): RTCConfiguration;
  audio: MediaTrackConstraints | undefined;
  gone(call: Call): void;
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
  onmutechange: ((ev: Event) => unknown) | null = null;
  private line: Line;
  private now: CallState;
  private pc: RTCPeerConnection | null = null;
  private track: MediaStreamTrack | null = null;
  private ownTrack = false;
  private sink: HTMLAudioElement | null = null;
  private ownSink = false;
  private silent = false;
  private answered: Date | null = null;
  private reason: EndReason | null = null;
  private offer: string | null = null;
  /** Candidates of the page that wait until the gateway knows the call. */
  private held: (RTCIceCandidateInit | null)[] | null = [];
  private early: (RTCIceCandidateInit | null)[] = [];
  private ringing: ReturnType<typeof setTimeout> | undefined;
  private afterAnswer: string | null = null;
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
    this.now = direction === "incoming" ? "ringing" : "new";
    this.abandoned.catch(() => {});
    this.dtmf = new CallDTMFSender({
      rtp: () => this.rtpDtmf(),
      open: () => ["connecting", "early-media", "active"].includes(this.now) || (this.now === "ringing" && direction === "outgoing"),
      request: (type, body) => line.request(type, { call: this.id, ...body }),
    });
  }

  get state(): CallState { return this.now; }
  get answeredAt(): Date | null { return this.answered; }
  get endReason(): EndReason | null { return this.reason; }
  /** Replaced when media moves: do not keep it. */
  get peerConnection(): RTCPeerConnection | null { return this.pc; }
  /** The sound that is sent. */
  get localTrack(): MediaStreamTrack | null { return this.track; }

  get muted(): boolean { return this.silent; }
  set muted(muted: boolean) {
    if (muted === this.silent) return;
    this.silent = muted;
    if (this.track) this.track.enabled = !muted;
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
      const pc = await this.prepare(init);
      this.become("connecting");
      await this.alive(pc.setRemoteDescription({ type: "offer", sdp: offer }));
      this.takeEarly();
      const transceiver = pc.getTransceivers()[0];
      if (!transceiver || !this.track) throw new PhoneError("media/bad-sdp", this);
      transceiver.direction = "sendrecv";
      await this.alive(transceiver.sender.replaceTrack(this.track));
      const answer = await this.alive(pc.createAnswer());
      await this.alive(pc.setLocalDescription(answer));
      await this.line.request("call.answer", { call: this.id, sdp: answer.sdp });
      this.release();
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
    await this.line.request("call.reject", { call: this.id, reason });
    this._end({ code: reason === "busy" ? "busy" : "declined", by: "local", message: words[reason] });
  }

  /** Ends the call, whatever it is doing. */
  async hangup(): Promise<void> {
    if (this.over()) return;
    try {
      await this.line.request("call.hangup", { call: this.id });
    } catch (error) {
      // The gateway does not know the call or is gone: here it ends all the same.
      this.line.log("warn", "hang-up was not confirmed", error);
      this._end({ code: "hangup", by: "local" });
    }
  }

  /** Sends another sound from now on, or none. */
  async replaceTrack(track: MediaStreamTrack | null): Promise<void> {
    await this.pc?.getSenders()[0]?.replaceTrack(track);
    if (this.ownTrack) this.track?.stop();
    this.ownTrack = false;
    this.track = track;
    if (track) track.enabled = !this.silent;
  }

  /** @internal */
  static async _place(line: Line, to: string, init: CallInit, created: (call: Call) => void): Promise<Call> {
    init.signal?.throwIfAborted();
    const id = "call_" + ulid();
    const call = new Call(line, id, "outgoing", party({ number: init.from }), party({ uri: to, number: to }), init.metadata ?? {});
    const abort = () => void call.hangup();
    try {
      const pc = await call.prepare(init);
      created(call);
      if (init.signal?.aborted) throw new PhoneError("call/aborted", call);
      init.signal?.addEventListener("abort", abort, { once: true });
      call.become("connecting");
      pc.addTransceiver(call.track!, { direction: "sendrecv" });
      const offer = await call.alive(pc.createOffer());
      await call.alive(pc.setLocalDescription(offer));
      const body = { call: id, to, from: init.from ?? null, metadata: init.metadata ?? {}, sdp: offer.sdp };
      const asked = line.request("call.start", body).catch((error: PhoneError) => {
        // The id makes the second the same call as the first.
        if (error.code === "signal/timeout" && !call.over()) return line.request("call.start", body);
        throw error;
      });
      call.release();
      const reply = await call.alive(asked);
      call.to.number = String(reply["to"] ?? to);
      await call.alive(pc.setRemoteDescription({ type: "answer", sdp: reply["sdp"] }));
      call.takeEarly();
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
    return call;
  }

  /** An event of the gateway about this call. @internal */
  _event(body: Body): void {
    switch (body["type"]) {
      case "call.state":
        if (body["state"] === "active" && this.answered === null) this.pickedUp();
        this.become(body["state"] as CallState);
        break;
      case "call.ended":
        this._end({ code: body["code"], by: body["by"], sip: body["sip"] ?? null, q850: body["q850"] ?? null, message: body["message"], retryable: body["retryable"] });
        break;
      case "call.cancelled":
        this._end({ code: body["code"], by: "remote" });
        break;
      case "dtmf":
        this.remoteDTMF._event(body);
        break;
      case "dtmf.sent":
        this.dtmf._sent(String(body["tone"]));
        break;
      case "ice":
        this.early.push(body["candidate"] ?? null);
        if (this.pc?.remoteDescription) this.takeEarly();
        break;
    }
  }

  /** @internal */
  _end(end: Partial<EndReason> & { code: EndCode }): void {
    if (this.over()) return;
    clearTimeout(this.ringing);
    this.reason = {
      by: "gateway", sip: null, q850: null, retryable: false,
      ...end, message: end.message ?? END_WORDS[end.code] ?? end.code,
    };
    this.now = "ended";
    this.abandon(new PhoneError("call/ended", this));
    this.dtmf._end();
    this.pc?.close();
    if (this.ownTrack) this.track?.stop();
    if (this.sink && this.ownSink) this.sink.srcObject = null;
    this.line.gone(this);
    this._fire(new Event("statechange"));
    this._fire(new CallEndedEvent(this.reason));
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
    this._fire(new Event("statechange"));
  }

  private pickedUp(): void {
    this.answered = new Date();
    clearTimeout(this.ringing);
    const tones = this.afterAnswer;
    this.afterAnswer = null;
    if (tones) queueMicrotask(() => !this.over() && this.dtmf.insertDTMF(tones));
  }

  private async prepare(init: MediaInit): Promise<RTCPeerConnection> {
    const ended = () => this.over();
    this.track = init.track ?? await microphone(this.line.audio);
    this.ownTrack = !init.track;
    if (ended()) {
      if (this.ownTrack) this.track.stop();
      throw new PhoneError("call/ended", this);
    }
    if (init.muted !== undefined) this.silent = init.muted;
    this.track.enabled = !this.silent;
    const pc = new RTCPeerConnection(this.line.configuration());
    this.pc = pc;
    pc.onicecandidate = (ev) => this.trickle(ev.candidate);
    pc.ontrack = (ev) => this.hear(ev.track, init.sink);
    pc.onconnectionstatechange = () => {
      this.line.log("debug", "peer connection " + pc.connectionState, this.id);
      if (pc.connectionState === "failed" && this.pc === pc) this.fail(new PhoneError("media/failed", this));
    };
    return pc;
  }

  private hear(track: MediaStreamTrack, sink: MediaInit["sink"]): void {
    this.remoteStream.addTrack(track);
    if (sink === "none" || this.sink) return;
    this.ownSink = !sink;
    this.sink = sink ?? new Audio();
    this.sink.autoplay = true;
    this.sink.srcObject = this.remoteStream;
    this.sink.play().catch((error) => this.line.log("warn", "the browser does not play sound yet", error));
  }

  private trickle(candidate: RTCIceCandidate | null): void {
    const json = candidate && candidate.candidate !== "" ? candidate.toJSON() : null;
    if (this.held) this.held.push(json);
    else this.tell(json);
  }

  /** The gateway knows the call now. */
  private release(): void {
    const held = this.held ?? [];
    this.held = null;
    for (const candidate of held) this.tell(candidate);
  }

  private tell(candidate: RTCIceCandidateInit | null): void {
    if (this.over()) return;
    this.line.request("ice", { call: this.id, candidate }).catch((error) => this.line.log("debug", "a candidate was not taken", error));
  }

  private takeEarly(): void {
    for (const candidate of this.early.splice(0)) {
      this.pc?.addIceCandidate(candidate ?? undefined).catch((error) => this.line.log("warn", "a candidate of the gateway was not taken", error));
    }
  }

  private rtpDtmf(): RTCDTMFSender | null {
    const dtmf = this.pc?.connectionState === "connected" ? this.pc.getSenders()[0]?.dtmf : null;
    return dtmf?.canInsertDTMF ? dtmf : null;
  }

  /** Ends here, and at the gateway where it is known there. */
  private fail(error: unknown): void {
    if (this.over()) return;
    if (this.now !== "new") void this.line.request("call.hangup", { call: this.id }).catch(() => {});
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
