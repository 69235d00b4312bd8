/** How much of a time many were fine: a row each, and all together. */

import { useEffect, useMemo, useState } from "preact/hooks";
import * as api from "../api/client";
import type { AvailabilityReport, AvailabilityRow, Together } from "../api/configuration";
import { Bar, DAY_MS, SPANS, type Span } from "../components/availability";
import { Icon } from "../components/icon";
import { Empty, Failure, FilterBox, Segments, Skeleton } from "../components/parts";
import { percent, sharesOf } from "../components/shares";
import { matchesText } from "../filter";
import { formatAge, formatSince } from "../format/quantity";
import { checkPath, search, setSearch } from "../router";
import { hosts } from "../state/site";
import { keyOf } from "../status";
import { Fact } from "./facts";

/** Rows drawn at most: the worst come first, and the download has all. */
const ROWS_MAX = 500;

export function AvailabilityPage() {
  const at = (name: string): string => search.value.get(name) ?? "";
  const [group, match, check, filter] = [at("group"), at("match"), at("check"), at("filter")];
  const span: Span = SPANS.find(({ value }) => value === at("span"))?.value ?? "30";
  const isPlannedLeftOut = at("planned") === "out";
  const [report, setReport] = useState<AvailabilityReport | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const [asked, setAsked] = useState({ match, check });
  const groups = useMemo(() => [...new Set(hosts.value.flatMap((host) => host.groups))].sort(), [hosts.value]);
  const wanted = { group, match, check, span: Number(span) * DAY_MS };
  useEffect(() => {
    const abort = new AbortController();
    setFailure(null);
    api.availabilityReport(wanted, abort.signal).then(setReport, (error: unknown) => {
      if (!abort.signal.aborted) setFailure(api.messageOf(error));
    });
    return () => abort.abort();
  }, [group, match, check, span]);
  return (
    <>
      <div class="page-head">
        <h1>Availability</h1>
        <span class="push" />
        <Segments<Span> label="Time" value={span} onChange={(value) => setSearch({ span: value === "30" ? null : value }, { replace: true })} options={[...SPANS]} />
        <a class="button" href={api.availabilityCsv(wanted)} download="availability.csv" data-testid="availability-csv">
          <Icon name="download" /> CSV
        </a>
      </div>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          setSearch(asked, { replace: true });
        }}
      >
        <select class="select" aria-label="Group" data-testid="availability-group" value={group} onChange={(event) => setSearch({ group: event.currentTarget.value }, { replace: true })}>
          <option value="">All groups</option>
          {groups.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <input class="input availability-input" aria-label="Labels" placeholder='Labels: {site="tokyo"}' value={asked.match} onInput={(event) => setAsked({ ...asked, match: event.currentTarget.value })} />
        <input class="input availability-input" aria-label="Check" placeholder="Check (the hosts, when empty)" data-testid="availability-check" value={asked.check} onInput={(event) => setAsked({ ...asked, check: event.currentTarget.value })} />
        <button class="button" type="submit">
          Show
        </button>
        <label class="tick small">
          <input type="checkbox" checked={isPlannedLeftOut} onChange={(event) => setSearch({ planned: event.currentTarget.checked ? "out" : null }, { replace: true })} />
          Leave downtimes out
        </label>
        <span class="push" />
        <FilterBox value={filter} onInput={(text) => setSearch({ filter: text }, { replace: true })} label="Filter by name" testId="availability-filter" />
      </form>
      {failure && <Failure what="the availability" error={failure} />}
      {!failure && !report && <Skeleton height={420} />}
      {!failure && report && <Report report={report} filter={filter} isPlannedLeftOut={isPlannedLeftOut} />}
    </>
  );
}

const ratioOf = (row: AvailabilityRow, isPlannedLeftOut: boolean): number | null => (isPlannedLeftOut ? row.ratio_without_downtime : row.ratio);
const shown = (ratio: number | null): string => (ratio === null ? "–" : percent(ratio));

function Report({ report, filter, isPlannedLeftOut }: { report: AvailabilityReport; filter: string; isPlannedLeftOut: boolean }) {
  const rows = useMemo(() => {
    const found = report.rows.filter((row) => filter === "" || matchesText(keyOf(row), filter));
    // The worst first; what is not known comes last.
    const order = (row: AvailabilityRow): number => ratioOf(row, isPlannedLeftOut) ?? 2;
    return found.sort((a, b) => order(a) - order(b) || keyOf(a).localeCompare(keyOf(b), undefined, { numeric: true }));
  }, [report, filter, isPlannedLeftOut]);
  if (report.rows.length === 0) {
    return (
      <div class="card">
        <Empty icon="search" title="Nothing is there by that group, label or name" />
      </div>
    );
  }
  const together: Together = isPlannedLeftOut ? report.together_without_downtime : report.together;
  const part = (ms: number): string => `${formatSince(ms)}${together.known_ms > 0 ? ` (${percent(ms / together.known_ms)})` : ""}`;
  return (
    <>
      <dl class="facts card card-body" data-testid="availability-together">
        <Fact name="Mean">{shown(isPlannedLeftOut ? report.mean_without_downtime : report.mean)}</Fact>
        <Fact name="Any down">{part(together.any_down_ms)}</Fact>
        <Fact name="All down">{part(together.all_down_ms)}</Fact>
        <Fact name="Rows">{rows.length === report.rows.length ? String(rows.length) : `${rows.length} of ${report.rows.length}`}</Fact>
      </dl>
      <div class="card table-scroll">
        <table class="table" data-testid="availability-table">
          <thead>
            <tr>
              <th>What</th>
              <th class="number">Fine</th>
              <th>Time</th>
              <th class="number availability-unseen">Not known</th>
              <th class="number availability-unseen">Monitor off</th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, ROWS_MAX).map((row) => (
              <tr key={keyOf(row)} data-testid="availability-row">
                <td>
                  <a href={checkPath(row)}>{keyOf(row)}</a>
                </td>
                <td class="number strong">{shown(ratioOf(row, isPlannedLeftOut))}</td>
                <td class="availability-cell">
                  <Bar shares={sharesOf(row, isPlannedLeftOut)} />
                </td>
                <td class="number muted availability-unseen">{row.unmonitored_ms > 0 ? formatAge(row.unmonitored_ms) : "–"}</td>
                <td class="number muted availability-unseen">{row.monitor_off_ms > 0 ? formatAge(row.monitor_off_ms) : "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {rows.length > ROWS_MAX && <p class="table-note muted">{rows.length - ROWS_MAX} more, better ones are in the download.</p>}
      </div>
    </>
  );
}
