/** The time range of a page's graphs. It lives in the address, so that back, forward and links keep it. */

import { computed, signal } from "@preact/signals";
import { search, setSearch } from "../router";

/** Seconds since 1970 and seconds throughout. */
export type Range = { kind: "last"; seconds: number } | { kind: "fixed"; from: number; to: number };

export const PRESETS: { label: string; seconds: number }[] = [
  { label: "5m", seconds: 300 },
  { label: "15m", seconds: 900 },
  { label: "1h", seconds: 3600 },
  { label: "6h", seconds: 21_600 },
  { label: "24h", seconds: 86_400 },
  { label: "7d", seconds: 604_800 },
  { label: "30d", seconds: 2_592_000 },
  { label: "1y", seconds: 31_536_000 },
];

const DEFAULT_SECONDS = 3600;
/** A new server has little to show yet: the shortest range that it will fill soon. */
const DEFAULTS_BY_AGE: [age: number, seconds: number][] = [
  [240, 300],
  [1200, 900],
];
/** The shortest range a drag may choose: two points of the finest archive. */
export const RANGE_SECONDS_MIN = 20;
/** Points over the width of a graph: about one for every second pixel. */
const POINTS_MAX = 400;
/** Steps that fit the archives and divide a day. */
const STEPS = [10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800];

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, y: 31_536_000 };

/** Reads `90s`, `15m`, `7d`; `null` when it is none. */
export function parseSeconds(text: string): number | null {
  const [, number, unit] = /^(\d+)([smhdwy])$/.exec(text) ?? [];
  return number && unit ? Number(number) * (UNITS[unit] ?? 1) : null;
}

/** Writes whole seconds as PromQL does, in the largest unit that divides them. */
export function promDuration(seconds: number): string {
  for (const unit of ["d", "h", "m"] as const) {
    const size = UNITS[unit] ?? 1;
    if (seconds % size === 0) return `${seconds / size}${unit}`;
  }
  return `${seconds}s`;
}

/** The range of graphs whose reader chose none, on a server that has run for so many seconds. */
export const usualSeconds = (age: number): number => DEFAULTS_BY_AGE.find(([most]) => age < most)?.[1] ?? DEFAULT_SECONDS;

/** Reads a range from an address: `?range=6h` or `?from=…&to=…` (seconds since 1970). */
export function rangeOf(query: URLSearchParams, usual = DEFAULT_SECONDS): Range {
  const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
  if (from > 0 && to > from) return { kind: "fixed", from, to };
  return { kind: "last", seconds: parseSeconds(query.get("range") ?? "") ?? usual };
}

export const spanOf = (range: Range): number => (range.kind === "last" ? range.seconds : range.to - range.from);

/** The step at which a range is asked for, in seconds. */
export function stepOf(range: Range): number {
  const span = spanOf(range);
  return STEPS.find((step) => span / step <= POINTS_MAX) ?? Math.ceil(span / POINTS_MAX / 86_400) * 86_400;
}

/** The window of `rate` and its like: four steps, so that one lost sample makes no gap; at least a minute. */
export const windowOf = (step: number): string => promDuration(Math.max(4 * step, 60));

/** Fills in `$window`, and what Grafana's users write for it. */
export const withWindow = (exprs: readonly string[], step: number): string[] => exprs.map((expr) => expr.replaceAll("$window", windowOf(step)).replaceAll("$__rate_interval", windowOf(step)));

/** First and last moment, aligned to the step: the same points are asked for again and again. */
export function boundsOf(range: Range, now: number): { start: number; end: number; step: number } {
  const step = stepOf(range);
  const [from, to] = range.kind === "last" ? [now - range.seconds, now] : [range.from, range.to];
  return { start: Math.floor(from / step) * step, end: Math.floor(to / step) * step, step };
}

/** As the server was when this page was opened: a range must not change under the reader's eyes. */
const usual = signal(DEFAULT_SECONDS);

export function setServerAge(seconds: number): void {
  usual.value = usualSeconds(seconds);
}

/** The range of the page that is shown. */
export const pageRange = computed<Range>(() => rangeOf(search.value, usual.value), { name: "pageRange" });

export function setRange(range: Range): void {
  if (range.kind === "last") setSearch({ range: promDuration(range.seconds), from: null, to: null });
  else setSearch({ from: String(Math.floor(range.from)), to: String(Math.ceil(range.to)) });
}

/** Back from a zoom to the range it began with. */
export const resetRange = (): void => setSearch({ from: null, to: null });
