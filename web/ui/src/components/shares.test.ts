import { expect, test } from "vitest";
import { percent, sharesOf } from "./shares";

const times = { host: "a", check: null, start: 0, end: 100, ratio: 0.8, ratio_without_downtime: 1, status_ms: { up: 60, down: 20 }, downtime_ms: { down: 20 }, unmonitored_ms: 20, monitor_off_ms: 0, known_since: 20 };

test("times become parts of the whole, downtimes apart or left out", () => {
  const all = sharesOf(times, false).map(({ status, isPlanned, from, of }) => [status, isPlanned, from, of]);
  expect(all).toEqual([
    ["up", false, 0, 0.6],
    ["down", true, 0.6, 0.2],
    [null, false, 0.8, 0.2],
  ]);
  expect(sharesOf(times, true).map(({ status, of }) => [status, of])).toEqual([
    ["up", 0.75],
    [null, 0.25],
  ]);
});

test("the time in which the monitor was off is its own part, the last", () => {
  const off = sharesOf({ ...times, monitor_off_ms: 100 }, false).at(-1);
  expect([off?.status, off?.of]).toEqual(["off", 0.5]);
});

test("what is missing is not rounded away", () => {
  expect([1, 0.99999, 0.99953, 0.5, 0.0004, 0].map(percent)).toEqual(["100 %", "99.999 %", "99.953 %", "50.0 %", "0.040 %", "0 %"]);
  expect(percent(0.9999999)).toBe("99.999 %");
});
