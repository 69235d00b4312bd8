/**
 * What the server's native API gives out and takes, word for word.
 *
 * Times are milliseconds since 1970. A number that is not known is `null`, never zero.
 */

import type { HostSource } from "./configuration";

export type Status = "ok" | "warning" | "critical" | "unknown" | "up" | "down" | "unreachable" | "pending";
export type StateType = "soft" | "hard";
export type Role = "viewer" | "operator" | "admin" | "agent";

export interface CheckId {
  host: string;
  check: string | null;
}

/** A threshold range of the plug-in guidelines; an open end is `null`. */
export interface Range {
  start: number | null;
  end: number | null;
  is_inside: boolean;
}

export interface Perfdata {
  label: string;
  value: number | null;
  /** `none`, `seconds`, `bytes`, `bits`, `percent`, `counter`, or any other as the plug-in wrote it. */
  unit: string | { other: string };
  warning: Range | null;
  critical: Range | null;
  min: number | null;
  max: number | null;
}

export interface GraphHint {
  expr: string;
  title: string;
  unit: string;
  warning: number | null;
  critical: number | null;
}

export interface Acknowledgement {
  author: string;
  comment: string;
  at: number;
  until: number | null;
  is_sticky?: boolean;
}

export interface Downtime {
  id: number;
  start: number;
  end: number;
  author: string;
  comment: string;
  is_active?: boolean;
  is_of_host?: boolean;
}

export interface Comment {
  at: number;
  author: string;
  text: string;
}

export interface CheckView extends CheckId {
  status: Status;
  state_type: StateType;
  attempt: number;
  attempts_max: number;
  /** How long its problem was seen to last, of how long it must to be hard; `null`: only attempts count. */
  lasting: { seen_ms: number; needed_ms: number } | null;
  output: string;
  long_output: string;
  perfdata: Perfdata[];
  since: number | null;
  last_check: number | null;
  next_check: number | null;
  run_time_ms: number | null;
  latency_ms: number | null;
  /** The open problem: sequence number of its first event. */
  problem: number | null;
  is_acknowledged: boolean;
  acknowledgement: Acknowledgement | null;
  is_in_downtime: boolean;
  downtimes: Downtime[];
  is_flapping: boolean;
  flapping_percent: number;
  /** Whether nobody is told of its problems. */
  is_quiet: boolean;
  /** Hosts that are not up and through which it is reached, nearest first. */
  blocked_by: string[];
  kind: string;
  expr: string | null;
  argv: string[] | null;
  interval_ms: number;
  notes: string;
  notes_url: string;
  labels?: Record<string, string>;
  graphs: GraphHint[];
  comments: Comment[];
}

export interface CheckCounts {
  ok: number;
  warning: number;
  critical: number;
  unknown: number;
  pending: number;
}

export interface HostCounts {
  up: number;
  down: number;
  unreachable: number;
  pending: number;
}

export interface HostView {
  name: string;
  alias: string;
  address: string;
  groups: string[];
  labels: Record<string, string>;
  /** Names of those labels that its agent gave it; left out when none. */
  labels_of_agent?: string[];
  parents: string[];
  state: CheckView;
  counts: CheckCounts;
}

/** A host in lists: without what its last run found. */
export interface HostRow extends Omit<HostView, "state"> {
  state: HostState;
}

/** How a host stands, in short. */
export type HostState = Pick<CheckView, "status" | "state_type" | "since" | "is_acknowledged" | "is_in_downtime">;

export interface ConfigStatus {
  /** `null`: the built-in configuration. */
  path: string | null;
  loaded_at: number | null;
  /** Of the last reload that failed; empty when all is well. */
  errors: string[];
  /** Added hosts that are left out because of faults, or overridden by a file. */
  notes: string[];
}

/** How the server itself stands. */
export interface SelfView {
  series: number;
  /** What the files of the series will take at most. */
  planned_bytes: number;
  used_bytes: number;
  disk_free_bytes: number | null;
  is_disk_full: boolean;
  /** Whether the store has stopped to write: something is damaged. */
  is_broken: boolean;
  notifications_queued: number;
  agents: number;
  polls: number;
  polls_failing: number;
}

export interface Overview {
  now: number;
  version: string;
  started_at: number;
  counts: { hosts: HostCounts; checks: CheckCounts };
  problems: CheckView[];
  hosts: HostRow[];
  config: ConfigStatus;
  self: SelfView;
}

export type LineStyle = "line" | "area" | "negative";

export interface GraphLine {
  expr: string;
  legend: string;
  style: LineStyle;
}

export interface Graph {
  job: string;
  id: string;
  title: string;
  unit: string;
  is_stacked: boolean;
  min: number | null;
  max: number | null;
  lines: GraphLine[];
}

export interface AgentView {
  host: string;
  /** Name of the token that it uses. */
  token: string;
  address: string;
  os: string;
  kernel: string;
  version: string;
  first_seen: number;
  last_seen: number;
  interval_ms: number | null;
  /** The server's time less the agent's. */
  clock_offset_ms: number;
  /** What its config calls the host. */
  labels: Record<string, string>;
  series: number;
  frames_missing: number;
}

export interface PollStatus {
  instance: string;
  kind: string;
  address: string;
  last_run: number | null;
  last_success: number | null;
  duration_ms: number;
  samples: number;
  /** Stable name of the last poll's failure. */
  failure: string | null;
  failure_text: string | null;
}

export interface HostDetail {
  host: HostView;
  checks: CheckView[];
  graphs: Graph[];
  agent: AgentView | null;
  polls: PollStatus[];
  restarts: Restart[];
  source: HostSource | null;
}

/** A source's counters began anew. */
export interface Restart {
  /** The first sample after it, milliseconds since 1970. */
  at: number;
  started_at: number;
  job: string;
}

export interface StateChange {
  type: "state";
  kind: "soft_problem" | "soft_recovery" | "hard_problem" | "hard_recovery" | "hard_repeat";
  previous: Status;
  status: Status;
  state_type: StateType;
  attempt: number;
  attempts_max: number;
  lasting?: CheckView["lasting"];
  problem: number;
  since: number;
  output: string;
  long_output: string;
  is_in_downtime: boolean;
  is_acknowledged: boolean;
  is_flapping: boolean;
  blocked_by: string[];
}

export type EventBody =
  | StateChange
  | { type: "acknowledged"; problem: number; author: string; comment: string; is_sticky: boolean; until: number | null }
  | { type: "unacknowledged"; problem: number; author: string }
  | { type: "downtime_started"; downtime: number; author: string; comment: string; until: number }
  | { type: "downtime_ended"; downtime: number; is_cancelled: boolean; status: Status }
  | { type: "flapping_started"; percent: number }
  | { type: "flapping_stopped"; percent: number; status: Status }
  | { type: "handler_ran"; what: string; is_ok: boolean; output: string; run_time_ms: number; status: Status; state_type: StateType }
  | { type: "configured"; author: string; change: "added" | "changed" | "removed" }
  | { type: "commented"; author: string; comment: string };

export interface Event {
  sequence: number;
  at: number;
  id: CheckId;
  body: EventBody;
}

export interface Session {
  user: string;
  role: Role;
  must_set_password: boolean;
}

export interface RangeSeries {
  /** Index of the expression it answers. */
  query: number;
  labels: Record<string, string>;
  /** Aligned on `start + i * step`. */
  values: (number | null)[];
}

export interface RangeAnswer {
  start: number;
  step: number;
  series: RangeSeries[];
  warnings: string[];
}

export interface InstantAnswer {
  type: "vector" | "scalar" | "string" | "matrix";
  result: unknown;
  warnings: string[];
  /** Why a vector is empty. */
  absence: "none" | "never_known" | "silent" | "empty_by_comparison";
  /** When the newest sample came, in milliseconds, if the series are known and silent. */
  silent_since: number | null;
}

export interface Notification extends CheckId {
  id: number;
  at: number;
  contact: string;
  channel: "email" | "pager";
  address: string;
  kind: "problem" | "recovery" | "reminder" | "digest" | "test";
  status: Status;
  subject: string;
  state: "queued" | "sent" | "failed" | "suppressed";
  attempts: number;
  next_attempt: number | null;
  sent_at: number | null;
  error: string | null;
}

/** What one stage of the decision said. */
export interface TraceStep {
  stage: string;
  passes: boolean;
  reason: string;
}

export interface ContactTrace {
  contact: string;
  steps: TraceStep[];
  is_told: boolean;
  notifications: number[];
}

/** Why somebody was told of a change, or was not. */
export interface Trace {
  number: number;
  at: number;
  event: number | null;
  trigger: string;
  status: Status;
  steps: TraceStep[];
  contacts: ContactTrace[];
}
