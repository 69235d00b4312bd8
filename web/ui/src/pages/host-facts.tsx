/** What is known of a host besides its state. */

import type { AgentView, HostDetail, PollStatus } from "../api/types";
import { Moment } from "../components/status";
import { formatDuration } from "../format/quantity";
import { hostPath } from "../router";
import { Fact } from "./facts";

export function HostFacts({ detail }: { detail: HostDetail }) {
  const { host, agent, polls } = detail;
  const labels = Object.entries(host.labels);
  return (
    <div class="card card-body">
      <dl class="facts">
        {host.alias && host.alias !== host.name && <Fact name="Name">{host.alias}</Fact>}
        {host.address && (
          <Fact name="Address">
            <span class="mono">{host.address}</span>
          </Fact>
        )}
        {host.groups.length > 0 && (
          <Fact name="Groups">
            {host.groups.map((group, i) => (
              <span key={group}>
                {i > 0 && ", "}
                <a href={`/hosts?group=${encodeURIComponent(group)}`}>{group}</a>
              </span>
            ))}
          </Fact>
        )}
        {host.parents.length > 0 && (
          <Fact name="Reached through">
            {host.parents.map((parent, i) => (
              <span key={parent}>
                {i > 0 && ", "}
                <a href={hostPath(parent)}>{parent}</a>
              </span>
            ))}
          </Fact>
        )}
        {labels.length > 0 && (
          <Fact name="Labels">
            <span class="row">
              {labels.map(([name, value]) => (
                <span key={name} class="chip">
                  {name}={value}
                </span>
              ))}
            </span>
          </Fact>
        )}
        <Fact name="Host check">{host.state.output || "–"}</Fact>
        {agent && <AgentFact agent={agent} />}
        {polls.map((poll) => (
          <PollFact key={poll.kind} poll={poll} />
        ))}
      </dl>
    </div>
  );
}

function AgentFact({ agent }: { agent: AgentView }) {
  const words = [agent.version, agent.os].filter(Boolean).join(", ");
  return (
    <Fact name="Agent">
      {words || "connected"}
      {typeof agent.last_seen === "number" && (
        <span class="muted">
          {" "}
          · heard <Moment at={agent.last_seen} />
        </span>
      )}
    </Fact>
  );
}

function PollFact({ poll }: { poll: PollStatus }) {
  return (
    <Fact name={`Poll ${poll.kind}`}>
      {poll.failure ? (
        <span class="status tone-critical wrap" title={poll.failure}>
          {poll.failure_text ?? poll.failure}
        </span>
      ) : poll.last_run === null ? (
        "not yet"
      ) : (
        `${poll.samples} values in ${formatDuration(poll.duration_ms)}`
      )}
      {poll.last_run !== null && (
        <span class="muted">
          {" "}
          · <Moment at={poll.last_run} />
        </span>
      )}
    </Fact>
  );
}
