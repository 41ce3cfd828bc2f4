// Drives the web phone of a real gateway in Chromium or Firefox by a list of steps, and prints what it saw.
//
//   node drive.mjs '{"browser": "chromium", "base": "http://127.0.0.1:8080", "token": null,
//                    "microphone": "tone.wav", "steps": [{"do": "dial", "to": "600"}, {"do": "active"}, …]}'
//
// One line of JSON goes to standard output: {"ok": true, "saw": [one entry a step]}, or
// {"ok": false, "step": n, "error": "…", "saw": […]}; standard error has a line for each step done.
// `microphone`: a WAV that Chromium plays as the microphone; "none" = the machine has no microphone.
// Firefox has a tone of its own instead.
// `token` null = the demo's. `options`: more words behind `#test` in the address (`relay`).
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromiumPath } from "./chromium.mjs";

const plan = JSON.parse(process.argv[2]);
const home = mkdtempSync(join(tmpdir(), "crosspoint-browser-"));
const saw = [];
const faults = [];
const starting = plan.browser === "firefox" ? firefox() : chromium();
let context;

// The browser must not outlive the driver.
process.on("SIGTERM", async () => {
  await starting.then((context) => context.close()).catch(() => {});
  rmSync(home, { recursive: true, force: true });
  process.exit(1);
});

try {
  context = await starting;
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  // Firefox counts a connection that was refused among the page's errors.
  page.on("pageerror", (error) => /establish a connection/.test(error) || faults.push(String(error)));
  // What the library logs; shown where a test fails.
  page.on("console", (message) => process.stderr.write(`page at ${new Date().toISOString().slice(14, 23)}: ${message.text()}\n`));
  if (plan.viewport) await page.setViewportSize(plan.viewport);
  if (plan.scheme) await page.emulateMedia({ colorScheme: plan.scheme });
  await page.goto(`${plan.base}/#${["test", ...(plan.options ?? [])].join("&")}`);
  if (plan.token) {
    await page.locator("#token").fill(plan.token);
    await page.locator("#token").press("Enter");
  }
  await page.locator('#line[data-state="ready"]').waitFor();
  for (const step of plan.steps) {
    saw.push((await STEPS(page)[step.do](step)) ?? null);
    process.stderr.write(`done: ${step.do}\n`);
  }
  print({ ok: faults.length === 0, error: faults.join("; "), saw });
} catch (error) {
  print({ ok: false, step: saw.length, error: String(error), faults, saw });
} finally {
  await context?.close();
  rmSync(home, { recursive: true, force: true });
}

async function chromium() {
  const { chromium } = await import("playwright-core");
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required", `--unsafely-treat-insecure-origin-as-secure=${plan.base}`];
  if (plan.microphone !== "none") {
    args.push("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream");
    if (plan.microphone) args.push(`--use-file-for-fake-audio-capture=${plan.microphone}`);
  }
  return chromium.launchPersistentContext(home, { executablePath: chromiumPath(), headless: true, args, handleSIGTERM: false });
}

async function firefox() {
  const { firefox } = await import("./firefox.mjs");
  return firefox(home, plan.microphone, plan.options?.includes("relay"));
}

function print(result) {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

function STEPS(page) {
  const state = (name) => page.locator(`#phone[data-view="talk"] #talk[data-state="${name}"]`).waitFor();
  return {
    dial: async ({ to }) => {
      await page.locator("#number").fill(to);
      await page.locator("#number").press("Enter");
    },
    /** Dials by the button of a hint. */
    hint: ({ to }) => page.locator(`#hint-list button[data-dial="${to}"]`).click(),
    state: ({ name }) => state(name),
    active: () => state("active"),
    connected: async () => {
      await page.waitForFunction(() => crosspoint.call?.peerConnection?.connectionState === "connected");
      // How long the phone side's keys were, for `received`.
      await page.evaluate(() => {
        crosspoint.lengths = [];
        crosspoint.call.remoteDTMF.addEventListener("tonechange", (ev) => ev.duration !== null && crosspoint.lengths.push(Math.round(ev.duration)));
      });
    },
    /** Waits until a tone of `hz` is heard from the far side; gives its level. */
    hear: async ({ hz, within = 6 }) => {
      if (plan.browser === "firefox") {
        // Without a sound card its AudioContext stands still: the peer connection's own level.
        const look = () => page.evaluate(async () => {
          let seen = { level: 0, packets: 0 };
          (await crosspoint.call.peerConnection.getStats()).forEach((r) => r.type === "inbound-rtp" && (seen = { level: r.audioLevel ?? 0, packets: r.packetsReceived }));
          return seen;
        });
        // 0.4 s of it, as below: 20 packets that sound.
        let since = null;
        for (let tries = 0; tries < 400; tries++) {
          const { level, packets } = await look();
          since = level > 0.02 ? since ?? packets : null;
          if (since !== null && packets >= since + 20) return { dbfs: 20 * Math.log10(level) };
          await page.waitForTimeout(50);
        }
        throw new Error("nothing is heard");
      }
      await page.waitForFunction(([hz, within]) => Math.abs((crosspoint.measure("remote")?.hz ?? 0) - hz) < within, [hz, within]);
      // The whole of the analyser's window holds the tone by the next look.
      await page.waitForFunction(() => new Promise((done) => setTimeout(() => done(true), 400)));
      return page.evaluate(() => crosspoint.measure("remote"));
    },
    /** Clicks the keys of the pad. */
    hold: async () => {
      const before = await page.evaluate(() => crosspoint.call.held);
      await page.locator("#hold").click();
      await page.waitForFunction((before) => crosspoint.call.held !== before, before);
    },
    /** Waits until the far side holds this page, or does so no more. */
    heldbyremote: ({ held }) => page.waitForFunction((held) => crosspoint.call.heldByRemote === held, held),
    keys: async ({ keys }) => {
      for (const key of keys) await page.locator(`#pad [data-key="${key}"]`).click({ delay: 120 });
      await page.waitForFunction(() => crosspoint.call.dtmf.toneBuffer === "");
    },
    /** insertDTMF of the real RTCDTMFSender, through the library. */
    tones: async ({ tones, duration = 100, gap = 100 }) => {
      await page.evaluate(([tones, duration, gap]) => crosspoint.call.dtmf.send(tones, { duration, gap }), [tones, duration, gap]);
      // A key may end the call.
      return page.evaluate(() => crosspoint.call?.dtmf.via);
    },
    /** Waits until the phone shows each of so many digits as delivered; gives them, and how they went. */
    delivered: async ({ count }) => {
      const lit = (least) => {
        const all = [...crosspoint.$("sent").querySelectorAll("i.delivered")];
        return all.length >= least && all.map((digit) => [digit.textContent, digit.dataset.mode, Number(digit.dataset.ms)]);
      };
      await page.waitForFunction(lit, count);
      return page.evaluate(lit, count);
    },
    /** Waits until the phone side has sent these digits. */
    received: async ({ digits }) => {
      const came = page.waitForFunction((digits) => crosspoint.call?.remoteDTMF.digits.length >= digits.length, digits);
      await came.catch(async (error) => {
        throw new Error(`received ${await page.evaluate(() => crosspoint.call?.remoteDTMF.digits)}: ${error}`);
      });
      return page.evaluate(() => ({ digits: crosspoint.call.remoteDTMF.digits, shown: crosspoint.$("received").textContent, lengths: crosspoint.lengths }));
    },
    /** Waits for the connection to the gateway to be in a state. */
    line: ({ name }) => page.locator(`#line[data-state="${name}"]`).waitFor({ timeout: 40_000 }),
    lineis: () => page.evaluate(() => document.getElementById("line").dataset.state),
    /** Watches a tone of the far side from now on; `gap` gives the longest time without it, in ms. */
    watch: ({ hz }) => page.evaluate((hz) => void crosspoint.watch(hz), hz),
    gap: () => page.evaluate(() => crosspoint.gap()),
    /** Waits until the watched tone was away for `ms` and is there again. */
    gapped: ({ ms }) => page.waitForFunction((ms) => crosspoint.gap(true) >= ms, ms, { timeout: 45_000 }),
    stats: () => page.evaluate(() => crosspoint.call.getStats()),
    offline: () => page.waitForFunction(() => crosspoint.call.state === "reconnecting", null, { timeout: 45_000 }),
    /** Loads the page again. */
    reload: async () => {
      await page.reload();
      await page.waitForFunction(() => window.crosspoint?.call);
    },
    muted: () => page.waitForFunction(() => crosspoint.call.localTrack).then(() => page.evaluate(() => [crosspoint.call.muted, crosspoint.call.localTrack.enabled])),
    mute: () => page.locator("#mute").click(),
    hangup: () => page.locator("#hangup").click(),
    /** Waits for the end and gives what the page says about it. */
    ended: async () => {
      await page.locator('#phone[data-view="idle"] #last:not([hidden])').waitFor({ timeout: 45_000 });
      return page.evaluate(() => {
        const last = crosspoint.$("last");
        return { ...last.dataset, message: crosspoint.$("end-message").textContent, detail: crosspoint.$("end-detail").textContent };
      });
    },
    /** Waits until the page rings, and takes the call. */
    answer: async () => {
      await page.locator('#phone[data-view="ring"]').waitFor({ timeout: 45_000 });
      const caller = await page.locator("#caller").textContent();
      const told = await page.evaluate(() => ({ metadata: crosspoint.call.metadata, verified: crosspoint.call.from.verified }));
      await page.locator("#answer").click();
      return { caller, ...told };
    },
    rings: () => page.locator('#phone[data-view="ring"]').waitFor({ timeout: 45_000 }),
    /** Takes the call and gives when, in ms since 1970, and how much later its microphone was open, the
     *  first packet came and the far side was heard, in ms. */
    pickup: async () => {
      await page.locator('#phone[data-view="ring"]').waitFor({ timeout: 45_000 });
      return page.evaluate(async () => {
        const call = crosspoint.call;
        const since = performance.now();
        const seen = { clicked: Date.now() };
        const loud = async (receiver) => {
          let energy = 0;
          (await receiver?.getStats())?.forEach((r) => r.type === "inbound-rtp" && (energy = r.totalAudioEnergy ?? 0));
          return energy > 0.00001;
        };
        crosspoint.$("answer").click();
        while (seen.sound === undefined || seen.microphone === undefined) {
          const passed = performance.now() - since;
          if (call.localTrack) seen.microphone ??= Math.round(passed);
          const receiver = call.peerConnection?.getReceivers()[0];
          if (receiver?.getSynchronizationSources()[0]) seen.packet ??= Math.round(passed);
          // The last 5 ms of what is heard; where no AudioContext runs, what was played out, some 50 ms late.
          const ear = crosspoint.ears.remote;
          if (seen.sound === undefined && (ear?.rms(256) > 0.01 || (await loud(receiver)))) seen.sound = Math.round(performance.now() - since);
          await new Promise((done) => setTimeout(done, 4));
          if (passed > 10_000) throw new Error(`nothing is heard: ${JSON.stringify(seen)}`);
        }
        return seen;
      });
    },
    reject: async () => {
      await page.locator('#phone[data-view="ring"]').waitFor({ timeout: 45_000 });
      await page.locator("#reject").click();
    },
    /** Runs an expression in the page and waits for what it promises. */
    script: ({ code }) => page.evaluate(code),
    wait: ({ seconds }) => page.waitForTimeout(seconds * 1000),
    notice: async () => {
      await page.locator("#notice:not([hidden])").waitFor();
      return page.evaluate(() => ({ ...crosspoint.$("notice").dataset, title: crosspoint.$("notice-title").textContent, text: crosspoint.$("notice-text").textContent }));
    },
    sdp: () => page.evaluate(() => ({ offer: crosspoint.call.peerConnection.localDescription.sdp, answer: crosspoint.call.peerConnection.remoteDescription.sdp })),
    shot: ({ path }) => page.screenshot({ path }).then(() => path),
  };
}
