/** What is offered at the caret, the likeliest first. Pure. */

import type { Context } from "./context";

export interface Choice {
  /** What is shown. */
  name: string;
  /** What it is: shown behind it. */
  detail: string;
  kind: "metric" | "function" | "aggregation" | "keyword" | "label" | "value" | "duration";
  /** What takes the place of the word at the caret. */
  text: string;
  /** How far before its end the caret stands then. */
  back: number;
}

/** The language, as the server knows it. */
export interface Language {
  functions: { name: string; signature: string; doc: string; is_experimental: boolean }[];
  aggregations: { name: string; signature: string; doc: string }[];
  keywords: string[];
}

/** What is known of a metric. */
export interface MetricInfo {
  type: string;
  help: string;
}

/** Offered at most; further ones come with further letters. */
const CHOICES_MAX = 60;

const DURATIONS: [text: string, what: string][] = [
  ["$window", "fits the graph's steps"],
  ["1m", "one minute"],
  ["5m", "five minutes"],
  ["15m", "a quarter of an hour"],
  ["1h", "one hour"],
  ["6h", "six hours"],
  ["1d", "one day"],
  ["7d", "one week"],
  ["30d", "thirty days"],
];
const UNITS: [text: string, what: string][] = [
  ["s", "seconds"],
  ["m", "minutes"],
  ["h", "hours"],
  ["d", "days"],
  ["w", "weeks"],
  ["ms", "milliseconds"],
];

const plain = (name: string, kind: Choice["kind"], detail = ""): Choice => ({ name, kind, detail, text: name, back: 0 });

/** Everything that a name may be. */
export function nameChoices(language: Language, metrics: string[], infos: Record<string, MetricInfo[]>): Choice[] {
  const functions = language.functions.map(({ name, doc }): Choice => ({ name, kind: "function", detail: doc, text: `${name}()`, back: 1 }));
  const aggregations = language.aggregations.map(({ name, doc }): Choice => ({ name, kind: "aggregation", detail: doc, text: `${name}()`, back: 1 }));
  const keywords = language.keywords.filter((word) => /^\w+$/.test(word)).map((word) => plain(word, "keyword"));
  return [...functions, ...aggregations, ...metrics.map((name) => metricChoice(name, infos[name]?.[0])), ...keywords];
}

function metricChoice(name: string, info: MetricInfo | undefined): Choice {
  const detail = info ? [info.type === "unknown" ? "" : info.type, info.help].filter(Boolean).join(": ") : "";
  // A name of other characters stands in braces.
  return /^[A-Za-z_:][\w:]*$/.test(name) ? plain(name, "metric", detail) : { ...plain(name, "metric", detail), text: `{${quoted(name)}}` };
}

/** Labels; the name of the metric is none that is written so. */
export function labelChoices(names: string[], isGrouping: boolean): Choice[] {
  const shown = names.filter((name) => name !== "__name__");
  return shown.map((name) => {
    const written = /^[A-Za-z_]\w*$/.test(name) ? name : quoted(name);
    return isGrouping ? { ...plain(name, "label"), text: written } : { ...plain(name, "label"), text: `${written}=""`, back: 1 };
  });
}

/** Values in the quotes that are there; new ones when there are none. */
export function valueChoices(values: string[], quote: string, isClosed: boolean): Choice[] {
  return values.map((value) => {
    if (quote === "") return { ...plain(value, "value"), text: quoted(value) };
    const inside = quote === "`" ? value : JSON.stringify(value).slice(1, -1);
    // Past the quote that is there already.
    return isClosed ? { ...plain(value, "value"), text: inside, back: -1 } : { ...plain(value, "value"), text: inside + quote };
  });
}

/** Usual durations; behind digits the units. */
export function durationChoices(word: string): Choice[] {
  if (/^\d+$/.test(word)) return UNITS.map(([unit, what]) => plain(word + unit, "duration", `${word} ${what}`));
  return word === "" ? DURATIONS.map(([text, what]) => plain(text, "duration", what)) : [];
}

const quoted = (text: string): string => JSON.stringify(text);

/** Those that begin with the word, then those that hold it; nothing when the word is whole already. */
export function matching(choices: Choice[], word: string): Choice[] {
  const wanted = word.toLowerCase();
  const rank = ({ name }: Choice): number => (name.toLowerCase().startsWith(wanted) ? 0 : 1);
  const found = choices.filter(({ name }) => name.toLowerCase().includes(wanted));
  const first = found.length === 1 ? found[0] : undefined;
  if (first && first.text === word) return [];
  return found.sort((a, b) => rank(a) - rank(b)).slice(0, CHOICES_MAX);
}

/** The text and the caret after a choice. */
export function applied(text: string, caret: number, context: Context, choice: Choice): { text: string; caret: number } {
  if (context.kind === "none") return { text, caret };
  const rest = text.slice(caret);
  // Brackets that are there already are not written again.
  const isCalled = choice.text.endsWith("()") && rest.startsWith("(");
  const isConditioned = choice.kind === "label" && /^\s*(=|!)/.test(rest);
  const written = isCalled ? choice.text.slice(0, -2) : isConditioned ? choice.text.replace(/=""$/, "") : choice.text;
  const back = isCalled ? -1 : isConditioned ? 0 : choice.back;
  return { text: text.slice(0, context.from) + written + rest, caret: context.from + written.length - back };
}
