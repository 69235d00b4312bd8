/** Guesses the unit of an expression's values from the names in it, where that is safe. */

const SUFFIX = /\b[a-zA-Z_:][\w:]*?_(bytes|seconds|ratio|percent|celsius|volts|watts|hertz)(_total|_sum)?\b(?!\s*\()/g;
const RATE = /\b(rate|irate|deriv)\s*\(/;
/** These make other units of what they take, or numbers without any. */
const OPAQUE = /\b(count|count_over_time|count_values|absent|changes|resets|quantile|stddev|stdvar|time|timestamp|vector|histogram_quantile|sgn|ln|log2|log10|exp|sqrt)\s*(by\s*\([^)]*\)\s*|without\s*\([^)]*\)\s*)?\(|[*/%^]|\bbool\b/;

/** Returns the unit, or an empty text when it is not certain. */
export function unitOf(expr: string): string {
  const plain = expr.replace(/\{[^}]*\}|"[^"]*"/g, "").replace(/\[[^\]]*\]/g, "");
  if (OPAQUE.test(plain)) return "";
  const units = new Set([...plain.matchAll(SUFFIX)].map((match) => match[1] ?? ""));
  const names = plain.match(/\b[a-zA-Z_:][\w:]*_[\w:]*\b(?!\s*\()/g) ?? [];
  const [unit] = units;
  if (unit === undefined || units.size !== 1 || names.length !== [...plain.matchAll(SUFFIX)].length) return "";
  if (!RATE.test(plain)) return unit;
  return unit === "bytes" ? "bytes/s" : unit === "seconds" ? "ratio" : "";
}
