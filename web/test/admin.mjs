// Drives the operator's pages of a demo in Chromium, beside its web phone, and prints what they showed.
//
//   node admin.mjs '{"base": "http://127.0.0.1:8080", "key": "…", "shots": "folder or nothing"}'
//
// One line of JSON goes to standard output: {"ok": true, "saw": {…}} or {"ok": false, "error": "…"}.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromiumPath } from "./chromium.mjs";

const plan = JSON.parse(process.argv[2]);
const home = mkdtempSync(join(tmpdir(), "crosspoint-admin-"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const faults = [];
const saw = { axe: {} };
let context;
/** What README has pictures of, and how high they are. */
const HEIGHTS = { call: 1282, thousand: 508, "dialplan-wrong": 860, "ivr-run": 690, recording: 500 };
/** Pictures are read at half this width. */
const SIZE = plan.shots ? { width: 1280, height: 860 } : { width: 1400, height: 950 };
/** Where nothing is. */
const EDGE = { position: { x: 5, y: SIZE.height - 10 } };

process.on("SIGTERM", async () => {
  await context?.close();
  rmSync(home, { recursive: true, force: true });
  process.exit(1);
});

try {
  const { chromium } = await import("playwright-core");
  context = await chromium.launchPersistentContext(home, {
    executablePath: chromiumPath(), headless: true, handleSIGTERM: false, viewport: SIZE, acceptDownloads: true, colorScheme: plan.shots ? "dark" : "light",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
      "--disable-sync", "--allow-loopback-in-peer-connection", "--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream", `--unsafely-treat-insecure-origin-as-secure=${plan.base}`],
  });
  await run();
  process.stdout.write(`${JSON.stringify({ ok: faults.length === 0, error: faults.join("; "), saw })}\n`);
} catch (error) {
  process.stdout.write(`${JSON.stringify({ ok: false, error: String(error.stack ?? error), faults, saw })}\n`);
} finally {
  await context?.close();
  rmSync(home, { recursive: true, force: true });
}

async function open(path) {
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on("pageerror", (error) => faults.push(`${path}: ${error}`));
  page.on("console", (message) => /Content Security Policy|violates/.test(message.text()) && faults.push(message.text()));
  await page.goto(plan.base + path);
  return page;
}

async function run() {
  const admin = await open("/admin/calls");
  // Nothing is shown to who has not logged in, not even to a browser of this machine.
  await admin.locator("main.login").waitFor();
  saw.without = await admin.evaluate(() => fetch("/v1/calls").then((answer) => answer.status));
  await admin.locator("input[name=key]").fill("wrong, wrong, wrong, wrong, wrong");
  await admin.locator("input[name=key]").press("Enter");
  saw.wrong = await admin.locator(".fault").textContent();
  await check(admin, "login");
  await admin.locator("input[name=key]").fill(plan.key);
  await admin.locator("input[name=key]").press("Enter");
  await admin.locator("cp-calls").waitFor();
  saw.cookie = await admin.evaluate(() => document.cookie);

  // A call of the web phone is live within a moment.
  const phone = await open("/#test");
  await phone.locator('#line[data-state="ready"]').waitFor();
  await phone.locator("#number").fill("603");
  await phone.locator("#number").press("Enter");
  await phone.waitForFunction(() => crosspoint.call?.peerConnection?.connectionState === "connected");
  const row = admin.locator("[data-call]");
  await row.locator('[data-state="connected"]').waitFor();
  saw.live = await row.innerText();
  await check(admin, "calls");
  // By the keyboard: the first call is chosen.
  await phone.evaluate(() => crosspoint.call.dtmf.send("4711", { duration: 100, gap: 100 }));
  await phone.waitForFunction(() => crosspoint.call.dtmf.toneBuffer === "");
  await admin.bringToFront();
  await admin.locator("body").click(EDGE);
  await admin.keyboard.press("Enter");
  await admin.locator("cp-call .ladder").waitFor();
  saw.address = new URL(admin.url()).pathname;
  const step = (kind, what) => admin.locator(`[data-kind="${kind}"][data-what*="${what}"]`).first().waitFor();
  await step("signal", "call.start");
  await step("media", "ICE and DTLS up");
  await step("sip", "INVITE");
  await step("sip", "200 OK (INVITE)");
  await step("sip", "ACK");
  await step("signal", "call.state active");
  await admin.waitForFunction(() => document.querySelectorAll('[data-what^="digit sent"]').length === 4);
  saw.steps = await admin.locator("[data-step]").evaluateAll((all) => all.map((own) => `${own.dataset.kind} ${own.dataset.what}`));
  if (plan.shots) await admin.waitForTimeout(20_000);
  // Measures come every few seconds; the plots draw them, and the digits, on one axis.
  await admin.waitForFunction((path) => fetch(path).then((answer) => answer.json()).then((heard) => heard.series.length > 0), `/v1/calls/${saw.address.split("/").pop()}/quality`);
  saw.plots = await admin.locator("#plots canvas").count();
  await admin.waitForFunction(() => [...document.querySelectorAll("#plots canvas")].every((canvas) => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.some((value) => value !== 0);
  }));
  await admin.keyboard.press("j");
  saw.message = await admin.locator(".message h3").textContent();
  await check(admin, "call");
  const download = admin.waitForEvent("download");
  await admin.locator("a[download]").click();
  saw.pcap = [...readFileSync(await (await download).path())].slice(0, 4);

  // The operator ends it; the page hears why, and the detail stays.
  await admin.keyboard.press("h");
  await admin.locator('h1 [data-state="ended"]').waitFor();
  await step("sip", "BYE");
  await admin.locator(".facts", { hasText: "hangup" }).waitFor();
  saw.ended = await admin.locator(".facts").innerText();

  await admin.keyboard.press("g");
  await admin.keyboard.press("t");
  await admin.locator('[data-trunk="carrier"] [data-state="up"]').waitFor();
  await admin.locator('[data-trunk="carrier"] button').click();
  await admin.locator('[data-trunk="carrier"] li[data-outcome="fine"]').first().waitFor();
  await check(admin, "trunks");

  await admin.keyboard.press("g");
  await admin.keyboard.press("d");
  const text = admin.locator("textarea");
  await text.waitFor();
  await check(admin, "dialplan");
  const before = await text.inputValue();
  await text.fill(before.replace(/^version = 1$/m, "version = 1\nnonsense = 2"));
  await admin.locator('.findings li[data-severity="error"]').waitFor();
  saw.finding = await admin.locator('.findings li[data-severity="error"]').first().innerText();
  saw.diff = await admin.locator(".diff .new").innerText();
  saw.blocked = await admin.locator("button.go", { hasText: "Put in force" }).isDisabled();
  // The end of the text is seen, for it was just written; a click on the finding leads to its line.
  saw.scrolled = await admin.locator(".editor").evaluate((frame) => frame.scrollTop = frame.scrollHeight);
  await admin.locator('.findings li[data-severity="error"] button').first().click();
  saw.finds = await admin.locator(".editor").evaluate((frame) => frame.scrollTop);
  await check(admin, "dialplan-wrong");
  await text.fill(before);
  await admin.locator('[data-checked="yes"]').waitFor();
  await admin.locator("input[name=from]").fill("web");
  await admin.locator("input[name=number]").fill("605");
  await admin.locator(".explain button").click();
  saw.trace = await admin.locator("[data-trace]").innerText();
  // What is typed is asked as it is typed.
  await text.fill(`${before}\n[[outbound]]\nname = "typed just now"\nto = ["6099"]\nroute = ["carrier"]\n`);
  await admin.locator("input[name=number]").fill("6099");
  await admin.locator(".explain button").click();
  await admin.locator("[data-trace]", { hasText: "typed just now" }).waitFor();
  await text.fill(before);
  await admin.locator("[data-of]", { hasText: "in force" }).waitFor();
  saw.asTyped = !(await admin.locator("[data-trace]").innerText()).includes("typed just now");
  await text.fill(`${before}\n# seen by the operator\n`);
  await admin.locator("button.go:not(:disabled)", { hasText: "Put in force" }).click();
  await admin.locator(".told").waitFor();
  saw.inForce = await admin.evaluate(() => fetch("/v1/dialplan").then((answer) => answer.json()).then((own) => own.text.endsWith("# seen by the operator\n")));

  // The plan before is a version; compared with it, the text shows the line that is new.
  const version = admin.locator("[data-version]");
  await admin.waitForFunction(() => document.querySelectorAll("[data-version]").length === 2);
  await version.nth(1).locator("a").click();
  await admin.locator(".diff .new", { hasText: "# seen by the operator" }).waitFor();
  saw.version = new URL(admin.url()).search;
  await check(admin, "dialplan-versions");
  await version.nth(1).locator("button").click();
  await admin.waitForFunction(() => document.querySelector("textarea").value.endsWith("operator\n") === false);
  await admin.locator("button", { hasText: "Undo all" }).click();

  await admin.locator("body").click(EDGE);
  await admin.keyboard.press("g");
  await admin.keyboard.press("r");
  await admin.locator("[data-record]").waitFor();
  await admin.locator("input[name=user]").fill("nobody");
  await admin.locator(".search button").click();
  await admin.locator(".empty").waitFor();
  saw.search = new URL(admin.url()).search;
  await admin.goBack();
  await admin.locator("[data-record]").waitFor();
  const csv = admin.waitForEvent("download");
  await admin.locator("button", { hasText: "Save as CSV" }).click();
  saw.csv = readFileSync(await (await csv).path(), "utf8").split("\r\n");
  await check(admin, "records");

  // Recordings: two seconds of stereo, a tone on one side and then on the other. In pictures two people speak.
  let sides = tones();
  const recording = { id: "rec_01HZZZZZZZZZZZZZZZZZZZZZZZ", call: saw.address.split("/").pop(), format: "wav", encrypted: true, started_at: new Date().toISOString(), ended_at: new Date().toISOString(), duration_ms: sides[0].length / 8, lost_ms: 0 };
  let removed = false;
  await admin.route("**/v1/recordings**", (route) => {
    const path = new URL(route.request().url()).pathname;
    if (route.request().method() === "DELETE") {
      removed = true;
      return route.fulfill({ status: 204 });
    }
    if (path.endsWith("/audio")) return route.fulfill({ contentType: "audio/wav", body: wav(sides) });
    return route.fulfill({ json: path === "/v1/recordings" ? { items: removed ? [] : [recording], next: null } : recording });
  });
  await admin.evaluate(() => document.activeElement?.blur());
  await admin.keyboard.press("g");
  await admin.keyboard.press("a");
  await admin.locator("[data-recording]").waitFor();
  await check(admin, "recordings");
  await admin.keyboard.press("Enter");
  await admin.locator('.wave[data-drawn="yes"]').waitFor();
  saw.recording = new URL(admin.url()).pathname;
  // Where each side has sound: the caller's first second, the callee's other one.
  saw.wave = await admin.locator(".wave").evaluate((canvas) => {
    const inked = (x, y) => {
      const { data } = canvas.getContext("2d").getImageData(Math.round(x * canvas.width), Math.round(y * canvas.height), 1, 1);
      return data[3] > 0;
    };
    return [inked(0.25, 0.15), inked(0.75, 0.15), inked(0.25, 0.65), inked(0.75, 0.65)];
  });
  await admin.waitForFunction(() => document.querySelector("audio").duration > 1.9);
  if (plan.shots) {
    sides = talk();
    recording.duration_ms = sides[0].length / 8;
    await admin.reload();
    await admin.locator('.wave[data-drawn="yes"]').waitFor();
  }
  await check(admin, "recording");
  await admin.locator("button", { hasText: "Delete" }).click();
  await admin.locator("button.stop", { hasText: "Delete it for good" }).click();
  await admin.locator("cp-recordings .empty").waitFor();

  // Tests of menus: the run that was reported, and first of it what failed.
  await admin.keyboard.press("g");
  await admin.keyboard.press("m");
  await admin.locator("[data-run]").waitFor();
  await check(admin, "ivr");
  await admin.keyboard.press("Enter");
  await admin.locator('[data-step][data-failed="yes"]').waitFor();
  saw.run = new URL(admin.url()).pathname;
  saw.failure = await admin.locator("section[data-shown]").innerText();
  await check(admin, "ivr-run");
  await admin.keyboard.press("k");
  await admin.locator("section[data-shown='night menu']").waitFor();
  saw.case = new URL(admin.url()).search;

  // 1,000 calls: as many rows as are seen, and scrolling in a blink.
  await admin.keyboard.press("g");
  await admin.keyboard.press("c");
  await admin.locator("cp-calls").waitFor();
  saw.thousand = await admin.evaluate(async () => {
    const screen = document.querySelector("cp-calls");
    // How often it draws, and how long that takes.
    const drawn = [];
    const draw = screen.performUpdate;
    screen.performUpdate = function () {
      const begun = performance.now();
      draw.call(this);
      drawn.push(performance.now() - begun);
    };
    for (let n = 0; n < 1000; n++) {
      screen.live.calls.set(`call_${n}`, { id: `call_${n}`, state: "connected", direction: "outbound", from: { uri: `user:${n}` }, to: { uri: String(n) }, trunk: "north", started_at: new Date().toISOString(), answered_at: null });
    }
    screen.live.dispatchEvent(new Event("change"));
    await screen.updateComplete;
    const box = screen.querySelector(".window");
    box.scrollTop = 500 * 36;
    for (let n = 0; n < 3; n++) await new Promise((done) => requestAnimationFrame(done));
    const rows = [...screen.querySelectorAll("[data-call]")].map((own) => own.dataset.call);
    const seen = rows.includes("call_505");
    // From one end to the other while every call changes: how long each frame took.
    const frames = [];
    drawn.length = 0;
    let before = performance.now();
    for (let n = 0; n < 120; n++) {
      box.scrollTop = n / 120 * 1000 * 36;
      for (const call of screen.live.calls.values()) call.state = n % 2 ? "connected" : "early";
      screen.live.dispatchEvent(new Event("change"));
      const now = await new Promise((done) => requestAnimationFrame(done));
      frames.push(now - before);
      before = now;
    }
    frames.sort((a, b) => a - b);
    drawn.sort((a, b) => a - b);
    const script_ms = { median: drawn[drawn.length >> 1], most: drawn[drawn.length - 1] };
    const frame_ms = { median: frames[60], p95: frames[114], most: frames[119] };
    // For a picture of it.
    const states = ["connected", "connected", "connected", "early", "dialing", "connected"];
    const directions = ["outbound", "inbound", "internal"];
    const users = ["alice", "bob", "carol", "reception", "dave"];
    [...screen.live.calls.values()].forEach((call, n) => {
      const state = states[n % 6];
      const number = `+493023125${String(n).padStart(3, "0")}`;
      const sides = [{ user: users[n % 5], uri: "" }, { number, uri: number }];
      const [from, to] = directions[n % 3] === "inbound" ? sides.reverse() : directions[n % 3] === "internal" ? [sides[0], { user: users[(n + 1) % 5], uri: "" }] : sides;
      const answered_at = state === "connected" ? new Date(Date.now() - n * 7_300 % 400_000).toISOString() : null;
      Object.assign(call, { state, direction: directions[n % 3], from, to, answered_at, trunk: directions[n % 3] === "internal" ? null : "north" });
    });
    box.scrollTop = 0;
    screen.live.dispatchEvent(new Event("change"));
    await screen.updateComplete;
    return { rows: rows.length, sees: seen, count: screen.querySelector("[data-count]").textContent, drawn: drawn.length, script_ms, frame_ms };
  });
  await picture(admin, "thousand");
}

/** 1 s of sound on the left, then 1 s on the right, at 8 kHz. */
function tones() {
  const tone = Int16Array.from({ length: 8000 }, (_, n) => Math.round(Math.sin(n / 8000 * 440 * 2 * Math.PI) * 26_000));
  return by_turns([tone, new Int16Array(0), new Int16Array(0), tone]);
}

/** The examples' bank, and somebody who reads digits to it. */
function talk() {
  const said = (name) => {
    const file = readFileSync(new URL(`../../examples/ivr/prompts/${name}.wav`, import.meta.url));
    const data = file.indexOf("data") + 8;
    return Int16Array.from({ length: (file.length - data) >> 1 }, (_, n) => file.readInt16LE(data + 2 * n));
  };
  const digits = [4, 7, 1, 1].map((digit) => said(`digit-${digit}`));
  return by_turns([digits[0].subarray(0, 0), said("bank-main"), digits[0], said("bank-pin"), digits.flatMap((own) => [...own]), said("bank-balance"), digits[2], said("bank-thanks")]);
}

/** Left and right, who speak by turns. */
function by_turns(turns) {
  const length = turns.reduce((sum, turn) => sum + turn.length, 0);
  const sides = [new Int16Array(length), new Int16Array(length)];
  let at = 0;
  turns.forEach((turn, n) => {
    sides[n % 2].set(turn, at);
    at += turn.length;
  });
  return sides;
}

/** A WAV file of 8 kHz stereo, 16 bit. */
function wav([left, right]) {
  const [rate, frames] = [8000, left.length];
  const out = Buffer.alloc(44 + frames * 4);
  out.write("RIFF", 0);
  out.writeUInt32LE(out.length - 8, 4);
  out.write("WAVEfmt ", 8);
  out.writeUInt32LE(16, 16);
  out.writeUInt16LE(1, 20);
  out.writeUInt16LE(2, 22);
  out.writeUInt32LE(rate, 24);
  out.writeUInt32LE(rate * 4, 28);
  out.writeUInt16LE(4, 32);
  out.writeUInt16LE(16, 34);
  out.write("data", 36);
  out.writeUInt32LE(frames * 4, 40);
  for (let n = 0; n < frames; n++) {
    out.writeInt16LE(left[n], 44 + n * 4);
    out.writeInt16LE(right[n], 46 + n * 4);
  }
  return out;
}

/** No rule of axe is broken; a picture is kept where one is wanted. */
async function check(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  saw.axe[name] = violations.map((own) => `${own.id}: ${own.nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
  await picture(page, name);
}

/** A picture for README, where one is wanted: as high as what is in it. */
async function picture(page, name) {
  const height = plan.shots && HEIGHTS[name];
  if (!height) return;
  await page.setViewportSize({ ...SIZE, height });
  await page.evaluate(() => scrollTo(0, 0));
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  await page.screenshot({ path: join(plan.shots, `admin-${name}.png`) });
  await page.setViewportSize(SIZE);
}
