/** One host: how it stands, its checks, its graphs. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import * as api from "../api/client";
import type { HostSource } from "../api/configuration";
import type { CheckView, Event, HostDetail } from "../api/types";
import { PageActions, RowActions } from "../components/actions";
import { Availability } from "../components/availability";
import { Icon } from "../components/icon";
import { Empty, Failure, Skeleton } from "../components/parts";
import { Marks, Moment, Since, StatusText } from "../components/status";
import { formatAge } from "../format/quantity";
import { GraphPanel } from "../graph/graph-panel";
import { marksOf, marksOfRestarts } from "../graph/marks";
import { RangePicker } from "../graph/range-picker";
import { changeHostPath, checkPath, navigate } from "../router";
import { now } from "../state/clock";
import { isAdmin } from "../state/session";
import { readSite } from "../state/site";
import { listen } from "../state/stream";
import { attempt } from "../state/toast";
import { compareProblems, keyOf, severityOf, toneOf } from "../status";
import { HostFacts } from "./host-facts";
import { SuggestedParents } from "./host-parents";

export function HostPage({ name }: { name: string }) {
  const detail = useSignal<HostDetail | null>(null);
  const events = useSignal<Event[]>([]);
  const failure = useSignal<string | null>(null);
  const read = (): void => {
    api.host(name).then(
      (answer) => {
        detail.value = answer;
        failure.value = null;
      },
      (error: unknown) => (failure.value = api.messageOf(error)),
    );
    api.events({ host: name, limit: 200 }).then(
      (answer) => (events.value = answer),
      () => (events.value = []),
    );
  };
  useEffect(() => {
    read();
    return listen({
      check: (check) => {
        if (check.host === name && detail.value) detail.value = withCheck(detail.value, check);
      },
      event: (event) => {
        if (event.id.host === name) events.value = [event, ...events.value];
      },
      config: read,
      resync: read,
    });
  }, [name]);
  const restarts = detail.value?.restarts;
  const marks = useMemo(() => [...marksOf(events.value), ...marksOfRestarts(restarts ?? [])], [events.value, restarts]);
  const shown = detail.value;
  if (!shown) return failure.value ? <Failure what={`host ${name}`} error={failure.value} retry={read} /> : <Skeleton height={420} />;
  const { host } = shown;
  return (
    <>
      <header class="stack">
        <div class="page-head">
          <h1 data-testid="host-name">{host.name}</h1>
          <StatusText status={host.state.status} isBadge />
          <Marks check={host.state} />
          <PageActions check={host.state} />
          <HostButtons host={host.name} source={shown.source} />
        </div>
        <HostFacts detail={shown} />
        <SuggestedParents detail={shown} onChange={read} />
      </header>
      <section class="section" aria-label="Checks">
        <div class="section-head">
          <h2>Checks</h2>
          <span class="muted">{shown.checks.length}</span>
        </div>
        <CheckTable checks={shown.checks} />
      </section>
      <Availability id={{ host: host.name, check: null }} />
      <section class="section" aria-label="Graphs">
        <div class="section-head">
          <h2>Graphs</h2>
          <RangePicker />
        </div>
        {shown.graphs.length === 0 ? (
          <div class="card">
            <Empty icon="explore" title="No graphs yet">
              <p>They appear with the first values of an agent or a poll.</p>
            </Empty>
          </div>
        ) : (
          <div class="graphs">
            {shown.graphs.map((graph) => (
              <GraphPanel key={`${graph.job}/${graph.id}`} graph={graph} marks={marks} isOptional />
            ))}
          </div>
        )}
      </section>
    </>
  );
}

/** What an admin does to a host that was added here. */
function HostButtons({ host, source }: { host: string; source: HostSource | null }) {
  if (!isAdmin.value || source?.kind !== "added") return null;
  const remove = async (): Promise<void> => {
    if (!confirm(`Remove ${host} and all its checks? What it measured stays as long as the archives reach.`)) return;
    if (await attempt(`${host} is removed`, () => api.removeHost(host))) {
      await readSite();
      navigate("/hosts");
    }
  };
  return (
    <div class="row">
      <a class="button" href={changeHostPath(host)} data-testid="change-host">
        <Icon name="settings" /> Change
      </a>
      <button class="button" data-kind="danger" data-size="icon" aria-label={`Remove ${host}`} title="Remove the host" data-testid="remove-host" onClick={() => void remove()}>
        <Icon name="trash" />
      </button>
    </div>
  );
}

/** Puts a changed check, or the host's own changed state, in its place. */
function withCheck(detail: HostDetail, check: CheckView): HostDetail {
  if (check.check === null) return { ...detail, host: { ...detail.host, state: check } };
  const isKnown = detail.checks.some((known) => known.check === check.check);
  const checks = isKnown ? detail.checks.map((known) => (known.check === check.check ? check : known)) : [...detail.checks, check];
  return { ...detail, checks };
}

function CheckTable({ checks }: { checks: CheckView[] }) {
  if (checks.length === 0) {
    return (
      <div class="card">
        <Empty icon="pending" title="No checks on this host" />
      </div>
    );
  }
  const sorted = [...checks].sort((a, b) =>
    severityOf(a.status) > 0 || severityOf(b.status) > 0 ? severityOf(b.status) - severityOf(a.status) || compareProblems(a, b) : (a.check ?? "").localeCompare(b.check ?? ""),
  );
  return (
    <div class="card" role="table" aria-label="Checks">
      <div class="check-row check-head" role="row">
        {["Status", "Check", "Output", "For", "Runs"].map((name) => (
          <span key={name} role="columnheader">
            {name}
          </span>
        ))}
      </div>
      {sorted.map((check) => (
        <CheckRow key={keyOf(check)} check={check} />
      ))}
    </div>
  );
}

function CheckRow({ check }: { check: CheckView }) {
  return (
    <div class={`check-row tone-${toneOf(check.status)}`} role="row" data-testid="check-row" data-check={keyOf(check)} data-status={check.status}>
      <span role="cell" class="check-status">
        <StatusText status={check.status} />
      </span>
      <span role="cell" class="check-name ellipsis">
        <a href={checkPath(check)} class="strong" data-testid="check-link">
          {check.check}
        </a>
      </span>
      <span role="cell" class="problem-output" title={check.output}>
        <span class="problem-text">{check.output}</span>
        <Marks check={check} />
      </span>
      <span role="cell" class="check-since muted nowrap">
        <Since at={check.since} />
      </span>
      <span role="cell" class="check-runs">
        <span>{check.last_check === null ? "not yet run" : <>ran <Moment at={check.last_check} /></>}</span>
        {check.next_check !== null && <span class="faint">next in {formatAge(Math.max(0, check.next_check - now.value))}</span>}
      </span>
      <span role="cell" class="problem-actions">
        <RowActions check={check} />
      </span>
    </div>
  );
}
