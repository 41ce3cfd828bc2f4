// The gateway's own page around <crosspoint-phone>: its token, what to dial, the state of the line.
//
// GET /phone.json (demo, loopback) gives {"token": "…", "user": "…", "hints": [{"dial": "600", "name":
// "Echo", "about": "You hear yourself."}]}; where there is none, the page asks for a token.
//
// #test in the address: the microphone is sent as it is (no echo cancellation, noise suppression or
// gain control), the page makes no sound of its own, and `window.crosspoint` gives the phone, the
// call and measured levels. #test&relay: by TURN only.

import { ToneWatch } from "/phone.js";

const OPTIONS = location.hash.split(/[#&,]/);
const TEST = OPTIONS.includes("test");
const ui = Object.fromEntries([...document.querySelectorAll("[id]")].map((el) => [el.id, el]));
const element = ui.crosspoint;
const LINE = { new: "Not connected", connecting: "Connecting…", ready: "Ready", reconnecting: "Reconnecting…", closed: "Disconnected" };
let last = null;
let tone = null;

element.testing = TEST;
element.relay = OPTIONS.includes("relay");
element.number = new URLSearchParams(location.search).get("to") ?? "";
element.token = async () => (await fetchDemo())?.token ?? sessionStorage.getItem("token") ?? "";

element.addEventListener("phonestate", (ev) => {
  const { state, identity } = ev.detail;
  ui.line.dataset.state = state;
  ui["line-text"].textContent = state === "ready" && identity ? `Ready as ${identity}` : LINE[state];
});
element.addEventListener("callstate", (ev) => {
  const { call } = ev.detail;
  last = ev.detail.last ?? last;
  const view = element.view;
  ui.stage.dataset.view = view;
  for (const button of ui["hint-list"].querySelectorAll("button")) button.disabled = view !== "idle";
  const party = call && (call.direction === "incoming" ? call.from : call.to);
  const who = party && (party.display ?? party.number ?? party.uri);
  document.title = !call ? "Crosspoint phone" : view === "ring" ? `${who} is calling` : `${who} · Crosspoint phone`;
});
ui.login.addEventListener("submit", (ev) => {
  ev.preventDefault();
  sessionStorage.setItem("token", ui.token.value.trim());
  ui.token.value = "";
  element.problem = null;
  void connect();
});
addEventListener("pageshow", (ev) => ev.persisted && location.reload());

if (TEST) {
  const real = () => (element.call && "id" in element.call ? element.call : null);
  window.crosspoint = {
    element,
    get phone() { return element.phone; },
    get call() { return real(); },
    get last() { return last; },
    get ears() { return element.ears; },
    /** An element by its id, of the page or of the phone in it. */
    $: (id) => ui[id] ?? element.$(id),
    /** {hz, dbfs, rms} of "local" or "remote" now; null while it is not heard. */
    measure: (side) => element.ears[side]?.measure() ?? null,
    /** Watches the far side's tone of `hz`; `gap()` then gives the longest time without it, in ms. */
    watch: (hz) => (tone = new ToneWatch(hz, real)),
    gap: (over) => tone?.gap(over) ?? null,
  };
}

void start();

async function start() {
  const demo = await fetchDemo();
  showHints(demo?.hints ?? []);
  if (demo || sessionStorage.getItem("token")) return connect();
  ui["line-text"].textContent = LINE.new;
  askForToken();
}

async function connect() {
  try {
    await element.connect();
  } catch {
    sessionStorage.removeItem("token");
    if (!(await fetchDemo())) askForToken();
  }
}

function askForToken() {
  element.view = ui.stage.dataset.view = "login";
}

async function fetchDemo() {
  try {
    const response = await fetch("/phone.json", { cache: "no-store" });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

function showHints(hints) {
  ui.hints.hidden = hints.length === 0;
  ui["hint-list"].replaceChildren(...hints.map(({ dial: number, name, about }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.dial = number;
    button.append(text("b", number), text("span", name, "name"), text("span", about ?? "", "about"));
    button.addEventListener("click", () => {
      element.number = number;
      void element.dial(number);
    });
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

function text(name, words, className = "") {
  const el = document.createElement(name);
  el.textContent = words;
  el.className = className;
  return el;
}
