// The web phone and the client library in Chromium against a gateway of paper (mock.mjs).
// SHOTS=folder also takes pictures.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { chromiumPath } from "./chromium.mjs";
import { mediaPage, mock } from "./mock.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });
let home, context, browser, gateway, media;

const SIZES = { narrow: { width: 390, height: 844 }, small: { width: 360, height: 640 }, wide: { width: 1280, height: 820 }, lying: { width: 740, height: 360 }, tiny: { width: 320, height: 480 } };

before(async () => {
  home = mkdtempSync(join(tmpdir(), "crosspoint-chromium-"));
  context = await chromium.launchPersistentContext(home, {
    executablePath: chromiumPath(),
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--allow-loopback-in-peer-connection",
      "--disable-features=WebRtcHideLocalIpsWithMdns", "--autoplay-policy=no-user-gesture-required"],
  });
  browser = { newContext: async () => context };
  const sound = {};
  gateway = await mock({ media: new Proxy({}, { get: (_, name) => (...args) => sound[name](...args) }) });
  Object.assign(sound, (media = await mediaPage(browser, gateway.url)));
});

after(async () => {
  await context?.close();
  await gateway?.close();
  rmSync(home, { recursive: true, force: true });
});

async function open(path = "#test", size = "narrow", at = gateway.url) {
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("console", (message) => message.type() === "error" && !/404/.test(message.text()) && page.faults.push(message.text()));
  await page.setViewportSize(SIZES[size]);
  await page.goto(at + path);
  return page;
}

async function ready(path, size) {
  const page = await open(path, size);
  await page.locator('#line[data-state="ready"]').waitFor();
  return page;
}

/** What does not fit: the page that scrolls, a button or a text outside of the phone. */
function overflow(page) {
  return page.evaluate(() => {
    const faults = [];
    const root = document.documentElement;
    if (root.scrollHeight > innerHeight || root.scrollWidth > innerWidth) faults.push(`scrolls to ${root.scrollWidth} x ${root.scrollHeight}`);
    const inside = [crosspoint.element.shadowRoot, crosspoint.$("pad").shadowRoot];
    const screen = crosspoint.element.shadowRoot.querySelector(".screen").getBoundingClientRect();
    for (const el of inside.flatMap((shadow) => [...shadow.querySelectorAll("button, .screen p, .screen output")])) {
      const box = el.getBoundingClientRect();
      if (box.height === 0 || el.closest("dialog") || getComputedStyle(el).visibility === "hidden") continue;
      if (box.top < 0 || box.left < 0 || box.bottom > innerHeight || box.right > innerWidth) faults.push(`outside: ${el.id || el.dataset.key}`);
      if (el.closest(".screen") && box.bottom > screen.bottom + 1) faults.push(`over its place: ${el.id}`);
    }
    return faults.join("; ");
  });
}

async function shot(page, name) {
  if (!shots) return;
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      await page.waitForTimeout(150);
      await page.screenshot({ path: join(shots, `${name}-${size}-${colorScheme}.png`) });
    }
  }
  await page.setViewportSize(SIZES.narrow);
}

/** No rule of axe is broken, in light and dark. */
async function accessible(page, view) {
  await page.evaluate(axe);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    assert.deepEqual(violations.map((own) => `${own.id}: ${own.nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`), [], `${view}, ${colorScheme}`);
  }
}

async function leave(page) {
  assert.deepEqual(page.faults, []);
  await page.close();
}

const stateIs = (page, state) => page.locator(`#phone[data-view="talk"] #talk[data-state="${state}"]`).waitFor();
const sent = (type) => gateway.requests.filter((request) => request.type === type);

test("idle: the number is typed on the pad, by keyboard and by a long press, on one screen", async () => {
  for (const size of Object.keys(SIZES)) {
    const page = await ready("#test", size);
    assert.equal(await overflow(page), "", size);
    await leave(page);
  }
  const page = await ready();
  await page.locator('[data-key="4"]').click();
  await page.keyboard.type("9#");
  await page.locator('[data-key="0"]').click({ delay: 700 });
  assert.equal(await page.locator("#number").inputValue(), "49#+");
  await page.locator("#erase").click();
  assert.equal(await page.locator("#number").inputValue(), "49#");
  await page.locator("#erase").click({ delay: 700 });
  assert.equal(await page.locator("#number").inputValue(), "");
  await shot(page, "idle");
  await leave(page);
});

test("a call: sound both ways is measured, digits go out at once and as RTP, digits come in", async () => {
  const page = await ready();
  await accessible(page, "idle");
  await page.locator("#number").fill("600");
  await page.keyboard.press("Enter");
  await stateIs(page, "active");
  await accessible(page, "talk");
  await page.waitForFunction(() => crosspoint.call?.peerConnection?.connectionState === "connected");
  await page.waitForFunction(() => Math.abs((crosspoint.measure("remote")?.hz ?? 0) - 1004) < 3);
  await page.waitForFunction(() => (crosspoint.measure("local")?.rms ?? 0) > 0.001);
  const { dbfs } = await page.evaluate(() => crosspoint.measure("remote"));
  assert.ok(Math.abs(dbfs - 20 * Math.log10(0.2)) < 2, `level ${dbfs}`);

  assert.equal(await page.evaluate(() => crosspoint.call.dtmf.via), "rtp");
  await page.keyboard.press("1");
  await page.locator('[data-key="5"]').click();
  await page.locator('[data-key="#"]').click();
  await page.waitForFunction(() => crosspoint.$("sent").textContent === "15#");
  const tones = await page.evaluate(async () => {
    const heard = [];
    crosspoint.call.dtmf.addEventListener("tonechange", (ev) => heard.push(ev.tone));
    await crosspoint.call.dtmf.send("12w3", { duration: 60, gap: 40 });
    return heard;
  });
  assert.deepEqual(tones.filter((tone) => tone !== ""), ["1", "2", "3"]);
  assert.equal(tones.at(-1), "");
  assert.equal(sent("dtmf.send").length, 0);
  // Emptied in a pause: what was to come does not, and the promise is kept.
  assert.deepEqual(await page.evaluate(async () => {
    const dtmf = crosspoint.call.dtmf;
    const heard = [];
    const listen = (ev) => heard.push(ev.tone);
    dtmf.addEventListener("tonechange", listen);
    const sending = dtmf.send("4w5", { duration: 50, gap: 40 });
    const left = dtmf.toneBuffer;
    await new Promise((done) => setTimeout(done, 350));
    dtmf.insertDTMF("");
    await sending;
    dtmf.removeEventListener("tonechange", listen);
    return [left, heard.join(), dtmf.toneBuffer];
  }), ["4w5", "4,", ""]);

  await page.evaluate(() => {
    const insert = RTCDTMFSender.prototype.insertDTMF;
    RTCDTMFSender.prototype.insertDTMF = function (...args) { (window.inserted ??= []).push(args); return insert.apply(this, args); };
  });
  await page.locator('[data-key="9"]').click({ delay: 400 });
  const [tone, length] = await page.evaluate(() => window.inserted.at(-1));
  assert.equal(tone, "9");
  assert.ok(length >= 390 && length < 800, `a key held for 400 ms is a tone of ${length} ms`);

  const call = await page.evaluate(() => crosspoint.call.id);
  assert.match(call, /^call_[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
  // Each digit lights up when the gateway says that it is out, and says how it went.
  gateway.event("dtmf.mode", { call, mode: "rfc4733" });
  await page.waitForFunction(() => crosspoint.$("sent-how").textContent === "RFC 4733");
  assert.equal(await page.evaluate(() => crosspoint.call.dtmf.mode), "rfc4733");
  assert.equal(await page.locator("#sent i.delivered").count(), 0);
  const receipt = { mode: "rfc4733", from: "rtp", measured_ms: 101, tone_ms: 100, gap_ms: 0, clock: 8000, payload_type: 101, packets: 7, end_packets: 3, info_status: null, delay_ms: 0.4 };
  gateway.event("dtmf.sent", { call, tone: "1", receipt });
  gateway.event("dtmf.sent", { call, tone: "#", receipt: { mode: "sip-info", from: "rtp", tone_ms: 120, info_status: 200 } });
  await page.locator("#sent i.delivered").nth(1).waitFor();
  assert.deepEqual(await page.locator("#sent i").evaluateAll((all) => all.slice(0, 3).map((el) => [el.textContent, el.className, el.title])),
    [["1", "delivered", "RFC 4733 · 100 ms"], ["5", "", ""], ["#", "delivered", "SIP INFO · 120 ms · 200"]]);
  assert.equal(await page.locator("#sent-how").textContent(), "SIP INFO · 120 ms · 200");
  gateway.event("dtmf.mode", { call, mode: null, error: { code: "media/no-digits", message: "No way for digits.", retryable: false } });
  await page.waitForFunction(() => crosspoint.$("sent-how").textContent === "No way for digits.");

  for (const tone of "42#") {
    gateway.event("dtmf", { call, tone, phase: "start", source: "rfc4733", at: 1 });
    gateway.event("dtmf", { call, tone, phase: "end", duration: 100, source: "rfc4733", at: 101 });
  }
  await page.waitForFunction(() => crosspoint.$("received").textContent === "42#");
  assert.equal(await page.evaluate(() => crosspoint.call.remoteDTMF.digits), "42#");

  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    assert.equal(await overflow(page), "", `${size} in a call`);
  }
  await page.setViewportSize(SIZES.narrow);
  await page.locator("#mute").click();
  assert.equal(await page.locator("#mute").getAttribute("aria-pressed"), "true");
  assert.equal(await page.evaluate(() => crosspoint.call.localTrack.enabled), false);
  await shot(page, "muted");
  await page.locator("#mute").click();
  await shot(page, "talk");
  await page.locator("#hangup").click();
  await page.locator('#last[data-code="hangup"]').waitFor();
  assert.equal(await page.evaluate(() => crosspoint.last.peerConnection.connectionState), "closed");
  assert.equal(await page.evaluate(() => crosspoint.last.localTrack.readyState), "ended");
  await shot(page, "hung-up");
  await leave(page);
});

test("before the answer digits go by the gateway; giving up is a cancelled call", async () => {
  const page = await ready();
  await page.locator('[data-dial="604"]').click();
  await stateIs(page, "ringing");
  await page.evaluate(() => Object.defineProperty(crosspoint.call.peerConnection, "connectionState", { value: "connecting" }));
  await page.evaluate(() => crosspoint.call.dtmf.send("7w8"));
  assert.equal(sent("dtmf.send").at(-1).tones, "7w8");
  await page.waitForFunction(() => crosspoint.$("sent").textContent === "78");
  await shot(page, "ringing");
  await page.locator("#hangup").click();
  await page.locator('#last[data-code="cancelled"]').waitFor();
  assert.match(await page.locator("#end-detail").textContent(), /487 Request Terminated/);
  await leave(page);
});

test("busy and refused calls say why, in words and with the SIP status", async () => {
  const page = await ready();
  await page.locator('[data-dial="605"]').click();
  await page.locator('#last[data-code="busy"]').waitFor();
  assert.equal(await page.locator("#end-message").textContent(), "The line is busy.");
  assert.match(await page.locator("#end-detail").textContent(), /605 · 486 Busy Here/);
  await shot(page, "busy");
  await page.locator("#number").fill("0900 123456");
  await page.locator("#call").click();
  await page.locator('#last[data-code="blocked-by-dialplan"]').waitFor();
  assert.match(await page.locator("#end-detail").textContent(), /403 Forbidden/);
  await leave(page);
});

test("the far side calls back: it rings, is answered and heard; or declined", async () => {
  const page = await ready();
  await page.locator('[data-dial="607"]').click();
  await page.locator('#phone[data-view="ring"]').waitFor();
  await shot(page, "incoming");
  await page.locator("#answer").click();
  await stateIs(page, "active");
  await page.waitForFunction(() => Math.abs((crosspoint.measure("remote")?.hz ?? 0) - 1004) < 3);
  assert.equal(await page.locator("#peer").textContent(), "Call me back");
  const second = "call_01HF7YAT00000000000000002B";
  gateway.event("call.incoming", { call: second, from: { number: "+4930999", uri: "sip:x" }, to: {}, metadata: {}, sdp: "v=0" });
  while (!sent("call.reject").some((request) => request.call === second && request.reason === "busy")) await page.waitForTimeout(20);
  await page.locator("#hangup").click();
  await page.locator("#last").waitFor();

  // The microphone is open while it rings, and closed where nobody answers.
  await page.evaluate(() => {
    const media = navigator.mediaDevices;
    const open = media.getUserMedia.bind(media);
    window.tracks = [];
    media.getUserMedia = async (wish) => {
      const stream = await open(wish);
      tracks.push(...stream.getTracks());
      return stream;
    };
  });
  const closed = (count) => page.waitForFunction((count) => tracks.length === count && tracks.every((track) => track.readyState === "ended"), count);
  const call = "call_01HF7YAT00000000000000003A";
  gateway.event("call.incoming", { call, from: { number: "+4930999", uri: "sip:x" }, to: {}, metadata: {}, sdp: "v=0" });
  await page.waitForFunction(() => tracks.length === 1 && tracks[0].readyState === "live");
  await page.locator("#reject").click();
  await page.locator('#last[data-code="declined"]').waitFor();
  await closed(1);
  const other = call.replace("3A", "4A");
  gateway.event("call.incoming", { call: other, from: { number: "+4930999", uri: "sip:x" }, to: {}, metadata: {}, sdp: "v=0" });
  await page.locator('#phone[data-view="ring"]').waitFor();
  gateway.event("call.cancelled", { call: other, code: "answered-elsewhere" });
  await page.locator('#last[data-code="answered-elsewhere"]').waitFor();
  await closed(2);
  // Where the page wants it otherwise, it stays closed.
  const ring = call.replace("3A", "5A");
  await page.evaluate(async (url) => {
    const { Phone } = await import("/sdk.js");
    document.querySelector("crosspoint-phone").phone.close();
    window.phone = new Phone({ url, token: "cp1.mock", microphone: "answer", resume: "off" });
    phone.onincomingcall = ({ call }) => setTimeout(() => (window.rang = call), 300);
    await phone.connect();
  }, "/v1/rtc");
  gateway.event("call.incoming", { call: ring, from: { number: "+4930999", uri: "sip:x" }, to: {}, metadata: {}, sdp: await media.offer(ring) });
  await page.waitForFunction(() => window.rang);
  assert.equal(await page.evaluate(() => tracks.length), 2);
  await page.evaluate(() => rang.answer());
  assert.equal(await page.evaluate(() => tracks.length), 3);
  await page.evaluate(() => { rang.hangup(); phone.close(); });
  // A page that takes no calls refuses them, and opens nothing for them.
  const refused = call.replace("3A", "6A");
  await page.evaluate(async (url) => {
    const { Phone } = await import("/sdk.js");
    window.phone = new Phone({ url, token: "cp1.mock", incoming: false, resume: "off" });
    await phone.connect();
  }, "/v1/rtc");
  gateway.event("call.incoming", { call: refused, from: { number: "+4930999", uri: "sip:x" }, to: {}, metadata: {}, sdp: await media.offer(refused) });
  while (!sent("call.reject").some((request) => request.call === refused && request.reason === "unavailable")) await page.waitForTimeout(20);
  gateway.event("call.cancelled", { call: refused, code: "cancelled" });
  assert.equal(await page.evaluate(() => tracks.length), 3);
  await page.evaluate(() => phone.close());
  await leave(page);
});

test("a message that was left is an event of the phone's", async () => {
  const page = await ready();
  await page.evaluate(() => {
    document.querySelector("crosspoint-phone").phone.onvoicemail = ({ mailbox, id, waiting, duration }) => (window.told = { mailbox, id, waiting, duration });
  });
  gateway.event("voicemail.waiting", { mailbox: "reception", voicemail: "vm_1", waiting: 2, duration_ms: 3100 });
  await page.waitForFunction(() => window.told);
  assert.deepEqual(await page.evaluate(() => window.told), { mailbox: "reception", id: "vm_1", waiting: 2, duration: 3100 });
  await leave(page);
});

test("without a microphone the page says what to do", async () => {
  const page = await ready();
  for (const [name, code] of [["NotAllowedError", "media/permission-denied"], ["NotFoundError", "media/no-microphone"], ["NotReadableError", "media/microphone-failed"]]) {
    await page.evaluate((name) => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", name); }; }, name);
    await page.locator('[data-dial="600"]').click();
    await page.locator(`#notice[data-code="${code}"]`).waitFor();
    assert.equal(await page.locator("#phone").getAttribute("data-view"), "idle");
  }
  await page.evaluate(() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError"); }; });
  await page.locator('[data-dial="600"]').click();
  await page.locator('#notice[data-code="media/permission-denied"]').waitFor();
  await page.setViewportSize(SIZES.small);
  assert.ok(await page.evaluate(() => document.documentElement.scrollHeight <= innerHeight), "still one screen");
  await shot(page, "no-microphone");
  await leave(page);
});

test("a lost connection comes back with its call; one that is not kept ends it in words", async () => {
  const page = await ready();
  await page.locator('[data-dial="600"]').click();
  await stateIs(page, "active");
  const call = await page.evaluate(() => crosspoint.call.id);
  // The server that gives tokens is not needed for that: a network that has changed lets it hang.
  await page.route("**/phone.json", () => {});
  gateway.drop(1011);
  await page.locator('#line[data-state="reconnecting"]').waitFor();
  await page.locator('#line[data-state="ready"]').waitFor();
  gateway.event("dtmf", { call, tone: "9", phase: "start", source: "rfc4733", at: 1 });
  await page.waitForFunction(() => crosspoint.$("received").textContent === "9");
  assert.equal(await page.evaluate(() => crosspoint.call.peerConnection.connectionState), "connected");
  gateway.forget();
  gateway.drop(1011);
  await page.locator('#last[data-code="internal"]').waitFor();
  await page.locator('#line[data-state="ready"]').waitFor();
  await page.locator('[data-dial="600"]').click();
  await stateIs(page, "active");
  await page.locator("#hangup").click();
  await page.locator("#last").waitFor();
  await leave(page);
});

test("a page that is loaded again has its call, its digits and its sound", async () => {
  const page = await ready();
  await page.locator('[data-dial="600"]').click();
  await stateIs(page, "active");
  await page.waitForFunction(() => crosspoint.call?.peerConnection?.connectionState === "connected");
  const call = await page.evaluate(() => crosspoint.call.id);
  await page.reload();
  await page.waitForFunction(() => window.crosspoint?.call?.state === "active");
  assert.equal(await page.evaluate(() => crosspoint.call.id), call);
  assert.equal(sent("call.media").at(-1).mode, "new-peer");
  await page.waitForFunction(() => Math.abs((crosspoint.measure("remote")?.hz ?? 0) - 1004) < 3);
  await page.locator("#hangup").click();
  await page.locator("#last").waitFor();
  await leave(page);
});

test("keyboard and screen reader: every control has a name and can be reached", async () => {
  const page = await ready();
  await page.locator("#number").fill("600");
  await page.keyboard.press("Enter");
  await stateIs(page, "active");
  const nameless = await page.evaluate(() => [crosspoint.element.shadowRoot, crosspoint.$("pad").shadowRoot]
    .flatMap((shadow) => [...shadow.querySelectorAll("button, input, select")])
    .filter((el) => !el.ariaLabel && !el.textContent.trim() && !el.labels?.length)
    .map((el) => el.outerHTML));
  assert.deepEqual(nameless, []);
  await page.locator("#hangup").focus();
  const reached = new Set();
  for (let n = 0; n < 30; n++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => {
      let at = document.activeElement;
      while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
      return at?.id || at?.dataset?.key;
    }));
  }
  for (const id of ["mute", "hold", "hangup", "open-devices", "5", "#"]) assert.ok(reached.has(id), `${id} is not reached: ${[...reached]}`);
  await page.locator('[data-key="8"]').focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => crosspoint.$("sent").textContent === "8");
  await page.locator("#hangup").click();
  await page.locator("#last").waitFor();
  await page.locator("#open-recent").click();
  assert.match(await page.locator("#recent li").first().textContent(), /600.*Went out/s);
  await leave(page);
});

test("somebody calls while the user looks elsewhere: a notification and a ring tone, until it is over", async () => {
  const page = await context.newPage();
  page.faults = [];
  await page.addInitScript(() => {
    Object.assign(window, { notified: [], dismissed: 0, tones: [] });
    window.Notification = class {
      static permission = "granted";
      constructor(title) { notified.push(title); }
      close() { dismissed++; }
    };
    Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...args) {
      tones.push(this.frequency.value);
      return start.apply(this, args);
    };
  });
  await page.goto(gateway.url);
  await page.locator('#line[data-state="ready"]').waitFor();
  const call = "call_01HF7YAT00000000000000006A";
  gateway.event("call.incoming", { call, from: { number: "+4930999", uri: "sip:x" }, to: {}, metadata: {}, sdp: "v=0" });
  await page.locator('#phone[data-view="ring"]').waitFor();
  await page.waitForFunction(() => tones.includes(660) && tones.includes(880));
  assert.deepEqual(await page.evaluate(() => notified), ["+4930999 is calling"]);
  await accessible(page, "ring");
  gateway.event("call.cancelled", { call, code: "cancelled" });
  await page.locator('#last[data-code="cancelled"]').waitFor();
  assert.equal(await page.evaluate(() => dismissed), 1);
  const rung = await page.evaluate(() => tones.length);
  await page.waitForTimeout(700);
  assert.equal(await page.evaluate(() => tones.length), rung, "it rings no more");
  await leave(page);
});

test("warnings of the page's own and of the gateway's are shown and taken back", async () => {
  const page = await ready();
  await page.locator('[data-dial="600"]').click();
  await stateIs(page, "active");
  const call = await page.evaluate(() => {
    window.warned = [];
    crosspoint.call.addEventListener("warning", (ev) => warned.push(`${ev.name} ${ev.active}`));
    return crosspoint.call.id;
  });
  const shown = (is) => page.waitForFunction((is) => Boolean(document.querySelector("crosspoint-phone").shadowRoot.querySelector(".warning")?.textContent) === is, is);
  const told = (words) => page.waitForFunction((words) => warned.includes(words), words);
  gateway.event("call.warning", { call, name: "trunk-high-loss", active: true, value: 0.1, threshold: 0.05 });
  await shown(true);
  gateway.event("call.warning", { call, name: "trunk-high-loss", active: false, value: 0, threshold: 0.05 });
  await shown(false);
  assert.deepEqual(await page.evaluate(() => warned.filter((words) => words.startsWith("trunk"))), ["trunk-high-loss true", "trunk-high-loss false"]);
  // Packets must have come before they can stop.
  await page.waitForFunction(async () => (await crosspoint.call.getStats()).inbound.packets > 20);
  await media.pause(call, true);
  await told("no-inbound-media true");
  await shown(true);
  await media.pause(call, false);
  await told("no-inbound-media false");
  await page.locator("#hangup").click();
  await page.locator("#last").waitFor();
  await leave(page);
});

test("another page embeds the phone with one line, and the pad alone", async () => {
  const page = await open("embed");
  await page.waitForFunction(() => document.querySelector("crosspoint-phone").phone?.state === "ready");
  await page.evaluate(() => document.querySelector("crosspoint-phone").dial("600"));
  await page.waitForFunction(() => document.querySelector("crosspoint-phone").call?.state === "active");
  await page.evaluate(() => document.querySelector("body > crosspoint-dialpad").addEventListener("press", (ev) => (window.pressed = ev.detail.key)));
  await page.locator('body > crosspoint-dialpad >> [data-key="7"]').click();
  assert.equal(await page.evaluate(() => window.pressed), "7");
  await page.evaluate(() => document.querySelector("crosspoint-phone").call.hangup());
  await leave(page);
});

test("no token: the page asks for one, and says when it is wrong", async () => {
  const strict = await mock({ demo: false });
  const page = await open("#test", "narrow", strict.url);
  await page.locator("#login").waitFor();
  await shot(page, "login");
  await page.locator("#token").fill("cp1.wrong");
  await page.keyboard.press("Enter");
  await page.locator('#notice[data-code="auth/invalid"]').waitFor();
  await page.locator("#token").fill("cp1.mock");
  await page.keyboard.press("Enter");
  await page.locator('#line[data-state="ready"]').waitFor();
  await page.close();
  await strict.close();
});
