/** Open problems, the worst first: one line each, a card each on a phone. */

import { useState } from "preact/hooks";
import type { CheckView } from "../api/types";
import { checkPath, hostPath } from "../router";
import { isHandled, keyOf, toneOf } from "../status";
import { RowActions } from "./actions";
import { Marks, Since, StatusText } from "./status";

/** Lines drawn at once; more on request: nobody reads a thousand, and drawing them takes long. */
const SHOWN_MAX = 100;

export function ProblemList({ problems }: { problems: CheckView[] }) {
  const [shown, setShown] = useState(SHOWN_MAX);
  return (
    <div class="card">
      <div class="problems" role="table" aria-label="Open problems">
        <div class="problem problems-head" role="row">
          {["Status", "Where", "Output", "For"].map((name) => (
            <span key={name} role="columnheader">
              {name}
            </span>
          ))}
          <span role="columnheader" class="visually-hidden">
            Actions
          </span>
        </div>
        {problems.slice(0, shown).map((check) => (
          <ProblemRow key={keyOf(check)} check={check} />
        ))}
      </div>
      {problems.length > shown && (
        <div class="list-more">
          <button class="button" onClick={() => setShown(shown + SHOWN_MAX * 5)}>
            Show more of {problems.length - shown} further problems
          </button>
        </div>
      )}
    </div>
  );
}

function ProblemRow({ check }: { check: CheckView }) {
  return (
    <div class={`problem tone-${toneOf(check.status)}`} role="row" data-testid="problem-row" data-check={keyOf(check)} data-status={check.status} data-handled={isHandled(check)}>
      <span role="cell" class="problem-status">
        <StatusText status={check.status} />
      </span>
      <span role="cell" class="problem-where">
        <span class="ellipsis">
          {check.check === null ? (
            <a href={hostPath(check.host)} class="strong" data-testid="host-link">
              {check.host}
            </a>
          ) : (
            <>
              <a href={checkPath(check)} class="strong" data-testid="check-link">
                {check.check}
              </a>
              <a href={hostPath(check.host)} class="problem-host" data-testid="host-link">
                {check.host}
              </a>
            </>
          )}
        </span>
      </span>
      <span role="cell" class="problem-output" title={check.output}>
        <span class="problem-text">{check.output || <span class="faint">no output</span>}</span>
        <Marks check={check} />
      </span>
      <span role="cell" class="problem-since number muted">
        <Since at={check.since} />
      </span>
      <span role="cell" class="problem-actions">
        <RowActions check={check} />
      </span>
    </div>
  );
}
