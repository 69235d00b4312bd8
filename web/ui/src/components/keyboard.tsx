/** Keys: `/` finds, `?` helps, `g` and a letter goes somewhere. */

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { navigate } from "../router";
import { toggleTheme } from "../state/theme";
import { Icon } from "./icon";

const isHelpShown = signal(false);

export function showHelp(): void {
  isHelpShown.value = true;
}

const GOALS: Record<string, [string, string]> = {
  o: ["/", "Overview"],
  p: ["/problems", "Problems"],
  h: ["/hosts", "Hosts"],
  e: ["/events", "Events"],
  n: ["/notifications", "Notifications"],
  x: ["/explore", "Explore"],
  w: ["/wall", "Wall screen"],
  s: ["/settings", "Settings"],
};

/** How long after `g` the letter may come, in milliseconds. */
const CHORD_MS = 1200;

export function startKeyboard(): void {
  let goAt = 0;
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.closest("dialog"))) return;
    const goal = event.timeStamp - goAt < CHORD_MS ? GOALS[event.key] : undefined;
    goAt = 0;
    if (goal) navigate(goal[0]);
    else if (event.key === "g") goAt = event.timeStamp;
    else if (event.key === "/") document.querySelector<HTMLInputElement>(".finder-input")?.focus();
    else if (event.key === "?") showHelp();
    else if (event.key === "t") toggleTheme();
    else return;
    event.preventDefault();
  });
}

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (isHelpShown.value) dialog.current?.showModal();
  }, [isHelpShown.value]);
  if (!isHelpShown.value) return null;
  const close = (): void => {
    isHelpShown.value = false;
  };
  const rows: [string[], string][] = [[["/"], "Find hosts and problems"], ...Object.entries(GOALS).map(([key, [, name]]): [string[], string] => [["g", key], name]), [["t"], "Dark or light"], [["?"], "This list"]];
  return (
    <dialog ref={dialog} class="dialog" aria-label="Keyboard" data-testid="help" onClose={close} onClick={(event) => event.target === dialog.current && close()}>
      <div class="dialog-body">
        <div class="dialog-head">
          <div>
            <h2>Keyboard</h2>
          </div>
          <button class="button" data-kind="quiet" data-size="icon" aria-label="Close" onClick={close}>
            <Icon name="close" />
          </button>
        </div>
        <dl class="keys">
          {rows.map(([keys, name]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd class="row">
                {keys.map((key) => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </dd>
            </div>
          ))}
        </dl>
        <p class="small muted">On graphs: drag to zoom all of them, double-click to go back.</p>
      </div>
    </dialog>
  );
}
