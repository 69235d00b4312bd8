/** How a status looks: colour, shape and word together. */

import type { CheckView, Status } from "../api/types";
import { formatLasting, formatSince } from "../format/quantity";
import { formatExact, formatMoment } from "../format/moment";
import { now } from "../state/clock";
import { nameOf, toneOf } from "../status";
import { Icon } from "./icon";

export function StatusIcon({ status, size = 16 }: { status: Status; size?: number }) {
  return (
    <span class={`status tone-${toneOf(status)}`} role="img" aria-label={nameOf(status)} title={nameOf(status)}>
      <Icon name={toneOf(status)} size={size} />
    </span>
  );
}

export function StatusText({ status, isBadge = false }: { status: Status; isBadge?: boolean }) {
  return (
    <span class={`status tone-${toneOf(status)}${isBadge ? " badge" : ""}`} data-testid="status" data-status={status}>
      <Icon name={toneOf(status)} />
      {nameOf(status)}
    </span>
  );
}

/** How near a problem is to being hard: its attempts, and how long it lasted when that counts. */
export function progress({ attempt, attempts_max, lasting }: Pick<CheckView, "attempt" | "attempts_max" | "lasting">): string {
  const attempts = !lasting || attempts_max > 1 ? `${attempt}/${attempts_max}` : "";
  return [attempts, lasting ? formatLasting(lasting) : ""].filter(Boolean).join(", ");
}

/** What else there is to know about a state, in small marks. */
export function Marks({ check }: { check: CheckView }) {
  const { acknowledgement: ack } = check;
  return (
    <>
      {check.state_type === "soft" && check.status !== "ok" && check.status !== "up" && check.status !== "pending" && (
        <span class="mark" data-testid="mark-soft" title="Not yet confirmed: nobody was told">
          <Icon name="soft" size={12} /> soft {progress(check)}
        </span>
      )}
      {check.is_acknowledged && (
        <span class="mark" data-testid="mark-acknowledged" title={ack ? `${ack.author}, ${formatMoment(ack.at)}: ${ack.comment}` : "Acknowledged"}>
          <Icon name="acknowledge" size={12} /> {ack?.author ?? "acknowledged"}
        </span>
      )}
      {check.is_in_downtime && (
        <span class="mark" data-testid="mark-downtime" title="In a downtime: nobody is told">
          <Icon name="downtime" size={12} /> downtime
        </span>
      )}
      {check.is_quiet && (
        <span class="mark" data-testid="mark-quiet" title="notify = false: nobody is told of its problems">
          <Icon name="quiet" size={12} /> tells nobody
        </span>
      )}
      {check.is_flapping && (
        <span class="mark" data-testid="mark-flapping" title={`Changes too often: ${check.flapping_percent.toFixed(0)} % of the last runs`}>
          <Icon name="flapping" size={12} /> flapping
        </span>
      )}
      {check.blocked_by.length > 0 && (
        <span class="mark" data-testid="mark-blocked" title={`Reached through ${check.blocked_by.join(", ")}`}>
          <Icon name="blocked" size={12} /> behind {check.blocked_by.at(-1)}
        </span>
      )}
    </>
  );
}

/** How long ago, ticking; the exact moment is its title. */
export function Since({ at }: { at: number | null }) {
  if (at === null) return <span class="faint">–</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={formatExact(at)}>
      {formatSince(now.value - at)}
    </time>
  );
}

/** A moment; the exact one with its time zone is its title. */
export function Moment({ at }: { at: number | null | undefined }) {
  if (at === null || at === undefined) return <span class="faint">–</span>;
  return (
    <time class="nowrap" dateTime={new Date(at).toISOString()} title={formatExact(at)}>
      {formatMoment(at)}
    </time>
  );
}
