/** A field for an expression that completes names of metrics. */

import { useRef, useState } from "preact/hooks";
import { metricNames } from "../api/client";

const FUNCTIONS = ["rate", "irate", "increase", "sum", "avg", "min", "max", "count", "topk", "bottomk", "avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "last_over_time", "histogram_quantile", "delta", "deriv", "predict_linear", "abs", "absent", "clamp_max", "clamp_min"];
const FOUND_MAX = 10;

let names: Promise<string[]> | undefined;

/** The word that ends at the caret, if it can be a name. */
export function wordBefore(text: string, caret: number): string {
  return /[A-Za-z_:][\w:]*$/.exec(text.slice(0, caret))?.[0] ?? "";
}

interface Props {
  value: string;
  onInput: (text: string) => void;
  onSubmit: () => void;
}

export function ExprInput({ value, onInput, onSubmit }: Props) {
  const input = useRef<HTMLTextAreaElement>(null);
  const [found, setFound] = useState<string[]>([]);
  const [chosen, setChosen] = useState(0);
  const complete = async (text: string, caret: number): Promise<void> => {
    const word = wordBefore(text, caret).toLowerCase();
    if (word.length < 2) {
      setFound([]);
      return;
    }
    names ??= metricNames().catch(() => []);
    const all = [...FUNCTIONS, ...(await names)];
    const starting = all.filter((name) => name.toLowerCase().startsWith(word));
    const holding = all.filter((name) => !starting.includes(name) && name.toLowerCase().includes(word));
    setChosen(0);
    setFound([...starting, ...holding].filter((name) => name !== word).slice(0, FOUND_MAX));
  };
  const take = (name: string): void => {
    const field = input.current;
    if (!field) return;
    const caret = field.selectionStart;
    const from = caret - wordBefore(value, caret).length;
    const inserted = FUNCTIONS.includes(name) ? `${name}(` : name;
    onInput(value.slice(0, from) + inserted + value.slice(caret));
    setFound([]);
    requestAnimationFrame(() => {
      field.focus();
      field.setSelectionRange(from + inserted.length, from + inserted.length);
    });
  };
  const onKey = (event: KeyboardEvent): void => {
    const choice = found[chosen];
    if (event.key === "ArrowDown" && choice) setChosen((chosen + 1) % found.length);
    else if (event.key === "ArrowUp" && choice) setChosen((chosen + found.length - 1) % found.length);
    else if (event.key === "Tab" && choice && !event.shiftKey) take(choice);
    else if (event.key === "Escape" && choice) setFound([]);
    else if (event.key === "Enter" && !event.shiftKey) {
      setFound([]);
      onSubmit();
    } else return;
    event.preventDefault();
  };
  return (
    <div class="expr">
      <textarea
        ref={input}
        class="mono"
        rows={Math.min(6, value.split("\n").length)}
        value={value}
        placeholder='rate(node_network_receive_bytes_total{device="eth0"}[5m])'
        aria-label="Expression"
        spellcheck={false}
        autocomplete="off"
        data-testid="expr"
        onInput={(event) => {
          onInput(event.currentTarget.value);
          void complete(event.currentTarget.value, event.currentTarget.selectionStart);
        }}
        onKeyDown={onKey}
        onBlur={() => setFound([])}
      />
      {found.length > 0 && (
        <div class="menu-list" role="listbox" aria-label="Names">
          {found.map((name, i) => (
            <button key={name} type="button" role="option" aria-selected={i === chosen} onPointerDown={(event) => event.preventDefault()} onClick={() => take(name)}>
              <code class="ellipsis">{name}</code>
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
