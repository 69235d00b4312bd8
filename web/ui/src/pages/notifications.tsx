/** Who was told what, by which way, and whether it arrived. */

import { useEffect } from "preact/hooks";
import { notifications as readNotifications } from "../api/client";
import type { Notification } from "../api/types";
import { Icon, type IconName } from "../components/icon";
import { usePaged } from "../components/paged";
import { Empty, Failure, Skeleton } from "../components/parts";
import { Moment } from "../components/status";
import { formatAge } from "../format/quantity";
import { checkPath } from "../router";
import { now } from "../state/clock";
import { listen } from "../state/stream";
import { keyOf } from "../status";

const PAGE_ROWS = 100;
/** States change without an event: a mail that waits, goes out. Milliseconds. */
const REFRESH_MS = 5000;

const STATES: Record<Notification["state"], { icon: IconName; tone: string; name: string }> = {
  sent: { icon: "ok", tone: "ok", name: "Sent" },
  queued: { icon: "pending", tone: "pending", name: "Waiting" },
  failed: { icon: "critical", tone: "critical", name: "Failed" },
  suppressed: { icon: "blocked", tone: "pending", name: "In a digest" },
};

export function NotificationsPage() {
  const page = usePaged<Notification>("notifications", PAGE_ROWS, (before, signal) => readNotifications(before?.id, signal));
  useEffect(() => {
    const timer = setInterval(() => {
      // Older pages that were asked for stay as they are.
      if (!document.hidden && (page.rows.value?.length ?? 0) <= PAGE_ROWS) page.restart();
    }, REFRESH_MS);
    const stop = listen({ resync: page.restart });
    return () => {
      clearInterval(timer);
      stop();
    };
  }, []);
  const rows = page.rows.value;
  return (
    <>
      <div class="page-head">
        <h1>Notifications</h1>
      </div>
      {page.failure.value && <Failure what="the notifications" error={page.failure.value} retry={page.restart} />}
      {!rows && !page.failure.value && <Skeleton height={420} />}
      {rows?.length === 0 && (
        <div class="card">
          <Empty icon="mail" title="Nobody was told anything yet">
            <p>
              When a problem is confirmed, the contacts in the configuration get a mail. Without a contact nobody is told: a name, an address and an SMTP server are all it takes.
            </p>
          </Empty>
        </div>
      )}
      {rows && rows.length > 0 && (
        <div class="card">
          <table class="table table-cards">
            <thead>
              <tr>
                <th>When</th>
                <th>State</th>
                <th>To</th>
                <th>Message</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <Row key={row.id} row={row} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {page.hasMore.value && (
        <button class="button center" onClick={page.more}>
          Older notifications
        </button>
      )}
    </>
  );
}

function Row({ row }: { row: Notification }) {
  const state = STATES[row.state];
  return (
    <tr data-testid="notification-row" data-state={row.state} data-kind={row.kind}>
      <td class="muted">
        <Moment at={row.at} />
      </td>
      <td>
        <span class={`status tone-${state.tone}`}>
          <Icon name={state.icon} /> {state.name}
        </span>
        {row.attempts > 1 && <div class="small faint">{row.attempts} attempts</div>}
        {row.next_attempt !== null && row.attempts > 0 && <div class="small faint">again in {formatAge(Math.max(0, row.next_attempt - now.value))}</div>}
      </td>
      <td class="wide">
        <span class="strong">{row.contact}</span>
        <div class="small faint">
          {row.channel === "pager" ? "pager " : ""}
          {row.address}
        </div>
      </td>
      <td class="wide">
        {row.subject}
        <div class="small">
          <span class="faint">{row.kind} · </span>
          <a href={checkPath(row)}>{keyOf(row)}</a>
        </div>
        {row.error && <div class="small tone-critical tone-text">{row.error}</div>}
      </td>
    </tr>
  );
}
