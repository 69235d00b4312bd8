/** The server's time, as near as we know it: durations must not depend on the reader's clock. */

import { signal } from "@preact/signals";

let offset = 0;

/** Milliseconds since 1970; ticks once a second while the page is visible. */
export const now = signal(Date.now());

export function setServerTime(at: number): void {
  offset = at - Date.now();
  now.value = at;
}

export const serverTime = (): number => Date.now() + offset;

const TICK_MS = 1000;

export function startClock(): void {
  const tick = (): void => {
    if (!document.hidden) now.value = serverTime();
  };
  setInterval(tick, TICK_MS);
  document.addEventListener("visibilitychange", tick);
}
