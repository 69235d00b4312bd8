/** Machines that report and are no hosts: nothing on them is watched, and why. */

import { useEffect, useState } from "preact/hooks";
import * as api from "../api/client";
import type { RefusedAgent } from "../api/configuration";
import { listen } from "../state/stream";

export function RefusedAgents() {
  const [agents, setAgents] = useState<RefusedAgent[]>([]);
  useEffect(() => {
    const read = (): void => {
      api.refusedAgents().then(setAgents, () => setAgents([]));
    };
    read();
    return listen({ config: read, resync: read });
  }, []);
  if (agents.length === 0) return null;
  return (
    <section class="section" aria-label="Agents that are no hosts" data-testid="refused-agents">
      <div class="section-head">
        <h2>Agents that are no hosts</h2>
        <span class="muted">{agents.length}</span>
      </div>
      <ul class="card card-body stack-tight">
        {agents.map((agent) => (
          <li key={agent.host} class="refused-agent" data-testid="refused-agent" data-host={agent.host}>
            <b class="wrap">{agent.host}</b>
            <span class="mono muted wrap">{agent.address}</span>
            <span class="wrap">{agent.reason}</span>
            <span class="small faint wrap">
              {Object.entries(agent.facts)
                .filter(([, value]) => value !== "")
                .map(([name, value]) => `${name}=${value}`)
                .join(" · ")}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
