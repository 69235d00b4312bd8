/** Where hosts come from, and those that people add: what the server gives out and takes. */

import type { Status } from "./types";

/** How long something was in which confirmed state, in milliseconds. */
export interface Availability {
  host: string;
  check: string | null;
  start: number;
  end: number;
  /** Share of the known time that was fine, 0 to 1; `null` when nothing is known. */
  ratio: number | null;
  ratio_without_downtime: number | null;
  status_ms: Partial<Record<Status, number>>;
  /** The part of it that was in a downtime. */
  downtime_ms: Partial<Record<Status, number>>;
  unmonitored_ms: number;
  /** The monitor itself was off: whatever was known before, nobody looked. */
  monitor_off_ms: number;
  known_since: number | null;
}

export type AvailabilityRow = Omit<Availability, "start" | "end">;

/** How long any of several, or all of them, were not fine. */
export interface Together {
  known_ms: number;
  any_down_ms: number;
  all_down_ms: number;
}

export interface AvailabilityReport {
  start: number;
  end: number;
  mean: number | null;
  mean_without_downtime: number | null;
  together: Together;
  together_without_downtime: Together;
  rows: AvailabilityRow[];
}

/** Keys and values of `[host.NAME]`. */
export type HostTable = Record<string, unknown>;

/** Who did something, and when. */
export interface Signature {
  by: string;
  at: number;
}

/** Where a host comes from. */
export type HostSource =
  | { kind: "file"; path: string; line: number; overrides_added: boolean }
  | { kind: "added"; added: Signature | null; changed: Signature | null }
  | { kind: "agent" }
  | { kind: "server" };

/** A host that was added while the server ran. */
export interface AddedHost {
  name: string;
  /** Secrets are masked; a mask that is sent back keeps them. */
  table: HostTable;
  added: Signature | null;
  changed: Signature | null;
  overridden_by: string | null;
  faults: string[];
}

/** What a host may name. */
export interface HostChoices {
  templates: string[];
  check_templates: string[];
  groups: string[];
  contacts: string[];
  periods: string[];
  may_add_commands: boolean;
}

/** What a host gets by its own table, templates, groups and checks for many. */
export interface HostGets {
  alive: string;
  checks: { name: string; kind: string }[];
  polls: string[];
}

/** A host through which another may be reached. */
export interface SuggestedParent {
  host: string;
  parent: string;
  reason: string;
}

/** A machine that reports and is no host. */
export interface RefusedAgent {
  host: string;
  address: string;
  facts: Record<string, string>;
  reason: string;
}

/** What is wrong with a submitted host: `field` is empty when it is about the whole. */
export interface FieldFault {
  field: string;
  what: string;
  advice: string;
}
