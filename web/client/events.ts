import type { Call, EndReason } from "./call.js";
import type { PhoneError } from "./errors.js";
import type { CallStats, WarningName } from "./stats.js";

/** An EventTarget that knows its events. */
export class Target<M extends { [K in keyof M]: Event }> extends EventTarget {
  override addEventListener<K extends keyof M & string>(type: K, listener: (ev: M[K]) => unknown, options?: boolean | AddEventListenerOptions): void;
  override addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  override addEventListener(type: string, listener: any, options?: boolean | AddEventListenerOptions): void {
    super.addEventListener(type, listener, options);
  }
  override removeEventListener<K extends keyof M & string>(type: K, listener: (ev: M[K]) => unknown, options?: boolean | EventListenerOptions): void;
  override removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
  override removeEventListener(type: string, listener: any, options?: boolean | EventListenerOptions): void {
    super.removeEventListener(type, listener, options);
  }
  /** Dispatches, and calls the `on…` property as the web platform does. @internal */
  _fire(event: Event): void {
    const handler = (this as unknown as Record<string, unknown>)["on" + event.type];
    if (typeof handler === "function") {
      super.addEventListener(event.type, handler as EventListener, { once: true });
    }
    this.dispatchEvent(event);
  }
}

/** A key went down (`tone`), or came up (`tone` is ""), as RTCDTMFToneChangeEvent. */
export class DTMFToneChangeEvent extends Event {
  readonly tone: string;
  /** In ms; set where a tone of the phone side ended. */
  readonly duration: number | null;
  readonly source: "rfc4733" | "sip-info" | "inband" | null;
  /** @internal */
  constructor(tone: string, duration: number | null = null, source: DTMFToneChangeEvent["source"] = null) {
    super("tonechange");
    this.tone = tone;
    this.duration = duration;
    this.source = source;
  }
}

/** How digits go to the telephone side. */
export type DTMFMode = "rfc4733" | "sip-info" | "inband";

/** What the gateway measured of one digit that it sent on; an absent figure is one the mode does not have. */
export interface DTMFReceipt {
  /** Null to a line of the gateway's own. */
  readonly mode: DTMFMode | null;
  readonly from: "rtp" | "message";
  readonly measured_ms: number | null;
  readonly tone_ms: number | null;
  readonly gap_ms: number | null;
  readonly clock: number | null;
  readonly payload_type: number | null;
  readonly packets: number | null;
  readonly end_packets: number | null;
  readonly info_status: number | null;
  readonly delay_ms: number | null;
}

/** A digit of this side is out on the telephone side. */
export class DTMFSentEvent extends Event {
  readonly tone: string;
  readonly receipt: DTMFReceipt;
  /** @internal */
  constructor(tone: string, receipt: DTMFReceipt) {
    super("sent");
    this.tone = tone;
    this.receipt = receipt;
  }
}

/** How digits go from now on; `null` with an error where they go no way. */
export class DTMFModeEvent extends Event {
  readonly mode: DTMFMode | null;
  /** The final status of a SIP INFO that was refused, where that is why. */
  readonly infoStatus: number | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  /** @internal */
  constructor(mode: DTMFMode | null, infoStatus: number | null, error: DTMFModeEvent["error"]) {
    super("modechange");
    this.mode = mode;
    this.infoStatus = infoStatus;
    this.error = error;
  }
}

export class CallEndedEvent extends Event {
  readonly reason: EndReason;
  /** @internal */
  constructor(reason: EndReason) {
    super("ended");
    this.reason = reason;
  }
}

export class CallEvent extends Event {
  readonly call: Call;
  /** @internal */
  constructor(type: string, call: Call) {
    super(type);
    this.call = call;
  }
}

export class IncomingCallEvent extends CallEvent {}

/** About once a second while somebody listens. */
export class CallStatsEvent extends Event {
  readonly stats: CallStats;
  /** @internal */
  constructor(stats: CallStats) {
    super("stats");
    this.stats = stats;
  }
}

/** Raised and cleared: see `active`. */
export class CallWarningEvent extends Event {
  readonly name: WarningName;
  readonly active: boolean;
  readonly value: number;
  readonly threshold: number;
  /** @internal */
  constructor(name: WarningName, active: boolean, value: number, threshold: number) {
    super("warning");
    this.name = name;
    this.active = active;
    this.value = value;
    this.threshold = threshold;
  }
}

export interface TransferResult {
  status: "accepted" | "ringing" | "answered" | "failed";
  sip: number | null;
}

export class TransferEvent extends Event {
  readonly result: TransferResult;
  /** @internal */
  constructor(result: TransferResult) {
    super("transfer");
    this.result = result;
  }
}

/** Somebody left a message in a mailbox that this user is told of. */
export class VoicemailEvent extends Event {
  /** The mailbox's name in the dial plan. */
  readonly mailbox: string;
  /** The message, as `GET /v1/voicemails/{id}` names it. */
  readonly id: string;
  /** Messages in the mailbox, this one among them. */
  readonly waiting: number;
  /** The length of this one, in ms. */
  readonly duration: number;
  /** @internal */
  constructor(mailbox: string, id: string, waiting: number, duration: number) {
    super("voicemail");
    this.mailbox = mailbox;
    this.id = id;
    this.waiting = waiting;
    this.duration = duration;
  }
}

export class PhoneErrorEvent extends Event {
  readonly error: PhoneError;
  /** @internal */
  constructor(error: PhoneError) {
    super("error");
    this.error = error;
  }
}
