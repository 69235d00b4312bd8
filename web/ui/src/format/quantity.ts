/**
 * Writes values and durations as the server does in mails and pictures (`model/src/quantity.rs`):
 * `1.5 GiB`, `230 Mbit/s`, `93.1 %`, `3 min 20 s`. The cases of its tests are ours too.
 */

type Style = "binary" | "metric" | "time" | "plain" | "ratio" | "count";

/** Units whose symbol is not their name. */
const UNITS: Record<string, [symbol: string, style: Style]> = {
  bytes: ["B", "binary"],
  B: ["B", "binary"],
  bits: ["bit", "metric"],
  seconds: ["s", "time"],
  s: ["s", "time"],
  percent: [" %", "plain"],
  "%": [" %", "plain"],
  ratio: [" %", "ratio"],
  celsius: [" °C", "plain"],
  volts: ["V", "metric"],
  amperes: ["A", "metric"],
  watts: ["W", "metric"],
  joules: ["J", "metric"],
  hertz: ["Hz", "metric"],
  meters: ["m", "metric"],
  grams: ["g", "metric"],
  ms: [" ms", "plain"],
  us: [" µs", "plain"],
  KB: [" KB", "plain"],
  MB: [" MB", "plain"],
  GB: [" GB", "plain"],
  TB: [" TB", "plain"],
  "per second": ["/s", "count"],
  c: ["", "count"],
  count: ["", "count"],
  counter: ["", "count"],
  none: ["", "count"],
  "": ["", "count"],
};

const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/** From 1000^-3; the fourth is that of 1. */
const METRIC = ["n", "µ", "m", "", "k", "M", "G", "T", "P", "E"];

/** What is shown where a value is not known. */
export const UNKNOWN = "–";

function symbolOf(unit: string): [string, Style] {
  const known = UNITS[unit];
  if (known) return known;
  const [base = "", per] = unit.split(/\/(.*)/, 2);
  const rated = per === undefined || base === "" ? undefined : UNITS[base];
  // A rate of seconds is no time any more.
  if (rated && per !== undefined && rated[1] !== "ratio") return [`${rated[0]}/${per}`, rated[1] === "time" ? "metric" : rated[1]];
  return [`${unit.startsWith("/") ? "" : " "}${unit}`, "count"];
}

/** The power of `base` that leaves a number of at least 1 and below `base`, as it will be written. */
function powerOf(size: number, base: number): number {
  if (size <= 0 || !Number.isFinite(size)) return 0;
  const power = Math.floor(Math.log(size) / Math.log(base));
  const scaled = size / base ** power;
  return power + Number(scaled >= (base === 1024 ? 1023.5 : 999.5)) - Number(scaled < 1);
}

const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value));

function scaleOf(size: number, symbol: string, style: Style): [divisor: number, suffix: string] {
  if (style === "plain") return [1, symbol];
  if (style === "binary") {
    const power = clamp(powerOf(size, 1024), 0, 6);
    return [1024 ** power, ` ${BINARY[power] ?? ""}${symbol}`];
  }
  const least = style === "count" ? 0 : -3;
  const most = style === "time" ? 0 : 6;
  const power = clamp(powerOf(size, 1000), least, most);
  return [1000 ** power, `${style === "count" ? "" : " "}${METRIC[power + 3] ?? ""}${symbol}`];
}

/** Writes a value in its unit; `–` when it is not known. */
export function formatValue(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined || Number.isNaN(value)) return UNKNOWN;
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  const [symbol, style] = symbolOf(unit);
  if (style === "ratio") return percent(value * 100) + symbol;
  if (style === "plain" && symbol === " %") return percent(value) + symbol;
  if (style === "time" && Math.abs(value) >= 120) return (value < 0 ? "-" : "") + formatDuration(Math.abs(value) * 1000);
  if (style === "count" && Number.isInteger(value) && Math.abs(value) < 10_000) return `${value}${symbol}`;
  // 60 to 119 seconds read better as seconds.
  const size = style === "time" ? Math.min(Math.abs(value), 59) : Math.abs(value);
  const [divisor, suffix] = scaleOf(size, symbol, style);
  return digits(value / divisor) + suffix;
}

/** Three significant digits without trailing zeros. */
function digits(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-4 || size >= 1e7) return value.toExponential(2).replace("e+", "e").replace(".00e", "e");
  return trimmed(value.toFixed(clamp(2 - Math.floor(Math.log10(size)), 0, 6)));
}

/** One decimal, or as many as show that it is not 0 and not 100. */
function percent(value: number): string {
  const size = Math.abs(value);
  const roundsTo = (decimals: number, whole: number): boolean => Number(size.toFixed(decimals)) === whole && size !== whole;
  const decimals = [1, 2, 3, 4].find((count) => !roundsTo(count, 100) && !roundsTo(count, 0)) ?? 4;
  return trimmed(value.toFixed(decimals));
}

function trimmed(number: string): string {
  if (!number.includes(".")) return number;
  const short = number.replace(/\.?0+$/, "");
  return short === "-0" ? "0" : short;
}

const PARTS: [size: number, symbol: string][] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1000, "s"],
];

/**
 * Writes a duration given in milliseconds by its two largest parts: `3 min 20 s`, `2 d 4 h`.
 * Cut off, not rounded: a problem of 59.9 seconds is not yet a minute old.
 */
export function formatDuration(ms: number): string {
  const millis = Math.max(0, Math.floor(ms));
  if (millis === 0) return ms > 0 ? `${Math.floor(ms * 1000)} µs` : "0 s";
  if (millis < 1000) return `${millis} ms`;
  if (millis < 10_000) return `${trimmed((Math.floor(millis / 100) / 10).toFixed(1))} s`;
  const first = PARTS.findIndex(([size]) => millis >= size);
  const [size, symbol] = PARTS[first] ?? [1000, "s"];
  const text = `${Math.floor(millis / size)} ${symbol}`;
  const [smaller, smallerSymbol] = PARTS[first + 1] ?? [Infinity, ""];
  const rest = Math.floor((millis % size) / smaller);
  return rest > 0 ? `${text} ${rest} ${smallerSymbol}` : text;
}

/** How long a problem must last to be hard, and was seen to. */
export interface Lasting {
  seen_ms: number;
  needed_ms: number;
}

/** Writes how long a problem lasted, of how long it must to be hard: `bad for 2 min of 5 min`. */
export function formatLasting({ seen_ms, needed_ms }: Lasting): string {
  return `bad for ${formatDuration(seen_ms)}${seen_ms < needed_ms ? ` of ${formatDuration(needed_ms)}` : ""}`;
}

/** Writes how long ago something was: whole seconds, so that it ticks evenly. */
export const formatSince = (ms: number): string => formatDuration(Math.floor(ms / 1000) * 1000);

/** Writes a duration in its largest part only: `3 min`, for narrow columns. */
export const formatAge = (ms: number): string => formatSince(ms).split(" ").slice(0, 2).join(" ");
