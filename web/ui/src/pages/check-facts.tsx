/** What is known of a check besides what it found. */

import { cancelDowntime } from "../api/client";
import type { CheckView, Downtime } from "../api/types";
import { Moment, Since } from "../components/status";
import { formatMoment } from "../format/moment";
import { formatAge, formatDuration, formatLasting } from "../format/quantity";
import { now } from "../state/clock";
import { canAct } from "../state/session";
import { attempt } from "../state/toast";
import { Fact } from "./facts";

export function CheckFacts({ check }: { check: CheckView }) {
  const { acknowledgement: ack } = check;
  return (
    <>
      <dl class="facts">
        <Fact name="For">
          <Since at={check.since} />
        </Fact>
        <Fact name="Attempt">
          {check.attempt} of {check.attempts_max}, {check.state_type}
        </Fact>
        {check.lasting && (
          <Fact name="Lasting">
            <span data-testid="lasting">{check.state_type === "soft" ? formatLasting(check.lasting) : check.lasting.seen_ms > 0 ? `bad for ${formatDuration(check.lasting.seen_ms)}` : `hard when bad for ${formatDuration(check.lasting.needed_ms)}`}</span>
          </Fact>
        )}
        <Fact name="Last run">
          <Moment at={check.last_check} />
          {check.run_time_ms !== null && check.last_check !== null && <span class="muted"> took {check.run_time_ms < 1 ? "less than 1 ms" : formatDuration(check.run_time_ms)}</span>}
        </Fact>
        <Fact name="Next run">{check.next_check === null ? (check.kind === "heartbeat" ? "when it calls" : "when a result is handed in") : `in ${formatAge(Math.max(0, check.next_check - now.value))}`}</Fact>
        <Fact name="Interval">{formatDuration(check.interval_ms)}</Fact>
        <Fact name="Kind">{check.kind}</Fact>
        {check.is_flapping && <Fact name="Flapping">{check.flapping_percent.toFixed(0)} % of the last runs changed the state</Fact>}
      </dl>
      {check.expr && (
        <div class="fact-wide">
          <span class="small faint">Expression</span>
          <pre>
            <a href={`/explore?expr=${encodeURIComponent(check.expr)}`} title="Open in Explore">
              {check.expr}
            </a>
          </pre>
        </div>
      )}
      {check.kind === "heartbeat" && check.check !== null && (
        <div class="fact-wide" data-testid="heartbeat">
          <span class="small faint">Called by, with a token of role agent or operator</span>
          <pre>{heartbeatCall(location.origin, check.host, check.check)}</pre>
        </div>
      )}
      {check.argv && check.argv.length > 0 && (
        <div class="fact-wide">
          <span class="small faint">Command</span>
          <pre>{check.argv.map(quoted).join(" ")}</pre>
        </div>
      )}
      {(check.notes || check.notes_url) && (
        <div class="fact-wide" data-testid="notes">
          <span class="small faint">What to do</span>
          <p>
            <Notes text={check.notes} />{" "}
            {/^https?:\/\//.test(check.notes_url) && (
              <a href={check.notes_url} target="_blank" rel="noreferrer">
                {check.notes_url}
              </a>
            )}
          </p>
        </div>
      )}
      {ack && (
        <Remark title={`${ack.author} acknowledged it ${formatMoment(ack.at)}${ack.until === null ? "" : `, until ${formatMoment(ack.until)}`}`} text={ack.comment} />
      )}
      {check.downtimes.map((downtime) => (
        <DowntimeRemark key={downtime.id} downtime={downtime} />
      ))}
      {check.comments.map(({ at, author, text }) => (
        <Remark key={`${at} ${author}`} title={`${author}, ${formatMoment(at)}`} text={text} />
      ))}
    </>
  );
}

/** The line that a job ends with; its exit code is the status. */
const heartbeatCall = (origin: string, host: string, name: string): string =>
  `curl -fsS -H "Authorization: Bearer $TOKEN" "${origin}/api/v1/heartbeat/${encodeURIComponent(host)}/${encodeURIComponent(name)}?status=$?"`;

/** Text in which commands stand between backticks. */
function Notes({ text }: { text: string }) {
  return <>{text.split("`").map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part))}</>;
}

/** An argument as a shell would need it. */
const quoted = (argument: string): string => (/^[\w@%+=:,./$-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`);

function Remark({ title, text }: { title: string; text: string }) {
  return (
    <div class="remark">
      <span class="small muted">{title}</span>
      <p>{text}</p>
    </div>
  );
}

function DowntimeRemark({ downtime }: { downtime: Downtime }) {
  return (
    <div class="remark row">
      <div>
        <span class="small muted">
          Downtime{downtime.is_of_host ? " of the host" : ""}, {downtime.author}: {formatMoment(downtime.start)} – {formatMoment(downtime.end)}
        </span>
        <p>{downtime.comment}</p>
      </div>
      {canAct.value && (
        <button class="button push" data-size="small" data-testid="cancel-downtime" onClick={() => void attempt("Downtime ended", () => cancelDowntime(downtime.id))}>
          {downtime.is_active ? "End it" : "Cancel it"}
        </button>
      )}
    </div>
  );
}
