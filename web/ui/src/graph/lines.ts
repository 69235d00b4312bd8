/** How the lines of a graph are named and coloured. */

import type { Graph } from "../api/types";
import { distinguishing, filled, type FrameSeries, nameOf } from "./frame";
import type { PlotLine } from "./plot";

/**
 * Names each series by its legend, or by the labels that tell it apart. What goes out has the
 * colour of what comes in: the first line below zero belongs to the first above it. A brief name
 * keeps only the labels that differ, with the letter of its expression when there are several.
 */
export function linesOf(series: readonly Pick<FrameSeries, "query" | "labels">[], graph: Pick<Graph, "lines" | "title">, isBrief: boolean): PlotLine[] {
  const brief = distinguishing(series.map(({ labels }) => labels));
  const colors = new Map<string, number>();
  return series.map(({ query, labels }, i) => {
    const line = graph.lines[query];
    const style = line?.style ?? "line";
    const template = line?.legend ?? "";
    const key = `${rankOf(graph, query)} ${JSON.stringify(labels)}`;
    const color = colors.get(key) ?? colors.size;
    colors.set(key, color);
    const own = template !== "" || isBrief ? (brief[i] ?? {}) : labels;
    const letter = isBrief && graph.lines.length > 1 ? `${String.fromCharCode(65 + query)} ` : "";
    const [only, ...others] = Object.values(own);
    // A template names what it wants to be named by: the value alone does.
    if (template !== "" && only !== undefined && others.length === 0) return { legend: filled(template, labels) || only, style, color };
    return { legend: filled(template, labels) || letter + nameOf(own, letter === "" ? graph.title : " "), style, color };
  });
}

/** The place of a line among those on its side of zero. */
function rankOf(graph: Pick<Graph, "lines">, query: number): number {
  const isBelow = graph.lines[query]?.style === "negative";
  return graph.lines.slice(0, query).filter(({ style }) => (style === "negative") === isBelow).length;
}
