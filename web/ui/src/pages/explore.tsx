/** Asks any question in PromQL: a graph, a table of the values now, links to share. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { messageOf, query, queryRange, queryString } from "../api/client";
import type { InstantAnswer } from "../api/types";
import { Icon } from "../components/icon";
import { copy, Empty } from "../components/parts";
import { ExprInput } from "../expr/expr-input";
import { frameOf } from "../graph/frame";
import { GraphPanel, type GraphSpec } from "../graph/graph-panel";
import { boundsOf, pageRange, withWindow } from "../graph/range";
import { RangePicker } from "../graph/range-picker";
import { unitOf } from "../graph/unit";
import { replaceSearch, search } from "../router";
import { serverTime } from "../state/clock";
import { theme } from "../state/theme";
import { attempt } from "../state/toast";
import { csvOf, download } from "./explore-csv";
import { InstantTable } from "./instant-table";

const EXAMPLES: [expr: string, what: string][] = [
  ['100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$window])))', "CPU busy of every host, per cent"],
  ["node_load1", "load of every host"],
  ["topk(5, noroshi_check_status)", "the worst checks"],
  ["up", "what answers its polls"],
];

const TITLES = ["A", "B", "C", "D", "E", "F", "G", "H"];

export function ExplorePage() {
  const asked = search.value.getAll("expr").filter((text) => text.trim() !== "");
  const question = asked.join("\n");
  const [drafts, setDrafts] = useState<string[]>(asked.length > 0 ? asked : [""]);
  useEffect(() => {
    setDrafts(asked.length > 0 ? asked : [""]);
  }, [question]);
  const run = (exprs: string[]): void => ask(exprs.map((expr) => expr.trim()).filter(Boolean));
  return (
    <>
      <div class="page-head">
        <h1>Explore</h1>
        <RangePicker />
      </div>
      <form
        class="stack"
        data-testid="explore-form"
        onSubmit={(event) => {
          event.preventDefault();
          run(drafts);
        }}
      >
        {drafts.map((draft, i) => (
          <div key={i} class="expr-line">
            <span class="expr-name faint">{TITLES[i]}</span>
            <ExprInput value={draft} onInput={(text) => setDrafts(drafts.with(i, text))} onSubmit={() => run(drafts)} />
            {drafts.length > 1 && (
              <button type="button" class="button" data-kind="quiet" data-size="icon" aria-label={`Remove expression ${TITLES[i] ?? ""}`} onClick={() => run(drafts.toSpliced(i, 1))}>
                <Icon name="close" />
              </button>
            )}
          </div>
        ))}
        <div class="row">
          <button class="button" data-kind="primary">
            Show
          </button>
          {drafts.length < TITLES.length && (
            <button type="button" class="button" onClick={() => setDrafts([...drafts, ""])}>
              <Icon name="plus" /> Expression
            </button>
          )}
          {asked.length > 0 && <Links exprs={asked} />}
        </div>
      </form>
      {asked.length > 0 ? <Answers key={question} exprs={asked} /> : <Examples run={(expr) => run([expr])} />}
    </>
  );
}

/** Puts the expressions into the address: it is the link to share. */
function ask(exprs: string[]): void {
  const next = new URLSearchParams(search.value);
  next.delete("expr");
  for (const expr of exprs) next.append("expr", expr);
  replaceSearch(next);
}

function Examples({ run }: { run: (expr: string) => void }) {
  return (
    <div class="card">
      <Empty icon="explore" title="Ask in PromQL">
        <p>For example:</p>
        <ul class="examples">
          {EXAMPLES.map(([expr, what]) => (
            <li key={expr}>
              <button type="button" class="button" data-kind="quiet" onClick={() => run(expr)}>
                <code class="ellipsis">{expr}</code>
              </button>
              <span class="small faint">{what}</span>
            </li>
          ))}
        </ul>
      </Empty>
    </div>
  );
}

function Answers({ exprs }: { exprs: string[] }) {
  const answers = useSignal<(InstantAnswer | string)[]>([]);
  const graph = useMemo<GraphSpec>(
    () => ({ id: "explore", title: exprs.length === 1 ? (exprs[0] ?? "") : "Expressions", unit: commonUnit(exprs), is_stacked: false, min: null, max: null, lines: exprs.map((expr) => ({ expr, legend: "", style: "line" as const })) }),
    [exprs.join("\n")],
  );
  useEffect(() => {
    const abort = new AbortController();
    const { step } = boundsOf(pageRange.value, serverTime() / 1000);
    void Promise.all(withWindow(exprs, step).map((expr) => query(expr, undefined, abort.signal).catch(messageOf))).then((all) => {
      if (!abort.signal.aborted) answers.value = all;
    });
    return () => abort.abort();
  }, [exprs.join("\n"), pageRange.value]);
  return (
    <>
      <h2 class="visually-hidden">Graph</h2>
      <GraphPanel graph={graph} height={340} isBrief />
      <section class="section" aria-label="Values now">
        <div class="section-head">
          <h2>Values now</h2>
        </div>
        {answers.value.map((answer, i) => (
          <InstantTable key={i} title={exprs.length > 1 ? `${TITLES[i] ?? ""}: ${exprs[i] ?? ""}` : ""} answer={answer} />
        ))}
      </section>
    </>
  );
}

function commonUnit(exprs: string[]): string {
  const units = new Set(exprs.map(unitOf));
  return units.size === 1 ? ([...units][0] ?? "") : "";
}

function Links({ exprs }: { exprs: string[] }) {
  const bounds = (): { start: number; end: number; step: number } => boundsOf(pageRange.value, serverTime() / 1000);
  const png = (): string => {
    const { start, end, step } = bounds();
    return `/graph.png${queryString({ expr: withWindow(exprs, step), start, end, width: 1200, height: 500, theme: theme.value })}`;
  };
  const csv = (): Promise<boolean> =>
    attempt("CSV is read", async () => {
      const { start, end, step } = bounds();
      download("noroshi.csv", csvOf(frameOf(await queryRange({ exprs: withWindow(exprs, step), start, end, step }))));
    });
  return (
    <div class="row push">
      <button type="button" class="button" data-size="small" data-testid="share" onClick={() => void copy(shareLink())}>
        <Icon name="link" size={14} /> Copy link
      </button>
      <a class="button" data-size="small" data-testid="png-link" href={png()} target="_blank" rel="noreferrer">
        <Icon name="external" size={14} /> PNG
      </a>
      <button type="button" class="button" data-size="small" data-testid="csv" onClick={() => void csv()}>
        <Icon name="download" size={14} /> CSV
      </button>
    </div>
  );
}

/** The address with a fixed range: whoever opens it later sees the same. */
function shareLink(): string {
  const next = new URL(location.href);
  const { start, end } = boundsOf(pageRange.value, serverTime() / 1000);
  next.searchParams.delete("range");
  next.searchParams.set("from", String(start));
  next.searchParams.set("to", String(end));
  return next.href;
}
