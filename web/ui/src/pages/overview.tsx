/** The first page: how everything stands, what is open, which hosts there are. */

import { useState } from "preact/hooks";
import { HostList } from "../components/host-list";
import { Icon } from "../components/icon";
import { Command, Empty, Failure, FilterBox, Skeleton } from "../components/parts";
import { ProblemList } from "../components/problem-list";
import { Tiles } from "../components/tiles";
import type { Overview } from "../api/types";
import { matchesCheck, matchesHost } from "../filter";
import { formatSince, formatValue } from "../format/quantity";
import { now } from "../state/clock";
import { counts, failure, hosts, overview, problems, readSite } from "../state/site";

export function OverviewPage() {
  const [filter, setFilter] = useState("");
  if (!overview.value || !counts.value) {
    return failure.value ? <Failure what="the overview" error={failure.value} retry={() => void readSite()} /> : <Skeleton height={420} />;
  }
  const open = problems.value.filter((check) => matchesCheck(check, filter));
  const shown = hosts.value.filter((host) => matchesHost(host, filter));
  return (
    <>
      <h1 class="visually-hidden">Overview</h1>
      <Tiles counts={counts.value} />
      <section class="section" aria-label="Open problems">
        <div class="section-head">
          <h2>Open problems</h2>
          <span class="muted">{problems.value.length > 0 && problems.value.length}</span>
          <span class="push" />
          <FilterBox value={filter} onInput={setFilter} label="Filter problems and hosts" testId="overview-filter" />
        </div>
        {open.length > 0 ? (
          <ProblemList problems={open} />
        ) : (
          <div class="card" data-testid="no-problems">
            {problems.value.length > 0 ? (
              <Empty icon="search" title="No problem matches the filter" />
            ) : (
              <Empty icon="ok" title="No open problems">
                <p>Everything that is checked is as it should be.</p>
              </Empty>
            )}
          </div>
        )}
      </section>
      <section class="section" aria-label="Hosts">
        <div class="section-head">
          <h2>Hosts</h2>
          <span class="muted">{hosts.value.length}</span>
        </div>
        {shown.length > 0 ? <HostList hosts={shown} /> : <div class="card">{<Empty icon="search" title={hosts.value.length > 0 ? "No host matches the filter" : "No hosts yet"} />}</div>}
        {hosts.value.length === 1 && <AddAgent />}
      </section>
      <SelfLine site={overview.value} />
    </>
  );
}

/** How the server itself stands, in one line. */
function SelfLine({ site }: { site: Overview }) {
  const { self } = site;
  const count = (value: number, one: string, many: string): string => `${value} ${value === 1 ? one : many}`;
  const words = [
    `Running for ${formatSince(now.value - site.started_at)}`,
    count(self.series, "series", "series"),
    `${formatValue(self.used_bytes, "bytes")} of ${formatValue(self.planned_bytes, "bytes")} planned on disk, ${formatValue(self.disk_free_bytes, "bytes")} free`,
    count(self.agents, "agent", "agents"),
    count(self.polls, "poll", "polls") + (self.polls_failing > 0 ? `, ${self.polls_failing} failing` : ""),
    ...(self.notifications_queued > 0 ? [`${self.notifications_queued} mails waiting`] : []),
  ];
  return (
    <p class="small faint" data-testid="self">
      {words.join(" · ")}
    </p>
  );
}

/** What a newcomer does next. */
export function AddAgent() {
  return (
    <div class="card card-body stack" data-testid="add-agent">
      <div class="row">
        <Icon name="plus" />
        <h3>Only this machine is watched so far</h3>
      </div>
      <p class="muted">
        Make an agent token under <a href="/settings">Settings</a>, put it into a file on the other machine, and start the agent there. The host then appears here by itself.
      </p>
      <Command text={`noroshi-agent --server ${location.origin} --token-file agent.token`} />
    </div>
  );
}
