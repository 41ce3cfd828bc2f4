// The gateway's REST API as the operator's pages use it.

/** A refused request (RFC 9457). */
export class Problem extends Error {
  constructor(readonly status: number, readonly code: string, words: string, readonly body: Record<string, unknown> = {}) {
    super(words);
  }
}

export interface Party { user?: string; number?: string; uri: string; display?: string }
export interface LegQuality {
  mos: number; loss_percent: number; jitter_ms: number; rating: number; concealed_percent: number;
  buffer_ms: number; round_trip_ms?: number; one_way_delay_ms: number;
}
export interface Quality { caller?: LegQuality; callee?: LegQuality }
export interface CallRecord {
  id: string; direction: string; from: Party; to: Party; trunk: string | null; rule: string | null;
  started_at: string; answered_at: string | null; ended_at: string | null; duration_ms: number;
  cause: string | null; sip: { status: number; reason: string } | null; ended_by: string | null;
  attempts: number; digits: number; codec: string | null; quality: Quality; trace?: string[]; state?: string;
  recording?: { id: string; lost_ms: number; failed: boolean };
}
export interface TimelineRow { at_ms: number; type: string; [more: string]: unknown }
export interface QualitySample extends Quality { at_ms: number }
export interface SipMessage { at: string; at_ms: number; sent: boolean; transport: string; local: string; remote: string; summary: string; text: string }
export interface Trunk {
  id: string; state: "up" | "down" | "unknown"; calls: number; channels: number;
  registration?: { state: string; expires_in_ms?: number; reason?: string };
}
export interface Recording {
  id: string; call: string; format: string; encrypted: boolean; started_at: string; ended_at: string | null;
  duration_ms: number; lost_ms: number; error?: string;
}
export interface IvrRunSummary {
  id: string; received_at: string; passed: number; failed: number; call_ms: number; files: string[]; failure: string | null;
}
export interface IvrCase {
  file: string; name: string; variant: string | null; via: string; target: string; outcome: "passed" | "failed" | "error";
  message: string | null; call_ms: number; retries: number;
  steps: { name: string; line: number; start_ms: number; end_ms: number; failure: string | null; notes: string[] }[];
  prompts: { file: string; start_ms: number; end_ms: number; match: number; window: number; expected: boolean }[];
  messages: { at_ms: number; sent: boolean; text: string }[];
}
export interface IvrRun extends IvrRunSummary { cases: IvrCase[] }
export interface Finding { file: string; line: number; column: number; severity: "error" | "warning"; message: string }
export interface Plan { file: string | null; hash: string; loaded_at: string; text: string; warnings: Finding[]; refused: { at: string; findings: Finding[] } | null }
export interface PlanVersion { hash: string; loaded_at: string; text: string }
export interface List<T> { items: T[]; next: string | null }

/** Told when the login is over. */
export const login = new EventTarget();

export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(path, { ...init, credentials: "same-origin", cache: "no-store" }).catch(() => {
    throw new Problem(0, "", "The gateway does not answer.");
  });
  if (response.ok) return response;
  const body = await response.json().catch(() => ({})) as Record<string, unknown>;
  if (response.status === 401) login.dispatchEvent(new Event("needed"));
  throw new Problem(response.status, String(body["code"] ?? ""), String(body["detail"] ?? body["title"] ?? response.statusText), body);
}

export async function get<T>(path: string): Promise<T> {
  return await (await ask(path)).json() as T;
}

/** A list as a whole, of all its pages. */
export async function all<T>(path: string): Promise<T[]> {
  const items: T[] = [];
  let cursor = "";
  for (;;) {
    const page = await get<List<T>>(`${path}?limit=500${cursor}`);
    items.push(...page.items);
    if (!page.next) return items;
    cursor = `&cursor=${encodeURIComponent(page.next)}`;
  }
}

export async function post<T>(path: string, body?: unknown): Promise<T | undefined> {
  const init: RequestInit = { method: "POST" };
  if (body !== undefined) {
    init.body = typeof body === "string" ? body : JSON.stringify(body);
    init.headers = { "content-type": typeof body === "string" ? "application/toml" : "application/json" };
  }
  const response = await ask(path, init);
  const text = await response.text();
  return text === "" ? undefined : JSON.parse(text) as T;
}

/** Saves what the gateway answers as a file. */
export async function download(path: string, accept: string, name: string): Promise<void> {
  const blob = await (await ask(path, { headers: { accept } })).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
