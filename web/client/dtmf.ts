import { DTMFModeEvent, DTMFSentEvent, DTMFToneChangeEvent, Target } from "./events.js";
import type { DTMFMode, DTMFReceipt } from "./events.js";
import type { Body } from "./wire.js";

export interface DTMFEventMap { tonechange: DTMFToneChangeEvent }

export interface CollectInit {
  max?: number;
  terminator?: string;
  /** In ms; default 10 s. */
  firstDigitTimeout?: number;
  /** In ms; default 5 s. */
  interDigitTimeout?: number;
  signal?: AbortSignal;
}

export interface CollectResult {
  digits: string;
  reason: "max" | "terminator" | "timeout" | "ended";
}

/** Of the sender: also what became of each digit, and how digits go. */
export interface DTMFSenderEventMap extends DTMFEventMap { sent: DTMFSentEvent; modechange: DTMFModeEvent }

/** What the sender needs of its call. @internal */
export interface DTMFLine {
  /** The browser's own sender, when digits can go as RTP now. */
  rtp(): RTCDTMFSender | null;
  /** Whether the call can take digits at all. */
  open(): boolean;
  request(type: string, body: Body): Promise<Body>;
}

/** Same members as RTCDTMFSender, and digits work before media is up: then the gateway sends them. */
export class CallDTMFSender extends Target<DTMFSenderEventMap> {
  ontonechange: ((ev: DTMFToneChangeEvent) => unknown) | null = null;
  onsent: ((ev: DTMFSentEvent) => unknown) | null = null;
  onmodechange: ((ev: DTMFModeEvent) => unknown) | null = null;
  private inForce: DTMFMode | null = null;
  private line: DTMFLine;
  private native: RTCDTMFSender | null = null;
  /** Parts still to come; "w" stands between two parts. */
  private parts: string[] = [];
  private duration = 100;
  private gap = 70;
  private pause: ReturnType<typeof setTimeout> | undefined;
  /** Tones that the gateway was asked to send and has not yet. */
  private asked = "";
  private busy = false;

  /** @internal */
  constructor(line: DTMFLine) {
    super();
    this.line = line;
  }

  get canInsertDTMF(): boolean {
    return this.line.open();
  }

  /** How the next tones go: as RTP events of this browser, or sent by the gateway. */
  get via(): "rtp" | "gateway" {
    return this.line.rtp() ? "rtp" : "gateway";
  }

  /** How the gateway sends digits on; `null` before the telephone side has said, or where it takes none. */
  get mode(): DTMFMode | null {
    return this.inForce;
  }

  get toneBuffer(): string {
    return this.asked + [this.native?.toneBuffer ?? "", ...this.parts].join("w").replace(/^w$/, "");
  }

  /** 0-9 A-D # * and "," (2 s), also "w" (0.5 s). Replaces the buffer; "" empties it. */
  insertDTMF(tones: string, duration: number = 100, interToneGap: number = 70): void {
    if (!this.canInsertDTMF) throw new DOMException("no digits can be sent now", "InvalidStateError");
    const upper = normal(tones);
    this.duration = Math.min(6000, Math.max(40, duration));
    this.gap = Math.min(6000, Math.max(30, interToneGap));
    const pausing = this.pause !== undefined;
    clearTimeout(this.pause);
    this.pause = undefined;
    this.parts = [];
    const asked = this.asked;
    if (asked) {
      this.asked = "";
      void this.line.request("dtmf.cancel", {}).catch(() => {});
    }
    if (upper === "") {
      // A tone that sounds goes on to its end, and the browser tells of it; else it ends here.
      if (this.native?.canInsertDTMF) this.native.insertDTMF("");
      if (this.busy && (pausing || asked !== "")) this.done();
      return;
    }
    this.busy = true;
    if (this.line.rtp()) {
      this.parts = upper.split("w");
      this.next();
    } else {
      this.asked = upper;
      this.line.request("dtmf.send", { tones: upper, duration: this.duration, gap: this.gap }).catch(() => this.done());
    }
  }

  /** Adds to the buffer. */
  append(tones: string): void {
    if (!this.busy) return this.insertDTMF(tones, this.duration, this.gap);
    this.insertDTMF(this.toneBuffer + normal(tones), this.duration, this.gap);
  }

  /** Sends and resolves after the last tone. */
  send(tones: string, o: { duration?: number; gap?: number; signal?: AbortSignal } = {}): Promise<void> {
    o.signal?.throwIfAborted();
    this.insertDTMF(tones, o.duration, o.gap);
    if (!this.busy) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const over = () => {
        this.removeEventListener("tonechange", heard);
        o.signal?.removeEventListener("abort", abort);
      };
      const heard = (ev: DTMFToneChangeEvent) => {
        if (ev.tone === "" && !this.busy) {
          over();
          resolve();
        }
      };
      const abort = () => {
        over();
        if (this.canInsertDTMF) this.insertDTMF("");
        reject(o.signal?.reason);
      };
      this.addEventListener("tonechange", heard);
      o.signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** The plan of the telephone side was made (again). @internal */
  _mode(body: Body): void {
    this.inForce = (body["mode"] ?? null) as DTMFMode | null;
    this._fire(new DTMFModeEvent(this.inForce, body["info_status"] ?? null, body["error"] ?? null));
    // What the gateway was to send goes no way.
    if (body["error"] && this.asked) this.done();
  }

  /** The gateway sent a tone: one of this browser, or one that it was asked for. @internal */
  _sent(tone: string, receipt: DTMFReceipt): void {
    this._fire(new DTMFSentEvent(tone, receipt));
    if (!this.asked) return;
    this.asked = this.asked.replace(/^[,w]+/, "").slice(1);
    this._fire(new DTMFToneChangeEvent(tone));
    if (!/[^,w]/.test(this.asked)) this.done();
  }

  /** Sound flows again, maybe by another peer connection: what waited for the old one goes on. @internal */
  _flows(): void {
    const native = this.native;
    if (!native || native === this.line.rtp()) return;
    this.native = null;
    if (this.busy && this.asked === "" && this.pause === undefined) this.next();
  }

  /** The call is over. @internal */
  _end(): void {
    clearTimeout(this.pause);
    this.parts = [];
    if (this.busy) this.done();
  }

  private next(): void {
    const part = this.parts.shift();
    const native = this.line.rtp();
    if (part === undefined || !native) return this.done();
    if (this.native !== native) {
      this.native = native;
      native.addEventListener("tonechange", (ev) => this.changed(ev.tone));
    }
    if (part === "") this.changed("");
    else native.insertDTMF(part, this.duration, this.gap);
  }

  private changed(tone: string): void {
    if (tone !== "") return this._fire(new DTMFToneChangeEvent(tone));
    if (this.parts.length === 0) return this.done();
    clearTimeout(this.pause);
    this.pause = setTimeout(() => {
      this.pause = undefined;
      this.next();
    }, 500);
  }

  private done(): void {
    this.asked = "";
    this.busy = false;
    this._fire(new DTMFToneChangeEvent(""));
  }
}

/** What the phone side presses. Browsers have no such thing: the gateway reports it. */
export class CallDTMFReceiver extends Target<DTMFEventMap> {
  ontonechange: ((ev: DTMFToneChangeEvent) => unknown) | null = null;
  private heard = "";
  private down: string | null = null;

  /** All received so far. */
  get digits(): string {
    return this.heard;
  }

  /** Received before the page was loaded again. @internal */
  _restore(digits: string): void {
    this.heard = digits;
  }

  /** @internal */
  _collect(o: CollectInit, ended: Promise<never>): Promise<CollectResult> {
    o.signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      let digits = "";
      let timer: ReturnType<typeof setTimeout> | undefined;
      const wait = (ms: number | undefined) => {
        clearTimeout(timer);
        if (ms !== undefined) timer = setTimeout(() => over("timeout"), ms);
      };
      const stop = () => {
        clearTimeout(timer);
        this.removeEventListener("tonechange", heard);
        o.signal?.removeEventListener("abort", abort);
      };
      const over = (reason: CollectResult["reason"]) => {
        stop();
        resolve({ digits, reason });
      };
      const abort = () => {
        stop();
        reject(o.signal!.reason);
      };
      const heard = (ev: DTMFToneChangeEvent) => {
        if (ev.tone === "") return;
        if (ev.tone === o.terminator) return over("terminator");
        digits += ev.tone;
        if (digits.length >= (o.max ?? Infinity)) return over("max");
        wait(o.interDigitTimeout ?? 5000);
      };
      this.addEventListener("tonechange", heard);
      o.signal?.addEventListener("abort", abort, { once: true });
      ended.catch(() => over("ended"));
      wait(o.firstDigitTimeout ?? 10_000);
    });
  }

  /** @internal */
  _event(body: Body): void {
    const tone = String(body["tone"]);
    const source = (body["source"] ?? null) as DTMFToneChangeEvent["source"];
    if (body["phase"] === "start" || this.down !== tone) {
      this.down = tone;
      this.heard += tone;
      this._fire(new DTMFToneChangeEvent(tone, null, source));
    }
    if (body["phase"] === "end") {
      this.down = null;
      this._fire(new DTMFToneChangeEvent("", Number(body["duration"] ?? 0), source));
    }
  }
}

function normal(tones: string): string {
  const upper = tones.toUpperCase().replaceAll("W", "w");
  if (!/^[0-9A-D#*,w]*$/.test(upper)) {
    throw new DOMException("tones are 0-9 A-D # * , and w", "InvalidCharacterError");
  }
  return upper;
}
