import { PhoneError } from "./errors.js";

export interface MediaInit {
  /** The sound to send; the microphone when absent. */
  track?: MediaStreamTrack;
  /** Where the far side is heard; an element of the library's own when absent. */
  sink?: HTMLAudioElement | "none";
  muted?: boolean;
}

/** Opens the microphone, or says in the registry's codes why not. */
export async function microphone(constraints: MediaTrackConstraints | undefined): Promise<MediaStreamTrack> {
  if (!navigator.mediaDevices?.getUserMedia) throw new PhoneError("media/unsupported");
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: constraints ?? true });
    const track = stream.getAudioTracks()[0];
    if (!track) throw new PhoneError("media/no-microphone");
    return track;
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError" || name === "SecurityError") throw new PhoneError("media/permission-denied", null, error);
    if (name === "NotFoundError" || name === "OverconstrainedError") throw new PhoneError("media/no-microphone", null, error);
    throw error instanceof PhoneError ? error : new PhoneError("media/microphone-failed", null, error);
  }
}

/** Whether it would open without a question to the user; null where the browser does not say. @internal */
export async function microphonePermission(): Promise<PermissionStatus | null> {
  try {
    return await navigator.permissions.query({ name: "microphone" as PermissionName });
  } catch {
    return null;
  }
}

/** Where the far side is heard. @internal */
export class Sink {
  private element: HTMLAudioElement | null = null;
  private own = false;
  private silent = false;
  private retry: (() => void) | null = null;

  use(sink: MediaInit["sink"]): void {
    this.silent = sink === "none";
    this.element = sink && sink !== "none" ? sink : null;
  }

  play(stream: MediaStream, output: string | null, failed: (error: unknown) => void): void {
    if (this.silent) return;
    if (!this.element) {
      this.element = new Audio();
      this.own = true;
    }
    const element = this.element;
    element.autoplay = true;
    // Safari on a phone opens a player of its own without it.
    element.setAttribute("playsinline", "");
    if (element.srcObject !== stream) element.srcObject = stream;
    if (output !== null) void this.output(output).catch(failed);
    element.play().catch((error) => {
      failed(error);
      this.afterGesture(() => element.play().catch(failed));
    });
  }

  /** Rejects with NotSupportedError where a page cannot choose. */
  async output(deviceId: string | null): Promise<void> {
    const element = this.element as (HTMLAudioElement & { setSinkId?(id: string): Promise<void> }) | null;
    await element?.setSinkId?.(deviceId ?? "");
  }

  close(): void {
    this.forget();
    if (this.element && this.own) this.element.srcObject = null;
  }

  /** Browsers play no sound before the user has touched the page: then it is tried again. */
  private afterGesture(again: () => void): void {
    this.forget();
    this.retry = () => {
      this.forget();
      again();
    };
    for (const name of GESTURES) document.addEventListener(name, this.retry, { capture: true });
  }

  private forget(): void {
    for (const name of GESTURES) if (this.retry) document.removeEventListener(name, this.retry, { capture: true });
    this.retry = null;
  }
}

const GESTURES = ["pointerup", "keydown", "touchend"];
