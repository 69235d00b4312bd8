/** The states of a check over a time, as one bar. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { queryRange } from "../api/client";
import type { CheckId, Event, Status } from "../api/types";
import { formatMoment } from "../format/moment";
import { formatSince } from "../format/quantity";
import { now } from "../state/clock";
import { nameOf, toneOf } from "../status";

export interface Stretch {
  from: number;
  to: number;
  /** `null` where the log does not reach. */
  status: Status | null;
}

/**
 * Works out the stretches between `from` and `to` (milliseconds) from events, newest first. Before
 * the oldest change its previous status holds, as far back as results are known; without any change
 * the present one does, since `since`.
 */
export function stretchesOf(events: readonly Event[], current: Status, since: number | null, from: number, to: number, knownFrom = from): Stretch[] {
  const changes = events.flatMap(({ at, body }) => (body.type === "state" && body.previous !== body.status ? [{ at, body }] : [])).reverse();
  const first = changes[0];
  const points: { at: number; status: Status | null }[] = first
    ? [{ at: from, status: null }, { at: Math.min(knownFrom, first.at), status: first.body.previous }, ...changes.map(({ at, body }) => ({ at, status: body.status }))]
    : [
        { at: from, status: null },
        { at: since ?? to, status: current },
      ];
  const stretches: Stretch[] = [];
  points.forEach(({ at, status }, i) => {
    const begin = Math.max(from, at);
    const end = Math.min(to, points[i + 1]?.at ?? to);
    const last = stretches.at(-1);
    if (end <= begin) return;
    if (last?.status === status) last.to = end;
    else stretches.push({ from: begin, to: end, status });
  });
  return stretches;
}

/** Points asked for over the range: to the nearest hundredth is near enough. */
const POINTS = 100;

/** When results begin within the range, in milliseconds; its beginning until that is known. */
function useKnownFrom(id: CheckId, from: number, span: number): number {
  const known = useSignal<{ at: number; back: number } | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const labels = [`instance=${JSON.stringify(id.host)}`, `check=${JSON.stringify(id.check ?? "")}`];
    queryRange({ exprs: [`noroshi_check_status{${labels.join(",")}}`], start: from, end: from + span, step: span / POINTS }, abort.signal).then(
      ({ start, step, series }) => {
        const firsts = series.map(({ values }) => values.findIndex((value) => value !== null)).filter((i) => i >= 0);
        known.value = { at: firsts.length > 0 ? start + Math.min(...firsts) * step : Infinity, back: span };
      },
      () => (known.value = null),
    );
    return () => abort.abort();
  }, [id.host, id.check, span, Math.floor(from / (span / POINTS))]);
  return known.value?.back === span ? known.value.at : from * 1000;
}

interface Props {
  id: CheckId;
  events: readonly Event[];
  current: Status;
  since: number | null;
  /** Seconds since 1970. */
  from: number;
  to: number;
}

export function Timeline({ id, events, current, since, from, to }: Props) {
  const [start, end] = [from * 1000, Math.min(to * 1000, now.value)];
  const span = to * 1000 - start;
  const knownFrom = useKnownFrom(id, from, to - from);
  return (
    <div class="timeline-box">
      <div class="timeline" role="img" aria-label="States over the time range" data-testid="timeline">
        {stretchesOf(events, current, since, start, end, knownFrom).map((stretch) => (
          <i
            key={stretch.from}
            class={stretch.status === null ? "" : `tone-${toneOf(stretch.status)}`}
            style={{ left: `${((stretch.from - start) / span) * 100}%`, width: `${((stretch.to - stretch.from) / span) * 100}%` }}
            title={`${stretch.status === null ? "Not known" : nameOf(stretch.status)} for ${formatSince(stretch.to - stretch.from)}, from ${formatMoment(stretch.from)}`}
          />
        ))}
      </div>
      <div class="timeline-ends small faint">
        <span>{formatMoment(start)}</span>
        <span>{formatMoment(to * 1000)}</span>
      </div>
    </div>
  );
}
