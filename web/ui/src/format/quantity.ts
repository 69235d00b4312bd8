/**
 * Writes values with their units, as the server does in mails and pictures: three significant
 * digits, a space, the unit: `1.5 GiB`, `230 Mbit/s`, `93.1 %`, `45 ms`.
 */

const SI = ["", "k", "M", "G", "T", "P", "E"];
const IEC = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/** What is shown where a value is not known. */
export const UNKNOWN = "–";

/** Rounds to three significant digits, never dropping digits before the point, without padding zeros. */
export function digits(value: number, significant = 3): string {
  if (value === 0) return "0";
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  const decimals = Math.min(20, Math.max(0, significant - 1 - magnitude));
  return String(Number(value.toFixed(decimals)));
}

function prefixed(value: number, base: number, prefixes: string[], unit: string): string {
  let scaled = value;
  let index = 0;
  // 999.9 would be written as 1000: it belongs to the next prefix.
  while (Math.abs(scaled) >= base - 0.5 && index < prefixes.length - 1) {
    scaled /= base;
    index += 1;
  }
  const suffix = `${prefixes[index] ?? ""}${unit}`;
  return suffix ? `${digits(scaled)} ${suffix}` : digits(scaled);
}

function seconds(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0 s";
  if (size < 1e-6) return `${digits(value * 1e9)} ns`;
  if (size < 1e-3) return `${digits(value * 1e6)} µs`;
  if (size < 1) return `${digits(value * 1e3)} ms`;
  if (size < 60) return `${digits(value)} s`;
  return (value < 0 ? "-" : "") + formatDuration(size * 1000);
}

/** Splits off `/s` and its like: the quantity is scaled, the rest is kept. */
const RATES: Record<string, string> = { "bytes/s": "bytes", "bits/s": "bits", "seconds/s": "ratio", bytes_per_second: "bytes", bits_per_second: "bits" };

/** Writes a value in its unit; `–` when it is not known. */
export function formatValue(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined || Number.isNaN(value)) return UNKNOWN;
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  const rated = RATES[unit];
  switch (rated ?? unit) {
    case "bytes":
      return prefixed(value, 1024, IEC, rated ? "B/s" : "B");
    case "bits":
      return prefixed(value, 1000, SI, rated ? "bit/s" : "bit");
    case "seconds":
      return seconds(value);
    case "percent":
      return `${digits(value)} %`;
    case "ratio":
      return `${digits(value * 100)} %`;
    case "per second":
    case "/s":
      return `${prefixed(value, 1000, SI, "")} /s`;
    case "celsius":
      return `${digits(value)} °C`;
    case "hertz":
      return prefixed(value, 1000, SI, "Hz");
    case "":
    case "none":
    case "counter":
      return plain(value);
    default:
      return `${plain(value)} ${unit}`;
  }
}

/** Numbers below ten thousand are written out: `1,234` processes reads better than `1.23 k`. */
function plain(value: number): string {
  if (Math.abs(value) < 1000) return digits(value);
  if (Math.abs(value) < 10_000) return String(Math.round(value)).replace(/\B(?=(\d{3})$)/, ",");
  return prefixed(value, 1000, SI, "");
}

const DAY = 86_400;
const PARTS: [number, string][] = [
  [365 * DAY, "y"],
  [DAY, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** Writes a duration given in milliseconds in its two largest units: `3 min 20 s`, `2 d 4 h`. */
export function formatDuration(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000));
  if (total === 0) return ms > 0 && ms < 1000 ? `${digits(ms)} ms` : "0 s";
  const first = PARTS.findIndex(([size]) => total >= size);
  const [size, name] = PARTS[first] ?? [1, "s"];
  const text = `${Math.floor(total / size)} ${name}`;
  const [smaller, smallerName] = PARTS[first + 1] ?? [0, ""];
  const rest = smaller > 0 ? Math.floor((total % size) / smaller) : 0;
  return rest > 0 ? `${text} ${rest} ${smallerName}` : text;
}

/** Writes a duration in its largest unit only: `3 min`, for narrow columns. */
export function formatAge(ms: number): string {
  return formatDuration(ms).split(" ").slice(0, 2).join(" ");
}
