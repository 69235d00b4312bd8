/** The wall screen: large, without frame, only what is wrong. Read from across the room. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { CheckView, Status } from "../api/types";
import { Icon } from "../components/icon";
import { Banners } from "../components/shell";
import { Marks, Since } from "../components/status";
import { formatTime } from "../format/moment";
import { navigate } from "../router";
import { now } from "../state/clock";
import { counts, problems } from "../state/site";
import { connection } from "../state/stream";
import { isHandled, keyOf, nameOf, toneOf } from "../status";

/** Height of a line with its gap, and what stays free below, in pixels: what does not fit is counted. */
const ROW_PX = 84;
const FOOT_PX = 20;

export function WallPage() {
  const [fit, setFit] = useState(5);
  const root = useRef<HTMLElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const measure = (): void => {
    if (list.current) setFit(Math.max(3, Math.floor((window.innerHeight - FOOT_PX - list.current.offsetTop) / ROW_PX)));
  };
  // Banners come and go above the list.
  useEffect(measure);
  useEffect(() => {
    const leave = (event: KeyboardEvent): void => {
      if (event.key === "Escape" && !document.fullscreenElement) navigate("/");
    };
    window.addEventListener("resize", measure);
    document.addEventListener("keydown", leave);
    return () => {
      window.removeEventListener("resize", measure);
      document.removeEventListener("keydown", leave);
    };
  }, []);
  const open = problems.value;
  const shown = open.slice(0, open.length > fit ? fit - 1 : fit);
  const fill = (): void => void (document.fullscreenElement ? document.exitFullscreen() : root.current?.requestFullscreen());
  return (
    <main class="wall" ref={root} data-testid="wall">
      <h1 class="visually-hidden">Wall screen</h1>
      <header class="wall-head">
        <WallCounts />
        <div class="wall-clock">
          <time>{formatTime(now.value)}</time>
          <span class="live" data-state={connection.value}>
            <span class="live-dot" />
            {connection.value === "live" ? "Live" : "Not connected"}
          </span>
        </div>
        <div class="wall-tools">
          <button class="button" data-kind="quiet" data-size="icon" aria-label="Full screen" title="Full screen" onClick={fill}>
            <Icon name="wall" />
          </button>
          <a class="button" data-kind="quiet" data-size="icon" href="/" aria-label="Leave the wall screen" title="Leave">
            <Icon name="close" />
          </a>
        </div>
      </header>
      <Banners isWall />
      {open.length === 0 ? (
        <div class="wall-ok tone-ok" data-testid="no-problems">
          <Icon name="ok" size={120} />
          <p>No open problems</p>
        </div>
      ) : (
        <ul class="wall-list" ref={list}>
          {shown.map((check) => (
            <WallRow key={keyOf(check)} check={check} />
          ))}
          {open.length > shown.length && <li class="wall-more">and {open.length - shown.length} more</li>}
        </ul>
      )}
    </main>
  );
}

function WallCounts() {
  if (!counts.value) return <div />;
  const { hosts, checks } = counts.value;
  const wrong: [Status, number][] = [
    ["down", hosts.down],
    ["critical", checks.critical],
    ["unknown", checks.unknown],
    ["unreachable", hosts.unreachable],
    ["warning", checks.warning],
  ];
  return (
    <div class="wall-counts">
      {wrong.map(([status, count]) => (
        <div key={status} class={`wall-count tone-${toneOf(status)}`} data-zero={count === 0}>
          <b data-testid={`count-${status}`}>{count}</b>
          <span>
            <Icon name={toneOf(status)} size={18} /> {nameOf(status)}
          </span>
        </div>
      ))}
      <div class="wall-count" data-zero="true">
        <b data-testid="count-ok">{checks.ok}</b>
        <span>
          OK on {hosts.up} {hosts.up === 1 ? "host" : "hosts"} up
        </span>
      </div>
    </div>
  );
}

function WallRow({ check }: { check: CheckView }) {
  return (
    <li class={`wall-row tone-${toneOf(check.status)}`} data-handled={isHandled(check)} data-testid="problem-row" data-check={keyOf(check)} data-status={check.status}>
      <Icon name={toneOf(check.status)} size={34} />
      <div class="wall-where">
        <span class="ellipsis">
          <b>{check.host}</b> {check.check}
        </span>
        <span class="wall-output">
          <span class="ellipsis">{check.output}</span>
          <Marks check={check} />
        </span>
      </div>
      <span class="wall-since">
        <Since at={check.since} />
      </span>
    </li>
  );
}
