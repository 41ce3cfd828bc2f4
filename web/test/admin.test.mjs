// The operator's pages in Chromium against a gateway of paper, which goes away, comes back, forgets who is logged
// in, and whose callers call themselves what they like. SHOTS=folder also takes pictures.
import { after, before, beforeEach, test } from "node:test";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { chromiumPath } from "./chromium.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });
const file = (path) => readFileSync(new URL(path, import.meta.url));
const FILES = { "/admin/admin.js": ["../dist/admin.js", "text/javascript"], "/admin/admin.css": ["../dist/admin.css", "text/css"], "/icon.svg": ["../phone/icon.svg", "image/svg+xml"] };

let browser, context, server, base, page;
/** What the gateway is and does. */
const gateway = {};
const sockets = new Set(), followers = new Set();

const call = (n, from, more = {}) => ({
  id: `call_${n}`, state: "connected", direction: "inbound", from, to: { uri: "sip:600@gw.test", user: "demo" }, trunk: "carrier", rule: null,
  started_at: new Date(Date.now() - 65_000).toISOString(), answered_at: new Date(Date.now() - 60_000).toISOString(), ended_at: null, duration_ms: 0,
  cause: null, sip: null, ended_by: null, attempts: 1, digits: 0, codec: "PCMA", quality: {}, trace: ["rule echo"], ...more,
});
const LIAR = { uri: "sip:+4915112345678@carrier.test", number: "+4915112345678", display: 'Police 110” +491100' };

function answer(request, response) {
  const { pathname } = new URL(request.url, "http://x");
  const says = (status, body) => {
    response.writeHead(status, { "content-type": status < 400 ? "application/json" : "application/problem+json" });
    response.end(JSON.stringify(body));
  };
  const list = (items) => says(200, { items, next: null });
  if (FILES[pathname]) {
    const [path, type] = FILES[pathname];
    response.writeHead(200, { "content-type": type });
    return response.end(file(path));
  }
  if (pathname.startsWith("/admin")) {
    response.writeHead(200, { "content-type": "text/html" });
    return response.end(file("../admin/index.html"));
  }
  if (pathname === "/v1/session" && request.method === "POST") {
    gateway.session = true;
    return says(200, { name: "operator" });
  }
  if (!gateway.session) return says(401, { code: "auth/missing", detail: "Log in first." });
  if (pathname === "/v1/session") return says(200, { name: "operator" });
  if (gateway.refuses && /^\/v1\/(calls|events)/.test(pathname)) return says(403, { code: "auth/forbidden", detail: "The key lacks the permission calls:read." });
  if (pathname === "/v1/events") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(": crosspoint\n\n");
    followers.add(response);
    return response.on("close", () => followers.delete(response));
  }
  if (pathname === "/v1/calls") return gateway.broken ? says(500, { detail: "Out of order." }) : list(gateway.calls);
  if (pathname === "/v1/cdrs") return list(gateway.calls);
  if (pathname === "/v1/trunks") return list([]);
  const own = /^\/v1\/calls\/(\w+)(?:\/(\w+))?$/.exec(pathname);
  const found = own && gateway.calls.find(({ id }) => id === own[1]);
  if (found) {
    if (!own[2]) return says(200, found);
    if (own[2] === "quality") return says(200, { series: [{ at_ms: 5000, callee: { mos: 4.2, jitter_ms: 3, loss_percent: 0 } }] });
    return list(own[2] === "signalling" ? ["INVITE", "200 OK (INVITE)", "ACK"].map((summary, n) => ({ at_ms: n * 20, sent: n === 1, summary, text: `${summary}\r\n` })) : []);
  }
  if (pathname === "/v1/dialplan") return says(200, { file: "plan.toml", hash: gateway.plan.length.toString(16).padStart(64, "0"), loaded_at: new Date().toISOString(), text: gateway.plan, warnings: [], refused: null });
  if (pathname === "/v1/dialplan/versions") return list([]);
  if (pathname === "/v1/dialplan/check") return says(200, { ok: true, findings: [] });
  says(404, { detail: "Nothing is here." });
}

before(async () => {
  server = createServer(answer);
  server.on("connection", (socket) => {
    // A gateway that is gone: nobody listens, and what was open is reset.
    if (gateway.gone) return socket.resetAndDestroy();
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  base = `http://127.0.0.1:${server.address().port}`;
  browser = await chromium.launch({ executablePath: chromiumPath(), headless: true, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
});

after(async () => {
  await browser?.close();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});

beforeEach(async () => {
  Object.assign(gateway, { session: true, gone: false, refuses: false, broken: false, calls: [call(1, LIAR), call(2, { uri: "sip:110@carrier.test" })], plan: "version = 1\n" });
  await context?.close();
  context = await browser.newContext({ viewport: { width: 1280, height: 820 }, colorScheme: "light" });
  page = await context.newPage();
});

function goAway() {
  gateway.gone = true;
  for (const socket of sockets) socket.resetAndDestroy();
}

const lost = () => page.locator('[data-lost="yes"]').waitFor();
const words = () => page.locator("body").innerText();

/** Nothing is wider than the window, no rule of axe is broken; pictures are taken where they are wanted. */
async function look(name, sizes = [1280, 400, 320]) {
  await page.evaluate(axe);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const width of sizes) {
      await page.setViewportSize({ width, height: 820 });
      // What follows the window's size has two frames for it.
      await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth, null, { timeout: 10_000 })
        .catch(async () => assert.fail(`${name}: ${await page.evaluate(() => document.documentElement.scrollWidth)} px wide in ${width}`));
      if (shots) await page.screenshot({ path: join(shots, `admin-${name}-${width}-${colorScheme}.png`), fullPage: true });
      if (width !== sizes[0]) continue;
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      assert.deepEqual(violations.map((own) => `${own.id}: ${own.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`), [], `${name} ${colorScheme}`);
    }
  }
  await page.setViewportSize({ width: 1280, height: 820 });
}

test("a gateway that is gone is said to be, and what is shown stands still until it is back", async () => {
  await page.goto(`${base}/admin/calls`);
  const row = page.locator('[data-call="call_1"]');
  await row.waitFor();
  const heard = Date.now();
  goAway();
  await lost();
  assert.match(await words(), /No connection to the gateway since \d\d:\d\d:\d\d/);
  await page.locator(".table.stale").waitFor();
  const talking = () => row.locator(".number").innerText();
  const before = await talking();
  assert.match(before, /^\d+:\d\d$/);
  // Two drawings of each second, and some tries: the clock shows what it showed.
  await page.waitForFunction((since) => Date.now() - since > 3000, heard);
  assert.equal(await talking(), before);
  await look("lost", [1280, 400]);
  gateway.calls = [call(3, { uri: "sip:+4930123@carrier.test", number: "+4930123" })];
  gateway.gone = false;
  await page.locator('[data-call="call_3"]').waitFor();
  assert.equal(await row.count(), 0, "the dead call has gone");
  await page.locator('[data-lost="no"]').waitFor({ state: "attached" });
  assert.equal(await page.locator(".stale").count(), 0);
  // And what is told from now on is heard.
  for (const follower of followers) follower.write(`event: call.ended\ndata: ${JSON.stringify({ type: "call.ended", data: { id: "call_3" } })}\n\n`);
  await page.getByText("No call is on.").waitFor();
});

test("a gateway that comes back and knows no login asks for it", async () => {
  await page.goto(`${base}/admin/calls`);
  await page.locator('[data-call="call_1"]').waitFor();
  goAway();
  await lost();
  Object.assign(gateway, { session: false, calls: [], gone: false });
  await page.locator("main.login").waitFor();
  assert.match(await page.locator(".fault").innerText(), /login is over/);
  await page.locator("input[name=key]").fill("the key");
  await page.keyboard.press("Enter");
  await page.getByText("No call is on.").waitFor();
  assert.equal(await page.locator('[data-lost="yes"]').count(), 0);
});

test("a list that was refused or failed is not an empty list", async () => {
  gateway.refuses = true;
  await page.goto(`${base}/admin/calls`);
  await page.getByText("You cannot see calls. The key lacks the permission calls:read.").waitFor();
  assert.equal(await page.locator("[data-count]").innerText(), "–");
  Object.assign(gateway, { refuses: false, broken: true });
  await page.reload();
  await page.getByText("The calls are not known").waitFor();
  await lost();
  assert.doesNotMatch(await words(), /No call is on/);
});

test("the number is shown whatever a caller calls himself, and the filter finds both", async () => {
  await page.goto(`${base}/admin/calls`);
  const row = page.locator('[data-call="call_1"]');
  await row.waitFor();
  const shown = async () => (await row.locator("a").innerText()).trim();
  assert.match(await shown(), /^\+4915112345678\s/);
  assert.equal(await row.locator("q").innerText(), "Police 110' +491100", "no quote of his ends the quotes");
  await look("calls");
  // On a phone, too, all of the number is seen.
  await page.setViewportSize({ width: 400, height: 820 });
  await page.waitForFunction(() => {
    const link = document.querySelector('[data-call="call_1"] a'), words = document.createRange();
    const number = document.createTreeWalker(link, NodeFilter.SHOW_TEXT, (node) => node.data.includes("+49") ? 1 : 2).nextNode();
    words.selectNodeContents(number);
    return words.getBoundingClientRect().right <= link.parentElement.getBoundingClientRect().right;
  });
  await page.setViewportSize({ width: 1280, height: 820 });
  const found = () => page.locator("[data-call]").evaluateAll((all) => all.map((own) => own.dataset.call));
  for (const wanted of ["+49151123", "police"]) {
    await page.locator("input[type=search]").fill(wanted);
    await page.locator("[data-count]", { hasText: /^1$/ }).waitFor();
    assert.deepEqual(await found(), ["call_1"], wanted);
    assert.equal(new URL(page.url()).searchParams.get("filter"), wanted);
  }
  // The filter is part of the address: it is there again, and a click on the menu ends it.
  await row.click();
  await page.locator("cp-call h1", { hasText: "+4915112345678" }).waitFor();
  await page.goBack();
  await row.waitFor();
  assert.equal(await page.locator("input[type=search]").inputValue(), "police");
  assert.deepEqual(await found(), ["call_1"]);
  await page.locator("nav a", { hasText: "Calls" }).click();
  await page.locator('[data-call="call_2"]').waitFor();
  assert.equal(await page.locator("input[type=search]").inputValue(), "");
  await page.goto(`${base}/admin/records`);
  await page.locator('[data-record="call_1"]', { hasText: "+4915112345678" }).waitFor();
  await look("records");
});

test("what is typed into the plan is kept until it is dropped", async () => {
  await page.goto(`${base}/admin/dialplan`);
  const area = page.locator("textarea");
  await area.fill("version = 1\n# mine\n");
  await page.locator("nav a", { hasText: "Trunks" }).click();
  await page.locator("cp-trunks").waitFor();
  await page.goBack();
  await page.locator(".kept", { hasText: "it is not in force" }).waitFor();
  assert.equal(await area.inputValue(), "version = 1\n# mine\n");
  await page.locator(".diff .new", { hasText: "# mine" }).waitFor();
  await page.locator('[data-checked="yes"]').waitFor();
  await look("plan");
  assert.doesNotMatch(await page.locator(".kept").innerText(), /Another plan/);
  // Somebody else's plan came between: the text is not lost, and what it would undo is said.
  gateway.plan = "version = 1\n# theirs, longer\n";
  await page.locator("nav a", { hasText: "Trunks" }).click();
  await page.locator("nav a", { hasText: "Dial plan" }).click();
  await page.locator(".kept", { hasText: "Another plan was put in force" }).waitFor();
  await page.locator(".diff .gone", { hasText: "# theirs" }).waitFor();
  await page.locator(".kept button").click();
  await page.waitForFunction(() => document.querySelector("textarea").value.includes("theirs"));
  assert.equal(await page.locator(".kept").count(), 0);
  await page.reload();
  await area.waitFor();
  assert.match(await area.inputValue(), /theirs/);
  assert.equal(await page.locator(".kept").count(), 0);
});

test("plots and ladder are as wide as the window lets them, also when it changes", async () => {
  await page.goto(`${base}/admin/calls/call_1`);
  await page.locator("[data-step]").first().waitFor();
  await page.locator("#plots canvas").first().waitFor();
  const width = (what) => page.evaluate((what) => document.querySelector(what).getBoundingClientRect().width, what);
  await page.waitForFunction(() => document.querySelector(".ladder").getBoundingClientRect().width > 1000);
  assert.ok(await width(".uplot") > 1000);
  await look("call");
  await page.setViewportSize({ width: 400, height: 820 });
  await page.waitForFunction(() => document.querySelector(".uplot").getBoundingClientRect().width < 400);
  await page.setViewportSize({ width: 820, height: 400 });
  await page.waitForFunction(() => document.querySelector(".uplot").getBoundingClientRect().width > 600);
});
