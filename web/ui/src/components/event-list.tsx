/** What happened, newest first. */

import type { ComponentChildren } from "preact";
import type { Event, EventBody, StateChange } from "../api/types";
import { formatMoment } from "../format/moment";
import { formatLasting } from "../format/quantity";
import { checkPath, hostPath } from "../router";
import { nameOf, toneOf } from "../status";
import { Icon, type IconName } from "./icon";
import { Moment } from "./status";

const KINDS: Record<StateChange["kind"], string> = {
  soft_problem: "not yet confirmed",
  soft_recovery: "before it was confirmed",
  hard_problem: "",
  hard_recovery: "recovered",
  hard_repeat: "again",
};

interface Told {
  icon: IconName;
  tone: string;
  title: ComponentChildren;
  text: string;
}

/** Says in words what happened. */
export function tell(body: EventBody): Told {
  switch (body.type) {
    case "state": {
      const note = body.kind !== "soft_problem" ? KINDS[body.kind] : body.lasting ? formatLasting(body.lasting) : `attempt ${body.attempt}/${body.attempts_max}`;
      return { icon: toneOf(body.status), tone: toneOf(body.status), title: nameOf(body.status) + (note ? `, ${note}` : ""), text: body.output };
    }
    case "acknowledged":
      return { icon: "acknowledge", tone: "", title: `Acknowledged by ${body.author}${body.until === null ? "" : ` until ${formatMoment(body.until)}`}`, text: body.comment };
    case "unacknowledged":
      return { icon: "acknowledge", tone: "", title: "Acknowledgement ended", text: body.author };
    case "downtime_started":
      return { icon: "downtime", tone: "", title: `Downtime of ${body.author} until ${formatMoment(body.until)}`, text: body.comment };
    case "downtime_ended":
      return { icon: "downtime", tone: "", title: body.is_cancelled ? "Downtime cancelled" : "Downtime ended", text: `It was ${nameOf(body.status)} then.` };
    case "flapping_started":
      return { icon: "flapping", tone: "", title: "Flapping began", text: `${body.percent.toFixed(0)} % of the last runs changed the state.` };
    case "flapping_stopped":
      return { icon: "flapping", tone: "", title: "Flapping ended", text: `At rest: ${nameOf(body.status)}.` };
    case "handler_ran":
      return {
        icon: body.is_ok ? "reset" : "critical",
        tone: body.is_ok ? "" : toneOf("critical"),
        title: `Event handler ${body.is_ok ? "ran" : "failed"} (${nameOf(body.status)}, ${body.state_type})`,
        text: `${body.what}: ${body.output}`,
      };
    case "configured":
      return { icon: "settings", tone: "", title: `Host ${body.change} by ${body.author}`, text: "" };
    case "commented":
      return { icon: "comment", tone: "", title: `Comment of ${body.author}`, text: body.comment };
  }
}

export function EventList({ events, hasSubject }: { events: Event[]; hasSubject: boolean }) {
  return (
    <div class="card events" role="table" aria-label="Events">
      {events.map((event) => (
        <EventRow key={event.sequence} event={event} hasSubject={hasSubject} />
      ))}
    </div>
  );
}

function EventRow({ event, hasSubject }: { event: Event; hasSubject: boolean }) {
  const { icon, tone, title, text } = tell(event.body);
  return (
    <div class={`event${hasSubject ? " event-wide" : ""}`} role="row" data-testid="event-row" data-type={event.body.type}>
      <span role="cell" class="event-at muted">
        <Moment at={event.at} />
      </span>
      <span role="cell" class={`event-title ${tone ? `status tone-${tone}` : "event-plain"}`}>
        <Icon name={icon} />
        <span>{title}</span>
      </span>
      {hasSubject && (
        <span role="cell" class="event-subject">
          {event.id.check !== null && (
            <>
              <a class="strong" href={checkPath(event.id)}>
                {event.id.check}
              </a>
              <span class="faint"> on </span>
            </>
          )}
          <a class={event.id.check === null ? "strong" : "muted"} href={hostPath(event.id.host)}>
            {event.id.host}
          </a>
        </span>
      )}
      <span role="cell" class="event-text muted">
        {text}
      </span>
    </div>
  );
}
