/** One graph with its legend, current as long as it is in sight. */

import { type Signal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import type { Graph, GraphLine } from "../api/types";
import { Icon } from "../components/icon";
import { formatTime, formatMoment } from "../format/moment";
import { formatValue } from "../format/quantity";
import { theme } from "../state/theme";
import { summaryOf } from "./frame";
import { linesOf } from "./lines";
import { type Loaded, type Sight, useFrame } from "./load";
import { colorOf, columnsOf, type Mark, optionsOf, paletteOf, type PlotSpec, type Threshold } from "./plot";
import { pageRange, RANGE_SECONDS_MIN, resetRange, setRange, spanOf } from "./range";

export type GraphSpec = Omit<Graph, "job">;

interface Props {
  graph: GraphSpec;
  thresholds?: Threshold[];
  marks?: Mark[];
  height?: number;
  /** Lines without a legend are named by what tells them apart, not by all labels. */
  isBrief?: boolean;
  /** Not shown as long as there is nothing to draw. */
  isOptional?: boolean;
}

const HEIGHT = 190;
/** As near as this share of the range, a mark is named beside the time. */
const NEAR = 0.01;
// The same each time: a new array would make a new drawing.
const NO_THRESHOLDS: Threshold[] = [];
const NO_MARKS: Mark[] = [];
/** Height of one line of the legend, in pixels. */
const LEGEND_ROW = 20;
/** Lines shown without scrolling: at most, and when their number is not known beforehand. */
const LEGEND_ROWS_MAX = 6;
const LEGEND_ROWS_USUAL = 4;
/** More lines than this cannot be told apart, and draw slowly. */
const LINES_MAX = 60;

export function GraphPanel({ graph, thresholds = NO_THRESHOLDS, marks = NO_MARKS, height = HEIGHT, isBrief = false, isOptional = false }: Props) {
  const root = useRef<HTMLElement>(null);
  const isHidden = useSignal(false);
  const sight = useSight(root);
  const range = pageRange.value;
  const { loaded, failure } = useFrame(graph.lines.map(({ expr }) => expr), range, isHidden.value ? "live" : sight);
  const hover = useSignal<number | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const names = useComputed(() => (loaded.value?.frame.series ?? []).map(({ key }) => key).join("\n"));
  const spec = useMemo<PlotSpec>(() => {
    const series = loaded.peek()?.frame.series ?? [];
    const lines = linesOf(series, graph, isBrief);
    return { unit: graph.unit, isStacked: graph.is_stacked, min: graph.min, max: graph.max, lines, thresholds, marks };
  }, [names.value, graph, thresholds, marks]);
  const at = useComputed(() => {
    const [data, index] = [loaded.value, hover.value];
    if (!data || index === null) return "";
    const moment = (data.frame.start + index * data.frame.step) * 1000;
    const near = marks.find((mark) => Math.abs(mark.at * 1000 - moment) < spanOf(range) * 1000 * NEAR);
    return (near ? `${near.label} · ` : "") + (spanOf(range) > 86_400 ? formatMoment(moment) : formatTime(moment));
  });
  const isEmpty = loaded.value !== null && loaded.value.frame.series.length === 0;
  isHidden.value = isOptional && isEmpty;
  const isTooMany = spec.lines.length > LINES_MAX;
  const toggle = (index: number, isAlone: boolean): void => setHidden(toggled(hidden, index, spec.lines.length, isAlone));
  return (
    <figure ref={root} class="card graph" data-testid="graph" data-graph={graph.id} aria-label={graph.title} hidden={isHidden.value}>
      <figcaption class="graph-head">
        <h3 class="ellipsis" title={graph.title}>
          {graph.title}
        </h3>
        <span class="graph-at">{at}</span>
      </figcaption>
      <div class="graph-plot" style={{ height: `${height}px` }}>
        {failure.value !== null ? (
          <p class="graph-word tone-critical" data-testid="graph-failure">
            <Icon name="critical" /> {failure.value}
          </p>
        ) : isEmpty ? (
          <p class="graph-word">No values in this range</p>
        ) : isTooMany ? (
          <p class="graph-word">{spec.lines.length} lines: too many to draw. Narrow the expression.</p>
        ) : (
          <Plot key={theme.value} loaded={loaded} spec={spec} hidden={hidden} height={height} hover={hover} />
        )}
      </div>
      {!isTooMany && <Legend rows={isBrief ? Math.min(LEGEND_ROWS_MAX, Math.max(1, spec.lines.length)) : legendRows(graph.lines)} loaded={loaded} spec={spec} hidden={hidden} hover={hover} toggle={toggle} />}
    </figure>
  );
}

/** How many lines the legend will have, as far as that is known before the values are. */
function legendRows(lines: readonly GraphLine[]): number {
  const isKnown = lines.every(({ legend }) => legend !== "" && !legend.includes("{{"));
  return isKnown ? Math.min(LEGEND_ROWS_MAX, lines.length) : LEGEND_ROWS_USUAL;
}

/** Shows or hides one line, or that one alone; never none. */
export function toggled(hidden: ReadonlySet<number>, index: number, count: number, isAlone: boolean): Set<number> {
  const others = Array.from({ length: count }, (_, i) => i).filter((i) => i !== index);
  const next = new Set(hidden);
  if (isAlone) return others.every((i) => hidden.has(i)) ? new Set() : new Set(others);
  if (!next.delete(index)) next.add(index);
  return next.size === count ? new Set() : next;
}

/** Graphs out of sight are read this much after those in sight, in milliseconds: for printing, and for whoever scrolls fast. */
const LATER_MS = 1200;

function useSight(root: { current: HTMLElement | null }): Sight {
  const [isInSight, setInSight] = useState(false);
  const [isLater, setLater] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLater(true), LATER_MS);
    const observer = new IntersectionObserver(([entry]) => setInSight(entry?.isIntersecting ?? false), { rootMargin: "200px" });
    if (root.current) observer.observe(root.current);
    return () => {
      clearTimeout(timer);
      observer.disconnect();
    };
  }, []);
  return isInSight ? "live" : isLater ? "once" : "none";
}

interface PlotProps {
  loaded: Signal<Loaded | null>;
  spec: PlotSpec;
  hidden: ReadonlySet<number>;
  height: number;
  hover: Signal<number | null>;
}

function Plot({ loaded, spec, hidden, height, hover }: PlotProps) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const root = element.current;
    if (!root || spec.lines.length === 0) return;
    const zoom = (from: number, to: number): void => {
      if (to - from >= RANGE_SECONDS_MIN) setRange({ kind: "fixed", from, to });
    };
    const options = optionsOf(spec, hidden, paletteOf(), { width: root.clientWidth, height }, "page", { onHover: (index) => (hover.value = index), onZoom: zoom, onReset: resetRange });
    const plot = new uPlot(options, [[]], root);
    const stop = loaded.subscribe((data) => {
      // While the set of series changes, the old drawing stands; the new one is made at once after.
      if (!data || data.frame.series.length !== spec.lines.length) return;
      plot.batch(() => {
        plot.setData(columnsOf(data, spec, hidden), false);
        plot.setScale("x", { min: data.from, max: data.to });
      });
    });
    const observer = new ResizeObserver(() => {
      if (root.clientWidth > 0) plot.setSize({ width: root.clientWidth, height });
    });
    observer.observe(root);
    return () => {
      observer.disconnect();
      stop();
      plot.destroy();
    };
  }, [spec, hidden, height]);
  return <div ref={element} class="plot" />;
}

interface LegendProps extends Omit<PlotProps, "height"> {
  /** Lines that it has room for. */
  rows: number;
  toggle: (index: number, isAlone: boolean) => void;
}

function Legend({ rows, loaded, spec, hidden, hover, toggle }: LegendProps) {
  const palette = useMemo(paletteOf, [theme.value]);
  const series = loaded.value?.frame.series ?? [];
  return (
    <div class="legend-box" style={{ height: `${LEGEND_ROW * (rows + 1)}px` }}>
      <table class="legend">
        <thead>
          <tr>
            <th scope="col">
              <span class="visually-hidden">Line</span>
            </th>
            <th scope="col">last</th>
            <th scope="col">avg</th>
            <th scope="col">max</th>
          </tr>
        </thead>
        <tbody>
          {spec.lines.map((line, i) => {
            const values = series[i]?.values ?? [];
            const summary = summaryOf(values);
            return (
              <tr key={series[i]?.key ?? i} class={hidden.has(i) ? "is-hidden" : ""}>
                <th scope="row">
                  <button type="button" title={`${line.legend} (double-click: alone)`} aria-pressed={!hidden.has(i)} onClick={(event) => toggle(i, event.ctrlKey || event.metaKey)} onDblClick={() => toggle(i, true)}>
                    <i style={{ background: colorOf(palette, line.color) }} />
                    <span class="ellipsis">{line.legend}</span>
                  </button>
                </th>
                <td class={hover.value === null ? "" : "is-hovered"}>{formatValue(hover.value === null ? summary.last : (values[hover.value] ?? null), spec.unit)}</td>
                <td>{formatValue(summary.average, spec.unit)}</td>
                <td>{formatValue(summary.max, spec.unit)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
