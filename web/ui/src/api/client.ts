/** Asks the server. Every call rejects with an {@link ApiError}; a lost session leads to sign-in. */

import type { SignInLink, Token, User } from "./people";
import type {
  CheckId,
  CheckView,
  Event,
  HostDetail,
  InstantAnswer,
  Notification,
  Overview,
  RangeAnswer,
  Role,
  Session,
  Trace,
} from "./types";
import type { AddedHost, Availability, AvailabilityReport, FieldFault, HostChoices, HostGets, HostTable, RefusedAgent, SuggestedParent } from "./configuration";
import { serverTime } from "../state/clock";
import type { Language, MetricInfo } from "../expr/choices";

/** How long a call may take, in milliseconds: longer than the server's own limit for a query. */
const TIMEOUT_MS = 30_000;

export class ApiError extends Error {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The server's stable name for the failure, or `unreachable`. */
  readonly kind: string;
  /** Of a submitted host, one by one. */
  readonly faults: FieldFault[];

  constructor(status: number, kind: string, message: string, faults: FieldFault[] = []) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.kind = kind;
    this.faults = faults;
  }
}

type Query = Record<string, string | number | null | undefined | string[]>;

/** Says what to show for a caught failure. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Leads to the sign-in page, and back to where the reader was. */
export function signIn(): void {
  const here = location.pathname + location.search;
  location.assign(`/sign-in?next=${encodeURIComponent(here)}`);
}

export function queryString(query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) search.append(name, String(item));
  }
  const text = search.toString();
  return text ? `?${text}` : "";
}

async function request<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      headers: body === undefined ? { accept: "application/json" } : { accept: "application/json", "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(0, "unreachable", limit.aborted ? "The server did not answer in time." : "The server cannot be reached.");
  }
  if (response.status === 401) {
    signIn();
    throw new ApiError(401, "unauthorized", "You are signed out.");
  }
  const text = await response.text();
  if (!response.ok) throw errorFrom(response.status, text);
  return (text ? JSON.parse(text) : null) as T;
}

function errorFrom(status: number, text: string): ApiError {
  try {
    const parsed = JSON.parse(text) as { error?: { kind?: string; message?: string; faults?: FieldFault[] } | string };
    const error = parsed.error;
    if (typeof error === "object" && error.message) return new ApiError(status, error.kind ?? "error", error.message, error.faults);
    if (typeof error === "string") return new ApiError(status, "error", error);
  } catch {
    // Not JSON: a proxy's page, for example. The status says what can be said.
  }
  return new ApiError(status, "error", `The server answered ${status}.`);
}

const read = <T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> => request<T>("GET", path + queryString(query), undefined, signal);
const act = (name: string, body: unknown): Promise<unknown> => request("POST", `/api/v1/actions/${name}`, body);
const target = (id: CheckId): { host: string; check?: string } => (id.check === null ? { host: id.host } : { host: id.host, check: id.check });

export const session = (): Promise<Session> => read("/api/v1/session");
export const overview = (): Promise<Overview> => read("/api/v1/overview");
export const host = (name: string, signal?: AbortSignal): Promise<HostDetail> => read(`/api/v1/hosts/${encodeURIComponent(name)}`, {}, signal);

export function check(id: CheckId, signal?: AbortSignal): Promise<{ check: CheckView; events: Event[] }> {
  return read("/api/v1/check", { ...id }, signal);
}

export interface EventFilter {
  host?: string;
  check?: string | null;
  before?: number;
  limit?: number;
}

export async function events(filter: EventFilter, signal?: AbortSignal): Promise<Event[]> {
  return (await read<{ events: Event[] }>("/api/v1/events", { ...filter }, signal)).events;
}

export interface RangeQuery {
  exprs: string[];
  /** Seconds since 1970. */
  start: number;
  end: number;
  /** Seconds. */
  step: number;
}

export function queryRange(query: RangeQuery, signal?: AbortSignal): Promise<RangeAnswer> {
  return read("/api/v1/query_range", { expr: query.exprs, start: query.start, end: query.end, step: query.step }, signal);
}

export function query(expr: string, time?: number, signal?: AbortSignal): Promise<InstantAnswer> {
  return read("/api/v1/query", { expr, time }, signal);
}

/** Most names and values read for a completion. */
const NAMES_MAX = 20_000;

const names = async (path: string, selector: string): Promise<string[]> =>
  (await read<{ data: string[] }>(`/prometheus/api/v1/${path}`, { "match[]": selector === "" ? undefined : selector, limit: NAMES_MAX })).data;

/** Names of all metrics, for completion. */
export const metricNames = (): Promise<string[]> => names("label/__name__/values", "");
/** Names of the labels of the series that a selector finds; of all when it is empty. */
export const labelNames = (selector: string): Promise<string[]> => names("labels", selector);
export const labelValues = (label: string, selector: string): Promise<string[]> => names(`label/${encodeURIComponent(label)}/values`, selector);

/** Kind and meaning of every metric of which they are known. */
export async function metricMetadata(): Promise<Record<string, MetricInfo[]>> {
  return (await read<{ data: Record<string, MetricInfo[]> }>("/prometheus/api/v1/metadata")).data;
}

/** Functions, aggregations and words of the language. */
export const language = (): Promise<Language> => read("/api/v1/language");

/** What is wrong with a text, and where: counted from 1, columns in characters. */
export interface ExprFault {
  message: string;
  line: number;
  column: number;
}

export async function exprFault(expr: string, signal?: AbortSignal): Promise<ExprFault | null> {
  return (await read<{ error: ExprFault | null }>("/api/v1/parse", { expr }, signal)).error;
}

export interface AcknowledgeOptions {
  comment: string;
  sticky?: boolean;
  /** Milliseconds since 1970. */
  until?: number;
}

export const acknowledge = (id: CheckId, options: AcknowledgeOptions): Promise<unknown> => act("acknowledge", { ...target(id), ...options });
export const unacknowledge = (id: CheckId): Promise<unknown> => act("unacknowledge", target(id));
export const recheck = (id: CheckId): Promise<unknown> => act("recheck", target(id));
export const comment = (id: CheckId, text: string): Promise<unknown> => act("comment", { ...target(id), comment: text });
export const cancelDowntime = (downtime: number): Promise<unknown> => act("cancel_downtime", { downtime });

export interface DowntimeOptions {
  comment: string;
  duration_seconds: number;
  start?: number;
}

export const downtime = (id: CheckId, options: DowntimeOptions): Promise<unknown> => act("downtime", { ...target(id), ...options });

export async function notifications(before?: number, signal?: AbortSignal): Promise<Notification[]> {
  return (await read<{ notifications: Notification[] }>("/api/v1/notifications", { before, limit: 100 }, signal)).notifications;
}

export async function why(id: CheckId, signal?: AbortSignal): Promise<Trace[]> {
  return (await read<{ traces: Trace[] }>("/api/v1/why", { ...id }, signal)).traces;
}

export async function tokens(): Promise<Token[]> {
  return (await read<{ tokens: Token[] }>("/api/v1/tokens")).tokens;
}

export async function users(): Promise<User[]> {
  return (await read<{ users: User[] }>("/api/v1/users")).users;
}

export const createToken = (name: string, role: Role): Promise<{ token: string }> => request("POST", "/api/v1/tokens", { name, role });
export const revokeToken = (name: string): Promise<unknown> => request("DELETE", `/api/v1/tokens${queryString({ name })}`);
/** Adds somebody who chooses a password after coming in by the link. */
export const createUser = (name: string, role: Role): Promise<SignInLink> => request("POST", "/api/v1/users", { name, role });
export const removeUser = (name: string): Promise<unknown> => request("DELETE", `/api/v1/users${queryString({ name })}`);
export const signInLink = (name: string): Promise<SignInLink> => request("POST", "/api/v1/users/sign-in-link", { name });
/** How long something was in which state in the last `span` milliseconds. */
export const availability = (id: CheckId, span: number, signal?: AbortSignal): Promise<Availability> => read("/api/v1/availability", { ...id, start: Math.round(serverTime() - span) }, signal);

export interface ReportOptions {
  group: string;
  match: string;
  check: string;
  /** How far back, in milliseconds. */
  span: number;
}

const reportQuery = ({ span, ...of }: ReportOptions): Query => ({ ...of, start: Math.round(serverTime() - span) });
export const availabilityReport = (of: ReportOptions, signal?: AbortSignal): Promise<AvailabilityReport> => read("/api/v1/availability/report", reportQuery(of), signal);
/** Where the same is as comma-separated values. */
export const availabilityCsv = (of: ReportOptions): string => `/api/v1/availability/report.csv${queryString(reportQuery(of))}`;

export async function suggestedParents(host: string, signal?: AbortSignal): Promise<SuggestedParent[]> {
  return (await read<{ parents: SuggestedParent[] }>("/api/v1/suggestions/parents", { host }, signal)).parents;
}

export async function refusedAgents(): Promise<RefusedAgent[]> {
  return (await read<{ agents: RefusedAgent[] }>("/api/v1/agents/refused")).agents;
}

export const hostChoices = (): Promise<HostChoices> => read("/api/v1/config/choices");

/** Reads a host that was added here; `null` when none of that name was. */
export async function addedHost(name: string): Promise<AddedHost | null> {
  return (await read<{ hosts: AddedHost[] }>("/api/v1/config/hosts")).hosts.find((host) => host.name === name) ?? null;
}

const trial = (isTrial: boolean): string => (isTrial ? "?try=true" : "");
export const addHost = (name: string, table: HostTable, isTrial: boolean): Promise<HostGets> => request("POST", `/api/v1/config/hosts${trial(isTrial)}`, { name, table });
export const changeHost = (name: string, table: HostTable, isTrial = false): Promise<HostGets> => request("PUT", `/api/v1/config/hosts/${encodeURIComponent(name)}${trial(isTrial)}`, table);
export const removeHost = (name: string): Promise<unknown> => request("DELETE", `/api/v1/config/hosts/${encodeURIComponent(name)}`);
export const reload = (): Promise<unknown> => request("POST", "/api/v1/reload", {});

export function setPassword(password: string, current: string): Promise<unknown> {
  return request("POST", "/api/v1/account/password", current ? { password, current } : { password });
}

export async function signOut(): Promise<void> {
  await fetch("/sign-out", { method: "POST", credentials: "same-origin" });
  location.assign("/sign-in");
}
