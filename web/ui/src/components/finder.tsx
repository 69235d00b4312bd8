/** Finds hosts and open problems by name from every page: `/`. */

import { useRef, useState } from "preact/hooks";
import { matchesCheck, matchesHost } from "../filter";
import { checkPath, hostPath, navigate } from "../router";
import { hosts, problems } from "../state/site";
import { keyOf, worstOf } from "../status";
import type { Status } from "../api/types";
import { Icon } from "./icon";
import { StatusIcon } from "./status";

interface Found {
  to: string;
  name: string;
  note: string;
  status: Status;
}

const FOUND_MAX = 8;

function find(text: string): Found[] {
  const found: Found[] = [];
  for (const check of problems.value) {
    if (check.check !== null && matchesCheck(check, text)) found.push({ to: checkPath(check), name: keyOf(check), note: check.output, status: check.status });
    if (found.length === FOUND_MAX / 2) break;
  }
  for (const host of hosts.value) {
    if (found.length === FOUND_MAX) break;
    if (matchesHost(host, text)) found.push({ to: hostPath(host.name), name: host.name, note: host.address, status: worstOf(host) });
  }
  return found;
}

export function Finder() {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const [isOpen, setOpen] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const found = text.trim() ? find(text.trim()) : [];
  const go = (to: string): void => {
    setText("");
    setOpen(false);
    input.current?.blur();
    navigate(to);
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown") setChosen(Math.min(chosen + 1, found.length - 1));
    else if (event.key === "ArrowUp") setChosen(Math.max(0, chosen - 1));
    else if (event.key === "Escape") input.current?.blur();
    else if (event.key === "Enter") go(found[chosen]?.to ?? `/hosts?filter=${encodeURIComponent(text)}`);
    else return;
    event.preventDefault();
  };
  const isShown = isOpen && text.trim() !== "";
  return (
    <div class="finder filter">
      <Icon name="search" />
      <input
        ref={input}
        class="finder-input"
        type="search"
        role="combobox"
        list={undefined}
        placeholder="Find"
        aria-label="Find hosts and problems"
        aria-expanded={isShown}
        aria-controls="found"
        aria-keyshortcuts="/"
        autocomplete="off"
        data-testid="finder"
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setChosen(0);
          setOpen(true);
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKey}
      />
      <kbd>/</kbd>
      {isShown && (
        <div class="menu-list" id="found" role="listbox">
          {found.length === 0 && <div class="menu-note">Nothing found</div>}
          {found.map(({ to, name, note, status }, i) => (
            <a key={to} href={to} role="option" aria-selected={i === chosen} onPointerDown={(event) => event.preventDefault()} onClick={() => go(to)}>
              <StatusIcon status={status} />
              <span class="ellipsis">
                {name} <span class="faint">{note}</span>
              </span>
            </a>
          ))}
        </div>
      )}
    </div>
  );
}
