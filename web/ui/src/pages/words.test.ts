import { expect, test } from "vitest";
import { matchesText } from "../filter";
import { csvOf } from "./explore-csv";
import { absenceText, rowsOf } from "./instant-table";
import { alertsWhen } from "./perfdata-table";

test("every word of a filter must be found", () => {
  expect(matchesText("web1 http Connection refused", "HTTP web")).toBe(true);
  expect(matchesText("web1 http", "web2")).toBe(false);
});

test("ranges are told as the values that alert", () => {
  const range = (start: number | null, end: number | null, is_inside = false) => alertsWhen({ start, end, is_inside }, "percent");
  // The guidelines' 10, 10:, ~:10, 10:20, @10:20.
  expect([range(0, 10), range(10, null), range(null, 10), range(10, 20), range(10, 20, true)]).toEqual(["> 10 %", "< 10 %", "> 10 %", "< 10 % or > 20 %", "10 % to 20 %"]);
  expect(alertsWhen(null, "")).toBe("");
});

test("a CSV file quotes what needs it and leaves gaps empty", () => {
  const series = [{ key: "a", query: 0, labels: { __name__: "up", job: "node" }, values: [1, null] }];
  expect(csvOf({ start: 0, step: 10, length: 2, series })).toBe('time,"up{job=""node""}"\r\n1970-01-01T00:00:00.000Z,1\r\n1970-01-01T00:00:10.000Z,\r\n');
});

test("values of every type are shown, unknown ones as such", () => {
  const of = (type: "vector" | "scalar" | "string", result: unknown) => rowsOf({ type, result, warnings: [], absence: "none", silent_since: null }).map(({ value }) => value);
  expect(of("vector", [{ labels: {}, at: 0, value: 1.5 }, { labels: {}, at: 0, value: null }])).toEqual(["1.5", "unknown"]);
  expect(of("scalar", { at: 0, value: 2 })).toEqual(["2"]);
  expect(of("string", "text")).toEqual(["text"]);
});

test("what is not there is told apart from what does not hold", () => {
  const text = (absence: "never_known" | "silent" | "empty_by_comparison", since: number | null = null) => absenceText({ type: "vector", result: [], warnings: [], absence, silent_since: since });
  expect(text("never_known")).toContain("was ever heard of");
  expect(text("silent", 0)).toMatch(/no data since .*1970/);
  expect(text("empty_by_comparison")).toContain("the comparison holds for none");
});
