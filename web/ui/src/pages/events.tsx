/** What happened on the whole site, newest first, live. */

import { useEffect } from "preact/hooks";
import { events as readEvents } from "../api/client";
import type { Event } from "../api/types";
import { EventList, tell } from "../components/event-list";
import { usePaged } from "../components/paged";
import { Empty, Failure, FilterBox, Segments, Skeleton } from "../components/parts";
import { matchesText } from "../filter";
import { search, setSearch } from "../router";
import { listen } from "../state/stream";
import { keyOf } from "../status";

type Kind = "all" | "confirmed" | "people";

const PAGE_ROWS = 200;

function isOf(event: Event, kind: Kind): boolean {
  if (kind === "all") return true;
  const { body } = event;
  return kind === "confirmed" ? body.type === "state" && body.kind.startsWith("hard") : body.type !== "state" && !body.type.startsWith("flapping");
}

const textOf = (event: Event): string => {
  const { title, text } = tell(event.body);
  return `${keyOf(event.id)} ${typeof title === "string" ? title : ""} ${text}`;
};

export function EventsPage() {
  const kind = (search.value.get("kind") ?? "all") as Kind;
  const filter = search.value.get("filter") ?? "";
  const page = usePaged<Event>("events", PAGE_ROWS, (before, signal) => readEvents({ limit: PAGE_ROWS, ...(before ? { before: before.sequence } : {}) }, signal));
  useEffect(
    () =>
      listen({
        event: (event) => {
          const known = page.rows.value;
          if (known && (known[0]?.sequence ?? 0) < event.sequence) page.rows.value = [event, ...known];
        },
        resync: page.restart,
      }),
    [],
  );
  const rows = page.rows.value;
  const shown = rows?.filter((event) => isOf(event, kind) && (filter === "" || matchesText(textOf(event), filter)));
  return (
    <>
      <div class="page-head">
        <h1>Events</h1>
        <span class="push" />
        <Segments<Kind>
          label="Kind"
          value={kind}
          onChange={(value) => setSearch({ kind: value === "all" ? null : value }, { replace: true })}
          options={[
            { value: "all", label: "All" },
            { value: "confirmed", label: "Confirmed states" },
            { value: "people", label: "What people did" },
          ]}
        />
        <FilterBox value={filter} onInput={(text) => setSearch({ filter: text }, { replace: true })} label="Filter" testId="events-filter" />
      </div>
      {page.failure.value && <Failure what="the events" error={page.failure.value} retry={page.restart} />}
      {!shown && !page.failure.value && <Skeleton height={420} />}
      {shown &&
        (shown.length > 0 ? (
          <EventList events={shown} hasSubject />
        ) : (
          <div class="card">
            <Empty icon="events" title={rows?.length ? "No event matches" : "Nothing has happened yet"}>
              {!rows?.length && <p>Every change of state, acknowledgement, downtime and comment is written here.</p>}
            </Empty>
          </div>
        ))}
      {page.hasMore.value && (
        <button class="button center" onClick={page.more}>
          Older events
        </button>
      )}
    </>
  );
}
