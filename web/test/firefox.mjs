// The distribution's Firefox behind the few calls that drive.mjs makes to a page: puppeteer-core over
// WebDriver BiDi. Its microphone is Firefox's own fake one, a steady tone.
import puppeteer from "puppeteer-core";

const prefs = {
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  "media.autoplay.default": 0,
  "media.autoplay.blocking_policy": 0,
  "media.autoplay.block-webaudio": false,
  // Pages of a test network have no certificate.
  "media.devices.insecure.enabled": true,
  "media.getusermedia.insecure.enabled": true,
  "media.gmp-manager.updateEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
};

/** Firefox with one page; `close` ends it. `relay`: its TURN server is on this machine, where Firefox does not look by itself. */
export async function firefox(home, microphone, relay = false) {
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: process.env.CROSSPOINT_FIREFOX ?? "/usr/bin/firefox-esr",
    headless: true,
    handleSIGTERM: false,
    userDataDir: home,
    extraPrefsFirefox: { ...prefs, "media.navigator.streams.fake": microphone !== "none", "media.peerconnection.ice.loopback": relay },
  });
  const page = await browser.newPage();
  let timeout = 30_000;
  // Playwright's selectors look into elements by themselves.
  const deep = (selector) => `:root >>> ${selector.replace(" [data-key", " >>> [data-key")}`;
  return {
    close: () => browser.close(),
    newPage: async () => ({
      setDefaultTimeout: (ms) => page.setDefaultTimeout((timeout = ms)),
      on: (name, heard) => page.on(name, heard),
      goto: (url) => page.goto(url),
      reload: () => page.reload(),
      evaluate: (fn, arg) => page.evaluate(fn, arg),
      waitForFunction: async (fn, arg, o = {}) => {
        await page.waitForFunction(fn, { polling: 50, timeout: o.timeout ?? timeout }, arg);
      },
      waitForTimeout: (ms) => new Promise((done) => setTimeout(done, ms)),
      screenshot: (o) => page.screenshot(o),
      locator: (selector) => ({
        fill: (value) => page.locator(deep(selector)).fill(value),
        press: async (key) => (await page.waitForSelector(deep(selector), { visible: true })).press(key),
        click: (o) => page.locator(deep(selector)).click(o),
        waitFor: async (o = {}) => {
          await page.waitForSelector(deep(selector), { visible: true, timeout: o.timeout ?? timeout });
        },
        textContent: () => page.$eval(deep(selector), (el) => el.textContent),
      }),
    }),
  };
}
