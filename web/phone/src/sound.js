// What the page does with sound beside the call itself: levels, key tones, the ring.

let context = null;

/** The one AudioContext, made at the first need (browsers want a click before it may sound). */
export function audio() {
  context ??= new AudioContext();
  if (context.state === "suspended") context.resume().catch(() => {});
  return context;
}

/** Listens to a stream without playing it. `close()` when the call is over. */
export class Ear {
  constructor(stream) {
    this.source = audio().createMediaStreamSource(stream);
    this.analyser = audio().createAnalyser();
    this.analyser.fftSize = 8192;
    this.analyser.smoothingTimeConstant = 0;
    this.source.connect(this.analyser);
    this.samples = new Float32Array(this.analyser.fftSize);
    this.bins = new Float32Array(this.analyser.frequencyBinCount);
  }

  /** 0 to 1 over 60 dB, of the last 40 ms: what a meter shows. */
  level() {
    const rms = this.rms(Math.round(audio().sampleRate * 0.04));
    return Math.min(1, Math.max(0, (20 * Math.log10(rms + 1e-9) + 60) / 60));
  }

  /** The strongest tone of the last 8192 samples in Hz, and the level in dB below full scale (a sine
   *  of full scale is 0). */
  measure() {
    const rms = this.rms(this.samples.length);
    this.analyser.getFloatFrequencyData(this.bins);
    let peak = 1;
    for (let bin = 2; bin < this.bins.length - 1; bin++) if (this.bins[bin] > this.bins[peak]) peak = bin;
    const [left, top, right] = [this.bins[peak - 1], this.bins[peak], this.bins[peak + 1]];
    // The top of a parabola through the three bins.
    const shift = Number.isFinite(left + top + right) && left + right !== 2 * top ? (left - right) / (2 * (left - 2 * top + right)) : 0;
    const hz = ((peak + shift) * audio().sampleRate) / this.analyser.fftSize;
    return { hz: rms > 1e-5 ? hz : null, dbfs: 20 * Math.log10(rms * Math.SQRT2 + 1e-9), rms };
  }

  close() {
    this.source.disconnect();
  }

  rms(count) {
    this.analyser.getFloatTimeDomainData(this.samples);
    let sum = 0;
    for (let at = this.samples.length - count; at < this.samples.length; at++) sum += this.samples[at] ** 2;
    return Math.sqrt(sum / count);
  }
}

/** For tests: how long a tone of the far side was not heard, also over a reload of the page. Where the
 *  machine has no sound card, Firefox has no running AudioContext: then any sound counts, by the
 *  energy that the peer connection reports. */
export class ToneWatch {
  constructor(hz, call) {
    this.hz = hz;
    this.longest = 0;
    this.samples = new Float32Array(1024);
    this.last = Number(sessionStorage.getItem("tone.last") ?? 0) || null;
    sessionStorage.removeItem("tone.last");
    this.missed = this.last !== null;
    addEventListener("pagehide", () => this.last && sessionStorage.setItem("tone.last", this.last));
    setInterval(() => (audio().state === "running" ? this.look(call()) : this.ask(call())), 10);
  }

  async ask(call) {
    const pc = call?.peerConnection;
    if (!pc || this.asking) return;
    this.asking = true;
    let report;
    (await pc.getStats()).forEach((r) => r.type === "inbound-rtp" && (report = r));
    this.asking = false;
    const now = [report?.totalAudioEnergy ?? 0, report?.totalSamplesDuration ?? 0];
    const was = this.pc === pc ? this.energy : now;
    [this.pc, this.energy] = [pc, now];
    const seconds = now[1] - was[1];
    if (seconds > 0 && Math.sqrt((now[0] - was[0]) / seconds) > 0.02) this.heard();
    else if (seconds > 0) this.missed = true;
  }

  look(call) {
    const track = call?.remoteStream.getAudioTracks()[0];
    if (!track) return;
    if (this.track !== track) {
      this.source?.disconnect();
      this.track = track;
      this.source = audio().createMediaStreamSource(new MediaStream([track]));
      this.analyser = audio().createAnalyser();
      this.analyser.fftSize = this.samples.length;
      this.source.connect(this.analyser);
    }
    this.analyser.getFloatTimeDomainData(this.samples);
    let [re, im] = [0, 0];
    this.samples.forEach((value, at) => {
      const angle = (2 * Math.PI * this.hz * at) / audio().sampleRate;
      re += value * Math.cos(angle);
      im += value * Math.sin(angle);
    });
    // -40 dB of full scale.
    if ((2 * Math.hypot(re, im)) / this.samples.length >= 0.01) this.heard();
    else this.missed = true;
  }

  heard() {
    const now = Date.now();
    // A look that came late heard nothing in between, and missed nothing.
    if (this.last && this.missed) this.longest = Math.max(this.longest, now - this.last);
    this.missed = false;
    this.last = now;
  }

  /** The longest so far; that which goes on among them, or only those that are `over`. */
  gap(over = false) {
    if (over) return this.longest;
    return Math.max(this.longest, this.last && this.missed ? Date.now() - this.last : 0);
  }
}

const ROWS = [697, 770, 852, 941];
const COLUMNS = [1209, 1336, 1477];
const KEYS = ["123", "456", "789", "*0#"];

/** Sounds a key to the user for as long as it is held; gives the way to stop it. */
export function keyTone(key) {
  const row = KEYS.findIndex((keys) => keys.includes(key));
  if (row < 0) return () => {};
  return sound([ROWS[row], COLUMNS[KEYS[row].indexOf(key)]], 0.035);
}

/** Rings until stopped, on the device of this id where the browser lets a page choose. */
export function ring(device = null) {
  if (device !== null) audio().setSinkId?.(device).catch(() => {});
  let stop = () => {};
  let beat = 0;
  const notes = [[660], [880], [660], [880], null, null, null, null, null, null];
  const timer = setInterval(() => {
    stop();
    const note = notes[beat++ % notes.length];
    stop = note ? sound(note, 0.06) : () => {};
  }, 220);
  return () => {
    clearInterval(timer);
    stop();
    if (device !== null) audio().setSinkId?.("").catch(() => {});
  };
}

function sound(frequencies, loudness) {
  const out = audio();
  const gain = out.createGain();
  gain.gain.setValueAtTime(0, out.currentTime);
  gain.gain.linearRampToValueAtTime(loudness, out.currentTime + 0.006);
  gain.connect(out.destination);
  const voices = frequencies.map((hz) => {
    const voice = out.createOscillator();
    voice.frequency.value = hz;
    voice.connect(gain);
    voice.start();
    return voice;
  });
  return () => {
    gain.gain.setTargetAtTime(0, out.currentTime, 0.012);
    for (const voice of voices) voice.stop(out.currentTime + 0.1);
  };
}
