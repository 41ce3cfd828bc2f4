// Rendered from src/signaling/errors.rs by tests/error_registry.rs.

/** Every error code: whether a retry may help, and one sentence for people. */
export const ERRORS = {
  "auth/required": { retryable: false, message: "The first message must be `hello` with a token, within 5 seconds." },
  "auth/invalid": { retryable: false, message: "The token is not one of this gateway's." },
  "auth/expired": { retryable: true, message: "The token has expired; get a new one." },
  "auth/forbidden": { retryable: false, message: "The token does not allow this." },
  "auth/origin": { retryable: false, message: "Pages of this origin may not use this gateway." },
  "protocol/bad-message": { retryable: false, message: "The message is not as the protocol wants it." },
  "protocol/unknown-type": { retryable: false, message: "This gateway does not know a message of this type." },
  "protocol/too-many-messages": { retryable: true, message: "More than 50 messages a second were sent." },
  "signal/unknown-call": { retryable: false, message: "This session has no call of that id." },
  "signal/call-id-taken": { retryable: false, message: "The call id was already used for another call." },
  "signal/wrong-state": { retryable: false, message: "The call is not in a state in which this can be done." },
  "signal/stale-session": { retryable: false, message: "The session to resume is no longer kept." },
  "signal/unreachable": { retryable: true, message: "The gateway cannot be reached." },
  "signal/connection-lost": { retryable: true, message: "The connection to the gateway was lost." },
  "signal/timeout": { retryable: true, message: "The gateway did not answer in time." },
  "signal/closed": { retryable: false, message: "The phone was closed." },
  "call/invalid-number": { retryable: false, message: "This is not a complete number." },
  "call/unallocated": { retryable: false, message: "This number does not exist." },
  "call/blocked-by-dialplan": { retryable: false, message: "The dial plan does not allow this call." },
  "call/caller-id-not-allowed": { retryable: false, message: "This caller number is not yours to use." },
  "call/limit-reached": { retryable: true, message: "A limit on calls is reached." },
  "call/unreachable": { retryable: true, message: "The called party cannot be reached at the moment." },
  "call/trunk-failed": { retryable: true, message: "The telephone network did not take the call." },
  "call/ended": { retryable: false, message: "The call has ended." },
  "call/aborted": { retryable: false, message: "The call was given up before the gateway took it." },
  "media/bad-sdp": { retryable: false, message: "The session description cannot be used." },
  "media/no-common-codec": { retryable: false, message: "The two sides have no codec in common." },
  "media/restart-refused": { retryable: false, message: "The connection for sound cannot be renewed now." },
  "media/failed": { retryable: true, message: "No connection for sound could be made." },
  "media/permission-denied": { retryable: false, message: "The microphone is not allowed for this page." },
  "media/no-microphone": { retryable: false, message: "No microphone was found." },
  "media/microphone-failed": { retryable: true, message: "The microphone could not be opened; another program may hold it." },
  "media/unsupported": { retryable: false, message: "This browser cannot make calls from this page." },
  "server/draining": { retryable: true, message: "The gateway is being stopped and takes no new calls." },
  "server/overloaded": { retryable: true, message: "The gateway is busy; try again in a moment." },
  "server/internal": { retryable: true, message: "The gateway had a fault." },
} as const;

/** A stable error code, `area/name`. */
export type ErrorCode = keyof typeof ERRORS;
