// How things are written for people.
import { html, type TemplateResult } from "lit";
import type { Party } from "./api";

/** Who it is by what the gateway knows: never the display name, which is the caller's own words. */
export function name(party: Party): string {
  return party.number ?? party.user ?? party.uri;
}

/** Who it is, and beside it, in quotes, what they say of themselves. */
export function who(party: Party): TemplateResult {
  // Neither a quote nor a change of the direction of writing in it gets out of the quotes.
  const words = party.display?.replace(/["“”„«»]/g, "'");
  return html`${name(party)}${words ? html` <q class="words" title="The caller’s own words"><bdi>${words}</bdi></q>` : ""}`;
}

/** Everything of it that is searched. */
export function sought(party: Party): string {
  return [party.number, party.user, party.uri, party.display].filter(Boolean).join(" ").toLowerCase();
}

// Made once: to make one costs more than a whole row of a list.
const TIME = new Intl.DateTimeFormat([], { timeStyle: "medium", hour12: false });
const DAY = new Intl.DateTimeFormat([], { dateStyle: "short", timeStyle: "medium" });

export function clock(at: string | null): string {
  return at === null ? "" : TIME.format(new Date(at));
}

export function day(at: string): string {
  return DAY.format(new Date(at));
}

export function length(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n: number) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`;
}
