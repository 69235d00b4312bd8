/** A host without parents: through which it may be reached, as its agent's gateway tells. */

import { useEffect, useState } from "preact/hooks";
import * as api from "../api/client";
import type { SuggestedParent } from "../api/configuration";
import type { HostDetail } from "../api/types";
import { Icon } from "../components/icon";
import { copy } from "../components/parts";
import { hostPath } from "../router";
import { isAdmin } from "../state/session";
import { attempt } from "../state/toast";
import { keyOfToml } from "./host-table";

export function SuggestedParents({ detail, onChange }: { detail: HostDetail; onChange: () => void }) {
  const { name, parents } = detail.host;
  const [suggested, setSuggested] = useState<SuggestedParent[]>([]);
  useEffect(() => {
    if (parents.length > 0) return;
    const abort = new AbortController();
    // A suggestion that cannot be read is none.
    api.suggestedParents(name, abort.signal).then(setSuggested, () => setSuggested([]));
    return () => abort.abort();
  }, [name, parents.length]);
  if (parents.length > 0 || suggested.length === 0) return null;
  const set = async (parent: string): Promise<void> => {
    const change = async (): Promise<void> => {
      const host = await api.addedHost(name);
      if (!host) throw new Error(`${name} was not added here`);
      await api.changeHost(name, { ...host.table, parents: ["+", parent] });
    };
    if (await attempt(`${name} is reached through ${parent}`, change)) onChange();
  };
  return (
    <ul class="card card-body stack-tight" data-testid="suggested-parents">
      {suggested.map(({ parent, reason }) => (
        <li key={parent} class="row">
          <Icon name="blocked" />
          <span>
            Reached through <a href={hostPath(parent)}>{parent}</a>? <span class="muted">{reason}</span>
          </span>
          {isAdmin.value && detail.source?.kind === "added" ? (
            <button class="button push" data-size="small" data-testid="set-parent" onClick={() => void set(parent)}>
              Set as parent
            </button>
          ) : (
            <button class="button push" data-size="small" title="for a file of the configuration" onClick={() => void copy(`[host.${keyOfToml(name)}]\nparents = [${JSON.stringify(parent)}]\n`)}>
              <Icon name="copy" /> Copy the TOML
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}
