/** Statuses: how bad they are, what they are called, and how many there are. */

import type { CheckCounts, CheckView, HostRow, Status } from "./api/types";

/** How bad it is, as the server sorts: 0 fine to 4 down. */
const SEVERITY: Record<Status, number> = { ok: 0, up: 0, pending: 0, warning: 1, unknown: 2, unreachable: 2, critical: 3, down: 4 };

const NAMES: Record<Status, string> = {
  ok: "OK",
  up: "Up",
  pending: "Pending",
  warning: "Warning",
  unknown: "Unknown",
  unreachable: "Unreachable",
  critical: "Critical",
  down: "Down",
};

/** The four colours and shapes that stand for all statuses. */
export type Tone = "ok" | "warning" | "critical" | "unknown" | "pending";

const TONES: Record<Status, Tone> = {
  ok: "ok",
  up: "ok",
  pending: "pending",
  warning: "warning",
  unknown: "unknown",
  unreachable: "unknown",
  critical: "critical",
  down: "critical",
};

export const severityOf = (status: Status): number => SEVERITY[status];
export const nameOf = (status: Status): string => NAMES[status];
export const toneOf = (status: Status): Tone => TONES[status];
export const isProblem = (status: Status): boolean => SEVERITY[status] > 0;

/** Tells whether somebody already takes care of it: it then stands below those nobody has. */
export const isHandled = (check: CheckView): boolean => check.is_acknowledged || check.is_in_downtime;

/** Orders problems: nobody's before somebody's, worst first, then the newest first. */
export function compareProblems(a: CheckView, b: CheckView): number {
  return (
    Number(isHandled(a)) - Number(isHandled(b)) ||
    SEVERITY[b.status] - SEVERITY[a.status] ||
    (b.since ?? 0) - (a.since ?? 0) ||
    a.host.localeCompare(b.host) ||
    (a.check ?? "").localeCompare(b.check ?? "")
  );
}

/** The worst that a host shows: its own state or the worst of its checks. */
export function worstOf(host: HostRow): Status {
  const own = host.state.status;
  const { critical, unknown, warning } = host.counts;
  const checks: Status = critical > 0 ? "critical" : unknown > 0 ? "unknown" : warning > 0 ? "warning" : own;
  return SEVERITY[own] >= SEVERITY[checks] ? own : checks;
}

export const totalOf = (counts: CheckCounts): number => counts.ok + counts.warning + counts.critical + counts.unknown + counts.pending;

/** Names a check in one string that no other has. */
export const keyOf = (id: { host: string; check: string | null }): string => (id.check === null ? id.host : `${id.host}/${id.check}`);
