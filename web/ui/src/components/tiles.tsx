/** Counts of everything by status: calm where all is well. */

import type { Overview, Status } from "../api/types";
import { nameOf, toneOf } from "../status";
import { Icon } from "./icon";

interface Props {
  counts: Overview["counts"];
}

export function Tiles({ counts }: Props) {
  const { hosts, checks } = counts;
  return (
    <div class="tiles">
      <div class="card tile-group" role="group" aria-label="Hosts by status">
        <Tile status="up" count={hosts.up} what="hosts" pending={hosts.pending} />
        <Tile status="down" count={hosts.down} what="hosts" />
        <Tile status="unreachable" count={hosts.unreachable} what="hosts" />
      </div>
      <div class="card tile-group" role="group" aria-label="Checks by status">
        <Tile status="ok" count={checks.ok} what="checks" pending={checks.pending} />
        <Tile status="warning" count={checks.warning} what="checks" />
        <Tile status="critical" count={checks.critical} what="checks" />
        <Tile status="unknown" count={checks.unknown} what="checks" />
      </div>
    </div>
  );
}

interface TileProps {
  status: Status;
  count: number;
  what: "hosts" | "checks";
  pending?: number;
}

function Tile({ status, count, what, pending = 0 }: TileProps) {
  const tone = toneOf(status);
  const address = what === "hosts" ? `/hosts?status=${status}` : tone === "ok" ? "/hosts" : `/problems?status=${status}`;
  return (
    <a class={`tile tone-${tone}`} href={address} data-tone={tone} data-zero={count === 0} data-wrong={tone !== "ok" && count > 0}>
      <span class="tile-name">
        <Icon name={tone} size={14} />
        <span>
          {tone === "ok" && <span class="tile-what">{what === "hosts" ? "Hosts " : "Checks "}</span>}
          {nameOf(status)}
        </span>
      </span>
      <span class="tile-count" data-testid={`count-${status}`}>
        {count}
      </span>
      {pending > 0 && <span class="small faint">{pending} pending</span>}
    </a>
  );
}
