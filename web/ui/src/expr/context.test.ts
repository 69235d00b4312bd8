import { expect, test } from "vitest";
import { callAt, contextAt, type Context } from "./context";

/** The context at `|`, in short: kind, word, and of which series. */
function at(text: string): string {
  const caret = text.indexOf("|");
  const context = contextAt(text.replace("|", ""), caret);
  expect(from(context) + word(context).length).toBe(context.kind === "none" ? 0 : caret);
  switch (context.kind) {
    case "none":
      return "none";
    case "label":
      return `label ${context.word} of ${context.selector}`;
    case "value":
      return `value ${context.quote}${context.word} of ${context.label} of ${context.selector}`;
    default:
      return `${context.kind} ${context.word}`;
  }
}

const from = (context: Context): number => (context.kind === "none" ? 0 : context.from);
const word = (context: Context): string => (context.kind === "none" ? "" : context.word);

test("what may stand at the caret is told by what stands before it", () => {
  const cases: [text: string, expected: string][] = [
    ["|", "name "],
    ["no|", "name no"],
    ["node_lo|ad1", "name node_lo"],
    ["rate(node|", "name node"],
    ["sum(up) + |", "name "],
    ["up un|", "name un"],
    // In braces: labels of that metric, less what is said of it already.
    ["up{|", "label  of up"],
    ["up{jo|", "label jo of up"],
    ["up{|}", "label  of up"],
    ['up{job="web",in|', 'label in of up{job="web"}'],
    ['up{job="web", code=~"5..", |', 'label  of up{job="web",code=~"5.."}'],
    ['{job="web",in|', 'label in of {job="web"}'],
    ['{"disk.free", |', 'label  of {"disk.free"}'],
    // Behind an operator: values.
    ["up{job=|", "value  of job of up"],
    ['up{job="|', 'value " of job of up'],
    ['up{job="no|"}', 'value "no of job of up'],
    ["up{job!~'n|", "value 'n of job of up"],
    ['up{instance="a",job="n|', 'value "n of job of up{instance="a"}'],
    ['up{"a label"="x|', 'value "x of a label of up'],
    ['up{job="node"|', "none"],
    ['up{job="a\\"b|', 'value "a\\"b of job of up'],
    // In a grouping: labels of the metric that is grouped.
    ["sum by (|) (rate(x[5m]))", "label  of x"],
    ["sum by (a, in|) (rate(x{a='b'}[5m]))", "label in of x"],
    ["sum(rate(x[5m])) by (|", "label  of x"],
    ["a * on (|) group_left (b) c", "label  of c"],
    ["a / ignoring (co|", "label co of a"],
    ["sum by (|", "label  of "],
    // Durations.
    ["rate(x[|", "duration "],
    ["rate(x[5|", "duration 5"],
    ["rate(x[5m|])", "duration 5m"],
    ["max_over_time(x[1h:|])", "duration "],
    ["max_over_time(x[1h:5|])", "duration 5"],
    ["x offset |", "duration "],
    ["x offset 5|", "duration 5"],
    ["x offset -1|", "duration 1"],
    // Nothing to offer: numbers, texts, comments.
    ["x > 5|", "none"],
    ['label_replace(x, "de|', "none"],
    ["x # all no|", "none"],
    ["# first\nno|", "name no"],
    ['x{a="#"} + no|', "name no"],
  ];
  for (const [text, expected] of cases) expect(at(text), text).toBe(expected);
});

test("the call around the caret is found past groupings and inner brackets", () => {
  const call = (text: string): string => callAt(text.replace("|", ""), text.indexOf("|"));
  const cases: [text: string, expected: string][] = [
    ["rate(|", "rate"],
    ["rate(x[5|", "rate"],
    ["sum(rate(x[5m])|", "sum"],
    ["sum by (job) (|", "sum"],
    ["sum by (jo|", ""],
    ["histogram_quantile(0.9, sum by (le) (rate(x{a=|", "rate"],
    ["(a + |", ""],
    ["rate(x[5m])|", ""],
  ];
  for (const [text, expected] of cases) expect(call(text), text).toBe(expected);
});
