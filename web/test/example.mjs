// Drives examples/phone.html in Chromium as a site of its own would serve it: the page and its token
// come from here, /sdk.js and /v1/rtc from the gateway behind.
//
//   node example.mjs '{"base": "http://127.0.0.1:8080", "token": "…", "call": "700"}'
//
// It places a call and hangs up, says "waiting", takes the call that comes, and prints the states seen.
import { createServer, request } from "node:http";
import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:net";
import { chromiumPath } from "./chromium.mjs";

const plan = JSON.parse(process.argv[2]);
const gateway = new URL(plan.base);
const server = createServer((req, res) => {
  if (req.url === "/") return res.writeHead(200, { "content-type": "text/html" }).end(readFileSync(new URL("../../examples/phone.html", import.meta.url)));
  if (req.url === "/token") return res.end(plan.token);
  const ahead = request({ host: gateway.hostname, port: gateway.port, path: req.url }, (answer) => answer.pipe(res.writeHead(answer.statusCode, answer.headers)));
  ahead.end();
});
// A site's own server in front of the gateway, as nginx would be.
server.on("upgrade", (req, near, head) => {
  const far = connect(gateway.port, gateway.hostname, () => {
    const lines = Object.entries(req.headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    far.write(`GET ${req.url} HTTP/1.1\r\n${lines}\r\n`);
    far.write(head);
    near.pipe(far).pipe(near);
  });
  far.on("error", () => near.destroy());
  near.on("error", () => far.destroy());
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

const home = mkdtempSync(join(tmpdir(), "crosspoint-example-"));
const { chromium } = await import("playwright-core");
const context = await chromium.launchPersistentContext(home, {
  executablePath: chromiumPath(), headless: true, handleSIGTERM: false,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--allow-loopback-in-peer-connection",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required"],
});
process.on("SIGTERM", () => context.close().catch(() => {}).then(() => process.exit(1)));
const saw = [];
try {
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const state = async (word) => {
    await page.waitForFunction((word) => document.getElementById("state").textContent.startsWith(word), word);
    saw.push(await page.locator("#state").textContent());
  };
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await state("ready");
  await page.locator("input").fill(plan.call);
  await page.locator("form button").click();
  await state("active");
  await page.locator("#hangup").click();
  await state("ended");
  process.stderr.write("waiting\n");
  await page.locator("#answer").click();
  await state("active");
  await page.locator("#hangup").click();
  await state("ended");
  process.stdout.write(`${JSON.stringify({ ok: true, saw })}\n`);
} catch (error) {
  process.stdout.write(`${JSON.stringify({ ok: false, error: String(error), saw })}\n`);
} finally {
  await context.close();
  rmSync(home, { recursive: true, force: true });
  server.close();
  server.closeAllConnections();
}
