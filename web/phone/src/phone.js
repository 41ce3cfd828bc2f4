// <crosspoint-phone>: a whole phone in one element, for the gateway's own page and for any other.
//
//   <crosspoint-phone url="wss://gateway/v1/rtc" token-url="/token"></crosspoint-phone>
//
// With `token-url` it logs in by itself; else set `token` (a string or a function) and call `connect()`. `to` fills the number in. It tells
// `phonestate` and `callstate` (bubbling) and uses nothing but what any page can use: ./sdk.js.
import { LitElement, html, nothing } from "lit";
import { Phone, PhoneError } from "./sdk.js";
import { icon } from "./icons.js";
import { Recent } from "./recent.js";
import { Ear, audio, ring } from "./sound.js";
import { base, phoneStyles } from "./styles.js";

const LINE = { new: "Not connected.", connecting: "Connecting…", ready: "", reconnecting: "The connection is lost. Trying again…", closed: "Disconnected." };
const STATE = { new: "Opening the microphone…", connecting: "Calling…", ringing: "Ringing…", "early-media": "Not answered yet", active: "Connected", reconnecting: "Reconnecting…" };
const MODES = { rfc4733: "RFC 4733", "sip-info": "SIP INFO", inband: "in-band" };
/** A finger, not a mouse: the pad on the screen is the keyboard, and no other one pops up. */
const TOUCH = matchMedia("(pointer: coarse)").matches;
const HELP = {
  "media/permission-denied": ["The microphone is blocked", "Allow it for this page: click the symbol beside the address, set Microphone to Allow, then call again."],
  "media/no-microphone": ["No microphone was found", "Plug in a microphone or a headset, check that the system's sound settings show it, then call again."],
  "media/microphone-failed": ["The microphone does not open", "Another program may be using it. Close that program, then call again."],
  "media/unsupported": ["This page cannot use the microphone", "Browsers allow it only on https:// pages and on http://localhost."],
  "signal/unreachable": ["The gateway cannot be reached", "Check that it is running; the page keeps trying."],
};
const WARNINGS = {
  "silent-microphone": "Nothing is heard from your microphone.", "no-inbound-media": "No sound comes in.", "no-outbound-media": "No sound goes out.",
  "high-loss": "Sound is being lost on the way.", "high-rtt": "The way is long: sound is late.", "high-jitter": "The connection is uneven.",
  "low-mos": "The quality is poor.", "trunk-high-loss": "The telephone side loses sound.", "token-expiring": "Your login ends soon.",
};

export class CrosspointPhone extends LitElement {
  static properties = {
    url: {}, tokenUrl: { attribute: "token-url" }, to: {}, view: { state: true },
    token: { attribute: false }, testing: { type: Boolean }, relay: { type: Boolean },
    last: { state: true }, problem: { state: true }, number: { state: true }, asking: { state: true }, quality: { state: true }, warnings: { state: true }, keys: { state: true },
  };
  static styles = [base, phoneStyles];

  constructor() {
    super();
    this.url = "/v1/rtc";
    this.to = "";
    this.view = "idle";
    this.phone = null;
    this.call = null;
    this.number = "";
    this.last = this.problem = this.asking = this.quality = null;
    this.warnings = new Set();
    this.keys = NO_KEYS;
    this.ears = {};
    this.stopRing = () => {};
    this.recent = new Recent();
    this.dialled = this.recent.calls[0]?.number ?? "";
    this.onKey = (ev) => this.keyDown(ev);
    this.onKeyUp = (ev) => this.pad?.release(ev.key);
  }

  get pad() { return this.renderRoot?.querySelector("crosspoint-dialpad"); }
  $(id) { return this.renderRoot.getElementById(id); }

  connectedCallback() {
    super.connectedCallback();
    document.addEventListener("keydown", this.onKey);
    document.addEventListener("keyup", this.onKeyUp);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    document.removeEventListener("keydown", this.onKey);
    document.removeEventListener("keyup", this.onKeyUp);
    this.phone?.close();
  }

  firstUpdated() {
    if (this.to) this.number = this.to;
    if (TOUCH) this.$("number").inputMode = "none";
    if (this.tokenUrl) this.connect().catch(() => {});
  }

  updated() {
    // A page with little room can make some.
    this.toggleAttribute("data-problem", this.problem !== null);
  }

  /** Logs in, and keeps trying while the gateway cannot be reached; rejects where the token is refused. */
  async connect() {
    this.phone?.close();
    const raw = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const phone = (this.phone = new Phone({
      url: this.url,
      token: this.token ?? (async () => (await fetch(this.tokenUrl, { cache: "no-store" })).text()),
      ...(this.relay ? { iceTransportPolicy: "relay" } : {}),
      audio: this.testing ? raw : { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      logger: (level, msg, data) => this.testing && console.debug(level, msg, data ?? ""),
    }));
    phone.addEventListener("statechange", () => {
      if (phone !== this.phone) return;
      if (phone.state === "ready") this.dismiss("signal/unreachable");
      this.tell("phonestate", { state: phone.state, identity: phone.identity });
      this.requestUpdate();
    });
    phone.addEventListener("incomingcall", (ev) => this.incoming(ev.call));
    phone.addEventListener("resumedcall", (ev) => this.resumed(ev.call));
    phone.addEventListener("devicechange", () => this.requestUpdate());
    phone.addEventListener("error", (ev) => this.notice(ev.error));
    this.view = "idle";
    for (let wait = 500; phone === this.phone && phone.state !== "closed"; wait = Math.min(8000, wait * 2)) {
      try {
        await phone.connect();
        return;
      } catch (error) {
        this.notice(error);
        if (error.code?.startsWith("auth/")) throw error;
        await new Promise((done) => setTimeout(done, wait));
      }
    }
  }

  async dial(to) {
    to = to.trim();
    if (to === "" || this.call || this.phone?.state !== "ready") return;
    this.dialled = to;
    this.problem = this.last = null;
    audio();
    // The call is shown at once; the library gives the object when the gateway has taken it.
    const giveUp = new AbortController();
    const hangup = () => {
      giveUp.abort();
      this.finish({ code: "cancelled", by: "local", message: "You gave up the call.", sip: null, retryable: false });
    };
    this.begin({ to: { number: to, display: null, uri: to }, direction: "outgoing", state: "new", dtmf: null, hangup });
    try {
      const placed = await this.phone.call(to, { signal: giveUp.signal });
      if (!giveUp.signal.aborted) this.adopt(placed);
    } catch (error) {
      if (giveUp.signal.aborted) return;
      this.finish(error.call?.endReason ?? null);
      if (!(error instanceof PhoneError)) throw error;
      if (/^(call|auth|server)\//.test(error.code)) {
        this.showEnd(error.call?.endReason ?? { code: error.code, message: error.message, sip: null, retryable: error.retryable, by: "gateway" });
      } else {
        this.last = null;
        this.notice(error);
      }
    }
  }

  incoming(ringing) {
    if (this.call) return void ringing.reject("busy").catch(() => {});
    this.call = ringing;
    this.last = null;
    this.view = "ring";
    const who = name(ringing.from);
    // Never under the fingers of somebody who types: Enter would take the call.
    if (document.activeElement === document.body) void this.updateComplete.then(() => this.$("answer")?.focus());
    if (!this.testing) this.stopRing = ring(this.phone.devices.ringOutputId);
    this.notification = notify(who);
    ringing.addEventListener("ended", (ev) => this.call === ringing && this.finish(ev.reason));
    this.told();
  }

  /** A call of this page's life before. */
  resumed(again) {
    if (this.call) return;
    audio();
    this.begin(again);
    this.adopt(again);
    this.keys = { ...this.keys, received: again.remoteDTMF.digits };
  }

  async answer() {
    const taken = this.call;
    this.silence();
    audio();
    try {
      this.begin(taken);
      const answered = taken.answer();
      this.adopt(taken);
      await answered;
      this.adopt(taken);
    } catch (error) {
      if (taken.endReason) return;
      this.notice(error);
      // Still ringing: the microphone can be allowed and the call taken.
      if (taken.state === "ringing") this.view = "ring";
    }
  }

  silence() {
    this.stopRing();
    this.notification?.close();
  }

  begin(next) {
    this.call = next;
    this.keys = NO_KEYS;
    this.quality = this.asking = null;
    this.warnings = new Set();
    this.view = "talk";
    void this.updateComplete.then(() => this.$("hangup")?.focus());
    this.told();
  }

  /** The library's call has come, or its sound has. */
  adopt(real) {
    if (real.state === "ended") return this.finish(real.endReason);
    this.call = real;
    this.told();
    if (!this.known?.has(real)) {
      (this.known ??= new WeakSet()).add(real);
      const again = () => this.told();
      for (const change of ["statechange", "mutechange", "heldchange"]) real.addEventListener(change, again);
      if (real.direction === "outgoing" || real.state !== "ringing") real.addEventListener("ended", (ev) => this.call === real && this.finish(ev.reason));
      real.remoteDTMF.addEventListener("tonechange", (ev) => {
        this.keys = { ...this.keys, received: real.remoteDTMF.digits, down: ev.tone !== "" };
      });
      real.dtmf.addEventListener("tonechange", (ev) => {
        if (ev.tone === "") return;
        this.keys = { ...this.keys, sent: [...this.keys.sent, { tone: ev.tone }] };
      });
      real.dtmf.addEventListener("sent", (ev) => this.delivered(ev.tone, ev.receipt));
      real.dtmf.addEventListener("modechange", (ev) => {
        this.keys = { ...this.keys, how: ev.error ? ev.error.message : (MODES[ev.mode] ?? ""), mode: ev.mode ?? "none" };
      });
      real.addEventListener("stats", (ev) => (this.quality = ev.stats));
      real.addEventListener("warning", (ev) => {
        const warnings = new Set(this.warnings);
        if (ev.active) warnings.add(ev.name);
        else warnings.delete(ev.name);
        this.warnings = warnings;
      });
      real.addEventListener("transfer", (ev) => ev.result.status === "failed" && this.notice({ code: "call/transfer", message: `The transfer failed${ev.result.sip ? ` (${ev.result.sip})` : ""}.` }));
      real.remoteStream.addEventListener("addtrack", () => {
        // Another peer connection, another track.
        this.ears.remote?.close();
        delete this.ears.remote;
        this.hear(real);
      });
    }
    this.hear(real);
  }

  /** Lights up the digit, on the pad, too, and says how it went. */
  delivered(tone, receipt) {
    const how = [MODES[receipt.mode], receipt.tone_ms == null ? null : `${receipt.tone_ms} ms`, receipt.info_status].filter(Boolean).join(" · ");
    const waiting = this.keys.sent.findIndex((digit) => digit.tone === tone && !digit.how);
    const sent = this.keys.sent.map((digit, at) => (at === waiting ? { tone, how, mode: receipt.mode ?? "", ms: receipt.tone_ms ?? "" } : digit));
    this.keys = { ...this.keys, sent, how };
    this.pad?.light(tone);
  }

  hear(real) {
    if (!this.ears.local && real.localTrack) this.ears.local = new Ear(new MediaStream([real.localTrack]));
    if (!this.ears.remote && real.remoteStream.getAudioTracks().length > 0) this.ears.remote = new Ear(real.remoteStream);
    requestAnimationFrame(() => this.meters());
  }

  meters(again = false) {
    if (this.metering && !again) return;
    this.metering = Boolean(this.ears.local || this.ears.remote);
    for (const side of ["local", "remote"]) {
      const level = side === "local" && this.call?.muted ? 0 : (this.ears[side]?.level() ?? 0);
      this.$(`meter-${side}`)?.style.setProperty("--level", level.toFixed(3));
    }
    const timer = this.$("timer");
    if (timer && this.call?.answeredAt) timer.textContent = clock(Date.now() - this.call.answeredAt.getTime());
    if (this.metering) requestAnimationFrame(() => this.meters(true));
  }

  finish(reason) {
    const over = this.call;
    if (!over) return;
    this.call = null;
    this.silence();
    for (const ear of Object.values(this.ears)) ear.close();
    this.ears = {};
    const length = over.answeredAt ? Date.now() - over.answeredAt.getTime() : null;
    const who = over.direction === "incoming" ? over.from.number ?? over.from.uri : this.dialled;
    this.recent.add({ number: who, incoming: over.direction === "incoming", missed: over.direction === "incoming" && length === null && reason?.by !== "local" && reason?.code !== "answered-elsewhere", at: Date.now(), length });
    this.view = "idle";
    if (reason) this.showEnd(reason, length, who);
    if (over.direction === "incoming" && over.from.number) this.dialled = over.from.number;
    this.told(over);
    void this.updateComplete.then(() => (TOUCH ? this.$("call") : this.$("number"))?.focus({ preventScroll: true }));
  }

  showEnd(reason, length = null, who = this.dialled) {
    const own = reason.by === "local" && reason.code === "hangup";
    const message = own ? "You hung up." : reason.code === "hangup" && reason.by === "remote" ? "The other side hung up." : reason.message;
    const detail = [who, length === null ? null : clock(length), reason.sip ? `${reason.sip.status} ${reason.sip.reason}` : null].filter(Boolean).join(" · ");
    this.last = { fine: ["hangup", "cancelled", "answered-elsewhere"].includes(reason.code), code: reason.code, by: reason.by, sip: reason.sip?.status ?? "", message, detail };
  }

  notice(error) {
    const [title, text] = HELP[error.code] ?? [error.message ?? String(error), error.code ?? ""];
    this.problem = { title, text, code: error.code ?? "" };
  }

  dismiss(code) {
    if (this.problem?.code === code) this.problem = null;
  }

  told(last = null) {
    this.requestUpdate();
    this.tell("callstate", { call: this.call, last });
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  keyDown(ev) {
    const inside = ev.composedPath();
    const field = inside.find((el) => el.matches?.("input, select, textarea"));
    if (ev.ctrlKey || ev.altKey || ev.metaKey || (field && field.id !== "number") || this.$("devices")?.open) return;
    if (this.view === "talk" && /^[0-9*#]$/.test(ev.key)) {
      ev.preventDefault();
      if (!ev.repeat) this.pad.press(ev.key);
    } else if (this.view === "idle" && !field && /^[0-9*#+]$/.test(ev.key)) {
      ev.preventDefault();
      this.$("number").focus();
      this.insert(ev.key);
    } else if (this.view === "idle" && ev.target === document.body && ev.key === "Enter") {
      this.$("dialler").requestSubmit();
    } else if (this.view === "idle" && ev.target === document.body && ev.key === "Backspace") {
      this.$("number").focus();
    }
  }

  pressed(key) {
    if (this.view !== "idle") return;
    this.insert(key);
    if (key === "0") this.plus = setTimeout(() => this.$("number").value.endsWith("0") && this.insert("+", 1), 550);
  }

  /** Puts a character where the caret is, in place of the `replace` before it. */
  insert(key, replace = 0) {
    const input = this.$("number");
    const at = input.selectionStart ?? input.value.length;
    input.setRangeText(key, Math.max(0, at - replace), input.selectionEnd ?? at, "end");
    this.number = input.value;
  }

  erase(all) {
    const input = this.$("number");
    input.setRangeText("", all ? 0 : Math.max(0, input.value.length - 1), input.value.length);
    this.number = input.value;
  }

  submit(ev) {
    ev.preventDefault();
    if (this.number.trim() === "") this.number = this.dialled;
    else void this.dial(this.number);
  }

  async attempt(work) {
    try {
      await work();
    } catch (error) {
      this.notice(error);
    }
    this.requestUpdate();
  }

  render() {
    const line = this.phone && this.phone.state !== "ready" ? LINE[this.phone.state] : "";
    return html`<section id="phone" class="phone" data-view=${this.view} aria-label="Phone" @press=${(ev) => this.pressed(ev.detail.key)} @release=${() => clearTimeout(this.plus)}>
      <div id="notice" class="notice" role="alert" data-code=${this.problem?.code ?? ""} ?hidden=${!this.problem}>
        <div><strong id="notice-title">${this.problem?.title}</strong><p id="notice-text">${this.problem?.text}</p></div>
        <button type="button" id="notice-close" class="icon" aria-label="Dismiss this message" @click=${() => (this.problem = null)}>${icon("close")}</button>
      </div>
      <p class="offline" role="status" ?hidden=${this.view !== "talk" || line === ""}>${line}</p>
      <slot name="login"></slot>
      <div class="screen">${this.view === "talk" ? this.talk() : this.view === "ring" ? this.ring() : this.dialler()}</div>
      <crosspoint-dialpad id="pad" ?silent=${this.testing} .call=${this.view === "talk" ? this.call : null}></crosspoint-dialpad>
      <div class="actions">${this.view === "talk" ? this.talkActions() : this.view === "ring" ? this.ringActions() : this.idleActions()}</div>
      ${this.settings()}${this.history()}
    </section>`;
  }

  dialler() {
    let timer;
    let long = false;
    const hold = () => {
      long = false;
      timer = setTimeout(() => ((long = true), this.erase(true)), 600);
    };
    return html`<form id="dialler" @submit=${this.submit}>
      <div class="field">
        <label for="number" class="hidden">Number to call</label>
        <input id="number" type="text" inputmode="tel" autocomplete="off" spellcheck="false" maxlength="48" placeholder="Number" .value=${this.number} @input=${(ev) => (this.number = ev.target.value)}>
        <button type="button" id="erase" class="icon" aria-label="Delete the last digit; hold to delete all" @pointerdown=${hold} @pointerup=${() => clearTimeout(timer)} @pointerleave=${() => clearTimeout(timer)} @click=${() => !long && this.erase(false)}>${icon("erase")}</button>
      </div>
      <div id="last" class="last" role="status" aria-live="polite" ?hidden=${!this.last} data-tone=${this.last?.fine ? "fine" : "bad"} data-code=${this.last?.code ?? ""} data-by=${this.last?.by ?? ""} data-sip=${this.last?.sip ?? ""}>
        <div><p id="end-message">${this.last?.message}</p><p id="end-detail" class="detail">${this.last?.detail}</p></div>
        <button type="button" id="again" class="pill" aria-label="Call again" @click=${() => this.dial(this.dialled)}>${icon("again")}<span>Call again</span></button>
      </div>
    </form>`;
  }

  talk() {
    const { call } = this;
    const party = call.direction === "incoming" ? call.from : call.to;
    const state = call.held ? "On hold" : call.heldByRemote ? "The other side holds the call" : call.muted && call.state === "active" ? "Connected, muted" : STATE[call.state];
    return html`<div id="talk" class="talk" data-state=${call.state} data-muted=${String(Boolean(call.muted))}>
      <p id="peer" class="peer">${name(party)}</p>
      <p id="peer-detail" class="detail">${party.display ? party.number ?? party.uri : ""}</p>
      <p id="state" class="state" role="status" aria-live="polite">${state}</p>
      <div class="facts"><span id="timer" class="timer" role="timer" aria-live="off" ?hidden=${!call.answeredAt}></span>${this.bars()}</div>
      <p class="warning" role="status">${WARNINGS[[...this.warnings].find((warning) => WARNINGS[warning])] ?? ""}</p>
      <div class="meters" aria-hidden="true">${icon("mic")}<span class="meter" id="meter-local"><i></i></span>${icon("speaker")}<span class="meter" id="meter-remote"><i></i></span></div>
      <div class="digits">
        <div><span id="sent-label">Sent <small id="sent-how" data-mode=${this.keys.mode}>${this.keys.how}</small></span><output id="sent" aria-labelledby="sent-label" aria-live="off"><bdi>${this.keys.sent.map((digit) => html`<i class=${digit.how ? "delivered" : ""} title=${digit.how ?? ""} data-mode=${digit.mode ?? ""} data-ms=${digit.ms ?? ""}>${digit.tone}</i>`)}</bdi></output></div>
        <div class=${this.keys.down ? "down" : ""}><span id="received-label">Received</span><output id="received" aria-labelledby="received-label"><bdi>${this.keys.received}</bdi></output></div>
      </div>
      ${this.asking === "transfer" ? html`<form class="transfer" @submit=${this.transfer}>
        <label for="transfer-to" class="hidden">Number to transfer the call to</label>
        <input id="transfer-to" autocomplete="off" placeholder="Transfer to" inputmode="tel"><button class="pill">Transfer</button>
      </form>` : nothing}
    </div>`;
  }

  bars() {
    const mos = this.quality?.mos;
    if (mos === null || mos === undefined) return nothing;
    const word = mos >= 3.8 ? "good" : mos >= 3 ? "fair" : "poor";
    const on = word === "good" ? 4 : word === "fair" ? 2 : 1;
    const { rtt, inbound, codec } = this.quality;
    const facts = `Quality ${word}: ${mos.toFixed(1)} of 4.5, ${codec}, ${rtt ?? "?"} ms round trip, ${(inbound.lossRatio * 100).toFixed(1)} % lost`;
    return html`<span id="quality" class="quality" role="img" data-word=${word} aria-label=${facts} title=${facts}>${[1, 2, 3, 4].map((n) => html`<i class=${n <= on ? "on" : ""}></i>`)}</span>`;
  }

  ring() {
    const { from } = this.call;
    return html`<div id="ring" class="ring" role="alert">
      <p class="detail">Incoming call</p>
      <div class="bell" aria-hidden="true"><span></span><span></span>${icon("call")}</div>
      <p id="caller" class="peer">${name(from)}</p>
      <p id="caller-detail" class="detail">${from.display ? from.number ?? from.uri : ""}${from.verified === "A" ? " ✓ verified" : ""}</p>
    </div>`;
  }

  idleActions() {
    const ready = this.phone?.state === "ready" && (this.number.trim() !== "" || this.dialled !== "");
    return html`<div class="side"><button type="button" id="open-recent" class="round quiet" aria-label="Recent calls" aria-haspopup="dialog" @click=${() => this.$("recent").showModal()}>${icon("again")}</button></div>
      <button type="submit" form="dialler" id="call" class="round go" aria-label="Call" ?disabled=${!ready} title=${this.number.trim() === "" && this.dialled !== "" ? `Dial ${this.dialled} again` : ""} @click=${(ev) => { ev.preventDefault(); this.$("dialler").requestSubmit(); }}>${icon("call")}</button>
      <div class="side"><button type="button" id="open-devices" class="round quiet" aria-label="Microphone and speaker" aria-haspopup="dialog" @click=${() => this.$("devices").showModal()}>${icon("devices")}</button></div>`;
  }

  talkActions() {
    const { call } = this;
    const real = "id" in call;
    return html`<div class="side">
        <button type="button" id="mute" class="round quiet" aria-pressed=${String(Boolean(call.muted))} aria-label="Mute the microphone" title=${call.muted ? "Unmute" : "Mute"} ?disabled=${!real} @click=${() => (call.muted = !call.muted)}>${icon(call.muted ? "mic-off" : "mic")}</button>
        <button type="button" id="hold" class="round quiet" aria-pressed=${String(Boolean(call.held))} aria-label="Hold the call" title="Hold" ?disabled=${call.state !== "active"} @click=${() => this.attempt(() => (call.held ? call.unhold() : call.hold()))}>${icon("hold")}</button>
      </div>
      <button type="button" id="hangup" class="round stop" aria-label="Hang up" @click=${() => this.call?.hangup()}>${icon("hangup")}</button>
      <div class="side">
        <button type="button" id="transfer" class="round quiet" aria-expanded=${String(this.asking === "transfer")} aria-label="Transfer the call" title="Transfer" ?disabled=${call.state !== "active" || !this.phone.features.has("transfer")} @click=${() => this.askTransfer()}>${icon("transfer")}</button>
        <button type="button" id="open-devices" class="round quiet" aria-label="Microphone and speaker" aria-haspopup="dialog" @click=${() => this.$("devices").showModal()}>${icon("devices")}</button>
      </div>`;
  }

  ringActions() {
    return html`<button type="button" id="reject" class="round stop" aria-label="Decline" @click=${() => this.call?.reject().catch((error) => this.notice(error))}>${icon("hangup")}<span>Decline</span></button>
      <button type="button" id="answer" class="round go" aria-label="Answer" @click=${this.answer}>${icon("call")}<span>Answer</span></button>`;
  }

  askTransfer() {
    this.asking = this.asking === "transfer" ? null : "transfer";
    void this.updateComplete.then(() => this.$("transfer-to")?.focus());
  }

  transfer(ev) {
    ev.preventDefault();
    const to = this.$("transfer-to").value.trim();
    if (to === "") return;
    this.asking = null;
    void this.attempt(() => this.call.transfer(to));
  }

  settings() {
    const devices = this.phone?.devices;
    if (!devices) return nothing;
    const list = (id, label, found, chosen, choose) => html`<label for=${id}>${label}
      <select id=${id} @change=${(ev) => this.attempt(() => choose(ev.target.value))}>
        <option value="" ?selected=${!chosen}>The system's choice</option>
        ${found.filter((d) => d.deviceId && d.deviceId !== "default").map((d) => html`<option value=${d.deviceId} ?selected=${d.deviceId === chosen}>${d.label || "Unnamed"}</option>`)}
      </select></label>`;
    const selectable = "setSinkId" in HTMLAudioElement.prototype;
    return html`<dialog id="devices" aria-labelledby="devices-title">
      <h2 id="devices-title">Microphone and speaker</h2>
      ${list("input", "Microphone", devices.inputs, devices.inputId, (id) => devices.setInput(id || null))}
      ${selectable ? list("output", "Speaker", devices.outputs, devices.outputId, (id) => devices.setOutput(id)) : nothing}
      ${selectable ? list("ringer", "Ring tone plays on", devices.outputs, devices.ringOutputId, (id) => devices.setRingOutput(id)) : nothing}
      ${"Notification" in window ? html`<label class="line" for="notify"><input id="notify" type="checkbox" ?checked=${Notification.permission === "granted"} ?disabled=${Notification.permission !== "default"} @change=${() => Notification.requestPermission().then(() => this.requestUpdate())}> Show a notification when somebody calls</label>` : nothing}
      <button type="button" class="wide" @click=${() => this.$("devices").close()}>Done</button>
    </dialog>`;
  }

  history() {
    const redial = (number) => {
      this.$("recent").close();
      this.number = number;
      void this.dial(number);
    };
    return html`<dialog id="recent" aria-labelledby="recent-title">
      <h2 id="recent-title">Recent calls</h2>
      ${this.recent.calls.length === 0 ? html`<p class="detail">None yet.</p><br>` : html`<ul class="recent">${this.recent.calls.map((entry) => html`<li>
        <button type="button" data-missed=${String(entry.missed)} aria-label=${`Call ${entry.number}`} @click=${() => redial(entry.number)}><b>${entry.number}</b><span class="detail">${new Date(entry.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}</span><small>${entry.missed ? "Missed" : entry.incoming ? "Came in" : "Went out"}${entry.length === null ? "" : `, ${clock(entry.length)}`}</small></button></li>`)}</ul>`}
      <button type="button" class="wide" @click=${() => this.$("recent").close()}>Close</button>
    </dialog>`;
  }
}

/** Of a call that begins: `sent` has a digit each, with how it went once it is out. */
const NO_KEYS = { sent: [], how: "", mode: "", received: "", down: false };

function name(party) {
  return party.display ?? party.number ?? (party.uri || "Unknown");
}

/** Only where the user has allowed it, and does not look at the page. */
function notify(who) {
  if (!("Notification" in window) || Notification.permission !== "granted" || document.visibilityState === "visible") return null;
  const notification = new Notification(`${who} is calling`, { tag: "crosspoint-call", requireInteraction: true });
  notification.onclick = () => window.focus();
  return notification;
}

function clock(ms) {
  const s = Math.floor(ms / 1000);
  const two = (n) => String(n).padStart(2, "0");
  return s < 3600 ? `${Math.floor(s / 60)}:${two(s % 60)}` : `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}
