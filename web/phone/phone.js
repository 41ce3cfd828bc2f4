// The web phone. It uses nothing but what any page can use: /sdk.js.
//
// GET /phone.json (demo, loopback) gives {"token": "…", "user": "…", "hints": [{"dial": "600", "name":
// "Echo", "about": "You hear yourself."}]}; where there is none, the page asks for a token.
//
// #test in the address: the microphone is sent as it is (no echo cancellation, noise suppression or
// gain control), the page makes no sound of its own, and `window.crosspoint` gives the phone, the
// call and measured levels.

import { Phone, PhoneError } from "/sdk.js";
import { Ear, ToneWatch, audio, keyTone, ring } from "/sound.js";

const OPTIONS = location.hash.split(/[#&,]/);
const TEST = OPTIONS.includes("test");
const ui = Object.fromEntries([...document.querySelectorAll("[id]")].map((el) => [el.id, el]));

const LETTERS = { 2: "ABC", 3: "DEF", 4: "GHI", 5: "JKL", 6: "MNO", 7: "PQRS", 8: "TUV", 9: "WXYZ", 0: "+" };
const NAMES = { "*": "star", "#": "hash" };
const LINE = { new: "Not connected", connecting: "Connecting…", ready: "Ready", reconnecting: "Reconnecting…", closed: "Disconnected" };
const MODES = { rfc4733: "RFC 4733", "sip-info": "SIP INFO", inband: "in-band" };
const STATE = { new: "Opening the microphone…", connecting: "Calling…", ringing: "Ringing…", "early-media": "Not answered yet", active: "Connected", reconnecting: "Reconnecting…" };
/** A finger, not a mouse: the pad on the screen is the keyboard, and no other one pops up. */
const TOUCH = matchMedia("(pointer: coarse)").matches;
const HELP = {
  "media/permission-denied": ["The microphone is blocked", "Allow it for this page: click the symbol beside the address, set Microphone to Allow, then call again."],
  "media/no-microphone": ["No microphone was found", "Plug in a microphone or a headset, check that the system's sound settings show it, then call again."],
  "media/microphone-failed": ["The microphone does not open", "Another program may be using it. Close that program, then call again."],
  "media/unsupported": ["This page cannot use the microphone", "Browsers allow it only on https:// pages and on http://localhost."],
  "signal/unreachable": ["The gateway cannot be reached", "Check that it is running; the page keeps trying."],
};

let phone = null;
let call = null;
let ears = {};
let stopRing = () => {};
let dialled = sessionStorage.getItem("dialled") ?? "";

// ---- start

async function start() {
  buildPad();
  listen();
  ui.number.value = new URLSearchParams(location.search).get("to") ?? "";
  changed();
  const demo = await fetchDemo();
  showHints(demo?.hints ?? []);
  if (!demo && !sessionStorage.getItem("token")) {
    ui["line-text"].textContent = LINE.new;
    return view("login");
  }
  await connect();
}

async function fetchDemo() {
  try {
    const response = await fetch("/phone.json", { cache: "no-store" });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

async function token() {
  const demo = await fetchDemo();
  return demo?.token ?? sessionStorage.getItem("token") ?? "";
}

async function connect() {
  const raw = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  phone = new Phone({
    url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/rtc`,
    token,
    ...(OPTIONS.includes("relay") ? { iceTransportPolicy: "relay" } : {}),
    audio: TEST ? raw : { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    logger: (level, msg, data) => TEST && console.debug(level, msg, data ?? ""),
  });
  phone.addEventListener("statechange", showLine);
  phone.addEventListener("incomingcall", (ev) => incoming(ev.call));
  phone.addEventListener("resumedcall", (ev) => resumed(ev.call));
  phone.addEventListener("error", (ev) => notice(ev.error));
  view("idle");
  for (let wait = 500; phone.state !== "closed"; wait = Math.min(8000, wait * 2)) {
    try {
      await phone.connect();
      return hideNotice("signal/unreachable");
    } catch (error) {
      if (error.code?.startsWith("auth/")) {
        sessionStorage.removeItem("token");
        if (await fetchDemo()) return notice(error);
        view("login");
        return notice(error);
      }
      notice(error);
      await new Promise((done) => setTimeout(done, wait));
    }
  }
}

// ---- what the user does

function listen() {
  ui.dialler.addEventListener("submit", (ev) => {
    ev.preventDefault();
    if (ui.number.value.trim() === "") ui.number.value = dialled;
    else dial(ui.number.value);
    changed();
  });
  if (TOUCH) ui.number.inputMode = "none";
  ui.number.addEventListener("input", changed);
  ui.hangup.addEventListener("click", () => call?.hangup());
  ui.mute.addEventListener("click", () => call && (call.muted = !call.muted));
  ui.answer.addEventListener("click", answer);
  ui.reject.addEventListener("click", () => call?.reject().catch(notice));
  ui.again.addEventListener("click", () => dial(dialled));
  ui["notice-close"].addEventListener("click", () => (ui.notice.hidden = true));
  ui.login.addEventListener("submit", (ev) => {
    ev.preventDefault();
    sessionStorage.setItem("token", ui.token.value.trim());
    ui.token.value = "";
    ui.notice.hidden = true;
    phone?.close();
    connect();
  });
  holdable(ui.erase, () => ui.number.setRangeText("", Math.max(0, ui.number.value.length - 1), ui.number.value.length), () => (ui.number.value = ""));
  document.addEventListener("keydown", keyDown);
  document.addEventListener("keyup", (ev) => release(ev.key));
  addEventListener("blur", () => [...held.keys()].forEach(release));
  addEventListener("pageshow", (ev) => ev.persisted && location.reload());
}

async function dial(to) {
  to = to.trim();
  if (to === "" || call || phone?.state !== "ready") return;
  dialled = to;
  sessionStorage.setItem("dialled", to);
  ui.notice.hidden = true;
  ui.last.hidden = true;
  audio();
  // The call is shown at once; the library gives the object when the gateway has taken it.
  const giveUp = new AbortController();
  const waiting = { to: { number: to, display: null, uri: to }, state: "new", dtmf: null, hangup: giveUpNow };
  begin(waiting);
  function giveUpNow() {
    giveUp.abort();
    finish({ code: "cancelled", by: "local", message: "You gave up the call.", sip: null, retryable: false });
  }
  try {
    const placed = await phone.call(to, { signal: giveUp.signal });
    if (!giveUp.signal.aborted) adopt(placed);
  } catch (error) {
    if (giveUp.signal.aborted) return;
    const failed = error.call;
    finish(failed?.endReason ?? null);
    if (!(error instanceof PhoneError)) throw error;
    if (error.code.startsWith("call/") || error.code.startsWith("auth/") || error.code.startsWith("server/")) {
      showEnd(failed?.endReason ?? { code: error.code, message: error.message, sip: null, retryable: error.retryable, by: "gateway" });
    } else {
      ui.last.hidden = true;
      notice(error);
    }
  }
}

function incoming(ringing) {
  if (call) return void ringing.reject("busy").catch(() => {});
  call = ringing;
  ui.caller.textContent = ringing.from.display ?? ringing.from.number ?? ringing.from.uri ?? "Unknown";
  ui["caller-detail"].textContent = ringing.from.display ? ringing.from.number ?? ringing.from.uri : "";
  ui.last.hidden = true;
  view("ring");
  // Never under the fingers of somebody who types: Enter would take the call.
  if (document.activeElement === document.body) ui.answer.focus();
  if (!TEST) stopRing = ring();
  document.title = `${ui.caller.textContent} is calling`;
  ringing.addEventListener("ended", (ev) => finish(ev.reason));
  expose();
}

async function answer() {
  const taken = call;
  stopRing();
  audio();
  try {
    begin(taken);
    const answered = taken.answer();
    adopt(taken);
    await answered;
    adopt(taken);
  } catch (error) {
    if (taken.endReason) return;
    notice(error);
    // Still ringing: the microphone can be allowed and the call taken.
    if (taken.state === "ringing") view("ring");
  }
}

/** A call of this page's life before. */
function resumed(again) {
  if (call) return;
  audio();
  begin(again);
  adopt(again);
  digits("received", again.remoteDTMF.digits);
}

// ---- the call on the screen

function begin(next) {
  call = next;
  const party = next.direction === "incoming" ? next.from : next.to;
  ui.peer.textContent = party.display ?? party.number ?? party.uri;
  ui["peer-detail"].textContent = party.display ? party.number ?? party.uri : "";
  for (const id of ["sent", "received"]) digits(id, "");
  ui["sent-how"].textContent = "";
  ui.timer.hidden = true;
  view("talk");
  showState();
  ui.hangup.focus();
  expose();
}

/** The library's call has come, or its sound has. */
function adopt(real) {
  if (real.state === "ended") return finish(real.endReason);
  const fresh = call !== real || !real.adopted;
  call = real;
  expose();
  if (fresh) {
    real.adopted = true;
    real.addEventListener("statechange", showState);
    real.addEventListener("mutechange", showState);
    real.addEventListener("ended", (ev) => finish(ev.reason));
    real.remoteDTMF.addEventListener("tonechange", (ev) => {
      digits("received", real.remoteDTMF.digits);
      ui.received.parentElement.classList.toggle("down", ev.tone !== "");
    });
    real.dtmf.addEventListener("tonechange", (ev) => ev.tone && pressed(ev.tone));
    real.dtmf.addEventListener("sent", (ev) => delivered(ev.tone, ev.receipt));
    real.dtmf.addEventListener("modechange", (ev) => mode(ev.mode, ev.error));
    real.remoteStream.addEventListener("addtrack", () => {
      // Another peer connection, another track.
      ears.remote?.close();
      delete ears.remote;
      hear(real);
    });
  }
  hear(real);
  showState();
}

function hear(real) {
  if (!ears.local && real.localTrack) ears.local = new Ear(new MediaStream([real.localTrack]));
  if (!ears.remote && real.remoteStream.getAudioTracks().length > 0) ears.remote = new Ear(real.remoteStream);
  requestAnimationFrame(meters);
}

let metering = false;
function meters(again) {
  if (metering && again !== true) return;
  metering = Boolean(ears.local || ears.remote);
  for (const side of ["local", "remote"]) {
    const level = side === "local" && call?.muted ? 0 : (ears[side]?.level() ?? 0);
    ui[`meter-${side}`].style.setProperty("--level", level.toFixed(3));
  }
  if (call?.answeredAt) ui.timer.textContent = clock(Date.now() - call.answeredAt.getTime());
  if (metering) requestAnimationFrame(() => meters(true));
}

function showState() {
  if (!call || call.state === "ended" || ui.phone.dataset.view === "ring") return;
  ui.talk.dataset.state = call.state;
  ui.talk.dataset.muted = String(Boolean(call.muted));
  ui.state.textContent = call.muted && call.state === "active" ? "Connected, muted" : STATE[call.state];
  ui.timer.hidden = !call.answeredAt;
  ui.mute.setAttribute("aria-pressed", String(Boolean(call.muted)));
  ui.mute.title = call.muted ? "Unmute" : "Mute";
  ui["mute-icon"].setAttribute("href", call.muted ? "#i-mic-off" : "#i-mic");
  document.title = `${ui.peer.textContent} · ${STATE[call.state]}`;
}

function finish(reason) {
  const over = call;
  if (!over) return;
  call = null;
  stopRing();
  for (const ear of Object.values(ears)) ear.close();
  ears = {};
  for (const side of ["local", "remote"]) ui[`meter-${side}`].style.setProperty("--level", 0);
  const length = over.answeredAt ? Date.now() - over.answeredAt.getTime() : null;
  document.title = "Crosspoint phone";
  expose(over);
  view("idle");
  if (reason) showEnd(reason, length, over.direction === "incoming" ? over.from.number : dialled);
  if (over.direction === "incoming" && over.from.number) dialled = over.from.number;
  (TOUCH ? ui.call : ui.number).focus({ preventScroll: true });
}

function showEnd(reason, length = null, who = dialled) {
  const fine = ["hangup", "cancelled", "answered-elsewhere"].includes(reason.code);
  const own = reason.by === "local" && reason.code === "hangup";
  ui["end-message"].textContent = own ? "You hung up." : reason.code === "hangup" && reason.by === "remote" ? "The other side hung up." : reason.message;
  const detail = [who, length === null ? null : clock(length), reason.sip ? `${reason.sip.status} ${reason.sip.reason}` : null];
  ui["end-detail"].textContent = detail.filter(Boolean).join(" · ");
  ui.last.dataset.tone = fine ? "fine" : "bad";
  ui.last.dataset.code = reason.code;
  ui.last.dataset.by = reason.by;
  ui.last.dataset.sip = reason.sip?.status ?? "";
  ui.last.hidden = false;
}

function view(name) {
  ui.phone.dataset.view = name;
  ui.login.hidden = name !== "login";
  for (const button of ui["hint-list"].querySelectorAll("button")) button.disabled = name !== "idle";
  changed();
}

function showLine() {
  ui.line.dataset.state = phone.state;
  ui["line-text"].textContent = phone.state === "ready" && phone.identity ? `Ready as ${phone.identity}` : LINE[phone.state];
  if (phone.state === "ready") hideNotice("signal/unreachable");
  changed();
}

function changed() {
  ui.call.disabled = phone?.state !== "ready" || (ui.number.value.trim() === "" && dialled === "");
  ui.call.title = ui.number.value.trim() === "" && dialled !== "" ? `Dial ${dialled} again` : "";
}

function notice(error) {
  const [title, text] = HELP[error.code] ?? [error.message ?? String(error), error.code ?? ""];
  ui["notice-title"].textContent = title;
  ui["notice-text"].textContent = text;
  ui.notice.dataset.code = error.code ?? "";
  ui.notice.hidden = false;
}

function hideNotice(code) {
  if (ui.notice.dataset.code === code) ui.notice.hidden = true;
}

function showHints(hints) {
  ui.hints.hidden = hints.length === 0;
  ui["hint-list"].replaceChildren(...hints.map(({ dial: number, name, about }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.dial = number;
    button.append(element("b", number), element("span", name, "name"), element("span", about ?? "", "about"));
    button.addEventListener("click", () => {
      ui.number.value = number;
      changed();
      dial(number);
    });
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

function digits(id, text) {
  const inner = document.createElement("bdi");
  inner.textContent = text;
  ui[id].replaceChildren(inner);
}

/** A digit of this side: dim until the gateway says that it is out. */
function pressed(tone) {
  ui.sent.firstChild.append(element("i", tone));
}

/** Lights up the digit, and says how it went. */
function delivered(tone, receipt) {
  const waiting = [...ui.sent.querySelectorAll("i:not(.delivered)")].find((el) => el.textContent === tone);
  const how = [MODES[receipt.mode], receipt.tone_ms === null ? null : `${receipt.tone_ms} ms`, receipt.info_status].filter(Boolean).join(" · ");
  ui["sent-how"].textContent = how;
  if (!waiting) return;
  waiting.className = "delivered";
  waiting.title = how;
  waiting.dataset.mode = receipt.mode ?? "";
  waiting.dataset.ms = receipt.tone_ms ?? "";
}

/** How digits go from now on. */
function mode(inForce, error) {
  ui["sent-how"].textContent = error ? error.message : (MODES[inForce] ?? "");
  ui["sent-how"].dataset.mode = inForce ?? "none";
}

function element(name, text, className = "") {
  const el = document.createElement(name);
  el.textContent = text;
  el.className = className;
  return el;
}

function clock(ms) {
  const s = Math.floor(ms / 1000);
  const two = (n) => String(n).padStart(2, "0");
  return s < 3600 ? `${Math.floor(s / 60)}:${two(s % 60)}` : `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

// ---- the dial pad: click, touch, keyboard

const held = new Map();

function buildPad() {
  ui.pad.replaceChildren(...[..."123456789*0#"].map((key) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "key";
    button.dataset.key = key;
    button.setAttribute("aria-label", NAMES[key] ?? (key === "0" ? "0, hold for plus" : key));
    button.append(element("b", key === "*" ? "∗" : key), element("small", LETTERS[key] ?? ""));
    button.addEventListener("pointerdown", (ev) => {
      if (ev.button !== 0) return;
      ev.preventDefault();
      button.setPointerCapture(ev.pointerId);
      press(key);
    });
    for (const over of ["pointerup", "pointercancel"]) button.addEventListener(over, () => release(key));
    // A click without a pointer: a screen reader or the keyboard on the button.
    button.addEventListener("click", (ev) => {
      if (ev.detail === 0 && !held.has(key)) {
        press(key);
        setTimeout(() => release(key), 100);
      }
    });
    button.addEventListener("contextmenu", (ev) => ev.preventDefault());
    return button;
  }));
}

function keyDown(ev) {
  if (ev.ctrlKey || ev.altKey || ev.metaKey || ev.target === ui.token) return;
  const mode = ui.phone.dataset.view;
  if (mode === "talk" && /^[0-9*#]$/.test(ev.key)) {
    ev.preventDefault();
    if (!ev.repeat) press(ev.key);
  } else if (mode === "idle" && ev.target !== ui.number && /^[0-9*#+]$/.test(ev.key)) {
    ev.preventDefault();
    ui.number.focus();
    insert(ev.key);
  } else if (mode === "idle" && ev.target === document.body && ev.key === "Enter") {
    ui.dialler.requestSubmit();
  } else if (mode === "idle" && ev.target === document.body && ev.key === "Backspace") {
    ui.number.focus();
  }
}

/** A key is down: typed into the number, or a tone of the call from its release on, as long as it
 *  was held. */
function press(key) {
  if (held.has(key)) return;
  const button = ui.pad.querySelector(`[data-key="${CSS.escape(key)}"]`);
  button?.classList.add("down");
  const stop = TEST ? () => {} : keyTone(key);
  const talking = ui.phone.dataset.view === "talk";
  const entry = { since: performance.now(), stop, talking, button, timer: undefined };
  held.set(key, entry);
  if (!talking) {
    insert(key);
    if (key === "0") entry.timer = setTimeout(() => ui.number.value.endsWith("0") && insert("+", 1), 550);
  }
}

function release(key) {
  const entry = held.get(key);
  if (!entry) return;
  held.delete(key);
  clearTimeout(entry.timer);
  entry.stop();
  entry.button?.classList.remove("down");
  if (!entry.talking || !call?.dtmf?.canInsertDTMF) return;
  const length = Math.min(6000, Math.max(100, Math.round(performance.now() - entry.since)));
  if (call.dtmf.toneBuffer) call.dtmf.append(key);
  else call.dtmf.insertDTMF(key, length);
}

/** Puts a character where the caret is, in place of the `replace` before it. */
function insert(key, replace = 0) {
  const at = ui.number.selectionStart ?? ui.number.value.length;
  const end = ui.number.selectionEnd ?? at;
  ui.number.setRangeText(key, Math.max(0, at - replace), end, "end");
  changed();
}

/** Short press and long press of a button. */
function holdable(button, short, long) {
  let timer;
  let done = false;
  button.addEventListener("pointerdown", () => {
    done = false;
    timer = setTimeout(() => {
      done = true;
      long();
      changed();
    }, 600);
  });
  for (const over of ["pointerup", "pointerleave", "pointercancel"]) button.addEventListener(over, () => clearTimeout(timer));
  button.addEventListener("click", () => {
    if (!done) short();
    changed();
  });
}

// ---- for tests

let tone = null;

function expose(last = null) {
  if (!TEST) return;
  window.crosspoint = {
    phone,
    call: call && "id" in call ? call : null,
    last: last ?? window.crosspoint?.last ?? null,
    get ears() { return ears; },
    /** Watches the far side's tone of `hz`; `gap()` then gives the longest time without it, in ms. */
    watch: (hz) => (tone = new ToneWatch(hz, () => (call && "id" in call ? call : null))),
    gap: (over) => tone?.gap(over) ?? null,
    /** {hz, dbfs, rms} of "local" or "remote" now; null while it is not heard. */
    measure: (side) => ears[side]?.measure() ?? null,
  };
}

start().then(() => expose());
