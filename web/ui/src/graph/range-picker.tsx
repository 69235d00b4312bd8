/** Chooses the time range of all graphs of the page. */

import { useState } from "preact/hooks";
import { Icon } from "../components/icon";
import { Segments } from "../components/parts";
import { formatMoment, fromLocalInput, toLocalInput } from "../format/moment";
import { serverTime } from "../state/clock";
import { pageRange, PRESETS, type Range, resetRange, setRange } from "./range";

const CUSTOM = "custom";

/** First and last moment of a range, in milliseconds. */
function momentsOf(range: Range): [number, number] {
  if (range.kind === "fixed") return [range.from * 1000, range.to * 1000];
  return [serverTime() - range.seconds * 1000, serverTime()];
}

export function RangePicker() {
  const range = pageRange.value;
  const [isOpen, setOpen] = useState(false);
  const choose = (value: string): void => {
    setOpen(value === CUSTOM && !isOpen);
    if (value !== CUSTOM) setRange({ kind: "last", seconds: Number(value) });
  };
  const chosen = range.kind === "last" ? String(range.seconds) : CUSTOM;
  const shift = (direction: number): void => {
    const [from, to] = momentsOf(range).map((at) => at / 1000) as [number, number];
    const move = ((to - from) / 2) * direction;
    setRange({ kind: "fixed", from: from + move, to: to + move });
  };
  return (
    <div class="range" data-testid="range-picker">
      {range.kind === "fixed" && (
        <button class="button" data-size="small" data-testid="range-reset" onClick={resetRange}>
          <Icon name="reset" size={14} /> Reset
        </button>
      )}
      <button class="button" data-kind="quiet" data-size="icon" aria-label="Earlier" title="Earlier" onClick={() => shift(-1)}>
        <Icon name="left" />
      </button>
      <Segments
        label="Time range"
        value={chosen}
        onChange={choose}
        options={[
          ...PRESETS.map(({ label, seconds }) => ({ value: String(seconds), label })),
          { value: CUSTOM, label: <Icon name="calendar" size={14} />, title: "From … to …" },
        ]}
      />
      <button class="button" data-kind="quiet" data-size="icon" aria-label="Later" title="Later" onClick={() => shift(1)}>
        <Icon name="right" />
      </button>
      {range.kind === "fixed" && !isOpen && (
        <span class="small muted range-text">
          {formatMoment(range.from * 1000)} – {formatMoment(range.to * 1000)}
        </span>
      )}
      {isOpen && <Custom range={range} close={() => setOpen(false)} />}
    </div>
  );
}

function Custom({ range, close }: { range: Range; close: () => void }) {
  const [first, last] = momentsOf(range);
  const [from, setFrom] = useState(toLocalInput(first));
  const [to, setTo] = useState(toLocalInput(last));
  const [start, end] = [fromLocalInput(from), fromLocalInput(to)];
  const isValid = start !== null && end !== null && start < end;
  const apply = (event: Event): void => {
    event.preventDefault();
    if (!isValid) return;
    setRange({ kind: "fixed", from: start / 1000, to: end / 1000 });
    close();
  };
  return (
    <form class="range-custom" onSubmit={apply}>
      <label class="field">
        <span>From</span>
        <input type="datetime-local" value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>To</span>
        <input type="datetime-local" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
      </label>
      <button class="button" data-kind="primary" disabled={!isValid}>
        Show
      </button>
    </form>
  );
}
