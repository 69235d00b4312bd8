/** A field for an expression: completes what may stand at the caret and shows where it is wrong. */

import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { ExprFault } from "../api/client";
import { applied, type Choice, type Language } from "./choices";
import { callAt, contextAt, type Context } from "./context";
import { choicesFor, faultOf, indexOf, theLanguage } from "./knowledge";

/** How long nobody types before the expression is looked at, in milliseconds. */
const PAUSE_MS = 400;
/** Letters of a name before something is offered without being asked. */
const LETTERS_MIN = 2;

interface Props {
  value: string;
  onInput: (text: string) => void;
  onSubmit: () => void;
}

/** What is offered, and where it would go. */
interface Offer {
  context: Context;
  choices: Choice[];
  chosen: number;
}

const NONE: Offer = { context: { kind: "none" }, choices: [], chosen: 0 };

export function ExprInput({ value, onInput, onSubmit }: Props) {
  const input = useRef<HTMLTextAreaElement>(null);
  const list = useId();
  const [offer, setOffer] = useState(NONE);
  const [caret, setCaret] = useState(0);
  const [isHere, setIsHere] = useState(false);
  /** Counts what was asked: a late answer must not open a list that nobody wants any more. */
  const asked = useRef(0);
  const fault = useFault(value);
  const close = (): void => {
    asked.current += 1;
    setOffer(NONE);
  };
  const complete = async (text: string, at: number, isAsked: boolean): Promise<void> => {
    const mine = (asked.current += 1);
    const context = contextAt(text, at);
    if (context.kind === "none" || (context.kind === "name" && !isAsked && context.word.length < LETTERS_MIN)) {
      setOffer(NONE);
      return;
    }
    const choices = await choicesFor(context, text.slice(at)).catch(() => []);
    if (mine === asked.current) setOffer({ context, choices, chosen: 0 });
  };
  const take = (choice: Choice): void => {
    const field = input.current;
    if (!field) return;
    const after = applied(value, field.selectionStart, offer.context, choice);
    onInput(after.text);
    setCaret(after.caret);
    close();
    requestAnimationFrame(() => {
      field.focus();
      field.setSelectionRange(after.caret, after.caret);
      // In fresh quotes and brackets the next thing is offered at once.
      if (choice.kind === "label" || choice.back > 0) void complete(after.text, after.caret, false);
    });
  };
  const onKey = (event: KeyboardEvent): void => {
    const { choices, chosen } = offer;
    const choice = choices[chosen];
    const choose = (by: number): void => setOffer({ ...offer, chosen: (chosen + by + choices.length) % choices.length });
    if (event.isComposing) return;
    // A word that is whole already is meant, whatever else begins so.
    const isWhole = offer.context.kind !== "none" && choice?.text === offer.context.word;
    if (event.key === "ArrowDown" && choice) choose(1);
    else if (event.key === "ArrowUp" && choice) choose(-1);
    else if (event.key === "Tab" && choice && !event.shiftKey) take(choice);
    else if (event.key === "Enter" && choice && !event.shiftKey && !isWhole) take(choice);
    else if (event.key === "Escape" && choice) close();
    else if (event.key === " " && event.ctrlKey) void complete(value, event.currentTarget instanceof HTMLTextAreaElement ? event.currentTarget.selectionStart : value.length, true);
    else if (event.key === "Enter" && !event.shiftKey) {
      close();
      onSubmit();
    } else return;
    event.preventDefault();
  };
  return (
    <div class="expr">
      <div class="expr-field">
        <Squiggle text={value} fault={fault} />
        <textarea
          ref={input}
          class="mono"
          rows={Math.min(6, value.split("\n").length)}
          value={value}
          placeholder='rate(node_network_receive_bytes_total{device="eth0"}[5m])'
          aria-label="Expression"
          aria-invalid={fault !== null}
          aria-autocomplete="list"
          aria-controls={list}
          aria-activedescendant={offer.choices.length > 0 ? `${list}-${String(offer.chosen)}` : undefined}
          spellcheck={false}
          autocapitalize="off"
          autocomplete="off"
          data-testid="expr"
          onInput={(event) => {
            const { value: text, selectionStart } = event.currentTarget;
            onInput(text);
            setCaret(selectionStart);
            void complete(text, selectionStart, false);
          }}
          onSelect={(event) => setCaret(event.currentTarget.selectionStart)}
          onClick={close}
          onKeyDown={onKey}
          onFocus={() => setIsHere(true)}
          onBlur={() => {
            setIsHere(false);
            close();
          }}
        />
        <Choices id={list} offer={offer} onTake={take} />
      </div>
      {fault && (
        <p class="expr-fault small" data-testid="expr-fault">
          {fault.message} <span class="faint">(line {fault.line}, column {fault.column})</span>
        </p>
      )}
      {!fault && isHere && <Signature name={callAt(value, caret)} />}
    </div>
  );
}

/** Asks what is wrong with a text, once nobody types any more. */
function useFault(text: string): ExprFault | null {
  const [fault, setFault] = useState<{ text: string; fault: ExprFault } | null>(null);
  useEffect(() => {
    if (text.trim() === "") return;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      void faultOf(text, abort.signal).then((found) => {
        if (!abort.signal.aborted) setFault(found && { text, fault: found });
      });
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text]);
  return fault?.text === text ? fault.fault : null;
}

/** The text again, invisible, behind the field: only the line under what is wrong is seen. */
function Squiggle({ text, fault }: { text: string; fault: ExprFault | null }) {
  if (!fault) return null;
  const from = Math.min(indexOf(text, fault.line, fault.column), text.length);
  const word = /^(?:[\w:]+|\s*\S)/.exec(text.slice(from))?.[0] ?? "";
  return (
    <div class="expr-squiggle mono" aria-hidden="true">
      {text.slice(0, from)}
      <span>{word === "" ? "\u00a0" : word}</span>
      {text.slice(from + word.length)}
    </div>
  );
}

function Choices({ id, offer, onTake }: { id: string; offer: Offer; onTake: (choice: Choice) => void }) {
  const { choices, chosen } = offer;
  const shown = useRef<HTMLButtonElement>(null);
  useEffect(() => shown.current?.scrollIntoView({ block: "nearest" }), [choices, chosen]);
  if (choices.length === 0) return null;
  return (
    <div class="menu-list expr-choices">
      <div role="listbox" id={id} aria-label="Completions" data-testid="expr-choices">
        {choices.map((choice, i) => (
          <button
            key={`${choice.kind} ${choice.name}`}
            ref={i === chosen ? shown : null}
            id={`${id}-${String(i)}`}
            type="button"
            role="option"
            tabIndex={-1}
            aria-selected={i === chosen}
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => onTake(choice)}
          >
            <span class="expr-kind" data-kind={choice.kind} title={choice.kind} aria-hidden="true">
              {choice.kind.charAt(0).toUpperCase()}
            </span>
            <code class="ellipsis">{choice.name}</code>
            <span class="small faint ellipsis">{choice.detail}</span>
          </button>
        ))}
      </div>
      <p class="expr-keys small faint" aria-hidden="true">
        <kbd>↑</kbd> <kbd>↓</kbd> choose <kbd>Tab</kbd> take <kbd>Esc</kbd> close
      </p>
    </div>
  );
}

/** How the function around the caret is called, and what it does. */
function Signature({ name }: { name: string }) {
  const [language, setLanguage] = useState<Language | null>(null);
  useEffect(() => {
    if (name !== "") theLanguage().then(setLanguage, () => undefined);
  }, [name]);
  const known = [...(language?.functions ?? []), ...(language?.aggregations ?? [])].find((one) => one.name === name);
  if (!known) return null;
  return (
    <p class="expr-signature small faint" data-testid="expr-signature">
      <code>{known.signature}</code> {known.doc}
    </p>
  );
}
