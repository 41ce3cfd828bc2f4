// Crosspoint client library 0.1.0, MIT OR Apache-2.0. Built from web/client by `npm run build`.

// Rendered from src/signaling/errors.rs by tests/error_registry.rs.
/** Every error code: whether a retry may help, and one sentence for people. */
const ERRORS = {
    "auth/required": { retryable: false, message: "The first message must be `hello` with a token, within 5 seconds." },
    "auth/invalid": { retryable: false, message: "The token is not one of this gateway's." },
    "auth/expired": { retryable: true, message: "The token has expired; get a new one." },
    "auth/forbidden": { retryable: false, message: "The token does not allow this." },
    "auth/origin": { retryable: false, message: "Pages of this origin may not use this gateway." },
    "protocol/bad-message": { retryable: false, message: "The message is not as the protocol wants it." },
    "protocol/unknown-type": { retryable: false, message: "This gateway does not know a message of this type." },
    "protocol/too-many-messages": { retryable: true, message: "More than 50 messages a second were sent." },
    "request/bad-value": { retryable: false, message: "A value in the request cannot be used." },
    "request/not-found": { retryable: false, message: "There is nothing at this address." },
    "request/method-not-allowed": { retryable: false, message: "This cannot be done at this address." },
    "request/too-large": { retryable: false, message: "The request is larger than 64 KiB, or its headers than 8 KiB." },
    "request/timeout": { retryable: true, message: "The request did not arrive in time." },
    "request/local-only": { retryable: false, message: "This is answered only on the gateway's own machine." },
    "request/conflict": { retryable: false, message: "It has changed since it was read; read it again." },
    "request/precondition-required": { retryable: false, message: "The request must say what it changes: `If-Match` with the hash." },
    "request/bad-plan": { retryable: false, message: "The dial plan has mistakes; the old one stays in force." },
    "signal/unknown-call": { retryable: false, message: "This session has no call of that id." },
    "signal/call-id-taken": { retryable: false, message: "The call id was already used for another call." },
    "signal/wrong-state": { retryable: false, message: "The call is not in a state in which this can be done." },
    "signal/stale-session": { retryable: false, message: "The session to resume is no longer kept." },
    "signal/unreachable": { retryable: true, message: "The gateway cannot be reached." },
    "signal/connection-lost": { retryable: true, message: "The connection to the gateway was lost." },
    "signal/timeout": { retryable: true, message: "The gateway did not answer in time." },
    "signal/closed": { retryable: false, message: "The phone was closed." },
    "call/invalid-number": { retryable: false, message: "This is not a complete number." },
    "call/unallocated": { retryable: false, message: "This number does not exist." },
    "call/blocked-by-dialplan": { retryable: false, message: "The dial plan does not allow this call." },
    "call/caller-id-not-allowed": { retryable: false, message: "This caller number is not yours to use." },
    "call/limit-reached": { retryable: true, message: "A limit on calls is reached." },
    "call/unreachable": { retryable: true, message: "The called party cannot be reached at the moment." },
    "call/trunk-failed": { retryable: true, message: "The telephone network did not take the call." },
    "call/ended": { retryable: false, message: "The call has ended." },
    "call/aborted": { retryable: false, message: "The call was given up before the gateway took it." },
    "media/bad-sdp": { retryable: false, message: "The session description cannot be used." },
    "media/no-common-codec": { retryable: false, message: "The two sides have no codec in common." },
    "media/restart-refused": { retryable: false, message: "The connection for sound cannot be renewed now." },
    "media/failed": { retryable: true, message: "No connection for sound could be made." },
    "media/permission-denied": { retryable: false, message: "The microphone is not allowed for this page." },
    "media/no-microphone": { retryable: false, message: "No microphone was found." },
    "media/microphone-failed": { retryable: true, message: "The microphone could not be opened; another program may hold it." },
    "media/unsupported": { retryable: false, message: "This browser cannot make calls from this page." },
    "server/draining": { retryable: true, message: "The gateway is being stopped and takes no new calls." },
    "server/overloaded": { retryable: true, message: "The gateway is busy; try again in a moment." },
    "server/records-unavailable": { retryable: true, message: "The records cannot be read at the moment." },
    "server/internal": { retryable: true, message: "The gateway had a fault." },
};

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** A ULID: 48 bits of milliseconds since 1970 and 80 random bits, in Crockford's base 32. */
function ulid(unixMs = Date.now()) {
    let time = "";
    for (let at = 0, rest = unixMs; at < 10; at++, rest = Math.floor(rest / 32)) {
        time = ALPHABET.charAt(rest % 32) + time;
    }
    const random = crypto.getRandomValues(new Uint8Array(16));
    return time + Array.from(random, (byte) => ALPHABET.charAt(byte % 32)).join("");
}

/** Every failure of the library. `code` is `area/name` and keeps its meaning. */
class PhoneError extends Error {
    code;
    retryable;
    call;
    docs;
    /** When a retry may help, in ms. */
    retryAfter;
    /** Facts for programs, such as the SIP status or the rule that refused. */
    details;
    /** @internal */
    constructor(refusal, call = null, cause) {
        const given = typeof refusal === "string" ? { code: refusal } : refusal;
        const known = ERRORS[given.code];
        super(given.message ?? known?.message ?? given.code, cause === undefined ? undefined : { cause });
        this.name = "PhoneError";
        this.code = given.code;
        this.retryable = given.retryable ?? known?.retryable ?? false;
        this.call = call;
        this.docs = given.docs ?? `docs/errors.md#${given.code.replace("/", "")}`;
        this.retryAfter = given.retry_after_ms ?? null;
        this.details = given.details ?? null;
    }
}

/** An EventTarget that knows its events. */
class Target extends EventTarget {
    addEventListener(type, listener, options) {
        super.addEventListener(type, listener, options);
    }
    removeEventListener(type, listener, options) {
        super.removeEventListener(type, listener, options);
    }
    /** Dispatches, and calls the `on…` property as the web platform does. @internal */
    _fire(event) {
        const handler = this["on" + event.type];
        if (typeof handler === "function") {
            super.addEventListener(event.type, handler, { once: true });
        }
        this.dispatchEvent(event);
    }
}
/** A key went down (`tone`), or came up (`tone` is ""), as RTCDTMFToneChangeEvent. */
class DTMFToneChangeEvent extends Event {
    tone;
    /** In ms; set where a tone of the phone side ended. */
    duration;
    source;
    /** @internal */
    constructor(tone, duration = null, source = null) {
        super("tonechange");
        this.tone = tone;
        this.duration = duration;
        this.source = source;
    }
}
class CallEndedEvent extends Event {
    reason;
    /** @internal */
    constructor(reason) {
        super("ended");
        this.reason = reason;
    }
}
class CallEvent extends Event {
    call;
    /** @internal */
    constructor(type, call) {
        super(type);
        this.call = call;
    }
}
class IncomingCallEvent extends CallEvent {
}
class PhoneErrorEvent extends Event {
    error;
    /** @internal */
    constructor(error) {
        super("error");
        this.error = error;
    }
}

/** One WebSocket that speaks `crosspoint.v1`: requests with replies, events, liveness. */
class Wire {
    onevent = () => { };
    onclose = () => { };
    lastSeq = 0;
    socket;
    nextId = 1;
    waiting = new Map();
    alive;
    over = false;
    constructor(socket) {
        this.socket = socket;
        socket.onmessage = (ev) => this.heard(ev.data);
        socket.onclose = (ev) => this.shut(ev.code, ev.reason);
        this.alive = setInterval(() => this.check(), PING_EVERY);
    }
    static open(url, signal) {
        return new Promise((resolve, reject) => {
            const socket = new WebSocket(url, "crosspoint.v1");
            const abandon = () => socket.close();
            signal?.addEventListener("abort", abandon, { once: true });
            const timer = setTimeout(abandon, OPEN_WITHIN);
            socket.onopen = () => {
                clearTimeout(timer);
                signal?.removeEventListener("abort", abandon);
                resolve(new Wire(socket));
            };
            socket.onclose = () => {
                clearTimeout(timer);
                signal?.removeEventListener("abort", abandon);
                reject(new PhoneError("signal/unreachable"));
            };
        });
    }
    /** Sends a request and gives its reply; rejects with the refusal's code. */
    request(type, body = {}, within = REPLY_WITHIN) {
        if (this.over)
            return Promise.reject(new PhoneError("signal/connection-lost"));
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
    close() {
        this.shut(1000, "");
    }
    heard(data) {
        let body;
        try {
            body = JSON.parse(String(data));
        }
        catch {
            return;
        }
        if (typeof body["re"] === "number") {
            const waiting = this.waiting.get(body["re"]);
            if (!waiting)
                return;
            this.waiting.delete(body["re"]);
            clearTimeout(waiting.timer);
            if (body["error"])
                waiting.reject(new PhoneError(body["error"]));
            else
                waiting.resolve(body);
        }
        else if (typeof body["type"] === "string") {
            if (typeof body["seq"] === "number")
                this.lastSeq = body["seq"];
            this.onevent(body);
        }
    }
    check() {
        this.request("ping", {}, PONG_WITHIN).catch((error) => {
            if (error.code === "signal/timeout")
                this.shut(4408, "");
        });
    }
    shut(code, reason) {
        if (this.over)
            return;
        this.over = true;
        clearInterval(this.alive);
        this.socket.onclose = null;
        this.socket.close();
        // The gateway gives the registry's code as the reason where it has one.
        const named = /^[a-z]+\/[a-z-]+$/.test(reason) ? reason : "signal/connection-lost";
        for (const waiting of this.waiting.values()) {
            clearTimeout(waiting.timer);
            waiting.reject(new PhoneError(named));
        }
        this.waiting.clear();
        this.onclose(code, reason);
    }
}
const OPEN_WITHIN = 10_000;
const REPLY_WITHIN = 10_000;
const PING_EVERY = 20_000;
const PONG_WITHIN = 10_000;

/** Opens the microphone, or says in the registry's codes why not. */
async function microphone(constraints) {
    if (!navigator.mediaDevices?.getUserMedia)
        throw new PhoneError("media/unsupported");
    try {
        const stream = await navigator.mediaDevices.getUserMedia({ audio: constraints ?? true });
        const track = stream.getAudioTracks()[0];
        if (!track)
            throw new PhoneError("media/no-microphone");
        return track;
    }
    catch (error) {
        const name = error instanceof DOMException ? error.name : "";
        if (name === "NotAllowedError" || name === "SecurityError")
            throw new PhoneError("media/permission-denied", null, error);
        if (name === "NotFoundError" || name === "OverconstrainedError")
            throw new PhoneError("media/no-microphone", null, error);
        throw error instanceof PhoneError ? error : new PhoneError("media/microphone-failed", null, error);
    }
}

/** Same members as RTCDTMFSender, and digits work before media is up: then the gateway sends them. */
class CallDTMFSender extends Target {
    ontonechange = null;
    line;
    native = null;
    /** Parts still to come; "w" stands between two parts. */
    parts = [];
    duration = 100;
    gap = 70;
    pause;
    /** Tones that the gateway was asked to send and has not yet. */
    asked = "";
    busy = false;
    /** @internal */
    constructor(line) {
        super();
        this.line = line;
    }
    get canInsertDTMF() {
        return this.line.open();
    }
    /** How the next tones go: as RTP events of this browser, or sent by the gateway. */
    get via() {
        return this.line.rtp() ? "rtp" : "gateway";
    }
    get toneBuffer() {
        return this.asked + [this.native?.toneBuffer ?? "", ...this.parts].join("w").replace(/^w$/, "");
    }
    /** 0-9 A-D # * and "," (2 s), also "w" (0.5 s). Replaces the buffer; "" empties it. */
    insertDTMF(tones, duration = 100, interToneGap = 70) {
        if (!this.canInsertDTMF)
            throw new DOMException("no digits can be sent now", "InvalidStateError");
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
            void this.line.request("dtmf.cancel", {}).catch(() => { });
        }
        if (upper === "") {
            // A tone that sounds goes on to its end, and the browser tells of it; else it ends here.
            if (this.native?.canInsertDTMF)
                this.native.insertDTMF("");
            if (this.busy && (pausing || asked !== ""))
                this.done();
            return;
        }
        this.busy = true;
        if (this.line.rtp()) {
            this.parts = upper.split("w");
            this.next();
        }
        else {
            this.asked = upper;
            this.line.request("dtmf.send", { tones: upper, duration: this.duration, gap: this.gap }).catch(() => this.done());
        }
    }
    /** Adds to the buffer. */
    append(tones) {
        if (!this.busy)
            return this.insertDTMF(tones, this.duration, this.gap);
        this.insertDTMF(this.toneBuffer + normal(tones), this.duration, this.gap);
    }
    /** Sends and resolves after the last tone. */
    send(tones, o = {}) {
        o.signal?.throwIfAborted();
        this.insertDTMF(tones, o.duration, o.gap);
        if (!this.busy)
            return Promise.resolve();
        return new Promise((resolve, reject) => {
            const over = () => {
                this.removeEventListener("tonechange", heard);
                o.signal?.removeEventListener("abort", abort);
            };
            const heard = (ev) => {
                if (ev.tone === "" && !this.busy) {
                    over();
                    resolve();
                }
            };
            const abort = () => {
                over();
                if (this.canInsertDTMF)
                    this.insertDTMF("");
                reject(o.signal?.reason);
            };
            this.addEventListener("tonechange", heard);
            o.signal?.addEventListener("abort", abort, { once: true });
        });
    }
    /** The gateway sent a tone that it was asked for. @internal */
    _sent(tone) {
        if (!this.asked)
            return;
        this.asked = this.asked.replace(/^[,w]+/, "").slice(1);
        this._fire(new DTMFToneChangeEvent(tone));
        if (!/[^,w]/.test(this.asked))
            this.done();
    }
    /** The call is over. @internal */
    _end() {
        clearTimeout(this.pause);
        this.parts = [];
        if (this.busy)
            this.done();
    }
    next() {
        const part = this.parts.shift();
        const native = this.line.rtp();
        if (part === undefined || !native)
            return this.done();
        if (this.native !== native) {
            this.native = native;
            native.addEventListener("tonechange", (ev) => this.changed(ev.tone));
        }
        if (part === "")
            this.changed("");
        else
            native.insertDTMF(part, this.duration, this.gap);
    }
    changed(tone) {
        if (tone !== "")
            return this._fire(new DTMFToneChangeEvent(tone));
        if (this.parts.length === 0)
            return this.done();
        clearTimeout(this.pause);
        this.pause = setTimeout(() => {
            this.pause = undefined;
            this.next();
        }, 500);
    }
    done() {
        this.asked = "";
        this.busy = false;
        this._fire(new DTMFToneChangeEvent(""));
    }
}
/** What the phone side presses. Browsers have no such thing: the gateway reports it. */
class CallDTMFReceiver extends Target {
    ontonechange = null;
    heard = "";
    down = null;
    /** All received so far. */
    get digits() {
        return this.heard;
    }
    /** @internal */
    _event(body) {
        const tone = String(body["tone"]);
        const source = (body["source"] ?? null);
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
function normal(tones) {
    const upper = tones.toUpperCase().replaceAll("W", "w");
    if (!/^[0-9A-D#*,w]*$/.test(upper)) {
        throw new DOMException("tones are 0-9 A-D # * , and w", "InvalidCharacterError");
    }
    return upper;
}

/** One call, from the first ring to its end. */
class Call extends Target {
    /** The id used by REST, records, traces and logs. */
    id;
    direction;
    from;
    to;
    metadata;
    dtmf;
    remoteDTMF = new CallDTMFReceiver();
    /** One stable object for the life of the call. */
    remoteStream = new MediaStream();
    onstatechange = null;
    onended = null;
    onmutechange = null;
    line;
    now;
    pc = null;
    track = null;
    ownTrack = false;
    sink = null;
    ownSink = false;
    silent = false;
    answered = null;
    reason = null;
    offer = null;
    /** Candidates of the page that wait until the gateway knows the call. */
    held = [];
    early = [];
    ringing;
    afterAnswer = null;
    abandon = () => { };
    /** Rejects at the end of the call: work on a closed peer connection never settles by itself. */
    abandoned = new Promise((_, reject) => { this.abandon = reject; });
    constructor(line, id, direction, from, to, metadata) {
        super();
        this.line = line;
        this.id = id;
        this.direction = direction;
        this.from = from;
        this.to = to;
        this.metadata = Object.freeze({ ...metadata });
        this.now = direction === "incoming" ? "ringing" : "new";
        this.abandoned.catch(() => { });
        this.dtmf = new CallDTMFSender({
            rtp: () => this.rtpDtmf(),
            open: () => ["connecting", "early-media", "active"].includes(this.now) || (this.now === "ringing" && direction === "outgoing"),
            request: (type, body) => line.request(type, { call: this.id, ...body }),
        });
    }
    get state() { return this.now; }
    get answeredAt() { return this.answered; }
    get endReason() { return this.reason; }
    /** Replaced when media moves: do not keep it. */
    get peerConnection() { return this.pc; }
    /** The sound that is sent. */
    get localTrack() { return this.track; }
    get muted() { return this.silent; }
    set muted(muted) {
        if (muted === this.silent)
            return;
        this.silent = muted;
        if (this.track)
            this.track.enabled = !muted;
        this._fire(new Event("mutechange"));
    }
    /** Takes an incoming call. */
    async answer(init = {}) {
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
            if (!transceiver || !this.track)
                throw new PhoneError("media/bad-sdp", this);
            transceiver.direction = "sendrecv";
            await this.alive(transceiver.sender.replaceTrack(this.track));
            const answer = await this.alive(pc.createAnswer());
            await this.alive(pc.setLocalDescription(answer));
            await this.line.request("call.answer", { call: this.id, sdp: answer.sdp });
            this.release();
        }
        catch (error) {
            if (this.over())
                throw new PhoneError("call/ended", this, error);
            // Without a microphone the call may still be taken after the user has changed that.
            if (error instanceof PhoneError && error.code.startsWith("media/") && this.now === "ringing")
                this.offer = offer;
            else
                this.fail(error);
            throw error instanceof PhoneError ? error : new PhoneError("media/failed", this, error);
        }
    }
    /** Refuses an incoming call. */
    async reject(reason = "declined") {
        if (this.direction !== "incoming" || this.now !== "ringing")
            throw new PhoneError("signal/wrong-state", this);
        const words = { busy: "You are on another call.", declined: "You declined the call.", unavailable: "You cannot take the call." };
        await this.line.request("call.reject", { call: this.id, reason });
        this._end({ code: reason === "busy" ? "busy" : "declined", by: "local", message: words[reason] });
    }
    /** Ends the call, whatever it is doing. */
    async hangup() {
        if (this.over())
            return;
        try {
            await this.line.request("call.hangup", { call: this.id });
        }
        catch (error) {
            // The gateway does not know the call or is gone: here it ends all the same.
            this.line.log("warn", "hang-up was not confirmed", error);
            this._end({ code: "hangup", by: "local" });
        }
    }
    /** Sends another sound from now on, or none. */
    async replaceTrack(track) {
        await this.pc?.getSenders()[0]?.replaceTrack(track);
        if (this.ownTrack)
            this.track?.stop();
        this.ownTrack = false;
        this.track = track;
        if (track)
            track.enabled = !this.silent;
    }
    /** @internal */
    static async _place(line, to, init, created) {
        init.signal?.throwIfAborted();
        const id = "call_" + ulid();
        const call = new Call(line, id, "outgoing", party({ number: init.from }), party({ uri: to, number: to }), init.metadata ?? {});
        const abort = () => void call.hangup();
        try {
            const pc = await call.prepare(init);
            created(call);
            if (init.signal?.aborted)
                throw new PhoneError("call/aborted", call);
            init.signal?.addEventListener("abort", abort, { once: true });
            call.become("connecting");
            pc.addTransceiver(call.track, { direction: "sendrecv" });
            const offer = await call.alive(pc.createOffer());
            await call.alive(pc.setLocalDescription(offer));
            const body = { call: id, to, from: init.from ?? null, metadata: init.metadata ?? {}, sdp: offer.sdp };
            const asked = line.request("call.start", body).catch((error) => {
                // The id makes the second the same call as the first.
                if (error.code === "signal/timeout" && !call.over())
                    return line.request("call.start", body);
                throw error;
            });
            call.release();
            const reply = await call.alive(asked);
            call.to.number = String(reply["to"] ?? to);
            await call.alive(pc.setRemoteDescription({ type: "answer", sdp: reply["sdp"] }));
            call.takeEarly();
            if (init.timeout)
                call.ringing = setTimeout(() => void call.hangup(), init.timeout);
            call.afterAnswer = init.dtmfAfterAnswer ?? null;
            return call;
        }
        catch (error) {
            init.signal?.removeEventListener("abort", abort);
            // It ended by an event first: whoever waits learns why from the call.
            if (call.over() && call.reason && !(error instanceof PhoneError && error.code === "call/aborted"))
                return call;
            call.fail(error);
            throw error instanceof PhoneError ? new PhoneError({ ...copy(error) }, call, error) : new PhoneError("media/failed", call, error);
        }
    }
    /** @internal */
    static _incoming(line, body) {
        const from = party({ ...body["from"], verified: body["verified"] });
        const call = new Call(line, body["call"], "incoming", from, party(body["to"] ?? {}), body["metadata"] ?? {});
        call.offer = String(body["sdp"]);
        return call;
    }
    /** An event of the gateway about this call. @internal */
    _event(body) {
        switch (body["type"]) {
            case "call.state":
                if (body["state"] === "active" && this.answered === null)
                    this.pickedUp();
                this.become(body["state"]);
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
                if (this.pc?.remoteDescription)
                    this.takeEarly();
                break;
        }
    }
    /** @internal */
    _end(end) {
        if (this.over())
            return;
        clearTimeout(this.ringing);
        this.reason = {
            by: "gateway", sip: null, q850: null, retryable: false,
            ...end, message: end.message ?? END_WORDS[end.code] ?? end.code,
        };
        this.now = "ended";
        this.abandon(new PhoneError("call/ended", this));
        this.dtmf._end();
        this.pc?.close();
        if (this.ownTrack)
            this.track?.stop();
        if (this.sink && this.ownSink)
            this.sink.srcObject = null;
        this.line.gone(this);
        this._fire(new Event("statechange"));
        this._fire(new CallEndedEvent(this.reason));
    }
    alive(work) {
        return Promise.race([work, this.abandoned]);
    }
    over() {
        return this.now === "ended";
    }
    become(state) {
        if (this.over() || this.now === state || state === "ended")
            return;
        this.now = state;
        this._fire(new Event("statechange"));
    }
    pickedUp() {
        this.answered = new Date();
        clearTimeout(this.ringing);
        const tones = this.afterAnswer;
        this.afterAnswer = null;
        if (tones)
            queueMicrotask(() => !this.over() && this.dtmf.insertDTMF(tones));
    }
    async prepare(init) {
        const ended = () => this.over();
        this.track = init.track ?? await microphone(this.line.audio);
        this.ownTrack = !init.track;
        if (ended()) {
            if (this.ownTrack)
                this.track.stop();
            throw new PhoneError("call/ended", this);
        }
        if (init.muted !== undefined)
            this.silent = init.muted;
        this.track.enabled = !this.silent;
        const pc = new RTCPeerConnection(this.line.configuration());
        this.pc = pc;
        pc.onicecandidate = (ev) => this.trickle(ev.candidate);
        pc.ontrack = (ev) => this.hear(ev.track, init.sink);
        pc.onconnectionstatechange = () => {
            this.line.log("debug", "peer connection " + pc.connectionState, this.id);
            if (pc.connectionState === "failed" && this.pc === pc)
                this.fail(new PhoneError("media/failed", this));
        };
        return pc;
    }
    hear(track, sink) {
        this.remoteStream.addTrack(track);
        if (sink === "none" || this.sink)
            return;
        this.ownSink = !sink;
        this.sink = sink ?? new Audio();
        this.sink.autoplay = true;
        this.sink.srcObject = this.remoteStream;
        this.sink.play().catch((error) => this.line.log("warn", "the browser does not play sound yet", error));
    }
    trickle(candidate) {
        const json = candidate && candidate.candidate !== "" ? candidate.toJSON() : null;
        if (this.held)
            this.held.push(json);
        else
            this.tell(json);
    }
    /** The gateway knows the call now. */
    release() {
        const held = this.held ?? [];
        this.held = null;
        for (const candidate of held)
            this.tell(candidate);
    }
    tell(candidate) {
        if (this.over())
            return;
        this.line.request("ice", { call: this.id, candidate }).catch((error) => this.line.log("debug", "a candidate was not taken", error));
    }
    takeEarly() {
        for (const candidate of this.early.splice(0)) {
            this.pc?.addIceCandidate(candidate ?? undefined).catch((error) => this.line.log("warn", "a candidate of the gateway was not taken", error));
        }
    }
    rtpDtmf() {
        const dtmf = this.pc?.connectionState === "connected" ? this.pc.getSenders()[0]?.dtmf : null;
        return dtmf?.canInsertDTMF ? dtmf : null;
    }
    /** Ends here, and at the gateway where it is known there. */
    fail(error) {
        if (this.over())
            return;
        if (this.now !== "new")
            void this.line.request("call.hangup", { call: this.id }).catch(() => { });
        const code = error instanceof PhoneError ? error.code : "media/failed";
        this._end({
            code: code.startsWith("media/") ? "media-failed" : (END_OF[code] ?? "internal"),
            by: code.startsWith("media/") ? "local" : "gateway",
            ...(error instanceof PhoneError ? { message: error.message, retryable: error.retryable, sip: sipOf(error) } : {}),
        });
    }
}
/** @internal */
function party(given) {
    return {
        uri: given["uri"] ?? "",
        number: given["number"] ?? null,
        display: given["display"] ?? null,
        verified: given["verified"] ?? null,
    };
}
function copy(error) {
    const { code, message, retryable, docs, retryAfter, details } = error;
    return { code, message, retryable, docs, details, ...(retryAfter === null ? {} : { retry_after_ms: retryAfter }) };
}
function sipOf(error) {
    const sip = error.details?.["sip"];
    return sip && typeof sip.status === "number" ? { status: sip.status, reason: String(sip.reason ?? "") } : null;
}
/** The end of a call that was refused before it was taken. */
const END_OF = {
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
const END_WORDS = {
    "hangup": "The call was hung up.",
    "cancelled": "The caller gave up.",
    "answered-elsewhere": "The call was answered elsewhere.",
    "declined": "The call was declined.",
    "busy": "The line is busy.",
    "media-failed": "No connection for sound could be made.",
    "internal": "The connection to the gateway was lost.",
    "server-shutdown": "The gateway is being stopped.",
};

/** The connection to a gateway: places and receives calls. */
class Phone extends Target {
    onstatechange = null;
    onincomingcall = null;
    onerror = null;
    init;
    now = "new";
    who = null;
    able = new Set();
    wire = null;
    ice = [];
    live = new Map();
    retry;
    renewing = false;
    constructor(init) {
        super();
        this.init = init;
    }
    /** Whether this browser and page can make calls. */
    static get supported() {
        return typeof RTCPeerConnection === "function" && !!navigator.mediaDevices?.getUserMedia;
    }
    get state() { return this.now; }
    get identity() { return this.who; }
    get calls() { return [...this.live.values()]; }
    get features() { return this.able; }
    /** Connects and logs in; afterwards the connection is renewed by itself until `close()`. */
    async connect(options = {}) {
        if (this.now === "ready")
            return;
        if (this.now === "connecting")
            throw new PhoneError("signal/wrong-state");
        clearTimeout(this.retry);
        this.become("connecting");
        try {
            await this.open(options.signal);
        }
        catch (error) {
            this.become("new");
            throw error;
        }
    }
    /** Places a call; resolves when the gateway took it. */
    async call(to, init = {}) {
        if (this.now !== "ready")
            throw new PhoneError(this.now === "closed" ? "signal/closed" : "signal/unreachable");
        return Call._place(this.line(), to, init, (call) => this.live.set(call.id, call));
    }
    /** Hangs up every call and disconnects. */
    close() {
        if (this.now === "closed")
            return;
        clearTimeout(this.retry);
        for (const call of this.live.values())
            void call.hangup();
        const wire = this.wire;
        this.wire = null;
        this.become("closed");
        wire?.close();
        for (const call of this.live.values())
            call._end({ code: "hangup", by: "local" });
    }
    async open(signal) {
        const token = await this.token();
        const wire = await Wire.open(String(this.init.url), signal);
        if (this.state === "closed") {
            wire.close();
            throw new PhoneError("signal/closed");
        }
        this.wire = wire;
        wire.onevent = (body) => this.event(body);
        wire.onclose = (code, reason) => this.lost(wire, code, reason);
        let welcome;
        try {
            welcome = await wire.request("hello", { token, client: { name: "crosspoint-sdk", version: VERSION } });
        }
        catch (error) {
            this.wire = null;
            wire.close();
            throw error;
        }
        this.who = welcome["identity"] ?? null;
        this.ice = welcome["ice_servers"] ?? [];
        this.able = new Set(welcome["features"] ?? []);
        this.become("ready");
    }
    async token() {
        const { token } = this.init;
        return typeof token === "string" ? token : await token();
    }
    line() {
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
    event(body) {
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
    incoming(body) {
        if (this.live.has(body["call"]))
            return;
        const call = Call._incoming(this.line(), body);
        if (this.init.incoming === false) {
            call.reject("unavailable").catch(() => { });
            return;
        }
        this.live.set(call.id, call);
        this._fire(new IncomingCallEvent("incomingcall", call));
    }
    async renew() {
        if (typeof this.init.token === "string" || this.renewing)
            return;
        this.renewing = true;
        try {
            const token = await this.token();
            await this.wire?.request("token", { token });
        }
        catch (error) {
            this.report(error);
        }
        finally {
            this.renewing = false;
        }
    }
    lost(wire, code, reason) {
        if (this.wire !== wire)
            return;
        this.wire = null;
        if (this.now !== "ready")
            return;
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
    again(attempt, since) {
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
            }
            catch (error) {
                this.init.logger?.("warn", "no connection yet", error);
                if (this.now === "reconnecting")
                    this.again(attempt + 1, since);
            }
        }, wait * (0.75 + Math.random() / 2));
    }
    become(state) {
        if (this.now === state)
            return;
        this.now = state;
        this._fire(new Event("statechange"));
    }
    report(error) {
        this._fire(new PhoneErrorEvent(error instanceof PhoneError ? error : new PhoneError("signal/unreachable", null, error)));
    }
}
const VERSION = "0.1.0";
/** About ten minutes. */
const RETRY_DELAYS = [300, 1000, 2000, 4000, 8000, ...Array(60).fill(10_000)];

export { Phone, Call, CallDTMFReceiver, CallDTMFSender, CallEndedEvent, CallEvent, DTMFToneChangeEvent, IncomingCallEvent, PhoneErrorEvent, PhoneError, ERRORS };
