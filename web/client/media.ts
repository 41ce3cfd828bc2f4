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
