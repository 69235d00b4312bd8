import { expect, test } from "vitest";
import { distinguishing, filled, frameOf, join, nameOf, stack, summaryOf, type Frame } from "./frame";
import { boundsOf, parseSeconds, promDuration, rangeOf, stepOf, usualSeconds, windowOf } from "./range";

function frame(start: number, rows: Record<string, (number | null)[]>): Frame {
  const series = Object.entries(rows).map(([name, values]) => ({ query: 0, labels: { name }, values }));
  return frameOf({ start: start * 1000, step: 10_000, series, warnings: [] });
}

const rowsOf = (of: Frame): Record<string, (number | null)[]> => Object.fromEntries(of.series.map(({ labels, values }) => [labels["name"] ?? "", values]));

test("a newer piece replaces the end, and the beginning moves on", () => {
  // Points at 100..130 and 120..150; the window now begins at 110.
  const joined = join(frame(100, { a: [1, 2, 3, 4] }), frame(120, { a: [30, 40, 50, null] }), 110);
  expect(joined.start).toBe(110);
  expect(rowsOf(joined)).toEqual({ a: [2, 30, 40, 50, null] });
});

test("series that come or go leave gaps, not zeros", () => {
  const joined = join(frame(100, { gone: [1, 2], stays: [3, 4] }), frame(120, { stays: [5], born: [6] }), 100);
  expect(rowsOf(joined)).toEqual({ gone: [1, 2, null], stays: [3, 4, 5], born: [null, null, 6] });
  const later = join(joined, frame(130, { stays: [7] }), 120);
  expect(rowsOf(later)).toEqual({ stays: [5, 7], born: [6, null] });
});

test("a hole between the pieces is a gap", () => {
  expect(rowsOf(join(frame(100, { a: [1] }), frame(130, { a: [2] }), 100))).toEqual({ a: [1, null, null, 2] });
});

test("another step starts anew", () => {
  const tail = { ...frame(200, { a: [9] }), step: 60 };
  expect(join(frame(100, { a: [1] }), tail, 100)).toBe(tail);
});

test("unknown values count for nothing", () => {
  // (2 + 4) / 2 = 3
  expect(summaryOf([2, null, 4])).toEqual({ last: 4, average: 3, max: 4 });
  expect(summaryOf([-2, -1, null])).toEqual({ last: -1, average: -1.5, max: -1 });
  expect(summaryOf([5, null, null])).toEqual({ last: null, average: 5, max: 5 });
  expect(summaryOf([])).toEqual({ last: null, average: null, max: null });
});

test("a stack lays series on each other and keeps gaps", () => {
  expect(stack([[1, null, 3], [10, 20, null], [100, 100, 100]])).toEqual([[1, null, 3], [11, 20, null], [111, 120, 103]]);
});

test("legends are filled from labels", () => {
  expect(filled("{{device}} in", { device: "eth0" })).toBe("eth0 in");
  expect(filled("{{mountpoint}}", { device: "sda" })).toBe("");
  expect(nameOf({ __name__: "up", job: "node" })).toBe('up{job="node"}');
  expect(nameOf({})).toBe("value");
});

test("legends of one graph name only what differs", () => {
  const all = [
    { job: "node", mountpoint: "/" },
    { job: "node", mountpoint: "/var", fstype: "xfs" },
  ];
  expect(distinguishing(all)).toEqual([{ mountpoint: "/" }, { mountpoint: "/var", fstype: "xfs" }]);
  expect(distinguishing([{ job: "node" }])).toEqual([{}]);
});

test("ranges are read from the address", () => {
  expect(rangeOf(new URLSearchParams("range=6h"))).toEqual({ kind: "last", seconds: 21_600 });
  expect(rangeOf(new URLSearchParams("range=6h&from=100&to=200"))).toEqual({ kind: "fixed", from: 100, to: 200 });
  expect(rangeOf(new URLSearchParams("from=200&to=100"))).toEqual({ kind: "last", seconds: 3600 });
  expect([parseSeconds("15m"), parseSeconds("x"), promDuration(7200), promDuration(90)]).toEqual([900, null, "2h", "90s"]);
});

test("a new server shows a short range, an old one an hour", () => {
  expect([30, 600, 86_400].map(usualSeconds)).toEqual([300, 900, 3600]);
  expect(rangeOf(new URLSearchParams(""), 300)).toEqual({ kind: "last", seconds: 300 });
});

test("steps keep graphs at 400 points or fewer, on a grid", () => {
  const steps = [900, 3600, 21_600, 86_400, 604_800, 2_592_000, 31_536_000].map((seconds) => stepOf({ kind: "last", seconds }));
  expect(steps).toEqual([10, 10, 60, 300, 1800, 7200, 86_400]);
  expect([windowOf(10), windowOf(60), windowOf(300)]).toEqual(["1m", "4m", "20m"]);
  expect(boundsOf({ kind: "last", seconds: 3600 }, 10_007)).toEqual({ start: 6400, end: 10_000, step: 10 });
});
