/** All hosts; thousands of them stay fast. */

import { useMemo } from "preact/hooks";
import { HostList } from "../components/host-list";
import { Icon } from "../components/icon";
import { Empty, Failure, FilterBox, Segments, Skeleton } from "../components/parts";
import { matchesHost } from "../filter";
import { search, setSearch } from "../router";
import { isAdmin } from "../state/session";
import { failure, hosts, overview, readSite } from "../state/site";
import { isProblem, nameOf, severityOf, worstOf } from "../status";
import type { HostRow, Status } from "../api/types";
import { AddAgent } from "./overview";
import { RefusedAgents } from "./refused-agents";

type Order = "name" | "worst";

const OWN: Status[] = ["up", "down", "unreachable", "pending"];

/** `problems` is any host with something wrong on it. */
function hasStatus(host: HostRow, status: string): boolean {
  if (status === "") return true;
  return status === "problems" ? isProblem(worstOf(host)) : host.state.status === status;
}

export function HostsPage() {
  const filter = search.value.get("filter") ?? "";
  const status = search.value.get("status") ?? "";
  const group = search.value.get("group") ?? "";
  const order: Order = search.value.get("order") === "worst" ? "worst" : "name";
  const groups = useMemo(() => [...new Set(hosts.value.flatMap((host) => host.groups))].sort(), [hosts.value]);
  const shown = useMemo(() => {
    const found = hosts.value.filter((host) => hasStatus(host, status) && (group === "" || host.groups.includes(group)) && matchesHost(host, filter));
    const byName = (a: HostRow, b: HostRow): number => a.name.localeCompare(b.name, undefined, { numeric: true });
    return found.sort(order === "worst" ? (a, b) => severityOf(worstOf(b)) - severityOf(worstOf(a)) || byName(a, b) : byName);
  }, [hosts.value, filter, status, group, order]);
  if (!overview.value) return failure.value ? <Failure what="the hosts" error={failure.value} retry={() => void readSite()} /> : <Skeleton height={420} />;
  const all = hosts.value;
  const count = (of: string): number => all.filter((host) => hasStatus(host, of)).length;
  return (
    <>
      <div class="page-head">
        <h1>Hosts</h1>
        <span class="muted" data-testid="host-count">
          {shown.length === all.length ? all.length : `${shown.length} of ${all.length}`}
        </span>
        <span class="push" />
        <FilterBox value={filter} onInput={(text) => setSearch({ filter: text }, { replace: true })} label="Filter by name, address, label" testId="hosts-filter" />
        {isAdmin.value && (
          <a class="button" data-kind="primary" href="/add-host" data-testid="add-host">
            <Icon name="plus" /> Add a host
          </a>
        )}
      </div>
      <div class="row">
        <Segments<string>
          label="Status"
          value={status}
          onChange={(value) => setSearch({ status: value }, { replace: true })}
          options={[
            { value: "", label: "All" },
            { value: "problems", label: `With problems ${count("problems")}` },
            ...OWN.filter((of) => count(of) > 0 || of === status).map((of) => ({ value: of, label: `${nameOf(of)} ${count(of)}` })),
          ]}
        />
        {groups.length > 0 && (
          <select class="select" aria-label="Group" data-testid="hosts-group" value={group} onChange={(event) => setSearch({ group: event.currentTarget.value }, { replace: true })}>
            <option value="">All groups</option>
            {groups.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        )}
        <Segments<Order>
          label="Order"
          value={order}
          onChange={(value) => setSearch({ order: value === "name" ? null : value }, { replace: true })}
          options={[
            { value: "name", label: "By name" },
            { value: "worst", label: "Worst first" },
          ]}
        />
      </div>
      {shown.length > 0 ? (
        <HostList hosts={shown} />
      ) : (
        <div class="card">
          <Empty icon="search" title={all.length > 0 ? "No host matches" : "No hosts yet"} />
        </div>
      )}
      <RefusedAgents />
      {all.length === 1 && <AddAgent />}
    </>
  );
}
