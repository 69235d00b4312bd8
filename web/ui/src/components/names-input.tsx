/** Names as chips with a field for one more; known ones are offered while typing. */

import { useId, useState } from "preact/hooks";
import { Icon } from "./icon";

interface Props {
  label: string;
  values: string[];
  choices: readonly string[];
  onChange: (values: string[]) => void;
  placeholder?: string;
  testId?: string;
}

export function NamesInput({ label, values, choices, onChange, placeholder, testId }: Props) {
  const [text, setText] = useState("");
  const list = useId();
  const add = (name: string): void => {
    const names = name.split(",").map((one) => one.trim()).filter((one) => one !== "" && !values.includes(one));
    setText("");
    if (names.length > 0) onChange([...values, ...new Set(names)]);
  };
  return (
    <div class="names">
      {values.map((value) => (
        <span key={value} class="chip">
          {value}
          <button type="button" class="chip-remove" aria-label={`Remove ${value}`} onClick={() => onChange(values.filter((other) => other !== value))}>
            <Icon name="close" size={12} />
          </button>
        </span>
      ))}
      <input
        value={text}
        list={list}
        aria-label={label}
        placeholder={values.length === 0 ? placeholder : "one more"}
        autocomplete="off"
        data-testid={testId}
        onInput={(event) => {
          const typed = event.currentTarget.value;
          // A choice from the list comes as a whole, without a key of its own.
          const isChosen = choices.includes(typed) && !("data" in event && event.data !== null && event.inputType === "insertText");
          if (isChosen || typed.endsWith(",")) add(typed);
          else setText(typed);
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter" && text.trim()) {
            event.preventDefault();
            add(text);
          } else if (event.key === "Backspace" && text === "" && values.length > 0) onChange(values.slice(0, -1));
        }}
        onBlur={() => add(text)}
      />
      <datalist id={list}>
        {choices
          .filter((choice) => !values.includes(choice))
          .map((choice) => (
            <option key={choice} value={choice} />
          ))}
      </datalist>
    </div>
  );
}
