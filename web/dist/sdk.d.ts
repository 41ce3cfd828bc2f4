// Crosspoint client library 0.1.0, MIT OR Apache-2.0. Built from web/client by `npm run build`.

/** Every error code: whether a retry may help, and one sentence for people. */
declare const ERRORS: {
    readonly "auth/required": {
        readonly retryable: false;
        readonly message: "The first message must be `hello` with a token, within 5 seconds.";
    };
    readonly "auth/invalid": {
        readonly retryable: false;
        readonly message: "The token is not one of this gateway's.";
    };
    readonly "auth/expired": {
        readonly retryable: true;
        readonly message: "The token has expired; get a new one.";
    };
    readonly "auth/revoked": {
        readonly retryable: false;
        readonly message: "The token was taken back; log in again.";
    };
    readonly "auth/forbidden": {
        readonly retryable: false;
        readonly message: "The token does not allow this.";
    };
    readonly "auth/origin": {
        readonly retryable: false;
        readonly message: "Pages of this origin may not use this gateway.";
    };
    readonly "auth/key-required": {
        readonly retryable: false;
        readonly message: "This needs a login or a key: `Authorization: Bearer` and the key.";
    };
    readonly "auth/key-invalid": {
        readonly retryable: false;
        readonly message: "The key is not one of this gateway's.";
    };
    readonly "auth/permission": {
        readonly retryable: false;
        readonly message: "The key does not allow this.";
    };
    readonly "protocol/bad-message": {
        readonly retryable: false;
        readonly message: "The message is not as the protocol wants it.";
    };
    readonly "protocol/unknown-type": {
        readonly retryable: false;
        readonly message: "This gateway does not know a message of this type.";
    };
    readonly "protocol/too-many-messages": {
        readonly retryable: true;
        readonly message: "More than 50 messages a second were sent.";
    };
    readonly "signal/unknown-call": {
        readonly retryable: false;
        readonly message: "This session has no call of that id.";
    };
    readonly "signal/call-id-taken": {
        readonly retryable: false;
        readonly message: "The call id was already used for another call.";
    };
    readonly "signal/wrong-state": {
        readonly retryable: false;
        readonly message: "The call is not in a state in which this can be done.";
    };
    readonly "signal/stale-session": {
        readonly retryable: false;
        readonly message: "The session to resume is no longer kept.";
    };
    readonly "signal/unreachable": {
        readonly retryable: true;
        readonly message: "The gateway cannot be reached.";
    };
    readonly "signal/connection-lost": {
        readonly retryable: true;
        readonly message: "The connection to the gateway was lost.";
    };
    readonly "signal/timeout": {
        readonly retryable: true;
        readonly message: "The gateway did not answer in time.";
    };
    readonly "signal/closed": {
        readonly retryable: false;
        readonly message: "The phone was closed.";
    };
    readonly "call/invalid-number": {
        readonly retryable: false;
        readonly message: "This is not a complete number.";
    };
    readonly "call/unallocated": {
        readonly retryable: false;
        readonly message: "This number does not exist.";
    };
    readonly "call/blocked-by-dialplan": {
        readonly retryable: false;
        readonly message: "The dial plan does not allow this call.";
    };
    readonly "call/caller-id-not-allowed": {
        readonly retryable: false;
        readonly message: "This caller number is not yours to use.";
    };
    readonly "call/limit-reached": {
        readonly retryable: true;
        readonly message: "A limit on calls is reached.";
    };
    readonly "call/unreachable": {
        readonly retryable: true;
        readonly message: "The called party cannot be reached at the moment.";
    };
    readonly "call/trunk-failed": {
        readonly retryable: true;
        readonly message: "The telephone network did not take the call.";
    };
    readonly "call/ended": {
        readonly retryable: false;
        readonly message: "The call has ended.";
    };
    readonly "call/aborted": {
        readonly retryable: false;
        readonly message: "The call was given up before the gateway took it.";
    };
    readonly "media/bad-sdp": {
        readonly retryable: false;
        readonly message: "The session description cannot be used.";
    };
    readonly "media/no-common-codec": {
        readonly retryable: false;
        readonly message: "The two sides have no codec in common.";
    };
    readonly "media/no-digits": {
        readonly retryable: false;
        readonly message: "The telephone side takes digits in no way that it is set up for.";
    };
    readonly "media/restart-refused": {
        readonly retryable: false;
        readonly message: "The connection for sound cannot be renewed now.";
    };
    readonly "media/failed": {
        readonly retryable: true;
        readonly message: "No connection for sound could be made.";
    };
    readonly "media/permission-denied": {
        readonly retryable: false;
        readonly message: "The microphone is not allowed for this page.";
    };
    readonly "media/no-microphone": {
        readonly retryable: false;
        readonly message: "No microphone was found.";
    };
    readonly "media/microphone-failed": {
        readonly retryable: true;
        readonly message: "The microphone could not be opened; another program may hold it.";
    };
    readonly "media/unsupported": {
        readonly retryable: false;
        readonly message: "This browser cannot make calls from this page.";
    };
    readonly "server/draining": {
        readonly retryable: true;
        readonly message: "The gateway is being stopped and takes no new calls.";
    };
    readonly "server/overloaded": {
        readonly retryable: true;
        readonly message: "The gateway is busy; try again in a moment.";
    };
    readonly "server/records-unavailable": {
        readonly retryable: true;
        readonly message: "The records cannot be read at the moment.";
    };
    readonly "server/internal": {
        readonly retryable: true;
        readonly message: "The gateway had a fault.";
    };
};
/** A stable error code, `area/name`. */
type ErrorCode = keyof typeof ERRORS;

/** A ULID: 48 bits of milliseconds since 1970 and 80 random bits, in Crockford's base 32. */
declare function ulid(unixMs?: number): string;

/** What the gateway says of a refused request. */
interface Refusal {
    code: string;
    message?: string;
    retryable?: boolean;
    docs?: string;
    retry_after_ms?: number;
    details?: unknown;
}
/** Every failure of the library. `code` is `area/name` and keeps its meaning. */
declare class PhoneError extends Error {
    readonly code: ErrorCode | `${"auth" | "signal" | "media" | "call" | "protocol" | "server"}/${string}`;
    readonly retryable: boolean;
    readonly call: Call | null;
    readonly docs: string;
    /** When a retry may help, in ms. */
    readonly retryAfter: number | null;
    /** Facts for programs, such as the SIP status or the rule that refused. */
    readonly details: unknown;
}

/** An EventTarget that knows its events. */
declare class Target<M extends {
    [K in keyof M]: Event;
}> extends EventTarget {
    addEventListener<K extends keyof M & string>(type: K, listener: (ev: M[K]) => unknown, options?: boolean | AddEventListenerOptions): void;
    addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
    removeEventListener<K extends keyof M & string>(type: K, listener: (ev: M[K]) => unknown, options?: boolean | EventListenerOptions): void;
    removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}
/** A key went down (`tone`), or came up (`tone` is ""), as RTCDTMFToneChangeEvent. */
declare class DTMFToneChangeEvent extends Event {
    readonly tone: string;
    /** In ms; set where a tone of the phone side ended. */
    readonly duration: number | null;
    readonly source: "rfc4733" | "sip-info" | "inband" | null;
}
/** How digits go to the telephone side. */
type DTMFMode = "rfc4733" | "sip-info" | "inband";
/** What the gateway measured of one digit that it sent on; an absent figure is one the mode does not have. */
interface DTMFReceipt {
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
declare class DTMFSentEvent extends Event {
    readonly tone: string;
    readonly receipt: DTMFReceipt;
}
/** How digits go from now on; `null` with an error where they go no way. */
declare class DTMFModeEvent extends Event {
    readonly mode: DTMFMode | null;
    /** The final status of a SIP INFO that was refused, where that is why. */
    readonly infoStatus: number | null;
    readonly error: {
        readonly code: string;
        readonly message: string;
    } | null;
}
declare class CallEndedEvent extends Event {
    readonly reason: EndReason;
}
declare class CallEvent extends Event {
    readonly call: Call;
}
declare class IncomingCallEvent extends CallEvent {
}
/** About once a second while somebody listens. */
declare class CallStatsEvent extends Event {
    readonly stats: CallStats;
}
/** Raised and cleared: see `active`. */
declare class CallWarningEvent extends Event {
    readonly name: WarningName;
    readonly active: boolean;
    readonly value: number;
    readonly threshold: number;
}
interface TransferResult {
    status: "accepted" | "ringing" | "answered" | "failed";
    sip: number | null;
}
declare class TransferEvent extends Event {
    readonly result: TransferResult;
}
/** Somebody left a message in a mailbox that this user is told of. */
declare class VoicemailEvent extends Event {
    /** The mailbox's name in the dial plan. */
    readonly mailbox: string;
    /** The message, as `GET /v1/voicemails/{id}` names it. */
    readonly id: string;
    /** Messages in the mailbox, this one among them. */
    readonly waiting: number;
    /** The length of this one, in ms. */
    readonly duration: number;
}
declare class PhoneErrorEvent extends Event {
    readonly error: PhoneError;
}

/** A JSON object of the protocol. */
type Body = Record<string, any>;
/** One WebSocket that speaks `crosspoint.v1`: requests with replies, events, liveness. */
declare class Wire {
    onevent: (body: Body) => void;
    onclose: (code: number, reason: string) => void;
    private seen;
    private socket;
    private nextId;
    private waiting;
    private alive;
    private over;
    private constructor();
    /** Sends a request and gives its reply; rejects with the refusal's code. */
    request(type: string, body?: Body, within?: number): Promise<Body>;
    close(): void;
    private heard;
    /** Asks for a sign of life; without one within `ms` the connection is given up. */
    probe(ms?: number): Promise<void>;
    private shut;
}

interface MediaInit {
    /** The sound to send; the microphone when absent. */
    track?: MediaStreamTrack;
    /** Where the far side is heard; an element of the library's own when absent. */
    sink?: HTMLAudioElement | "none";
    muted?: boolean;
}
/** Opens the microphone, or says in the registry's codes why not. */
declare function microphone(constraints: MediaTrackConstraints | undefined): Promise<MediaStreamTrack>;

/** Which microphone, loudspeaker and ringer are used. `devicechange` when the list is another one. */
declare class AudioDevices extends Target<{
    devicechange: Event;
}> {
    private known;
    private input;
    private output;
    private ringer;
    get inputs(): readonly MediaDeviceInfo[];
    get outputs(): readonly MediaDeviceInfo[];
    /** The device that was chosen; null is the system's own choice. */
    get inputId(): string | null;
    get outputId(): string | null;
    get ringOutputId(): string | null;
    /** Takes another microphone, in calls that are up, too; null is the system's own choice. */
    setInput(deviceId: string | null): Promise<void>;
    /** Rejects with NotSupportedError where a page cannot choose (Safari, older Firefox). */
    setOutput(deviceId: string): Promise<void>;
    /** For the page's own ring tone: the library plays none. */
    setRingOutput(deviceId: string): Promise<void>;
    private selectable;
}

interface LegStats {
    packets: number;
    lost: number;
    lossRatio: number;
    /** In ms. */
    jitter: number;
    /** In bit/s. */
    bitrate: number;
    concealedRatio: number | null;
}
interface CallStats {
    timestamp: number;
    codec: string;
    /** In ms. */
    rtt: number | null;
    mos: number | null;
    inbound: LegStats;
    outbound: LegStats;
    /** As the gateway sees the telephone side. */
    trunk: {
        codec: string;
        inbound: LegStats;
        outbound: LegStats;
    } | null;
    /** 0 to 1. */
    localLevel: number;
    remoteLevel: number;
    candidatePair: {
        local: RTCIceCandidateType;
        protocol: string;
    } | null;
}
type WarningName = "high-rtt" | "high-jitter" | "high-loss" | "low-mos" | "no-inbound-media" | "no-outbound-media" | "silent-microphone" | "silent-remote" | "trunk-high-loss" | "ice-disconnected" | "token-expiring";

interface DTMFEventMap {
    tonechange: DTMFToneChangeEvent;
}
interface CollectInit {
    max?: number;
    terminator?: string;
    /** In ms; default 10 s. */
    firstDigitTimeout?: number;
    /** In ms; default 5 s. */
    interDigitTimeout?: number;
    signal?: AbortSignal;
}
interface CollectResult {
    digits: string;
    reason: "max" | "terminator" | "timeout" | "ended";
}
/** Of the sender: also what became of each digit, and how digits go. */
interface DTMFSenderEventMap extends DTMFEventMap {
    sent: DTMFSentEvent;
    modechange: DTMFModeEvent;
}
/** Same members as RTCDTMFSender, and digits work before media is up: then the gateway sends them. */
declare class CallDTMFSender extends Target<DTMFSenderEventMap> {
    ontonechange: ((ev: DTMFToneChangeEvent) => unknown) | null;
    onsent: ((ev: DTMFSentEvent) => unknown) | null;
    onmodechange: ((ev: DTMFModeEvent) => unknown) | null;
    private inForce;
    private line;
    private native;
    /** Parts still to come; "w" stands between two parts. */
    private parts;
    private duration;
    private gap;
    private pause;
    /** Tones that the gateway was asked to send and has not yet. */
    private asked;
    private busy;
    get canInsertDTMF(): boolean;
    /** How the next tones go: as RTP events of this browser, or sent by the gateway. */
    get via(): "rtp" | "gateway";
    /** How the gateway sends digits on; `null` before the telephone side has said, or where it takes none. */
    get mode(): DTMFMode | null;
    get toneBuffer(): string;
    /** 0-9 A-D # * and "," (2 s), also "w" (0.5 s). Replaces the buffer; "" empties it. */
    insertDTMF(tones: string, duration?: number, interToneGap?: number): void;
    /** Adds to the buffer. */
    append(tones: string): void;
    /** Sends and resolves after the last tone. */
    send(tones: string, o?: {
        duration?: number;
        gap?: number;
        signal?: AbortSignal;
    }): Promise<void>;
    private next;
    private changed;
    private done;
}
/** What the phone side presses. Browsers have no such thing: the gateway reports it. */
declare class CallDTMFReceiver extends Target<DTMFEventMap> {
    ontonechange: ((ev: DTMFToneChangeEvent) => unknown) | null;
    private heard;
    private down;
    /** All received so far. */
    get digits(): string;
}



type CallState = "new" | "connecting" | "ringing" | "early-media" | "active" | "reconnecting" | "ended";
type CallDirection = "incoming" | "outgoing";
interface Party {
    uri: string;
    number: string | null;
    display: string | null;
    verified: "A" | "B" | "C" | "failed" | null;
}
type EndCode = "hangup" | "busy" | "no-answer" | "declined" | "cancelled" | "answered-elsewhere" | "unallocated" | "unreachable" | "blocked-by-dialplan" | "caller-id-not-allowed" | "limit-reached" | "trunk-failed" | "media-failed" | "media-timeout" | "max-duration" | "server-shutdown" | "internal";
interface EndReason {
    code: EndCode;
    by: "local" | "remote" | "gateway";
    sip: {
        status: number;
        reason: string;
    } | null;
    q850: number | null;
    /** One sentence for people. */
    message: string;
    /** Whether the same call may succeed when tried again soon. */
    retryable: boolean;
}
interface CallInit extends MediaInit {
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
interface CallEventMap {
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
/** One call, from the first ring to its end. */
declare class Call extends Target<CallEventMap> {
    /** The id used by REST, records, traces and logs. */
    readonly id: string;
    readonly direction: CallDirection;
    readonly from: Party;
    readonly to: Party;
    readonly metadata: Readonly<Record<string, string>>;
    readonly dtmf: CallDTMFSender;
    readonly remoteDTMF: CallDTMFReceiver;
    /** One stable object for the life of the call. */
    readonly remoteStream: MediaStream;
    onstatechange: ((ev: Event) => unknown) | null;
    onended: ((ev: CallEndedEvent) => unknown) | null;
    onheldchange: ((ev: Event) => unknown) | null;
    onmutechange: ((ev: Event) => unknown) | null;
    onwarning: ((ev: CallWarningEvent) => unknown) | null;
    private line;
    private now;
    /** The state as the gateway knows it. */
    private told;
    /** The number of the last event of a type that tells how something is. */
    private newest;
    private peer;
    private ownTrack;
    private sink;
    private silent;
    private holds;
    private isHeld;
    private answered;
    private reason;
    private offer;
    /** Whether the connection of a call that rings is on its way up. */
    private warming;
    /** Asked for while it rings: at the click there is no time. */
    private permission;
    /** The microphone, open while it rings. */
    private early;
    private ringing;
    private afterAnswer;
    private meter;
    private trunkMeter;
    private watch;
    private looking;
    private looks;
    private lastCounts;
    /** Whether packets came within the last second. */
    private came;
    private trunk;
    private trunkCodec;
    private abandon;
    /** Rejects at the end of the call: work on a closed peer connection never settles by itself. */
    private readonly abandoned;
    private constructor();
    get state(): CallState;
    get answeredAt(): Date | null;
    get endReason(): EndReason | null;
    /** Replaced when media moves: do not keep it. */
    get peerConnection(): RTCPeerConnection | null;
    /** The sound that is sent. */
    get localTrack(): MediaStreamTrack | null;
    /** Whether this side holds the call. */
    get held(): boolean;
    /** Whether the other side does. */
    get heldByRemote(): boolean;
    get muted(): boolean;
    set muted(muted: boolean);
    /** Takes an incoming call. */
    answer(init?: MediaInit): Promise<void>;
    /** Refuses an incoming call. */
    reject(reason?: "busy" | "declined" | "unavailable"): Promise<void>;
    /** Ends the call, whatever it is doing. */
    hangup(): Promise<void>;
    /** The other side hears music or silence until `unhold`. */
    hold(): Promise<void>;
    unhold(): Promise<void>;
    /** Blind when given an address, attended when given another active call. */
    transfer(to: string | Call): Promise<TransferResult>;
    /** Sends another sound from now on, or none. */
    replaceTrack(track: MediaStreamTrack | null): Promise<void>;
    /** What the phone side presses, until `max` keys, the terminator or a pause. */
    collectDigits(options?: CollectInit): Promise<CollectResult>;
    /** To the application server. */
    sendMessage(data: unknown): Promise<void>;
    /** The browser's view and the gateway's in one. */
    getStats(): Promise<CallStats>;
    /** The user's own word on the quality. */
    report(rating: 1 | 2 | 3 | 4 | 5, problem?: "one-way-audio" | "choppy" | "echo" | "delay" | "noise" | "dropped", note?: string): Promise<void>;
    private ask;
    private alive;
    private over;
    private become;
    private holding;
    private pickedUp;
    private flowing;
    private look;
    private openEarly;
    /** Not needed, or another device's. */
    private closeEarly;
    private microphone;
    private prepare;
    private hear;
    /** Once more when the microphone is open: before, Safari may have played nothing. */
    private play;
    private rtpDtmf;
    /** Ends here, and at the gateway where it is known there. */
    private fail;
}

interface PreflightInit {
    /** Places a call to this gateway's echo line and listens; default false. */
    echo?: boolean;
    /** How long to listen, in ms; default 4000. */
    duration?: number;
    signal?: AbortSignal;
}
interface PreflightReport {
    verdict: "ready" | "degraded" | "blocked" | "permission-denied" | "inconclusive";
    reasons: {
        code: string;
        message: string;
    }[];
    /** In ms. */
    rtt: number | null;
    jitter: number | null;
    loss: number | null;
    mos: number | null;
    turnRequired: boolean;
    dtmf: "ok" | "lost" | "not-tested";
}



type PhoneState = "new" | "connecting" | "ready" | "reconnecting" | "closed";
type PhoneFeature = "transfer" | "attended-transfer" | "recording" | "emergency" | "captions";
interface PhoneInit {
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
interface PhoneEventMap {
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
declare class Phone extends Target<PhoneEventMap> {
    onstatechange: ((ev: Event) => unknown) | null;
    onincomingcall: ((ev: IncomingCallEvent) => unknown) | null;
    onresumedcall: ((ev: CallEvent) => unknown) | null;
    onvoicemail: ((ev: VoicemailEvent) => unknown) | null;
    ondevicechange: ((ev: Event) => unknown) | null;
    onerror: ((ev: PhoneErrorEvent) => unknown) | null;
    readonly devices: AudioDevices;
    private init;
    private now;
    private who;
    private able;
    private echo;
    private wire;
    private ice;
    private live;
    /** Calls that the gateway is to end when it can be told. */
    private leaving;
    private tab;
    /** The token that was good last. */
    private good;
    private seen;
    private retry;
    private hurry;
    private moved;
    private renewing;
    private network;
    private unload;
    constructor(init: PhoneInit);
    /** Whether this browser and page can make calls. */
    static get supported(): boolean;
    get state(): PhoneState;
    get identity(): string | null;
    get calls(): readonly Call[];
    get features(): ReadonlySet<PhoneFeature>;
    /** Connects and logs in; afterwards the connection is renewed by itself until `close()`. */
    connect(options?: {
        signal?: AbortSignal;
    }): Promise<void>;
    /** Places a call; resolves when the gateway took it. */
    call(to: string, init?: CallInit): Promise<Call>;
    /** Whether a call would work from here; `ready` also where it was not asked for an echo. */
    preflight(options?: PreflightInit): Promise<PreflightReport>;
    /** Hangs up every call and disconnects. */
    close(): void;
    private open;
    /** Logs in: into the session of before where it is kept, else into a new one. */
    private hello;
    /** After the welcome: calls that the gateway does not know any more are over, the others go on. */
    private settle;
    /** A call of the session: this page's own, or one of its life before. */
    private found;
    private token;
    private configuration;
    private line;
    private event;
    private incoming;
    private renew;
    private lost;
    private again;
    private listen;
    /** Another network: the socket is asked for a sign of life, or made anew at once. */
    private networkChanged;
    /** No sound comes: a socket that does not answer either went the same way. */
    private suspect;
    private become;
    private report;
}

export { Phone, type PhoneEventMap, type PhoneFeature, type PhoneInit, type PhoneState, Call, type CallDirection, type CallEventMap, type CallInit, type CallState, type EndCode, type EndReason, type Party, AudioDevices, type MediaInit, CallDTMFReceiver, CallDTMFSender, type CollectInit, type CollectResult, type DTMFEventMap, type DTMFSenderEventMap, CallEndedEvent, CallEvent, CallStatsEvent, CallWarningEvent, DTMFModeEvent, DTMFSentEvent, DTMFToneChangeEvent, IncomingCallEvent, PhoneErrorEvent, TransferEvent, VoicemailEvent, type DTMFMode, type DTMFReceipt, type TransferResult, type PreflightInit, type PreflightReport, type CallStats, type LegStats, type WarningName, PhoneError, ERRORS, type ErrorCode };
