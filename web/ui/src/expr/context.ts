/** What can stand at the caret of an expression. Pure: a text and a place in it, nothing else. */

export type Context =
  | { kind: "none" }
  /** A metric, a function, an aggregation or a word of the language. */
  | { kind: "name"; from: number; word: string }
  /** A label's name, in braces or in a grouping. `selector`: of which series; empty: of all. */
  | { kind: "label"; from: number; word: string; selector: string; isGrouping: boolean }
  /** A label's value, in quotes or before them. */
  | { kind: "value"; from: number; word: string; selector: string; label: string; quote: string }
  | { kind: "duration"; from: number; word: string };

type Kind = "word" | "string" | "number" | "operator" | "open" | "close" | "comma" | "other";

interface Token {
  kind: Kind;
  text: string;
  from: number;
  /** Whether it ends before the caret: an open string does not. */
  isClosed: boolean;
}

/** Words before the brackets of which labels stand. */
const GROUPINGS = new Set(["by", "without", "on", "ignoring", "group_left", "group_right"]);
/** Words that look like names of metrics and are none. */
const WORDS = new Set([...GROUPINGS, "and", "or", "unless", "bool", "offset", "atan2", "start", "end", "inf", "nan"]);

const PATTERNS: [Kind, RegExp][] = [
  ["string", /"(?:\\.|[^"\\\n])*("?)|'(?:\\.|[^'\\\n])*('?)|`[^`]*(`?)/y],
  // A number with what may follow it: a duration is one too.
  ["number", /\.?\d[\w.]*/y],
  ["word", /:*[A-Za-z_][\w:]*/y],
  ["operator", /=~|!~|!=|==|<=|>=|[=<>+\-*/%^@]/y],
  ["open", /[({[]/y],
  ["close", /[)}\]]/y],
  ["comma", /,/y],
];

/** Takes a text apart; blanks and comments are left out. */
function tokens(text: string): Token[] {
  const all: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const blank = /(?:\s+|#[^\n]*)/y;
    blank.lastIndex = at;
    const skipped = blank.exec(text)?.[0].length ?? 0;
    if (skipped > 0) {
      at += skipped;
      continue;
    }
    const token = tokenAt(text, at);
    all.push(token);
    at += token.text.length;
  }
  return all;
}

function tokenAt(text: string, from: number): Token {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = from;
    const found = pattern.exec(text);
    if (!found?.[0]) continue;
    const isClosed = kind !== "string" || Boolean(found[1] ?? found[2] ?? found[3]);
    return { kind, text: found[0], from, isClosed };
  }
  return { kind: "other", text: text.charAt(from), from, isClosed: true };
}

/** An open bracket before the caret. */
interface Open {
  bracket: string;
  /** Index of its token. */
  index: number;
}

function openBrackets(before: Token[]): Open[] {
  const stack: Open[] = [];
  before.forEach((token, index) => {
    if (token.kind === "open") stack.push({ bracket: token.text, index });
    else if (token.kind === "close") stack.pop();
  });
  return stack;
}

/** Tells what may stand at the caret. */
export function contextAt(text: string, caret: number): Context {
  const head = text.slice(0, caret);
  if (isInComment(head)) return { kind: "none" };
  const before = tokens(head);
  const last = before.at(-1);
  const open = openBrackets(before).at(-1);
  if (open?.bracket === "{") return inBraces(before, open, caret);
  if (last?.kind === "string" && !last.isClosed) return { kind: "none" };
  const isTouching = last !== undefined && last.from + last.text.length === caret;
  if (open?.bracket === "[") return inRange(before, open, caret);
  const word = isTouching && last.kind === "word" ? last : undefined;
  if (open?.bracket === "(" && isGrouping(before, open)) {
    return { kind: "label", from: word?.from ?? caret, word: word?.text ?? "", selector: metricNear(text, caret), isGrouping: true };
  }
  const behind = before.at(word ? -2 : -1);
  if (behind?.kind === "word" && behind.text === "offset") return duration(last, caret);
  if (isTouching && last.kind === "number") {
    return behindOffset(before) ? duration(last, caret) : { kind: "none" };
  }
  return { kind: "name", from: word?.from ?? caret, word: word?.text ?? "" };
}

function isInComment(head: string): boolean {
  const line = head.slice(head.lastIndexOf("\n") + 1);
  const bare = line.replaceAll(/"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|`[^`]*`?/g, "");
  return bare.includes("#");
}

function behindOffset(before: Token[]): boolean {
  const sign = before.at(-2)?.text === "-" ? 1 : 0;
  return before.at(-2 - sign)?.text === "offset";
}

function isGrouping(before: Token[], open: Open): boolean {
  return GROUPINGS.has(before[open.index - 1]?.text ?? "");
}

/** In `[5m:1m]`: the duration that is being written. */
function inRange(before: Token[], open: Open, caret: number): Context {
  const last = before.at(-1);
  return before.length - 1 === open.index ? { kind: "duration", from: caret, word: "" } : duration(last, caret);
}

function duration(last: Token | undefined, caret: number): Context {
  if (last?.kind === "number" && last.from + last.text.length === caret) return { kind: "duration", from: last.from, word: last.text };
  if (last?.kind === "number" || last?.kind === "word") return last.text === "offset" ? { kind: "duration", from: caret, word: "" } : { kind: "none" };
  return { kind: "duration", from: caret, word: "" };
}

/** In `{job="web", code=~"5.."}`: a label's name or its value. */
function inBraces(before: Token[], open: Open, caret: number): Context {
  const metric = before[open.index - 1];
  const name = metric?.kind === "word" ? metric.text : "";
  const inside = before.slice(open.index + 1);
  const comma = inside.findLastIndex((token) => token.kind === "comma");
  const selector = selectorOf(name, inside.slice(0, Math.max(comma, 0)));
  const [label, operator, value] = inside.slice(comma + 1);
  if (label === undefined) return { kind: "label", from: caret, word: "", selector, isGrouping: false };
  if (operator === undefined) {
    const isTouching = label.kind === "word" && label.from + label.text.length === caret;
    return isTouching ? { kind: "label", from: label.from, word: label.text, selector, isGrouping: false } : { kind: "none" };
  }
  if (operator.kind !== "operator") return { kind: "none" };
  const known = { kind: "value", selector, label: unquoted(label.text) } as const;
  if (value === undefined) return { ...known, from: caret, word: "", quote: "" };
  if (value.kind !== "string" || value.isClosed) return { kind: "none" };
  return { ...known, from: value.from + 1, word: value.text.slice(1), quote: value.text.charAt(0) };
}

/** The selector with those conditions that are whole. */
function selectorOf(metric: string, tokens: Token[]): string {
  const parts: string[] = [];
  let part: Token[] = [];
  const end = (): void => {
    const [label, operator, value] = part;
    if (label && operator?.kind === "operator" && value?.kind === "string" && value.isClosed) parts.push(label.text + operator.text + value.text);
    else if (label?.kind === "string" && operator === undefined) parts.push(label.text);
    part = [];
  };
  for (const token of tokens) {
    if (token.kind === "comma") end();
    else part.push(token);
  }
  end();
  return parts.length > 0 ? `${metric}{${parts.join(",")}}` : metric;
}

const unquoted = (text: string): string => (/^["'`]/.test(text) ? text.slice(1, -1) : text);

/** The metric to which a grouping belongs: the first behind the caret, else the last before it. */
function metricNear(text: string, caret: number): string {
  const metrics = metricsOf(tokens(text));
  const behind = metrics.find(({ from }) => from >= caret);
  return (behind ?? metrics.at(-1))?.text ?? "";
}

/** Words that name metrics: neither called, nor in braces or groupings, nor of the language. */
function metricsOf(all: Token[]): Token[] {
  const found: Token[] = [];
  const stack: string[] = [];
  all.forEach((token, index) => {
    if (token.kind === "open") stack.push(isGrouping(all, { bracket: token.text, index }) ? "grouping" : token.text);
    else if (token.kind === "close") stack.pop();
    else if (token.kind === "word" && !["{", "[", "grouping"].includes(stack.at(-1) ?? "")) {
      const next = all[index + 1]?.text ?? "";
      const isCalled = next === "(" || next === "by" || next === "without";
      if (!isCalled && !WORDS.has(token.text.toLowerCase())) found.push(token);
    }
  });
  return found;
}

/** The function or aggregation in whose arguments the caret is, the innermost first. */
export function callAt(text: string, caret: number): string {
  const before = tokens(text.slice(0, caret));
  for (const { bracket, index } of openBrackets(before).reverse()) {
    const name = callee(before, index);
    if (bracket === "(" && name !== "") return name;
  }
  return "";
}

/** The word before a bracket, past a grouping: `sum` in `sum by (job) (`. */
function callee(before: Token[], index: number): string {
  let at = index - 1;
  if (before[at]?.text === ")") {
    while (at >= 0 && before[at]?.text !== "(") at -= 1;
    at -= 1;
    if (!GROUPINGS.has(before[at]?.text ?? "")) return "";
    at -= 1;
  }
  const token = before[at];
  return token?.kind === "word" && !WORDS.has(token.text) ? token.text : "";
}
