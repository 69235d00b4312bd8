import { expect, test } from "vitest";
import { applied, type Choice, durationChoices, labelChoices, type Language, matching, nameChoices, valueChoices } from "./choices";
import { contextAt } from "./context";

const LANGUAGE: Language = {
  functions: [{ name: "rate", signature: "rate(v range vector) instant vector", doc: "Increase per second.", is_experimental: false }],
  aggregations: [{ name: "sum", signature: "sum by (labels) (v)", doc: "Sum." }],
  keywords: ["by", "end()", "@"],
};

/** Takes the first choice that begins with the word at `|` and shows the caret as `|` again. */
function taken(text: string, choices: Choice[]): string {
  const at = text.indexOf("|");
  const bare = text.replace("|", "");
  const context = contextAt(bare, at);
  const [choice] = matching(choices, context.kind === "none" ? "" : context.word);
  if (!choice) return "nothing";
  const after = applied(bare, at, context, choice);
  return `${after.text.slice(0, after.caret)}|${after.text.slice(after.caret)}`;
}

test("what is taken leaves the caret where one writes on", () => {
  const names = nameChoices(LANGUAGE, ["requests_total", "disk.free"], { requests_total: [{ type: "counter", help: "Requests." }] });
  const cases: [text: string, choices: Choice[], expected: string][] = [
    ["ra|", names, "rate(|)"],
    ["ra|(x[5m])", names, "rate(|x[5m])"],
    ["sum by (job) (requ|)", names, "sum by (job) (requests_total|)"],
    ["su|", names, "sum(|)"],
    ["sum b|", names, "sum by|"],
    ["disk|", names, '{"disk.free"}|'],
    ["up{in|", labelChoices(["__name__", "instance"], false), 'up{instance="|"'],
    ['up{in|="a"}', labelChoices(["instance"], false), 'up{instance|="a"}'],
    ["up{a|", labelChoices(["a label"], false), 'up{"a label"="|"'],
    ["sum by (in|) (up)", labelChoices(["instance"], true), "sum by (instance|) (up)"],
    ["up{job=|", valueChoices(["no\"de"], "", false), 'up{job="no\\"de"|'],
    ['up{job="no|', valueChoices(["node"], '"', false), 'up{job="node"|'],
    ['up{job="no|"}', valueChoices(["node"], '"', true), 'up{job="node"|}'],
    ["x[5|", durationChoices("5"), "x[5s|"],
    ["x[|]", durationChoices(""), "x[$window|]"],
  ];
  for (const [text, choices, expected] of cases) expect(taken(text, choices), text).toBe(expected);
});

test("what begins with the word comes before what holds it", () => {
  const names = nameChoices(LANGUAGE, ["node_rate", "rate_limit"], {});
  expect(matching(names, "rate").map(({ name }) => name)).toEqual(["rate", "rate_limit", "node_rate"]);
  expect(matching(names, "node_rate")).toEqual([]);
  expect(nameChoices(LANGUAGE, ["up"], { up: [{ type: "gauge", help: "Is it up." }] }).find(({ name }) => name === "up")?.detail).toBe("gauge: Is it up.");
});
