/** How much of a time something was fine, as a number, a bar and a list. */

import { useEffect, useState } from "preact/hooks";
import * as api from "../api/client";
import type { Availability as Answer } from "../api/configuration";
import type { CheckId } from "../api/types";
import { formatMoment } from "../format/moment";
import { formatSince } from "../format/quantity";
import { nameOf, toneOf } from "../status";
import { Failure, Segments, Skeleton } from "./parts";
import { percent, sharesOf, type Share } from "./shares";

export const DAY_MS = 86_400_000;
export const SPANS = [
  { value: "1", label: "24h" },
  { value: "7", label: "7d" },
  { value: "30", label: "30d" },
  { value: "90", label: "90d" },
  { value: "365", label: "1y" },
] as const;

export type Span = (typeof SPANS)[number]["value"];

export function Availability({ id }: { id: CheckId }) {
  const [span, setSpan] = useState<Span>("30");
  const [isPlannedLeftOut, setPlannedLeftOut] = useState(false);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    setFailure(null);
    api.availability(id, Number(span) * DAY_MS, abort.signal).then(setAnswer, (error: unknown) => {
      if (!abort.signal.aborted) setFailure(api.messageOf(error));
    });
    return () => abort.abort();
  }, [id.host, id.check, span]);
  return (
    <section class="section" aria-label="Availability" data-testid="availability">
      <div class="section-head">
        <h2>Availability</h2>
        <Segments<Span> label="Time" value={span} onChange={setSpan} options={[...SPANS]} />
      </div>
      <div class="card card-body stack">
        {failure ? <Failure what="the availability" error={failure} /> : answer ? <Result answer={answer} word={id.check === null ? "up" : "fine"} isPlannedLeftOut={isPlannedLeftOut} /> : <Skeleton height={96} />}
        <label class="tick small">
          <input type="checkbox" checked={isPlannedLeftOut} onChange={(event) => setPlannedLeftOut(event.currentTarget.checked)} />
          Leave downtimes out: what was announced counts neither way
        </label>
      </div>
    </section>
  );
}

const nameOfShare = ({ status, isPlanned }: Share): string => (status === null ? "Not known" : status === "off" ? "Monitor off" : nameOf(status)) + (isPlanned ? ", in downtime" : "");
const classOf = ({ status }: Share): string => (status === null || status === "off" ? "" : `tone-${toneOf(status)}`);

/** The time in parts, as a bar. */
export function Bar({ shares }: { shares: Share[] }) {
  return (
    <div class="timeline availability-bar" role="img" aria-label={shares.map((share) => `${nameOfShare(share)} ${percent(share.of)}`).join(", ")}>
      {shares.map((share) => (
        <i key={nameOfShare(share)} class={classOf(share)} data-planned={share.isPlanned} data-off={share.status === "off"} style={{ left: `${share.from * 100}%`, width: `${share.of * 100}%` }} title={`${nameOfShare(share)}: ${formatSince(share.ms)}`} />
      ))}
    </div>
  );
}

function Result({ answer, word, isPlannedLeftOut }: { answer: Answer; word: string; isPlannedLeftOut: boolean }) {
  const ratio = isPlannedLeftOut ? answer.ratio_without_downtime : answer.ratio;
  const shares = sharesOf(answer, isPlannedLeftOut);
  return (
    <>
      <p class="availability-ratio" data-testid="availability-ratio">
        {ratio === null ? <span class="faint">Nothing is known of this time</span> : <b>{percent(ratio)}</b>}
        {ratio !== null && <span class="muted"> {word}, of the known time</span>}
        {answer.known_since !== null && <span class="muted"> · known since {formatMoment(answer.known_since)}</span>}
      </p>
      <Bar shares={shares} />
      <ul class="availability-list small">
        {shares.map((share) => (
          <li key={nameOfShare(share)} data-testid="availability-share">
            <i class={`dot ${classOf(share)}`} data-planned={share.isPlanned} data-off={share.status === "off"} />
            <span>{nameOfShare(share)}</span>
            <b>{percent(share.of)}</b>
            <span class="muted">{formatSince(share.ms)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
