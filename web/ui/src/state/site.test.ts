import { expect, test } from "vitest";
import type { CheckView, Status } from "../api/types";
import { compareProblems, keyOf, worstOf } from "../status";
import { applyChecks } from "./site";
import { pauseAfter } from "./stream";

export function view(host: string, check: string | null, status: Status, more: Partial<CheckView> = {}): CheckView {
  return {
    host, check, status, state_type: "hard", attempt: 1, attempts_max: 1, output: "", long_output: "", perfdata: [], since: 0, last_check: 0, next_check: 0, run_time_ms: 0, latency_ms: 0, problem: null,
    is_acknowledged: false, acknowledgement: null, is_in_downtime: false, downtimes: [], is_flapping: false, flapping_percent: 0, blocked_by: [], kind: "plugin", expr: null, argv: null, interval_ms: 1000,
    notes: "", notes_url: "", graphs: [], comments: [], ...more,
  };
}

test("changes open and close problems, and tell when a status became different", () => {
  const known = new Map([["a/x", view("a", "x", "warning")]]);
  expect(applyChecks(known, [view("a", "x", "warning", { output: "new words" })])).toBe(false);
  expect(known.get("a/x")?.output).toBe("new words");
  expect(applyChecks(known, [view("a", "x", "critical")])).toBe(true);
  expect(applyChecks(known, [view("b", "y", "ok")])).toBe(false);
  expect(applyChecks(known, [view("a", null, "down"), view("a", "x", "ok")])).toBe(true);
  expect([...known.keys()]).toEqual(["a"]);
});

test("nobody's problems stand before somebody's, then the worst, then the newest", () => {
  const rows = [
    view("a", "taken", "critical", { is_acknowledged: true }),
    view("a", "old", "warning", { since: 10 }),
    view("a", "new", "warning", { since: 20 }),
    view("a", "unknown", "unknown"),
    view("a", null, "down"),
    view("a", "planned", "warning", { is_in_downtime: true }),
  ];
  expect(rows.sort(compareProblems).map(keyOf)).toEqual(["a", "a/unknown", "a/new", "a/old", "a/taken", "a/planned"]);
});

test("a host is as bad as the worst on it", () => {
  const host = (status: Status, counts: Partial<Record<"warning" | "critical" | "unknown", number>>) =>
    worstOf({ name: "a", alias: "a", address: "", groups: [], labels: {}, parents: [], state: view("a", null, status), counts: { ok: 1, warning: 0, critical: 0, unknown: 0, pending: 0, ...counts } });
  expect([host("up", {}), host("up", { warning: 1 }), host("up", { warning: 1, critical: 1 }), host("down", { critical: 1 }), host("unreachable", { warning: 2 }), host("pending", {})]).toEqual(["up", "warning", "critical", "down", "unreachable", "pending"]);
});

test("pauses between tries grow to half a minute, and chance takes at most half away", () => {
  expect([0, 1, 2, 10].map((tries) => pauseAfter(tries, 1))).toEqual([500, 1000, 2000, 30_000]);
  expect([0, 10].map((tries) => pauseAfter(tries, 0))).toEqual([250, 15_000]);
});
