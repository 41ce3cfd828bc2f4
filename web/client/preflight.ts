import { PhoneError } from "./errors.js";
import { microphone } from "./media.js";
import type { Call, CallInit } from "./call.js";

export interface PreflightInit {
  /** Places a call to this gateway's echo line and listens; default false. */
  echo?: boolean;
  /** How long to listen, in ms; default 4000. */
  duration?: number;
  signal?: AbortSignal;
}

export interface PreflightReport {
  verdict: "ready" | "degraded" | "blocked" | "permission-denied" | "inconclusive";
  reasons: { code: string; message: string }[];
  /** In ms. */
  rtt: number | null;
  jitter: number | null;
  loss: number | null;
  mos: number | null;
  turnRequired: boolean;
  dtmf: "ok" | "lost" | "not-tested";
}

/** @internal */
export interface PreflightLine {
  ping(): Promise<void>;
  configuration(): RTCConfiguration;
  audio: MediaTrackConstraints | undefined;
  call(to: string, init: CallInit): Promise<Call>;
  /** The number of the echo line, where the gateway names one. */
  echo: string | null;
}

/** Whether a call would work from here: microphone, way to the gateway, and, where asked, an echo. @internal */
export async function preflight(line: PreflightLine, init: PreflightInit): Promise<PreflightReport> {
  const report: PreflightReport = { verdict: "ready", reasons: [], rtt: null, jitter: null, loss: null, mos: null, turnRequired: false, dtmf: "not-tested" };
  const worse = (verdict: PreflightReport["verdict"], code: string, message: string) => {
    const order = ["ready", "degraded", "inconclusive", "blocked", "permission-denied"];
    if (order.indexOf(verdict) > order.indexOf(report.verdict)) report.verdict = verdict;
    report.reasons.push({ code, message });
  };
  const signal = init.signal;
  signal?.throwIfAborted();
  let track: MediaStreamTrack | null = null;
  try {
    track = await microphone(line.audio);
  } catch (error) {
    const known = error instanceof PhoneError ? error : new PhoneError("media/microphone-failed", null, error);
    worse(known.code === "media/permission-denied" ? "permission-denied" : "blocked", known.code, known.message);
    return report;
  }
  try {
    const times: number[] = [];
    for (let n = 0; n < 5; n++) {
      signal?.throwIfAborted();
      const since = performance.now();
      await line.ping();
      times.push(performance.now() - since);
    }
    report.rtt = Math.round(Math.min(...times));
    if (report.rtt > 400) worse("degraded", "high-rtt", "The way to the gateway is long: speech will be late.");
    const found = await candidates(line.configuration());
    if (found.size === 0) worse("blocked", "no-udp", "This network lets no sound through: UDP and TURN are blocked.");
    report.turnRequired = found.size > 0 && !found.has("host") && !found.has("srflx");
    if (init.echo) await listen(line, track, init, report, worse);
  } catch (error) {
    signal?.throwIfAborted();
    const known = error instanceof PhoneError ? error : new PhoneError("signal/unreachable", null, error);
    worse("inconclusive", known.code, known.message);
  } finally {
    track.stop();
  }
  return report;
}

async function listen(line: PreflightLine, track: MediaStreamTrack, init: PreflightInit, report: PreflightReport, worse: (verdict: PreflightReport["verdict"], code: string, message: string) => void): Promise<void> {
  if (line.echo === null) return worse("inconclusive", "no-echo-line", "This gateway has no echo line.");
  const call = await line.call(line.echo, { track, sink: "none", ...(init.signal ? { signal: init.signal } : {}) });
  try {
    await until(call, () => call.state === "active", 10_000);
    let lost = true;
    const heard = () => (lost = false);
    call.remoteDTMF.addEventListener("tonechange", heard);
    if (call.dtmf.canInsertDTMF) await call.dtmf.send("5");
    await new Promise((done) => setTimeout(done, init.duration ?? 4000));
    report.dtmf = lost ? "lost" : "ok";
    const stats = await call.getStats();
    report.jitter = Math.round(stats.inbound.jitter);
    report.loss = stats.inbound.lossRatio;
    report.mos = stats.mos;
    if (stats.inbound.packets === 0) worse("blocked", "no-inbound-media", "No sound comes from the gateway.");
    else if ((stats.mos ?? 5) < 3.6) worse("degraded", "low-mos", "Speech will be hard to follow.");
    if (lost) worse("degraded", "dtmf-lost", "Digits do not come back.");
  } finally {
    await call.hangup();
  }
}

async function until(call: Call, is: () => boolean, within: number): Promise<void> {
  const deadline = Date.now() + within;
  while (!is()) {
    if (call.state === "ended" || Date.now() > deadline) throw new PhoneError("media/failed", call);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** The kinds of candidates that this browser finds. */
async function candidates(configuration: RTCConfiguration): Promise<Set<string>> {
  const pc = new RTCPeerConnection(configuration);
  const kinds = new Set<string>();
  try {
    const gathered = new Promise<void>((done) => {
      pc.onicecandidate = (ev) => (ev.candidate ? kinds.add(ev.candidate.type ?? "host") : done());
      setTimeout(done, 3000);
    });
    pc.addTransceiver("audio");
    await pc.setLocalDescription(await pc.createOffer());
    await gathered;
  } finally {
    pc.close();
  }
  return kinds;
}
