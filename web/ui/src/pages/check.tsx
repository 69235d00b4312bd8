/** One check: what it found, since when, what was done, who was told. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import * as api from "../api/client";
import type { CheckId, CheckView, Event, GraphHint } from "../api/types";
import { PageActions } from "../components/actions";
import { Availability } from "../components/availability";
import { EventList } from "../components/event-list";
import { Empty, Failure, Skeleton } from "../components/parts";
import { Marks, StatusText } from "../components/status";
import { Timeline } from "../components/timeline";
import { Why } from "../components/why";
import { formatValue } from "../format/quantity";
import { GraphPanel, type GraphSpec } from "../graph/graph-panel";
import { marksOf } from "../graph/marks";
import type { Mark, Threshold } from "../graph/plot";
import { pageRange } from "../graph/range";
import { RangePicker } from "../graph/range-picker";
import { serverTime } from "../state/clock";
import { listen } from "../state/stream";
import { CheckFacts } from "./check-facts";
import { PerfdataTable } from "./perfdata-table";

export function CheckPage({ host, check: name }: { host: string; check: string }) {
  const id = useMemo<CheckId>(() => ({ host, check: name }), [host, name]);
  const check = useSignal<CheckView | null>(null);
  const events = useSignal<Event[]>([]);
  const failure = useSignal<string | null>(null);
  const read = (): void => {
    api.check(id).then(
      (answer) => {
        check.value = answer.check;
        events.value = answer.events;
        failure.value = null;
      },
      (error: unknown) => (failure.value = api.messageOf(error)),
    );
  };
  useEffect(() => {
    read();
    return listen({
      check: (changed) => {
        if (changed.host === host && changed.check === name) check.value = changed;
      },
      event: (event) => {
        if (event.id.host === host && event.id.check === name) events.value = [event, ...events.value];
      },
      config: read,
      resync: read,
    });
  }, [id]);
  const marks = useMemo(() => marksOf(events.value), [events.value]);
  const shown = check.value;
  if (!shown) return failure.value ? <Failure what={`check ${host}/${name}`} error={failure.value} retry={read} /> : <Skeleton height={420} />;
  return (
    <>
      <header class="stack">
        <div class="page-head">
          <h1 data-testid="check-name">
            {name} <span class="faint">on</span> <a href={`/hosts/${encodeURIComponent(host)}`}>{host}</a>
          </h1>
          <StatusText status={shown.status} isBadge />
          <Marks check={shown} />
          <PageActions check={shown} />
        </div>
        <div class="card card-body stack">
          <p class="output" data-testid="output">
            {shown.output || <span class="faint">No output yet</span>}
          </p>
          {shown.long_output && <pre class="long-output">{shown.long_output}</pre>}
          <CheckFacts check={shown} />
        </div>
      </header>
      <section class="section" aria-label="History">
        <div class="section-head">
          <h2>History</h2>
          <RangePicker />
        </div>
        <History check={shown} events={events.value} />
        {shown.graphs.length > 0 && (
          <div class="graphs">
            {shown.graphs.map((hint) => (
              <HintGraph key={hint.expr} hint={hint} marks={marks} />
            ))}
          </div>
        )}
      </section>
      {shown.perfdata.length > 0 && <PerfdataTable rows={shown.perfdata} />}
      <Availability id={id} />
      <section class="section" aria-label="Who was told, and why">
        <div class="section-head">
          <h2>Who was told, and why</h2>
        </div>
        <Why id={id} />
      </section>
      <section class="section" aria-label="Events">
        <div class="section-head">
          <h2>Events</h2>
        </div>
        {events.value.length > 0 ? (
          <EventList events={events.value} hasSubject={false} />
        ) : (
          <div class="card">
            <Empty icon="events" title="Nothing has happened yet" />
          </div>
        )}
      </section>
    </>
  );
}

function History({ check, events }: { check: CheckView; events: Event[] }) {
  const range = pageRange.value;
  const to = range.kind === "last" ? serverTime() / 1000 : range.to;
  const from = range.kind === "last" ? to - range.seconds : range.from;
  return (
    <div class="card card-body">
      <Timeline id={check} events={events} current={check.status} since={check.since} from={from} to={to} />
    </div>
  );
}

function HintGraph({ hint, marks }: { hint: GraphHint; marks: Mark[] }) {
  const graph = useMemo<GraphSpec>(
    () => ({ id: hint.title, title: hint.title, unit: hint.unit, is_stacked: false, min: null, max: null, lines: [{ expr: hint.expr, legend: "", style: "line" }] }),
    [hint.expr, hint.title, hint.unit],
  );
  const thresholds = useMemo<Threshold[]>(() => {
    const of = (value: number | null, tone: "warning" | "critical"): Threshold[] => (value === null ? [] : [{ value, tone, label: `${tone} ${formatValue(value, hint.unit)}` }]);
    return [...of(hint.warning, "warning"), ...of(hint.critical, "critical")];
  }, [hint.warning, hint.critical, hint.unit]);
  return <GraphPanel graph={graph} thresholds={thresholds} marks={marks} height={220} isBrief />;
}
