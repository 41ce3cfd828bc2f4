// Recordings: the list, and one of them with its waveform, the caller above and the callee below.
import { html, nothing } from "lit";
import { go, Screen } from "./element";
import { ask, get, type List, type Recording } from "./api";
import { day, length } from "./words";

class RecordingsScreen extends Screen {
  static override properties = { items: { state: true }, next: { state: true }, chosen: { state: true }, fault: { state: true } };
  declare items: Recording[] | undefined;
  declare next: string | null;
  declare chosen: number;
  declare fault: string;

  constructor() {
    super();
    this.next = null;
    this.chosen = 0;
    this.fault = "";
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.read(null);
  }

  private async read(cursor: string | null): Promise<void> {
    try {
      const page = await get<List<Recording>>(`/v1/recordings?limit=100${cursor ? `&cursor=${cursor}` : ""}`);
      this.items = cursor ? [...this.items ?? [], ...page.items] : page.items;
      this.next = page.next;
      this.fault = "";
    } catch (error) {
      this.fault = (error as Error).message;
    }
  }

  override key(key: string): boolean {
    const items = this.items ?? [];
    if (key === "j" || key === "ArrowDown") this.chosen = Math.min(this.chosen + 1, items.length - 1);
    else if (key === "k" || key === "ArrowUp") this.chosen = Math.max(this.chosen - 1, 0);
    else if (key === "Enter" && items[this.chosen]) go(`/admin/recordings/${items[this.chosen]!.id}`);
    else return false;
    this.querySelectorAll("tbody tr")[this.chosen]?.scrollIntoView({ block: "nearest" });
    return true;
  }

  protected override render(): unknown {
    const items = this.items;
    return html`
      <header class="head"><h1>Recordings</h1></header>
      ${this.fault ? html`<p class="fault" role="alert">${this.fault}</p>` : nothing}
      ${items === undefined ? nothing : items.length === 0 ? html`<p class="empty">No call was recorded. A rule of the dial plan says which are, by <code>record</code>.</p>` : html`
      <table class="records">
        <thead><tr>${["Began", "Call", "Length", "Format", "On the disk"].map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
        <tbody>${items.map((own, n) => html`
          <tr class=${n === this.chosen ? "chosen" : ""} data-recording=${own.id}>
            <td><a href="/admin/recordings/${own.id}">${day(own.started_at)}</a></td>
            <td><a href="/admin/calls/${own.call}"><code>${own.call}</code></a></td>
            <td class="number">${own.ended_at ? length(own.duration_ms) : "on"}</td><td>${own.format}</td><td>${own.encrypted ? "encrypted" : "in the clear"}</td>
          </tr>`)}</tbody>
      </table>
      ${this.next ? html`<button @click=${() => this.read(this.next)}>More</button>` : nothing}`}`;
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
