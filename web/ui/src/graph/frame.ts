/** The numbers of a graph: what the server answered, joined with what came since. Pure. */

import type { RangeAnswer } from "../api/types";

export interface FrameSeries {
  /** Names it among the series of its graph. */
  key: string;
  query: number;
  labels: Record<string, string>;
  values: (number | null)[];
}

/** Series on one grid of moments: `start + i * step`, in seconds. */
export interface Frame {
  start: number;
  step: number;
  length: number;
  series: FrameSeries[];
}

const keyOf = (query: number, labels: Record<string, string>): string =>
  `${query}{${Object.keys(labels).sort().map((name) => `${name}=${JSON.stringify(labels[name])}`).join(",")}}`;

/** Reads an answer whose times are milliseconds. */
export function frameOf(answer: RangeAnswer): Frame {
  const series = answer.series.map(({ query, labels, values }) => ({ key: keyOf(query, labels), query, labels, values }));
  const length = series.reduce((most, { values }) => Math.max(most, values.length), 0);
  return { start: answer.start / 1000, step: answer.step / 1000, length, series };
}

/**
 * Puts a newer piece over the end of a frame and lets go of what is before `start`. A moment that
 * neither knows is a gap. Frames of different steps cannot be joined: the newer one is returned.
 */
export function join(frame: Frame, tail: Frame, start: number): Frame {
  if (tail.length === 0 || tail.step !== frame.step) return tail.length === 0 ? frame : tail;
  const { step } = frame;
  const end = Math.max(frame.start + (frame.length - 1) * step, tail.start + (tail.length - 1) * step);
  const length = Math.max(0, Math.round((end - start) / step) + 1);
  const [oldOffset, newOffset] = [Math.round((frame.start - start) / step), Math.round((tail.start - start) / step)];
  const older = new Map(frame.series.map((series) => [series.key, series]));
  const newer = new Map(tail.series.map((series) => [series.key, series]));
  const series = [...new Map([...older, ...newer]).values()].map((either) => {
    const values = new Array<number | null>(length).fill(null);
    copy(older.get(either.key)?.values ?? [], values, oldOffset);
    for (let i = Math.max(0, newOffset); i < Math.min(length, newOffset + tail.length); i += 1) values[i] = null;
    copy(newer.get(either.key)?.values ?? [], values, newOffset);
    return { ...either, values };
  });
  return { start, step, length, series: series.filter(({ values }) => values.some((value) => value !== null)) };
}

function copy(from: readonly (number | null)[], to: (number | null)[], offset: number): void {
  for (let i = Math.max(0, -offset); i < from.length && i + offset < to.length; i += 1) to[i + offset] = from[i] ?? null;
}

export interface Summary {
  last: number | null;
  average: number | null;
  max: number | null;
}

/** Last, average and greatest of the values that are known. The last is `null` when the newest two are gaps. */
export function summaryOf(values: readonly (number | null)[]): Summary {
  let [sum, count] = [0, 0];
  let max: number | null = null;
  for (const value of values) {
    if (value === null) continue;
    sum += value;
    count += 1;
    max = max === null ? value : Math.max(max, value);
  }
  const last = values.at(-1) ?? values.at(-2) ?? null;
  return { last, average: count > 0 ? sum / count : null, max };
}

/** Lays each row on those before it. A gap stays a gap and lifts nobody. */
export function stack(rows: readonly (readonly (number | null)[])[]): (number | null)[][] {
  const height: number[] = [];
  return rows.map((row) =>
    row.map((value, i) => {
      if (value === null) return null;
      const top = (height[i] ?? 0) + value;
      height[i] = top;
      return top;
    }),
  );
}

/** Keeps the labels by which series differ from each other: what all have in common tells nothing. */
export function distinguishing(all: readonly Record<string, string>[]): Record<string, string>[] {
  const names = new Set(all.flatMap((labels) => Object.keys(labels)));
  const telling = [...names].filter((name) => all.some((labels) => labels[name] !== all[0]?.[name]));
  return all.map((labels) => Object.fromEntries(telling.flatMap((name) => (labels[name] === undefined ? [] : [[name, labels[name]]]))));
}

/** Fills `{{label}}` in a legend; empty when nothing came of it. */
export const filled = (template: string, labels: Record<string, string>): string => template.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name: string) => labels[name] ?? "").trim();

/** Writes a series as PromQL does: `up{job="node"}`; a series without labels by another name. */
export function nameOf(labels: Record<string, string>, nameless = "value"): string {
  const { __name__: metric = "", ...rest } = labels;
  const inner = Object.entries(rest).map(([name, value]) => `${name}="${value}"`);
  return metric + (inner.length > 0 ? `{${inner.join(", ")}}` : "") || nameless;
}
