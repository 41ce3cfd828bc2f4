import { PhoneError } from "./errors.js";
import type { Body } from "./wire.js";

/** What a peer needs of its call. @internal */
export interface PeerLine {
  request(type: string, body: Body): Promise<Body>;
  configuration(): RTCConfiguration;
  log(level: "debug" | "info" | "warn" | "error", msg: string, data?: unknown): void;
  /** Whether the gateway can be asked now. */
  online(): boolean;
  /** An event that came by the data channel. */
  channel(body: Body): void;
  heard(track: MediaStreamTrack): void;
  /** Sound flows again, or has stopped to. */
  flowing(up: boolean): void;
  /** It will not come back. */
  gaveUp(error: PhoneError): void;
}

/** The sound of a call: one RTCPeerConnection at a time, renewed or replaced when it is lost. @internal */
export class Peer {
  pc: RTCPeerConnection | null = null;
  track: MediaStreamTrack | null = null;
  private line: PeerLine;
  /** Candidates of the page that wait until the gateway knows the call. */
  private held: (RTCIceCandidateInit | null)[] | null = [];
  /** Candidates of the gateway that came before its description. */
  private early: (RTCIceCandidateInit | null)[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private lostAt: number | null = null;
  private renewing = false;
  private wasUp = false;
  private over = false;

  constructor(line: PeerLine) {
    this.line = line;
  }

  /** A fresh connection; one that was there is closed. */
  open(track: MediaStreamTrack | null): RTCPeerConnection {
    this.pc?.close();
    this.track = track;
    const pc = new RTCPeerConnection(this.line.configuration());
    this.pc = pc;
    pc.onicecandidate = (ev) => this.pc === pc && this.trickle(ev.candidate);
    pc.ontrack = (ev) => this.line.heard(ev.track);
    pc.onconnectionstatechange = () => this.pc === pc && this.changed(pc.connectionState);
    // The earliest word of a lost path, seconds before connectionState says so.
    pc.oniceconnectionstatechange = () => {
      if (this.pc === pc && pc.iceConnectionState === "disconnected") this.changed("disconnected");
    };
    return pc;
  }

  /** Our offer with the track in it. */
  async offer(): Promise<string> {
    const pc = this.pc!;
    // The call's events come here, too, so that a lost WebSocket loses none.
    pc.createDataChannel("crosspoint").onmessage = (ev) => {
      try {
        this.line.channel(JSON.parse(ev.data));
      } catch (error) {
        this.line.log("warn", "not an event", error);
      }
    };
    pc.addTransceiver(this.track ?? "audio", { direction: "sendrecv" });
    await pc.setLocalDescription(await pc.createOffer());
    return pc.localDescription!.sdp;
  }

  async accept(sdp: string): Promise<void> {
    await this.pc!.setRemoteDescription({ type: "answer", sdp });
    this.takeEarly();
  }

  /** Brings the connection up while the call still rings; the track comes with the answer. */
  async warm(offer: string): Promise<void> {
    this.open(null);
    const sdp = await this.answer(offer);
    await this.line.request("call.media", { mode: "warm", sdp });
    this.release();
  }

  /** Our answer to an offer of the gateway. */
  async answer(sdp: string): Promise<string> {
    const pc = this.pc!;
    await pc.setRemoteDescription({ type: "offer", sdp });
    this.takeEarly();
    const transceiver = pc.getTransceivers()[0];
    if (!transceiver) throw new PhoneError("media/bad-sdp");
    transceiver.direction = "sendrecv";
    await transceiver.sender.replaceTrack(this.track);
    await pc.setLocalDescription(await pc.createAnswer());
    return pc.localDescription!.sdp;
  }

  async replaceTrack(track: MediaStreamTrack | null): Promise<void> {
    this.track = track;
    await this.pc?.getSenders()[0]?.replaceTrack(track);
  }

  /** The gateway knows the call now. */
  release(): void {
    const held = this.held ?? [];
    this.held = null;
    for (const candidate of held) this.tell(candidate);
  }

  candidate(candidate: RTCIceCandidateInit | null): void {
    this.early.push(candidate);
    if (this.pc?.remoteDescription) this.takeEarly();
  }

  /** The gateway wants to renew the connection. Where the page wants so, too, its own offer counts. */
  async renewal(sdp: string): Promise<void> {
    const pc = this.pc;
    if (!pc || this.renewing || pc.signalingState !== "stable") return;
    try {
      await pc.setRemoteDescription({ type: "offer", sdp });
      await pc.setLocalDescription(await pc.createAnswer());
      await this.line.request("call.answer", { sdp: pc.localDescription!.sdp });
    } catch (error) {
      this.line.log("warn", "the gateway's renewal failed", error);
    }
  }

  /** The gateway can be asked again. `moved`: the network is another one. */
  back(moved: boolean): void {
    if (!this.wasUp || this.over) return;
    if (moved || this.pc?.connectionState !== "connected" || this.lostAt !== null) {
      if (this.lostAt === null) this.lost();
      else void this.renew();
    }
  }

  /** Puts a new connection under a call that goes on (the page was loaded again). */
  async replace(track: MediaStreamTrack | null): Promise<void> {
    this.open(track);
    this.held = [];
    const sdp = await this.offer();
    const reply = await this.line.request("call.media", { mode: "new-peer", sdp });
    this.release();
    await this.accept(reply["sdp"]);
    this.wasUp = true;
    this.lostAt ??= Date.now();
    this.again();
  }

  close(): void {
    this.over = true;
    clearTimeout(this.timer);
    this.pc?.close();
  }

  private changed(state: RTCPeerConnectionState): void {
    this.line.log("debug", "peer connection " + state);
    if (state === "connected") {
      clearTimeout(this.timer);
      this.wasUp = true;
      this.lostAt = null;
      this.line.flowing(true);
    } else if (state === "failed" && !this.wasUp) {
      this.line.gaveUp(new PhoneError("media/failed"));
    } else if (state === "failed" || state === "disconnected") {
      this.lost();
    }
  }

  private lost(): void {
    if (this.lostAt !== null || this.over || !this.wasUp) return;
    this.lostAt = Date.now();
    this.line.flowing(false);
    void this.renew();
  }

  private again(): void {
    clearTimeout(this.timer);
    if (this.lostAt === null || this.over) return;
    this.timer = setTimeout(() => void this.renew(), RENEW_EVERY);
  }

  /** ICE restart; where the gateway does not know this connection, another one. */
  private async renew(): Promise<void> {
    const pc = this.pc;
    if (this.renewing || this.over || this.lostAt === null || !pc) return;
    if (Date.now() - this.lostAt > GIVE_UP) return this.line.gaveUp(new PhoneError("media/failed"));
    if (!this.line.online()) return this.again();
    this.renewing = true;
    try {
      const offer = await pc.createOffer({ iceRestart: true });
      this.held = [];
      await pc.setLocalDescription(offer);
      const reply = await this.line.request("call.media", { mode: "restart", sdp: pc.localDescription!.sdp });
      this.release();
      await pc.setRemoteDescription({ type: "answer", sdp: reply["sdp"] });
      this.takeEarly();
    } catch (error) {
      this.line.log("warn", "the connection was not renewed", error);
      if (pc.signalingState === "have-local-offer") await pc.setLocalDescription({ type: "rollback" }).catch(() => {});
      if (error instanceof PhoneError && error.code === "media/restart-refused" && !this.over) {
        await this.replace(this.track).catch((error) => this.line.log("warn", "the connection was not replaced", error));
      }
    } finally {
      this.renewing = false;
      // An early end of the outage came before the reply: then there is nothing to do again.
      if (this.pc?.connectionState === "connected" && this.pc.iceConnectionState !== "disconnected") this.settled();
      this.again();
    }
  }

  /** A restart that never broke the path changes no state: the path itself says that it is well. */
  private settled(): void {
    const pc = this.pc;
    setTimeout(() => {
      if (this.pc === pc && this.lostAt !== null && pc?.connectionState === "connected") this.changed("connected");
    }, 500);
  }

  private trickle(candidate: RTCIceCandidate | null): void {
    const json = candidate && candidate.candidate !== "" ? candidate.toJSON() : null;
    if (this.held) this.held.push(json);
    else this.tell(json);
  }

  private tell(candidate: RTCIceCandidateInit | null): void {
    if (this.over) return;
    this.line.request("ice", { candidate }).catch((error) => this.line.log("debug", "a candidate was not taken", error));
  }

  private takeEarly(): void {
    for (const candidate of this.early.splice(0)) {
      this.pc?.addIceCandidate(candidate ?? undefined).catch((error) => this.line.log("warn", "a candidate of the gateway was not taken", error));
    }
  }
}

const RENEW_EVERY = 4000;
/** As long as the gateway keeps a call without its sound, and a little more: its word comes first. */
const GIVE_UP = 45_000;
