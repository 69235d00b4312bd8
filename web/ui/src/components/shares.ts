/** The parts of a time in each status: what an availability's bar and list show. */

import type { AvailabilityRow } from "../api/configuration";
import type { Status } from "../api/types";

export interface Share {
  /** `null`: nothing is known; `off`: nobody looked, the monitor itself was off. */
  status: Status | "off" | null;
  isPlanned: boolean;
  ms: number;
  /** Where it begins and how wide it is, 0 to 1 of the shown time. */
  from: number;
  of: number;
}

/** From fine to bad; what is not known comes last. */
const ORDER: Status[] = ["up", "ok", "warning", "unknown", "unreachable", "critical", "down"];

/** Returns the parts that are not nothing; those in a downtime apart, or left out. */
export function sharesOf(times: AvailabilityRow, isPlannedLeftOut: boolean): Share[] {
  const parts: Omit<Share, "from" | "of">[] = [];
  for (const status of ORDER) {
    const planned = times.downtime_ms[status] ?? 0;
    parts.push({ status, isPlanned: false, ms: (times.status_ms[status] ?? 0) - planned });
    if (!isPlannedLeftOut) parts.push({ status, isPlanned: true, ms: planned });
  }
  parts.push({ status: null, isPlanned: false, ms: times.unmonitored_ms }, { status: "off", isPlanned: false, ms: times.monitor_off_ms });
  const all = parts.reduce((sum, part) => sum + part.ms, 0);
  let before = 0;
  return parts
    .filter((part) => part.ms > 0)
    .map((part) => {
      const share = { ...part, from: before / all, of: part.ms / all };
      before += part.ms;
      return share;
    });
}

/** Writes a share so that what is nearly all does not look like all: 99.953 %, never 100 % for less. */
export function percent(share: number): string {
  if (share === 1 || share === 0) return `${share * 100} %`;
  const digits = share > 0.99 ? 3 : share < 0.001 ? 3 : 1;
  const factor = 10 ** (digits + 2);
  // Towards the worse: what is missing is never rounded away.
  const cut = Math.floor(share * factor + 1e-9) / factor;
  return `${(cut * 100).toFixed(digits)} %`;
}
