/** All open problems, narrowed by status, by whether somebody has them, and by words. */

import type { Status } from "../api/types";
import { Empty, Failure, FilterBox, Segments, Skeleton } from "../components/parts";
import { ProblemList } from "../components/problem-list";
import { matchesCheck } from "../filter";
import { search, setSearch } from "../router";
import { failure, overview, problems, readSite } from "../state/site";
import { isHandled, nameOf } from "../status";

type Who = "all" | "open" | "handled" | "soft";

const STATUSES: Status[] = ["down", "critical", "unknown", "unreachable", "warning"];

export function ProblemsPage() {
  if (!overview.value) return failure.value ? <Failure what="the problems" error={failure.value} retry={() => void readSite()} /> : <Skeleton height={420} />;
  const filter = search.value.get("filter") ?? "";
  const status = search.value.get("status") ?? "";
  const who = (search.value.get("who") ?? "all") as Who;
  const all = problems.value;
  const ofWho = all.filter((check) => who === "all" || (who === "soft" ? check.state_type === "soft" : isHandled(check) === (who === "handled")));
  const matching = ofWho.filter((check) => matchesCheck(check, filter));
  const shown = matching.filter((check) => status === "" || check.status === status);
  const count = (of: Status): number => matching.filter((check) => check.status === of).length;
  return (
    <>
      <div class="page-head">
        <h1>Problems</h1>
        <span class="muted">{shown.length === all.length ? all.length : `${shown.length} of ${all.length}`}</span>
        <span class="push" />
        <FilterBox value={filter} onInput={(text) => setSearch({ filter: text }, { replace: true })} label="Filter by host, check, output" testId="problems-filter" />
      </div>
      <div class="row">
        <Segments<string>
          label="Status"
          value={status}
          onChange={(value) => setSearch({ status: value }, { replace: true })}
          options={[{ value: "", label: "All" }, ...STATUSES.filter((of) => count(of) > 0 || of === status).map((of) => ({ value: of, label: `${nameOf(of)} ${count(of)}` }))]}
        />
        <Segments<Who>
          label="Taken care of"
          value={who}
          onChange={(value) => setSearch({ who: value === "all" ? null : value }, { replace: true })}
          options={[
            { value: "all", label: "Everybody’s" },
            { value: "open", label: "Nobody’s" },
            { value: "handled", label: "Acknowledged or in downtime" },
            { value: "soft", label: "Unconfirmed" },
          ]}
        />
      </div>
      {shown.length > 0 ? (
        <ProblemList problems={shown} />
      ) : (
        <div class="card" data-testid="no-problems">
          {all.length === 0 ? (
            <Empty icon="ok" title="No open problems">
              <p>Everything that is checked is as it should be.</p>
            </Empty>
          ) : (
            <Empty icon="search" title="No problem matches">
              <button class="button" onClick={() => setSearch({ filter: null, status: null, who: null }, { replace: true })}>
                Show all {all.length}
              </button>
            </Empty>
          )}
        </div>
      )}
    </>
  );
}
