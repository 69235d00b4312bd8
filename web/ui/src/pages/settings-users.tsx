/** Who may sign in. A new one comes in by a link, and then chooses a password. */

import { useSignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api/client";
import type { User } from "../api/people";
import type { Role } from "../api/types";
import { Icon } from "../components/icon";
import { Command, Failure } from "../components/parts";
import { session } from "../state/session";
import { attempt } from "../state/toast";

const ROLES: Role[] = ["viewer", "operator", "admin"];

export function Users() {
  const users = useSignal<User[]>([]);
  const failure = useSignal<string | null>(null);
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("operator");
  const [link, setLink] = useState<{ name: string; path: string } | null>(null);
  const read = (): void => {
    api.users().then(
      (answer) => (users.value = answer),
      (error: unknown) => (failure.value = api.messageOf(error)),
    );
  };
  useEffect(read, []);
  const create = async (event: Event): Promise<void> => {
    event.preventDefault();
    await attempt(`${name} is added`, async () => setLink({ name, path: (await api.createUser(name, role)).sign_in_path }));
    setName("");
    read();
  };
  const invite = (user: User): Promise<boolean> => attempt("A sign-in link is made", async () => setLink({ name: user.name, path: (await api.signInLink(user.name)).sign_in_path }));
  const remove = async (user: User): Promise<void> => {
    if (!confirm(`Remove ${user.name}? They are signed out everywhere.`)) return;
    await attempt(`${user.name} is removed`, () => api.removeUser(user.name));
    read();
  };
  return (
    <section class="card card-body stack" aria-label="Users">
      <h2>Users</h2>
      {failure.value && <Failure what="the users" error={failure.value} retry={read} />}
      <form class="inline-form" data-testid="user-form" onSubmit={(event) => void create(event)}>
        <label class="field">
          <span>Name</span>
          <input required value={name} autocomplete="off" onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>Role</span>
          <select value={role} onChange={(event) => setRole(event.currentTarget.value as Role)}>
            {ROLES.map((item) => (
              <option key={item} value={item}>
                {item}
              </option>
            ))}
          </select>
        </label>
        <button class="button" data-kind="primary">
          Add user
        </button>
      </form>
      {link && (
        <div class="stack" data-testid="sign-in-link">
          <p>
            <b>This link lets {link.name} in once, within a day:</b>
          </p>
          <Command text={location.origin + link.path} />
        </div>
      )}
      <ul class="entries">
        {users.value.map((user) => (
          <li key={user.name} data-testid="user-row">
            <span class="strong">{user.name}</span>
            <span class="chip">{user.role}</span>
            {!user.has_password && <span class="small faint">no password yet</span>}
            <button class="button push" data-kind="quiet" data-size="icon" aria-label={`Sign-in link for ${user.name}`} title="Make a sign-in link" onClick={() => void invite(user)}>
              <Icon name="link" />
            </button>
            <button class="button" data-kind="quiet" data-size="icon" aria-label={`Remove ${user.name}`} title="Remove" disabled={user.name === session.value?.user} onClick={() => void remove(user)}>
              <Icon name="trash" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
