/** Which events are drawn into graphs. */

import type { Event } from "../api/types";
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
