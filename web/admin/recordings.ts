// Recordings: the list, and one of them with its waveform, the caller above and the callee below.
import { html, nothing } from "lit";
import { go, Screen } from "./element";
import { ListScreen } from "./list";
import { ask, get, type Recording } from "./api";
import { day, length } from "./words";

class RecordingsScreen extends ListScreen<Recording> {
  protected override readonly list = { api: "/v1/recordings", at: "/admin/recordings", title: "Recordings" };
  protected override readonly columns = ["Began", "Call", "Length", "Format", "On the disk"];

  protected override empty(): unknown {
    return html`No call was recorded. A rule of the dial plan says which are, by <code>record</code>.`;
  }

  protected override row(own: Recording, chosen: string): unknown {
    return html`
      <tr class=${chosen} data-recording=${own.id}>
        <td><a href="/admin/recordings/${own.id}">${day(own.started_at)}</a></td>
        <td><a href="/admin/calls/${own.call}"><code>${own.call}</code></a></td>
        <td class="number">${own.ended_at ? length(own.duration_ms) : "on"}</td><td>${own.format}</td><td>${own.encrypted ? "encrypted" : "in the clear"}</td>
      </tr>`;
  }
}
customElements.define("cp-recordings", RecordingsScreen);

/** The least and the greatest sample of each column. */
export function peaks(samples: Float32Array, columns: number): Float32Array {
  const out = new Float32Array(columns * 2);
  for (let column = 0; column < columns; column++) {
    const end = Math.floor((column + 1) * samples.length / columns);
    let [least, most] = [0, 0];
    for (let at = Math.floor(column * samples.length / columns); at < end; at++) {
      const value = samples[at]!;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    out[column * 2] = least;
    out[column * 2 + 1] = most;
  }
  return out;
}

class RecordingScreen extends Screen {
  static override properties = { recording: {}, view: { state: true }, source: { state: true }, drawn: { state: true }, sure: { state: true }, fault: { state: true } };
  declare recording: string;
  declare view: Recording | undefined;
  declare source: string;
  declare drawn: boolean;
  declare sure: boolean;
  declare fault: string;
  private sides: Float32Array[] = [];

  constructor() {
    super();
    this.recording = "";
    this.source = "";
    this.drawn = false;
    this.sure = false;
    this.fault = "";
  }

  protected override willUpdate(changed: Map<string, unknown>): void {
    if (changed.has("recording")) void this.read();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.listen(window, "resize", () => this.draw());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    URL.revokeObjectURL(this.source);
  }

  private async read(): Promise<void> {
    try {
      this.view = await get<Recording>(`/v1/recordings/${this.recording}`);
      const answer = await ask(`/v1/recordings/${this.recording}/audio`);
      const bytes = await answer.arrayBuffer();
      URL.revokeObjectURL(this.source);
      this.source = URL.createObjectURL(new Blob([bytes], { type: answer.headers.get("content-type") ?? "audio/wav" }));
      await this.updateComplete;
      // A context that only decodes needs no gesture of the user's.
      const sound = await new OfflineAudioContext(1, 1, 16_000).decodeAudioData(bytes);
      const columns = 1_600;
      this.sides = Array.from({ length: Math.min(2, sound.numberOfChannels) }, (_, n) => peaks(sound.getChannelData(n), columns));
      this.draw();
      this.drawn = true;
    } catch (error) {
      this.fault = (error as Error).message;
    }
  }

  private draw(): void {
    const canvas = this.querySelector("canvas");
    const pen = canvas?.getContext("2d");
    if (!canvas || !pen || this.sides.length === 0) return;
    const scale = devicePixelRatio;
    canvas.width = Math.round(canvas.clientWidth * scale);
    canvas.height = Math.round(canvas.clientHeight * scale);
    const style = getComputedStyle(this);
    const lane = canvas.height / this.sides.length;
    this.sides.forEach((side, n) => {
      const middle = lane * (n + 0.5);
      pen.fillStyle = style.getPropertyValue(n === 0 ? "--brand" : "--go");
      const columns = side.length / 2;
      const width = canvas.width / columns;
      for (let column = 0; column < columns; column++) {
        const [least, most] = [side[column * 2]!, side[column * 2 + 1]!];
        const top = middle - most * lane * 0.48;
        pen.fillRect(column * width, top, Math.max(width, 0.7), Math.max(1, (most - least) * lane * 0.48));
      }
    });
    const audio = this.querySelector("audio");
    if (audio && Number.isFinite(audio.duration) && audio.currentTime > 0) {
      pen.fillStyle = style.getPropertyValue("--stop");
      pen.fillRect(audio.currentTime / audio.duration * canvas.width - scale, 0, 2 * scale, canvas.height);
    }
  }

  private seek(event: MouseEvent): void {
    const audio = this.querySelector("audio");
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    if (audio && Number.isFinite(audio.duration)) audio.currentTime = (event.clientX - box.left) / box.width * audio.duration;
  }

  private async discard(): Promise<void> {
    if (!this.sure) {
      this.sure = true;
      return;
    }
    try {
      await ask(`/v1/recordings/${this.recording}`, { method: "DELETE" });
      go("/admin/recordings");
    } catch (error) {
      this.fault = (error as Error).message;
    }
  }

  override key(key: string): boolean {
    const audio = this.querySelector("audio");
    if (!audio || ![" ", "p"].includes(key)) return false;
    void (audio.paused ? audio.play() : audio.pause());
    return true;
  }

  protected override render(): unknown {
    const own = this.view;
    const fault = this.fault ? html`<p class="fault" role="alert">${this.fault}</p>` : nothing;
    if (!own) return html`<header class="head"><h1>Recording</h1></header>${fault}`;
    return html`
      <header class="head">
        <h1>Recording <small>${day(own.started_at)}, ${length(own.duration_ms)}, <a href="/admin/calls/${own.call}">its call</a></small></h1>
        <div class="actions">
          <a class="button" href="/v1/recordings/${own.id}/audio" download="${own.id}.${own.format}">Save</a>
          <button class=${this.sure ? "stop" : ""} @click=${() => this.discard()}>${this.sure ? "Delete it for good" : "Delete"}</button>
        </div>
      </header>
      ${fault}
      ${own.error ? html`<p class="fault" role="status">It is not whole: ${own.error}</p>` : nothing}
      <section aria-label="Sound">
        <p class="hint">Above the caller, below the callee. A click goes there; <kbd>p</kbd> plays and pauses.</p>
        <canvas class="wave" role="img" aria-label="Waveform of ${length(own.duration_ms)}" data-drawn=${this.drawn ? "yes" : "no"} @click=${(event: MouseEvent) => this.seek(event)}></canvas>
        <audio controls src=${this.source || nothing} aria-label="The recording" @timeupdate=${() => this.draw()} @seeked=${() => this.draw()}></audio>
      </section>`;
  }
}
customElements.define("cp-recording", RecordingScreen);
