import { expect, test } from "vitest";
import { timeLabels } from "./axis";
import { columnsOf, endsOf, lonely, type PlotSpec } from "./plot";
import type { Loaded } from "./load";

const spec = (more: Partial<PlotSpec>): PlotSpec => ({ unit: "", isStacked: false, min: null, max: null, lines: [], thresholds: [], marks: [], ...more });
const line = (style: "line" | "negative" = "line") => ({ legend: "", style, color: 0 });
const loaded = (rows: (number | null)[][]): Loaded => ({
  from: 0,
  to: 20,
  frame: { start: 0, step: 10, length: 3, series: rows.map((values, i) => ({ key: String(i), query: i, labels: {}, values })) },
});

test("negative lines are mirrored, stacked ones lie on each other, hidden ones lift nobody", () => {
  expect(columnsOf(loaded([[1, null, 3]]), spec({ lines: [line("negative")] }), new Set())).toEqual([[0, 10, 20], [-1, null, -3]]);
  const stacked = spec({ isStacked: true, lines: [line(), line(), line()] });
  const rows = [[1, 1, 1], [2, 2, null], [4, 4, 4]];
  expect(columnsOf(loaded(rows), stacked, new Set())).toEqual([[0, 10, 20], [1, 1, 1], [3, 3, null], [7, 7, 5]]);
  expect(columnsOf(loaded(rows), stacked, new Set([1]))).toEqual([[0, 10, 20], [1, 1, 1], [null, null, null], [5, 5, 5]]);
});

test("the value axis shows zero and all thresholds, and keeps fixed ends", () => {
  expect(endsOf(10, 100, spec({}))).toEqual([0, 106]);
  const [low, high] = endsOf(10, 100, spec({ thresholds: [{ value: 200, tone: "critical", label: "" }] }));
  expect([low, high]).toEqual([0, 212]);
  expect(endsOf(3, 40, spec({ min: 0, max: 100 }))).toEqual([0, 100]);
  expect(endsOf(-50, 50, spec({}))).toEqual([-56, 56]);
  expect(endsOf(null, null, spec({}))[1]).toBeGreaterThan(0);
});

test("values between two gaps are found", () => {
  expect(lonely([1, null, 2, 3, null, 4])).toEqual([0, 5]);
  expect(lonely([5])).toEqual([0]);
});

test("the time axis says the day where a new one begins", () => {
  const at = (hour: number) => new Date(2026, 10, 21, hour).getTime() / 1000;
  expect(timeLabels([at(-6), at(0), at(6)], 21_600)).toEqual(["18:00", "21 Nov", "06:00"]);
  expect(timeLabels([at(1)], 30)).toEqual(["01:00:00"]);
  expect(timeLabels([at(0)], 30 * 86_400)).toEqual(["Nov 2026"]);
});
