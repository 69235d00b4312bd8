/** The performance data of a check's last run. */

import type { Perfdata, Range } from "../api/types";
import { formatValue } from "../format/quantity";

const unitOf = (unit: Perfdata["unit"]): string => (typeof unit === "string" ? unit : unit.other);

/** Says for which values a range alerts. */
export function alertsWhen(range: Range | null, unit: string): string {
  if (!range) return "";
  const { start, end, is_inside } = range;
  const low = start === null ? null : formatValue(start, unit);
  const high = end === null ? null : formatValue(end, unit);
  if (is_inside) return low === null ? `≤ ${high ?? "any"}` : high === null ? `≥ ${low}` : `${low} to ${high}`;
  if (low !== null && high !== null) return start === 0 ? `> ${high}` : `< ${low} or > ${high}`;
  return high !== null ? `> ${high}` : low !== null ? `< ${low}` : "";
}

export function PerfdataTable({ rows }: { rows: Perfdata[] }) {
  return (
    <section class="section" aria-label="Performance data">
      <div class="section-head">
        <h2>Performance data</h2>
      </div>
      <div class="card table-scroll">
        <table class="table" data-testid="perfdata">
          <thead>
            <tr>
              <th>Label</th>
              <th class="number">Value</th>
              <th class="number">Warning</th>
              <th class="number">Critical</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.label}>
                <td>{row.label}</td>
                <td class="number">{formatValue(row.value, unitOf(row.unit))}</td>
                <td class="number muted">{alertsWhen(row.warning, unitOf(row.unit))}</td>
                <td class="number muted">{alertsWhen(row.critical, unitOf(row.unit))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
