/** Hosts, one line each: state, name, groups, how their checks stand, how busy they are. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { queryRange } from "../api/client";
import type { CheckCounts, HostRow } from "../api/types";
import { formatValue } from "../format/quantity";
import { checkPath, hostPath } from "../router";
import { serverTime } from "../state/clock";
import { worstByHost } from "../state/site";
import { nameOf, toneOf, totalOf, worstOf } from "../status";
import { Icon } from "./icon";
import { StatusText } from "./status";
import { Windowed } from "./windowed";

/** The load curve covers this time, in seconds, in steps of so many seconds. */
const SPARK_SECONDS = 3600;
const SPARK_STEP = 120;
const REFRESH_MS = 60_000;
const SPARK = { width: 84, height: 22 };

export function HostList({ hosts }: { hosts: HostRow[] }) {
  const sparks = useSignal<ReadonlyMap<string, (number | null)[]>>(new Map());
  const onSight = useSparks((more) => {
    sparks.value = new Map([...sparks.value, ...more]);
  });
  return (
    <div class="card" role="table" aria-label="Hosts" aria-rowcount={hosts.length}>
      <div class="host-row host-head" role="row">
        {["Status", "Host", "Groups", "Checks"].map((name) => (
          <span key={name} role="columnheader">
            {name}
          </span>
        ))}
        <span role="columnheader" class="number">
          CPU, last hour
        </span>
      </div>
      <Windowed rows={hosts} height={{ wide: 52, narrow: 68 }} keyOf={(host) => host.name} onSight={onSight} draw={(host) => <Row host={host} spark={sparks.value.get(host.name)} />} />
    </div>
  );
}

function Row({ host, spark }: { host: HostRow; spark: (number | null)[] | undefined }) {
  const worst = worstOf(host);
  const problem = worstByHost.value.get(host.name);
  const detail = [host.alias !== host.name ? host.alias : "", host.address].filter(Boolean).join(" · ");
  return (
    <div class={`host-row tone-${toneOf(worst)}`} role="row" data-testid="host-row" data-host={host.name} data-status={worst}>
      <span role="cell" class="host-status">
        <StatusText status={host.state.status} />
      </span>
      <span role="cell" class="host-name">
        <a href={hostPath(host.name)} class="strong ellipsis" data-testid="host-link">
          {host.name}
        </a>
        {detail && <span class="faint small ellipsis">{detail}</span>}
      </span>
      <span role="cell" class="host-groups ellipsis muted" title={host.groups.join(", ")}>
        {host.groups.join(", ")}
      </span>
      <span role="cell" class="host-checks">
        <Counts counts={host.counts} />
        {problem && (
          <a href={checkPath(problem)} class="host-worst ellipsis" title={problem.output}>
            {problem.check}
          </a>
        )}
      </span>
      <span role="cell" class="spark">
        {spark && <Spark values={spark} />}
      </span>
    </div>
  );
}

/** How many checks stand how: what is wrong in its colour, the rest quietly. */
export function Counts({ counts }: { counts: CheckCounts }) {
  if (totalOf(counts) === 0) return <span class="faint">no checks</span>;
  return (
    <span class="host-counts">
      {(["critical", "unknown", "warning", "pending", "ok"] as const)
        .filter((status) => counts[status] > 0)
        .map((status) => (
          <span key={status} class={`count tone-${toneOf(status)}`} data-wrong={status !== "ok" && status !== "pending"} title={`${counts[status]} ${nameOf(status)}`}>
            <Icon name={toneOf(status)} size={13} /> {counts[status]}
            {status === "ok" && " ok"}
          </span>
        ))}
    </span>
  );
}

/** A curve of shares, 0 to 1, with its last value. */
function Spark({ values }: { values: (number | null)[] }) {
  const { width, height } = SPARK;
  const last = values.findLast((value) => value !== null) ?? null;
  const x = (i: number): string => ((i / Math.max(1, values.length - 1)) * width).toFixed(1);
  const y = (value: number): string => (height - 1.5 - Math.min(1, Math.max(0, value)) * (height - 3)).toFixed(1);
  const runs: string[][] = [[]];
  values.forEach((value, i) => {
    if (value === null) runs.push([]);
    else runs.at(-1)?.push(`${x(i)},${y(value)}`);
  });
  return (
    <>
      <svg width={width} height={height} aria-hidden="true">
        {runs.filter((run) => run.length > 1).map((run) => (
          <polyline key={run[0]} points={run.join(" ")} />
        ))}
      </svg>
      <span class="spark-value">{formatValue(last === null ? null : Math.round(last * 1000) / 1000, "ratio")}</span>
    </>
  );
}

const escape = (name: string): string => name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/** Reads the curves of the hosts in sight, all in one question, again every minute. */
function useSparks(found: (sparks: Map<string, (number | null)[]>) => void): (hosts: readonly HostRow[]) => void {
  const sight = useRef<string[]>([]);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const read = async (): Promise<void> => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void read(), REFRESH_MS);
    if (sight.current.length === 0 || document.hidden) return;
    const end = Math.floor(serverTime() / 1000 / SPARK_STEP) * SPARK_STEP;
    const names = JSON.stringify(sight.current.map(escape).join("|"));
    const expr = `1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle",instance=~${names}}[4m]))`;
    try {
      const answer = await queryRange({ exprs: [expr], start: end - SPARK_SECONDS, end, step: SPARK_STEP });
      found(new Map(answer.series.map(({ labels, values }) => [labels["instance"] ?? "", values])));
    } catch {
      // The list is of use without its curves; a server that does not answer is told of elsewhere.
    }
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  return (hosts) => {
    sight.current = hosts.map(({ name }) => name);
    clearTimeout(timer.current);
    // Not for every line that scrolls by.
    timer.current = setTimeout(() => void read(), 250);
  };
}
