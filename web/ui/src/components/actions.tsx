/** What an operator can do to a host or check: dialogs, and the buttons that open them. */

import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import * as api from "../api/client";
import type { CheckId, CheckView } from "../api/types";
import { serverTime } from "../state/clock";
import { canAct } from "../state/session";
import { attempt } from "../state/toast";
import { isProblem, keyOf } from "../status";
import { Dialog } from "./dialog";
import { Icon } from "./icon";

type Action = "acknowledge" | "downtime" | "comment";

/** The dialog that is open; one at a time, drawn once at the root of the page. */
const asked = signal<{ action: Action; id: CheckId } | null>(null);

const ask = (action: Action, id: CheckId) => (): void => {
  asked.value = { action, id: { host: id.host, check: id.check } };
};

export const recheck = (id: CheckId): Promise<boolean> => attempt(`${keyOf(id)} will be checked now`, () => api.recheck(id));

export function ActionDialogs() {
  if (!asked.value) return null;
  const { action, id } = asked.value;
  const close = (): void => {
    asked.value = null;
  };
  if (action === "acknowledge") return <AcknowledgeDialog id={id} close={close} />;
  if (action === "downtime") return <DowntimeDialog id={id} close={close} />;
  return <CommentDialog id={id} close={close} />;
}

interface DialogProps {
  id: CheckId;
  close: () => void;
}

function AcknowledgeDialog({ id, close }: DialogProps) {
  const [text, setText] = useState("");
  const [isSticky, setSticky] = useState(false);
  const [hours, setHours] = useState("0");
  const send = (): Promise<boolean> => {
    const until = Number(hours) > 0 ? { until: serverTime() + Number(hours) * 3_600_000 } : {};
    return attempt("Acknowledged", () => api.acknowledge(id, { comment: text, sticky: isSticky, ...until }));
  };
  return (
    <Dialog title="Acknowledge" note={keyOf(id)} submit="Acknowledge" onSubmit={send} onClose={close} testId="acknowledge-dialog">
      <label class="field">
        <span>What are you doing about it?</span>
        <textarea rows={3} required autofocus value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>Ends by itself</span>
        <select value={hours} onChange={(event) => setHours(event.currentTarget.value)}>
          <option value="0">when the problem is over</option>
          <option value="1">after 1 hour</option>
          <option value="4">after 4 hours</option>
          <option value="12">after 12 hours</option>
          <option value="24">after 1 day</option>
          <option value="168">after 1 week</option>
        </select>
      </label>
      <label class="tick">
        <input type="checkbox" checked={isSticky} onChange={(event) => setSticky(event.currentTarget.checked)} />
        Keep it when the problem becomes better or worse
      </label>
    </Dialog>
  );
}

const DURATIONS: [number, string][] = [
  [900, "15 min"],
  [3600, "1 h"],
  [7200, "2 h"],
  [14_400, "4 h"],
  [28_800, "8 h"],
  [86_400, "1 day"],
  [604_800, "1 week"],
];

function DowntimeDialog({ id, close }: DialogProps) {
  const [text, setText] = useState("");
  const [seconds, setSeconds] = useState(7200);
  const send = (): Promise<boolean> => attempt("Downtime is set", () => api.downtime(id, { comment: text, duration_seconds: seconds }));
  return (
    <Dialog
      title="Set a downtime"
      note={id.check === null ? `${id.host} and all its checks, from now` : `${keyOf(id)}, from now`}
      submit="Set downtime"
      onSubmit={send}
      onClose={close}
      testId="downtime-dialog"
    >
      <label class="field">
        <span>Why</span>
        <textarea rows={2} required autofocus value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <div class="field">
        <span>For how long</span>
        <div class="segments" role="group" aria-label="Duration">
          {DURATIONS.map(([value, label]) => (
            <button key={value} type="button" aria-pressed={value === seconds} onClick={() => setSeconds(value)}>
              {label}
            </button>
          ))}
        </div>
      </div>
      <p class="small muted">Checks go on and are recorded; nobody is told until it ends.</p>
    </Dialog>
  );
}

function CommentDialog({ id, close }: DialogProps) {
  const [text, setText] = useState("");
  return (
    <Dialog title="Comment" note={keyOf(id)} submit="Add comment" onSubmit={() => attempt("Comment added", () => api.comment(id, text))} onClose={close} testId="comment-dialog">
      <label class="field">
        <span>Comment</span>
        <textarea rows={4} required autofocus value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
    </Dialog>
  );
}

/** Two small buttons for a line of a list. */
export function RowActions({ check }: { check: CheckView }) {
  if (!canAct.value) return null;
  return (
    <span class="row-actions">
      {isProblem(check.status) && !check.is_acknowledged && (
        <button class="button" data-kind="quiet" data-size="icon" aria-label={`Acknowledge ${keyOf(check)}`} title="Acknowledge" data-testid="acknowledge" onClick={ask("acknowledge", check)}>
          <Icon name="acknowledge" />
        </button>
      )}
      <button class="button" data-kind="quiet" data-size="icon" aria-label={`Check ${keyOf(check)} now`} title="Check now" data-testid="recheck" onClick={() => void recheck(check)}>
        <Icon name="recheck" />
      </button>
    </span>
  );
}

/** All of them in words, for the head of a page. */
export function PageActions({ check }: { check: CheckView }) {
  if (!canAct.value) return null;
  return (
    <div class="row push">
      {isProblem(check.status) &&
        (check.is_acknowledged ? (
          <button class="button" data-testid="unacknowledge" onClick={() => void attempt("Acknowledgement removed", () => api.unacknowledge(check))}>
            <Icon name="acknowledge" /> Remove acknowledgement
          </button>
        ) : (
          <button class="button" data-kind="primary" data-testid="acknowledge" onClick={ask("acknowledge", check)}>
            <Icon name="acknowledge" /> Acknowledge
          </button>
        ))}
      <button class="button" data-testid="downtime" onClick={ask("downtime", check)}>
        <Icon name="downtime" /> Downtime
      </button>
      <button class="button" data-testid="comment" onClick={ask("comment", check)}>
        <Icon name="comment" /> Comment
      </button>
      <button class="button" data-testid="recheck" onClick={() => void recheck(check)}>
        <Icon name="recheck" /> Check now
      </button>
    </div>
  );
}
