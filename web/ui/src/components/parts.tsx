/** Small parts that every page uses. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { toast } from "../state/toast";
import { Icon, type IconName } from "./icon";
import type { Tone } from "../status";

export function Empty({ icon = "ok", title, children }: { icon?: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty" data-icon={icon}>
      <Icon name={icon} size={28} />
      <h3>{title}</h3>
      {children}
    </div>
  );
}

export function Banner({ tone, icon, children, testId }: { tone: Tone; icon: IconName; children: ComponentChildren; testId?: string }) {
  return (
    <div class={`banner tone-${tone}`} role="alert" data-testid={testId}>
      <Icon name={icon} size={18} />
      <div>{children}</div>
    </div>
  );
}

/** Says that something could not be read, and offers to try again. */
export function Failure({ what, error, retry }: { what: string; error: string; retry?: () => void }) {
  return (
    <Banner tone="critical" icon="critical" testId="failure">
      <b>Cannot read {what}.</b> {error}{" "}
      {retry && (
        <button class="button" data-size="small" onClick={retry}>
          Try again
        </button>
      )}
    </Banner>
  );
}

/** Grey lines in the place of what is being read. */
export function Skeleton({ height = 120 }: { height?: number }) {
  return <div class="skeleton" style={{ height: `${height}px` }} aria-label="Loading" role="status" />;
}

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("The browser refuses to copy: select the text instead.", true);
  }
}

/** A command to copy into a terminal. */
export function Command({ text }: { text: string }) {
  return (
    <div class="command">
      <pre>{text}</pre>
      <button class="button" data-kind="quiet" data-size="icon" aria-label="Copy the command" title="Copy" onClick={() => void copy(text)}>
        <Icon name="copy" />
      </button>
    </div>
  );
}

/** An input that narrows a list. */
export function FilterBox({ value, onInput, label, testId }: { value: string; onInput: (text: string) => void; label: string; testId?: string }) {
  return (
    <div class="filter">
      <Icon name="search" />
      <input type="search" value={value} placeholder={label} aria-label={label} data-testid={testId} onInput={(event) => onInput(event.currentTarget.value)} />
    </div>
  );
}

/** One of a few, side by side. */
export function Segments<T extends string>({ options, value, onChange, label }: { options: { value: T; label: ComponentChildren; title?: string }[]; value: T | null; onChange: (value: T) => void; label: string }) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {options.map((option) => (
        <button key={option.value} type="button" title={option.title} aria-pressed={option.value === value} onClick={() => onChange(option.value)}>
          {option.label}
        </button>
      ))}
    </div>
  );
}

/** A button that opens a list below it; closes on Escape, on a choice and on a click elsewhere. */
export function Menu({ icon, label, children, testId }: { icon: IconName; label: string; children: ComponentChildren; testId?: string }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isOpen) return;
    const close = (event: Event): void => {
      if (event instanceof KeyboardEvent ? event.key === "Escape" : !root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("keydown", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("keydown", close);
    };
  }, [isOpen]);
  return (
    <div class="menu" ref={root}>
      <button class="button" data-kind="quiet" data-size="icon" aria-label={label} title={label} aria-haspopup="true" aria-expanded={isOpen} data-testid={testId} onClick={() => setOpen(!isOpen)}>
        <Icon name={icon} />
      </button>
      {isOpen && (
        <div class="menu-list" onClick={() => setOpen(false)}>
          {children}
        </div>
      )}
    </div>
  );
}
