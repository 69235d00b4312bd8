/** The own account; for admins also tokens, users and the configuration. */

import { useState } from "preact/hooks";
import { reload, setPassword } from "../api/client";
import { Command } from "../components/parts";
import { Moment } from "../components/status";
import { isAdmin, loadSession, session } from "../state/session";
import { config } from "../state/site";
import { attempt, toast } from "../state/toast";
import { Tokens } from "./settings-tokens";
import { Users } from "./settings-users";

export function SettingsPage() {
  return (
    <>
      <div class="page-head">
        <h1>Settings</h1>
        {session.value && (
          <span class="muted">
            signed in as <b>{session.value.user}</b>, {session.value.role}
          </span>
        )}
      </div>
      <div class="settings">
        <Password />
        {isAdmin.value && <Tokens />}
        {isAdmin.value && <Users />}
        <Agents />
        <Config />
      </div>
    </>
  );
}

function Password() {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const [again, setAgain] = useState("");
  const isFirst = session.value?.must_set_password ?? false;
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (next !== again) {
      toast("The two new passwords differ.", true);
      return;
    }
    if (!(await attempt("Password is set; other sessions have ended", () => setPassword(next, current)))) return;
    [setCurrent, setNext, setAgain].forEach((clear) => clear(""));
    await loadSession().catch(() => undefined);
  };
  return (
    <section class="card card-body stack" aria-label="Password">
      <h2>{isFirst ? "Set a password" : "Change the password"}</h2>
      <form class="stack" onSubmit={(event) => void save(event)} data-testid="password-form">
        <input type="text" class="visually-hidden" name="username" autocomplete="username" value={session.value?.user ?? ""} readOnly tabIndex={-1} aria-hidden="true" />
        {!isFirst && <Secret label="Current password" value={current} onInput={setCurrent} autocomplete="current-password" />}
        <Secret label="New password" value={next} onInput={setNext} autocomplete="new-password" />
        <Secret label="New password again" value={again} onInput={setAgain} autocomplete="new-password" />
        <div>
          <button class="button" data-kind="primary">
            Set password
          </button>
        </div>
      </form>
    </section>
  );
}

interface SecretProps {
  label: string;
  value: string;
  onInput: (text: string) => void;
  autocomplete: "current-password" | "new-password";
}

function Secret({ label, value, onInput, autocomplete }: SecretProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <input type="password" value={value} autocomplete={autocomplete} onInput={(event) => onInput(event.currentTarget.value)} />
    </label>
  );
}

function Agents() {
  return (
    <section class="card card-body stack" aria-label="Add an agent">
      <h2>Watch another machine</h2>
      <ol class="numbered muted">
        <li>Make a token with the role “agent”{isAdmin.value ? " above" : " (an admin can)"}, and write it into a file on the other machine that only root may read.</li>
        <li>Start the agent there. The host appears here by itself.</li>
      </ol>
      <Command text={`noroshi-agent --server ${location.origin} --token-file /etc/noroshi/agent.token`} />
    </section>
  );
}

function Config() {
  const status = config.value;
  if (!status) return null;
  return (
    <section class="card card-body stack" aria-label="Configuration">
      <h2>Configuration</h2>
      <p class="muted">
        {status.path ? (
          <>
            <code>{status.path}</code>, read {status.loaded_at !== null && <Moment at={status.loaded_at} />}.{" "}
            {status.errors.length > 0 ? "The last change cannot be used; see above." : "A changed file is read by itself."}
          </>
        ) : (
          <>
            There is no configuration file yet: this machine is watched with the built-in checks. Write <code>noroshi.toml</code> to watch more.
          </>
        )}
      </p>
      {status.notes.length > 0 && (
        <ul class="stack-tight small" data-testid="config-notes">
          {status.notes.map((note) => (
            <li key={note} class="status tone-warning wrap">
              {note}
            </li>
          ))}
        </ul>
      )}
      {isAdmin.value && (
        <div>
          <button class="button" data-testid="reload" onClick={() => void attempt("The configuration is read again", reload)}>
            Read it again
          </button>
        </div>
      )}
    </section>
  );
}
