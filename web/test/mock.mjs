// A gateway of paper for the tests of the page: the pages over HTTP as the gateway serves them, and
// crosspoint.v1 over a WebSocket. Its sound comes from `media`, which the test gives: a second page.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { WebSocketServer } from "ws";

const root = new URL("../", import.meta.url);
const FILES = {
  "/": ["phone/index.html", "text/html; charset=utf-8"],
  "/phone.css": ["phone/phone.css", "text/css; charset=utf-8"],
  "/app.js": ["phone/app.js", "text/javascript; charset=utf-8"],
  "/phone.js": ["dist/phone.js", "text/javascript; charset=utf-8"],
  "/icon.svg": ["phone/icon.svg", "image/svg+xml"],
  "/sdk.js": ["dist/sdk.js", "text/javascript; charset=utf-8"],
};
const HINTS = [
  { dial: "600", name: "Echo", about: "Hear yourself." },
  { dial: "601", name: "Menu", about: "A voice menu; press the keys it names." },
  { dial: "602", name: "Tone", about: "1004 Hz at −16 dBm0." },
  { dial: "603", name: "Read-back", about: "Reads back the digits you press." },
  { dial: "604", name: "No answer", about: "Rings and is never picked up." },
  { dial: "605", name: "Busy", about: "The line is busy." },
  { dial: "606", name: "Early media", about: "An announcement before the answer, then 480." },
  { dial: "607", name: "Call me back", about: "Hangs up and calls this page." },
];

export async function mock({ media, demo = true } = {}) {
  const requests = [];
  /** Sessions by id: what is kept of each while its page is away. */
  const sessions = new Map();
  const sockets = new Set();
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://x").pathname;
    const [file, type] = FILES[path] ?? [];
    const headers = { "content-security-policy": "default-src 'self'; frame-ancestors 'none'", "cache-control": "no-store" };
    if (path === "/phone.json" && demo) {
      response.writeHead(200, { ...headers, "content-type": "application/json" });
      response.end(JSON.stringify({ token: "cp1.mock", user: "demo", hints: HINTS }));
    } else if (file) {
      response.writeHead(200, { ...headers, "content-type": type });
      response.end(await readFile(new URL(file, root)));
    } else if (path === "/token") {
      response.end("cp1.mock");
    } else if (path === "/embed") {
      // A page of somebody's own.
      response.writeHead(200, { ...headers, "content-type": "text/html" });
      response.end('<!doctype html><title>Embedded</title><script type="module" src="/phone.js"></script><crosspoint-phone token-url="/token" testing></crosspoint-phone><crosspoint-dialpad></crosspoint-dialpad>');
    } else if (path === "/media") {
      response.writeHead(200, { "content-type": "text/html" });
      response.end("<!doctype html><title>media</title>");
    } else {
      response.writeHead(404, headers);
      response.end();
    }
  });
  const wss = new WebSocketServer({ server, path: "/v1/rtc", handleProtocols: () => "crosspoint.v1" });
  wss.on("connection", (socket) => {
    sockets.add(socket);
    let session = null;
    const event = (type, body) => {
      const text = JSON.stringify({ seq: ++session.seq, type, ...body });
      session.log.push(text);
      if (type === "call.ended" || type === "call.cancelled") session.calls.delete(body.call);
      if (type === "call.state" && session.calls.has(body.call)) session.calls.get(body.call).state = body.state;
      session.socket?.send(text);
    };
    socket.event = event;
    const ended = (call, code, by, sip, message, retryable = false) => event("call.ended", { call, code, by, sip, q850: 16, message, retryable });
    socket.on("message", async (data) => {
      const body = JSON.parse(data);
      requests.push(body);
      const ok = (extra = {}) => socket.send(JSON.stringify({ re: body.id, ok: true, ...extra }));
      const refuse = (code, message, details) => socket.send(JSON.stringify({ re: body.id, error: { code, message, retryable: false, docs: "", details } }));
      switch (body.type) {
        case "hello":
          if (body.token !== "cp1.mock") {
            refuse("auth/invalid", "The token is not one of this gateway's.");
            return socket.close(4401, "auth/invalid");
          }
          if (body.session) {
            session = sessions.get(body.session);
            if (!session || session.resume !== body.resume) return refuse("signal/stale-session", "The session to resume is no longer kept.");
          } else {
            const id = `ses_${sessions.size + 1}`;
            sessions.set(id, (session = { id, seq: 0, log: [], calls: new Map(), resume: "" }));
          }
          session.resume = `${session.id}-${Math.random()}`;
          session.socket = socket;
          ok({ type: "welcome", session: session.id, resume: session.resume, identity: "demo", ice_servers: [], expires_at: 0, grace: 60000, calls: [...session.calls.values()], features: [] });
          return session.log.slice(body.last_seq ?? session.seq).forEach((text) => socket.send(text));
        case "call.media":
          if (body.mode === "warm") {
            await media.accept(body.call, body.sdp);
            return ok();
          }
          return ok({ sdp: await media.answer(body.call, body.sdp) });
        case "call.start": {
          if (body.to.startsWith("0900")) return refuse("call/blocked-by-dialplan", "No rule allows this number.", { sip: { status: 403, reason: "Forbidden" } });
          session.calls.set(body.call, { call: body.call, direction: "outgoing", state: "connecting", from: {}, to: { uri: body.to, number: body.to }, metadata: {}, muted: false, digits: "" });
          const sdp = media ? await media.answer(body.call, body.sdp) : "";
          ok({ sdp, to: body.to, rule: "demo" });
          if (body.to === "605") return ended(body.call, "busy", "remote", { status: 486, reason: "Busy Here" }, "The line is busy.", true);
          event("call.state", { call: body.call, state: "ringing", sip: { status: 180, reason: "Ringing" }, early_media: false });
          if (body.to === "604") return;
          if (body.to === "606") return event("call.state", { call: body.call, state: "early-media", early_media: true });
          event("call.state", { call: body.call, state: "active", codec: "PCMA", early_media: false });
          if (body.to === "607") {
            ended(body.call, "hangup", "remote", { status: 200, reason: "OK" }, "The call was hung up.");
            const call = "call_01HF7YAT00000000000000002A";
            event("call.incoming", { call, from: { number: "+49301234607", display: "Call me back", uri: "sip:607@demo" }, to: { uri: "sip:demo" }, metadata: {}, sdp: await media.offer(call) });
          }
          return;
        }
        case "call.answer":
          if (body.sdp) await media.accept(body.call, body.sdp);
          ok();
          return event("call.state", { call: body.call, state: "active", early_media: false });
        case "call.reject":
          ok();
          return ended(body.call, "declined", "local", null, "The call was declined.");
        case "call.hangup":
          ok();
          return requests.some((r) => r.to === "604" && r.call === body.call)
            ? ended(body.call, "cancelled", "local", { status: 487, reason: "Request Terminated" }, "The call was cancelled before it was answered.")
            : ended(body.call, "hangup", "local", null, "The call was hung up.");
        case "ice":
          ok();
          return media?.candidate(body.call, body.candidate);
        case "dtmf.send":
          ok();
          for (const tone of body.tones.replace(/[,w]/g, "")) event("dtmf.sent", { call: body.call, tone, receipt: { mode: "sip-info", from: "message", tone_ms: body.duration ?? 100, info_status: 200 } });
          return;
        default:
          return ok();
      }
    });
    socket.on("close", () => {
      sockets.delete(socket);
      if (session?.socket === socket) session.socket = null;
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://localhost:${server.address().port}/`,
    requests,
    /** An event to every page. */
    event: (type, body) => sockets.forEach((socket) => socket.event(type, body)),
    drop: (code) => sockets.forEach((socket) => socket.close(code)),
    /** All sessions are gone, as after a restart. */
    forget: () => sessions.clear(),
    close: () => {
      sockets.forEach((socket) => socket.terminate());
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}

/** The far side's sound: a page with peer connections that send a sine of `hz`. */
export async function mediaPage(browser, url, hz = 1004) {
  const page = await (await browser.newContext()).newPage();
  await page.goto(url + "media");
  await page.evaluate((hz) => {
    const peers = new Map();
    const context = new AudioContext();
    const tone = context.createOscillator();
    tone.frequency.value = hz;
    const gain = context.createGain();
    gain.gain.value = 0.2;
    const out = context.createMediaStreamDestination();
    tone.connect(gain).connect(out);
    tone.start();
    const peer = (call) => {
      const pc = new RTCPeerConnection();
      peers.set(call, { pc, early: [] });
      return pc;
    };
    const gathered = (pc) => pc.iceGatheringState === "complete" ? null : new Promise((done) => pc.addEventListener("icegatheringstatechange", () => pc.iceGatheringState === "complete" && done()));
    const track = () => out.stream.getAudioTracks()[0];
    window.media = {
      async answer(call, sdp) {
        const pc = peer(call);
        await pc.setRemoteDescription({ type: "offer", sdp });
        pc.addTrack(track());
        await pc.setLocalDescription();
        await gathered(pc);
        return pc.localDescription.sdp;
      },
      async offer(call) {
        const pc = peer(call);
        pc.addTrack(track());
        await pc.setLocalDescription();
        await gathered(pc);
        return pc.localDescription.sdp;
      },
      accept: (call, sdp) => peers.get(call).pc.setRemoteDescription({ type: "answer", sdp }),
      /** Sends nothing more, or again. */
      pause: (call, on) => peers.get(call).pc.getSenders()[0].replaceTrack(on ? null : track()),
      candidate: (call, candidate) => peers.get(call)?.pc.addIceCandidate(candidate ?? undefined).catch(() => {}),
    };
  }, hz);
  const ask = (name) => (...args) => page.evaluate(([name, args]) => window.media[name](...args), [name, args]);
  return { answer: ask("answer"), offer: ask("offer"), accept: ask("accept"), pause: ask("pause"), candidate: ask("candidate") };
}
