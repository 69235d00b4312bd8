import { expect, test } from "vitest";
import type { CheckView, Overview, Status } from "../api/types";
import { compareProblems, keyOf, worstOf } from "../status";
import { applyChecks, recounted } from "./recount";
import { pauseAfter } from "./stream";

function view(host: string, check: string | null, status: Status, more: Partial<CheckView> = {}): CheckView {
  return {
    host, check, status, state_type: "hard", attempt: 1, attempts_max: 1, lasting: null, output: "", long_output: "", perfdata: [], since: 0, last_check: 0, next_check: 0, run_time_ms: 0, latency_ms: 0, problem: null,
    is_acknowledged: false, acknowledgement: null, is_in_downtime: false, downtimes: [], is_flapping: false, flapping_percent: 0, is_quiet: false, blocked_by: [], kind: "plugin", expr: null, argv: null, interval_ms: 1000,
    notes: "", notes_url: "", graphs: [], comments: [], ...more,
  };
}

test("changes open and close problems, and tell when a status became different", () => {
  const known = new Map([["a/x", view("a", "x", "warning")]]);
  const statuses = (...changes: CheckView[]): string[] => applyChecks(known, changes).map(({ before, check }) => `${before} ${check.status}`);
  expect(statuses(view("a", "x", "warning", { output: "new words" }))).toEqual([]);
  expect(known.get("a/x")?.output).toBe("new words");
  expect(statuses(view("a", "x", "critical"))).toEqual(["warning critical"]);
  expect(statuses(view("b", "y", "ok"))).toEqual([]);
  expect(statuses(view("a", null, "down"), view("a", "x", "ok"))).toEqual(["up down", "critical ok"]);
  expect([...known.keys()]).toEqual(["a"]);
});

test("counts follow the changes, of the site and of the host", () => {
  const counts = { ok: 4, warning: 1, critical: 0, unknown: 0, pending: 0 };
  const host = { name: "a", alias: "a", address: "", groups: [], labels: {}, parents: [], state: view("a", null, "up"), counts };
  const site = { counts: { hosts: { up: 1, down: 0, unreachable: 0, pending: 0 }, checks: counts }, hosts: [host] } as unknown as Overview;
  const changes = [view("a", "x", "critical"), view("a", "y", "critical"), view("a", null, "down")];
  const after = recounted(site, changes, applyChecks(new Map([["a/x", view("a", "x", "warning")]]), changes));
  // x: warning to critical; y: OK to critical.
  const expected = { ok: 3, warning: 0, critical: 2, unknown: 0, pending: 0 };
  expect(after.counts.checks).toEqual(expected);
  expect(after.hosts[0]?.counts).toEqual(expected);
  expect(after.counts.hosts).toEqual({ up: 0, down: 1, unreachable: 0, pending: 0 });
  expect(after.hosts[0]?.state.status).toBe("down");
  expect(counts.ok).toBe(4);
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
