import type { Body } from "./wire.js";

export interface LegStats {
  packets: number;
  lost: number;
  lossRatio: number;
  /** In ms. */
  jitter: number;
  /** In bit/s. */
  bitrate: number;
  concealedRatio: number | null;
}

export interface CallStats {
  timestamp: number;
  codec: string;
  /** In ms. */
  rtt: number | null;
  mos: number | null;
  inbound: LegStats;
  outbound: LegStats;
  /** As the gateway sees the telephone side. */
  trunk: { codec: string; inbound: LegStats; outbound: LegStats } | null;
  /** 0 to 1. */
  localLevel: number;
  remoteLevel: number;
  candidatePair: { local: RTCIceCandidateType; protocol: string } | null;
}

export type WarningName = "high-rtt" | "high-jitter" | "high-loss" | "low-mos" | "no-inbound-media" | "no-outbound-media"
  | "silent-microphone" | "silent-remote" | "trunk-high-loss" | "ice-disconnected" | "token-expiring";

interface Before { at: number; inBytes: number; outBytes: number; inPackets: number; outPackets: number; lost: number; concealed: number; samples: number }

/** Reads a peer connection's statistics and turns counters into rates. @internal */
export class Meter {
  private before: Before | null = null;
  /** Whether this browser tells how loud the microphone is; Firefox does not. */
  hearsMicrophone = false;

  async read(pc: RTCPeerConnection | null, trunk: CallStats["trunk"]): Promise<CallStats> {
    const stats: CallStats = {
      timestamp: Date.now(), codec: "", rtt: null, mos: null, inbound: none(), outbound: none(), trunk,
      localLevel: 0, remoteLevel: 0, candidatePair: null,
    };
    if (!pc || pc.connectionState === "closed") return stats;
    const reports = new Map<string, Body>();
    (await pc.getStats()).forEach((report: Body, id: string) => reports.set(id, report));
    const of = (type: string, fits: (r: Body) => boolean = () => true) => [...reports.values()].find((r) => r["type"] === type && fits(r));
    const audio = (r: Body) => (r["kind"] ?? r["mediaType"]) === "audio";
    const inbound = of("inbound-rtp", audio) ?? {};
    const outbound = of("outbound-rtp", audio) ?? {};
    const remote = of("remote-inbound-rtp", audio) ?? {};
    const source = of("media-source", audio) ?? {};
    const transport = of("transport");
    const pair = reports.get(transport?.["selectedCandidatePairId"]) ?? of("candidate-pair", (r) => r["nominated"] && r["state"] === "succeeded") ?? {};
    const local = reports.get(pair["localCandidateId"]);
    const codec = reports.get(inbound["codecId"] ?? outbound["codecId"]);
    stats.codec = String(codec?.["mimeType"] ?? "").replace(/^audio\//, "");
    const rtt = pair["currentRoundTripTime"] ?? remote["roundTripTime"];
    stats.rtt = typeof rtt === "number" ? Math.round(rtt * 1000) : null;
    if (local) stats.candidatePair = { local: local["candidateType"], protocol: local["protocol"] };
    this.hearsMicrophone = typeof source["audioLevel"] === "number";
    stats.localLevel = num(source["audioLevel"]);
    stats.remoteLevel = Number(inbound["audioLevel"] ?? 0);

    const now: Before = {
      at: performance.now(), inBytes: num(inbound["bytesReceived"]), outBytes: num(outbound["bytesSent"]),
      inPackets: num(inbound["packetsReceived"]), outPackets: num(outbound["packetsSent"]), lost: num(inbound["packetsLost"]),
      concealed: num(inbound["concealedSamples"]), samples: num(inbound["totalSamplesReceived"]),
    };
    const was = this.before ?? { ...now, at: now.at - 1000, inBytes: 0, outBytes: 0, inPackets: 0, outPackets: 0, lost: 0, concealed: 0, samples: 0 };
    this.before = now;
    const seconds = Math.max(0.001, (now.at - was.at) / 1000);
    const received = Math.max(0, now.inPackets - was.inPackets);
    const lost = Math.max(0, now.lost - was.lost);
    const samples = now.samples - was.samples;
    stats.inbound = {
      packets: now.inPackets, lost: now.lost, lossRatio: ratio(lost, lost + received), jitter: num(inbound["jitter"]) * 1000,
      bitrate: Math.max(0, now.inBytes - was.inBytes) * 8 / seconds,
      concealedRatio: samples > 0 ? ratio(now.concealed - was.concealed, samples) : null,
    };
    stats.outbound = {
      packets: now.outPackets, lost: num(remote["packetsLost"]), lossRatio: num(remote["fractionLost"]), jitter: num(remote["jitter"]) * 1000,
      bitrate: Math.max(0, now.outBytes - was.outBytes) * 8 / seconds, concealedRatio: null,
    };
    stats.mos = received > 0 ? mos(stats.rtt ?? 0, stats.inbound.jitter, stats.inbound.lossRatio) : null;
    return stats;
  }
}

/** ITU-T G.107, simplified: delay from round trip and jitter, loss with concealment. */
function mos(rtt: number, jitter: number, loss: number): number {
  const delay = rtt / 2 + jitter * 2 + 20;
  const late = delay < 177.3 ? 0 : 0.11 * (delay - 177.3);
  const r = Math.max(0, 93.2 - 0.024 * delay - late - 95 * loss / (loss + 0.1));
  const value = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6;
  return Math.round(Math.min(4.5, Math.max(1, value)) * 100) / 100;
}

/** Raised when a value is bad for three looks, cleared when it is good for five. @internal */
export class Watch {
  private counts = new Map<WarningName, number>();
  private raised = new Set<WarningName>();

  constructor(private tell: (name: WarningName, active: boolean, value: number, threshold: number) => void) {}

  look(stats: CallStats, now: { muted: boolean; deaf: boolean; held: boolean; up: boolean; out: number; in: number }): void {
    this.see("high-rtt", stats.rtt ?? 0, 400, (v, t) => v > t);
    this.see("high-jitter", stats.inbound.jitter, 30, (v, t) => v > t);
    this.see("high-loss", stats.inbound.lossRatio, 0.03, (v, t) => v > t);
    this.see("low-mos", stats.mos ?? 5, 3, (v, t) => v < t);
    this.see("no-inbound-media", now.in, 1, (v, t) => now.up && !now.held && v < t);
    this.see("no-outbound-media", now.out, 1, (v, t) => now.up && !now.held && v < t);
    this.see("silent-microphone", stats.localLevel, 0.0005, (v, t) => now.up && !now.muted && !now.deaf && v < t, 10);
    this.see("silent-remote", stats.remoteLevel, 0.00005, (v, t) => now.up && !now.held && now.in > 0 && v < t, 30);
  }

  set(name: WarningName, active: boolean, value: number, threshold: number): void {
    if (active === this.raised.has(name)) return;
    if (active) this.raised.add(name);
    else this.raised.delete(name);
    this.tell(name, active, value, threshold);
  }

  private see(name: WarningName, value: number, threshold: number, bad: (value: number, threshold: number) => boolean, after = 3): void {
    const is = bad(value, threshold);
    const count = this.counts.get(name) ?? 0;
    const next = is ? Math.max(0, count) + 1 : Math.min(0, count) - 1;
    this.counts.set(name, next);
    if (next >= after) this.set(name, true, value, threshold);
    else if (next <= -5) this.set(name, false, value, threshold);
  }
}

/** The telephone side as the gateway reports it, every few seconds. @internal */
export class TrunkMeter {
  private before: { at: number; in: number; out: number } | null = null;

  read(codec: string, report: Body): NonNullable<CallStats["trunk"]> {
    const now = { at: performance.now(), in: num(report["octets"]), out: num(report["sent_octets"]) };
    const was = this.before ?? now;
    this.before = now;
    const rate = (octets: number) => (now.at > was.at ? Math.max(0, octets) * 8000 / (now.at - was.at) : 0);
    return {
      codec,
      inbound: {
        packets: num(report["packets"]), lost: num(report["lost"]), lossRatio: num(report["loss_percent"]) / 100,
        jitter: num(report["jitter_ms"]), bitrate: rate(now.in - was.in), concealedRatio: num(report["concealed_percent"]) / 100,
      },
      outbound: { ...none(), packets: num(report["sent_packets"]), lossRatio: num(report["remote_loss_percent"]) / 100, bitrate: rate(now.out - was.out) },
    };
  }
}

function none(): LegStats {
  return { packets: 0, lost: 0, lossRatio: 0, jitter: 0, bitrate: 0, concealedRatio: null };
}

const num = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? value : 0);
const ratio = (part: number, whole: number) => (whole > 0 ? part / whole : 0);
