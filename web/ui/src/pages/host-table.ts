/** A host's keys, as `[host.NAME]` has them, between the form and the server. */

import type { FieldFault, HostTable } from "../api/configuration";

/** Ways to look that need no more than a place, and what is asked for it. */
export const KINDS: { kind: string; label: string; place: string; isNeeded: boolean }[] = [
  { kind: "ping", label: "Ping", place: "address, the host's own if empty", isNeeded: false },
  { kind: "tcp", label: "TCP port", place: "22 or host:22", isNeeded: true },
  { kind: "http", label: "Web page", place: "https://www.example.org/", isNeeded: true },
  { kind: "tls", label: "Certificate", place: "443 or host:443", isNeeded: true },
  { kind: "dns", label: "Name", place: "www.example.org", isNeeded: true },
  { kind: "ssh", label: "SSH", place: "port, 22 if empty", isNeeded: false },
  { kind: "smtp", label: "SMTP", place: "port, 25 if empty", isNeeded: false },
  { kind: "imap", label: "IMAP", place: "port, 143 if empty", isNeeded: false },
  { kind: "ldap", label: "LDAP", place: "port, 389 if empty", isNeeded: false },
  { kind: "mysql", label: "MySQL", place: "port, 3306 if empty", isNeeded: false },
  { kind: "postgresql", label: "PostgreSQL", place: "port, 5432 if empty", isNeeded: false },
  { kind: "ntp", label: "Clock (NTP)", place: "address, the host's own if empty", isNeeded: false },
];

export interface CheckRow {
  name: string;
  kind: string;
  place: string;
}

/** How it is seen to be up: one of the words, or a port. */
export type Alive = "" | "ping" | "agent" | "none" | "tcp";

export interface HostForm {
  address: string;
  alias: string;
  groups: string[];
  templates: string[];
  parents: string[];
  contacts: string[];
  labels: string[];
  alive: Alive;
  alivePort: string;
  checks: CheckRow[];
  /** Lists that take the place of what templates say; all others add to it. */
  plain: string[];
  /** Keys that the form does not show; they stay as they are. */
  rest: HostTable;
}

/** A list that begins with it adds to what templates say. */
const ADD = "+";
const ADDING = ["groups", "parents", "contacts"];

export const EMPTY: HostForm = { address: "", alias: "", groups: [], templates: [], parents: [], contacts: [], labels: [], alive: "", alivePort: "", checks: [], plain: [], rest: {} };

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === "string";

/** Reads a check that has nothing but a place; `null` for one with more. */
function rowOf(name: string, value: unknown): CheckRow | null {
  if (!isRecord(value)) return null;
  const keys = Object.keys(value);
  const kind = keys[0];
  if (keys.length !== 1 || kind === undefined || !KINDS.some((known) => known.kind === kind)) return null;
  const place = value[kind];
  if (place === true) return { name, kind, place: "" };
  return isText(place) ? { name, kind, place } : null;
}

/** Reads what the server has; what the form cannot show goes to `rest`. */
export function formOf(table: HostTable): HostForm {
  const form: HostForm = structuredClone(EMPTY);
  for (const [key, value] of Object.entries(table)) {
    const texts = Array.isArray(value) && value.every(isText) ? value : isText(value) ? [value] : null;
    const names = texts?.[0] === ADD ? texts.slice(1) : texts;
    if (ADDING.includes(key) && names && names === texts) form.plain.push(key);
    if (key === "address" && isText(value)) form.address = value;
    else if (key === "alias" && isText(value)) form.alias = value;
    else if (key === "groups" && names) form.groups = names;
    else if (key === "use" && names) form.templates = names;
    else if (key === "parents" && names) form.parents = names;
    else if (key === "contacts" && names) form.contacts = names;
    else if (key === "labels" && isRecord(value) && Object.values(value).every(isText)) form.labels = Object.entries(value).map(([name, text]) => `${name}=${String(text)}`);
    else if (key === "alive" && (value === "ping" || value === "agent" || value === "none")) form.alive = value;
    else if (key === "alive" && isRecord(value) && Object.keys(value).length === 1 && isText(value.tcp)) [form.alive, form.alivePort] = ["tcp", value.tcp];
    else if (key === "check" && isRecord(value)) {
      const others: Record<string, unknown> = {};
      for (const [name, check] of Object.entries(value)) {
        const row = rowOf(name, check);
        if (row) form.checks.push(row);
        else others[name] = check;
      }
      if (Object.keys(others).length > 0) form.rest.check = others;
    } else form.rest[key] = value;
  }
  return form;
}

/** The name of a check when nobody gave it one: its kind, with a number when that is taken. */
export function nameFor(row: CheckRow, taken: readonly string[]): string {
  if (row.name.trim()) return row.name.trim();
  let name = row.kind;
  for (let i = 2; taken.includes(name); i += 1) name = `${row.kind} ${i}`;
  return name;
}

/** Makes the keys that the server takes. */
export function tableOf(form: HostForm): HostTable {
  const table: HostTable = structuredClone(form.rest);
  const text = (key: string, value: string): void => {
    if (value.trim()) table[key] = value.trim();
  };
  const list = (key: string, values: string[]): void => {
    const isAdding = ADDING.includes(key) && !form.plain.includes(key);
    if (values.length > 0) table[key] = isAdding ? [ADD, ...values] : values;
  };
  text("address", form.address);
  text("alias", form.alias);
  list("groups", form.groups);
  list("use", form.templates);
  list("parents", form.parents);
  list("contacts", form.contacts);
  if (form.labels.length > 0) {
    table.labels = Object.fromEntries(
      form.labels.map((label) => {
        const [name = "", ...value] = label.split("=");
        return [name.trim(), value.join("=").trim()];
      }),
    );
  }
  if (form.alive === "tcp") table.alive = { tcp: form.alivePort.trim() };
  else if (form.alive) table.alive = form.alive;
  if (form.checks.length > 0) {
    const checks: Record<string, unknown> = isRecord(table.check) ? table.check : {};
    for (const row of form.checks) checks[nameFor(row, Object.keys(checks))] = { [row.kind]: row.place.trim() || true };
    table.check = checks;
  }
  return table;
}

/** The faults of a field and of what lies in it; `""`: those that no field of the form shows. */
export function faultsOf(faults: readonly FieldFault[], field: string, shown: readonly string[]): FieldFault[] {
  const isIn = (fault: FieldFault, of: string): boolean => fault.field === of || fault.field.startsWith(`${of}.`);
  if (field === "") return faults.filter((fault) => !shown.some((of) => isIn(fault, of)));
  return faults.filter((fault) => isIn(fault, field));
}

/** Keys of the form as a file of the configuration has them: to paste. */
export const keyOfToml = (name: string): string => (/^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name));
