/** Adds a host, or changes one that was added here. Faults stand at the field that they are about. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api/client";
import type { AddedHost, FieldFault, HostChoices, HostGets } from "../api/configuration";
import { Icon } from "../components/icon";
import { NamesInput } from "../components/names-input";
import { Banner, Empty, Failure, Segments, Skeleton } from "../components/parts";
import { hostPath, navigate } from "../router";
import { isAdmin } from "../state/session";
import { hosts, readSite } from "../state/site";
import { toast } from "../state/toast";
import { EMPTY, faultsOf, formOf, KINDS, nameFor, tableOf, type Alive, type CheckRow, type HostForm } from "./host-table";

/** How long nothing is typed before the server is asked what would be, in milliseconds. */
const PAUSE_MS = 600;
/** On larger sites a trial takes the server long: it is asked when the host is saved. */
const TRIAL_HOSTS_MAX = 2000;
const SHOWN = ["name", "address", "alias", "groups", "use", "parents", "contacts", "labels", "alive", "check"];

export function HostFormPage({ edited }: { edited: string | null }) {
  const [choices, setChoices] = useState<HostChoices | null>(null);
  const [known, setKnown] = useState<AddedHost | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const read = (): void => {
    setFailure(null);
    Promise.all([api.hostChoices(), edited === null ? null : api.addedHost(edited)]).then(
      ([offered, host]) => {
        setChoices(offered);
        setKnown(host);
        if (edited !== null && !host) setFailure(`${edited} was not added here: it is changed where it is written.`);
      },
      (error: unknown) => setFailure(api.messageOf(error)),
    );
  };
  useEffect(read, [edited]);
  if (!isAdmin.value) {
    return (
      <Empty icon="user" title="Only admins add hosts">
        <p>A host decides what the server connects to.</p>
      </Empty>
    );
  }
  if (failure) return <Failure what={edited === null ? "what a host may name" : `host ${edited}`} error={failure} retry={read} />;
  if (!choices || (edited !== null && !known)) return <Skeleton height={420} />;
  return <Form key={edited ?? ""} edited={known} choices={choices} />;
}

function Form({ edited, choices }: { edited: AddedHost | null; choices: HostChoices }) {
  const [name, setName] = useState(edited?.name ?? "");
  const [form, setForm] = useState<HostForm>(edited ? formOf(edited.table) : EMPTY);
  const [faults, setFaults] = useState<FieldFault[]>([]);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [gets, setGets] = useState<HostGets | null>(null);
  const [isBusy, setBusy] = useState(false);
  const change = (part: Partial<HostForm>): void => setForm({ ...form, ...part });
  const send = (isTrial: boolean): Promise<HostGets> => {
    const table = tableOf(form);
    return edited ? api.changeHost(edited.name, table, isTrial) : api.addHost(name.trim(), table, isTrial);
  };
  const explain = (error: unknown): void => {
    const own = error instanceof api.ApiError ? error.faults : [];
    setFaults(own);
    setRefusal(own.length > 0 ? null : api.messageOf(error));
    setGets(null);
  };
  useEffect(() => {
    if (name.trim() === "" || hosts.value.length > TRIAL_HOSTS_MAX) return;
    let isCurrent = true;
    const timer = setTimeout(() => {
      send(true).then(
        (answer) => {
          if (!isCurrent) return;
          setGets(answer);
          setFaults([]);
          setRefusal(null);
        },
        (error: unknown) => {
          if (isCurrent) explain(error);
        },
      );
    }, PAUSE_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [name, form]);
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      await send(false);
      toast(edited ? `${edited.name} is changed` : `${name.trim()} is watched`);
      await readSite();
      navigate(hostPath(edited?.name ?? name.trim()));
    } catch (error) {
      explain(error);
    } finally {
      setBusy(false);
    }
  };
  const at = (field: string): FieldFault[] => faultsOf(faults, field, SHOWN);
  const others = hosts.value.map((host) => host.name).filter((other) => other !== name);
  const rest = Object.keys(form.rest);
  return (
    <form class="host-form" data-testid="host-form" onSubmit={(event) => void save(event)}>
      <div class="page-head">
        <h1>{edited ? `Change ${edited.name}` : "Add a host"}</h1>
      </div>
      {refusal && (
        <Banner tone="critical" icon="critical" testId="host-refusal">
          {refusal}
        </Banner>
      )}
      {at("").map((fault) => (
        <Banner key={fault.field + fault.what} tone="critical" icon="critical">
          {fault.field && <b>{fault.field}: </b>}
          {fault.what}
          {fault.advice && `; ${fault.advice}`}
        </Banner>
      ))}
      <section class="card card-body stack" aria-label="What it is">
        <div class="form-pair">
          {!edited && (
            <Field label="Name" faults={at("name")}>
              <input required autofocus value={name} autocomplete="off" spellcheck={false} placeholder="web1" data-testid="host-form-name" onInput={(event) => setName(event.currentTarget.value)} />
            </Field>
          )}
          <Field label="Address" hint="or DNS name" faults={at("address")}>
            <input value={form.address} autocomplete="off" spellcheck={false} placeholder="192.0.2.10" data-testid="host-form-address" onInput={(event) => change({ address: event.currentTarget.value })} />
          </Field>
          <Field label="What to call it" hint="in texts; its name if empty" faults={at("alias")}>
            <input value={form.alias} autocomplete="off" onInput={(event) => change({ alias: event.currentTarget.value })} />
          </Field>
        </div>
        <Field label="Groups" hint="checks for a group come with it" faults={at("groups")} isGroup>
          <NamesInput label="Groups" values={form.groups} choices={choices.groups} onChange={(groups) => change({ groups })} placeholder="web" testId="host-form-groups" />
        </Field>
        {(choices.templates.length > 0 || form.templates.length > 0) && (
          <Field label="Templates" hint="of several, the first counts" faults={at("use")} isGroup>
            <NamesInput label="Templates" values={form.templates} choices={choices.templates} onChange={(templates) => change({ templates })} placeholder={choices.templates.slice(0, 2).join(", ")} testId="host-form-templates" />
          </Field>
        )}
      </section>
      <section class="card card-body stack" aria-label="How it is watched">
        <Field label="How to see that it is up" faults={at("alive")} isGroup>
          <div class="row">
            <Segments<Alive>
              label="How to see that it is up"
              value={form.alive}
              onChange={(alive) => change({ alive })}
              options={[
                { value: "", label: form.templates.length > 0 ? "As its template says" : "By its agent, if it has one" },
                { value: "ping", label: "Ping" },
                { value: "tcp", label: "TCP port" },
                { value: "agent", label: "Agent" },
                { value: "none", label: "Not at all" },
              ]}
            />
            {form.alive === "tcp" && <input class="port" required aria-label="Port" placeholder="22" value={form.alivePort} onInput={(event) => change({ alivePort: event.currentTarget.value })} />}
          </div>
        </Field>
        <Checks form={form} change={change} at={at} />
        <Gets gets={gets} own={form.checks.map((row) => nameFor(row, []))} />
      </section>
      <section class="card card-body stack" aria-label="Who and where">
        <Field label="Reached through" hint="switches or routers: while none is up, it is unreachable, not down" faults={at("parents")} isGroup>
          <NamesInput label="Reached through" values={form.parents} choices={others} onChange={(parents) => change({ parents })} placeholder="switch1" testId="host-form-parents" />
        </Field>
        <Field label="Contacts" hint="who is told; everybody if empty" faults={at("contacts")} isGroup>
          <NamesInput label="Contacts" values={form.contacts} choices={choices.contacts} onChange={(contacts) => change({ contacts })} />
        </Field>
        <Field label="Labels" hint="name=value" faults={at("labels")} isGroup>
          <NamesInput label="Labels" values={form.labels} choices={[]} onChange={(labels) => change({ labels })} placeholder="role=web" />
        </Field>
        {rest.length > 0 && (
          <p class="small muted">
            It has more keys, which stay as they are: <code>{rest.join(", ")}</code>. They are changed by <code>noroshi host set</code>.
          </p>
        )}
      </section>
      <div class="row">
        <button class="button" data-kind="primary" disabled={isBusy || name.trim() === ""} data-testid="host-form-save">
          {edited ? "Save" : "Add host"}
        </button>
        <a class="button" href={edited ? hostPath(edited.name) : "/hosts"}>
          Cancel
        </a>
      </div>
    </form>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  faults: FieldFault[];
  /** Whether it holds more than one control. */
  isGroup?: boolean;
  children: ComponentChildren;
}

function Field({ label, hint, faults, isGroup, children }: FieldProps) {
  const content = (
    <>
      <span>
        {label} {hint && <span class="field-hint">{hint}</span>}
      </span>
      {children}
      {faults.map((fault) => (
        <Fault key={fault.field + fault.what} fault={fault} />
      ))}
    </>
  );
  return isGroup ? <div class="field">{content}</div> : <label class="field">{content}</label>;
}

function Fault({ fault }: { fault: FieldFault }) {
  return (
    <span class="field-fault status tone-critical" role="alert" data-testid="field-fault" data-field={fault.field}>
      <Icon name="critical" />
      <span>
        {fault.what}
        {fault.advice && `; ${fault.advice}`}
      </span>
    </span>
  );
}

interface ChecksProps {
  form: HostForm;
  change: (part: Partial<HostForm>) => void;
  at: (field: string) => FieldFault[];
}

function Checks({ form, change, at }: ChecksProps) {
  const set = (index: number, part: Partial<CheckRow>): void => change({ checks: form.checks.map((row, i) => (i === index ? { ...row, ...part } : row)) });
  const names: string[] = [];
  const own = form.checks.map((row) => {
    const name = nameFor(row, names);
    names.push(name);
    return name;
  });
  const elsewhere = at("check").filter((fault) => !own.some((name) => fault.field === `check.${name}` || fault.field.startsWith(`check.${name}.`)));
  return (
    <div class="field">
      <span>
        Checks <span class="field-hint">besides those that come with its groups and templates</span>
      </span>
      {form.checks.map((row, index) => {
        const kind = KINDS.find((known) => known.kind === row.kind);
        return (
          <div key={index} class="stack-tight">
            <div class="check-line" data-testid="host-form-check">
              <select aria-label="Kind" value={row.kind} onChange={(event) => set(index, { kind: event.currentTarget.value })}>
                {KINDS.map((known) => (
                  <option key={known.kind} value={known.kind}>
                    {known.label}
                  </option>
                ))}
              </select>
              <input aria-label="Where" value={row.place} required={kind?.isNeeded} placeholder={kind?.place} spellcheck={false} onInput={(event) => set(index, { place: event.currentTarget.value })} />
              <input aria-label="Name of the check" value={row.name} placeholder={`called “${own[index] ?? ""}”`} onInput={(event) => set(index, { name: event.currentTarget.value })} />
              <button type="button" class="button" data-kind="quiet" data-size="icon" aria-label={`Remove check ${own[index] ?? ""}`} title="Remove" onClick={() => change({ checks: form.checks.filter((_, i) => i !== index) })}>
                <Icon name="trash" />
              </button>
            </div>
            {at(`check.${own[index] ?? ""}`).map((fault) => (
              <Fault key={fault.field + fault.what} fault={fault} />
            ))}
          </div>
        );
      })}
      {elsewhere.map((fault) => (
        <Fault key={fault.field + fault.what} fault={{ ...fault, what: `${fault.field.replace("check.", "")}: ${fault.what}` }} />
      ))}
      <div>
        <button type="button" class="button" data-size="small" data-testid="host-form-add-check" onClick={() => change({ checks: [...form.checks, { name: "", kind: "tcp", place: "" }] })}>
          <Icon name="plus" /> Add a check
        </button>
      </div>
    </div>
  );
}

/** What the server says that the host would get. */
function Gets({ gets, own }: { gets: HostGets | null; own: string[] }) {
  if (!gets) return null;
  const inherited = gets.checks.filter((check) => !own.includes(check.name));
  return (
    <p class="small muted" data-testid="host-form-gets">
      {inherited.length === 0 ? "No checks come with its groups and templates." : "With its groups and templates come: "}
      {inherited.map((check, i) => (
        <span key={check.name}>
          {i > 0 && ", "}
          <b>{check.name}</b> ({check.kind})
        </span>
      ))}
      {inherited.length > 0 && "."} An agent brings checks of its own.
    </p>
  );
}
