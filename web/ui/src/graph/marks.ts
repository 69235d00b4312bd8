/** Which events are drawn into graphs. */

import type { Event, Restart } from "../api/types";
import { nameOf, toneOf } from "../status";
import type { Mark } from "./plot";

/** More lines than this hide the curve. */
const MARKS_MAX = 40;

/** The newest confirmed changes of state. */
export function marksOf(events: readonly Event[]): Mark[] {
  const marks: Mark[] = [];
  for (const { at, id, body } of events) {
    if (body.type !== "state" || !body.kind.startsWith("hard")) continue;
    marks.push({ at: at / 1000, tone: toneOf(body.status), label: `${id.check ?? id.host} ${nameOf(body.status)}` });
    if (marks.length === MARKS_MAX) break;
  }
  return marks;
}

/** Restarts of the machine and of services on it: where counters begin anew. */
export function marksOfRestarts(restarts: readonly Restart[]): Mark[] {
  return restarts.map(({ at, job }) => ({ at: at / 1000, tone: "pending", label: job === "node" ? "booted" : `${job} restarted` }));
}
