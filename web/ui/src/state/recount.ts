/** Works out, from changed checks, the open problems and how many of everything there are. Pure. */

import type { CheckCounts, CheckView, HostCounts, Overview, Status } from "../api/types";
import { isProblem, keyOf } from "../status";

export interface Shift {
  check: CheckView;
  /** The status before; what was no problem is taken for fine. */
  before: Status;
}

/** Applies changes to the open problems; returns those by which a status became different. */
export function applyChecks(known: Map<string, CheckView>, changes: Iterable<CheckView>): Shift[] {
  const shifts: Shift[] = [];
  for (const check of changes) {
    const key = keyOf(check);
    const before = known.get(key)?.status ?? (check.check === null ? "up" : "ok");
    if (isProblem(check.status)) known.set(key, check);
    else known.delete(key);
    if (check.status !== "pending" && before !== check.status) shifts.push({ check, before });
  }
  return shifts;
}

function move(counts: CheckCounts | HostCounts, from: Status, to: Status): void {
  const of = counts as Partial<Record<Status, number>>;
  if (of[from] === undefined || of[to] === undefined) return;
  of[from] = Math.max(0, of[from] - 1);
  of[to] += 1;
}

/** Returns the overview with new counts and hosts' states. Exact but for what was pending. */
export function recounted(site: Overview, changes: Iterable<CheckView>, shifts: readonly Shift[]): Overview {
  const states = new Map([...changes].filter(({ check }) => check === null).map((state) => [state.host, state]));
  const byHost = new Map<string, Shift[]>();
  const counts = { hosts: { ...site.counts.hosts }, checks: { ...site.counts.checks } };
  for (const shift of shifts) {
    const { check, before } = shift;
    move(check.check === null ? counts.hosts : counts.checks, before, check.status);
    if (check.check !== null) byHost.set(check.host, [...(byHost.get(check.host) ?? []), shift]);
  }
  if (states.size === 0 && byHost.size === 0) return { ...site, counts };
  const hosts = site.hosts.map((host) => {
    const own = byHost.get(host.name);
    const state = states.get(host.name);
    if (!own && !state) return host;
    const ofHost = { ...host.counts };
    for (const { check, before } of own ?? []) move(ofHost, before, check.status);
    return { ...host, state: state ?? host.state, counts: ofHost };
  });
  return { ...site, counts, hosts };
}
