import { expect, test } from "vitest";
import type { Event, Status } from "../api/types";
import { stretchesOf } from "./timeline";

function change(at: number, previous: Status, status: Status): Event {
  const body = { type: "state", kind: "hard_problem", previous, status, state_type: "hard", attempt: 1, attempts_max: 1, problem: 1, since: at, output: "", long_output: "", is_in_downtime: false, is_acknowledged: false, is_flapping: false, blocked_by: [] } as const;
  return { sequence: at, at, id: { host: "a", check: "b" }, body: { ...body, blocked_by: [] } };
}

test("stretches run from change to change, and to the end", () => {
  const events = [change(80, "critical", "ok"), change(50, "ok", "critical")];
  expect(stretchesOf(events, "ok", 80, 0, 100)).toEqual([
    { from: 0, to: 50, status: "ok" },
    { from: 50, to: 80, status: "critical" },
    { from: 80, to: 100, status: "ok" },
  ]);
});

test("before the first result nothing is known", () => {
  expect(stretchesOf([change(50, "ok", "critical")], "critical", 50, 0, 100, 30)).toEqual([
    { from: 0, to: 30, status: null },
    { from: 30, to: 50, status: "ok" },
    { from: 50, to: 100, status: "critical" },
  ]);
  expect(stretchesOf([change(50, "ok", "critical")], "critical", 50, 0, 100, Infinity)[0]).toEqual({ from: 0, to: 50, status: null });
});

test("a change before the range holds from its beginning; soft and hard of one status are one", () => {
  const events = [change(60, "critical", "critical"), change(10, "ok", "critical")];
  expect(stretchesOf(events, "critical", 10, 20, 100)).toEqual([{ from: 20, to: 100, status: "critical" }]);
});

test("what the log does not tell is not known", () => {
  expect(stretchesOf([], "ok", 40, 0, 100)).toEqual([
    { from: 0, to: 40, status: null },
    { from: 40, to: 100, status: "ok" },
  ]);
});
