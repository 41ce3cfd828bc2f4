// How things are written for people.
import type { Party } from "./api";

export function who(party: Party): string {
  return party.display ?? party.number ?? party.user ?? party.uri;
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
