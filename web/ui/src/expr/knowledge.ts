/** What the server knows of language, metrics and labels, asked once and kept for a while. */

import { type ExprFault, exprFault, labelNames, labelValues, language, metricMetadata, metricNames } from "../api/client";
import { type Choice, durationChoices, labelChoices, type Language, matching, type MetricInfo, nameChoices, valueChoices } from "./choices";
import type { Context } from "./context";

/** How long an answer is good, in milliseconds: new series show up while somebody types. */
const GOOD_FOR_MS = 60_000;
/** Answers kept; the oldest goes. */
const KEPT_MAX = 50;

const kept = new Map<string, { at: number; answer: Promise<unknown> }>();

/** Returns an answer that is kept, or asks; a failure is not kept. */
function once<T>(key: string, ask: () => Promise<T>): Promise<T> {
  const known = kept.get(key);
  if (known && performance.now() - known.at < GOOD_FOR_MS) return known.answer as Promise<T>;
  const answer = ask();
  kept.delete(key);
  kept.set(key, { at: performance.now(), answer });
  if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value ?? "");
  answer.catch(() => kept.delete(key));
  return answer;
}

/** The table of functions; it cannot change while the page is open. */
let words: Promise<Language> | undefined;

export function theLanguage(): Promise<Language> {
  if (words === undefined) {
    words = language();
    words.catch(() => (words = undefined));
  }
  return words;
}

/** What fits the caret; nothing when the server cannot be asked. */
export async function choicesFor(context: Context, rest: string): Promise<Choice[]> {
  switch (context.kind) {
    case "none":
      return [];
    case "duration":
      return matching(durationChoices(context.word), context.word);
    case "name": {
      const [known, metrics, infos] = await Promise.all([theLanguage(), once("metrics", () => metricNames()), once("infos", () => metricMetadata()).catch((): Record<string, MetricInfo[]> => ({}))]);
      return matching(nameChoices(known, metrics, infos), context.word);
    }
    case "label": {
      const names = await once(`labels ${context.selector}`, () => labelNames(context.selector));
      return matching(labelChoices(names, context.isGrouping), context.word);
    }
    case "value": {
      const values = await once(`values ${context.label} ${context.selector}`, () => labelValues(context.label, context.selector));
      return matching(valueChoices(values, context.quote, rest.startsWith(context.quote)), context.word);
    }
  }
}

/** What is wrong with an expression; `null` when nothing is, or nobody can tell. */
export function faultOf(expr: string, signal: AbortSignal): Promise<ExprFault | null> {
  // The page's own words for a window become a duration as long, so that columns stay.
  const plain = expr.replaceAll(/\$(?:window|__rate_interval)\b/g, (word) => "5m".padEnd(word.length));
  return exprFault(plain, signal).catch(() => null);
}

/** Turns line and column, counted in characters from 1, into an index of the text. */
export function indexOf(text: string, line: number, column: number): number {
  const lines = text.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  const inLine = Array.from(lines[line - 1] ?? "").slice(0, column - 1);
  return before + inLine.join("").length;
}
