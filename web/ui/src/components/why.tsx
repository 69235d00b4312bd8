/** Why somebody was told, or was not: every stage with its reason. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { messageOf, why } from "../api/client";
import type { CheckId, ContactTrace, Trace, TraceStep } from "../api/types";
import { listen } from "../state/stream";
import { toneOf } from "../status";
import { Icon } from "./icon";
import { Empty, Failure, Skeleton } from "./parts";
import { Moment, StatusText } from "./status";

/** After an event the decision takes a moment. Milliseconds. */
const DECIDED_MS = 1500;

export function Why({ id }: { id: CheckId }) {
  const traces = useSignal<Trace[] | null>(null);
  const failure = useSignal<string | null>(null);
  useEffect(() => {
    const read = (): void => {
      why(id).then(
        (answer) => {
          traces.value = answer;
          failure.value = null;
        },
        (error: unknown) => (failure.value = messageOf(error)),
      );
    };
    read();
    return listen({
      event: (event) => {
        if (event.id.host === id.host && event.id.check === id.check) setTimeout(read, DECIDED_MS);
      },
      resync: read,
    });
  }, [id.host, id.check]);
  if (failure.value) return <Failure what="the decisions" error={failure.value} />;
  if (!traces.value) return <Skeleton height={80} />;
  if (traces.value.length === 0) {
    return (
      <div class="card">
        <Empty icon="notifications" title="Nothing was decided yet">
          <p>With the first change of state it is written here who was told and who was not, and why.</p>
        </Empty>
      </div>
    );
  }
  // The newest decision in which more was weighed than what kind of event it is.
  const telling = traces.value.find(({ steps }) => steps.length > 1) ?? traces.value[0];
  return (
    <div class="card traces" data-testid="why">
      {traces.value.map((trace) => (
        <TraceView key={trace.number} trace={trace} isOpen={trace === telling} />
      ))}
    </div>
  );
}

function TraceView({ trace, isOpen }: { trace: Trace; isOpen: boolean }) {
  const told = trace.contacts.filter(({ is_told }) => is_told).map(({ contact }) => contact);
  const stopped = trace.steps.find(({ passes }) => !passes) ?? trace.contacts.flatMap(({ steps }) => steps).find(({ passes }) => !passes);
  return (
    <details class={`trace tone-${toneOf(trace.status)}`} open={isOpen} data-testid="trace">
      <summary>
        <span class="muted">
          <Moment at={trace.at} />
        </span>
        <StatusText status={trace.status} />
        <span class="trace-word">
          {told.length > 0 ? (
            <>
              told <b>{told.join(", ")}</b>
            </>
          ) : (
            <>told nobody: {stopped?.reason ?? "there is no contact for it"}</>
          )}
        </span>
        <span class="faint trace-trigger">{trace.trigger}</span>
      </summary>
      <Steps steps={trace.steps} />
      {trace.contacts.map((contact) => (
        <ContactSteps key={contact.contact} trace={contact} />
      ))}
    </details>
  );
}

function ContactSteps({ trace }: { trace: ContactTrace }) {
  return (
    <div class="trace-contact">
      <h3>
        {trace.contact} <span class="faint">{trace.is_told ? "was told" : "was not told"}</span>
      </h3>
      <Steps steps={trace.steps} />
    </div>
  );
}

function Steps({ steps }: { steps: TraceStep[] }) {
  return (
    <ol class="steps">
      {steps.map(({ stage, passes, reason }) => (
        <li key={stage} class={passes ? "tone-ok" : "tone-warning"}>
          <Icon name={passes ? "ok" : "blocked"} size={14} />
          <span class="step-name">{stage.replaceAll("_", " ")}</span>
          <span class="muted">{reason}</span>
        </li>
      ))}
    </ol>
  );
}
