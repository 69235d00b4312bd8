/** Keys for programs: made here, shown once. */

import { useSignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api/client";
import type { Token } from "../api/people";
import type { Role } from "../api/types";
import { Icon } from "../components/icon";
import { Command, Failure } from "../components/parts";
import { Moment } from "../components/status";
import { attempt } from "../state/toast";

const ROLES: { role: Role; may: string }[] = [
  { role: "agent", may: "send readings" },
  { role: "viewer", may: "read everything" },
  { role: "operator", may: "acknowledge and set downtimes" },
  { role: "admin", may: "do everything" },
];

export function Tokens() {
  const tokens = useSignal<Token[]>([]);
  const failure = useSignal<string | null>(null);
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("agent");
  const [secret, setSecret] = useState<{ name: string; token: string } | null>(null);
  const read = (): void => {
    api.tokens().then(
      (answer) => (tokens.value = answer),
      (error: unknown) => (failure.value = api.messageOf(error)),
    );
  };
  useEffect(read, []);
  const create = async (event: Event): Promise<void> => {
    event.preventDefault();
    await attempt(`Token ${name} is made`, async () => setSecret({ name, token: (await api.createToken(name, role)).token }));
    setName("");
    read();
  };
  const revoke = async (token: Token): Promise<void> => {
    if (!confirm(`Revoke the token ${token.name}? Programs that use it are refused at once.`)) return;
    await attempt(`Token ${token.name} is revoked`, () => api.revokeToken(token.name));
    read();
  };
  return (
    <section class="card card-body stack" aria-label="Tokens">
      <h2>Tokens</h2>
      {failure.value && <Failure what="the tokens" error={failure.value} retry={read} />}
      <form class="inline-form" data-testid="token-form" onSubmit={(event) => void create(event)}>
        <label class="field">
          <span>Name</span>
          <input required value={name} placeholder="web1-agent" onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>May</span>
          <select value={role} onChange={(event) => setRole(event.currentTarget.value as Role)}>
            {ROLES.map((item) => (
              <option key={item.role} value={item.role}>
                {item.role}: {item.may}
              </option>
            ))}
          </select>
        </label>
        <button class="button" data-kind="primary">
          Make token
        </button>
      </form>
      {secret && (
        <div class="stack" data-testid="token-secret">
          <p>
            <b>The token {secret.name} is shown only now.</b> Copy it:
          </p>
          <Command text={secret.token} />
        </div>
      )}
      <ul class="entries">
        {tokens.value.map((token) => (
          <li key={token.name} data-testid="token-row">
            <span class="strong">{token.name}</span>
            <span class="chip">{token.role}</span>
            <span class="small faint push">
              made <Moment at={token.created_at} />
            </span>
            <button class="button" data-kind="quiet" data-size="icon" aria-label={`Revoke ${token.name}`} title="Revoke" onClick={() => void revoke(token)}>
              <Icon name="trash" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
