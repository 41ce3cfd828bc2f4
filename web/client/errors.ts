import { ERRORS, type ErrorCode } from "./codes.js";
import type { Call } from "./call.js";

/** What the gateway says of a refused request. */
export interface Refusal {
  code: string;
  message?: string;
  retryable?: boolean;
  docs?: string;
  retry_after_ms?: number;
  details?: unknown;
}

/** Every failure of the library. `code` is `area/name` and keeps its meaning. */
export class PhoneError extends Error {
  readonly code: ErrorCode | `${"auth" | "signal" | "media" | "call" | "protocol" | "server"}/${string}`;
  readonly retryable: boolean;
  readonly call: Call | null;
  readonly docs: string;
  /** When a retry may help, in ms. */
  readonly retryAfter: number | null;
  /** Facts for programs, such as the SIP status or the rule that refused. */
  readonly details: unknown;

  /** @internal */
  constructor(refusal: Refusal | ErrorCode, call: Call | null = null, cause?: unknown) {
    const given: Refusal = typeof refusal === "string" ? { code: refusal } : refusal;
    const known = ERRORS[given.code as ErrorCode] as { retryable: boolean; message: string } | undefined;
    super(given.message ?? known?.message ?? given.code, cause === undefined ? undefined : { cause });
    this.name = "PhoneError";
    this.code = given.code as ErrorCode;
    this.retryable = given.retryable ?? known?.retryable ?? false;
    this.call = call;
    this.docs = given.docs ?? `docs/errors.md#${given.code.replace("/", "")}`;
    this.retryAfter = given.retry_after_ms ?? null;
    this.details = given.details ?? null;
  }
}
