import { Target } from "./events.js";

/** Which microphone, loudspeaker and ringer are used. `devicechange` when the list is another one. */
export class AudioDevices extends Target<{ devicechange: Event }> {
  private known: readonly MediaDeviceInfo[] = [];
  private input: string | null = null;
  private output: string | null = null;
  private ringer: string | null = null;
  /** @internal */
  _changed: (what: "input" | "output") => Promise<void> = async () => {};

  /** @internal */
  constructor() {
    super();
    const media = navigator.mediaDevices;
    media?.addEventListener?.("devicechange", () => void this._refresh());
    if (media) void this._refresh();
  }

  get inputs(): readonly MediaDeviceInfo[] { return this.known.filter((device) => device.kind === "audioinput"); }
  get outputs(): readonly MediaDeviceInfo[] { return this.known.filter((device) => device.kind === "audiooutput"); }
  /** The device that was chosen; null is the system's own choice. */
  get inputId(): string | null { return this.input; }
  get outputId(): string | null { return this.output; }
  get ringOutputId(): string | null { return this.ringer; }

  /** Takes another microphone, in calls that are up, too; null is the system's own choice. */
  async setInput(deviceId: string | null): Promise<void> {
    const before = this.input;
    this.input = deviceId;
    try {
      await this._changed("input");
    } catch (error) {
      this.input = before;
      throw error;
    }
  }

  /** Rejects with NotSupportedError where a page cannot choose (Safari, older Firefox). */
  async setOutput(deviceId: string): Promise<void> {
    this.selectable();
    const before = this.output;
    this.output = deviceId;
    try {
      await this._changed("output");
    } catch (error) {
      this.output = before;
      throw error;
    }
  }

  /** For the page's own ring tone: the library plays none. */
  async setRingOutput(deviceId: string): Promise<void> {
    this.selectable();
    this.ringer = deviceId;
  }

  /** Names are empty until the user has allowed the microphone: then the list is read again. @internal */
  async _refresh(): Promise<void> {
    try {
      const found = await navigator.mediaDevices.enumerateDevices();
      const list = (devices: readonly MediaDeviceInfo[]) => JSON.stringify(devices);
      if (list(found) === list(this.known)) return;
      this.known = found;
      this._fire(new Event("devicechange"));
    } catch {
      // Not allowed here: the list stays as it is.
    }
  }

  private selectable(): void {
    if (typeof HTMLAudioElement === "undefined" || !("setSinkId" in HTMLAudioElement.prototype)) {
      throw new DOMException("this browser plays to the system's output", "NotSupportedError");
    }
  }
}
