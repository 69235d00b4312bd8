/** The answer to an expression at one moment. */

import type { InstantAnswer } from "../api/types";
import { Failure } from "../components/parts";
import { formatMoment } from "../format/moment";
import { nameOf } from "../graph/frame";

/** Rows drawn at most. */
const ROWS_MAX = 500;
/** Significant digits shown: more than anything is measured to. */
const DIGITS = 10;

interface Row {
  labels: Record<string, string>;
  value: string;
}

/** Reads what the server gives for each type of value; a number that is not known is `null`. */
export function rowsOf(answer: InstantAnswer): Row[] {
  const text = (value: unknown): string => (typeof value === "number" ? String(Number(value.toPrecision(DIGITS))) : typeof value === "string" ? value : "unknown");
  const { result } = answer;
  if (!Array.isArray(result)) {
    const value = typeof result === "object" && result !== null && "value" in result ? result.value : result;
    return [{ labels: {}, value: text(value) }];
  }
  return (result as { labels?: Record<string, string>; value?: unknown }[]).map(({ labels = {}, value }) => ({ labels, value: text(value) }));
}

/** Why there is nothing: three things that are easily taken for each other. */
export function absenceText({ absence, silent_since: since }: InstantAnswer): string {
  switch (absence) {
    case "never_known":
      return "No series: nothing by that name was ever heard of.";
    case "silent":
      return since === null ? "No series: they are known, and have no data now." : `No series: they are known, and have had no data since ${formatMoment(since)}.`;
    case "empty_by_comparison":
      return "No series: there is data, and the comparison holds for none of it.";
    case "none":
      return "No series.";
  }
}

export function InstantTable({ title, answer }: { title: string; answer: InstantAnswer | string }) {
  if (typeof answer === "string") return <Failure what={title || "the values"} error={answer} />;
  const rows = rowsOf(answer);
  return (
    <div class="card table-scroll">
      <table class="table" data-testid="values">
        <thead>
          <tr>
            <th>
              {title || "Series"} <span class="faint">({rows.length})</span>
            </th>
            <th class="number">Value</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, ROWS_MAX).map((row, i) => (
            <tr key={i}>
              <td class="mono">{nameOf(row.labels)}</td>
              <td class="number mono">{row.value}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length === 0 && <p class="faint table-note">{absenceText(answer)}</p>}
      {answer.warnings.map((warning) => (
        <p key={warning} class="faint table-note">
          {warning}
        </p>
      ))}
    </div>
  );
}
