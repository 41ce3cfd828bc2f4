// The operator's live calls (admin/live.ts) against a gateway of paper: what is told while the list is read is
// newer than the list, and what the list says must not undo it.
import { after, before, beforeEach, mock, test } from "node:test";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

let Live, live, source;
/** Requests that wait for their answer. */
const asked = [];
const others = { EventSource: globalThis.EventSource, fetch: globalThis.fetch, requestAnimationFrame: globalThis.requestAnimationFrame };

class Source extends EventTarget {
  constructor(path) {
    super();
    assert.equal(path, "/v1/events");
    source = this;
  }
  close() { this.closed = true; }
  tells(type, data) {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify({ type, data }) }));
  }
}

before(async () => {
  const entryPoints = [fileURLToPath(new URL("../admin/live.ts", import.meta.url))];
  const { outputFiles } = buildSync({ entryPoints, bundle: true, format: "esm", target: "es2022", write: false, logLevel: "warning" });
  globalThis.EventSource = Source;
  globalThis.fetch = (path) => new Promise((answer, fail) => asked.push({
    path, fail, answer: (page) => answer({ ok: page !== undefined, status: 503, json: async () => page }), refuse: (status, detail) => answer({ ok: false, status, json: async () => ({ detail }) }),
  }));
  globalThis.requestAnimationFrame = (draw) => (queueMicrotask(draw), 1);
  ({ Live } = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`));
});

after(() => Object.assign(globalThis, others));

beforeEach(() => {
  asked.length = 0;
  live = new Live();
  live.start();
  source.dispatchEvent(new Event("open"));
});

const call = (n, state = "connected") => ({ id: `call_${n}`, state, direction: "outbound", from: { uri: "a" }, to: { uri: String(n) } });
const shown = () => [...live.calls.values()].map(({ id, state }) => `${id} ${state}`);

/** Answers the request that waits, which is for this page, and lets what follows from it happen. */
async function answer(cursor, items, next = null) {
  const { path, answer } = asked.shift();
  assert.equal(new URL(path, "http://x").searchParams.get("cursor"), cursor);
  answer(items && { items, next });
  // Promises alone are between an answer and what the page does with it: they are done before the loop turns.
  await new Promise((done) => setImmediate(done));
}

test("a call that ends while the list is on its way is not there", async () => {
  source.tells("call.ended", { id: "call_1" });
  await answer(null, [call(1), call(2)]);
  assert.deepEqual(shown(), ["call_2 connected"]);
});

test("a call that begins, or goes on, while the list is on its way is there as it is now", async () => {
  source.tells("call.state", { id: "call_1", state: "connected" });
  source.tells("call.started", call(3, "trying"));
  await answer(null, [call(1, "trying"), call(2)]);
  assert.deepEqual(shown(), ["call_1 connected", "call_2 connected", "call_3 trying"]);
  assert.equal(live.calls.get("call_1").to.uri, "1", "what the event does not say is the list's");
});

test("between two pages of the list, too", async () => {
  await answer(null, [call(1), call(2)], "after-2");
  source.tells("call.ended", { id: "call_2" });
  source.tells("call.ended", { id: "call_3" });
  assert.deepEqual(shown(), [], "half a list is not shown");
  await answer("after-2", [call(3), call(4)]);
  assert.deepEqual(shown(), ["call_1 connected", "call_4 connected"]);
});

test("a list that a reset has overtaken is thrown away", async () => {
  source.tells("call.ended", { id: "call_1" });
  source.dispatchEvent(new Event("reset"));
  source.tells("call.ended", { id: "call_2" });
  const [first, second] = asked.splice(0);
  asked.push(second, first);
  await answer(null, [call(2), call(3)]);
  await answer(null, [call(1), call(2)]);
  assert.deepEqual(shown(), ["call_3 connected"]);
});

test("a list that cannot be read leaves what is shown, and is read again", async (run) => {
  await answer(null, [call(1), call(2)]);
  mock.timers.enable({ apis: ["setTimeout"] });
  run.after(() => mock.timers.reset());
  source.dispatchEvent(new Event("reset"));
  source.tells("call.ended", { id: "call_1" });
  await answer(null, [call(2), call(3)], "after-3");
  await answer("after-3", undefined);
  assert.deepEqual(shown(), ["call_2 connected"]);
  assert.equal(asked.length, 0);
  mock.timers.tick(2_000);
  await answer(null, [call(3)]);
  assert.deepEqual(shown(), ["call_3 connected"]);
});

test("afterwards each event counts at once, and a drawing follows it", async () => {
  await answer(null, [call(1)]);
  let drawn = 0;
  live.addEventListener("change", () => drawn++);
  source.tells("call.state", { id: "call_1", state: "ended" });
  source.tells("call.started", call(2));
  assert.deepEqual(shown(), ["call_1 ended", "call_2 connected"]);
  await new Promise((done) => setImmediate(done));
  assert.equal(drawn, 1, "however much happens, there is one");
});

const settled = () => new Promise((done) => setImmediate(done));

test("a source that is closed is followed by another after a pause that grows, and the list is read anew", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  try {
    await answer(null, [call(1)]);
    assert.deepEqual([live.lost, live.ready], [undefined, true]);
    for (const pause of [1000, 2000, 4000, 8000, 15_000, 15_000]) {
      const old = source;
      old.dispatchEvent(new Event("error"));
      assert.ok(old.closed, "the browser does not try beside us");
      asked.shift().fail(new TypeError("nobody is there"));
      await settled();
      assert.equal(live.lost, 1_000_000, "since the first time");
      assert.deepEqual(shown(), ["call_1 connected"]);
      mock.timers.tick(pause - 1);
      assert.equal(source, old);
      mock.timers.tick(1);
      assert.notEqual(source, old);
    }
    source.dispatchEvent(new Event("open"));
    assert.equal(live.lost, 1_000_000, "not before the list is there");
    await answer(null, [call(2)]);
    assert.deepEqual([shown(), live.lost], [["call_2 connected"], undefined]);
    // The next time begins with the short pause.
    const old = source;
    old.dispatchEvent(new Event("error"));
    mock.timers.tick(1000);
    assert.notEqual(source, old);
  } finally {
    live.stop();
    mock.timers.reset();
  }
});

test("a list that fails is not an empty one; one that is refused is not asked for again", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    asked.shift().refuse(500, "Out of order.");
    await settled();
    assert.deepEqual([live.ready, live.refused, typeof live.lost], [false, "", "number"]);
    mock.timers.tick(1000);
    assert.equal(asked.length, 1, "it is read again");
    asked.shift().refuse(500, "Out of order.");
    await settled();
    source.dispatchEvent(new Event("error"));
    asked.shift().refuse(403, "The key lacks the permission calls:read.");
    await settled();
    assert.deepEqual([live.ready, live.refused, live.lost], [false, "The key lacks the permission calls:read.", undefined]);
    const last = source;
    mock.timers.tick(60_000);
    assert.equal(source, last);
  } finally {
    live.stop();
    mock.timers.reset();
  }
});
