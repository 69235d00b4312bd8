/** Makes uPlot's description of one of our graphs. */

import uPlot from "uplot";
import type { LineStyle } from "../api/types";
import { formatValue } from "../format/quantity";
import type { Tone } from "../status";
import { BINARY_STEPS, SECONDS_STEPS, timeLabels } from "./axis";
import type { Loaded } from "./load";
import { stack } from "./frame";

export interface PlotLine {
  legend: string;
  style: LineStyle;
  /** Of the palette, from 0. */
  color: number;
}

export interface Threshold {
  value: number;
  tone: Tone;
  label: string;
}

/** Something that happened: a line down at its moment. */
export interface Mark {
  /** Seconds since 1970. */
  at: number;
  tone: Tone;
  label: string;
}

export interface PlotSpec {
  unit: string;
  isStacked: boolean;
  min: number | null;
  max: number | null;
  lines: PlotLine[];
  thresholds: Threshold[];
  marks: Mark[];
}

export interface Palette {
  lines: string[];
  tones: Record<Tone, string>;
  grid: string;
  axis: string;
  surface: string;
}

const COLORS = 10;

/** Reads the colours of the theme as the browser has worked them out. */
export function paletteOf(): Palette {
  const probe = document.createElement("span");
  document.body.append(probe);
  const color = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const palette: Palette = {
    lines: Array.from({ length: COLORS }, (_, i) => color(`chart-${i + 1}`)),
    tones: { ok: color("ok"), warning: color("warning"), critical: color("critical"), unknown: color("unknown"), pending: color("pending") },
    grid: color("chart-grid"),
    axis: color("chart-axis"),
    surface: color("surface"),
  };
  probe.remove();
  return palette;
}

export const colorOf = (palette: Palette, index: number): string => palette.lines[index % COLORS] ?? palette.axis;

function fade(color: string, alpha: number): string {
  return color.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);
}

/** The columns as uPlot takes them: moments, then one column a line, stacked and mirrored. */
export function columnsOf(loaded: Loaded, spec: PlotSpec, hidden: ReadonlySet<number>): uPlot.AlignedData {
  const { frame } = loaded;
  const moments = Array.from({ length: frame.length }, (_, i) => frame.start + i * frame.step);
  const rows = frame.series.map(({ values }, i) => {
    if (hidden.has(i)) return moments.map(() => null);
    const isMirrored = spec.lines[i]?.style === "negative";
    return moments.map((_, at) => {
      const value = values[at] ?? null;
      return value !== null && isMirrored ? -value : value;
    });
  });
  return [moments, ...(spec.isStacked ? stack(rows) : rows)];
}

/** The ends of the value axis: zero is in sight, and so is every threshold that is not far away. */
export function endsOf(low: number | null, high: number | null, spec: Pick<PlotSpec, "min" | "max" | "thresholds">): [number, number] {
  let [from, to] = [Math.min(low ?? 0, 0), Math.max(high ?? 0, 0)];
  for (const { value } of spec.thresholds) [from, to] = [Math.min(from, value), Math.max(to, value)];
  const room = (to - from || 1) * 0.06;
  if (to > 0 || from === 0) to += room;
  if (from < 0) from -= room;
  return [spec.min ?? from, Math.max(spec.max ?? to, (spec.min ?? from) + 1e-9)];
}

export interface Callbacks {
  onHover: (index: number | null) => void;
  onZoom: (from: number, to: number) => void;
  onReset: () => void;
}

export function optionsOf(spec: PlotSpec, hidden: ReadonlySet<number>, palette: Palette, size: { width: number; height: number }, syncKey: string, on: Callbacks): uPlot.Options {
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: palette.axis, font, grid: { stroke: palette.grid, width: 1 }, ticks: { show: false }, border: { show: false } };
  const isBinary = spec.unit.startsWith("bytes");
  return {
    ...size,
    padding: [8, 26, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: syncKey, setSeries: false },
      drag: { x: true, y: false, setScale: false, dist: 6 },
      points: { size: 6 },
      y: false,
      bind: {
        dblclick: () => () => {
          on.onReset();
          return null;
        },
      },
    },
    scales: {
      x: { time: true, range: (_, from, to) => [from, to] },
      y: { range: (_, low, high) => endsOf(low, high, spec) },
    },
    axes: [
      { ...axis, space: 64, size: 30, gap: 8, values: (_, ticks, __, ___, distance) => timeLabels(ticks, distance) },
      {
        ...axis,
        size: 68,
        gap: 6,
        space: 30,
        ...(isBinary ? { incrs: BINARY_STEPS } : spec.unit === "seconds" ? { incrs: SECONDS_STEPS } : {}),
        values: (_, ticks) => ticks.map((tick) => formatValue(spec.lines.some(({ style }) => style === "negative") ? Math.abs(tick) : tick, spec.unit)),
      },
    ],
    series: [{}, ...spec.lines.map((line, i) => ({ ...seriesOf(line, spec, palette), show: !hidden.has(i) }))],
    ...(spec.isStacked ? { bands: bandsOf(spec.lines.length, hidden) } : {}),
    hooks: {
      setCursor: [(plot) => on.onHover(plot.cursor.idx ?? null)],
      setSelect: [
        (plot) => {
          if (plot.select.width < 6) return;
          on.onZoom(plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x"));
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      draw: [(plot) => drawMarks(plot, spec, palette, font)],
    },
  };
}

function seriesOf(line: PlotLine, { isStacked, lines }: PlotSpec, palette: Palette): uPlot.Series {
  const color = colorOf(palette, line.color);
  // What is drawn below zero is filled when what is above is.
  const isFilled = line.style === "area" || (line.style === "negative" && lines.some(({ style }) => style === "area"));
  const fill = isStacked ? 0.5 : isFilled ? 0.16 : 0;
  return { label: line.legend, stroke: color, width: isStacked ? 1 : 1.5, ...(fill > 0 ? { fill: fade(color, fill) } : {}), points: { size: 4, filter: lonelyPoints }, spanGaps: false };
}

/** Only values between two gaps get a point: no line shows them. */
function lonelyPoints(plot: uPlot, index: number): number[] {
  return lonely(plot.data[index] ?? []);
}

/** Places of values that have no neighbour. */
export function lonely(values: ArrayLike<number | null | undefined>): number[] {
  const isGap = (i: number): boolean => values[i] === null || values[i] === undefined;
  return Array.from({ length: values.length }, (_, i) => i).filter((i) => !isGap(i) && isGap(i - 1) && isGap(i + 1));
}

/** Between each line that is shown and the shown one below it. */
function bandsOf(count: number, hidden: ReadonlySet<number>): uPlot.Band[] {
  const shown = Array.from({ length: count }, (_, i) => i + 1).filter((i) => !hidden.has(i - 1));
  return shown.slice(1).map((upper, i) => ({ series: [upper, shown[i] ?? 1] }));
}

function drawMarks(plot: uPlot, spec: PlotSpec, palette: Palette, font: string): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.lineWidth = ratio;
  for (const mark of spec.marks) {
    const x = Math.round(plot.valToPos(mark.at, "x", true)) + 0.5;
    if (x < left || x > left + width) continue;
    ctx.strokeStyle = ctx.fillStyle = palette.tones[mark.tone];
    ctx.setLineDash([2 * ratio, 3 * ratio]);
    line(ctx, x, top, x, top + height);
    ctx.beginPath();
    ctx.moveTo(x - 4 * ratio, top);
    ctx.lineTo(x + 4 * ratio, top);
    ctx.lineTo(x, top + 6 * ratio);
    ctx.fill();
  }
  ctx.font = font.replace("11px", `${Math.round(10 * ratio)}px`);
  for (const threshold of spec.thresholds) {
    const y = Math.round(plot.valToPos(threshold.value, "y", true)) + 0.5;
    ctx.strokeStyle = ctx.fillStyle = palette.tones[threshold.tone];
    ctx.setLineDash([6 * ratio, 4 * ratio]);
    line(ctx, left, y, left + width, y);
    const isLow = y - top < 16 * ratio;
    ctx.textBaseline = isLow ? "top" : "bottom";
    // Warning and critical may lie close together: each has its own end of the line.
    const isLeft = threshold.tone === "warning";
    ctx.textAlign = isLeft ? "left" : "right";
    ctx.fillText(threshold.label, isLeft ? left + 4 * ratio : left + width - 4 * ratio, y + (isLow ? 3 : -3) * ratio);
  }
  ctx.restore();
}

function line(ctx: CanvasRenderingContext2D, fromX: number, fromY: number, toX: number, toY: number): void {
  ctx.beginPath();
  ctx.moveTo(fromX, fromY);
  ctx.lineTo(toX, toY);
  ctx.stroke();
}
