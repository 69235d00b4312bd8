/** What is known of a host besides its state. */

import type { HostSource, Signature } from "../api/configuration";
import type { AgentView, HostDetail, PollStatus } from "../api/types";
import { Moment, Since } from "../components/status";
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
                <Label key={name} name={name} value={value} isOfAgent={host.labels_of_agent?.includes(name) ?? false} told={agent?.labels[name]} />
              ))}
            </span>
          </Fact>
        )}
        {detail.source && (
          <Fact name="Comes from">
            <Source source={detail.source} />
          </Fact>
        )}
        <Fact name="Host check" isWide>{host.state.output || "–"}</Fact>
        {agent && <AgentFact agent={agent} />}
        {polls.map((poll) => (
          <PollFact key={poll.kind} poll={poll} />
        ))}
      </dl>
    </div>
  );
}

/** A label, and where it comes from when that is not the configuration alone. */
function Label({ name, value, isOfAgent, told }: { name: string; value: string; isOfAgent: boolean; told: string | undefined }) {
  const isOverridden = !isOfAgent && told !== undefined && told !== value;
  return (
    <span class="chip" data-testid="host-label" data-label={name}>
      {name}={value}
      {isOfAgent && <span class="muted"> · its agent</span>}
      {isOverridden && <span class="muted"> · its agent says {told}</span>}
    </span>
  );
}

/** Who or what made the host known. */
function Source({ source }: { source: HostSource }) {
  const signed = (what: string, { by, at }: Signature) => (
    <>
      {what} by {by}, <Moment at={at} />
    </>
  );
  switch (source.kind) {
    case "file":
      return (
        <span data-testid="host-source">
          <span class="mono wrap">
            {source.path}:{source.line}
          </span>
          {source.overrides_added && <span class="muted"> · also added here; the file holds</span>}
        </span>
      );
    case "added":
      return (
        <span data-testid="host-source">
          {source.added ? signed("added here", source.added) : "added here"}
          {source.changed && <span class="muted"> · {signed("changed", source.changed)}</span>}
        </span>
      );
    case "agent":
      return <span data-testid="host-source">its agent, which reported</span>;
    case "server":
      return <span data-testid="host-source">the server runs on it</span>;
  }
}

/** A difference of clocks beyond this is worth a word, in milliseconds. */
const CLOCK_MS_MAX = 2000;

function AgentFact({ agent }: { agent: AgentView }) {
  const system = [agent.os, agent.kernel].filter(Boolean).join(", ");
  return (
    <>
      {system && <Fact name="System">{system}</Fact>}
      <Fact name="Agent">
        {agent.version}, {agent.series} series{" "}
        <span class="muted">
          · heard <Since at={agent.last_seen} /> ago
        </span>
        {Math.abs(agent.clock_offset_ms) > CLOCK_MS_MAX && <div class="small status tone-warning">its clock is off by {formatDuration(Math.abs(agent.clock_offset_ms))}</div>}
      </Fact>
    </>
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
